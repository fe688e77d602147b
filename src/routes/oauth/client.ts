/**
 * Who is the client? What a request presents (RFC 6749 §2.3, RFC 7521 §4.2) becomes a store that is led by the client's
 * look-up. A secret is checked by the first batch of the work, an assertion before it.
 */
import type { Context } from 'hono';
import { ASSERTION_TYPE, readAssertion, verifyAssertion } from '../../credentials/assertion';
import { PAUSE } from '../../credentials/jwks';
import type { Refused } from '../../credentials/refusal';
import { hashOf, recognise } from '../../credentials/secret';
import { ScimError } from '../../scim/error';
import { Taken } from '../../store/batch';
import { findClient, type Signer, usingUp } from '../../store/oauth-clients';
import type { OrgStore } from '../../store/open';
import { afterUse, basicPair } from '../authenticate';
import { failedTooOften } from '../brakes';
import { type App, storeFor } from '../context';
import { noteRefusal } from '../refusal';
import { invalidClient } from './error';
import { type Client, invalidRequest, OAuthError, type Params } from './grant';
import { endpoints } from './metadata';

/** The id of an org, and of a client: so it is known where to look. */
const CLIENT_ID = /^([0-9A-Za-z]{12})_[0-9A-Za-z]{16}$/;

/** What the request says; nothing of it is checked. Undefined: it cannot be right. */
type Claim =
  | { readonly clientId: string; readonly secret: string }
  | { readonly clientId: string; readonly assertion: string }
  | undefined;

/** The client hears one answer whatever is wrong; why, its org's administrator is told. */
async function refused(c: Context<App>, why: Refused): Promise<OAuthError> {
  const seconds = await failedTooOften(c);
  noteRefusal(c, why);
  return seconds === undefined ? invalidClient() : tooManyFailures(seconds);
}

const tooManyFailures = (seconds: number) =>
  new OAuthError('temporarily_unavailable', 'Too many requests without a valid client: try again later', 429, {
    'Retry-After': String(seconds),
  });

/** @throws OAuthError invalid_client, invalid_request, temporarily_unavailable. */
export async function authenticateClient(c: Context<App>, params: Params): Promise<Client> {
  const claim = read(c.req.header('Authorization'), params);
  const id = claim?.clientId ?? '';
  const orgId = CLIENT_ID.exec(id)?.[1];
  if (claim === undefined || orgId === undefined) throw await refused(c, { reason: 'client', hint: 'form', orgId });
  const store =
    'secret' in claim ? await bySecret(c, claim.secret, orgId, id) : await bySigner(c, claim.assertion, orgId, id);
  return { id, orgId, store };
}

/**
 * Work for a client. Whether it is good is found out by the first batch, so that no answer tells a bad client what else
 * is wrong with its request.
 */
export async function asClient<T>(c: Context<App>, { orgId, store }: Client, work: () => Promise<T>): Promise<T> {
  try {
    return await work().catch(async (error) => {
      if (!store.isChecked) await store.verify();
      throw error;
    });
  } catch (error) {
    if (error instanceof ScimError && error.status === 401) {
      throw await refused(c, { orgId, hash: store.caller.kind === 'client' ? store.caller.hash : undefined });
    }
    if (error instanceof Taken && error.columns.startsWith('assertions.')) {
      throw await refused(c, { reason: 'assertion', hint: 'replayed', orgId });
    }
    if (store.refusal !== undefined && store.refusal !== 'unauthorized')
      noteRefusal(c, { orgId, reason: store.refusal });
    if (error instanceof OAuthError && error.error === 'invalid_grant') noteRefusal(c, { orgId, reason: 'grant' });
    throw error;
  } finally {
    afterUse(c, store);
  }
}

function read(header: string | undefined, params: Params): Claim {
  const named = params.get('client_id');
  const secret = params.get('client_secret');
  const assertion = params.get('client_assertion');
  const type = params.get('client_assertion_type');
  if ([header, secret, assertion ?? type].filter((it) => it !== undefined).length > 1) {
    throw invalidRequest('One way to authenticate the client was expected, not several (section 2.3)');
  }
  if (header !== undefined) {
    const pair = basicPair(/^\s*Basic\s+(\S+)\s*$/i.exec(header)?.[1] ?? '');
    if (pair === undefined) return undefined;
    const clientId = formDecoded(pair.userName);
    if (named !== undefined && named !== clientId)
      throw invalidRequest('client_id is not that of the Authorization header');
    return { clientId, secret: formDecoded(pair.password) };
  }
  if (assertion ?? type) {
    if (assertion === undefined) throw invalidRequest('client_assertion is required');
    if (type !== ASSERTION_TYPE) throw invalidRequest(`client_assertion_type: ${ASSERTION_TYPE} was expected`);
    // RFC 7521 §4.2: client_id is optional, for the assertion names the client; where an issuer made it, it does not.
    const said = readAssertion(assertion);
    return said && { clientId: named ?? said.clientId ?? '', assertion };
  }
  return named === undefined || secret === undefined ? undefined : { clientId: named, secret };
}

/** §2.3.1: both parts of the pair are form-encoded. Ours have no letter that this changes, so they may come as they are. */
function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

async function bySecret(c: Context<App>, secret: string, orgId: string, id: string): Promise<OrgStore> {
  const it = await recognise(secret);
  if (!it.ok || it.kind !== 'oauth_client' || it.orgId !== orgId) {
    throw await refused(c, { reason: 'client', hint: it.ok ? 'kind' : it.fault, orgId });
  }
  return storeFor(c, { kind: 'client', orgId, id, hash: await hashOf(secret) });
}

async function bySigner(c: Context<App>, assertion: string, orgId: string, id: string): Promise<OrgStore> {
  const now = Date.now();
  // Not as the client yet: what is wrong with its org is said to one who has proved to be it.
  const signer = await signerOf(storeFor(c, { kind: 'id', id: orgId }, now), id);
  if (signer === undefined) throw await refused(c, { reason: 'assertion', hint: 'client', orgId });
  const { issuer, tokenUrl } = endpoints(c);
  const verified = await verifyAssertion(assertion, signer, { clientId: id, audiences: [issuer, tokenUrl], now });
  if (!verified.ok) {
    const why = { reason: 'assertion', hint: verified.fault, orgId } as const;
    if (verified.fault !== 'unavailable') throw await refused(c, why);
    noteRefusal(c, why);
    throw keysUnavailable();
  }
  const store = storeFor(c, { kind: 'client', orgId, id }, now);
  return verified.once ? usingUp(store, verified.once) : store;
}

/** Undefined: there is no such client, or it has a secret. */
async function signerOf(store: OrgStore, id: string): Promise<Signer | undefined> {
  try {
    return (await findClient(store, id))?.signer;
  } catch (error) {
    if (error instanceof ScimError && error.status === 404) return undefined; // no such org
    throw error;
  }
}

const keysUnavailable = () =>
  new OAuthError('temporarily_unavailable', 'The keys of the issuer could not be fetched: try again in a moment', 503, {
    'Retry-After': String(PAUSE / 1_000),
  });
