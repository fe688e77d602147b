/** Whether the plan of an org has SCIM, and the sentences that say so. */
import { sql } from 'drizzle-orm';
import type { OrgSettings } from './settings';

/** A sentence for a refused caller, with the contact to ask. */
export const withContact = (sentence: string, { supportContact }: OrgSettings): string =>
  supportContact === undefined ? sentence : `${sentence} Contact ${supportContact}.`;

/** A condition on `orgs`: the plan has SCIM. */
export const IS_IN_PLAN = sql.raw(`orgs.settings ->> '$."plan.scim"' IS NOT 0`);

export const isInPlan = (settings: OrgSettings): boolean => settings['plan.scim'] !== false;

/** Said to the identity provider, and to an operator who would let it in. */
export const outOfPlan = (settings: OrgSettings): string =>
  withContact('SCIM is not included in the plan of this organization. Its users stay as they are.', settings);
