/** Domains that a customer proves by a TXT record: asked for, found, lost, removed. A proved one is one of `verifiedDomains`. */
import { type SQL, sql } from 'drizzle-orm';
import { DAY } from '../../duration';
import type { Actor, EventType } from '../../events';
import { runBatch } from '../d1/batch';
import { expect } from '../d1/expect';
import type { Row } from '../d1/rows';
import { count, record } from '../journal/record';
import type { OrgStore } from '../org/open';

/** Domains that an org may have at once, proved or not. */
export const MAX_DOMAINS = 50;
const WEEK = 7 * DAY;

/** Instants are epoch milliseconds. */
export interface Domain {
  readonly domain: string;
  /** What its TXT record must hold. */
  readonly value: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly verifiedAt: number | undefined;
  readonly checkedAt: number | undefined;
  /** Since when the record of a proved domain has not been found. */
  readonly missingSince: number | undefined;
}

const optional = <T>(value: unknown) => (value as T | null) ?? undefined;

const domainOf = (row: Row): Domain => ({
  domain: row['domain'] as string,
  value: row['value'] as string,
  createdAt: row['created_at'] as number,
  createdBy: row['created_by'] as string,
  verifiedAt: optional<number>(row['verified_at']),
  checkedAt: optional<number>(row['checked_at']),
  missingSince: optional<number>(row['missing_since']),
});

export async function listDomains(store: OrgStore): Promise<Domain[]> {
  const [rows] = await store.read(sql`SELECT * FROM portal_domains WHERE org_id = ${store.org} ORDER BY domain`);
  return rows!.map(domainOf);
}

/** @throws Unmet `domains`: there are too many. One that is there already stays as it is. */
export async function addDomain(
  store: OrgStore,
  domain: string,
  value: string,
  by: string,
  actor: Actor,
): Promise<void> {
  await store.write(
    expect(
      'domains',
      sql`(SELECT count(*) FROM portal_domains WHERE org_id = ${store.org} AND domain <> ${domain}) < ${MAX_DOMAINS}`,
    ),
    sql`INSERT INTO portal_domains (org_id, domain, value, created_at, created_by)
      VALUES (${store.org}, ${domain}, ${value}, ${store.now}, ${by}) ON CONFLICT DO NOTHING`,
    count(store),
    record(store, actor, { type: 'domain.added', details: { domain, by } }),
  );
}

/** What `verifiedDomains` would be with or without a domain. */
const withDomain = (store: OrgStore, domain: string, isIn: boolean): SQL => {
  const others = sql`SELECT value FROM json_each(orgs.settings, '$.verifiedDomains') WHERE value <> ${domain}`;
  const all = isIn ? sql`${others} UNION ALL SELECT ${domain}` : others;
  return sql`UPDATE orgs SET settings = json_patch(settings, json_object('verifiedDomains',
      (SELECT iif(count(*) = 0, NULL, json_group_array(value)) FROM (${all})))) WHERE id = ${store.org}`;
};

/**
 * Notes what DNS has said. The first time that the record is found the domain joins `verifiedDomains`, in the same batch.
 *
 * @param isLost the record of a proved domain has been missing for too long: it leaves `verifiedDomains`.
 */
export async function noteCheck(
  store: OrgStore,
  { domain, verifiedAt }: Domain,
  isFound: boolean,
  isLost: boolean,
  actor: Actor,
): Promise<void> {
  const which = sql`org_id = ${store.org} AND domain = ${domain}`;
  const isProved = isFound && verifiedAt === undefined;
  const type: EventType | undefined = isProved ? 'domain.verified' : isLost ? 'domain.lost' : undefined;
  await store.write(
    isFound
      ? sql`UPDATE portal_domains SET checked_at = ${store.now}, verified_at = ifnull(verified_at, ${store.now}),
          missing_since = NULL WHERE ${which}`
      : sql`UPDATE portal_domains SET checked_at = ${store.now},
          missing_since = iif(verified_at IS NULL, NULL, ifnull(missing_since, ${store.now})),
          verified_at = iif(${isLost ? 1 : 0}, NULL, verified_at) WHERE ${which}`,
    ...(type === undefined
      ? []
      : [withDomain(store, domain, isProved), count(store), record(store, actor, { type, details: { domain } })]),
  );
}

/** It is not proved any more, either. */
export async function removeDomain(store: OrgStore, domain: string, by: string, actor: Actor): Promise<void> {
  await store.write(
    expect('found', sql`EXISTS (SELECT 1 FROM portal_domains WHERE org_id = ${store.org} AND domain = ${domain})`),
    sql`DELETE FROM portal_domains WHERE org_id = ${store.org} AND domain = ${domain}`,
    withDomain(store, domain, false),
    count(store),
    record(store, actor, { type: 'domain.removed', details: { domain, by } }),
  );
}

/** Proved domains of all orgs that have not been looked at for a week, for the cron. */
export async function dueDomains(
  db: D1Database,
  now: number,
  limit: number,
): Promise<{ readonly orgId: string; readonly domain: Domain }[]> {
  const [rows] = await runBatch(db, [
    sql`SELECT portal_domains.* FROM portal_domains JOIN orgs ON orgs.id = portal_domains.org_id AND orgs.importing IS NULL
      WHERE checked_at <= ${now - WEEK} AND verified_at IS NOT NULL ORDER BY checked_at LIMIT ${limit}`,
  ]);
  return rows!.map((row) => ({ orgId: row['org_id'] as string, domain: domainOf(row) }));
}
