// Where the rooms of src/ stand, and what each may import. The linter refuses circles of imports (biome.json); it knows no floors.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../../src');

/**
 * The lowest first. A file imports its own room and the floors below: rooms of one floor know nothing of each other. A file
 * that stands alone is named with its ending.
 */
const FLOORS = [
  ['scim', 'region.ts', 'duration.ts', 'plain-text.ts'],
  ['events.ts'],
  ['end-cause.ts'],
  ['store/d1'],
  ['store/org'],
  ['store/journal'],
  ['store/directory', 'store/credentials'],
  ['store/operations', 'store/archive', 'store/portal'],
  ['env.ts'],
  ['credentials', 'sessions'],
  ['mirror', 'webhooks', 'testing'],
  ['provisioning'],
  ['operator', 'signals', 'transmitter'],
  ['coordinator.ts'],
  ['coordinator-stub.ts'],
  ['routes'],
  ['routes/access'],
  ['routes/signals'],
  ['routes/scim', 'routes/admin', 'routes/oauth', 'routes/sessions', 'routes/health.ts'],
  ['routes/portal', 'routes/ssf'],
  ['app.ts', 'cron'],
  ['index.ts'],
];

const files = readdirSync(SRC, { recursive: true }).filter((file) => /\.tsx?$/.test(file));
const textOf = (file) => readFileSync(join(SRC, file), 'utf8');

/** The longest name of a room that the file is in. */
function roomOf(file) {
  const rooms = FLOORS.flat().filter((room) => file === room || file.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0];
}

const floorOf = (room) => FLOORS.findIndex((rooms) => rooms.includes(room));

/** Types included: a room that only knows the types of another one changes with it, too. */
function importsOf(file) {
  const paths = [...textOf(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, path]) =>
    relative(SRC, normalize(join(SRC, dirname(file), path))),
  );
  return paths
    .filter((path) => !path.endsWith('.json'))
    .map((path) => {
      const found = [path, `${path}.ts`, `${path}.tsx`, `${path}/index.ts`, `${path}/index.tsx`].find((name) =>
        files.includes(name),
      );
      if (found === undefined) throw new Error(`${file} imports ${path}, which is not there`);
      return found;
    });
}

it('every file of src stands in a room', () => {
  expect(files.filter((file) => roomOf(file) === undefined)).toEqual([]);
});

it('no import runs upward, or to another room of the same floor', () => {
  const upward = files.flatMap((file) => {
    const room = roomOf(file);
    return importsOf(file)
      .filter((other) => roomOf(other) !== room && floorOf(roomOf(other)) >= floorOf(room))
      .map((other) => `${file} -> ${other}`);
  });
  expect(upward).toEqual([]);
});

it('only store/d1/databases.ts knows the binding of the database', () => {
  // Its name as text, which operators see, is no use of it.
  const code = (file) => textOf(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*|'[^'\n]*'|`[^`]*`/g, '');
  const naming = files.filter((file) => /\bDB\b/.test(code(file)));
  expect(naming).toEqual(['store/d1/databases.ts']);
});

it('only the routes know hono, and only the store knows drizzle', () => {
  const using = (library) => files.filter((file) => textOf(file).includes(`from '${library}`)).map(roomOf);
  for (const room of using('hono')) expect(room).toMatch(/^(routes|app\.ts|sessions$)/);
  for (const room of using('drizzle-orm')) expect(room).toMatch(/^store\//);
});
