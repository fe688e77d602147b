/**
 * Credentials of one org. What is kept of a secret is its hash and its mask. Of each line there is at most one that is
 * current, and one that it has replaced (promise 4): each change is one batch, so there is no state between two.
 */

import { type SQL, sql } from 'drizzle-orm';
import type { Actor, CredentialEvent } from '../../events';
import { runBatch } from '../d1/batch';
import type { Database } from '../d1/database';
import { expect } from '../d1/expect';
import type { Row } from '../d1/rows';
import { orAbsent, rowOf } from '../d1/rows';
import { credentials } from '../d1/tables';
import { count, record } from '../journal/record';
import { isGood } from '../org/caller';
import type { OrgStore } from '../org/open';
import type { Presented } from '../org/tenant';

/** What replaces one another: the org's tokens, its passwords, or the secrets of one OAuth client. */
export interface Line {
  readonly kind: 'token' | 'basic' | 'oauth_client';
  /** The OAuth client's id; else empty. */
  readonly subject: string;
}

export const TOKENS: Line = { kind: 'token', subject: '' };
export const PASSWORDS: Line = { kind: 'basic', subject: '' };
export const secretsOf = (clientId: string): Line => ({ kind: 'oauth_client', subject: clientId });

const NOUNS = { token: 'token', basic: 'basic', oauth_client: 'client' } as const;
export const eventOf = (line: Line, verb: string) => `${NOUNS[line.kind]}.${verb}` as CredentialEvent;

/** Instants are epoch milliseconds. */
export interface Credential {
  readonly id: string;
  readonly mask: string;
  /** Its number in its line: 1, 2, … */
  readonly generation: number;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly validUntil: number | undefined;
  /** When it became the current one, and who made it so: as created, unless a rotation was cancelled. */
  readonly currentSince: number;
  readonly currentBy: string;
  readonly replacedAt: number | undefined;
  readonly replacedBy: string | undefined;
  /** What has been replaced is good no longer than that. */
  readonly graceUntil: number | undefined;
  readonly revokedAt: number | undefined;
  readonly revokedBy: string | undefined;
  readonly lastUsedAt: number | undefined;
  readonly lastUsedClient: string | undefined;
  readonly lastUsedAddress: string | undefined;
}

/** What is kept of a new secret. */
export interface CredentialDraft {
  readonly id: string;
  readonly hash: string;
  readonly mask: string;
  /** Milliseconds until it expires; absent: never. */
  readonly validFor: number | undefined;
}

/** The generation that the caller takes for the current one; absent: whichever. */
export type Expected = number | undefined;

const rowOfCredential = rowOf(credentials);

export function credentialOf(row: Row): Credential {
  const read = rowOfCredential(row);
  return {
    ...{ id: read.id, mask: read.mask, generation: read.generation },
    ...{ createdAt: read.createdAt, createdBy: read.createdBy, validUntil: orAbsent(read.validUntil) },
    currentSince: read.currentSince ?? read.createdAt,
    currentBy: read.currentBy ?? read.createdBy,
    replacedAt: orAbsent(read.replacedAt),
    replacedBy: orAbsent(read.replacedBy),
    graceUntil: orAbsent(read.graceUntil),
    revokedAt: orAbsent(read.revokedAt),
    revokedBy: orAbsent(read.revokedBy),
    lastUsedAt: orAbsent(read.lastUsedAt),
    lastUsedClient: orAbsent(read.lastUsedClient),
    lastUsedAddress: orAbsent(read.lastUsedAddress),
  };
}

/** Rows of a line, as conditions. */
export const ofLine = (store: OrgStore, { kind, subject }: Line): SQL =>
  sql`org_id = ${store.org} AND kind = ${kind} AND subject = ${subject}`;
// `<> 0`, not `> 0`: so that SQLite takes the index of those two at most, and does not walk all that there ever were.
export const isAlive = sql.raw('generation <> 0 AND revoked_at IS NULL');
export const isCurrent = sql.raw('generation <> 0 AND revoked_at IS NULL AND replaced_at IS NULL');
export const isReplaced = sql.raw('generation <> 0 AND revoked_at IS NULL AND replaced_at IS NOT NULL');

export const selectAlive = (store: OrgStore, line: Line): SQL =>
  sql`SELECT * FROM credentials WHERE ${ofLine(store, line)} AND ${isAlive} ORDER BY generation DESC`;

export function expectGeneration(store: OrgStore, line: Line, expected: Expected): SQL {
  const current = sql`SELECT generation FROM credentials WHERE ${ofLine(store, line)} AND ${isCurrent}`;
  return expect('generation', expected === undefined ? sql`1` : sql`(${current}) IS CAST(${expected} AS INTEGER)`);
}

