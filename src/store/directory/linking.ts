/** Accounts that the application had before, and that the identity provider has not written to yet (setting `linking`). */
import { sql } from 'drizzle-orm';
import type { OrgSettings } from '../org/settings';

/** A condition on `users`. */
export const IS_UNLINKED = sql.raw(`(users.origin = 'host' AND users.linked_at IS NULL)`);

export const mayLink = ({ linking }: OrgSettings): boolean => linking !== 'off';
