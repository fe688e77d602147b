/**
 * Authorization header -> a presented credential. No D1 call: the check itself rides in the first batch of the work
 * (store/org/open.ts), and here it is made sure that no answer leaves without that check.
 */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { coordinatorOf } from '../../coordinator-stub';
import { faultOf, RATE_LIMITED } from '../../credentials/refusal';
import { formOf, hashOf, recognise, type SecretKind } from '../../credentials/secret';
import { underTypes } from '../../provisioning/schemas';
import { tooManyRequests } from '../../scim/error';
import { isNoteworthy, type Line, noteUse } from '../../store/credentials/credentials';
import type { Reason } from '../../store/credentials/refusals';
import { databaseOf } from '../../store/d1/databases';
import type { OrgStore } from '../../store/org/open';
import { knownProfiles } from '../../store/org/profile';
import { publicUrl } from '../addresses';
import { type App, actorOf, addressOf, inBackground } from '../context';
import { orgFor } from '../org';
import { noteArrivals } from './arrivals';
import { noteOutcomes, statusOf } from './outcome';
import {
  becomeKnown,
  becomeUnknown,
  callers,
  orgTooFast,
  RATE_DEFAULT,
  searchesTooMuch,
  strangerTooOften,
  wasTooFast,
} from './rate-limits';
import { noteRefusal, rateLimitedFor, refusalFor, refusedAlready } from './refusal';

/** What the header says; nothing of it is checked. */
interface Header {
  readonly secret: string;
  /** The kinds that may be presented like this. */
  readonly kinds: readonly SecretKind[];
  /** Of Basic: the slug of the org. */
  readonly userName?: string;
}

const BEARER: readonly SecretKind[] = ['token', 'oauth_access'];
const BASIC: readonly SecretKind[] = ['basic'];

/**
 * `Bearer <token>`, `<token>` alone (Okta's Header template sends it verbatim), a token behind another scheme's name
 * (Ping's header type is free text), or Basic with the org's slug as user name (RFC 7617).
 */
function read(header: string | undefined): Header | undefined {
  const [, scheme, secret] = /^\s*(?:([\w-]+)\s+)?(\S+)\s*$/.exec(header ?? '') ?? [];
  if (secret === undefined) return undefined;
  if (scheme?.toLowerCase() !== 'basic') return { secret, kinds: BEARER };
  const pair = basicPair(secret);
  return pair && { userName: pair.userName, secret: pair.password, kinds: BASIC };
}

/** What is behind `Basic` (RFC 7617 §2). */
export function basicPair(base64: string): { readonly userName: string; readonly password: string } | undefined {
  const pair = decoded(base64);
  const colon = pair?.indexOf(':') ?? -1;
  return pair === undefined || colon < 0
    ? undefined
    : { userName: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

function decoded(base64: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(
      Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)),
    );
  } catch {
    return undefined;
  }
}

/**
 * Bytes of a body from which on a credential that is not known here is checked by a round trip of its own, before the
 * body is read: a forged one must not make us parse a megabyte.
 */
const LARGE_BODY = 32_768;

/** A length that is not said may be any. */
function hasLargeBody({ raw }: Context<App>['req']): boolean {
  if (raw.body === null) return false;
  const length = raw.headers.get('Content-Length');
  return length === null || !(Number(length) <= LARGE_BODY);
}

/**
 * The identity provider's API. A slug in the path, or as user name, must be that of the credential's org. Every invalid
 * credential gets the same 401; the org's administrator can find out why. What costs least is looked at first: the
 * header, the checksum, the rate limits, and then D1.
 */
