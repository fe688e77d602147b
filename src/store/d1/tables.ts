/**
 * The tables; drizzle-kit turns them into migrations/, and migrations/README.md says what each holds. Every table is
 * keyed by org first. Instants are epoch milliseconds. JSON is text: a number bound to D1 arrives as a REAL.
 */
import { sql } from 'drizzle-orm';
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';

export const orgs = sqliteTable(
  'orgs',
  {
    id: text('id').primaryKey(),
    slug: text('slug').notNull(),
    name: text('name').notNull(),
    scimEnabled: integer('scim_enabled').notNull().default(0),
    /** JSON: the policies that were set; what is absent has its default. */
    settings: text('settings').notNull().default('{}'),
    userCount: integer('user_count').notNull().default(0),
    activeUserCount: integer('active_user_count').notNull().default(0),
    groupCount: integer('group_count').notNull().default(0),
    /** Bytes that its users, groups, members and events take, about: triggers count them (migration 0015). */
    storedBytes: integer('stored_bytes').notNull().default(0),
    /** The number of the org's latest event. */
    eventSeq: integer('event_seq').notNull().default(0),
    /** Sessions of all users issued until then are over. */
    validAfter: integer('not_before'),
    /** Why they are: `operator`, `signal https://acme.okta.com` (end-cause.ts). */
    endedBy: text('ended_by'),
    /** When the vendor switched the org off: its users cannot be signed in, and its IdP is refused. */
    disabledAt: integer('disabled_at'),
    /** Signs the org's cursors: 32 random bytes, hexadecimal, that a trigger puts in the place of ''. */
    cursorKey: text('cursor_key').notNull().default(''),
    /** Unused since `revision`, which moves with the schemas too. */
    schemaVersion: text('schema_version').notNull().default(''),
    /** Which profile the org has (store/org/profile.ts): triggers move it with each change of it, and choose the first. */
    revision: integer('revision').notNull().default(0),
    /** Events up to this number have been through retention: those that are missing among them are gone. */
    prunedThrough: integer('pruned_through').notNull().default(0),
    /** When retention had nothing left to do for the org. */
    retainedAt: integer('retained_at').notNull().default(0),
    /** JSON: the first line of the file that it is made of, and how far that has been read (import.ts); absent: it is no import, or a finished one. */
    importing: text('importing'),
    /** When its own flag first stood in KV, from where it never goes; absent: the cron publishes it. */
    flagPublishedAt: integer('flag_published_at'),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [
    uniqueIndex('orgs_slug').on(t.slug),
    index('orgs_unflagged').on(t.id).where(sql`flag_published_at IS NULL`),
    // The cron looks at each of them now and then for what is too old.
    index('orgs_retained').on(t.retainedAt),
  ],
);

/**
 * In `DB` alone: which database holds an org (homes.ts), of orgs that are, or once were, in another one than `DB`. The row
 * of a deleted org stays, without its slug: what is left of the org is removed there. WITHOUT ROWID in the migration.
 */
export const catalogue = sqliteTable(
  'catalogue',
  {
    orgId: text('org_id').primaryKey(),
    slug: text('slug'),
    /** The name of the binding: `DB_3`. */
    binding: text('binding').notNull(),
    since: integer('since').notNull(),
  },
  (t) => [uniqueIndex('catalogue_slug').on(t.slug)],
);

/** In `DB` alone: the latest move of each org to another database (operator/move.ts). WITHOUT ROWID in the migration. */
export const moves = sqliteTable('moves', {
  orgId: text('org_id').primaryKey(),
  slug: text('slug').notNull(),
  source: text('source').notNull(),
  target: text('target').notNull(),
  state: text('state', { enum: ['clearing', 'copying', 'finishing', 'switching', 'done', 'cancelling'] }).notNull(),
  /** JSON: how far the copy is. */
  place: text('place').notNull().default('{}'),
  by: text('by').notNull(),
  startedAt: integer('started_at').notNull(),
  /** When it last went on. */
  workedAt: integer('worked_at').notNull(),
  switchedAt: integer('switched_at'),
  /** The number of the org's latest event at the switch. */
  switchedSeq: integer('switched_seq'),
  /** Why the latest attempt failed: a sentence of ours. */
  error: text('error'),
  /** 1: it only takes the org back to where it was. */
  isReturn: integer('is_return').notNull().default(0),
});

/** Orgs of this database that are not written to for some seconds: the last portion of a move is copied. WITHOUT ROWID in the migration. */
export const frozenOrgs = sqliteTable('frozen_orgs', {
  orgId: text('org_id').primaryKey(),
  since: integer('since').notNull(),
});

/** Orgs that were moved away from this database: their row of `orgs` as JSON. WITHOUT ROWID in the migration. */
export const movedOrgs = sqliteTable('moved_orgs', {
  orgId: text('org_id').primaryKey(),
  org: text('org').notNull(),
  movedAt: integer('moved_at').notNull(),
});

/**
 * Of which binding this database is, in one row: a database that is bound under another name is not written to. Since
 * then it holds what all databases hold (host tokens, webhooks of all orgs). WITHOUT ROWID in the migration.
 */
export const shards = sqliteTable('shards', {
  binding: text('binding').primaryKey(),
  adoptedAt: integer('adopted_at').notNull(),
});

/** Orgs that were deleted here, until one with the same id is imported: their sessions must stay dead then. */
export const deletedOrgs = sqliteTable('deleted_orgs', {
  orgId: text('org_id').primaryKey(),
  deletedAt: integer('deleted_at').notNull(),
});

/**
 * What was deleted at once and is too much for one batch: its rows are removed in chunks (removal.ts). No request finds
 * anything of it. WITHOUT ROWID in the migration.
 */
export const removals = sqliteTable(
  'removals',
  {
    orgId: text('org_id').notNull(),
    /** `org`: all rows of the org. `schema`: the values of an extension. `group`: the memberships of a group. */
    kind: text('kind', { enum: ['org', 'schema', 'group'] }).notNull(),
    /** The schema's URN, the group's `seq`; of an org empty. */
    target: text('target').notNull(),
    /** Of a schema: what it extended. */
    resourceType: text('resource_type', { enum: ['User', 'Group'] }),
    /** Of a schema: the `seq` of the last resource that was looked at, and how many had a value. */
    place: integer('place').notNull().default(0),
    changed: integer('changed').notNull().default(0),
    since: integer('since').notNull(),
    /** Who has the smallest is worked on next, and gets the largest by it. */
    turn: integer('turn').notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.kind, t.target] }), index('removals_turn').on(t.turn)],
);

