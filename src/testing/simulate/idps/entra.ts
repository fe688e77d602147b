/**
 * Microsoft Entra ID. By default it sends `Replace` with capitals and `active` as the string "False"; with its compatibility
 * flag (aadOptscim062020) booleans and dotted keys. Sources: learn.microsoft.com, use-scim-to-provision-users-and-groups and
 * application-provisioning-config-problem-scim-compatibility.
 */
import type { Client } from '../client.ts';
import { departmentOf, displayNameOf, familyNameOf, groupNameOf, type Person, titleOf } from '../directory.ts';
import * as idp from '../idp.ts';

/** Members in one PATCH. */
const MEMBERS = 100;
const AD_GROUP = 'http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group';
const MANAGER = `${idp.ENTERPRISE}:manager`;
/** Each fifth person has the one before as manager. */
const MANAGED = 5;

/** Spaces as plus signs, where it looks for people. */
const byName = (name: string) => `/Users?filter=userName+eq+%22${encodeURIComponent(name)}%22`;
const byGroupName = (name: string) =>
  `/Groups?excludedAttributes=members&filter=${encodeURIComponent(`displayName eq ${idp.quoted(name)}`)}`;
const holds = (path: 'Users' | 'Groups', id: string, attribute: string, value: string) =>
  `/${path}?filter=${encodeURIComponent(`id eq ${idp.quoted(id)} and ${attribute} eq ${idp.quoted(value)}`)}&attributes=id`;

/** What differs between the two dialects. */
interface Dialect {
  readonly label: string;
  profile(person: Person): object[];
  active(isActive: boolean): object;
  add(people: readonly Person[]): object;
  remove(people: readonly Person[]): object[];
  rename(name: string): object;
}

const byDefault: Dialect = {
  label: 'Entra ID',
  profile: (person) => [
    { op: 'Replace', path: 'displayName', value: displayNameOf(person) },
    { op: 'Replace', path: 'name.givenName', value: person.givenName },
    { op: 'Replace', path: 'name.familyName', value: familyNameOf(person) },
    { op: 'Replace', path: 'name.formatted', value: displayNameOf(person) },
    { op: 'Replace', path: 'emails[type eq "work"].value', value: person.email },
    { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: person.phone },
    { op: 'Add', path: 'title', value: titleOf(person) },
    { op: 'Replace', path: `${idp.ENTERPRISE}:department`, value: departmentOf(person) },
    { op: 'Replace', path: 'externalId', value: person.externalId },
  ],
  active: (isActive) => ({ op: 'Replace', path: 'active', value: isActive ? 'True' : 'False' }),
  add: (people) => ({ op: 'Add', path: 'members', value: people.map(({ id }) => ({ $ref: null, value: id })) }),
  remove: (people) => [{ op: 'Remove', path: 'members', value: people.map(({ id }) => ({ $ref: null, value: id })) }],
  rename: (name) => ({ op: 'Replace', path: 'displayName', value: name }),
};

const withFlag: Dialect = {
  label: 'Entra ID (compatibility flag)',
  profile: (person) => [
    {
      op: 'replace',
      value: {
        displayName: displayNameOf(person),
        'name.givenName': person.givenName,
        'name.familyName': familyNameOf(person),
        'name.formatted': displayNameOf(person),
        title: titleOf(person),
        externalId: person.externalId,
        [`${idp.ENTERPRISE}:department`]: departmentOf(person),
      },
    },
    { op: 'replace', path: 'emails[type eq "work"].value', value: person.email },
    { op: 'add', path: 'phoneNumbers[type eq "mobile"].value', value: person.phone },
  ],
  active: (isActive) => ({ op: 'replace', value: { active: isActive } }),
  add: (people) => ({ op: 'add', path: 'members', value: people.map(({ id }) => ({ value: id })) }),
  remove: (people) => people.map(({ id }) => ({ op: 'remove', path: `members[value eq ${idp.quoted(id!)}]` })),
  rename: (name) => ({ op: 'replace', value: { displayName: name } }),
};

const patch = (client: Client, path: string, ...operations: readonly object[]) =>
  client.send('PATCH', path, idp.patchOf(...operations), [200, 204]);

async function expectNothing(client: Client, path: string): Promise<void> {
  const answer = await client.get(path); // 404 would put the job into quarantine
  if (answer.body.totalResults !== 0) answer.fail('expected an empty list');
}

