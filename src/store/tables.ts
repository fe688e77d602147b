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
    /** The number of the org's latest event. */
    eventSeq: integer('event_seq').notNull().default(0),
    /** Sessions issued until then are dead, whoever's they are. */
    notBefore: integer('not_before'),
    /** Signs the org's cursors: 32 random bytes, hexadecimal, that a trigger puts in the place of ''. */
    cursorKey: text('cursor_key').notNull().default(''),
    /** Which set of extension schemas the org has: another random text with each change of it, '' without any. */
    schemaVersion: text('schema_version').notNull().default(''),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [uniqueIndex('orgs_slug').on(t.slug)],
);

export const credentials = sqliteTable(
  'credentials',
  {
    id: text('id').primaryKey(),
    orgId: text('org_id').notNull(),
    kind: text('kind', { enum: ['token'] }).notNull(),
    /** SHA-256 of the secret, hexadecimal. */
    hash: text('hash').notNull(),
    /** What is shown of the secret. */
    mask: text('mask').notNull(),
    generation: integer('generation').notNull(),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    validUntil: integer('valid_until'),
    revokedAt: integer('revoked_at'),
    revokedBy: text('revoked_by'),
  },
  (t) => [
    uniqueIndex('credentials_hash').on(t.hash),
    uniqueIndex('credentials_generation').on(t.orgId, t.kind, t.generation),
    // Promise 4, held by the database: one token of an org that is neither revoked nor limited in time.
    uniqueIndex('credentials_current').on(t.orgId, t.kind).where(sql`revoked_at IS NULL AND valid_until IS NULL`),
  ],
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
    notBefore: integer('not_before'),
    /** A tombstone: 404 to SCIM, userName free, data kept for a restore. */
    deletedAt: integer('deleted_at'),
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
    index('users_deleted_user_name').on(t.orgId, t.userNameKey).where(sql`deleted_at IS NOT NULL`),
    index('users_deleted_external_id').on(t.orgId, t.externalId).where(sql`deleted_at IS NOT NULL`),
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
 * What a group, which is a role to the host app, allows. The administrator's and no attribute of SCIM's: no push touches
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

/** The audit journal: append-only, one gapless sequence per org. */
export const events = sqliteTable(
  'events',
  {
    orgId: text('org_id').notNull(),
    seq: integer('seq').notNull(),
    at: integer('at').notNull(),
    type: text('type').notNull(),
    /** Who: `idp`, or `admin:` and the label the operator gave. */
    actor: text('actor').notNull(),
    /** The credential that was presented, where there was one. */
    credentialId: text('credential_id'),
    /** The user (or other thing) it happened to. */
    targetId: text('target_id'),
    requestId: text('request_id').notNull(),
    /** JSON: changed attributes before and after, bends applied, what else belongs to the type. */
    details: text('details').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.seq] }), index('events_target').on(t.orgId, t.targetId, t.seq)],
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