/** What every event of a line tells beside its own: who asked, with what, and of which OAuth client. */
export const detailsOfLine = (line: Line, by: string, actor: Actor): SQL =>
  sql`'by', ${by}, 'oauthClient', ${line.subject || null}, 'client', ${actor.client ?? null}`;
/** Generations as numbers, which a bound one would not be. */
export const brief = sql.raw("json_object('mask', mask, 'generation', generation)");

/**
 * The first of a line, or the first after a revocation or an expiry.
 *
 * @throws Unmet `no_token`: there is a good one.
 */
export async function insertCredential(
  store: OrgStore,
  line: Line,
  draft: CredentialDraft,
  by: string,
  actor: Actor,
): Promise<Credential> {
  const results = await store.write(...insertStatements(store, line, draft, by, actor));
  return credentialOf(results.at(-1)![0]!);
}

/** The same as statements, for a batch that does more. The last one's row is the credential. */
export function insertStatements(store: OrgStore, line: Line, draft: CredentialDraft, by: string, actor: Actor): SQL[] {
  const { now } = store;
  const details = { mask: draft.mask, by, ...(line.subject && { oauthClient: line.subject }) };
  const mine = ofLine(store, line);
  return [
    expect('no_token', sql`NOT EXISTS (SELECT 1 FROM credentials WHERE ${mine} AND ${isAlive} AND ${isGood(now)})`),
    // What has expired or outlived its grace gives up its place.
    sql`UPDATE credentials SET revoked_at = ${now}, revoked_by = ${by} WHERE ${mine} AND ${isAlive}`,
    insertion(store, line, draft, by, false),
    count(store),
    record(store, actor, { type: eventOf(line, 'issued'), targetId: draft.id, details }),
    sql`SELECT * FROM credentials WHERE id = ${draft.id}`,
  ];
}

/** Numbers are never given twice, for no row of a line is ever removed. */
export const nextGeneration = (store: OrgStore, line: Line): SQL =>
  sql`(SELECT ifnull(max(generation), 0) + 1 FROM credentials WHERE ${ofLine(store, line)} AND generation > 0)`;

export const insertion = (
  store: OrgStore,
  line: Line,
  draft: CredentialDraft,
  by: string,
  retireOnUse: boolean,
): SQL => {
  const { now } = store;
  const validUntil = draft.validFor === undefined ? null : now + draft.validFor;
  return sql`INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by,
      current_since, current_by, valid_until, retire_on_use)
    SELECT ${draft.id}, ${store.org}, ${line.kind}, ${line.subject}, ${draft.hash}, ${draft.mask},
      ${nextGeneration(store, line)}, ${now}, ${by}, ${now}, ${by}, ${validUntil}, ${retireOnUse ? 1 : 0}`;
};

/** The latest first: those that are not revoked, whatever their number, and of the others the last hundred. */
export async function listCredentials(store: OrgStore, line: Line): Promise<Credential[]> {
  const [unrevoked, latest] = await store.read(
    selectAlive(store, line),
    sql`SELECT * FROM credentials WHERE ${ofLine(store, line)} AND generation > 0 ORDER BY generation DESC LIMIT 100`,
  );
  const byGeneration = new Map([...latest!, ...unrevoked!].map((row) => [row['generation'] as number, row]));
  return [...byGeneration.values()].map(credentialOf).sort((a, b) => b.generation - a.generation);
}

/** Milliseconds between two notes of the use of one credential. */
const USE_INTERVAL = 5 * 60_000;

/** What a use of a credential leaves behind. */
export interface Use {
  readonly at: number;
  readonly client: string | undefined;
  readonly address: string | undefined;
}

/** Whether a use is worth a write: it is the first for a while, or the first since a successor took its place. */
export const isNoteworthy = ({ lastUsedAt, replacedAt }: Presented, now: number): boolean =>
  lastUsedAt === undefined || lastUsedAt <= now - USE_INTERVAL || lastUsedAt <= (replacedAt ?? 0);

/** Notes that a credential was used, unless that was noted a moment ago: of many requests at once, one writes. */
export async function noteUse(
  db: Database,
  orgId: string,
  { id, replacedAt }: Presented,
  { at, client, address }: Use,
): Promise<void> {
  // Who was found replaced was used after that, even if the clock here is behind the one that replaced it.
  const after = Math.max(at, (replacedAt ?? 0) + 1);
  await runBatch(db, [
    sql`UPDATE credentials SET last_used_at = ${after}, last_used_client = ${client ?? null},
        last_used_address = ${address ?? null}
      WHERE org_id = ${orgId} AND id = ${id} AND (last_used_at IS NULL OR (last_used_at < ${after}
        AND (last_used_at <= ${after - USE_INTERVAL} OR last_used_at <= replaced_at)))`,
  ]);
}
