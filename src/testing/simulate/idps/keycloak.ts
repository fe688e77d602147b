/**
 * Keycloak with the extension mitodl/keycloak-scim: creates without looking, imports lists, sends `active` as a string in a
 * PATCH, and members with relative references. Source: its UserAdapter, GroupAdapter and ScimClient.
 */
import type { Client } from '../client.ts';
import { displayNameOf, type Group, groupNameOf, type Person } from '../directory.ts';
import * as idp from '../idp.ts';

const bodyOf = (person: Person) => ({
  schemas: [idp.USER],
  externalId: person.externalId,
  userName: person.userName,
  displayName: displayNameOf(person),
  name: idp.nameOf(person),
  emails: [{ value: person.email }], // no type, no primary
  active: person.isActive,
  roles: [{ value: 'editor' }],
});

const groupOf = (group: Group) => ({
  schemas: [idp.GROUP],
  externalId: group.externalId,
  displayName: groupNameOf(group),
  members: idp.idsOf(group.members).map((value) => ({ value, type: 'User', $ref: `Users/${value}` })),
});

const put: idp.Idp['update'] = async (client, person) => {
  const body = { ...bodyOf(person), id: person.id };
  idp.expectPerson(await client.send('PUT', idp.userPath(person), body, [200]), person);
  person.isSent = true;
};

const putGroup: idp.GroupSteps['rename'] = async (client, group) => {
  const body = { ...groupOf(group), id: group.id };
  idp.expectGroup(await client.send('PUT', idp.groupPath(group), body, [200]), group);
};

/** Its import reads everything and matches by name; the first page without parameters. */
async function imported(client: Client, path: string, isIt: (one: idp.Resource) => boolean) {
  for (let startIndex = 1; ; ) {
    const { body } = await client.get(startIndex === 1 ? path : `${path}?startIndex=${startIndex}`);
    const resources = (body.Resources ?? []) as idp.Resource[];
    const found = resources.find(isIt);
    startIndex += resources.length;
    if (found || resources.length === 0 || startIndex > body.totalResults) return found;
  }
}

/** Created without looking; a conflict is only logged. */
async function post(client: Client, path: string, body: object) {
  const answer = await client.send('POST', path, body, [201, 409]);
  return answer.status === 409 ? undefined : answer;
}

export const keycloak: idp.Idp = {
  label: 'Keycloak',
  headers: { 'Content-Type': 'application/scim+json' },
  userName: 'name',
  externalId: (random) => random.uuid(),
  deletesUsers: true,
  postsFirst: true,
  async probe(client) {
    await client.get('/Users');
    await client.get('/Groups');
  },
  find: (client, person) => imported(client, '/Users', idp.isNamed(person.userName)),
  async create(client, person) {
    const answer = await post(client, '/Users', bodyOf(person));
    return answer && idp.expectPerson(answer, person);
  },
  update: put,
  async setActive(client, person) {
    if (person.isActive) return put(client, person);
    const body = idp.patchOf(
      { op: 'replace', path: 'active', value: String(person.isActive) },
      { op: 'replace', path: 'userName', value: person.userName },
      { op: 'replace', path: 'displayName', value: displayNameOf(person) },
    );
    const answer = await client.send('PATCH', idp.userPath(person), body, [200, 204]);
    if (answer.status === 200 && answer.body.active !== person.isActive)
      answer.fail(`expected active to be ${person.isActive}, got ${JSON.stringify(answer.body.active)}`);
  },
  remove: idp.remove(idp.userPath),
  groups: {
    find: (client, name) => imported(client, '/Groups', idp.isCalled(name)),
    async create(client, group) {
      const answer = await post(client, '/Groups', groupOf(group));
      return answer && idp.expectGroup(answer, group);
    },
    adopt: putGroup,
    change: putGroup,
    rename: putGroup,
    delete: idp.remove(idp.groupPath),
  },
};
