/** Links that open the portal: made, listed, opened once, revoked. What is kept of a link is the hash of its secret. */

import { sql } from 'drizzle-orm';
import type { Actor, EventDraft } from '../../events';
import { runBatch, Unmet } from '../d1/batch';
import type { Database } from '../d1/database';
import { expectOneChange } from '../d1/expect';
import type { Row } from '../d1/rows';
import { count, record } from '../journal/record';
import type { OrgStore } from '../org/open';

/** `setup` may change what `portal.allow` lets it, `read` may look; `operator` is the vendor's own, for all orgs. */
export type Scope = 'setup' | 'read' | 'operator';

/** Links and sessions of the vendor's operators are of no org. */
export const NO_ORG = '';

/** Instants are epoch milliseconds. */
export interface Link {
  readonly id: string;
  readonly scope: Scope;
  readonly contact: string;
  readonly returnUrl: string | undefined;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number;
  readonly openedAt: number | undefined;
  readonly revokedAt: number | undefined;
  readonly revokedBy: string | undefined;
}

/** What is kept of a new link. */
export type LinkDraft = Pick<Link, 'id' | 'scope' | 'contact' | 'returnUrl' | 'createdBy' | 'expiresAt'> & {
  readonly hash: string;
};

/** A session that an opened link starts. */
export interface SessionDraft {
  readonly hash: string;
  readonly expiresAt: number;
}

const MAX_LISTED = 200;

const optional = <T>(value: unknown) => (value as T | null) ?? undefined;

export const linkOf = (row: Row): Link => ({
  id: row['id'] as string,
  scope: row['scope'] as Scope,
  contact: row['contact'] as string,
  returnUrl: optional<string>(row['return_url']),
  createdAt: row['created_at'] as number,
  createdBy: row['created_by'] as string,
  expiresAt: row['expires_at'] as number,
  openedAt: optional<number>(row['opened_at']),
  revokedAt: optional<number>(row['revoked_at']),
  revokedBy: optional<string>(row['revoked_by']),
});

const insertion = (
  org: ReturnType<typeof sql>,
  { id, hash, scope, contact, returnUrl, createdBy, expiresAt }: LinkDraft,
  now: number,
) => sql`INSERT INTO portal_links (org_id, id, hash, scope, contact, return_url, created_at, created_by, expires_at)
  VALUES (${org}, ${id}, ${hash}, ${scope}, ${contact}, ${returnUrl ?? null}, ${now}, ${createdBy}, ${expiresAt})`;

/** One round trip. */
export async function insertLink(store: OrgStore, draft: LinkDraft, actor: Actor): Promise<void> {
  const { id: link, scope, contact, createdBy: by } = draft;
  await store.write(
    insertion(sql`${store.org}`, draft, store.now),
    count(store),
    record(store, actor, { type: 'portal.link_created', details: { link, scope, contact, by } }),
  );
}

/** The latest first, a few hundred at most. */
export async function listLinks(store: OrgStore): Promise<Link[]> {
  const [rows] = await store.read(
    sql`SELECT * FROM portal_links WHERE org_id = ${store.org} ORDER BY created_at DESC, id
      LIMIT CAST(${MAX_LISTED} AS INTEGER)`,
  );
  return rows!.map(linkOf);
}

/**
 * The link opens nothing from now on, and its session is over. One round trip.
 *
 * @throws Unmet `portal_link`: there is no such link, or it is revoked already.
 */
export async function revokeLink(store: OrgStore, id: string, by: string, actor: Actor): Promise<void> {
  await store.write(
    sql`UPDATE portal_links SET revoked_at = ${store.now}, revoked_by = ${by}
      WHERE org_id = ${store.org} AND id = ${id} AND revoked_at IS NULL`,
    expectOneChange('portal_link'),
    sql`DELETE FROM portal_sessions WHERE org_id = ${store.org} AND link_id = ${id}`,
    count(store),
    record(store, actor, { type: 'portal.link_revoked', details: { link: id, by } }),
  );
}

const isOpen = (hash: string, now: number) =>
  sql`hash = ${hash} AND opened_at IS NULL AND revoked_at IS NULL AND expires_at > ${now}`;

/** Whether the link could be opened now. Nothing changes. */
export async function isLinkGood(db: Database, orgId: string, hash: string, now: number): Promise<boolean> {
  const isThere =
    orgId === NO_ORG ? sql`true` : sql`EXISTS (SELECT 1 FROM orgs WHERE id = ${orgId} AND importing IS NULL)`;
  const [rows] = await runBatch(db, [
    sql`SELECT 1 FROM portal_links WHERE org_id = ${orgId} AND ${isOpen(hash, now)} AND ${isThere}`,
  ]);
  return rows!.length > 0;
}

/**
 * Starts the session of a link that is good. A second opening, however close, finds it opened. One round trip.
 *
 * @returns the link; undefined when it is not good (any more).
 */
export async function openLink(
  store: OrgStore,
  hash: string,
  session: SessionDraft,
  actorFor: (contact: string) => Actor,
): Promise<Link | undefined> {
  const [found] = await store.read(
    sql`SELECT * FROM portal_links WHERE org_id = ${store.org} AND ${isOpen(hash, store.now)}`,
  );
  if (found![0] === undefined) return undefined;
  const link = linkOf(found![0]);
  const happening: EventDraft = { type: 'portal.link_opened', details: { link: link.id, scope: link.scope } };
  try {
    await store.write(
      ...opening(sql`${store.org}`, hash, session, link, store.now),
      count(store),
      record(store, actorFor(link.contact), happening),
    );
    return { ...link, openedAt: store.now };
  } catch (error) {
    if (error instanceof Unmet && error.expectation === 'portal_link') return undefined;
    throw error;
  }
}

const opening = (org: ReturnType<typeof sql>, hash: string, session: SessionDraft, { id }: Link, now: number) => [
  sql`UPDATE portal_links SET opened_at = ${now} WHERE org_id = ${org} AND ${isOpen(hash, now)}`,
  expectOneChange('portal_link'),
  sql`INSERT INTO portal_sessions (org_id, hash, link_id, started_at, last_seen_at, expires_at)
    VALUES (${org}, ${session.hash}, ${id}, ${now}, ${now}, ${session.expiresAt})`,
];

/** The same for the vendor's own operators, whose links are of no org and in no journal. */
export const operatorLinks = {
  insert: async (db: Database, draft: LinkDraft, now: number): Promise<void> =>
    void (await runBatch(db, [insertion(sql`${NO_ORG}`, draft, now)])),

  async open(db: Database, hash: string, session: SessionDraft, now: number): Promise<Link | undefined> {
    const [rows] = await runBatch(db, [
      sql`SELECT * FROM portal_links WHERE org_id = ${NO_ORG} AND ${isOpen(hash, now)}`,
    ]);
    if (rows![0] === undefined) return undefined;
    const link = linkOf(rows![0]);
    try {
      await runBatch(db, opening(sql`${NO_ORG}`, hash, session, link, now));
      return { ...link, openedAt: now };
    } catch (error) {
      if (error instanceof Unmet && error.expectation === 'portal_link') return undefined;
      throw error;
    }
  },
};
