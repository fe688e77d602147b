/** A credential's life for the org: issued, rotated, revoked, in the org's one line (coordinator.ts). */
import type { Actor } from '../events';
import {
  type Credential,
  type Expected,
  insertCredential,
  type Line,
  listCredentials,
} from '../store/credentials/credentials';
import {
  cancelRotation,
  completeRotation,
  type Ended,
  type Rotated,
  rotateCredential,
} from '../store/credentials/rotation';
import { Unmet } from '../store/d1/batch';
import type { OrgStore } from '../store/org/open';
import { hashOf, maskOf, newSecret } from './secret';

/** The secret: only here, only once. */
export interface Secret {
  readonly secret: string;
}

export interface Issued extends Secret {
  readonly issued: Credential;
}

/** Why nothing happened. `current` is the one that is there, if one is. */
export interface Refused {
  readonly ok: false;
  readonly why: 'no_token' | 'token' | 'generation' | 'predecessor';
  readonly current: Credential | undefined;
}

/** An expected refusal crosses the Durable Object's border as a value: an error would lose its class there. */
export type Outcome<T> = ({ readonly ok: true } & T) | Refused;

/** How long what is issued lives, in milliseconds; absent: until it is replaced or revoked. */
export interface IssueRequest {
  readonly by: string;
  readonly validFor?: number | undefined;
}

export interface RotationRequest extends IssueRequest {
  /** Milliseconds for which the old one stays good: at most MAX_GRACE. */
  readonly grace: number;
  readonly retireOnUse?: boolean | undefined;
  readonly expected?: Expected;
}

const MAX_GRACE = 24 * 3_600_000;
/** What is left of the grace when the new credential is used first, for requests that are under way with the old one. */
export const OVERLAP = 30_000;

/** @returns not ok when there is a good one already: replacing it is a rotation. */
export function issue(
  store: OrgStore,
  orgId: string,
  line: Line,
  { by, validFor }: IssueRequest,
  actor: Actor,
): Promise<Outcome<Issued>> {
  return outcome(store, line, async () => {
    const { secret, draft } = await made(line, orgId, validFor);
    return { issued: await insertCredential(store, line, draft, by, actor), secret };
  });
}

/** @returns not ok when there is none to replace, or it is not the one that was expected. */
export function rotate(
  store: OrgStore,
  orgId: string,
  line: Line,
  { by, validFor, grace, retireOnUse = false, expected }: RotationRequest,
  actor: Actor,
): Promise<Outcome<Rotated & Secret>> {
  return outcome(store, line, async () => {
    const { secret, draft } = await made(line, orgId, validFor);
    const rotation = { ...draft, grace: Math.max(0, Math.min(grace, MAX_GRACE)), retireOnUse };
    return { ...(await rotateCredential(store, line, rotation, expected, by, actor)), secret };
  });
}

/** @returns not ok when no grace lasts, or the current one is not the one that was expected. */
export const cancel = (
  store: OrgStore,
  line: Line,
  by: string,
  expected: Expected,
  actor: Actor,
): Promise<Outcome<Ended>> => outcome(store, line, () => cancelRotation(store, line, expected, by, actor));

/** @returns not ok when no grace lasts, or the current one is not the one that was expected. */
export const complete = (
  store: OrgStore,
  line: Line,
  by: string,
  expected: Expected,
  actor: Actor,
): Promise<Outcome<Ended>> => outcome(store, line, () => completeRotation(store, line, expected, by, actor));

async function made(line: Line, orgId: string, validFor: number | undefined) {
  const secret = await newSecret(line.kind, orgId);
  return { secret, draft: { id: crypto.randomUUID(), hash: await hashOf(secret), mask: maskOf(secret), validFor } };
}

const REFUSALS: ReadonlySet<string> = new Set(['no_token', 'token', 'generation', 'predecessor']);

async function outcome<T extends object>(store: OrgStore, line: Line, work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, ...(await work()) };
  } catch (error) {
    if (!(error instanceof Unmet) || !REFUSALS.has(error.expectation)) throw error;
    const why = error.expectation as Refused['why'];
    const alive = (await listCredentials(store, line)).filter(({ revokedAt }) => revokedAt === undefined);
    return { ok: false, why, current: alive.find(({ replacedAt }) => replacedAt === undefined) };
  }
}