export const authenticate = createMiddleware<App>(async (c, next) => {
  const authorization = c.req.header('Authorization');
  const header = read(authorization);
  const path = c.req.param('slug');
  const named = { slug: path, userName: header?.userName };
  const form = header && formOf(header.secret);
  const hash = form?.ok ? await hashOf(header!.secret) : '';
  const known = callers.get(hash);
  // The checksum of a text that was good here before need not be computed.
  const secret = known === undefined && form?.ok ? await recognise(header!.secret) : form;
  if (!secret?.ok) throw await refusalFor(c, { ...named, ...(await faultOf(authorization, header?.secret)) });
  const presented = { ...named, hash, orgId: secret.orgId };
  if (!header!.kinds.includes(secret.kind)) {
    throw await refusalFor(c, { ...presented, reason: 'wrong_kind', hint: secret.kind });
  }
  const slug = header!.userName ?? path;
  if (path !== undefined && slug !== path) throw await refusalFor(c, presented);
  const seconds = known === undefined ? await strangerTooOften(c, hash) : await orgTooFast(c, known);
  if (seconds !== undefined) {
    if (known === undefined) throw rateLimitedFor(c, { ...presented, hint: RATE_LIMITED }, seconds);
    noteRefusal(c, { ...presented, reason: 'rate_limited' });
    throw tooFast(seconds);
  }

  // Not cut from the path, which may be written with escapes (`/%73cim/v2`).
  const baseUrl = `${publicUrl(c)}${path === undefined ? '' : `/orgs/${path}`}/scim/v2`;
  let noted = 0;
  const note = (reason: Reason) => {
    noted++;
    noteRefusal(c, { ...presented, reason });
  };
  const limitSearches = async (cost: number) => {
    const seconds = await searchesTooMuch(c, hash, cost);
    if (seconds === undefined) return;
    note('rate_limited');
    throw tooManyRequests('The organization sends too many searches without an index: try again later', seconds);
  };
  const org = orgFor(c, { kind: 'credential', hash, orgId: secret.orgId, slug }, actorOf(c, 'idp'), baseUrl, note);
  c.set('org', { ...org, limitSearches });
  const { store } = c.var.org;
  let fault: unknown;
  let isCounted = known !== undefined;
  try {
    if (known === undefined && (hasLargeBody(c.req) || wasTooFast(secret.orgId))) {
      await underTypes(org, () => undefined); // so that the profile is known to the work
      const { id: orgId, settings } = store.tenant;
      isCounted = true;
      const wait = await orgTooFast(c, { orgId, rate: settings.rateLimit ?? RATE_DEFAULT });
      if (wait !== undefined) {
        note('rate_limited');
        throw tooFast(wait);
      }
    }
    await next();
    // Where nothing was read (a 404, a body that is not JSON, a discovery page), a bad credential still gets its 401.
    if (!store.isChecked) await store.verify();
  } catch (error) {
    fault = error;
  }
  afterUse(c, store);
  if (store.refusal === 'unauthorized') {
    if (known !== undefined) becomeUnknown(c, hash);
    // A caller that was not known is counted already.
    fault = known === undefined ? refusedAlready(c, presented) : await refusalFor(c, presented);
  } else if (store.refusal !== undefined) {
    note(store.refusal);
    if (known === undefined) becomeKnown(c, hash, { id: secret.orgId, settings: {} }, true);
  } else if (store.latestTenant !== undefined) {
    if (known === undefined) becomeKnown(c, hash, store.latestTenant, isCounted);
    else callers.keep(hash, store.latestTenant);
  }
  // The text of a good credential says whose it is, too. Where D1 could not be asked: whose it was here before.
  const orgId = store.latestTenant?.id ?? (store.isChecked ? secret.orgId : callers.get(hash)?.orgId);
  if (store.refusal === undefined && orgId !== undefined) {
    const path = c.req.path.replace(/^.*?\/scim\/v2/, '');
    const [error, status] = fault === undefined ? [c.error, c.res.status] : [fault, statusOf(fault)];
    const request = { method: c.req.method, path, status, error };
    noteOutcomes(
      c,
      { orgId, hash, credentialId: store.presented?.id },
      [request, ...(c.get('operations') ?? [])],
      noted,
    );
    if (store.latestTenant !== undefined) noteArrivals(c, orgId, knownProfiles.get(store.caller).types);
  }
  if (fault === undefined) return;
  c.res = undefined; // or Hono would keep its headers: the Allow of a 405 tells a stranger which paths there are
  throw fault;
});

const tooFast = (seconds: number) =>
  tooManyRequests('The organization sends too many requests: try again later', seconds);

/** What follows from the use of a credential, off the answer's path. */
export function afterUse(c: Context<App>, { presented, refusal, latestTenant, now }: OrgStore): void {
  if (presented === undefined || refusal !== undefined || latestTenant === undefined) return;
  const { id, kind, subject, retiresPredecessor } = presented;
  if (isNoteworthy(presented, now)) {
    const use = { at: now, client: actorOf(c, 'idp').client, address: addressOf(c) };
    inBackground(c, noteUse(databaseOf(c.env, latestTenant.id), latestTenant.id, presented, use));
  }
  if (retiresPredecessor) {
    const line = { kind, subject } as Line;
    inBackground(c, coordinatorOf(c.env, latestTenant.id).retire(line, id, actorOf(c, 'idp')));
  }
}
