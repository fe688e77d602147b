/** An org as a file: its lines read page by page, and an org made of them, chunk by chunk (docs/export-import.md). */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { newOrgId } from '../../../credentials/secret';
import { atLine, checkEnd, checkLines, importLines, namedBy } from '../../../operator/archive-import';
import { suits } from '../../../operator/residency';
import { underTypes } from '../../../provisioning/schemas';
import { conflict, invalidValue } from '../../../scim/error';
import { isSame, type Json } from '../../../scim/resource';
import { standardTypes, typesWith } from '../../../scim/schema/types';
import { beginExport, type ExportPosition, keyLength, readPage, STEPS } from '../../../store/archive/export';
import { KINDS, type Line, type OrgLine } from '../../../store/archive/format';
import { finishImport, type Importing, insertImport, readImport, whatIsThere } from '../../../store/archive/import';
import { Taken, Unmet } from '../../../store/d1/batch';
import { databaseOf, databaseOfName, isSpread } from '../../../store/d1/databases';
import { WHOLE_ORG } from '../../../store/journal/outbox';
import { expectFreeSlug, placeFor, Unplaceable } from '../../../store/operations/shards';
import { notUnderWay } from '../../../store/org/refusals';
import type { App } from '../../context';
import { iso } from '../../instants';
import { body, query } from '../../validator';
import { slug as aSlug, withoutSso } from '../orgs';
import { by, orgOf, shownOrg } from '../respond';
import { checkSigner, readEndLine, readLine, readOrgLine } from './lines';

export const exports = new Hono<App>();

/** Records that it begins: who read all of an org is to be known. */
exports.post(
  '/',
  body(z.strictObject({ by, withoutCredentials: z._default(z.boolean('true or false was expected'), false) })),
  async (c) => {
    const { store, actor } = orgOf(c);
    const { by = c.var.by, withoutCredentials } = c.req.valid('json');
    const { line, place } = await untilCleared(beginExport(store, withoutCredentials, by, actor));
    return c.json({ lines: [line], next: sealed(place) });
  },
);

exports.get(
  '/',
  query(z.strictObject({ after: z.pipe(z._default(z.string(), ''), z.transform(opened)) })),
  async (c) => {
    const { after: place } = c.req.valid('query');
    const { lines, next } = await untilCleared(readPage(orgOf(c).store, place));
    // They are JSON already, and many.
    const text = `{"lines":[${lines.join(',')}],"next":${JSON.stringify(next ? sealed(next) : null)}}`;
    return c.body(text, 200, { 'Content-Type': 'application/json' });
  },
);

/** @throws ScimError 409 while resources have values of a schema that was removed. */
async function untilCleared<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'removal') throw error;
    throw conflict('Values of a schema that was removed are still being removed: try again in some minutes');
  }
}

const AFTER = 'after: the "next" of the last page was expected; POST begins an export';
const count = z.int().check(z.gte(0));
const place = z.strictObject({
  step: z.enum(STEPS),
  key: z.optional(z.array(z.union([z.string(), z.number()])).check(z.maxLength(6))),
  counts: z.partialRecord(z.enum(KINDS), count),
  users: count,
  groups: count,
  seq: count,
  withoutCredentials: z.boolean(),
});

/** Not a secret: it only says where the next page begins, and gives no right. */
const sealed = (it: ExportPosition) => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(it))));

function opened(text: string): ExportPosition {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const { key, ...rest } = place.parse(JSON.parse(new TextDecoder().decode(bytes)));
    if (key !== undefined && key.length !== keyLength(rest.step)) throw invalidValue(AFTER);
    return { ...rest, key };
  } catch {
    throw invalidValue(AFTER);
  }
}

export const imports = new Hono<App>();

/** The org that the path names, for the import of it alone. */
function importOf(c: Context<App>) {
  const org = orgOf(c);
  return { ...org, store: org.store.forImports('only') };
}

imports.post(
  '/',
  body(z.strictObject({ org: z.unknown(), dryRun: z._default(z.boolean('true or false was expected'), false) })),
  async (c) => {
    const { org, dryRun } = c.req.valid('json');
    const line = atLine(1, () => readOrgLine(org));
    const asked = aSlug.safeParse(c.req.param('slug'));
    if (!asked.success) throw invalidValue(`slug: ${asked.error.issues[0]!.message}`);
    const slug = asked.data;
    const found = await whatIsThere(databaseOfName(c.env, slug), slug, databaseOf(c.env, line.id), line.id);
    if (found.isSlugTaken) return c.json(goingOn(slug, line, found));
    if (found.isBeingRemoved) throw beingRemoved();
    const id = found.isIdTaken ? undefined : line.id;
    if (dryRun) return c.json(begun(slug, id, line, 1));
    try {
      const now = Date.now();
      const otherId = newOrgId();
      const ids = { id: id ?? otherId, otherId };
      const db = await placeFor(c.env, { id: ids.id, slug }, suits(c.env, line.settings.residency), now);
      // Where the catalogue has the id already, an org that takes it meanwhile ends the import.
      if (isSpread(c.env)) ids.otherId = ids.id;
      const tenant = await insertImport(db, slug, line, ids, now, expectFreeSlug(c.env, db, { id: ids.id, slug }));
      return c.json(begun(slug, tenant.id, line, 1), 201);
    } catch (error) {
      if (error instanceof Taken) throw conflict(`Another import was quicker: try again`);
      if (error instanceof Unplaceable) throw conflict(`The org cannot be imported: ${error.message}`);
      if (error instanceof Unmet && error.expectation === 'slug')
        throw conflict(`Another import was quicker: try again`);
      if (error instanceof Unmet && error.expectation === 'removal') throw beingRemoved();
      throw error;
    }
  },
);

