/** Clients that a person approves, and that person's browser, as far as a test needs one. */
import { env } from 'cloudflare:workers';
import { expect } from 'vitest';
import { type Answer, type Ask, admin, ask, BASE, type Idp } from './client';
import { dump } from './database';
import { type Form, formOf } from './form';
import * as oauth from './oauth';

/** Okta's, which all its customers share. */
export const CALLBACK = 'https://system-admin.okta.com/admin/app/cpc/acme_1/oauth/callback';

export interface TestClient extends oauth.TestClient {
  readonly slug: string;
  readonly orgId: string;
}

export async function newClient(
  { orgId, slug }: Pick<Idp, 'orgId' | 'slug'>,
  { name = 'Okta', redirectUris = [CALLBACK] }: { name?: string; redirectUris?: string[] } = {},
): Promise<TestClient> {
  return { ...(await oauth.newClient({ slug }, { name, redirectUris })), slug, orgId };
}

export async function deleteClient({ clientId, slug }: TestClient): Promise<void> {
  const { status, text } = await admin('DELETE', `/orgs/${slug}/oauth/clients/${clientId}?confirm=${clientId}`);
  if (status !== 200) throw new Error(`client of ${slug}: ${status} ${text}`);
}

/** As `oauth approve` prints it. */
export async function newApproval(slug: string, by = 'olga'): Promise<string> {
  const { status, body, text } = await admin('POST', `/orgs/${slug}/oauth/approvals`, { body: { by } });
  if (status !== 201) throw new Error(`approval of ${slug}: ${status} ${text}`);
  return body.approvalCode;
}

export type Members = Record<string, string> | [string, string][];

/** The request as Okta makes it (RFC 6749 §4.1.1); an empty member is left out. */
export const requestOf = ({ clientId }: TestClient, more: Record<string, string> = {}): Record<string, string> => {
  const members = { response_type: 'code', client_id: clientId, redirect_uri: CALLBACK, state: 'xyz', ...more };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== ''));
};

export const visit = (members: Members, more?: Ask): Promise<Answer> =>
  ask('GET', `${BASE}/oauth/authorize?${new URLSearchParams(members)}`, more);

/** A form sent from our own page. */
export const submit = (members: Members, { headers, ...more }: Ask = {}): Promise<Answer> =>
  oauth.post('/authorize', members, {
    headers: { Origin: BASE, 'Sec-Fetch-Site': 'same-origin', ...headers },
    ...more,
  });

/** What the page would send. */
export async function pageOf(members: Members): Promise<Form> {
  const { status, text } = await visit(members);
  if (status !== 200) throw new Error(`GET /oauth/authorize: ${status} ${text}`);
  return formOf(text);
}

/** The members of the answer at the redirect URI. */
export const answerOf = ({ headers }: Answer): Record<string, string> =>
  Object.fromEntries(new URL(headers.get('Location')!).searchParams);

/** Okta's administrator is sent to us, and approves. @returns the authorization code. */
export async function approved(client: TestClient, more: Record<string, string> = {}): Promise<string> {
  const { members } = await pageOf(requestOf(client, more));
  const answer = await submit({ ...members, approval_code: await newApproval(client.slug), decision: 'approve' });
  if (answer.status !== 303) throw new Error(`POST /oauth/authorize: ${answer.status} ${answer.text}`);
  return answerOf(answer)['code']!;
}

/** A token request of the client; an empty member counts as left out. */
export const tokenRequest = (
  { clientId, clientSecret }: TestClient,
  members: Record<string, string>,
  more?: Ask,
): Promise<Answer> => oauth.post('/token', { client_id: clientId, client_secret: clientSecret, ...members }, more);

export const redeem = (client: TestClient, code: string, more: Record<string, string> = {}): Promise<Answer> =>
  tokenRequest(client, { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, ...more });

export const refresh = (client: TestClient, token: string): Promise<Answer> =>
  tokenRequest(client, { grant_type: 'refresh_token', refresh_token: token });

export interface Tokens {
  readonly access: string;
  readonly refresh: string;
}

export const tokensOf = ({ status, text, body }: Answer): Tokens => {
  if (status !== 200) throw new Error(`POST /oauth/token: ${status} ${text}`);
  return { access: body.access_token, refresh: body.refresh_token };
};

/** Approved and redeemed. */
export const connected = async (client: TestClient): Promise<Tokens> =>
  tokensOf(await redeem(client, await approved(client)));

/** What the SCIM door says to this bearer token. */
export const statusAtScim = async (token: string): Promise<number> =>
  (await ask('GET', `${BASE}/scim/v2/Users?count=0`, { headers: { Authorization: `Bearer ${token}` } })).status;

/** Work that must leave every row as it is, but for the note of when a credential was used. */
export async function unchanged<T>(work: () => Promise<T>): Promise<T> {
  const state = async () => (await dump()).replace(/^.*"last_used_.*\n/gm, '');
  const before = await state();
  const result = await work();
  expect(await state()).toBe(before);
  return result;
}

/** A database that fails from the nth batch on. */
export function failingFrom(nth: number, message: string): D1Database {
  let batches = 0;
  return {
    prepare: (text: string) => env.DB.prepare(text),
    batch: (statements: D1PreparedStatement[]) =>
      ++batches < nth ? env.DB.batch(statements) : Promise.reject(new Error(message)),
  } as unknown as D1Database;
}
