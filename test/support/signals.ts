/** Sources of signals of an org, and what they send: Universal Logout as Okta does it, security event tokens. */
import { vi } from 'vitest';
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

export const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
export const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

/** What a transmitter does when it is asked: for its metadata, a stream, a verification, an end. */
export interface TestTransmitter extends Sender {
  readonly audience: string;
  /** What was sent to its API: `POST /streams`, with the body. */
  readonly heard: { readonly request: string; readonly authorization: string | null; readonly body: unknown }[];
  /** Answers instead, where it returns something. */
  answer: (request: string, init?: RequestInit) => Response | Promise<Response> | undefined;
}

/** A transmitter, and the org's stream of it: made by hand, or with a token. */
export async function newTransmitter(
  { slug }: Pick<Idp, 'slug'>,
  more: object = {},
  answer: (request: string) => Response | undefined = () => undefined,
): Promise<TestTransmitter> {
  const made = await startTransmitter(answer);
  const body = { type: 'ssf', transmitter: made.issuer, ...more };
  const added = await admin('POST', `/orgs/${slug}/signals`, { body });
  if (added.status !== 201) throw new Error(`stream of ${slug}: ${added.status} ${added.text}`);
  return Object.assign(made, { id: added.body.id, endpoint: added.body.endpoint, audience: added.body.audience });
}

/** All that were started, by their origin. */
const transmitters = new Map<string, (url: URL, init?: RequestInit) => Promise<Response>>();

/** The transmitter alone. */
export async function startTransmitter(
  answer: (request: string) => Response | undefined = () => undefined,
): Promise<TestTransmitter> {
  const pair = await newPair('RS256', `key-${++n}`);
  const keys = newIssuer({ ...pair.publicJwk, alg: 'RS256' });
  const issuer = `https://ssf-${n}.test`;
  const transmitter: TestTransmitter = {
    ...{ issuer, pair, keys, id: '', endpoint: '', audience: '', heard: [], answer },
  };
  transmitters.set(issuer, async (url, init) => {
    const request = `${init?.method ?? 'GET'} ${url.pathname}${url.search}`;
    const headers = new Headers(init?.headers);
    const isJson = headers.get('Content-Type') === 'application/json';
    const sent = isJson && typeof init?.body === 'string' ? JSON.parse(init.body) : init?.body;
    transmitter.heard.push({ request, authorization: headers.get('Authorization'), body: sent });
    return (await transmitter.answer(request, init)) ?? usual(request, issuer, keys.jwksUrl);
  });
  // The keys' own fetch, which was put in the place of the one before with each issuer.
  const others = vi.mocked(globalThis.fetch).getMockImplementation()!;
  vi.mocked(globalThis.fetch).mockImplementation(async (input, init) => {
    const url = new URL(String(input));
    return transmitters.get(url.origin)?.(url, init) ?? others(input, init);
  });
  return transmitter;
}

function usual(request: string, issuer: string, jwksUrl: string): Response {
  if (request === 'GET /.well-known/ssf-configuration') {
    return Response.json({
      ...{ spec_version: '1_0', issuer, jwks_uri: jwksUrl },
      configuration_endpoint: `${issuer}/streams`,
      verification_endpoint: `${issuer}/verify`,
    });
  }
  if (request === 'POST /streams') {
    return Response.json({ stream_id: 'stream-1', iss: issuer, aud: 'https://receiver.test' }, { status: 201 });
  }
  return new Response(null, { status: 204 });
}

/** What waits at a transmitter to be polled (RFC 8936). */
export interface Waiting {
  /** Id -> token; gone once it is acknowledged or refused. */
  readonly sets: Map<string, string>;
  readonly acked: string[];
  readonly errors: Record<string, { err: string; description: string }>;
  /** Bodies of polls. */
  readonly polls: { ack?: string[]; setErrs?: object; maxEvents?: number; returnImmediately?: boolean }[];
  /** Answers instead of the queue, where it returns something. */
  answer: (init?: RequestInit) => Response | Promise<Response> | undefined;
}

/** A transmitter whose stream the org polls. */
export async function newPolled(
  { slug }: Pick<Idp, 'slug'>,
  more: object = {},
): Promise<{ transmitter: TestTransmitter; waiting: Waiting }> {
  const waiting: Waiting = { sets: new Map(), acked: [], errors: {}, polls: [], answer: () => undefined };
  const transmitter = await startTransmitter();
  const { issuer } = transmitter;
  const delivery = { method: 'urn:ietf:rfc:8936', endpoint_url: `${issuer}/poll` };
  transmitter.answer = (request, init) => {
    if (request === 'POST /streams') {
      const stream = { stream_id: 'stream-1', iss: issuer, aud: 'https://receiver.test', delivery };
      return Response.json(stream, { status: 201 });
    }
    if (request !== 'POST /poll') return undefined;
    const asked = JSON.parse(init!.body as string) as Waiting['polls'][number];
    waiting.polls.push(asked);
    const instead = waiting.answer(init);
    if (instead !== undefined) return instead;
    for (const id of asked.ack ?? []) if (waiting.sets.delete(id)) waiting.acked.push(id);
    for (const [id, error] of Object.entries(asked.setErrs ?? {})) {
      if (waiting.sets.delete(id)) waiting.errors[id] = error;
    }
    const page = [...waiting.sets].slice(0, asked.maxEvents);
    return Response.json({ sets: Object.fromEntries(page), moreAvailable: waiting.sets.size > page.length });
  };
  const body = { type: 'ssf', transmitter: issuer, delivery: 'poll', auth: 'transmitter-token', ...more };
  const added = await admin('POST', `/orgs/${slug}/signals`, { body });
  if (added.status !== 201) throw new Error(`stream of ${slug}: ${added.status} ${added.text}`);
  const { id, endpoint, audience } = added.body;
  return { transmitter: Object.assign(transmitter, { id, endpoint, audience }), waiting };
}

/** A security event token with one event. */
export const setOf = (
  { pair, issuer, audience }: Pick<TestTransmitter, 'pair' | 'issuer' | 'audience'>,
  uri: string,
  members: object,
  claims: Claims = {},
  header: object = {},
): Promise<string> =>
  signed(
    pair,
    {
      ...{ iss: issuer, aud: audience, iat: seconds(), jti: crypto.randomUUID(), exp: undefined },
      events: { [uri]: members },
      ...claims,
    },
    { alg: 'RS256', typ: 'secevent+jwt', ...header },
  );

export const push = (endpoint: string, set: string, more: Ask = {}): Promise<Answer> =>
  ask('POST', endpoint, {
    raw: set,
    ...more,
    headers: { 'Content-Type': 'application/secevent+jwt', ...more.headers },
  });

/** An event is pushed, about the person with this `sub`. */
export const tell = async (
  transmitter: TestTransmitter,
  uri: string,
  sub: string,
  members: object = {},
  claims: Claims = {},
  more: Ask = {},
): Promise<Answer> =>
  push(
    transmitter.endpoint,
    await setOf(transmitter, uri, members, { sub_id: { format: 'iss_sub', iss: transmitter.issuer, sub }, ...claims }),
    more,
  );
