/**
 * JumpCloud. Its activation creates and deletes a test person and a test group. It looks people up by e-mail, sends one
 * operation for each attribute, and never deletes a person of the directory. Sources: jumpcloud.com/support «Create identity
 * management connector with SCIM»; bodies from ShiftControl-io/scim-v2-rust.
 */
import type { Client } from '../client.ts';
import { displayNameOf, familyNameOf, type Group, groupNameOf, type Person } from '../directory.ts';
import * as idp from '../idp.ts';
import { HEX } from '../random.ts';

const byEmail = (email: string) => `/Users?filter=${encodeURIComponent(`emails.value eq ${idp.quoted(email)}`)}`;

const userOf = (
  person: Pick<Person, 'email' | 'userName' | 'externalId' | 'isActive'>,
  display: string,
  name: object,
) => ({
  active: person.isActive,
  addresses: [],
  displayName: display,
  emails: [{ primary: true, type: 'work', value: person.email }],
  externalId: person.externalId,
  locale: 'en-US',
  name,
  phoneNumbers: [{ primary: true, type: 'work', value: 'tel:+1-555-555-5555' }],
  preferredLanguage: 'en-US',
  schemas: [idp.USER, idp.ENTERPRISE], // named, and empty
  userName: person.userName,
});
const bodyOf = (person: Person) => userOf(person, displayNameOf(person), idp.nameOf(person));

const replace = (path: string, value: unknown) => ({ op: 'replace', path, value });

async function setActive(client: Client, person: Person): Promise<void> {
  if (person.isActive) {
    // In a group of the app again: the whole person.
    const answer = await client.send('PUT', idp.userPath(person), { ...bodyOf(person), id: person.id }, [200]);
    idp.expectPerson(answer, person);
    person.isSent = true;
    return;
  }
  const body = idp.patchOf(replace('active', false));
  const answer = await client.send('PATCH', idp.userPath(person), body, [200, 204]);
  if (answer.status === 200 && answer.body.active !== false)
    answer.fail(`expected active to be false, got ${JSON.stringify(answer.body.active)}`);
}

/** A person and a group that are made and deleted: DELETE has to work, and the address to be free again. */
async function activate(client: Client, unique: string): Promise<void> {
  const email = `jumpcloudtest.${unique}@example.com`;
  const test = { email, userName: email, externalId: unique, isActive: true };
  if (idp.onlyResult(await client.get(byEmail(email)), () => true)) return;
  const name = { familyName: 'Test', givenName: 'JumpCloud' };
  const person = await client.send('POST', '/Users', userOf(test, 'JumpCloud Test', name), [201]);
  const displayName = `JumpCloud Test Group ${unique}`;
  const group = await client.send('POST', '/Groups', { schemas: [idp.GROUP], displayName, members: [] }, [201]);
  const path = idp.groupPath(group.body);
  const member = { value: person.body.id };
  for (const operation of [
    { op: 'add', path: 'members', value: [member] },
    { op: 'remove', path: 'members', value: [member] },
  ])
    await client.send('PATCH', path, idp.patchOf(operation), [200, 204]);
  await client.send('DELETE', path, undefined, [204]);
  await client.get(path, [404]);
  await client.send('DELETE', idp.userPath(person.body), undefined, [204]);
  await client.get(idp.userPath(person.body), [404]);
}

const patchGroup = async (client: Client, group: Group, operations: readonly object[]) => {
  if (operations.length === 0) return;
  idp.expectGroup(await client.send('PATCH', idp.groupPath(group), idp.patchOf(...operations), [200, 204]), group);
};

export const jumpcloud: idp.Idp = {
  label: 'JumpCloud',
  headers: { Accept: 'application/scim+json', 'Content-Type': 'application/scim+json' },
  userName: 'email',
  externalId: (random) => random.text(24, HEX),
  deletesUsers: false,
  probe: (client, random) => activate(client, random.text(24, HEX)),
  async find(client, person) {
    const hasAddress = ({ emails }: idp.Resource) =>
      Array.isArray(emails) && emails.some((one) => String(one?.value).toLowerCase() === person.email.toLowerCase());
    return idp.onlyResult(await client.get(byEmail(person.email)), hasAddress);
  },
  async create(client, person) {
    return idp.expectPerson(await client.send('POST', '/Users', bodyOf(person), [201]), person);
  },
  async update(client, person) {
    const body = idp.patchOf(
      replace('name.givenName', person.givenName),
      replace('name.familyName', familyNameOf(person)),
      replace('displayName', displayNameOf(person)),
      replace('externalId', person.externalId),
    );
    idp.expectPerson(await client.send('PATCH', idp.userPath(person), body, [200, 204]), person);
  },
  setActive,
  remove: setActive,
  groups: {
    async find(client, name) {
      const filter = encodeURIComponent(`displayName eq ${idp.quoted(name)}`);
      return idp.onlyResult(await client.get(`/Groups?filter=${filter}`), idp.isCalled(name));
    },
    /** With its members: it creates no empty groups. */
    async create(client, group) {
      const members = idp.idsOf(group.members).map((value) => ({ value }));
      const body = { schemas: [idp.GROUP], displayName: groupNameOf(group), members };
      return idp.expectGroup(await client.send('POST', '/Groups', body, [201]), group);
    },
    async adopt(client, group) {
      await this.change(client, group, [...group.members], []);
    },
    async change(client, group, added, removed) {
      await patchGroup(client, group, [
        ...added.map(({ id }) => ({ op: 'add', path: 'members', value: [{ value: id }] })),
        ...removed.map(({ id }) => ({ op: 'remove', path: 'members', value: [{ value: id }] })),
      ]);
    },
    rename: (client, group) => patchGroup(client, group, [replace('displayName', groupNameOf(group))]),
    delete: idp.remove(idp.groupPath),
  },
};