export const credentials = sqliteTable(
  'credentials',
  {
    id: text('id').primaryKey(),
    orgId: text('org_id').notNull(),
    kind: text('kind', { enum: ['token', 'basic', 'oauth_client', 'oauth_access', 'oauth_refresh'] }).notNull(),
    /** The OAuth client that it is of; empty for the org's token and password. */
    subject: text('subject').notNull().default(''),
    /** SHA-256 of the secret, hexadecimal. */
    hash: text('hash').notNull(),
    /** What is shown of the secret. */
    mask: text('mask').notNull(),
    /** 1, 2, … of its kind and subject; 0 for what OAuth clients are given for a while. */
    generation: integer('generation').notNull(),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** Its own expiry. */
    validUntil: integer('valid_until'),
    /** Since when it is the current one, and who made it so: issued, or brought back by a cancelled rotation. */
    currentSince: integer('current_since'),
    currentBy: text('current_by'),
    /** A successor took its place then; it is good no longer than `grace_until`. */
    replacedAt: integer('replaced_at'),
    replacedBy: text('replaced_by'),
    graceUntil: integer('grace_until'),
    /** 1: its first use ends the grace of its predecessor early. */
    retireOnUse: integer('retire_on_use').notNull().default(0),
    revokedAt: integer('revoked_at'),
    revokedBy: text('revoked_by'),
    /** Noted every few minutes, not at each request. */
    lastUsedAt: integer('last_used_at'),
    lastUsedClient: text('last_used_client'),
    lastUsedAddress: text('last_used_address'),
    /** The smallest number of days before its expiry that was warned of. */
    warnedDays: integer('warned_days'),
    /** The approval that an access or refresh token came of: they die together. */
    grantId: text('grant_id'),
  },
  (t) => [
    uniqueIndex('credentials_hash').on(t.hash),
    uniqueIndex('credentials_generation').on(t.orgId, t.kind, t.subject, t.generation).where(sql`generation > 0`),
    // Promise 4, held by the database: of each kind one that is current, and one that a successor has replaced.
    uniqueIndex('credentials_current')
      .on(t.orgId, t.kind, t.subject)
      .where(sql`generation > 0 AND revoked_at IS NULL AND replaced_at IS NULL`),
    uniqueIndex('credentials_predecessor')
      .on(t.orgId, t.kind, t.subject)
      .where(sql`generation > 0 AND revoked_at IS NULL AND replaced_at IS NOT NULL`),
    // The two at most of a line that can be good, whatever there was before them.
    index('credentials_alive')
      .on(t.orgId, t.kind, t.subject, t.generation)
      .where(sql`generation <> 0 AND revoked_at IS NULL`),
    index('credentials_grant').on(t.orgId, t.grantId).where(sql`grant_id IS NOT NULL`),
    index('credentials_subject').on(t.orgId, t.subject).where(sql`subject <> ''`),
    // What expires soon is warned of, what expired long ago is removed: across orgs, by the cron.
    index('credentials_valid_until').on(t.kind, t.validUntil).where(sql`valid_until IS NOT NULL`),
  ],
);

/** An application of an identity provider that asks for access tokens (RFC 6749 §2). */
export const oauthClients = sqliteTable(
  'oauth_clients',
  {
    orgId: text('org_id').notNull(),
    id: text('id').notNull(),
    name: text('name').notNull(),
    /** JSON: a list of URIs, compared to the letter. */
    redirectUris: text('redirect_uris').notNull(),
    /** JSON: whose signature stands for a secret; absent: it has a secret, whose hash is a credential. */
    assertion: text('assertion'),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.id] })],
);

