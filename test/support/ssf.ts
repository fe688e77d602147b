/** Receivers of our signals, in place of the network: with an access token, streams, and an endpoint that verifies what it is pushed. */
import { createLocalJWKSet, type JWTPayload, jwtVerify, type ProtectedHeaderParameters } from 'jose';
import { afterAll, beforeAll, vi } from 'vitest';
import { type Answer, type Ask, admin, ask, BASE } from './client';

export const PUSH = 'urn:ietf:rfc:8935';
export const POLL = 'urn:ietf:rfc:8936';
export const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
export const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';
export const PROV = 'urn:ietf:params:scim:event:prov:';

export interface Told {
  readonly header: ProtectedHeaderParameters;
  readonly claims: JWTPayload & { readonly sub_id: Record<string, unknown>; readonly txn?: string };
  /** The URI of its one event. */
  readonly uri: string;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is looked into freely
  readonly event: any;
}

/** Checks it with the keys that are published. */
export async function verified(set: string, audience: string): Promise<Told> {
  const keys = createLocalJWKSet((await ask('GET', `${BASE}/ssf/jwks.json`)).body);
  const { payload, protectedHeader } = await jwtVerify(set, keys, {
    ...{ issuer: BASE, audience, typ: 'secevent+jwt' },
  });
  const events = Object.entries(payload['events'] as object);
  if (events.length !== 1) throw new Error('one event was expected');
  const [uri, event] = events[0]!;
  return { header: protectedHeader, claims: payload as Told['claims'], uri, event };
}

export interface TestReceiver {
  readonly name: string;
  readonly clientId: string;
  readonly secret: string;
  readonly audience: string;
  /** With an access token of its own. */
  api(method: string, path: string, more?: Ask): Promise<Answer>;
}

let n = 0;

export const tokenFor = (clientId: string, secret: string, params: Record<string, string> = {}): Promise<Answer> =>
  ask('POST', `${BASE}/ssf/token`, {
    raw: new URLSearchParams({ grant_type: 'client_credentials', ...params }).toString(),
    headers: {
      'Content-Type': 'application/x-www-form-urlencoded',
      Authorization: `Basic ${btoa(`${clientId}:${secret}`)}`,
    },
  });

export const withToken =
  (token: string) =>
  (method: string, path: string, more: Ask = {}) =>
    ask(method, `${BASE}/ssf${path}`, {
      ...more,
      headers: {
        'Content-Type': 'application/json',
        ...(token && { Authorization: `Bearer ${token}` }),
        ...more.headers,
      },
    });

/** There are 50 at most. */
export async function removeReceivers(): Promise<void> {
  const { body } = await admin('GET', '/signals/receivers');
  for (const { name } of body as { name: string }[]) await admin('DELETE', `/signals/receivers/${name}`);
}

/** @param orgs slugs; absent: every org. */
export async function newReceiver(orgs?: readonly string[], more: object = {}): Promise<TestReceiver> {
  const name = `receiver-${++n}`;
  const added = await admin('POST', '/signals/receivers', { body: { name, ...(orgs && { orgs }), ...more } });
  if (added.status !== 201) throw new Error(added.text);
  const { clientId, clientSecret: secret, audience } = added.body;
  const given = await tokenFor(clientId, secret);
  if (given.status !== 200) throw new Error(given.text);
  return { name, clientId, secret, audience, api: withToken(given.body.access_token) };
}

/** Where tokens are pushed to. */
export class Endpoint {
  readonly got: Told[] = [];
  readonly headers: Headers[] = [];
  attempts = 0;
  answer: (signal: AbortSignal | null | undefined) => Response | Promise<Response> = () =>
    new Response(null, { status: 202 });

  constructor(
    readonly url: string,
    readonly audience: string,
  ) {
    endpoints.set(url, this);
  }

  /** The last words of the events: `session-revoked`, `prov:deactivate`. */
  get told(): string[] {
    return this.got.map(({ uri }) => shortOf(uri));
  }

  async take(init: RequestInit): Promise<Response> {
    this.attempts++;
    const headers = new Headers(init.headers);
    if (headers.get('Content-Type') !== 'application/secevent+jwt') throw new Error('another media type was expected');
    if (init.redirect !== 'manual') throw new Error('redirects would be followed');
    const told = await verified(init.body as string, this.audience);
    const response = await this.answer(init.signal);
    if (response.ok) {
      this.got.push(told);
      this.headers.push(headers);
    }
    return response;
  }
}

export const shortOf = (uri: string) =>
  uri.startsWith('urn:') ? uri.slice(uri.indexOf('prov:')) : uri.slice(uri.lastIndexOf('/') + 1);

const endpoints = new Map<string, Endpoint>();

/** For the tests of a file: what is sent to an address without an endpoint gets no connection. */
export function catchTokens(): void {
  beforeAll(() => {
    vi.stubGlobal('fetch', async (url: string, init: RequestInit = {}) => {
      const endpoint = endpoints.get(url);
      if (endpoint === undefined) throw new TypeError('no connection');
      return endpoint.take(init);
    });
  });
  afterAll(() => vi.unstubAllGlobals());
}

/** A stream that is pushed. */
export async function newPush(receiver: TestReceiver, more: object = {}, delivery: object = {}) {
  const endpoint = new Endpoint(`https://receiver.example.com/${crypto.randomUUID()}`, receiver.audience);
  const body = { delivery: { method: PUSH, endpoint_url: endpoint.url, ...delivery }, ...more };
  const made = await receiver.api('POST', '/streams', { body });
  if (made.status !== 201) throw new Error(made.text);
  return { endpoint, id: made.body.stream_id as string, stream: made.body };
}

export const until = (condition: () => void | Promise<void>) =>
  vi.waitFor(condition, { timeout: 30_000, interval: 20 });
