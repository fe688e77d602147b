/** What an application asks, whichever way it comes: unknown input -> a question -> the answer. Each is one D1 round trip. */
import * as z from 'zod/mini';
import { type EndCause, latestEnd } from '../../end-cause';
import { domainOf } from '../../scim/address';
import { invalidValue, ScimError } from '../../scim/error';
import { decide, decideNow, type Verdict } from '../../sessions/check';
import { type ShownPerson, shownPerson } from '../../sessions/person';
import { findPeople, type Key, readSessionState } from '../../store/directory/sign-in';
import { readCurrent, readEvents } from '../../store/journal/read';
import { findOrgsOfDomain } from '../../store/operations/domains';
import { page, refuseFuture, type ShownEvent, seq, shownEvent } from '../events';
import { iso, readInstant, type ShownValidAfter, shownValidAfter } from '../instants';
import { readAs } from '../validator';
import { type Host, org, storeFor, text } from './host';

const checkAsked = z.strictObject({
  org,
  user: text(100),
  issuedAt: z.union([z.date(), z.number(), z.string()], 'a Date, epoch milliseconds or ISO text was expected'),
});
const mayActAsked = z.strictObject({ org, user: text(100) });
const key = z.optional(text(16_384));
const resolveAsked = z.strictObject({ org, id: key, userName: key, email: key, externalId: key });
/** RFC 5321 §4.5.3.1: a local part of 64 and a domain of 255 octets. */
const discoverAsked = z.strictObject({ email: text(320) });
const eventsAsked = z.strictObject({ org, ...page });
const streamAsked = z.strictObject({ org, after: z.optional(seq) });

/** For docs/openapi.yaml. */
export const questions = {
  check: checkAsked,
  mayAct: mayActAsked,
  resolve: resolveAsked,
  discover: discoverAsked,
  events: eventsAsked,
  stream: streamAsked,
};

export type CheckAsked = z.input<typeof checkAsked>;
export type MayActAsked = z.input<typeof mayActAsked>;
export type ResolveAsked = z.input<typeof resolveAsked>;
export type DiscoverAsked = z.input<typeof discoverAsked>;
export type EventsAsked = z.input<typeof eventsAsked>;

/** `validAfter` is the later of the user's and the org's. */
export interface Checked extends Verdict, ShownValidAfter {}

/** The answer for someone who is not there, or whose org is not. */
export const NOBODY: Checked = { valid: false, reason: 'unknown', ...shownValidAfter(undefined) };

/**
 * Is this session good, as of now: read from the primary, so nothing committed is missed. Someone deleted is inactive,
 * and so is everybody of an org that is switched off. An org that was deleted is as unknown as one that never was.
 *
 * @throws ScimError 400.
 */
export async function check(host: Host, asked: unknown): Promise<Checked> {
  const question = readAs(checkAsked, asked, 'question');
  const issuedAt = readInstant('issuedAt', question.issuedAt);
  const state = await ifThere(readSessionState(storeFor(host, question.org, 'check'), question.user));
  if (!state?.isKnown) return NOBODY;
  const { isActive, validAfter } = state;
  return {
    ...decideNow([{ active: isActive, validAfter: validAfter ?? 0 }], issuedAt, Date.now()),
    ...shownValidAfter(validAfter),
  };
}

/** The answer of `mayAct` for someone who is not there, or whose org is not. */
export const NOBODY_ACTS: Verdict = { valid: false, reason: 'unknown' };

/**
 * May this user act now, whatever was signed out before? For API keys and all else that outlives sessions. Read from the
 * primary, as `check`.
 *
 * @throws ScimError 400.
 */
export async function mayAct(host: Host, asked: unknown): Promise<Verdict> {
  const { org, user } = readAs(mayActAsked, asked, 'question');
  const state = await ifThere(readSessionState(storeFor(host, org, 'check'), user));
  if (!state?.isKnown) return NOBODY_ACTS;
  return decide([{ active: state.isActive, validAfter: 0 }], Date.now());
}

