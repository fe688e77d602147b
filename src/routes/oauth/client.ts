/**
 * Who is the client? What a request presents (RFC 6749 §2.3, RFC 7521 §4.2) becomes a store that is led by the client's
 * look-up. A secret is checked by the first batch of the work, an assertion before it.
 */
import type { Context } from 'hono';
import { ASSERTION_TYPE, readAssertion, verifyAssertion } from '../../credentials/assertion';
import { PAUSE } from '../../credentials/jwks';
import { RATE_LIMITED, type Refused } from '../../credentials/refusal';
import { hashOf, recognise } from '../../credentials/secret';
import { settings } from '../../env';
import { ScimError } from '../../scim/error';
import { findClient, type Signer, usingUp } from '../../store/credentials/oauth-clients';
import { Taken } from '../../store/d1/batch';
import type { OrgStore } from '../../store/org/open';
import type { OrgSettings, Rate } from '../../store/org/settings';
import { afterUse, basicPair } from '../access/authenticate';
import {
  becomeKnown,
  becomeUnknown,
  callers,
  failedTooOften,
  orgTooFast,
  RATE_DEFAULT,
  strangerTooOften,
  wasTooFast,
} from '../access/rate-limits';
import { noteRefusal } from '../access/refusal';
import { endpoints } from '../addresses';
import type { App } from '../context';
import { storeFor } from '../org';
import { invalidClient } from './error';
import { type Client, invalidRequest, OAuthError, type Params } from './grant';

/** The id of an org, and of a client: so it is known where to look. */
const CLIENT_ID = /^([0-9A-Za-z]{12})_[0-9A-Za-z]{16}$/;

/** What the request says; nothing of it is checked. Undefined: it cannot be right. */
type Claim =
  | { readonly clientId: string; readonly secret: string }
  | { readonly clientId: string; readonly assertion: string }
  | undefined;

/**
 * The client gets one answer whatever is wrong; its org's administrator can find out why.
 *
 * @param isCounted whether the request was counted for its address before it was checked.
 */
async function refused(c: Context<App>, why: Refused, isCounted = false): Promise<OAuthError> {
  const seconds = isCounted || why.hint === 'missing' ? undefined : await failedTooOften(c);
  noteRefusal(c, why);
  return seconds === undefined ? invalidClient() : tooManyFailures(seconds);
}

/** Before D1: a client that is not known here is counted for its address. @throws OAuthError. */
async function admitStranger(c: Context<App>, orgId: string, hash?: string): Promise<void> {
  const seconds = await strangerTooOften(c, hash);
  if (seconds === undefined) return;
  noteRefusal(c, { orgId, hash, hint: RATE_LIMITED, ...(hash === undefined && { reason: 'rate_limited' }) });
  throw tooManyFailures(seconds);
}

/** Counts a request of a client that is proved. @throws OAuthError. */
async function countFor(c: Context<App>, orgId: string, rate: Rate = RATE_DEFAULT): Promise<void> {
  const seconds = await orgTooFast(c, { orgId, rate });
  if (seconds === undefined) return;
  noteRefusal(c, { orgId, reason: 'rate_limited' });
  throw new OAuthError('temporarily_unavailable', 'The organization sends too many requests: try again later', 429, {
    'Retry-After': String(seconds),
  });
}

const tooManyFailures = (seconds: number) =>
  new OAuthError('temporarily_unavailable', 'Too many requests without a valid client: try again later', 429, {
    'Retry-After': String(seconds),
  });

/** @throws OAuthError invalid_client, invalid_request, temporarily_unavailable. */
export async function authenticateClient(c: Context<App>, params: Params): Promise<Client> {
  const header = c.req.header('Authorization');
  const claim = read(header, params);
  const id = claim?.clientId ?? '';
  const orgId = CLIENT_ID.exec(id)?.[1];
  if (claim === undefined || orgId === undefined) {
    const isMissing = header === undefined && !params.has('client_secret') && !params.has('client_assertion');
    throw await refused(c, { reason: 'client', hint: isMissing ? 'missing' : 'form', orgId });
  }
  return 'secret' in claim ? bySecret(c, claim.secret, orgId, id) : bySigner(c, claim.assertion, orgId, id);
}

