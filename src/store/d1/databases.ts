/**
 * Which database holds what: the only file that knows the binding. Today one database holds all orgs. Whatever works for one
 * org takes its database from here, and whatever works across orgs takes all of them.
 */

/** What a Worker is bound to. */
export interface Databases {
  readonly DB: D1Database;
}

/** Holds every row of this org. */
export const databaseOf = ({ DB }: Databases, _orgId: string): D1Database => DB;

/** Holds the org that is called so, if there is one: its id is not known yet. @param _name a slug, or what may be an id. */
export const databaseOfName = ({ DB }: Databases, _name: string): D1Database => DB;

/** Hold all orgs together, each org in one of them. */
export const allDatabases = ({ DB }: Databases): readonly D1Database[] => [DB];
