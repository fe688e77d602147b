/**
 * Google Workspace: users only, a URN of SCIM 1.0 before that of 2.0, and no `count`. Sources: support.google.com/a «automated
 * user provisioning»; requests as logged in snipe/snipe-it#12642. How it updates is not published: PUT here.
 */
import { displayNameOf, type Person } from '../directory.ts';
import * as idp from '../idp.ts';

const bodyOf = (person: Person) => ({
  schemas: ['urn:scim:schemas:core:1.0', idp.USER],
  userName: person.userName,
  emails: [{ primary: true, value: person.email, type: 'work' }],
  displayName: displayNameOf(person),
  name: idp.nameOf(person),
  active: person.isActive,
});

const put: idp.Idp['update'] = async (client, person) => {
  const body = { ...bodyOf(person), id: person.id };
  idp.expectPerson(await client.send('PUT', idp.userPath(person), body, [200]), person);
};

export const google: idp.Idp = {
  label: 'Google Workspace',
  headers: { 'User-Agent': 'Google-Auto-Provisioning', 'Content-Type': 'application/json' },
  userName: 'email',
  deletesUsers: true,
  async probe(client) {
    await client.get('/Users');
  },
  async find(client, person) {
    const filter = encodeURIComponent(`userName eq ${idp.quoted(person.userName)}`);
    return idp.onlyResult(await client.get(`/Users?filter=${filter}&startIndex=1`), idp.isNamed(person.userName));
  },
  async create(client, person) {
    return idp.expectPerson(await client.send('POST', '/Users', bodyOf(person), [201]), person);
  },
  update: put,
  setActive: put,
  remove: idp.remove(idp.userPath),
};
