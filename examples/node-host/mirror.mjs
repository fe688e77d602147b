/** Copies of directories in a file of SQLite: one mirror for each org. They outlive a kill: the next start goes on. */
import { DatabaseSync } from 'node:sqlite';
import { drizzle } from 'drizzle-orm/sqlite-proxy';
import { httpDirectory, mirror } from 'scim-worker/mirror';
import { sqliteStore, TABLES } from './mirror-store.ts';

/** @returns drizzle on Node's own SQLite. */
export function openDatabase(path) {
  const sqlite = new DatabaseSync(path);
  for (const table of TABLES) sqlite.exec(table);
  return drizzle(async (sql, parameters, method) => {
    const statement = sqlite.prepare(sql);
    if (method === 'run') return { rows: [statement.run(...parameters)] };
    statement.setReturnArrays(true);
    return { rows: statement.all(...parameters) };
  });
}

/** Poked by the stream when somebody is deactivated, and looking every ten seconds for all else. */
export function startMirrors({ scimUrl: url, hostToken: token, path, orgs, signal }) {
  const db = openDatabase(path);
  return orgs.map((org) =>
    mirror({
      source: httpDirectory({ url, token, org, stream: {} }),
      store: sqliteStore(db, org),
      signal,
      onError: (error) => console.error(`mirror of ${org}: ${error.message}`),
    }),
  );
}
