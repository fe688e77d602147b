/**
 * authentik: reads the configuration, creates first and looks up after a conflict, and sends one operation for each member.
 * Source: authentik/providers/scim in goauthentik/authentik; #25056, #16455 and #23950 there.
 */
import type { Client } from '../client.ts';
import { displayNameOf, type Group, groupNameOf, type Person } from '../directory.ts';
import * as idp from '../idp.ts';
import { HEX } from '../random.ts';

/** Operations in one PATCH: what the configuration says, and no more than this. */
const MOST = 100;

const bodyOf = (person: Person) => ({
  schemas: [idp.USER],
  active: person.isActive,
  emails: [{ primary: true, type: 'other', value: person.email }],
  externalId: person.externalId,
  name: { formatted: displayNameOf(person), ...idp.nameOf(person) },
  displayName: displayNameOf(person),
  userName: person.userName,
});

const groupOf = (group: Group) => ({
  displayName: groupNameOf(group),
  externalId: group.externalId,
  schemas: [idp.GROUP],
});

const plus = (attribute: string, value: string) =>
  `?filter=${encodeURIComponent(`${attribute} eq ${idp.quoted(value)}`).replaceAll('%20', '+')}`;

const put: idp.Idp['update'] = async (client, person) => {
  const body = { ...bodyOf(person), id: person.id };
  idp.expectPerson(await client.send('PUT', idp.userPath(person), body, [200]), person);
};

/** Its model of the configuration has no optional members: without one it falls back to a client without PATCH and filters. */
async function configurationOf(client: Client): Promise<{ readonly maxOperations: number }> {
  const { body, fail } = await client.get('/ServiceProviderConfig');
  for (const name of ['patch', 'bulk', 'filter', 'changePassword', 'sort', 'etag'])
    if (typeof body[name]?.supported !== 'boolean') fail(`expected ${name}.supported to be a boolean`);
  if (!body.patch.supported) fail('expected PATCH to be supported');
  if (!Number.isInteger(body.bulk.maxOperations)) fail('expected bulk.maxOperations to be an integer');
  if (!Array.isArray(body.authenticationSchemes)) fail('expected authenticationSchemes to be a list');
  return body.bulk;
}

async function patchMembers(client: Client, group: Group, operations: readonly object[]): Promise<void> {
  const { maxOperations } = await configurationOf(client);
  const size = Math.max(1, Math.min(MOST, maxOperations || MOST));
  for (const portion of idp.portionsOf(operations, size))
    await client.send('PATCH', idp.groupPath(group), idp.patchOf(...portion), [200, 204]);
}

/** Reads the group to compare its members. */
async function compare(client: Client, group: Group): Promise<void> {
  const answer = await client.get(idp.groupPath(group));
  const wrong = idp.groupDifference(answer.body, group);
  if (wrong) answer.fail(wrong);
}

export const authentik: idp.Idp = {
  label: 'authentik',
  headers: {
    'User-Agent': 'authentik@2026.10.0',
    Accept: 'application/scim+json',
    'Content-Type': 'application/scim+json',
  },
  userName: 'name',
  externalId: (random) => random.text(64, HEX),
  deletesUsers: true,
  postsFirst: true,
  async probe(client) {
    await configurationOf(client);
    await client.get('/Users?startIndex=1'); // no count
    await client.get('/Groups?startIndex=1');
  },
  async find(client, person) {
    const answer = await client.get(`/Users${plus('userName', person.userName)}`);
    return idp.onlyResult(answer, idp.isNamed(person.userName));
  },
  async create(client, person) {
    const answer = await client.send('POST', '/Users', bodyOf(person), [201, 409]);
    return answer.status === 409 ? undefined : idp.expectPerson(answer, person);
  },
  update: put,
  setActive: put,
  remove: idp.remove(idp.userPath),
  groups: {
    async find(client, name) {
      return idp.onlyResult(await client.get(`/Groups${plus('displayName', name)}`), idp.isCalled(name));
    },
    async create(client, group) {
      const answer = await client.send('POST', '/Groups', groupOf(group), [201, 409]);
      if (answer.status === 409) return undefined;
      if (typeof answer.body.id !== 'string') answer.fail('expected an id');
      group.id = answer.body.id;
      await this.adopt(client, group);
      return answer.body;
    },
    async adopt(client, group) {
      await this.change(client, group, [...group.members], []);
    },
    async change(client, group, added, removed) {
      await patchMembers(client, group, [
        ...added.map(({ id }) => ({ op: 'add', path: 'members', value: [{ value: id }] })),
        ...removed.map(({ id }) => ({ op: 'remove', path: 'members', value: [{ value: id }] })),
      ]);
      await compare(client, group);
    },
    async rename(client, group) {
      const value = { id: group.id, ...groupOf(group) };
      const body = idp.patchOf({ op: 'replace', value });
      idp.expectGroup(await client.send('PATCH', idp.groupPath(group), body, [200, 204]), group);
      await compare(client, group);
    },
    delete: idp.remove(idp.groupPath),
  },
};
