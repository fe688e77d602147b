/**
 * OneLogin, with the template that its administrators paste: URNs without «ietf», `active` as a string, an address as an
 * object. Sources: developers.onelogin.com/scim; query strings and URNs as captured in goauthentik/authentik#11249.
 */
import { departmentOf, displayNameOf, groupNameOf, type Person, titleOf } from '../directory.ts';
import * as idp from '../idp.ts';

const CORE = 'urn:scim:schemas:core:2.0';
const ENTERPRISE = 'urn:scim:schemas:extension:enterprise:2.0';

/** A plus for each space, the at sign as it is, and an ampersand at the end. */
const byName = (name: string) => `/Users?filter=userName+eq+%22${encodeURIComponent(name).replaceAll('%40', '@')}%22&`;

const templateOf = (person: Person) => ({
  schemas: [CORE, ENTERPRISE],
  id: null,
  userName: person.userName,
  externalId: person.externalId,
  name: { ...idp.nameOf(person), formatted: displayNameOf(person) },
  displayName: displayNameOf(person),
  emails: { value: person.email, type: 'work' },
  title: person.isChanged ? titleOf(person) : '',
  phoneNumbers: [{ value: person.phone, type: 'work' }],
  active: String(person.isActive),
  [ENTERPRISE]: { department: departmentOf(person) },
});

const put: idp.Idp['update'] = async (client, person) => {
  const answer = await client.send('PUT', idp.userPath(person), templateOf(person), [200]);
  idp.expectPerson(answer, person);
};

export const onelogin: idp.Idp = {
  label: 'OneLogin',
  headers: { 'Content-Type': 'application/json' },
  userName: 'email',
  externalId: (random) => random.text(9, '123456789'),
  deletesUsers: true,
  async probe(client, random) {
    await client.get('/ServiceProviderConfig');
    const answer = await client.get(byName(`onelogin-${random.uuid()}`), [200, 404]);
    if (idp.onlyResult(answer, () => true)) answer.fail('expected an empty list');
    await client.get('/Groups');
  },
  async find(client, person) {
    return idp.onlyResult(await client.get(byName(person.userName), [200, 404]), idp.isNamed(person.userName));
  },
  async create(client, person) {
    return idp.expectPerson(await client.send('POST', '/Users', templateOf(person), [201]), person);
  },
  update: put,
  setActive: put,
  remove: idp.remove(idp.userPath),
  groups: {
    /** It refreshes its entitlements: the groups there are, page by page. */
    async find(client, name) {
      for (let startIndex = 1; ; ) {
        const { body } = await client.get(startIndex === 1 ? '/Groups' : `/Groups?startIndex=${startIndex}`);
        const groups = (body.Resources ?? []) as idp.Resource[];
        const found = groups.find(idp.isCalled(name));
        startIndex += groups.length;
        if (found || groups.length === 0 || startIndex > body.totalResults) return found;
      }
    },
    async create(client, group) {
      const body = { schemas: [CORE], displayName: groupNameOf(group) };
      const created = await client.send('POST', '/Groups', body, [201]);
      if (typeof created.body.id !== 'string') created.fail('expected an id');
      group.id = created.body.id;
      await this.adopt(client, group);
      return created.body;
    },
    async adopt(client, group) {
      await this.change(client, group, [...group.members], []);
    },
    /** A rule is applied to one person after the other. */
    async change(client, group, added, removed) {
      const operations = [
        ...removed.map(({ id }) => ({ op: 'remove', path: `members[value eq ${idp.quoted(id!)}]` })),
        ...added.map(({ id }) => ({ op: 'add', path: 'members', value: [{ value: id }] })),
      ];
      for (const operation of operations)
        await client.send('PATCH', idp.groupPath(group), idp.patchOf(operation), [200, 204]);
    },
    async rename(client, group) {
      const body = idp.patchOf({ op: 'replace', path: 'displayName', value: groupNameOf(group) });
      idp.expectGroup(await client.send('PATCH', idp.groupPath(group), body, [200, 204]), group);
    },
    delete: idp.remove(idp.groupPath),
  },
};
