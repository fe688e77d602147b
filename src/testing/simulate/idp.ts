/** What the simulated identity providers have in common: the steps that each plays in its own way. */
import type { Answer, Client } from './client.ts';
import { displayNameOf, familyNameOf, type Group, groupNameOf, type Naming, type Person } from './directory.ts';
import type { Random } from './random.ts';

// biome-ignore lint/suspicious/noExplicitAny: a foreign resource, looked at attribute by attribute
export type Resource = Record<string, any> & { readonly id: string };

/** One identity provider. A person or group is changed in the directory first; the step then sends what is true there. */
export interface Idp extends Naming {
  /** Its name for people. */
  readonly label: string;
  /** Sent with each request; `Content-Type` only with a body. */
  readonly headers: Readonly<Record<string, string>>;
  /** `Bearer {token}` unless it has another way. */
  readonly authorization?: (token: string) => string;
  /** Whether `remove` deletes a person in the application, or deactivates them for good. */
  readonly deletesUsers: boolean;
  /** Whether it creates a person without looking for them first. */
  readonly postsFirst?: boolean;
  /** What it sends when its administrator tests the connection. */
  probe(client: Client, random: Random): Promise<void>;
  find(client: Client, person: Person): Promise<Resource | undefined>;
  /** @returns undefined if the application has the person, and this provider creates without looking. */
  create(client: Client, person: Person): Promise<Resource | undefined>;
  /** Sends the profile as it is now. */
  update(client: Client, person: Person): Promise<void>;
  /** Sends whether the person is active now. */
  setActive(client: Client, person: Person): Promise<void>;
  remove(client: Client, person: Person): Promise<void>;
  /** What it sends once all people are there. */
  relate?(client: Client, people: readonly Person[]): Promise<void>;
  /** Absent: it pushes no groups. */
  readonly groups?: GroupSteps;
}

export interface GroupSteps {
  find(client: Client, name: string): Promise<Resource | undefined>;
  /** Creates the group with its members. @returns undefined as `create`. */
  create(client: Client, group: Group): Promise<Resource | undefined>;
  /** Makes the members of a group that the application had equal to those here. */
  adopt(client: Client, group: Group): Promise<void>;
  change(client: Client, group: Group, added: readonly Person[], removed: readonly Person[]): Promise<void>;
  rename(client: Client, group: Group): Promise<void>;
  delete(client: Client, group: Group): Promise<void>;
}

export const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
export const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const PATCH_OP = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

export const patchOf = (...Operations: readonly object[]) => ({ schemas: [PATCH_OP], Operations });
/** As a filter writes a value. */
export const quoted = (value: string) => JSON.stringify(value);
export const nameOf = (person: Person) => ({ givenName: person.givenName, familyName: familyNameOf(person) });
export const userPath = ({ id }: { readonly id: string | undefined }) => `/Users/${encodeURIComponent(id ?? '')}`;
export const groupPath = ({ id }: { readonly id: string | undefined }) => `/Groups/${encodeURIComponent(id ?? '')}`;
export const idsOf = (people: Iterable<Person>) => [...people].map(({ id }) => id!);

export function portionsOf<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size));
}

/** The one result of a look-up. A server that ignores the filter would have an identity provider link the wrong person. */
export function onlyResult(answer: Answer, isIt: (resource: Resource) => boolean): Resource | undefined {
  if (answer.status === 404) return undefined;
  const resources = (answer.body.Resources ?? []) as Resource[];
  if (resources.length > 1) answer.fail('expected at most one result of this filter');
  if (resources.some((one) => !isIt(one))) answer.fail('expected the result to be what the filter asks for');
  return resources[0];
}

const folded = (text: unknown) => String(text).toLowerCase();
export const isNamed =
  (userName: string) =>
  (resource: Resource): boolean =>
    folded(resource['userName']) === folded(userName);
export const isCalled =
  (displayName: string) =>
  (resource: Resource): boolean =>
    folded(resource['displayName']) === folded(displayName);

/** Holds an answer to a write against the person. 204 says nothing, which each of these providers accepts after a change. */
export function expectPerson(answer: Answer, person: Person): Resource {
  if (answer.status === 204) return { id: person.id! };
  const wrong = personDifference(answer.body, person, true);
  if (wrong) answer.fail(wrong);
  return answer.body;
}

/** What is not as this identity provider has it; undefined: all is well. */
export function personDifference(body: Resource, person: Person, withProfile = person.isSent): string | undefined {
  const expectations: readonly (readonly [string, unknown, unknown])[] = [
    ...(person.id === undefined ? [] : [['id', person.id, body.id] as const]),
    ['userName', folded(person.userName), folded(body['userName'])],
    ['active', person.isActive, body['active']],
    ...(withProfile ? profileExpectations(body, person) : []),
  ];
  if (typeof body.id !== 'string') return 'expected an id';
  return firstWrong(expectations);
}

function profileExpectations(body: Resource, person: Person) {
  const emails: unknown = body['emails'];
  const values = Array.isArray(emails) ? emails.map((one) => one?.value) : [];
  return [
    ...(person.externalId === undefined ? [] : [['externalId', person.externalId, body['externalId']] as const]),
    ['displayName', displayNameOf(person), body['displayName']] as const,
    ['name.givenName', person.givenName, body['name']?.givenName] as const,
    ['name.familyName', familyNameOf(person), body['name']?.familyName] as const,
    ['emails', person.email, values.includes(person.email) ? person.email : values] as const,
  ];
}

/** Holds an answer to a write against the group. Members may be left out of it. */
export function expectGroup(answer: Answer, group: Group): Resource {
  if (answer.status === 204) return { id: group.id! };
  const wrong = groupDifference(answer.body, group, answer.body.members !== undefined);
  if (wrong) answer.fail(wrong);
  return answer.body;
}

export function groupDifference(body: Resource, group: Group, withMembers = true): string | undefined {
  if (typeof body.id !== 'string') return 'expected an id';
  const name = firstWrong([['displayName', folded(groupNameOf(group)), folded(body['displayName'])]]);
  if (name || !withMembers) return name;
  const members = ((body['members'] ?? []) as { value?: unknown }[]).map(({ value }) => String(value));
  const there = new Set(members);
  if (there.size < members.length) return 'expected each member once';
  const expected = idsOf(group.members);
  const missing = expected.filter((id) => !there.has(id));
  if (missing.length > 0) return `expected ${missing.length} more members, among them ${missing[0]}`;
  const known = new Set(expected);
  const others = members.filter((id) => !known.has(id));
  if (others.length > 0 && !group.isAdopted) return `expected ${others.length} fewer members, among them ${others[0]}`;
  return undefined;
}

function firstWrong(expectations: readonly (readonly [string, unknown, unknown])[]): string | undefined {
  const found = expectations.find(([, expected, actual]) => expected !== actual);
  return found && `expected ${found[0]} to be ${JSON.stringify(found[1])}, got ${JSON.stringify(found[2]) ?? 'none'}`;
}

export const remove =
  (path: (of: { readonly id: string | undefined }) => string) =>
  async (client: Client, of: Person | Group): Promise<void> => {
    await client.send('DELETE', path(of), undefined, [204]);
  };
