/** Whether a domain is the customer's: its TXT record, asked of DNS over HTTPS (RFC 8484; the JSON form of the resolvers). */
import { boundedText } from '../credentials/bounded-text';
import { randomText } from '../credentials/secret';
import { DAY } from '../duration';
import { type Env, settings } from '../env';
import type { Actor } from '../events';
import { domainKey } from '../scim/address';
import { askEach, databaseOf } from '../store/d1/databases';
import { OrgStore } from '../store/org/open';
import { addDomain, type Domain, dueDomains, noteCheck } from '../store/portal/domains';
import type { Org } from './org';

/** Milliseconds. */
const PATIENCE = 5_000;
/** A proved domain whose record has been missing for so long is not proved any more: a mistake in DNS can be put right. */
const LOST_AFTER = 14 * DAY;
const CHECKS_PER_RUN = 10;
/** Bytes of an answer. */
const MAX_ANSWER = 65_536;

/** Where the record has to be. */
export const recordOf = (domain: string): string => `_scim-worker.${domain}`;

/** @returns the domain as DNS knows it; undefined: it is none. */
export function readDomain(text: string): string | undefined {
  if (text.length > 253) return undefined;
  const domain = domainKey(text.trim().replace(/^@/, '')) ?? '';
  return /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/.test(domain) ? domain : undefined;
}

export const claimDomain = (org: Org, domain: string, by: string): Promise<void> =>
  addDomain(org.store, domain, `scim-worker=${randomText(32)}`, by, org.actor);

/** What DNS says. `unknown`: it could not be asked. */
export type Answer = 'found' | 'missing' | 'unknown';

/** Asks for the record. Never throws. */
export async function lookUp(env: Env, { domain, value }: Pick<Domain, 'domain' | 'value'>): Promise<Answer> {
  const { dnsResolver } = settings(env);
  const query = new URLSearchParams({ name: recordOf(domain), type: 'TXT' });
  try {
    const answer = await fetch(`${dnsResolver}?${query}`, {
      headers: { Accept: 'application/dns-json' },
      signal: AbortSignal.timeout(PATIENCE),
      redirect: 'manual',
    });
    if (!answer.ok) return 'unknown';
    const { Status: status, Answer: records = [] } = JSON.parse(await boundedText(answer, MAX_ANSWER)) as {
      Status?: unknown;
      Answer?: { type?: unknown; data?: unknown }[];
    };
    // NXDOMAIN is an answer; everything else says nothing of the record.
    if (status !== 0 && status !== 3) return 'unknown';
    // 16 is TXT. A long one is several texts in quotes (RFC 1035 §3.3.14).
    const texts = records.flatMap(({ type, data }) =>
      type === 16 && typeof data === 'string' ? [data.replace(/^"|"$/g, '').replace(/"\s+"/g, '')] : [],
    );
    return texts.includes(value) ? 'found' : 'missing';
  } catch {
    return 'unknown';
  }
}

/** Looks, and notes it. Where DNS could not be asked nothing is noted. */
export async function checkDomain(env: Env, store: OrgStore, domain: Domain, actor: Actor): Promise<Answer> {
  const answer = await lookUp(env, domain);
  if (answer === 'unknown') return answer;
  const isLost =
    answer === 'missing' && domain.missingSince !== undefined && store.now - domain.missingSince >= LOST_AFTER;
  await noteCheck(store, domain, answer === 'found', isLost, actor);
  return answer;
}

/** The cron's: each proved domain once a week. */
export async function checkDueDomains(env: Env, now = Date.now()): Promise<void> {
  const actor = { name: 'service', requestId: crypto.randomUUID() };
  const due = (await askEach(env, (db) => dueDomains(db, now, CHECKS_PER_RUN))).flat();
  await Promise.all(
    due.map(({ orgId, domain }) =>
      checkDomain(env, new OrgStore(databaseOf(env, orgId), { kind: 'id', id: orgId }, now), domain, actor),
    ),
  );
}
