/** A database as batches are sent to it: one that is known, or the one that holds an org, wherever that is now. */
import type { SQL } from 'drizzle-orm';

/** What is sent to the database that turns out to be right. `guards` come first: they abort the batch where it is not. */
export type Attempt<T> = (database: D1Database, guards: readonly SQL[]) => Promise<T>;

/** The database of one org, found when a batch is sent. */
export interface Located {
  /** @param writes whether the batch changes anything. An attempt that its guards abort has done nothing, and is repeated elsewhere. */
  send<T>(writes: () => boolean, attempt: Attempt<T>): Promise<T>;
  /** To be asked before an org that was not found is taken for one that does not exist. @throws Busy: it may exist. */
  confirmAbsence(): Promise<void>;
}

export type Database = D1Database | Located;

export const isLocated = (database: Database): database is Located => 'send' in database;

/** The same for every database. */
export async function confirmAbsence(database: Database): Promise<void> {
  if (isLocated(database)) await database.confirmAbsence();
}
