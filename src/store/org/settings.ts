/** The settings of an org: which there are, and what each may be. */
/** Requests a second that an org can be allowed: for each there is a binding `RATE_…` (wrangler.toml). */
export const RATES = [25, 100, 500] as const;
export type Rate = (typeof RATES)[number];

/** Each has a guide: docs/idp. */
export const IDPS = ['okta', 'entra', 'onelogin', 'jumpcloud', 'google', 'ping', 'other'] as const;

/** The policies of an org that can be set; absent: the default. */
export interface OrgSettings {
  readonly idp?: (typeof IDPS)[number];
  /** Whether the org's plan has SCIM; absent: it does. */
  readonly 'plan.scim'?: boolean;
  /** How many users may be active; absent: any number. */
  readonly 'plan.seats'?: number;
  /** Whether the org has SSO, or what its connection is called; absent: it has none. */
  readonly sso?: boolean | string;
  /** SCIM may be on only where there is SSO. */
  readonly ssoRequired?: boolean;
  /** How the org's people sign in; absent: `sso`. */
  readonly authentication?: 'sso' | 'password-setup';
  /** Whom a refused IdP's administrator may ask. */
  readonly supportContact?: string;
  /** The id of the group that users join when they are created over SCIM. */
  readonly defaultGroup?: string;
  /** The values that `roles` may have; absent: any. `key` is the value folded, as SQL compares it. */
  readonly roles?: readonly { readonly value: string; readonly key: string }[];
  /** By what an account that the host app had already is taken over by the identity provider; absent: `email`. */
  readonly linking?: 'off' | 'userName' | 'email';
  /** Which deleted account a POST restores; absent: `same-person` (provisioning/identity.ts). */
  readonly restore?: 'same-person' | 'externalId' | 'off';
  /** Whether two live users may not have one externalId. */
  readonly uniqueExternalId?: boolean;
  /** Domains whose addresses link accounts, as DNS knows them (scim/address.ts); absent: none do. */
  readonly verifiedDomains?: readonly string[];
  /** What becomes of a user whom the identity provider deletes; absent: a tombstone that keeps the account. */
  readonly onDelete?: 'deactivate' | 'erase';
  /** Of one whom it deactivates; absent: the account stays as it is, and inactive. */
  readonly onDeactivate?: 'deactivate' | 'erase';
  /** How long tombstones and events are kept: durations (credentials/duration.ts); absent: for ever. */
  readonly retainDeleted?: string;
  readonly retainEvents?: string;
  /** How many the identity provider may deactivate or delete in a window; absent: any number. */
  readonly 'brake.deactivations'?: number;
  /** The same in hundredths of the active users. */
  readonly 'brake.percentage'?: number;
  /** A duration; absent: an hour. */
  readonly 'brake.window'?: string;
  /** What a membership change does with ids of nobody: leaves them out (the default), or is refused. */
  readonly unknownMembers?: 'skip' | 'reject';
  /** What a PATCH path to an attribute that the schemas do not have does: nothing (the default), or it is refused. */
  readonly unknownAttributes?: 'ignore' | 'reject';
  /** The label of the region whose host serves the org; absent: any. */
  readonly residency?: string;
  /** How long a rotation leaves the old token good: a duration (credentials/duration.ts). */
  readonly graceDefault?: string;
  /** Requests a second; absent: the largest. */
  readonly rateLimit?: Rate;
  /** Whether a new userName ends the sessions of who had another one. */
  readonly signOutOnRename?: boolean;
  /** The ids of groups; who is a direct member of one no longer is signed out. */
  readonly signOutGroups?: readonly string[];
}

/** null: back to the default. What is not named stays. */
export type SettingsChange = { readonly [K in keyof OrgSettings]?: OrgSettings[K] | null };