/** One approval of one client by a person of the org: its code, and the family of tokens that came of it. */
export const grants = sqliteTable(
  'grants',
  {
    orgId: text('org_id').notNull(),
    id: text('id').notNull(),
    clientId: text('client_id').notNull(),
    /** SHA-256 of the authorization code. */
    codeHash: text('code_hash').notNull(),
    codeValidUntil: integer('code_valid_until').notNull(),
    redirectUri: text('redirect_uri').notNull(),
    /** RFC 7636, S256; absent: none was sent. */
    challenge: text('challenge'),
    approvedAt: integer('approved_at').notNull(),
    approvedBy: text('approved_by').notNull(),
    redeemedAt: integer('redeemed_at'),
    revokedAt: integer('revoked_at'),
    /** It still had tokens when the cron last looked, which looks again then; absent: 30 days after the approval. */
    reviewAt: integer('review_at'),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.id] }),
    uniqueIndex('grants_code').on(t.orgId, t.codeHash),
    index('grants_review').on(t.reviewAt, t.approvedAt),
  ],
);

/** The code that a person of the org enters to approve a client: one at a time, good once, for minutes. */
export const approvals = sqliteTable('approvals', {
  orgId: text('org_id').primaryKey(),
  /** SHA-256 of the code. */
  hash: text('hash').notNull(),
  createdAt: integer('created_at').notNull(),
  createdBy: text('created_by').notNull(),
  validUntil: integer('valid_until').notNull(),
});

/**
 * Tokens of the vendor's own applications for the sessions API, each limited to orgs and questions. They are of no org, like
 * the applications. WITHOUT ROWID in the migration.
 */
export const hostTokens = sqliteTable(
  'host_tokens',
  {
    /** SHA-256 of the token, hexadecimal. */
    hash: text('hash').primaryKey(),
    /** Of the application: what operators call it. */
    name: text('name').notNull(),
    /** What is shown of the token. */
    mask: text('mask').notNull(),
    /** JSON: the ids of the orgs that it may ask about; absent: all. */
    orgs: text('orgs'),
    /** JSON: which questions it may ask. */
    scopes: text('scopes').notNull(),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** A successor took its place then; it is good no longer than `grace_until`. */
    replacedAt: integer('replaced_at'),
    graceUntil: integer('grace_until'),
  },
  (t) => [
    // Held by the database: of each name one that is current, and one that a successor has replaced.
    uniqueIndex('host_tokens_current').on(t.name).where(sql`replaced_at IS NULL`),
    uniqueIndex('host_tokens_predecessor').on(t.name).where(sql`replaced_at IS NOT NULL`),
  ],
);

/**
 * Where the present state is posted after each event (docs/webhooks.md). `org_id` is empty for an endpoint of all orgs.
 * WITHOUT ROWID in the migration.
 */
export const webhooks = sqliteTable(
  'webhooks',
  {
    orgId: text('org_id').notNull(),
    id: text('id').notNull(),
    url: text('url').notNull(),
    /** JSON: names of events, or their beginnings and `.*`. */
    types: text('types').notNull(),
    /** Encrypted under WEBHOOK_KEY (src/credentials/sealed-secret.ts). */
    secret: text('secret').notNull(),
    mask: text('mask').notNull(),
    /** The secret before it, encrypted too: it signs as well until this instant. */
    previousSecret: text('previous_secret'),
    previousUntil: integer('previous_until'),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** The operator has switched it off; lines of later orgs begin so. */
    disabledAt: integer('disabled_at'),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.id] }), uniqueIndex('webhooks_id').on(t.id)],
);

/**
 * How far one endpoint is in the journal of one org. Triggers make the lines of a new org and say when one is due (migration
 * 0024). WITHOUT ROWID in the migration.
 */
export const webhookLines = sqliteTable(
  'webhook_lines',
  {
    orgId: text('org_id').notNull(),
    webhookId: text('webhook_id').notNull(),
    /** Everything up to this event is delivered, or is of no type that was asked for. */
    seq: integer('seq').notNull(),
    /** There may be more to deliver, not before this instant; absent: nothing. */
    dueAt: integer('due_at'),
    /** Attempts that failed since the last one that succeeded, and when the first of them was. */
    failures: integer('failures').notNull().default(0),
    failingSince: integer('failing_since'),
    /** Of the last attempt that failed: a sentence of ours, nothing of the answer's body. */
    lastError: text('last_error'),
    deliveredAt: integer('delivered_at'),
    disabledAt: integer('disabled_at'),
    disabledWhy: text('disabled_why', { enum: ['operator', 'failing', 'gone'] }),
    /** How often the operator had it begin again: events that are told once more have other ids. */
    replays: integer('replays').notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.webhookId] }),
    index('webhook_lines_webhook').on(t.webhookId),
    // What a crash left behind is found by the cron, for all orgs.
    index('webhook_lines_due').on(t.dueAt).where(sql`due_at IS NOT NULL`),
  ],
);

