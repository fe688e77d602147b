/** What a security event token does to the org that it is for, whether it was pushed or polled. */
import type { JWTPayload } from 'jose';
import { FRESH, TOLERANCE } from '../credentials/signal-token';
import { type Org, publishAll } from '../provisioning/org';
import { ScimError } from '../scim/error';
import type { Once } from '../store/credentials/oauth-clients';
import { type Noted, receiving, type SignalSource, SourceGone } from '../store/credentials/signal-sources';
import { Taken, Unmet } from '../store/d1/batch';
import { findMeant, type Lookups, MAX_MEANT, noteSignals } from '../store/directory/signal-subjects';
import { type SignedOut, signOutUsers } from '../store/directory/user-changes';
import { consequenceOf, eventsOf, type SecurityEvent } from './security-event';
import { subjectOf } from './subject-identifier';

/** A token whose signature is right. */
export interface SecurityEventToken {
  readonly source: SignalSource;
  /** Its store is bound to no signal yet: see `receiving`. */
  readonly org: Org;
  readonly claims: JWTPayload;
  /** Epoch milliseconds; an event always says so. */
  readonly issuedAt: number | undefined;
  readonly once: Once;
}

/** The token tells of nothing that can be accepted. Nothing was changed. */
export class Malformed extends Error {
  /** @param err as the transmitter is told (RFC 8935, section 2.4; SSF 1.0, section 8.1.4.1). */
  constructor(
    message: string,
    readonly err: 'invalid_request' | 'invalid_state' = 'invalid_request',
  ) {
    super(message);
  }
}

/** The events of one token that name one person, and what follows from them. */
interface Act {
  readonly event: SecurityEvent;
  readonly ends: boolean;
  readonly lookups: Lookups;
}

/**
 * Carries out what the token asks for, in one write: all of it or nothing.
 *
 * @param note tells the org's administrator why an event came to nothing, by a hint of refusals.
 * @returns once it is committed, or was before. @throws Malformed, SourceGone.
 */
export async function receiveEvents(token: SecurityEventToken, note: (hint: string) => void): Promise<void> {
  const { source, claims, org } = token;
  const events = eventsOf(claims['events']);
  if (events === undefined) {
    note('event');
    throw new Malformed('events: an object with one event was expected (RFC 8417, section 2.2)');
  }
  const { acts, stream } = judge(token, events, note);
  const store = receiving(org.store, source, token.once, stream);
  try {
    if (acts.length === 0) {
      if (stream !== undefined) await store.write();
      return;
    }
    const meant = await findMeant(store, ...acts.map(({ lookups }) => lookups));
    for (const users of new Set(meant)) {
      if (users.length === 0) note('subject');
      if (users.length > MAX_MEANT) note('ambiguous');
    }
    const found = acts.map((act, i) => ({ ...act, users: meant[i]!.length > MAX_MEANT ? [] : meant[i]! }));
    const [signedOut, noted] = [told(source, found, true), told(source, found, false)];
    if (signedOut.length > 0) {
      const ended = new Set(signedOut.flatMap(({ userIds }) => userIds));
      const others = noted.map((one) => ({ ...one, userIds: one.userIds.filter((id) => !ended.has(id)) }));
      const also = noteSignals(store, org.actor, others);
      await publishAll({ ...org, store }, await signOutUsers(store, signedOut, org.actor, lateUntil(token), also));
    } else if (noted.length > 0) await store.write(...noteSignals(store, org.actor, noted));
    else if (stream !== undefined) await store.write();
  } catch (error) {
    // A transmitter repeats what it has no answer to: it was carried out.
    if (error instanceof Taken && error.columns.startsWith('assertions.')) return;
    if (isGone(error)) throw new SourceGone('the source was removed');
    throw error;
  }
}

/** The source, or its org, was removed meanwhile, or the source was paused. */
export const isGone = (error: unknown): boolean =>
  error instanceof SourceGone ||
  (error instanceof Unmet && error.expectation === 'signal_source') ||
  (error instanceof ScimError && error.status === 404);

