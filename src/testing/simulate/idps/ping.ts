/**
 * Ping (PingFederate, PingOne): looks people up with a capital operator, and overwrites people and groups by PUT. Sources:
 * docs.pingidentity.com/integrations/scim and /pingone; update by PUT as implementers report.
 */
import { departmentOf, displayNameOf, type Group, groupNameOf, type Person } from '../directory.ts';
import * as idp from '../idp.ts';

const filtered = (attribute: string, value: string) =>
  `?filter=${encodeURIComponent(`${attribute} Eq ${idp.quoted(value)}`)}`;

const bodyOf = (person: Person) => ({
  schemas: [idp.USER, idp.ENTERPRISE],
  userName: person.userName,
  externalId: person.externalId,
  active: person.isActive,
  name: { formatted: displayNameOf(person), ...idp.nameOf(person) },
  displayName: displayNameOf(person),
  emails: [{ type: 'work', primary: true, value: person.email }],
  phoneNumbers: [{ type: 'work', value: person.phone }],
  [idp.ENTERPRISE]: { department: departmentOf(person), organization: 'Example' },
});

const put: idp.Idp['update'] = async (client, person) => {
  idp.expectPerson(await client.send('PUT', idp.userPath(person), bodyOf(person), [200]), person);
};

const putGroup: idp.GroupSteps['rename'] = async (client, group) => {
  const members = idp.idsOf(group.members).map((value) => ({ value }));
  const body = { ...groupOf(group), id: group.id, members };
  idp.expectGroup(await client.send('PUT', idp.groupPath(group), body, [200]), group);
};

const groupOf = (group: Group) => ({
  schemas: [idp.GROUP],
  externalId: group.externalId,
  displayName: groupNameOf(group),
});

export const ping: idp.Idp = {
  label: 'Ping',
  headers: { Accept: 'application/scim+json', 'Content-Type': 'application/scim+json' },
  userName: 'email',
  externalId: (random) => random.uuid(),
  deletesUsers: true,
  async probe(client, random) {
    const answer = await client.get(`/Users${filtered('userName', `nobody-${random.uuid()}`)}`);
    if (answer.body.totalResults !== 0) answer.fail('expected an empty list');
  },
  async find(client, person) {
    const answer = await client.get(`/Users${filtered('userName', person.userName)}`);
    return idp.onlyResult(answer, idp.isNamed(person.userName));
  },
  async create(client, person) {
    return idp.expectPerson(await client.send('POST', '/Users', bodyOf(person), [201]), person);
  },
  update: put,
  setActive: put,
  remove: idp.remove(idp.userPath),
  groups: {
    async find(client, name) {
      return idp.onlyResult(await client.get(`/Groups${filtered('displayName', name)}`), idp.isCalled(name));
    },
    async create(client, group) {
      const created = await client.send('POST', '/Groups', groupOf(group), [201]);
      if (typeof created.body.id !== 'string') created.fail('expected an id');
      group.id = created.body.id;
      await putGroup(client, group);
      return created.body;
    },
    adopt: putGroup,
    change: putGroup,
    rename: putGroup,
    delete: idp.remove(idp.groupPath),
  },
};