/** Signed assertions that were used: none is good twice (RFC 7523 §3). WITHOUT ROWID in the migration. */
export const assertions = sqliteTable(
  'assertions',
  {
    orgId: text('org_id').notNull(),
    /** SHA-256 of the client and the `jti`. */
    hash: text('hash').notNull(),
    validUntil: integer('valid_until').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.hash] }), index('assertions_valid_until').on(t.validUntil)],
);

/**
 * Refused requests that can be attributed to an org, counted. So many of a day and reason have a row of their own; the
 * rest is counted together, so that an attacker cannot make it grow. WITHOUT ROWID in the migration.
 */
export const refusals = sqliteTable(
  'refusals',
  {
    orgId: text('org_id').notNull(),
    /** The day, UTC: days since 1970. */
    day: integer('day').notNull(),
    reason: text('reason').notNull(),
    /** What tells it from others of the reason: `truncated`, `whitespace`, … */
    hint: text('hint').notNull(),
    /** The credential that was presented, where it is known. */
    credentialId: text('credential_id').notNull(),
    client: text('client').notNull(),
    address: text('address').notNull(),
    count: integer('count').notNull(),
    firstAt: integer('first_at').notNull(),
    lastAt: integer('last_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.day, t.reason, t.hint, t.credentialId, t.client, t.address] }),
    index('refusals_day').on(t.day),
  ],
);

/** Requests of good credentials, counted by day and operation: of these there are a few dozen. WITHOUT ROWID in the migration. */
export const traffic = sqliteTable(
  'traffic',
  {
    orgId: text('org_id').notNull(),
    /** The day, UTC: days since 1970. */
    day: integer('day').notNull(),
    /** Method and kind of resource: `PATCH /Users`. */
    operation: text('operation').notNull(),
    count: integer('count').notNull(),
    /** Of them: answered with 4xx, and with 5xx. */
    refused: integer('refused').notNull(),
    failed: integer('failed').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.day, t.operation] }), index('traffic_day').on(t.day)],
);

export const users = sqliteTable(
  'users',
  {
    /** The order of lists. */
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    orgId: text('org_id').notNull(),
    id: text('id').notNull(),
    /** userName, folded: unique among the org's live users. */
    userNameKey: text('user_name_key').notNull(),
    externalId: text('external_id'),
    active: integer('active').notNull(),
    version: integer('version').notNull(),
    createdAt: integer('created_at').notNull(),
    modifiedAt: integer('modified_at').notNull(),
    /** Sessions issued until then are dead. Never lowered. */
    validAfter: integer('not_before'),
    /** Why they are: `scim`, `signal https://acme.okta.com` (end-cause.ts). */
    endedBy: text('ended_by'),
    /** A tombstone: 404 to SCIM, userName free, data kept for a restore. */
    deletedAt: integer('deleted_at'),
    /** A tombstone of which nothing but the id is left: userName '', no externalId, empty documents. */
    erasedAt: integer('erased_at'),
    /** Who brought the account: the identity provider, or the application by an import. */
    origin: text('origin', { enum: ['idp', 'host'] })
      .notNull()
      .default('idp'),
    /** Of an imported account: when the identity provider first wrote to it. Until then it is unlinked. */
    linkedAt: integer('linked_at'),
    /** 1: the identity provider can neither deactivate nor delete it. */
    protected: integer('protected').notNull().default(0),
    /** JSON, as scim/resource.ts describes it. */
    resource: text('resource').notNull(),
    /** JSON, the same folded for comparison (scim/fold.ts), with id, schemas and meta. */
    folded: text('folded').notNull(),
  },
  (t) => [
    uniqueIndex('users_id').on(t.orgId, t.id),
    uniqueIndex('users_user_name').on(t.orgId, t.userNameKey).where(sql`deleted_at IS NULL`),
    index('users_external_id').on(t.orgId, t.externalId).where(sql`deleted_at IS NULL`),
    index('users_live').on(t.orgId, t.seq).where(sql`deleted_at IS NULL`),
    // What a search asks for most, and what a group shows of its members. The condition on org_id always holds: only a
    // statement that repeats it can use the index. Without it, SQLite would read all of this index for look-ups that
    // another one answers with a single row.
    index('users_search')
      .on(
        t.orgId,
        t.seq,
        t.id,
        t.userNameKey,
        t.externalId,
        sql`json_extract(folded, '$."displayName"')`,
        sql`coalesce(json_extract(resource, '$.displayName'), json_extract(resource, '$.userName'))`,
        t.deletedAt,
      )
      .where(sql`deleted_at IS NULL AND org_id <> ''`),
    index('users_deleted_user_name').on(t.orgId, t.userNameKey).where(sql`deleted_at IS NOT NULL`),
    index('users_deleted_external_id').on(t.orgId, t.externalId).where(sql`deleted_at IS NOT NULL`),
    index('users_protected').on(t.orgId, t.seq).where(sql`protected = 1`),
    // With the live ones merged: all users in their order, as an export goes through them.
    index('users_buried').on(t.orgId, t.seq).where(sql`deleted_at IS NOT NULL`),
    index('users_unlinked').on(t.orgId, t.seq).where(sql`origin = 'host' AND linked_at IS NULL AND deleted_at IS NULL`),
    // The few of a list that asks for those who may not sign in.
    index('users_inactive').on(t.orgId, t.seq).where(sql`deleted_at IS NULL AND active = 0`),
    // Tombstones by age.
    index('users_deleted').on(t.orgId, t.deletedAt).where(sql`deleted_at IS NOT NULL AND erased_at IS NULL`),
  ],
);

