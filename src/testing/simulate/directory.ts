/** The people and groups that the simulated identity provider has, and what it knows of them on the other side. */
import { type Random, randomOf } from './random.ts';

/** A person as an application's test names them. */
export interface PersonOptions {
  readonly userName: string;
  readonly email?: string;
  readonly givenName?: string;
  readonly familyName?: string;
}

export interface GroupOptions {
  readonly displayName: string;
  /** User names. Absent: some of the people, by the seed. */
  readonly members?: readonly string[];
}

/** How an identity provider names people. */
export interface Naming {
  readonly userName: 'email' | 'name';
  readonly externalId?: (random: Random) => string;
}

/** A person in the identity provider's directory. */
export interface Person {
  readonly userName: string;
  readonly email: string;
  givenName: string;
  externalId: string | undefined;
  /** Before and after the phase `change`. */
  familyNames: readonly [string, string];
  readonly phone: string;
  isChanged: boolean;
  isActive: boolean;
  /** Deleted in the application by this identity provider. */
  isRemoved: boolean;
  /** Whether this run has sent the profile: only then is it known what the application has. */
  isSent: boolean;
  /** The application's id, once it is known. */
  id: string | undefined;
}

export interface Group {
  readonly names: readonly [string, string];
  readonly externalId: string;
  isRenamed: boolean;
  isRemoved: boolean;
  /** Whether the application had it before: then it may have members of its own. */
  isAdopted: boolean;
  id: string | undefined;
  members: Set<Person>;
}

export interface Directory {
  readonly people: readonly Person[];
  readonly groups: readonly Group[];
  /** The people in an order of chance, from which each phase takes its share. */
  readonly order: readonly Person[];
  readonly random: Random;
}

const GIVEN =
  'Ada Grace Alan Edsger Barbara Donald Radia Ken Frances Tim Katherine Dennis Margaret Linus Hedy John'.split(' ');
const FAMILY =
  'Lovelace Hopper Turing Dijkstra Liskov Knuth Perlman Thompson Allen Lee Johnson Ritchie Hamilton Lamarr Backus'.split(
    ' ',
  );
const TEAMS = 'Engineering Sales Support Finance Design Research Legal Security Marketing Operations'.split(' ');

export const familyNameOf = (person: Person) => person.familyNames[person.isChanged ? 1 : 0];
export const displayNameOf = (person: Person) => `${person.givenName} ${familyNameOf(person)}`;
export const departmentOf = (person: Person) => (person.isChanged ? 'Research' : 'Engineering');
export const titleOf = (person: Person) => (person.isChanged ? 'Lead Engineer' : 'Engineer');
export const groupNameOf = (group: Group) => group.names[group.isRenamed ? 1 : 0];

/** @throws RangeError for a count that is none, TypeError for a missing name, or a member that is none of the people. */
export function directoryOf(
  naming: Naming,
  people: number | readonly PersonOptions[],
  groups: number | readonly GroupOptions[],
  seed: number,
): Directory {
  const random = randomOf(seed);
  const asked = typeof people === 'number' ? inventedPeople(naming, counted('users', people), seed, random) : people;
  const all = asked.map((options) => personOf(naming, options, random));
  const order = random.shuffled(all);
  const named = typeof groups === 'number' ? inventedGroups(counted('groups', groups), seed) : groups;
  return { people: all, order, groups: named.map((options) => groupOf(options, all, named.length, random)), random };
}

function counted(name: string, count: number): number {
  if (Number.isInteger(count) && count >= 0 && count <= 100_000) return count;
  throw new RangeError(`simulate: ${name} must be a whole number up to 100000, or a list`);
}

function named(list: string, attribute: string, name: unknown): void {
  if (typeof name === 'string' && name !== '') return;
  throw new TypeError(`simulate: each of ${list} must have a ${attribute}`);
}

function inventedPeople(naming: Naming, count: number, seed: number, random: Random): PersonOptions[] {
  return Array.from({ length: count }, (_, at) => {
    const givenName = GIVEN[random.below(GIVEN.length)]!;
    const familyName = FAMILY[random.below(FAMILY.length)]!;
    // Another seed is other people, so that one org can be simulated twice.
    const name = `${givenName}.${familyName}.${seed}-${at + 1}`.toLowerCase();
    const email = `${name}@example.com`;
    return { userName: naming.userName === 'email' ? email : name, email, givenName, familyName };
  });
}

function personOf(naming: Naming, options: PersonOptions, random: Random): Person {
  named('users', 'userName', options?.userName);
  const { userName, email = userName.includes('@') ? userName : `${userName}@example.com` } = options;
  const { givenName = 'Ada', familyName = 'Lovelace' } = options;
  return {
    ...{ userName, email, givenName },
    externalId: naming.externalId?.(random),
    familyNames: [familyName, `${familyName}-${FAMILY[random.below(FAMILY.length)]}`],
    phone: `+1 303 555 ${random.text(4, '0123456789')}`,
    ...{ isChanged: false, isActive: true, isRemoved: false, isSent: false, id: undefined },
  };
}

const inventedGroups = (count: number, seed: number): GroupOptions[] =>
  Array.from({ length: count }, (_, at) => ({ displayName: `${TEAMS[at % TEAMS.length]} ${seed}-${at + 1}` }));

function groupOf(options: GroupOptions, people: readonly Person[], groups: number, random: Random): Group {
  named('groups', 'displayName', options?.displayName);
  const { displayName, members } = options;
  return {
    names: [displayName, `${displayName} renamed`],
    externalId: random.uuid(),
    ...{ isRenamed: false, isRemoved: false, isAdopted: false, id: undefined },
    members: new Set(members ? members.map((name) => personNamed(name, people)) : some(people, groups, random)),
  };
}

function personNamed(userName: string, people: readonly Person[]): Person {
  const person = people.find((one) => one.userName === userName);
  if (person) return person;
  throw new TypeError(`simulate: a group has the member "${userName}", who is not in users`);
}

/** So many that a person is in one or two groups, as a rule. */
function some(people: readonly Person[], groups: number, random: Random): Person[] {
  const most = Math.ceil((people.length * 2) / Math.max(groups, 2));
  return random.shuffled(people).slice(0, Math.min(people.length, 1 + random.below(most)));
}
