/** Accounts that the host app had before, and that the identity provider has not written to yet (setting `linking`). */
import { sql } from 'drizzle-orm';
import type { OrgSettings } from '../org/open';

/** A condition on `users`. */
export const IS_UNLINKED = sql.raw(`(users.origin = 'host' AND users.linked_at IS NULL)`);

export const mayLink = ({ linking }: OrgSettings): boolean => linking !== 'off';

/** A condition on `users` beside `orgs`: as far as the org's settings are concerned, the identity provider may write to it. */
export const IS_OPEN = sql`NOT (${IS_UNLINKED} AND ifnull(orgs.settings ->> '$.linking', '') = 'off')`;
