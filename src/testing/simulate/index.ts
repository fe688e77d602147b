/** Plays an identity provider against a SCIM API: what it really sends, for some people and groups, phase by phase. */

import { expectKnown } from '../options.ts';
import { Client, SimulationError } from './client.ts';
import {
  type Directory,
  directoryOf,
  displayNameOf,
  familyNameOf,
  type Group,
  type GroupOptions,
  groupNameOf,
  type Person,
  type PersonOptions,
} from './directory.ts';
import { groupDifference, groupPath, type Idp, personDifference, userPath } from './idp.ts';
import { authentik } from './idps/authentik.ts';
import { entra, entraFlag } from './idps/entra.ts';
import { google } from './idps/google.ts';
import { jumpcloud } from './idps/jumpcloud.ts';
import { keycloak } from './idps/keycloak.ts';
import { okta, oktaAiw } from './idps/okta.ts';
import { onelogin } from './idps/onelogin.ts';
import { ping } from './idps/ping.ts';
import { PHASES, type Phase, type Play, steps, type Touched } from './phases.ts';

const IDPS = {
  okta,
  'okta-aiw': oktaAiw,
  entra,
  'entra-flag': entraFlag,
  onelogin,
  jumpcloud,
  google,
  ping,
  keycloak,
  authentik,
} satisfies Record<string, Idp>;

/** `okta-aiw`: an app made with Okta's wizard. `entra-flag`: Entra ID with its compatibility flag. */
export type IdpName = keyof typeof IDPS;
export const IDP_NAMES = Object.keys(IDPS) as IdpName[];
export { type GroupOptions, type PersonOptions, PHASES, type Phase, SimulationError };

export interface SimulationOptions {
  readonly idp: IdpName;
  /** The SCIM base address: `https://scim.example.com/scim/v2`. */
  readonly scimUrl: string;
  readonly token: string;
  /** How many people, or which. 10 unless told. */
  readonly users?: number | readonly PersonOptions[];
  /** How many groups, or which. None unless told. */
  readonly groups?: number | readonly GroupOptions[];
  /** All of them unless told. They are played in the order of `PHASES`. */
  readonly phases?: readonly Phase[];
  /** The same seed makes the same people and the same choices. 1 unless told. */
  readonly seed?: number;
  /** Which part of the people each phase is about, from 0 to 1, instead of its own. */
  readonly share?: number;
  /** Requests at once: 4 unless told. */
  readonly concurrency?: number;
  /** Whether what each phase has made is read back. True unless told. */
  readonly verify?: boolean;
  readonly onPhase?: (phase: PhaseReport) => void;
  readonly signal?: AbortSignal;
  readonly fetch?: typeof fetch;
}

/** A name that is missing here does not compile. */
const OPTIONS = {
  ...{ idp: true, scimUrl: true, token: true, users: true, groups: true, phases: true, seed: true, share: true },
  ...{ concurrency: true, verify: true, onPhase: true, signal: true, fetch: true },
} satisfies Record<keyof SimulationOptions, true>;

export interface PhaseReport {
  readonly phase: Phase;
  /** Whom it was about. */
  readonly users: number;
  readonly groups: number;
  /** What the identity provider sent; without what verified it. */
  readonly requests: number;
  readonly milliseconds: number;
  /** Why nothing was done. */
  readonly skipped?: string;
}

export interface ExpectedUser {
  /** Absent: no phase has needed it. */
  readonly id?: string;
  readonly userName: string;
  readonly externalId?: string;
  readonly email: string;
  readonly displayName: string;
  readonly givenName: string;
  readonly familyName: string;
  readonly active: boolean;
  /** Deleted: the application answers 404. */
  readonly removed: boolean;
}

export interface ExpectedGroup {
  readonly id?: string;
  readonly displayName: string;
  /** Ids, in the order of the people. */
  readonly members: readonly string[];
  readonly removed: boolean;
}

export interface SimulationReport {
  readonly idp: IdpName;
  readonly seed: number;
  readonly scimUrl: string;
  readonly phases: readonly PhaseReport[];
  /** All that was sent, with what verified it. */
  readonly requests: number;
  /** Requests that the server put off with 429 or 503, and that were sent again. */
  readonly putOff: number;
  /** What the identity provider holds to be true at the end. */
  readonly users: readonly ExpectedUser[];
  readonly groups: readonly ExpectedGroup[];
}