/**
 * Work for a client. Whether it is good is found out by the first batch, so that no answer tells a bad client what else
 * is wrong with its request.
 */
export async function asClient<T>(c: Context<App>, client: Client, work: () => Promise<T>): Promise<T> {
  const { orgId, store } = client;
  const hash = store.caller.kind === 'client' ? store.caller.hash : undefined;
  const isKnown = hash !== undefined && callers.get(hash) !== undefined;
  let isCounted = client.isCounted;
  try {
    // Its requests are counted after the fact, so while its org is over its rate it has to be checked first.
    if (!isCounted && wasTooFast(orgId)) {
      isCounted = true;
      await countFor(c, orgId, (await store.verify()).settings.rateLimit);
    }
    return await work().catch(async (error) => {
      if (!store.isChecked) await store.verify();
      throw error;
    });
  } catch (error) {
    if (error instanceof ScimError && error.status === 401) {
      if (isKnown) becomeUnknown(c, hash);
      throw await refused(c, { orgId, hash }, !isKnown);
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
    // Good, too, while its org may not use SCIM.
    const isGood = store.refusal !== 'unauthorized' && store.presented !== undefined;
    if (hash !== undefined && isGood) {
      const settings: OrgSettings = store.latestTenant?.settings ?? {};
      if (isKnown) callers.keep(hash, { id: orgId, settings });
      else becomeKnown(c, hash, { id: orgId, settings }, isCounted);
    }
  }
}

function read(header: string | undefined, params: Params): Claim {
  const named = params.get('client_id');
  const secret = params.get('client_secret');
  const assertion = params.get('client_assertion');
  const type = params.get('client_assertion_type');
  if ([header, secret, assertion ?? type].filter((it) => it !== undefined).length > 1) {
    throw invalidRequest('One way to authenticate the client was expected, not several (RFC 6749, section 2.3)');
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

async function bySecret(c: Context<App>, secret: string, orgId: string, id: string): Promise<Client> {
  const it = await recognise(secret);
  if (!it.ok || it.kind !== 'oauth_client' || it.orgId !== orgId) {
    throw await refused(c, { reason: 'client', hint: it.ok ? 'kind' : it.fault, orgId });
  }
  const hash = await hashOf(secret);
  const known = callers.get(hash);
  if (known === undefined) await admitStranger(c, orgId, hash);
  else await countFor(c, known.orgId, known.rate);
  return { id, orgId, store: storeFor(c, { kind: 'client', orgId, id, hash }), isCounted: known !== undefined };
}

async function bySigner(c: Context<App>, assertion: string, orgId: string, id: string): Promise<Client> {
  await admitStranger(c, orgId);
  const now = Date.now();
  // Not as the client yet: what is wrong with its org is said to one who has proved to be it.
  const finding = storeFor(c, { kind: 'id', id: orgId }, now);
  const signer = await signerOf(finding, id);
  if (signer === undefined) throw await refused(c, { reason: 'assertion', hint: 'client', orgId }, true);
  const { issuer, tokenUrl } = endpoints(c);
  const { allowsLoopbackJwks: allowsLoopback } = settings(c.env);
  const asked = { clientId: id, audiences: [issuer, tokenUrl], now, allowsLoopback };
  const verified = await verifyAssertion(assertion, signer, asked);
  if (!verified.ok) {
    const why = { reason: 'assertion', hint: verified.fault, orgId } as const;
    if (verified.fault !== 'unavailable') throw await refused(c, why, true);
    noteRefusal(c, why);
    throw keysUnavailable();
  }
  await countFor(c, orgId, finding.tenant.settings.rateLimit);
  const store = storeFor(c, { kind: 'client', orgId, id }, now);
  return { id, orgId, store: verified.once ? usingUp(store, verified.once) : store, isCounted: true };
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
