/**
 * A signed token -> its source and what it says. What costs least is looked at first: the token's own words, then what
 * this isolate remembers of its source, the rate limits, D1, and the keys of the issuer.
 */
import type { Context } from 'hono';
import type { JWTPayload } from 'jose';
import { PAUSE } from '../../credentials/jwks';
import { BRAKED } from '../../credentials/refusal';
import { hashOf } from '../../credentials/secret';
import { type Kind, REVOCATION, readSignal, type SignalFault, verifySignal } from '../../credentials/signal-token';
import { signalActor } from '../../end-cause';
import { settings } from '../../env';
import type { Org } from '../../provisioning/org';
import { ScimError } from '../../scim/error';
import type { Once } from '../../store/credentials/oauth-clients';
import { findSource, type SignalSource, type SourceType } from '../../store/credentials/signal-sources';
import type { OrgStore } from '../../store/org/open';
import { becomeSeen, failedTooOften, Recent, signalsTooFast, strangerTooOften } from '../access/rate-limits';
import { noteRefusal } from '../access/refusal';
import { publicUrl } from '../addresses';
import { type App, actorOf } from '../context';
import { orgFor } from '../org';

/** As the service makes ids of orgs (credentials/secret.ts). */
const ORG_ID = /^[0-9A-Za-z]{12}$/;

/** Where an org receives signals of a type. */
export const signalUrl = (c: Context<App>, orgId: string, type: SourceType): string =>
  `${publicUrl(c)}/signals/${orgId}/${type === 'ssf' ? 'events' : type}`;

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
      readonly fault: SignalFault | 'rate_limited';
      /** Seconds, where the same signal may be good later. */
      readonly wait?: number;
    };

/**
 * Sources whose signals were good here, by org, type and issuer. They never change. Whether one is still there, each batch
 * asks (`receiving`).
 */
const seen = new Recent<SignalSource>(5_000);

const keyOf = (orgId: string, type: SourceType, issuer: string) => `${orgId} ${type} ${issuer}`;

export const forgetSource = (orgId: string, { type, issuer }: Pick<SignalSource, 'type' | 'issuer'>): void =>
  void seen.forget(keyOf(orgId, type, issuer));

/** Notes for the org's administrator why a signal came to nothing. */
export const noteSignal = (c: Context<App>, hint: string): void =>
  noteRefusal(c, { reason: 'signal', hint, orgId: orgIdOf(c) });

/** Of the path; undefined: it can be no org's. */
export function orgIdOf(c: Context<App>): string | undefined {
  const org = c.req.param('org') ?? '';
  return ORG_ID.test(org) ? org : undefined;
}

/** A signal that is not good: counted for its address, unless that was done, and noted. */
async function refused(c: Context<App>, fault: SignalFault, isCounted: boolean): Promise<Authentication> {
  const seconds = isCounted ? undefined : await failedTooOften(c);
  noteSignal(c, fault);
  return seconds === undefined ? { ok: false, fault } : { ok: false, fault: 'rate_limited', wait: seconds };
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
  if (text === undefined) return refused(c, 'missing', false);
  const read = readSignal(text, kind, now);
  if (!read.ok) return refused(c, read.fault, false);
  if (orgId === undefined) return refused(c, 'issuer', false);
  const key = keyOf(orgId, type, read.issuer);
  const known = seen.get(key);
  const actor = { ...actorOf(c, signalActor(read.issuer)) };
  const org = orgFor(c, { kind: 'id', id: orgId }, actor, `${publicUrl(c)}/scim/v2`);
  const hash = await hashOf(`signal ${key}`);
  if (known === undefined) {
    const seconds = await strangerTooOften(c, hash);
    if (seconds !== undefined) {
      noteSignal(c, BRAKED);
      return { ok: false, fault: 'rate_limited', wait: seconds };
    }
  }
  const source = known ?? (await sourceOf(org.store, type, read.issuer));
  if (source === undefined) return refused(c, 'issuer', true);
  const verified = await verifySignal(text, kind, {
    issuer: source.issuer,
    jwksUrl: source.jwksUrl,
    audience: source.audience ?? signalUrl(c, orgId, type),
    now,
    allowsLoopback: settings(c.env).allowsLoopbackJwks,
  });
  if (!verified.ok) {
    if (verified.fault !== 'unavailable') return refused(c, verified.fault, known === undefined);
    noteSignal(c, 'unavailable');
    return { ok: false, fault: 'unavailable', wait: PAUSE / 1_000 };
  }
  seen.keep(key, source);
  if (known === undefined) becomeSeen(c, hash);
  const wait = await signalsTooFast(c, orgId);
  if (wait !== undefined) {
    noteSignal(c, 'rate_limited');
    return { ok: false, fault: 'rate_limited', wait };
  }
  const { claims, once } = verified;
  return { ok: true, signal: { source, org, claims, once, issuedAt: read.issuedAt } };
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