/** The e-mail addresses of live users, folded: IdPs find people by them, and a list of JSON documents has no index. */
export const userEmails = sqliteTable(
  'user_emails',
  {
    orgId: text('org_id').notNull(),
    valueKey: text('value_key').notNull(),
    userSeq: integer('user_seq').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.valueKey, t.userSeq] }), index('user_emails_user').on(t.orgId, t.userSeq)],
);

/**
 * The same of deleted users, until they are restored or erased: an application asks for somebody by an address, and must
 * not create them again. Triggers keep it (migration 0023). WITHOUT ROWID in the migration.
 */
export const deletedEmails = sqliteTable(
  'deleted_emails',
  {
    orgId: text('org_id').notNull(),
    valueKey: text('value_key').notNull(),
    userSeq: integer('user_seq').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.valueKey, t.userSeq] }),
    index('deleted_emails_user').on(t.orgId, t.userSeq),
  ],
);

/** The domains that orgs have verified (the setting `verifiedDomains`). Triggers keep it (migration 0023). WITHOUT ROWID in the migration. */
export const orgDomains = sqliteTable(
  'org_domains',
  {
    orgId: text('org_id').notNull(),
    domain: text('domain').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.domain] }),
    // An address says which orgs it may be of: across orgs.
    index('org_domains_domain').on(t.domain, t.orgId),
  ],
);

export const groups = sqliteTable(
  'groups',
  {
    /** The order of lists. */
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    orgId: text('org_id').notNull(),
    id: text('id').notNull(),
    /** displayName, folded: unique in the org, for identity providers find a group by it. */
    displayNameKey: text('display_name_key').notNull(),
    externalId: text('external_id'),
    version: integer('version').notNull(),
    createdAt: integer('created_at').notNull(),
    modifiedAt: integer('modified_at').notNull(),
    memberCount: integer('member_count').notNull().default(0),
    /** JSON, without members. */
    resource: text('resource').notNull(),
    /** JSON, the same folded, without meta: a membership change moves the version and rewrites nothing. */
    folded: text('folded').notNull(),
  },
  (t) => [
    uniqueIndex('groups_id').on(t.orgId, t.id),
    uniqueIndex('groups_display_name').on(t.orgId, t.displayNameKey),
    index('groups_external_id').on(t.orgId, t.externalId),
    index('groups_order').on(t.orgId, t.seq),
  ],
);

/** Who is directly in which group: a user or a group. WITHOUT ROWID in the migration: the key is the row. */
export const memberships = sqliteTable(
  'memberships',
  {
    orgId: text('org_id').notNull(),
    groupSeq: integer('group_seq').notNull(),
    /** 0: the member is a user, 1: a group. */
    isGroup: integer('is_group').notNull(),
    memberSeq: integer('member_seq').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.groupSeq, t.isGroup, t.memberSeq] }),
    index('memberships_member').on(t.orgId, t.isGroup, t.memberSeq, t.groupSeq),
  ],
);

/**
 * What a group, which is a role to the application, allows. The administrator's and no attribute of SCIM's: no push touches
 * it. WITHOUT ROWID in the migration.
 */
export const groupPermissions = sqliteTable(
  'group_permissions',
  {
    orgId: text('org_id').notNull(),
    groupSeq: integer('group_seq').notNull(),
    permission: text('permission').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.groupSeq, t.permission] })],
);