/**
 * What each event asks for, and of whom. The token's `sub_id` is the subject of all its events (SSF 1.0). Without it each event
 * has a subject of its own, as in the drafts before. Malformed subjects refuse the whole token.
 */
function judge({ source, claims }: SecurityEventToken, events: readonly SecurityEvent[], note: (hint: string) => void) {
  const acts: Act[] = [];
  let stream: Noted | undefined;
  const hints = new Map<unknown, string>();
  const subjects = new Map<unknown, Lookups>();
  for (const event of events) {
    const consequence = consequenceOf(event, source.policy);
    if (consequence === 'own') hints.set(event, 'initiator');
    if (consequence === 'verification' || consequence === 'stream-updated') checkStream(source, claims['sub_id'], note);
    if (consequence === 'verification') stream = { ...stream, verified: isVerifying(source, event, note) };
    if (consequence === 'stream-updated') stream = { ...stream, status: statusOf(event) };
    if (consequence !== 'end' && consequence !== 'note') continue;
    const identifier = claims['sub_id'] ?? event.members['subject'];
    const subject = subjectOf(identifier, source);
    if ('lookups' in subject) {
      const lookups = subjects.get(identifier) ?? subject.lookups; // the same for the same, to be looked up once
      subjects.set(identifier, lookups);
      acts.push({ event, ends: consequence === 'end', lookups });
    } else if (subject.fault === 'malformed') {
      note('event');
      throw new Malformed('sub_id: a subject identifier was expected (RFC 9493)');
    } else hints.set(identifier, subject.fault);
  }
  for (const hint of hints.values()) note(hint);
  return { acts, stream };
}

/** Each person once, by the first event that names the person. */
function told(
  { issuer }: SignalSource,
  found: readonly (Act & { readonly users: readonly string[] })[],
  ends: boolean,
): SignedOut[] {
  const byEvent = new Map<string, string[]>();
  const seen = new Set<string>();
  for (const { event, users } of found.filter((act) => act.ends === ends)) {
    const news = users.filter((id) => !seen.has(id));
    for (const id of news) seen.add(id);
    if (news.length > 0) byEvent.set(event.name, [...(byEvent.get(event.name) ?? []), ...news]);
  }
  return [...byEvent].map(([event, userIds]) => ({ userIds, details: { cause: 'signal', event, issuer } }));
}

/**
 * Of an event that comes late: until when the sessions that it ends were issued. Who has signed in since then stays, and a
 * repetition whose `jti` nobody remembers any more changes nothing.
 */
function lateUntil({ issuedAt = 0, org }: SecurityEventToken): number | undefined {
  const { now } = org.store;
  return issuedAt < now - FRESH * 1_000 ? issuedAt + TOLERANCE * 1_000 : undefined;
}

/** SSF 1.0 §8.1.4.1: the subject is the stream. Older transmitters name none, and of a stream made by hand we do not know the id. */
function checkStream({ stream }: SignalSource, subject: unknown, note: (hint: string) => void): void {
  const { format, id } = (subject ?? {}) as { format?: unknown; id?: unknown };
  if (stream?.id === undefined || format !== 'opaque' || id === stream.id) return;
  note('event');
  throw new Malformed('sub_id: the id of the stream was expected');
}

/** One that nobody asked for has no state. It says that the stream works, too. @throws Malformed: it answers another request. */
function isVerifying({ stream }: SignalSource, { members }: SecurityEvent, note: (hint: string) => void): true {
  const { state } = members;
  if (state === undefined || stream?.state === undefined || state === stream.state) return true;
  note('state');
  throw new Malformed('state: it is not the one that was sent with the request', 'invalid_state');
}

const STATUSES = ['enabled', 'paused', 'disabled'];

const statusOf = ({ members }: SecurityEvent): string =>
  STATUSES.find((status) => status === members['status']) ?? 'unknown';