function entraWith(dialect: Dialect): idp.Idp {
  async function setActive(client: Client, person: Person): Promise<void> {
    const answer = await patch(client, idp.userPath(person), dialect.active(person.isActive));
    if (answer.status === 200 && answer.body.active !== person.isActive)
      answer.fail(`expected active to be ${person.isActive}, got ${JSON.stringify(answer.body.active)}`);
  }

  const groups: idp.GroupSteps = {
    async find(client, name) {
      const answer = await client.get(byGroupName(name));
      const found = idp.onlyResult(answer, idp.isCalled(name));
      if (found?.['members']) answer.fail('expected no members, which excludedAttributes names');
      return found;
    },
    async create(client, group) {
      const meta = { resourceType: 'Group' };
      const { externalId } = group;
      const body = { schemas: [idp.GROUP, AD_GROUP], externalId, displayName: groupNameOf(group), meta };
      const created = await client.send('POST', '/Groups', body, [201]);
      if (typeof created.body.id !== 'string') created.fail('expected an id');
      group.id = created.body.id;
      await this.adopt(client, group);
      return created.body;
    },
    async adopt(client, group) {
      const read = await client.get(`${idp.groupPath(group)}?excludedAttributes=members`);
      if ('members' in read.body) read.fail('expected no members, which excludedAttributes names');
      for (const people of idp.portionsOf([...group.members], MEMBERS)) await add(client, group.id!, people);
    },
    async change(client, group, added, removed) {
      for (const people of idp.portionsOf(removed, MEMBERS))
        await patch(client, idp.groupPath(group), ...dialect.remove(people));
      for (const people of idp.portionsOf(added, MEMBERS)) await add(client, group.id!, people);
    },
    async rename(client, group) {
      idp.expectGroup(await patch(client, idp.groupPath(group), dialect.rename(groupNameOf(group))), group);
    },
    delete: idp.remove(idp.groupPath),
  };

  /** Asks of the first whether the reference holds, as it does before it writes one. */
  async function add(client: Client, group: string, people: readonly Person[]): Promise<void> {
    const asked = await client.get(holds('Groups', group, 'members', people[0]!.id!));
    if (asked.body.totalResults > 0) idp.onlyResult(asked, ({ id }) => id === group);
    await patch(client, `/Groups/${encodeURIComponent(group)}`, dialect.add(people));
    const again = await client.get(holds('Groups', group, 'members', people[0]!.id!));
    if (again.body.totalResults !== 1) again.fail('expected the group, which has this member now');
  }

  return {
    label: dialect.label,
    // It sends no User-Agent, which fetch cannot: an empty one.
    headers: {
      'User-Agent': '',
      Accept: 'application/scim+json',
      'Content-Type': 'application/scim+json; charset=utf-8',
    },
    userName: 'email',
    externalId: (random) => random.uuid(),
    deletesUsers: true,
    async probe(client, random) {
      await expectNothing(client, byName(random.uuid()));
      await expectNothing(client, byGroupName(random.uuid()));
    },
    async find(client, person) {
      return idp.onlyResult(await client.get(byName(person.userName)), idp.isNamed(person.userName));
    },
    async create(client, person) {
      const body = {
        schemas: [idp.USER, idp.ENTERPRISE],
        externalId: person.externalId,
        userName: person.userName,
        active: person.isActive,
        displayName: displayNameOf(person),
        emails: [{ primary: true, type: 'work', value: person.email }],
        meta: { resourceType: 'User' },
        name: { formatted: displayNameOf(person), ...idp.nameOf(person) },
        roles: [],
        [idp.ENTERPRISE]: { department: departmentOf(person) },
      };
      return idp.expectPerson(await client.send('POST', '/Users', body, [201]), person);
    },
    async update(client, person) {
      const answer = await patch(client, idp.userPath(person), ...dialect.profile(person));
      idp.expectPerson(answer, person);
      // A value that comes back in another form is sent again in each cycle.
      const phones: { value?: unknown }[] = answer.body?.phoneNumbers ?? [];
      if (answer.status === 200 && !phones.some(({ value }) => value === person.phone))
        answer.fail(`expected the telephone number ${person.phone} as it was sent`);
    },
    setActive,
    async remove(client, person) {
      // Deleted softly, which disables; for good 30 days later.
      await setActive(client, person);
      await client.send('DELETE', idp.userPath(person), undefined, [204]);
    },
    async relate(client, people) {
      for (const [at, person] of people.entries()) {
        const manager = people[at - 1];
        if (!manager || at % MANAGED !== 0) continue;
        await client.get(holds('Users', person.id!, 'manager', manager.id!));
        const answer = await patch(client, idp.userPath(person), { op: 'Add', path: MANAGER, value: manager.id });
        const shown = answer.status === 204 ? manager.id : answer.body[idp.ENTERPRISE]?.manager?.value;
        if (shown !== manager.id) answer.fail('expected the manager as an object with this value');
      }
    },
    groups,
  };
}

export const entra = entraWith(byDefault);
export const entraFlag = entraWith(withFlag);