/** The extensions of an org's users and groups (RFC 7643 §3.3), beside those that every org has. */
export const schemas = sqliteTable(
  'schemas',
  {
    orgId: text('org_id').notNull(),
    /** The URN in small letters: it is compared without case. */
    urnKey: text('urn_key').notNull(),
    resourceType: text('resource_type', { enum: ['User', 'Group'] }).notNull(),
    /** JSON, as scim/attribute.ts describes a schema. */
    definition: text('definition').notNull(),
    addedAt: integer('added_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.urnKey] })],
);

/** The audit journal: appended to, one sequence per org; only erasure and retention change what is there. */
export const events = sqliteTable(
  'events',
  {
    orgId: text('org_id').notNull(),
    seq: integer('seq').notNull(),
    at: integer('at').notNull(),
    type: text('type').notNull(),
    /** Who: `idp`, `admin:` and the label the operator gave, or `service`. */
    actor: text('actor').notNull(),
    /** The credential that was presented, where there was one. */
    credentialId: text('credential_id'),
    /** The user (or other thing) it happened to. */
    targetId: text('target_id'),
    requestId: text('request_id').notNull(),
    /** JSON: changed attributes before and after, quirks applied, what else belongs to the type. */
    details: text('details').notNull(),
    /** 1: whether someone may be signed in has changed. What hosts are streamed. */
    publishes: integer('publishes').notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.seq] }),
    index('events_target').on(t.orgId, t.targetId, t.seq),
    index('events_published').on(t.orgId, t.seq).where(sql`publishes = 1`),
    // Who joined or left a group stands in the group's events: those of all groups, apart from those of users.
    index('events_groups').on(t.orgId, t.seq).where(sql`type >= 'group.' AND type < 'group/'`),
    // From when to when, what and by whom: read without the rows.
    index('events_at').on(t.orgId, t.at, t.seq, t.actor, t.type),
  ],
);

/** Work that must follow a commit: publish the state of a user or an org. */
export const outbox = sqliteTable(
  'outbox',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    orgId: text('org_id').notNull(),
    /** Empty: the org itself. */
    userId: text('user_id').notNull(),
    requestedAt: integer('requested_at').notNull(),
  },
  (t) => [index('outbox_org').on(t.orgId, t.userId, t.seq)],
);

/** Who may send signals to an org: an issuer of Universal Logout requests, a transmitter of shared signals. */
export const signalSources = sqliteTable(
  'signal_sources',
  {
    orgId: text('org_id').notNull(),
    id: text('id').notNull(),
    type: text('type', { enum: ['global-token-revocation', 'ssf'] }).notNull(),
    /** The `iss` of what it signs, to the letter. */
    issuer: text('issuer').notNull(),
    jwksUrl: text('jwks_url').notNull(),
    /** The `aud` of what it signs; absent: the address of our endpoint. */
    audience: text('audience'),
    /** Which attribute of a user the `sub` of a subject is. */
    subject: text('subject', { enum: ['externalId', 'userName', 'email'] }).notNull(),
    /** JSON: which events end sessions, and whose word they need. */
    policy: text('policy').notNull().default('{}'),
    /** JSON, of a stream: its id, its addresses at the transmitter, the state that its verification is to repeat. */
    stream: text('stream'),
    /** What the transmitter said last of the stream: `enabled`, `paused`, `disabled`. */
    status: text('status'),
    verifiedAt: integer('verified_at'),
    /** When a signal of it was last accepted. */
    lastSignalAt: integer('last_signal_at'),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** When an operator paused it: its signals wait at the sender. */
    pausedAt: integer('paused_at'),
    /** Of a stream that is polled (RFC 8936): where. */
    pollUrl: text('poll_url'),
    /** What opens it, encrypted under WEBHOOK_KEY (src/credentials/sealed-secret.ts). */
    credentials: text('credentials'),
    /** When the cron reminds the org's coordinator to poll; after a failure, not polled before then. */
    pollDueAt: integer('poll_due_at'),
    /** The last poll that was answered, to a few minutes. */
    polledAt: integer('polled_at'),
    pollFailures: integer('poll_failures').notNull().default(0),
    pollFailingSince: integer('poll_failing_since'),
    /** A sentence of ours. */
    pollError: text('poll_error'),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.id] }),
    // The issuer of a token says which source it is of.
    uniqueIndex('signal_sources_issuer').on(t.orgId, t.type, t.issuer),
    // For the cron: which are due.
    index('signal_sources_due').on(t.pollDueAt).where(sql`poll_due_at IS NOT NULL`),
  ],
);

/**
 * Who receives our signals (docs/signals-out.md): a program with client credentials, of some orgs or of all. It is of no
 * org. WITHOUT ROWID in the migration.
 */
export const signalReceivers = sqliteTable(
  'signal_receivers',
  {
    /** The client id. */
    id: text('id').primaryKey(),
    /** What operators call it. */
    name: text('name').notNull(),
    /** 1: of every org, those to come as well; 0: of those in `signal_receiver_orgs`. */
    allOrgs: integer('all_orgs').notNull(),
    /** The `aud` of what it is sent. */
    audience: text('audience').notNull(),
    algorithm: text('algorithm', { enum: ['RS256', 'ES256'] }).notNull(),
    /** How CAEP and RISC events name a user (migration 0030). */
    subject: text('subject', { enum: ['scim', 'email', 'iss_sub'] })
      .notNull()
      .default('scim'),
    /** SHA-256 of the secret, hexadecimal. */
    hash: text('hash').notNull(),
    mask: text('mask').notNull(),
    /** The secret before it: good until this instant. */
    previousHash: text('previous_hash'),
    previousUntil: integer('previous_until'),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** The operator has switched it off. */
    disabledAt: integer('disabled_at'),
  },
  (t) => [uniqueIndex('signal_receivers_name').on(t.name)],
);

