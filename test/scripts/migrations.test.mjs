// A Worker and its databases are not upgraded at the same moment: the Worker before has to work on the new tables.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const FOLDER = join(import.meta.dirname, '../../migrations');
const names = readdirSync(FOLDER).filter((name) => name.endsWith('.sql'));

it('the Worker says which migration is the latest that it needs', () => {
  const source = readFileSync(join(import.meta.dirname, '../../src/store/d1/schema-version.ts'), 'utf8');
  expect(/SCHEMA_VERSION = '([^']+)'/.exec(source)?.[1]).toBe(names.sort().at(-1));
});

/** The first release that can be upgraded while it runs has the migrations before this one. */
const FIRST = '0026';

/** What the Worker before would miss, or could not satisfy. */
const TAKES_AWAY =
  /\bDROP\s+(?:TABLE|COLUMN|VIEW)\b|\bRENAME\b|`__new_|\bADD\s+(?:COLUMN\s+)?`\w+`[^;]*\bNOT NULL\b(?![^;]*\bDEFAULT\b)/i;

it.each(names.filter((name) => name >= FIRST))('%s only adds, so the Worker before goes on working', (name) => {
  const statements = readFileSync(join(FOLDER, name), 'utf8').split('--> statement-breakpoint');
  const other = statements.map((one) => (/\bADD\b[^;]*\bDEFAULT\b/i.test(one) ? '' : one));
  expect(other.filter((one) => TAKES_AWAY.test(one))).toEqual([]);
});
