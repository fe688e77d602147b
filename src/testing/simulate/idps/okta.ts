/**
 * Okta. Apps of its catalogue (OIN) deactivate by PATCH and push groups by PATCH; apps made with its wizard (AIW) use PUT for
 * all. Okta never deletes a person. Sources: developer.okta.com, guides scim-20 and submit-oin-app/scim.
 */
import type { Client } from '../client.ts';
import { displayNameOf, type Group, groupNameOf, type Person } from '../directory.ts';
import * as idp from '../idp.ts';
import { BASE62 } from '../random.ts';

/** Members in one PATCH, as seen on the wire. */
const MEMBERS = 256;

const page = (filter: string) => `?filter=${encodeURIComponent(filter)}&startIndex=1&count=100`;

const profileOf = (person: Person) => ({
  userName: person.userName,
  name: idp.nameOf(person),
  emails: [{ primary: true, value: person.email, type: 'work' }],
  displayName: displayNameOf(person),
  locale: 'en-US',
  externalId: person.externalId,
  groups: [],
});

/** The whole person, merged with what the application has: its id and meta come back to it. */
async function putMerged(client: Client, person: Person): Promise<void> {
  const before = await client.get(idp.userPath(person));
  if (before.body.id !== person.id) before.fail('expected the person under their id');
  const merged = { ...before.body, ...profileOf(person), active: person.isActive };
  idp.expectPerson(await client.send('PUT', idp.userPath(person), merged, [200]), person);
}

async function patchActive(client: Client, person: Person): Promise<void> {
  const body = idp.patchOf({ op: 'replace', value: { active: person.isActive } });
  const answer = await client.send('PATCH', idp.userPath(person), body, [200, 204]);
  if (answer.status === 200 && answer.body.active !== person.isActive)
    answer.fail(`expected active to be ${person.isActive}, got ${answer.body.active}`);
}

async function find(client: Client, person: Person) {
  return idp.onlyResult(
    await client.get(`/Users${page(`userName eq ${idp.quoted(person.userName)}`)}`, [200, 404]),
    idp.isNamed(person.userName),
  );
}

const catalogueGroups: idp.GroupSteps = {
  async find(client, name) {
    return idp.onlyResult(
      await client.get(`/Groups${page(`displayName eq ${idp.quoted(name)}`)}`, [200, 404]),
      idp.isCalled(name),
    );
  },
  async create(client, group) {
    const created = await createEmpty(client, group);
    await this.adopt(client, group);
    return created;
  },
  async adopt(client, group) {
    const [first = [], ...rest] = idp.portionsOf([...group.members].map(memberOf), MEMBERS);
    const whole = { op: 'replace', path: 'members', value: first };
    await patchGroup(client, group, idp.patchOf(whole), rest.length === 0);
    for (const [at, value] of rest.entries())
      await patchGroup(client, group, idp.patchOf({ op: 'add', path: 'members', value }), at === rest.length - 1);
  },
  async change(client, group, added, removed) {
    const body = idp.patchOf(
      ...removed.map(({ id }) => ({ op: 'remove', path: `members[value eq ${idp.quoted(id!)}]` })),
      ...(added.length > 0 ? [{ op: 'add', path: 'members', value: added.map(memberOf) }] : []),
    );
    await patchGroup(client, group, body, true);
  },
  async rename(client, group) {
    const value = { id: group.id, displayName: groupNameOf(group) }; // Okta repeats the id, which is read-only
    await patchGroup(client, group, idp.patchOf({ op: 'replace', value }), true);
  },
  delete: idp.remove(idp.groupPath),
};

const memberOf = (person: Person) => ({ value: person.id, display: person.userName });

async function createEmpty(client: Client, group: Group): Promise<idp.Resource> {
  const body = { schemas: [idp.GROUP], displayName: groupNameOf(group), members: [] };
  const created = await client.send('POST', '/Groups', body, [201]);
  if (typeof created.body.id !== 'string') created.fail('expected an id');
  group.id = created.body.id;
  return created.body;
}

async function patchGroup(client: Client, group: Group, body: object, isLast: boolean): Promise<void> {
  const answer = await client.send('PATCH', idp.groupPath(group), body, [200, 204]);
  if (isLast) idp.expectGroup(answer, group);
}

/** The whole group, read before it is written. */
async function putGroup(client: Client, group: Group): Promise<void> {
  await client.get(idp.groupPath(group));
  const members = [...group.members].map(({ id }) => ({ value: id, display: null }));
  const body = { schemas: [idp.GROUP], id: group.id, displayName: groupNameOf(group), members };
  idp.expectGroup(await client.send('PUT', idp.groupPath(group), body, [200]), group);
}

/** An app of Okta's catalogue. */
export const okta: idp.Idp = {
  label: 'Okta',
  headers: {
    'User-Agent': 'Okta SCIM Client 1.0.0',
    Accept: 'application/scim+json',
    'Accept-Charset': 'utf-8',
    'Content-Type': 'application/scim+json; charset=utf-8',
  },
  userName: 'email',
  externalId: (random) => `00u${random.text(17, BASE62)}`,
  deletesUsers: false,
  async probe(client) {
    for (const path of ['/Users?startIndex=1&count=2', '/Groups?startIndex=1&count=100']) {
      const answer = await client.get(path);
      if (!Array.isArray(answer.body.Resources)) answer.fail('expected a list with Resources');
      for (const number of ['startIndex', 'itemsPerPage'])
        if (!Number.isInteger(answer.body[number])) answer.fail(`expected ${number} to be an integer`);
    }
  },
  find,
  async create(client, person) {
    const password = `Okta-${person.externalId?.slice(-12)}`; // a placeholder, also without password sync
    const body = { schemas: [idp.USER], ...profileOf(person), password, active: person.isActive };
    const answer = await client.send('POST', '/Users', body, [201]);
    if ('password' in answer.body) answer.fail('expected no password in the answer');
    return idp.expectPerson(answer, person);
  },
  update: putMerged,
  async setActive(client, person) {
    if (!person.isActive) return patchActive(client, person);
    // The app is given back: Okta looks for the person, activates whom it finds, and sends the profile.
    const found = await find(client, person);
    if (found) person.id = found.id;
    await patchActive(client, person);
    await putMerged(client, person);
    person.isSent = true;
  },
  remove: patchActive,
  groups: catalogueGroups,
};

/** An app made with Okta's wizard: PUT for all, and a token without a scheme. */
export const oktaAiw: idp.Idp = {
  ...okta,
  label: 'Okta (wizard)',
  authorization: (token) => token,
  async setActive(client, person) {
    if (person.isActive) await find(client, person);
    await putMerged(client, person);
    person.isSent = true;
  },
  remove: putMerged,
  groups: {
    ...catalogueGroups,
    async create(client, group) {
      const created = await createEmpty(client, group);
      await putGroup(client, group);
      return created;
    },
    adopt: putGroup,
    change: putGroup,
    rename: putGroup,
  },
};