/** Which orgs a receiver is limited to. Goes with either. WITHOUT ROWID in the migration. */
export const signalReceiverOrgs = sqliteTable(
  'signal_receiver_orgs',
  { orgId: text('org_id').notNull(), receiverId: text('receiver_id').notNull() },
  (t) => [
    primaryKey({ columns: [t.orgId, t.receiverId] }),
    index('signal_receiver_orgs_receiver').on(t.receiverId, t.orgId),
  ],
);

/** Access tokens of receivers: good for minutes. WITHOUT ROWID in the migration. */
export const signalReceiverTokens = sqliteTable(
  'signal_receiver_tokens',
  {
    /** SHA-256 of the token, hexadecimal. */
    hash: text('hash').primaryKey(),
    receiverId: text('receiver_id').notNull(),
    /** JSON: `ssf.read`, `ssf.manage`. */
    scopes: text('scopes').notNull(),
    validUntil: integer('valid_until').notNull(),
  },
  (t) => [index('signal_receiver_tokens_receiver').on(t.receiverId, t.validUntil)],
);

/** What a receiver wants to be sent, and how (SSF 1.0 §8). WITHOUT ROWID in the migration. */
export const signalStreams = sqliteTable(
  'signal_streams',
  {
    id: text('id').primaryKey(),
    receiverId: text('receiver_id').notNull(),
    /** The `iss` of what is sent: our address when the stream was made. */
    issuer: text('issuer').notNull(),
    method: text('method', { enum: ['push', 'poll'] }).notNull(),
    /** Of a stream that pushes. */
    endpointUrl: text('endpoint_url'),
    /** Of a stream that pushes, encrypted under WEBHOOK_KEY: the header Authorization of what is pushed. */
    authorization: text('authorization'),
    /** JSON: URIs that the receiver asked for; absent: all. */
    eventsRequested: text('events_requested'),
    description: text('description'),
    status: text('status', { enum: ['enabled', 'paused', 'disabled'] }).notNull(),
    /** Why it is paused or disabled, as whoever did that says. */
    reason: text('reason'),
    /** JSON: events of the stream itself that are to be sent, at most two (verification, stream-updated). */
    control: text('control').notNull().default('[]'),
    /** Of a stream that pushes: when they are tried next; absent: there are none. */
    controlDueAt: integer('control_due_at'),
    /** When its verification was last asked for, and sent. */
    verificationAt: integer('verification_at'),
    verifiedAt: integer('verified_at'),
    /** Tokens that the receiver said it cannot read, and what it said of the last one. */
    refused: integer('refused').notNull().default(0),
    lastRefusal: text('last_refusal'),
    /** When it last asked for tokens. */
    polledAt: integer('polled_at'),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [
    index('signal_streams_receiver').on(t.receiverId, t.createdAt),
    index('signal_streams_control').on(t.controlDueAt).where(sql`control_due_at IS NOT NULL`),
  ],
);

/**
 * How far one stream is in the journal of one org. Triggers make the lines and say when one is due (migration 0029).
 * WITHOUT ROWID in the migration.
 */
export const signalLines = sqliteTable(
  'signal_lines',
  {
    orgId: text('org_id').notNull(),
    streamId: text('stream_id').notNull(),
    /** Everything up to here is delivered, or was not asked for: 4096 × the number of the event + which of its tokens. */
    place: integer('place').notNull(),
    /** 1: the coordinator of the org pushes; 0: the receiver polls. */
    pushes: integer('pushes').notNull(),
    /** 1: the stream is enabled, and so is its receiver. */
    isOpen: integer('is_open').notNull(),
    /** There may be more to deliver, not before this instant; absent: nothing. */
    dueAt: integer('due_at'),
    /** JSON, of a poll: the places that were handed out and are not acknowledged, and up to where that was everything. */
    handedOut: text('handed_out'),
    failures: integer('failures').notNull().default(0),
    failingSince: integer('failing_since'),
    lastError: text('last_error'),
    deliveredAt: integer('delivered_at'),
    /** Events up to this one were gone by their age before all of them were delivered. */
    lostThrough: integer('lost_through'),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.streamId] }),
    index('signal_lines_stream').on(t.streamId, t.dueAt),
    index('signal_lines_due').on(t.dueAt).where(sql`due_at IS NOT NULL AND pushes = 1`),
  ],
);

/** Users whom a stream leaves out, because its receiver removed them (SSF 1.0 §8.1.3). WITHOUT ROWID in the migration. */
export const signalExclusions = sqliteTable(
  'signal_exclusions',
  { orgId: text('org_id').notNull(), streamId: text('stream_id').notNull(), userId: text('user_id').notNull() },
  (t) => [
    primaryKey({ columns: [t.orgId, t.streamId, t.userId] }),
    index('signal_exclusions_stream').on(t.streamId, t.orgId, t.userId),
  ],
);

