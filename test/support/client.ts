/** One org, one signed-in IdP, one administrator: what most tests begin with. */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { app } from '../../src/app';
import type { Env } from '../../src/env';
import { boundTo, Invocation, MAX_ANSWER } from './platform';

export const BASE = 'https://scim.test';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is looked into freely, and an expectation fails on what is not there
  readonly body: any;
}

export interface Ask {
  readonly body?: unknown;
  /** Instead of `body`: sent as it is. */
  readonly raw?: BodyInit;
  readonly headers?: Record<string, string>;
  /** Bindings to use instead of the real ones: a meter, or a store that fails. */
  readonly env?: Partial<Env>;
  /** When the answer is there, and before what goes on after it. */
  readonly onAnswer?: () => void;
  /** What counts what the request uses; absent: one with the usual limits. */
  readonly invocation?: Invocation;
}

export async function ask(
  method: string,
  url: string,
  { body, raw, headers = {}, env: other, onAnswer, invocation = new Invocation() }: Ask = {},
): Promise<Answer> {
  const context = createExecutionContext();
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const request = new Request(url, {
    method,
    headers: {
      ...(payload !== undefined && { 'Content-Type': 'application/scim+json' }),
      // As it arrives over HTTP.
      ...(typeof payload === 'string' && { 'Content-Length': String(new TextEncoder().encode(payload).byteLength) }),
      ...headers,
    },
    ...(payload !== undefined && { body: payload }),
  });
  const bindings = boundTo({ ...env, ...other } as Env, invocation);
  const response = await invocation.run(() => app.fetch(request, bindings, context));
  onAnswer?.();
  const text = await response.text();
  await waitOnExecutionContext(context);
  if (text.length > MAX_ANSWER) throw new Error(`the answer is larger than ${MAX_ANSWER} bytes: ${text.length}`);
  return { status: response.status, headers: response.headers, text, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The administrator's door over HTTP, without its prefix: `admin('POST', '/orgs', { body: { slug: 'acme' } })`. */
export const admin = (method: string, path: string, { body, ...rest }: Ask = {}): Promise<Answer> =>
  ask(method, `${BASE}/admin/v1${path}`, {
    ...rest,
    ...(body !== undefined && { raw: JSON.stringify(body) }),
    headers: {
      Authorization: 'Bearer test-admin-token-0123456789abcdef',
      'Content-Type': 'application/json',
      ...rest.headers,
    },
  });

/** The host app's door over HTTP, without its prefix: `host('POST', '/check', { body: { org, user, issuedAt } })`. */
export const host = (method: string, path: string, { body, ...rest }: Ask = {}): Promise<Answer> =>
  ask(method, `${BASE}/sessions/v1${path}`, {
    ...rest,
    ...(body !== undefined && { raw: JSON.stringify(body) }),
    headers: {
      Authorization: 'Bearer test-host-token-0123456789abcdef',
      'Content-Type': 'application/json',
      ...rest.headers,
    },
  });

/** An IdP of one org: `idp.post('/Users', {…})`. */
export interface Idp {
  readonly slug: string;
  readonly orgId: string;
  readonly token: string;
  ask(method: string, path: string, ask?: Ask): Promise<Answer>;
  get(path: string, ask?: Ask): Promise<Answer>;
  post(path: string, body: unknown, ask?: Ask): Promise<Answer>;
  put(path: string, body: unknown, ask?: Ask): Promise<Answer>;
  /** The operations of a PatchOp. */
  patch(path: string, operations: unknown[], ask?: Ask): Promise<Answer>;
  delete(path: string, ask?: Ask): Promise<Answer>;
  /** A user with this userName; the answer's body. */
  // biome-ignore lint/suspicious/noExplicitAny: as Answer.body
  user(userName: string, more?: Record<string, unknown>): Promise<any>;
}

export function idpOf(slug: string, orgId: string, token: string): Idp {
  const send = (method: string, path: string, request: Ask = {}) =>
    ask(method, `${BASE}/scim/v2${path}`, {
      ...request,
      headers: { Authorization: `Bearer ${token}`, ...request.headers },
    });
  return {
    slug,
    orgId,
    token,
    ask: send,
    get: (path, request) => send('GET', path, request),
    post: (path, body, request) => send('POST', path, { ...request, body }),
    put: (path, body, request) => send('PUT', path, { ...request, body }),
    patch: (path, operations, request) =>
      send('PATCH', path, {
        ...request,
        body: { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: operations },
      }),
    delete: (path, request) => send('DELETE', path, request),
    async user(userName, more = {}) {
      const body = { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName, ...more };
      const answer = await send('POST', '/Users', { body });
      if (answer.status !== 201) throw new Error(`POST /Users: ${answer.status} ${answer.text}`);
      return answer.body;
    },
  };
}

/** A new org with SCIM on, and the IdP that holds its token. */
export async function newIdp(slug: string): Promise<Idp> {
  const org = await admin('POST', '/orgs', { body: { slug } });
  if (org.status !== 201) throw new Error(`org ${slug}: ${org.status} ${org.text}`);
  await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } });
  const { body } = await admin('POST', `/orgs/${slug}/tokens`, { body: {} });
  return idpOf(slug, org.body.id, body.token);
}
