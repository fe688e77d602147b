/** What a host app asks, whichever way it comes: unknown input -> a question -> the answer. Each is one D1 round trip. */
import * as z from 'zod';
import type { Env } from '../../env';
import { invalidValue, ScimError } from '../../scim/error';
import type { Resource } from '../../scim/resource';
import { decide, type Verdict } from '../../sessions/check';
import { findPeople, type Key, readSessionState } from '../../store/directory/sign-in';
import { readCurrent, readEvents } from '../../store/journal/read';
import { openStore } from '../../store/org/open';
import { settingOf } from '../../store/org/settings';
import { page, refuseFuture, type ShownEvent, seq, shownEvent } from '../events';
import { iso, readInstant } from '../instants';
import { readAs } from '../validator';

const text = (most: number) =>
  z
    .string('a string was expected')
    .min(1, 'a string was expected')
    .max(most, `at most ${most} characters are accepted`);
/** Of an org: its id or its slug. An id comes first. */
const org = text(100);
const checkAsked = z.strictObject({
  org,
  user: text(100),
  issuedAt: z.union([z.date(), z.number(), z.string()], 'a Date, epoch milliseconds or ISO text was expected'),
});
const key = text(16_384).optional();
const resolveAsked = z.strictObject({ org, id: key, userName: key, email: key, externalId: key });
const eventsAsked = z.strictObject({ org, ...page });
const streamAsked = z.strictObject({ org, after: seq.optional() });

/** For docs/openapi.yaml. */
export const questions = { check: checkAsked, resolve: resolveAsked, events: eventsAsked, stream: streamAsked };

export type CheckAsked = z.input<typeof checkAsked>;
export type ResolveAsked = z.input<typeof resolveAsked>;
export type EventsAsked = z.input<typeof eventsAsked>;

export interface Checked extends Verdict {
  /** The later of the user's and the org's, ISO text. */
  readonly notBefore: string | null;
}

/** The answer for someone who is not there, or whose org is not. */
export const NOBODY: Checked = { valid: false, reason: 'unknown', notBefore: null };

/**
 * Is this session good, as of now: read from the primary, so nothing committed is missed. Someone deleted is inactive,
 * and so is everybody of an org that is switched off. An org that was deleted is as unknown as one that never was.
 *
 * @throws ScimError 400.
 */
export async function check(env: Env, asked: unknown): Promise<Checked> {
  const question = readAs(checkAsked, asked, 'question');
  const issuedAt = readInstant('issuedAt', question.issuedAt);
  const state = await ifThere(readSessionState(storeFor(env, question.org), question.user));
  if (!state?.isKnown) return NOBODY;
  const { isActive, notBefore } = state;
  return { ...decide([{ active: isActive, notBefore: notBefore ?? 0 }], issuedAt), notBefore: iso(notBefore) };
}

export type Resolved =
  | {
      readonly found: true;
      readonly id: string;
      readonly userName: string;
      readonly externalId: string | null;
      /** May sign in: the user is active, and the org is not switched off. */
      readonly active: boolean;
      /** How: through the org's identity provider and no password ever, or by a password that they set up. */
      readonly authentication: 'sso' | 'password-setup';
      readonly displayName: string | null;
      /** Direct and through other groups. */
      readonly groups: readonly { readonly id: string; readonly displayName: string }[];
      /** The values of the attribute `roles`. */
      readonly roles: readonly string[];
      /** What the groups allow. */
      readonly permissions: readonly string[];
      /** The later of the user's and the org's, ISO text: a session has to be issued after it. */
      readonly notBefore: string | null;
      readonly org: { readonly id: string; readonly slug: string };
    }
  | {
      readonly found: false;
      /** Several people have this address or externalId: which of them is meant is not guessed. */
      readonly ambiguous?: true;
    };

/**
 * The login gate: who is this, may they sign in, and what may they do then? Someone deleted is not found; someone
 * deactivated is, and is not active.
 *
 * @throws ScimError 400.
 */
export async function resolve(env: Env, asked: unknown): Promise<Resolved> {
  const { org, ...keys } = readAs(resolveAsked, asked, 'question');
  const given = Object.entries(keys).filter(([, value]) => value !== undefined) as [Key, string][];
  if (given.length !== 1) throw invalidValue('One of id, userName, email and externalId was expected');
  const store = storeFor(env, org);
  const people = (await ifThere(findPeople(store, ...given[0]!))) ?? [];
  const [person] = people;
  if (person === undefined) return { found: false };
  if (people.length > 1) return { found: false, ambiguous: true };
  const { id, slug, disabledAt, notBefore, settings } = store.tenant;
  const { resource } = person;
  const ends = [person.notBefore, notBefore].filter((at) => at !== undefined);
  return {
    found: true,
    id: person.id,
    userName: resource['userName'] as string,
    externalId: (resource['externalId'] as string | undefined) ?? null,
    active: person.isActive && disabledAt === undefined,
    authentication: settingOf(settings, 'authentication'),
    displayName: (resource['displayName'] as string | undefined) ?? null,
    groups: person.groups.map((group) => ({ id: group.id, displayName: group.display ?? '' })),
    roles: rolesOf(resource),
    permissions: person.permissions,
    notBefore: iso(ends.length > 0 ? Math.max(...ends) : undefined),
    org: { id, slug },
  };
}

function rolesOf(resource: Resource): string[] {
  const roles = (resource['roles'] as { value?: string }[] | undefined) ?? [];
  return [...new Set(roles.flatMap(({ value }) => value ?? []))];
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
export async function events(env: Env, asked: unknown): Promise<Events> {
  const { org, after, limit, types } = readAs(eventsAsked, asked, 'question');
  const found = await readEvents(storeFor(env, org), { after, limit, types });
  refuseFuture(after, found);
  return { events: found.events.map(shownEvent), next: found.next, current: found.current, pruned: found.pruned };
}

/** Where a stream begins. */
export interface Beginning {
  readonly orgId: string;
  /** The states that changed after this one are sent. */
  readonly after: number;
  readonly current: number;
}

/** @throws ScimError 400, 404. */
export async function streamFrom(env: Env, asked: unknown): Promise<Beginning> {
  const { org, after } = readAs(streamAsked, asked, 'question');
  const store = storeFor(env, org);
  const current = await readCurrent(store);
  if (after !== undefined) refuseFuture(after, { current });
  return { orgId: store.tenant.id, after: after ?? current, current };
}

const storeFor = (env: Env, org: string) => openStore(env, { kind: 'host', org }, Date.now());

/** An org that is not there has nobody: that is no error, but the answer. */
async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ScimError && error.status === 404) return undefined;
    throw error;
  }
}