/** The keys that sign what this service transmits. WITHOUT ROWID in the migration. */
export const signingKeys = sqliteTable(
  'signing_keys',
  {
    kid: text('kid').primaryKey(),
    algorithm: text('algorithm', { enum: ['RS256', 'ES256'] }).notNull(),
    /** `next` is published and signs nothing yet; `previous` is published until `retired_until`. */
    state: text('state', { enum: ['next', 'current', 'previous'] }).notNull(),
    /** JSON: the public key (RFC 7517). */
    jwk: text('jwk').notNull(),
    /** Encrypted under WEBHOOK_KEY: the private key, PKCS #8. */
    privateKey: text('private_key').notNull(),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    retiredUntil: integer('retired_until'),
  },
  // One of each, whoever rotates at the same time.
  (t) => [uniqueIndex('signing_keys_state').on(t.algorithm, t.state)],
);

/** How many the identity provider has deactivated or deleted of late, where the org has a limit on deactivations. WITHOUT ROWID in the migration. */
export const brakeCounts = sqliteTable(
  'brake_counts',
  {
    orgId: text('org_id').notNull(),
    /** The beginning of a span of time, a 60th of the window. */
    at: integer('at').notNull(),
    count: integer('count').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.at] })],
);

/** Deactivations and deletions by the identity provider that the deactivation limit has held. WITHOUT ROWID in the migration. */
export const brakeHeld = sqliteTable(
  'brake_held',
  {
    orgId: text('org_id').notNull(),
    userId: text('user_id').notNull(),
    operation: text('operation', { enum: ['deactivate', 'delete'] }).notNull(),
    /** When it was first and last asked for, and how often. */
    since: integer('since').notNull(),
    lastAt: integer('last_at').notNull(),
    attempts: integer('attempts').notNull(),
    /** The operator has said no: until this instant it is refused. */
    rejectedUntil: integer('rejected_until'),
    rejectedBy: text('rejected_by'),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.userId] })],
);

/** Links that open the portal for a customer's administrator, or for the vendor's own operator (`org_id` is empty then). */
export const portalLinks = sqliteTable(
  'portal_links',
  {
    orgId: text('org_id').notNull(),
    id: text('id').notNull(),
    /** SHA-256 of the secret in the address, hexadecimal. */
    hash: text('hash').notNull(),
    scope: text('scope', { enum: ['setup', 'read', 'operator'] }).notNull(),
    /** The person it is for: the journal names the actor `portal:<contact>`. */
    contact: text('contact').notNull(),
    returnUrl: text('return_url'),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    expiresAt: integer('expires_at').notNull(),
    /** A link opens once. */
    openedAt: integer('opened_at'),
    /** Its session dies with it. */
    revokedAt: integer('revoked_at'),
    revokedBy: text('revoked_by'),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.id] }),
    uniqueIndex('portal_links_hash').on(t.orgId, t.hash),
    index('portal_links_expires_at').on(t.expiresAt),
  ],
);

/** Who is in the portal: one session for each link that was opened. WITHOUT ROWID in the migration. */
export const portalSessions = sqliteTable(
  'portal_sessions',
  {
    orgId: text('org_id').notNull(),
    /** SHA-256 of the secret in the cookie, hexadecimal. */
    hash: text('hash').notNull(),
    linkId: text('link_id').notNull(),
    startedAt: integer('started_at').notNull(),
    /** Noted once a minute, not at each request. */
    lastSeenAt: integer('last_seen_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.hash] }), index('portal_sessions_expires_at').on(t.expiresAt)],
);

/** Domains that a customer wants to prove, and has proved, by a TXT record. WITHOUT ROWID in the migration. */
export const portalDomains = sqliteTable(
  'portal_domains',
  {
    orgId: text('org_id').notNull(),
    /** As DNS knows it (`xn--…`). */
    domain: text('domain').notNull(),
    /** What the TXT record must hold. */
    value: text('value').notNull(),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** When the record was first found. */
    verifiedAt: integer('verified_at'),
    checkedAt: integer('checked_at'),
    /** Since when the record of a verified domain is missing. */
    missingSince: integer('missing_since'),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.domain] }), index('portal_domains_checked_at').on(t.checkedAt)],
);

/** Which attributes the identity provider sent, counted by day: names alone, of which there are few. WITHOUT ROWID in the migration. */
export const attributeCounts = sqliteTable(
  'attribute_counts',
  {
    orgId: text('org_id').notNull(),
    /** The day, UTC: days since 1970. */
    day: integer('day').notNull(),
    resourceType: text('resource_type', { enum: ['User', 'Group'] }).notNull(),
    /** Empty: names beyond the bound, counted together. */
    name: text('name').notNull(),
    /** 1: the schemas do not have it, and it was left out. */
    isIgnored: integer('is_ignored').notNull(),
    count: integer('count').notNull(),
    lastAt: integer('last_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.day, t.resourceType, t.name, t.isIgnored] }),
    index('attribute_counts_day').on(t.day),
  ],
);
