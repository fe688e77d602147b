/** Sources of signals of an org, and what they send: Universal Logout as Okta does it, security event tokens. */
import { type Answer, type Ask, admin, ask, BASE, type Idp } from './client';
import { type Claims, type Issuer, newIssuer, newPair, type Pair, signed } from './oauth';

export interface Sender {
  readonly issuer: string;
  readonly id: string;
  readonly endpoint: string;
  readonly keys: Issuer;
  readonly pair: Pair;
}

let n = 0;

/** A registered issuer, whose keys are fetched from an address of its own. */
export async function newSender({ slug }: Pick<Idp, 'slug'>, more: object = {}): Promise<Sender> {
  const pair = await newPair('RS256', `key-${++n}`);
  const keys = newIssuer({ ...pair.publicJwk, alg: 'RS256', use: 'sig' });
  const issuer = `https://acme-${n}.okta.test`;
  const body = { type: 'global-token-revocation', issuer, jwksUrl: keys.jwksUrl, ...more };
  const added = await admin('POST', `/orgs/${slug}/signals`, { body });
  if (added.status !== 201) throw new Error(`source of ${slug}: ${added.status} ${added.text}`);
  return { issuer: added.body.issuer, id: added.body.id, endpoint: added.body.endpoint, keys, pair };
}

export const seconds = () => Math.floor(Date.now() / 1_000);

/** As Okta makes it. */
export const logoutToken = (
  { pair, issuer, endpoint }: Pick<Sender, 'pair' | 'issuer' | 'endpoint'>,
  claims: Claims = {},
  header: object = {},
): Promise<string> =>
  signed(
    pair,
    {
      iss: issuer,
      sub: '0oa1234567890',
      aud: endpoint,
      iat: seconds(),
      nbf: seconds(),
      exp: seconds() + 300,
      jti: crypto.randomUUID(),
      ...claims,
    },
    { alg: 'RS256', typ: 'global-token-revocation+jwt', ...header },
  );

export const postLogout = (
  endpoint: string,
  token: string | undefined,
  body: unknown,
  more: Ask = {},
): Promise<Answer> =>
  ask('POST', endpoint, {
    raw: JSON.stringify(body),
    ...more,
    headers: {
      'Content-Type': 'application/json',
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...more.headers,
    },
  });

export const issSub = ({ issuer }: Pick<Sender, 'issuer'>, sub: string) => ({
  sub_id: { format: 'iss_sub', iss: issuer, sub },
});

/** A whole request of Universal Logout. */
export const logout = async (sender: Sender, body: unknown, more: Ask = {}) =>
  postLogout(sender.endpoint, await logoutToken(sender), body, more);

/** The hints of what was refused, with how often. */
export async function refusedSignals({ slug }: Pick<Idp, 'slug'>): Promise<Record<string, number>> {
  const { body } = await admin('GET', `/orgs/${slug}/refusals`);
  const all = body as { reason: string; hint: string; count: number; detail: string }[];
  return Object.fromEntries(all.filter(({ reason }) => reason === 'signal').map(({ hint, count }) => [hint, count]));
}

export const UNKNOWN_ENDPOINT = `${BASE}/signals/000000000000/global-token-revocation`;
