/** OAuth clients and those who sign for them: keys, assertions, and an issuer whose keys are fetched. */
import { env } from 'cloudflare:workers';
import { exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from 'jose';
import { vi } from 'vitest';
import { ASSERTION_TYPE } from '../../src/credentials/assertion';
import { type Answer, type Ask, admin, ask, BASE, type Idp } from './client';

export interface TestClient {
  readonly clientId: string;
  readonly clientSecret: string;
}

/** @param more of the body: `redirectUris`, `assertion`, … */
export async function newClient({ slug }: Pick<Idp, 'slug'>, more: object = {}): Promise<TestClient> {
  const { status, text, body } = await admin('POST', `/orgs/${slug}/oauth/clients`, { body: more });
  if (status !== 201) throw new Error(`client of ${slug}: ${status} ${text}`);
  return body;
}

export type Form = Record<string, string> | [string, string][] | string;

/** A form at the OAuth door: `post('/token', { grant_type: 'client_credentials' }, …)`. */
export const post = (path: string, form: Form, { headers, ...rest }: Ask = {}): Promise<Answer> =>
  ask('POST', `${BASE}/oauth${path}`, {
    raw: new URLSearchParams(form).toString(),
    ...rest,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
  });

export const basic = (id: string, secret: string) => ({ Authorization: `Basic ${btoa(`${id}:${secret}`)}` });

/** Client credentials, by a client's secret. */
export const tokenOf = ({ clientId, clientSecret }: TestClient, more: Ask = {}) =>
  post('/token', { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret }, more);

/** Client credentials, by an assertion. */
export const tokenBy = (assertion: string, clientId?: string, more: Ask = {}) =>
  post(
    '/token',
    {
      grant_type: 'client_credentials',
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: assertion,
      ...(clientId !== undefined && { client_id: clientId }),
    },
    more,
  );

export interface Pair {
  readonly publicJwk: JWK;
  readonly privateKey: CryptoKey;
}

/** An RSA key takes longer to make than most tests: these come around again, after more than any test has at a time. */
const RSA_KEYS = 12;
const rsaKeys: Promise<Pair>[] = [];
let rsaKeysTaken = 0;

export async function newPair(alg = 'ES256', kid?: string): Promise<Pair> {
  const { publicJwk, privateKey } = await (alg === 'RS256' ? nextRsaKey() : makePair(alg));
  return { publicJwk: { ...publicJwk, ...(kid && { kid }) }, privateKey };
}

function nextRsaKey(): Promise<Pair> {
  const i = rsaKeysTaken++ % RSA_KEYS;
  rsaKeys[i] ??= makePair('RS256');
  return rsaKeys[i];
}

async function makePair(alg: string): Promise<Pair> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { publicJwk: await exportJWK(publicKey), privateKey: privateKey as CryptoKey };
}

export type Claims = Record<string, unknown>;

/** Claims as they are given; `exp` in five minutes unless they say otherwise. */
export const signed = (
  { privateKey, publicJwk: { kid } }: Pair,
  claims: Claims,
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> =>
  new SignJWT({ exp: Math.floor(Date.now() / 1_000) + 300, ...claims })
    .setProtectedHeader({ alg: 'ES256', ...(kid && { kid }), ...header })
    .sign(privateKey);

export interface Issuer {
  readonly jwksUrl: string;
  /** What it answers with: a key set, or whatever else a test wants to see answered. */
  answer: () => Response | Promise<Response>;
  /** How often it was asked. */
  readonly asked: () => number;
}

const issuers = new Map<string, () => Response | Promise<Response>>();
const internet = globalThis.fetch;

/** Answers for its own address. To be ended by `vi.restoreAllMocks()`. */
export function newIssuer(...keys: JWK[]): Issuer {
  const jwksUrl = `https://login.test/${issuers.size}/keys`;
  let asked = 0;
  const issuer: Issuer = { jwksUrl, answer: () => Response.json({ keys }), asked: () => asked };
  issuers.set(jwksUrl, () => {
    asked++;
    return issuer.answer();
  });
  vi.spyOn(globalThis, 'fetch').mockImplementation(
    async (input, init) => issuers.get(String(input))?.() ?? internet(input, init),
  );
  return issuer;
}

/** The rows of what a client was given. */
export const givenTo = async (clientId: string) =>
  (await env.DB.prepare('SELECT * FROM credentials WHERE subject = ? ORDER BY rowid').bind(clientId).all()).results;
