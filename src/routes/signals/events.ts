/** The push endpoint of an org's streams (RFC 8935): a transmitter posts a security event token. */
import { type Context, Hono } from 'hono';
import { EVENT, FRESH, type SignalFault, TOLERANCE } from '../../credentials/signal-token';
import { ScimError } from '../../scim/error';
import { mediaTypesOf } from '../../scim/quirks';
import { endSessionsOf } from '../../signals/receive';
import { consequenceOf, eventsOf, type SecurityEvent } from '../../signals/security-event';
import { type Subject, subjectOf } from '../../signals/subject-identifier';
import { type Noted, receiving, SourceGone } from '../../store/credentials/signal-sources';
import { Taken } from '../../store/d1/batch';
import { findMeant, MAX_MEANT, noteSignalOf } from '../../store/directory/signal-subjects';
import { refuse } from '../access/guard';
import { readBytes } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { authenticateSignal, forgetSource, noteSignal, onceMoreIfGone, orgIdOf, type Signal } from './authenticate';
import { isGone } from './global-token-revocation';

/** RFC 8935 §2.3. */
class Refused extends Error {
  constructor(
    readonly err: 'invalid_request' | 'invalid_audience' | 'authentication_failed',
    readonly description: string,
  ) {
    super(description);
  }
}

export const events = new Hono<App>();

events.post('/', async (c) => {
  if (!mediaTypesOf(c.req.header('Content-Type')).every((type) => type === 'application/secevent+jwt')) {
    throw new Refused('invalid_request', 'Content-Type: application/secevent+jwt was expected');
  }
  const token = await readToken(c);
  const work = async () => {
    const authentication = await authenticateSignal(c, token, EVENT);
    if (!authentication.ok) {
      const { fault, wait } = authentication;
      if (wait !== undefined) return c.body(null, fault === 'unavailable' ? 503 : 429, { 'Retry-After': String(wait) });
      throw refusalOf(fault as SignalFault);
    }
    await received(c, authentication.signal);
    return c.body(null, 202);
  };
  return onceMoreIfGone(c, work, () => refusalOf('issuer'));
});

events.all('/', allowOnly('POST'));

events.onError((error, c) => {
  if (!(error instanceof Refused)) return refuse(error, c);
  return c.json({ err: error.err, description: error.description }, 400);
});

async function readToken(c: Context<App>): Promise<string | undefined> {
  try {
    const text = new TextDecoder().decode(await readBytes(c.req.raw, EVENT.longest)).trim();
    return text === '' ? undefined : text;
  } catch (error) {
    if (error instanceof ScimError) throw new Refused('invalid_request', error.detail);
    throw error;
  }
}

/**
 * Of a token whose signature nobody has checked one thing alone is said, whatever is wrong: else a stranger could learn
 * which issuers an org has.
 */
function refusalOf(fault: SignalFault): Refused {
  if (fault === 'issuer' || fault === 'key' || fault === 'signature' || fault === 'jwks') {
    return new Refused('authentication_failed', 'The token is not of a transmitter of this receiver');
  }
  if (fault === 'audience') return new Refused('invalid_audience', 'The token is not for this receiver');
  return new Refused('invalid_request', SAID[fault] ?? 'The token cannot be read');
}

const SAID: Partial<Record<SignalFault, string>> = {
  missing: 'A security event token was expected as the body',
  type: `The typ of the token has to be ${EVENT.typ}`,
  algorithm: 'The token has to be signed with a public key',
  jti: 'The token needs a jti',
  time: 'The token needs an iat, which is not more than five minutes ahead',
  expired: 'The token has expired',
};

/** @returns once it is committed. @throws Refused, SourceGone. */
async function received(c: Context<App>, signal: Signal): Promise<void> {
  const { source, claims, org } = signal;
  const all = eventsOf(claims['events']);
  if (all === undefined) throw malformed(c, 'events: an object with one event was expected (RFC 8417, section 2.2)');
  const [ending, noted]: [SecurityEvent[], SecurityEvent[]] = [[], []];
  let streams: Noted | undefined;
  for (const event of all) {
    const consequence = consequenceOf(event, source.policy);
    if (consequence === 'end') ending.push(event);
    if (consequence === 'note') noted.push(event);
    if (consequence === 'own') noteSignal(c, 'initiator');
    if (consequence === 'verification') streams = { ...streams, verified: isVerifying(c, signal, event) };
    if (consequence === 'stream-updated') streams = { ...streams, status: statusOf(event) };
  }
  const store = receiving(org.store, source, signal.once, streams);
  const [first = noted[0]] = ending;
  try {
    if (first === undefined) {
      if (streams !== undefined) await store.write();
      return;
    }
    const subject = subjectOf(claims['sub_id'] ?? first.members['subject'], source);
    const userIds = await meantBy(c, subject, (lookups) => findMeant(store, lookups));
    if (userIds.length === 0) return;
    const details = { cause: 'signal', event: first.name, issuer: source.issuer };
    if (ending.length > 0) await endSessionsOf({ ...org, store }, userIds, details, lateUntil(signal));
    else await noteSignalOf(store, userIds, org.actor, details);
  } catch (error) {
    // A transmitter repeats what it has no answer to: it was carried out.
    if (error instanceof Taken && error.columns.startsWith('assertions.')) return;
    if (!isGone(error)) throw error;
    forgetSource(orgIdOf(c)!, source);
    throw new SourceGone('the source was removed');
  }
}

/** Whom it means; nobody is no error (RFC 8935 knows none), and noted. @throws Refused. */
async function meantBy(
  c: Context<App>,
  subject: Subject,
  find: (lookups: Extract<Subject, { lookups: unknown }>['lookups']) => Promise<string[]>,
): Promise<string[]> {
  if (!('lookups' in subject)) {
    if (subject.fault === 'malformed') throw malformed(c, 'sub_id: a subject identifier was expected (RFC 9493)');
    noteSignal(c, subject.fault);
    return [];
  }
  const userIds = await find(subject.lookups);
  if (userIds.length > 0 && userIds.length <= MAX_MEANT) return userIds;
  noteSignal(c, userIds.length === 0 ? 'subject' : 'ambiguous');
  return [];
}

/**
 * Of an event that comes late: until when the sessions that it ends were issued. Who has signed in since then stays, and a
 * repetition whose `jti` nobody remembers any more changes nothing.
 */
function lateUntil({ issuedAt = 0, org }: Signal): number | undefined {
  const { now } = org.store;
  return issuedAt < now - FRESH * 1_000 ? issuedAt + TOLERANCE * 1_000 : undefined;
}

/** Whether it is the answer to what was asked; one that nobody asked for says that the stream works, too. */
function isVerifying(c: Context<App>, { source }: Signal, { members }: SecurityEvent): boolean {
  const { state } = members;
  if (state === undefined || source.stream?.state === undefined || state === source.stream.state) return true;
  noteSignal(c, 'state');
  return false;
}

const STATUSES = ['enabled', 'paused', 'disabled'];

const statusOf = ({ members }: SecurityEvent): string =>
  STATUSES.find((status) => status === members['status']) ?? 'unknown';

function malformed(c: Context<App>, description: string): Refused {
  noteSignal(c, 'event');
  return new Refused('invalid_request', description);
}