/** The rows of both would have the same id. */
const beingRemoved = () =>
  conflict('The org of this file was deleted here, and is still being removed. Try again in some minutes');

/** @throws ScimError 409: the slug is another org's, or that of an import of something else. */
function goingOn(slug: string, line: OrgLine, { id, importing }: { id?: string; importing?: Importing }) {
  if (importing === undefined) throw conflict(`The org ${slug} exists already: import the file under another slug`);
  if (!isSame(importing.org as unknown as Json, line as unknown as Json)) {
    throw conflict(
      `Another file is being imported as ${slug}: go on with that file, or remove the org with org delete`,
    );
  }
  return begun(slug, id, line, importing.line);
}

/** @param id undefined: one that is not known yet, for the file's is taken. */
const begun = (slug: string, id: string | undefined, line: OrgLine, through: number) => ({
  slug,
  id: id ?? null,
  /** Beside the original, whose credentials stay the original's alone. */
  copy: id !== line.id,
  credentials: id === line.id && !line.withoutCredentials,
  exportedAt: iso(line.exportedAt),
  /** Lines that are there already. */
  through,
});

/** Bytes of a chunk: one event may have a resource before and after, beyond what other bodies may have. */
const MAX_CHUNK = 4 * 1_048_576;

const LINES = 'a list of lines was expected';
const linesAsked = z.strictObject({
  after: z.int('a whole number was expected').check(z.gte(1)),
  lines: z.array(z.unknown(), LINES).check(z.maxLength(5_000, 'at most 5,000 are accepted')),
});

imports.post('/lines', body(linesAsked, MAX_CHUNK), async (c) => {
  const { after, lines } = c.req.valid('json');
  const read = await readLines(lines, after);
  return c.json({ through: await underTypes(importOf(c), (org) => importLines(org, after, read)) });
});

async function readLines(raws: readonly unknown[], after: number): Promise<Line[]> {
  const lines = raws.map((raw, i) => atLine(after + 1 + i, () => readLine(raw)));
  for (const [i, line] of lines.entries()) {
    if (line.kind === 'oauthClient') await atLine(after + 1 + i, () => checkSigner(line['assertion']));
  }
  return lines;
}

const checkAsked = z.strictObject({
  place: z.strictObject({
    line: z.int().check(z.gte(1)),
    kind: z.int().check(z.gte(0), z.lte(KINDS.length)),
    seq: z.int().check(z.gte(0)),
  }),
  schemas: z.array(z.unknown()).check(z.maxLength(100)),
  lines: linesAsked.shape.lines,
});

/** The same lines, of which nothing is kept: what is wrong with them, and what they have to do with others. */
imports.post('/check', body(checkAsked, MAX_CHUNK), async (c) => {
  const asked = c.req.valid('json');
  const before = asked.schemas.map((raw) => readLine(raw));
  const known = checkLines(standardTypes, [], { line: 0, kind: 0, seq: 0 }, before);
  const lines = await readLines(asked.lines, asked.place.line);
  const { place, schemas } = checkLines(typesWith(known.schemas), known.schemas, asked.place, lines);
  const types = typesWith(schemas);
  return c.json({ place, named: lines.map((line) => namedBy(types, line)) });
});

imports.post('/finish', body(z.strictObject({ end: z.unknown(), by })), async (c) => {
  const org = importOf(c);
  const { by = c.var.by, ...asked } = c.req.valid('json');
  const importing = await readImport(org.store);
  const { slug } = org.store.tenant;
  if (importing === undefined) throw notUnderWay(slug);
  const end = atLine(importing.line + 1, () => {
    const read = readEndLine(asked.end);
    checkEnd(importing, read);
    return read;
  });
  try {
    const tenant = await finishImport(org.store, importing, end, by, org.actor);
    const published = await org.publish(WHOLE_ORG);
    await org.publishPending();
    return c.json({ ...shownOrg(c, tenant), counts: importing.counts, published });
  } catch (error) {
    if (!(error instanceof Unmet)) throw error;
    if (error.expectation === 'import_place')
      throw conflict(`Another request went on with the import of ${slug}: try again`);
    if (error.expectation === 'sso') throw invalidValue(`line 1: ${withoutSso(importing.org.settings)}`);
    throw error;
  }
});
