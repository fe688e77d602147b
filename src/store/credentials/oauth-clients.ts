/** OAuth clients of one org: an application of its identity provider each, with a secret or a signer of its own. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { expect } from '../d1/expect';
import type { Row } from '../d1/rows';
import { orAbsent, rowOf } from '../d1/rows';
import { oauthClients } from '../d1/tables';
import { count, record, recordAs } from '../journal/record';
import { isGood } from '../org/caller';
import type { OrgStore } from '../org/open';
import { type Credential, type CredentialDraft, credentialOf, insertStatements, secretsOf } from './credentials';

/** A JSON Web Key (RFC 7517) of which nothing is private. */
export type PublicKey = Readonly<Record<string, string>>;

/** Whose signature stands for a client's secret: the owner of one of these keys, or this subject of another issuer. */
export type Signer =
  | { readonly keys: readonly PublicKey[] }
  | { readonly issuer: string; readonly jwksUrl: string; readonly subject: string; readonly audience: string };

export interface OAuthClient {
  readonly id: string;
  readonly name: string;
  readonly redirectUris: readonly string[];
  /** Absent: the client has a secret. */
  readonly signer: Signer | undefined;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly createdBy: string;
}

export interface ListedClient extends OAuthClient {
  /** Those that were not revoked: at most one that is current and one that it has replaced. The latest first. */
  readonly secrets: readonly Credential[];
  /** When something of it was last seen: its secret at the token endpoint, its access token at the SCIM API. */
  readonly lastUsedAt: number | undefined;
}

const rowOfClient = rowOf(oauthClients);

function clientOf(row: Row): OAuthClient {
  const { id, name, redirectUris, assertion, createdAt, createdBy } = rowOfClient(row);
  return {
    ...{ id, name, createdAt, createdBy },
    redirectUris: JSON.parse(redirectUris),
    signer: assertion === null ? undefined : JSON.parse(assertion),
  };
}

/** One of the org, as a condition on `oauth_clients`. */
const one = (store: OrgStore, id: string): SQL => sql`org_id = ${store.org} AND id = ${id}`;
/** All that it was given, as a condition on `credentials`; the index knows only rows that have a subject. */
const its = (store: OrgStore, id: SQL | string): SQL =>
  sql`org_id = ${store.org} AND subject = ${id} AND subject <> ''`;

/**
 * The client with its first secret, or without one. Nobody else knows its id yet, so it needs no place in the org's line.
 */
export async function insertClient(
  store: OrgStore,
  client: Omit<OAuthClient, 'createdAt'>,
  draft: CredentialDraft | undefined,
  actor: Actor,
): Promise<void> {
  const { id, name, redirectUris, signer, createdBy: by } = client;
  await store.write(
    sql`INSERT INTO oauth_clients (org_id, id, name, redirect_uris, assertion, created_at, created_by)
      SELECT ${store.org}, ${id}, ${name}, ${JSON.stringify(redirectUris)}, ${signer ? JSON.stringify(signer) : null},
        ${store.now}, ${by}`,
    count(store),
    record(store, actor, { type: 'client.created', targetId: id, details: { by, name, redirectUris, signer } }),
    ...(draft ? insertStatements(store, secretsOf(id), draft, by, actor) : []),
  );
}

export async function findClient(store: OrgStore, id: string): Promise<OAuthClient | undefined> {
  const [rows] = await store.read(sql`SELECT * FROM oauth_clients WHERE ${one(store, id)}`);
  return rows![0] && clientOf(rows![0]);
}

/** Which clients: this one, or a page of them in the order of their ids. */
export type Which = { readonly only: string } | { readonly after: string; readonly limit: number };

/** The oldest first of those that are meant. */
export async function listClients(store: OrgStore, which: Which): Promise<ListedClient[]> {
  const meant =
    'only' in which
      ? sql`SELECT id FROM oauth_clients WHERE ${one(store, which.only)}`
      : sql`SELECT id FROM oauth_clients WHERE org_id = ${store.org} AND id > ${which.after} ORDER BY id LIMIT ${which.limit}`;
  const [clients, secrets] = await store.read(
    sql<
      Row & { last_used_at: number | null }
    >`SELECT *, (SELECT max(last_used_at) FROM credentials WHERE ${its(store, sql.raw('oauth_clients.id'))}) AS last_used_at
      FROM oauth_clients WHERE org_id = ${store.org} AND id IN (${meant}) ORDER BY created_at, id`,
    sql`SELECT * FROM credentials WHERE org_id = ${store.org} AND kind = 'oauth_client' AND generation > 0
      AND revoked_at IS NULL AND subject IN (${meant}) ORDER BY generation DESC`,
  );
  return clients!.map((row) => ({
    ...clientOf(row),
    secrets: secrets!.filter(({ subject }) => subject === row['id']).map(credentialOf),
    lastUsedAt: orAbsent(row.last_used_at),
  }));
}

/**
 * The client and all that it can prove itself with: its secrets, what it was given, what it was approved for.
 *
 * @returns how many of its credentials that were good died by it.
 * @throws Unmet `found`: there is no such client.
 */
export async function deleteClient(store: OrgStore, id: string, by: string, actor: Actor): Promise<number> {
  const results = await store.write(
    expect('found', sql`EXISTS (SELECT 1 FROM oauth_clients WHERE ${one(store, id)})`),
    count(store),
    recordAs(
      store,
      actor,
      { type: 'client.deleted', targetId: id },
      sql`(SELECT json_object('by', ${by}, 'name', name, 'client', ${actor.client ?? null},
        'masks', (SELECT json_group_array(mask) FROM credentials WHERE ${its(store, id)} AND revoked_at IS NULL
          AND kind = 'oauth_client')) FROM oauth_clients WHERE ${one(store, id)})`,
    ),
    sql<{ good: number }>`SELECT count(*) AS good FROM credentials WHERE ${its(store, id)} AND ${isGood(store.now)}`,
    // Those that are over, too: another clock may be behind ours.
    sql`UPDATE credentials SET revoked_at = ${store.now}, revoked_by = ${by} WHERE ${its(store, id)} AND revoked_at IS NULL`,
    sql`UPDATE grants SET revoked_at = ${store.now} WHERE org_id = ${store.org} AND client_id = ${id} AND revoked_at IS NULL`,
    sql`DELETE FROM oauth_clients WHERE ${one(store, id)}`,
  );
  return results[3][0]!.good;
}

/** What makes an assertion good for one time. */
export interface Once {
  /** Of the client and the assertion's `jti`. */
  readonly hash: string;
  /** Epoch milliseconds until which it must be remembered. */
  readonly validUntil: number;
}

/**
 * The same store, whose first write that succeeds uses an assertion up: in the same batch as what was asked with it, so
 * that of two requests with one assertion one comes to nothing (RFC 7523 §3, `jti`).
 *
 * @returns a store whose writes throw Taken (`assertions.…`) when it has been used.
 */
export function usingUp(store: OrgStore, { hash, validUntil }: Once): OrgStore {
  let isUsed = false;
  return store.seat(async (kind, statements) => {
    if (kind === 'read') return store.read(...statements);
    if (isUsed) return store.write(...statements);
    const [, ...rows] = await store.write(
      sql`INSERT INTO assertions (org_id, hash, valid_until) SELECT ${store.org}, ${hash}, ${validUntil}`,
      ...statements,
    );
    isUsed = true;
    return rows;
  });
}
