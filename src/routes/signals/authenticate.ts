/**
 * A signed token -> its source and what it says. What costs least is looked at first: the token's own words, then what
 * this isolate remembers of its source, the rate limits, D1, and the keys of the issuer.
 */
import type { Context } from 'hono';
import type { JWTPayload } from 'jose';
import { PAUSE } from '../../credentials/jwks';
import { RATE_LIMITED } from '../../credentials/refusal';
import { hashOf } from '../../credentials/secret';
import { type Kind, REVOCATION, readSignal, type SignalFault, verifySignal } from '../../credentials/signal-token';
import { signalActor } from '../../end-cause';
import { settings } from '../../env';
import type { Org } from '../../provisioning/org';
import { ScimError } from '../../scim/error';
import type { Once } from '../../store/credentials/oauth-clients';
import type { ClaimedSource } from '../../store/credentials/refusals';
import { findSource, type SignalSource, SourceGone, type SourceType } from '../../store/credentials/signal-sources';
import type { OrgStore } from '../../store/org/open';
import { becomeSeen, failedTooOften, Recent, signalsTooFast, strangerTooOften } from '../access/rate-limits';
import { noteRefusal } from '../access/refusal';
import { publicUrl, signalUrl } from '../addresses';
import { type App, actorOf } from '../context';
import { orgFor } from '../org';

/** As the service makes ids of orgs (credentials/secret.ts). */
const ORG_ID = /^[0-9A-Za-z]{12}$/;

/** A signal whose signature is right. */
export interface Signal {
  readonly source: SignalSource;
  /** Its store is bound to no signal yet: see `receiving`. */
  readonly org: Org;
  readonly claims: JWTPayload;
  /** Epoch milliseconds; an event always says so. */
  readonly issuedAt: number | undefined;
  readonly once: Once;
}

export type Authentication =
  | { readonly ok: true; readonly signal: Signal }
  | {
      readonly ok: false;
      readonly fault: SignalFault | 'rate_limited' | 'paused';
      /** Seconds, where the same signal may be good later. */
      readonly wait?: number;
    };

interface Seen {
  readonly source: SignalSource;
  /** A signal of it was good here. */
  readonly isProved: boolean;
  /** Epoch milliseconds. */
  readonly foundAt: number;
}

/** Milliseconds. A signal from which nothing follows asks no batch whether its source is still there. */
const REMEMBERED = 300_000;

/** Seconds after which a sender may try again whose source is paused. */
const PAUSED = 300;

/**
 * Sources that were found here, by org, type and issuer. They never change, but one may take another's place. Whether one is
 * still there, each batch asks (`receiving`).
 */
const seen = new Recent<Seen>(5_000);

const keyOf = (orgId: string, type: SourceType, issuer: string) => `${orgId} ${type} ${issuer}`;

export const forgetSource = (orgId: string, { type, issuer }: Pick<SignalSource, 'type' | 'issuer'>): void =>
  void seen.forget(keyOf(orgId, type, issuer));

/**
 * Notes for the org's administrator why a signal came to nothing.
 *
 * @param of its source, or, before that was looked up, the source that its token names.
 */
export function noteSignal(c: Context<App>, hint: string, of?: Pick<SignalSource, 'id'> | ClaimedSource): void {
  const source = of === undefined ? {} : 'id' in of ? { credentialId: of.id } : { claimed: of };
  noteRefusal(c, { reason: 'signal', hint, orgId: orgIdOf(c), ...source });
}

/** Of the path; undefined: it can be no org's. */
export function orgIdOf(c: Context<App>): string | undefined {
  const org = c.req.param('org') ?? '';
  return ORG_ID.test(org) ? org : undefined;
}

/** A signal that is not good: counted for its address, and noted. */
async function refused(c: Context<App>, fault: SignalFault, claimed?: ClaimedSource): Promise<Authentication> {
  const seconds = await failedTooOften(c);
  return refusedAlready(c, fault, claimed, seconds);
}

/**
 * One that was counted.
 *
 * @param of its source, or the source that it names.
 * @param wait seconds, when too many have come from its address. @param keysIn seconds until its keys may be there.
 */
function refusedAlready(
  c: Context<App>,
  fault: SignalFault,
  of?: SignalSource | ClaimedSource,
  wait?: number,
  keysIn = PAUSE / 1_000,
): Authentication {
  noteSignal(c, fault, of);
  if (fault === 'unavailable') return { ok: false, fault, wait: keysIn };
  return wait === undefined ? { ok: false, fault } : { ok: false, fault: 'rate_limited', wait };
}