/**
 * Plays the phases and reads back what they made.
 *
 * @throws SimulationError with the request and the answer that the identity provider could not work with; RangeError or
 *   TypeError for wrong options.
 */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { idp, seed = 1, users = 10, groups = 0, share, verify = true, concurrency = 4 } = checked(options);
  const directory = directoryOf(idp, users, groups, seed);
  let phase: Phase = 'probe';
  const client = new Client({
    scimUrl: options.scimUrl.replace(/\/+$/, ''),
    authorization: idp.authorization?.(options.token) ?? `Bearer ${options.token}`,
    headers: idp.headers,
    fetch: options.fetch ?? fetch,
    signal: options.signal,
    context: () => `${idp.label}, ${phase}`,
  });
  const play: Play = { idp, client, directory, share, each: (list, work) => atOnce(list, work, concurrency) };
  const reports: PhaseReport[] = [];
  for (phase of PHASES.filter((one) => options.phases?.includes(one) ?? true)) {
    const report = await playPhase(play, phase, verify);
    reports.push(report);
    options.onPhase?.(report);
  }
  if (verify && reports.length > 1) await readBack(play, { people: directory.people, groups: directory.groups });
  return {
    ...{ idp: options.idp, seed, scimUrl: options.scimUrl, phases: reports },
    ...{ requests: client.requests, putOff: client.putOff },
    ...endOf(directory),
  };
}

function checked(options: SimulationOptions) {
  // A typing error in `phases` must not play all of them.
  expectKnown('simulate', options, OPTIONS);
  const idp: Idp | undefined = Object.hasOwn(IDPS, options.idp) ? IDPS[options.idp] : undefined;
  if (!idp) throw new TypeError(`simulate: idp must be one of ${IDP_NAMES.join(', ')}`);
  if (!URL.canParse(options.scimUrl)) throw new TypeError('simulate: scimUrl must be the SCIM base address');
  if (!options.token) throw new TypeError('simulate: token must be the token of the org');
  for (const name of ['users', 'groups'] as const)
    if (!['number', 'undefined'].includes(typeof options[name]) && !Array.isArray(options[name]))
      throw new TypeError(`simulate: ${name} must be a number or a list`);
  const unknown = options.phases?.find((phase) => !PHASES.includes(phase));
  if (unknown !== undefined) throw new TypeError(`simulate: phases must be some of ${PHASES.join(', ')}`);
  const { seed = 1, share = 0, concurrency = 1 } = options;
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError('simulate: seed must be a whole number from 0');
  if (!(share >= 0 && share <= 1)) throw new RangeError('simulate: share must be from 0 to 1');
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 64))
    throw new RangeError('simulate: concurrency must be a whole number from 1 to 64');
  return { ...options, idp };
}

async function playPhase(play: Play, phase: Phase, verify: boolean): Promise<PhaseReport> {
  const { idp, client, directory } = play;
  const begun = Date.now();
  const before = client.requests;
  const touched = await steps[phase](play);
  const requests = client.requests - before;
  if (verify) await readBack(play, touched);
  const isOfGroups = phase === 'push-groups' || phase === 'change-groups';
  return {
    ...{ phase, users: touched.people.length, groups: touched.groups.length, requests },
    milliseconds: Date.now() - begun,
    ...(isOfGroups && !idp.groups && directory.groups.length > 0 && { skipped: `${idp.label} pushes no groups` }),
  };
}

/** Compares what the application has now. Real providers rarely do; a test wants to know. */
async function readBack({ client, each, idp }: Play, { people, groups }: Touched): Promise<void> {
  await each(
    people.filter(({ id }) => id !== undefined),
    async (person) => {
      const answer = await client.get(userPath(person), [person.isRemoved ? 404 : 200]);
      const wrong = person.isRemoved ? undefined : personDifference(answer.body, person);
      if (wrong) answer.fail(`${wrong}, after ${person.userName} was sent`);
    },
  );
  await each(
    groups.filter(({ id }) => id !== undefined && idp.groups),
    async (group) => {
      const answer = await client.get(groupPath(group), [group.isRemoved ? 404 : 200]);
      const wrong = group.isRemoved ? undefined : groupDifference(answer.body, group);
      if (wrong) answer.fail(`${wrong}, after ${groupNameOf(group)} was sent`);
    },
  );
}

function endOf({ people, groups }: Directory): Pick<SimulationReport, 'users' | 'groups'> {
  const userOf = (person: Person): ExpectedUser => ({
    ...(person.id !== undefined && { id: person.id }),
    userName: person.userName,
    ...(person.externalId !== undefined && { externalId: person.externalId }),
    ...{ email: person.email, displayName: displayNameOf(person) },
    ...{ givenName: person.givenName, familyName: familyNameOf(person) },
    ...{ active: person.isActive, removed: person.isRemoved },
  });
  const groupOf = (group: Group): ExpectedGroup => ({
    ...(group.id !== undefined && { id: group.id }),
    displayName: groupNameOf(group),
    members: people.filter((person) => group.members.has(person)).flatMap(({ id }) => id ?? []),
    removed: group.isRemoved,
  });
  return { users: people.map(userOf), groups: groups.filter(({ id }) => id !== undefined).map(groupOf) };
}

async function atOnce<T>(list: readonly T[], work: (one: T) => Promise<void>, concurrency: number): Promise<void> {
  const waiting = list.values();
  let hasFailed = false;
  const worker = async () => {
    for (const one of waiting) {
      if (hasFailed) return;
      await work(one).catch((error) => {
        hasFailed = true;
        throw error;
      });
    }
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(concurrency, list.length) }, worker));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