export type Resolved =
  | (ShownPerson &
      ShownValidAfter & {
        readonly found: true;
        /** Why the sessions before it are over, for the application's own message; null: none were ended, or it is not known. */
        readonly endedBy: EndCause | null;
        readonly org: { readonly id: string; readonly slug: string };
      })
  | {
      readonly found: false;
      /** Several people have this address or externalId: which of them is meant is not guessed. */
      readonly ambiguous?: true;
      /** They were deleted: an application that creates people at their first sign-in must not create them again. */
      readonly removed?: true;
      /** ISO text. */
      readonly removedAt?: string;
    };

/**
 * The login gate: who is this, may they sign in, and what may they do then? Somebody deleted is not found, and is said to be
 * removed. Somebody deactivated is found, and is not active.
 *
 * @throws ScimError 400.
 */
export async function resolve(host: Host, asked: unknown): Promise<Resolved> {
  const { org, ...keys } = readAs(resolveAsked, asked, 'question');
  const given = Object.entries(keys).filter(([, value]) => value !== undefined) as [Key, string][];
  if (given.length !== 1) throw invalidValue('One of id, userName, email and externalId was expected');
  const store = storeFor(host, org, 'resolve');
  const { people = [], removedAt } = (await ifThere(findPeople(store, ...given[0]!))) ?? {};
  if (removedAt !== undefined) return { found: false, removed: true, removedAt: iso(removedAt)! };
  const [person] = people;
  if (person === undefined) return { found: false };
  if (people.length > 1) return { found: false, ambiguous: true };
  const { id, slug } = store.tenant;
  const { validAfter, endedBy = null } = latestEnd(person, store.tenant);
  return {
    found: true,
    ...shownPerson(store.tenant, person),
    ...shownValidAfter(validAfter),
    endedBy,
    org: { id, slug },
  };
}

export interface Discovered {
  /** By their slugs. */
  readonly orgs: readonly {
    readonly id: string;
    readonly slug: string;
    readonly name: string;
    /** The name of the org's SSO connection; true: it has one without a name. null: it has none. */
    readonly sso: string | boolean | null;
  }[];
  /** A database is missing: orgs that are there are not named. Ask again later before you say that there is none. */
  readonly incomplete?: true;
}

/**
 * Which orgs have verified the domain of this address: where somebody may sign in who has said no more than it. It does not
 * say whether any of them knows the address.
 *
 * @throws ScimError 400.
 */
export async function discover(host: Host, asked: unknown): Promise<Discovered> {
  const { email } = readAs(discoverAsked, asked, 'question');
  const { orgs, isIncomplete } = await findOrgsOfDomain(host.env, domainOf(email), MAX_DISCOVERED, host.token);
  return {
    orgs: orgs.map(({ id, slug, name, settings }) => ({ id, slug, name, sso: settings.sso ?? null })),
    ...(isIncomplete && { incomplete: true }),
  };
}

export interface Events {
  readonly events: readonly ShownEvent[];
  /** What to ask after next. There is more, perhaps of other types only, while it is smaller than `current`. */
  readonly next: number;
  /** The org's latest event. */
  readonly current: number;
  /** Events up to this one may be gone by their age: whoever asks after an earlier one has missed some. 0: none is gone. */
  readonly pruned: number;
}

/** The journal after a cursor, in order, and gapless but for what is gone by its age. @throws ScimError 400, 404. */
export async function events(host: Host, asked: unknown): Promise<Events> {
  const { org, after, limit, types } = readAs(eventsAsked, asked, 'question');
  const found = await readEvents(storeFor(host, org, 'lists'), { after, limit, types });
  refuseFuture(after, found);
  return { events: found.events.map(shownEvent), next: found.next, current: found.current, pruned: found.pruned };
}

/** Orgs of one domain that are named. */
const MAX_DISCOVERED = 100;

/** Where a stream begins. */
export interface Beginning {
  readonly orgId: string;
  /** The states that changed after this one are sent. */
  readonly after: number;
  readonly current: number;
}

/** @throws ScimError 400, 404. */
export async function streamFrom(host: Host, asked: unknown): Promise<Beginning> {
  const { org, after } = readAs(streamAsked, asked, 'question');
  const store = storeFor(host, org, 'check');
  const current = await readCurrent(store);
  if (after !== undefined) refuseFuture(after, { current });
  return { orgId: store.tenant.id, after: after ?? current, current };
}

/** An unknown org has no users: this is an answer, not an error. */
async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ScimError && error.status === 404) return undefined;
    throw error;
  }
}