/** @param text the token; undefined: none was sent. */
export async function authenticateSignal(
  c: Context<App>,
  text: string | undefined,
  kind: Kind,
): Promise<Authentication> {
  const type: SourceType = kind === REVOCATION ? 'global-token-revocation' : 'ssf';
  const now = Date.now();
  const orgId = orgIdOf(c);
  if (text === undefined) return refused(c, 'missing');
  const read = readSignal(text, kind, now);
  if (!read.ok) {
    const { fault, issuer } = read;
    return refused(c, fault, issuer === undefined ? undefined : { type, issuer });
  }
  if (orgId === undefined) return refused(c, 'issuer');
  const key = keyOf(orgId, type, read.issuer);
  const remembered = seen.get(key);
  const isUsable = remembered && now - remembered.foundAt < REMEMBERED && remembered.source.pausedAt === undefined;
  const known = isUsable ? remembered : undefined;
  const actor = { ...actorOf(c, signalActor(read.issuer)) };
  const org = orgFor(c, { kind: 'id', id: orgId }, actor, `${publicUrl(c)}/scim/v2`);
  const hash = await hashOf(`signal ${key}`);
  const verify = (source: SignalSource) =>
    verifySignal(text, kind, {
      issuer: source.issuer,
      jwksUrl: source.jwksUrl,
      audience: source.audience ?? signalUrl(c, orgId, type),
      now,
      allowsLoopback: settings(c.env).allowsLoopbackJwks,
    });
  let source = known?.source;
  let verified = source && (await verify(source));
  if (source === undefined || !verified?.ok) {
    // An issuer's name is no secret: it takes nobody past the limit more than once in an isolate.
    const seconds = known === undefined ? await strangerTooOften(c, hash) : await failedTooOften(c);
    if (seconds !== undefined) {
      if (verified?.ok === false) return refusedAlready(c, verified.fault, source, seconds, verified.wait);
      noteSignal(c, RATE_LIMITED, { type, issuer: read.issuer });
      return { ok: false, fault: 'rate_limited', wait: seconds };
    }
    // Another one with the same issuer may have taken the place of what is known here.
    const found = await sourceOf(org.store, type, read.issuer);
    if (found === undefined) {
      seen.forget(key);
      return refusedAlready(c, 'issuer');
    }
    if (found.id !== source?.id) {
      seen.keep(key, { source: found, isProved: false, foundAt: now });
      source = found;
      verified = await verify(found);
    }
  }
  if (!verified?.ok) return refusedAlready(c, verified?.fault ?? 'issuer', source, undefined, verified?.wait);
  if (source.pausedAt !== undefined) {
    seen.forget(key); // it may go on at any moment
    noteSignal(c, 'paused', source);
    return { ok: false, fault: 'paused', wait: PAUSED };
  }
  const { foundAt, isProved } = seen.get(key) ?? { foundAt: now, isProved: false };
  if (!isProved) {
    seen.keep(key, { source, isProved: true, foundAt });
    becomeSeen(c, hash);
  }
  const wait = await signalsTooFast(c, orgId);
  if (wait !== undefined) {
    noteSignal(c, 'rate_limited', source);
    return { ok: false, fault: 'rate_limited', wait };
  }
  const { claims, once } = verified;
  return { ok: true, signal: { source, org, claims, once, issuedAt: read.issuedAt } };
}

/**
 * Does it once more when the source that is remembered here was removed or paused: another one with the same issuer may have taken its
 * place, and a sender that is refused does not repeat.
 *
 * @param work authenticates, too. @param refusal when that one was removed as well.
 */
export async function onceMoreIfGone<T>(c: Context<App>, work: () => Promise<T>, refusal: () => Error): Promise<T> {
  const expectGone = (error: unknown) => {
    if (!(error instanceof SourceGone)) throw error;
  };
  try {
    return await work();
  } catch (error) {
    expectGone(error);
  }
  try {
    return await work();
  } catch (error) {
    expectGone(error);
    noteSignal(c, 'issuer');
    throw refusal();
  }
}

/** Undefined: there is no such source, or no such org. */
async function sourceOf(store: OrgStore, type: SourceType, issuer: string): Promise<SignalSource | undefined> {
  try {
    return await findSource(store, type, issuer);
  } catch (error) {
    if (error instanceof ScimError && error.status === 404) return undefined;
    throw error;
  }
}
