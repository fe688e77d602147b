/** What a client asks for at the authorization endpoint (RFC 6749 §4.1.1, RFC 7636 §4.3), and how it is answered there. */
import type { Context } from 'hono';
import { isChallenge } from '../../credentials/pkce';
import { ScimError } from '../../scim/error';
import { findClient, type OAuthClient } from '../../store/credentials/oauth-clients';
import type { OrgStore } from '../../store/org/open';
import type { Tenant } from '../../store/org/tenant';
import { noteRefusal } from '../access/refusal';
import type { App } from '../context';
import { storeFor } from '../org';
import type { OAuthErrorCode } from './grant';

/** Where the answer goes, and what it carries so that the client knows its own question. */
export interface Destination {
  readonly redirectUri: string;
  /** As it came. */
  readonly state: string | undefined;
}

export interface AuthorizationRequest extends Destination {
  readonly client: OAuthClient;
  readonly org: Tenant;
  readonly store: OrgStore;
  /** Whether the request itself named the URI: then the token request must, too (§4.1.3). */
  readonly namesRedirectUri: boolean;
  readonly challenge: string | undefined;
}

/** §4.1.2.1: the client or the redirect URI is not known. The user gets a page with the reason, and no redirection. */
export class Unanswerable extends Error {
  constructor(
    readonly detail: string,
    readonly status: 400 | 403 | 405 | 413 | 415 | 429 | 503 = 400,
  ) {
    super(detail);
  }
}

/** The error that goes to the redirect URI of the client (§4.1.2.1). */
export class Declined extends Error {
  constructor(
    readonly to: Destination,
    readonly error: OAuthErrorCode,
    readonly description: string,
  ) {
    super(description);
  }
}

/** `<org id>_<16 letters>` */
const CLIENT_ID = /^([0-9A-Za-z]{12})_[0-9A-Za-z]{16}$/;
/** Characters: it goes back in a header. The other members are known, or have a form. */
const MAX_STATE = 4_096;

/** The members of a query or a form. What is sent without a value counts as not sent (§3.1). */
export class Members {
  readonly #values = new Map<string, string>();
  readonly #repeated = new Set<string>();

  constructor(params: URLSearchParams) {
    for (const [name, value] of params) {
      if (value === '') continue;
      if (this.#values.has(name)) this.#repeated.add(name);
      this.#values.set(name, value);
    }
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** §3.1 forbids it. */
  isRepeated(name: string): boolean {
    return this.#repeated.has(name);
  }

  get areRepeated(): boolean {
    return this.#repeated.size > 0;
  }
}

/** @throws Unanswerable, Declined. */
export async function readRequest(c: Context<App>, members: Members): Promise<AuthorizationRequest> {
  if (members.isRepeated('client_id') || members.isRepeated('redirect_uri')) {
    throw new Unanswerable('client_id or redirect_uri stands more than once in the request.');
  }
  const { client, org, store } = await readClient(c, members.get('client_id') ?? '');
  const named = members.get('redirect_uri');
  const redirectUri = registered(client, named);
  const state = members.isRepeated('state') ? undefined : members.get('state');
  const to = { redirectUri, state };
  if (state !== undefined && state.length > MAX_STATE) throw new Unanswerable('The request is too long.');
  if (members.areRepeated)
    throw new Declined(to, 'invalid_request', 'A parameter stands more than once in the request');
  // Appendix A.5 allows no control characters, and a form would not bring them back as they came.
  if (/\p{Cc}/u.test(state ?? '')) throw new Declined(to, 'invalid_request', 'state has control characters');
  const responseType = members.get('response_type');
  if (responseType === undefined) throw new Declined(to, 'invalid_request', 'response_type is required');
  if (responseType !== 'code') {
    throw new Declined(to, 'unsupported_response_type', 'The only response_type here is code');
  }
  const challenge = challengeOf(members, to);
  return { client, org, store, namesRedirectUri: named !== undefined, challenge, ...to };
}

/**
 * One page for a client that is not there, and for one whose org may not use SCIM, or not here: a stranger learns nothing of
 * an org's plan or state. The operator finds the reason in the org's refusals.
 */
export const unknownClient = () =>
  new Unanswerable(
    'The application that sent you here cannot be connected: its client_id is not valid here. ' +
      'The operator of this service can find out why.',
  );

async function readClient(c: Context<App>, clientId: string) {
  const orgId = CLIENT_ID.exec(clientId)?.[1];
  if (orgId === undefined) throw unknownClient();
  const store = storeFor(c, { kind: 'client', orgId, id: clientId });
  try {
    const client = await findClient(store, clientId);
    if (client === undefined) throw unknownClient();
    return { client, org: store.tenant, store };
  } catch (error) {
    if (!(error instanceof ScimError)) throw error;
    if (store.refusal !== undefined && store.refusal !== 'unauthorized') {
      noteRefusal(c, { orgId, reason: store.refusal });
    }
    throw error.status >= 500 ? error : unknownClient();
  }
}

/** §3.1.2.3: one of the client's, to the letter; unnamed only where there is no choice. */
function registered({ redirectUris }: OAuthClient, named: string | undefined): string {
  if (named === undefined && redirectUris.length === 1) return redirectUris[0]!;
  if (named === undefined) {
    throw new Unanswerable('The request has no redirect_uri, so it does not say where to go back to.');
  }
  if (redirectUris.includes(named)) return named;
  throw new Unanswerable('The address to go back to (redirect_uri) is not registered for this application.');
}

/** RFC 7636 §4.3. Only the method S256: with `plain`, the request itself shows the proof. */
function challengeOf(members: Members, to: Destination): string | undefined {
  const challenge = members.get('code_challenge');
  const method = members.get('code_challenge_method');
  if (challenge === undefined && method === undefined) return undefined;
  if (challenge === undefined) throw new Declined(to, 'invalid_request', 'code_challenge is required');
  // §4.3: without a method it is meant as plain.
  if (method !== 'S256') throw new Declined(to, 'invalid_request', 'The only code_challenge_method here is S256');
  if (!isChallenge(challenge)) {
    throw new Declined(to, 'invalid_request', 'code_challenge must be a SHA-256, base64url without padding');
  }
  return challenge;
}

/** The redirect URI with the answer added to the query that it may have (§4.1.2). The rest stays to the letter. */
export function answerAt({ redirectUri, state }: Destination, answer: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams({ ...answer, ...(state !== undefined && { state }) });
  const joint = redirectUri.includes('?') ? '&' : '?';
  return `${redirectUri}${/[?&]$/.test(redirectUri) ? '' : joint}${query}`;
}
