/** What a security event token does to the org that it is for, whether it was pushed or polled. */
import type { JWTPayload } from 'jose';
import { FRESH, TOLERANCE } from '../credentials/signal-token';
import type { Org } from '../provisioning/org';
import type { Once } from '../store/credentials/oauth-clients';
import { type Noted, receiving, type SignalSource, SourceGone } from '../store/credentials/signal-sources';
import type { Lookups } from '../store/directory/signal-subjects';
import type { OrgStore } from '../store/org/open';
import { type Act, type Done, isUsed, type Ordered } from './carry-out';
import { isGone, type Taken } from './inbox';
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

/**
 * Carries out what the token asks for: all of it or nothing.
 *
 * @param note tells the org's administrator why an event came to nothing, by a hint of refusals.
 * @param take carries out what it orders (inbox.ts).
 * @returns once it is committed, or was before. @throws Malformed, SourceGone, NotNow.
 */
export async function receiveEvents<T extends Answer>(
  token: SecurityEventToken,
  note: (hint: string) => void,
  take: (ordered: Ordered) => Promise<T>,
): Promise<void> {
  const { source, claims, org, once } = token;
  const events = eventsOf(claims['events']);
  if (events === undefined) {
    note('event');
    throw new Malformed('events: an object with one event was expected (RFC 8417, section 2.2)');
  }
  const { acts, stream } = judge(token, events, note);
  if (acts.length === 0) {
    if (stream !== undefined) await noteStream(org.store, source, once, stream);
    return;
  }
  const until = lateUntil(token);
  const ordered: Ordered = {
    ...{ source: { id: source.id, issuer: source.issuer }, once, acts, actor: org.actor },
    ...(until !== undefined && { until }),
    ...(stream && { stream }),
  };
  const answer = await take(ordered);
  for (const hint of doneOf(answer).hints) note(hint);
}

/** What an inbox says of a signal, here or in another object. */
export type Answer = Done | Exclude<Taken, Done>;

/** Not carried out: it is to come again. */
export class NotNow extends Error {
  constructor(
    readonly isFull: boolean,
    /** Seconds. */
    readonly wait: number,
  ) {
    super('the signal was not carried out yet');
  }
}

/** @throws SourceGone, NotNow. */
export function doneOf<T extends Answer>(answer: T): Extract<T, Done> {
  if (answer.became === 'gone') throw new SourceGone('the source was removed or paused');
  if (answer.became === 'busy') throw new NotNow(answer.isFull, answer.wait);
  return answer as Extract<T, Done>;
}

/** @throws SourceGone. */
async function noteStream(store: OrgStore, source: SignalSource, once: Once, stream: Noted): Promise<void> {
  try {
    await receiving(store, source, [once], stream).write();
  } catch (error) {
    // A transmitter repeats what it has no answer to: it was carried out.
    if (isUsed(error)) return;
    if (isGone(error)) throw new SourceGone('the source was removed');
    throw error;
  }
}

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
      acts.push({ event: event.name, ends: consequence === 'end', lookups });
    } else if (subject.fault === 'malformed') {
      note('event');
      throw new Malformed('sub_id: a subject identifier was expected (RFC 9493)');
    } else hints.set(identifier, subject.fault);
  }
  for (const hint of hints.values()) note(hint);
  return { acts, stream };
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
