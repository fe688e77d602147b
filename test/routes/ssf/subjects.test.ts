/** How events name a user, for receivers that know only e-mail addresses, or an issuer and a subject (CAEP interoperability profile). */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { admin, BASE, type Idp, newIdp } from '../../support/client';
import { dump, journal } from '../../support/database';
import {
  catchTokens,
  type Endpoint,
  newPush,
  newReceiver,
  removeReceivers,
  type TestReceiver,
  until,
} from '../../support/ssf';

catchTokens();
vi.spyOn(console, 'error').mockImplementation(() => undefined);

let n = 0;
let idp: Idp;
beforeEach(async () => {
  await removeReceivers();
  idp = await newIdp(`named-${++n}`);
});

const set = (id: string, path: string, value: unknown) => idp.patch(`/Users/${id}`, [{ op: 'replace', path, value }]);
const signOut = (id: string) => admin('POST', `/orgs/${idp.slug}/users/${id}/sign-out`, { body: {} });
const emails = (value: string) => [{ value, primary: true, type: 'work' }];
const status = (receiver: TestReceiver, stream_id: string, status: string) =>
  receiver.api('POST', '/status', { body: { stream_id, status } });
/** The org's Universal Logout, whose tokens nobody sends. */
async function addSource({ slug }: Idp, more: object = {}): Promise<string> {
  const issuer = `https://${slug}.okta.test`;
  const body = { type: 'global-token-revocation', issuer, jwksUrl: 'https://login.test/keys', ...more };
  expect((await admin('POST', `/orgs/${slug}/signals`, { body })).status).toBe(201);
  return issuer;
}
const subjects = ({ got, told }: Endpoint, name: string) =>
  got.filter((_, i) => told[i] === name).map(({ claims }) => claims.sub_id);

describe('a receiver that knows e-mail addresses', () => {
  it('is told of CAEP and RISC events by them, and of SCIM events by the SCIM subject', async () => {
    const receiver = await newReceiver([idp.slug], { subject: 'email' });
    const { endpoint } = await newPush(receiver);
    const ada = await idp.user('ada', { externalId: 'e1', emails: emails('Ada@example.com') });
    await set(ada.id, 'active', false);
    await until(() => expect(endpoint.told).toEqual(expect.arrayContaining(['prov:deactivate'])));
    const scim = { format: 'scim', uri: `/Users/${ada.id}`, externalId: 'e1' };
    expect(endpoint.got.map(({ claims }, i) => [endpoint.told[i], claims.sub_id])).toEqual([
      ['prov:create:notice', scim],
      ['session-revoked', { format: 'email', email: 'Ada@example.com' }],
      ['account-disabled', { format: 'email', email: 'Ada@example.com' }],
      ['prov:deactivate', scim],
    ]);
  });

  it('is told by the address of that time, also when it is told later, and of the change of the address', async () => {
    const receiver = await newReceiver([idp.slug], { subject: 'email' });
    const ada = await idp.user('ada', { emails: emails('old@example.com') });
    const { endpoint, id } = await newPush(receiver);
    await status(receiver, id, 'paused');
    await signOut(ada.id);
    await set(ada.id, 'emails', emails('new@example.com'));
    await signOut(ada.id);
    await idp.delete(`/Users/${ada.id}`);
    await status(receiver, id, 'enabled');
    await until(() => expect(endpoint.told.at(-1)).toBe('prov:delete'));
    expect(subjects(endpoint, 'session-revoked').map(({ email }) => email)).toEqual([
      ...['old@example.com', 'new@example.com', 'new@example.com'],
    ]);
    const changed = endpoint.got[endpoint.told.indexOf('identifier-changed')]!;
    expect(changed.claims.sub_id).toEqual({ format: 'email', email: 'old@example.com' });
    expect(changed.event).toEqual({ 'new-value': 'new@example.com' });
    expect(endpoint.told.filter((name) => name === 'identifier-changed')).toHaveLength(1);
  });

  it('is told once of a userName that is the address, too', async () => {
    const { endpoint } = await newPush(await newReceiver([idp.slug], { subject: 'email' }));
    const ada = await idp.user('old@example.com', { emails: emails('old@example.com') });
    await idp.put(`/Users/${ada.id}`, {
      ...{ schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: 'new@example.com' },
      emails: emails('new@example.com'),
    });
    await signOut(ada.id);
    await until(() => expect(endpoint.told.at(-1)).toBe('session-revoked'));
    expect(subjects(endpoint, 'identifier-changed')).toEqual([{ format: 'email', email: 'old@example.com' }]);
    expect(subjects(endpoint, 'session-revoked')).toEqual([{ format: 'email', email: 'new@example.com' }]);
  });

  it('is told that an address is not the user\u2019s any more, before it becomes somebody else\u2019s', async () => {
    const { endpoint } = await newPush(await newReceiver([idp.slug], { subject: 'email' }));
    const ada = await idp.user('ada', { emails: emails('desk@example.com') });
    await idp.patch(`/Users/${ada.id}`, [{ op: 'remove', path: 'emails' }]);
    const bob = await idp.user('bob', { emails: emails('desk@example.com') });
    await signOut(bob.id);
    await set(ada.id, 'emails', emails('ada@example.com')); // known by no address before
    await signOut(ada.id);
    await until(() => expect(subjects(endpoint, 'session-revoked')).toHaveLength(2));
    const changed = endpoint.got.filter((_, i) => endpoint.told[i] === 'identifier-changed');
    expect(changed.map(({ claims, event }) => [claims.sub_id, event])).toEqual([
      [{ format: 'email', email: 'desk@example.com' }, {}],
    ]);
    expect(subjects(endpoint, 'session-revoked')[1]).toEqual({ format: 'email', email: 'ada@example.com' });
    expect(endpoint.told.indexOf('identifier-changed')).toBeLessThan(endpoint.told.indexOf('session-revoked'));
  });

  it('is told of somebody without an address, or erased, by our issuer and the SCIM id', async () => {
    const { endpoint } = await newPush(await newReceiver([idp.slug], { subject: 'email' }));
    const ada = await idp.user('ada');
    const bob = await idp.user('bob@example.com');
    await signOut(ada.id);
    await admin('POST', `/orgs/${idp.slug}/users/${bob.id}/erase?confirm=${bob.id}`, { body: {} });
    await until(() => expect(endpoint.told.at(-1)).toBe('prov:delete'));
    expect(subjects(endpoint, 'session-revoked')).toEqual([
      { format: 'iss_sub', iss: BASE, sub: ada.id },
      { format: 'iss_sub', iss: BASE, sub: bob.id },
    ]);
  });
});

describe('a receiver that knows issuers and their subjects', () => {
  it('is told what the identity provider calls the user, as the source of its signals says', async () => {
    const okta = await addSource(idp);
    const { endpoint } = await newPush(await newReceiver([idp.slug], { subject: 'iss_sub' }));
    const ada = await idp.user('ada@example.com', { externalId: '00u-ada' });
    const bob = await idp.user('bob@example.com');
    await signOut(ada.id);
    await signOut(bob.id);
    await until(() => expect(subjects(endpoint, 'session-revoked')).toHaveLength(2));
    expect(subjects(endpoint, 'session-revoked')).toEqual([
      { format: 'iss_sub', iss: okta, sub: '00u-ada' },
      { format: 'iss_sub', iss: BASE, sub: bob.id }, // without an externalId
    ]);
    expect(subjects(endpoint, 'prov:create:notice')[0]).toMatchObject({ format: 'scim' });
  });

  it('is told our issuer and the SCIM id, if the issuer of the identity provider is not known', async () => {
    await addSource(await newIdp(`named-other-${n}`)); // of another org
    const { endpoint } = await newPush(await newReceiver([idp.slug], { subject: 'iss_sub' }));
    const ada = await idp.user('ada@example.com', { externalId: '00u-ada' });
    await signOut(ada.id);
    await until(() => expect(subjects(endpoint, 'session-revoked')).toHaveLength(1));
    expect(subjects(endpoint, 'session-revoked')).toEqual([{ format: 'iss_sub', iss: BASE, sub: ada.id }]);
  });
});

describe('a receiver removes and adds subjects', () => {
  it.each([
    ['the address', 'email', (_: string) => ({ format: 'email', email: 'ADA@example.com' })],
    ['a userName that is an address', 'email', (_: string) => ({ format: 'email', email: 'ada@login.example' })],
    [
      'what the identity provider calls the user',
      'iss_sub',
      (iss: string) => ({ format: 'iss_sub', iss, sub: '00u-ada' }),
    ],
  ])('by %s', async (_, subject, identifier) => {
    const issuer = await addSource(idp);
    const receiver = await newReceiver([idp.slug], { subject });
    const { endpoint, id: stream_id } = await newPush(receiver);
    const ada = await idp.user('ada@login.example', { externalId: '00u-ada', emails: emails('ada@example.com') });
    const bob = await idp.user('bob@example.com', { externalId: '00u-bob' });
    const body = { stream_id, subject: identifier(issuer) };
    expect((await receiver.api('POST', '/subjects/remove', { body })).status).toBe(204);
    await signOut(ada.id);
    await signOut(bob.id);
    await until(() => expect(subjects(endpoint, 'session-revoked')).toHaveLength(1));
    expect((await receiver.api('POST', '/subjects/add', { body })).status).toBe(200);
    await signOut(ada.id);
    await until(() => expect(subjects(endpoint, 'session-revoked')).toHaveLength(2));
    expect(JSON.stringify(subjects(endpoint, 'session-revoked')[0])).toContain('bob');
    expect(JSON.stringify(subjects(endpoint, 'session-revoked')[1])).toContain('ada');
  });

  it.each([
    ['email', (email: string) => ({ format: 'email', email })],
    ['iss_sub', (sub: string, iss: string) => ({ format: 'iss_sub', iss, sub })],
  ])(
    'as %s by an address that is another user\u2019s, too: only the user whom events call so',
    async (subject, identifier) => {
      const issuer = await addSource(idp, { subject: 'email' });
      const receiver = await newReceiver([idp.slug], { subject });
      const { endpoint, id: stream_id } = await newPush(receiver);
      const ada = await idp.user('ada', { emails: emails('sales@example.com') });
      const bob = await idp.user('bob', { emails: [...emails('bob@example.com'), { value: 'sales@example.com' }] });
      const remove = async (address: string) => {
        const body = { stream_id, subject: identifier(address, issuer) };
        expect((await receiver.api('POST', '/subjects/remove', { body })).status).toBe(204);
      };
      await remove('SALES@example.com');
      await signOut(ada.id);
      await signOut(bob.id);
      await until(() => expect(subjects(endpoint, 'session-revoked')).toEqual([identifier('bob@example.com', issuer)]));
      await remove('bob@example.com');
      const cyd = await idp.user('cyd', { emails: [...emails('cyd@example.com'), { value: 'desk@example.com' }] });
      await remove('desk@example.com'); // nobody is called so
      await signOut(bob.id);
      await signOut(cyd.id);
      const dan = await idp.user('dan', { emails: emails('dan@example.com') });
      await signOut(dan.id);
      await until(() => expect(subjects(endpoint, 'session-revoked')).toHaveLength(2));
      expect(subjects(endpoint, 'session-revoked')[1]).toEqual(identifier('dan@example.com', issuer));
    },
  );

  it('not by an address that more than a hundred users have: some of them at random would be left out', async () => {
    const receiver = await newReceiver([idp.slug], { subject: 'email' });
    const { endpoint, id: stream_id } = await newPush(receiver);
    const people = await Promise.all(
      Array.from({ length: 101 }, (_, i) =>
        idp.user(`person-${i}`, { emails: [...emails(`p${i}@example.com`), { value: 'all@example.com' }] }),
      ),
    );
    const body = { stream_id, subject: { format: 'email', email: 'all@example.com' } };
    const { status: answer, body: told } = await receiver.api('POST', '/subjects/remove', { body });
    expect([answer, told.detail]).toEqual([400, expect.stringContaining('more than 100 users')]);
    await signOut(people[0]!.id);
    await until(() => expect(subjects(endpoint, 'session-revoked')).toHaveLength(1));
  });

  it('and finds nobody by the subject of another issuer, another attribute, or an address that only looks alike', async () => {
    const issuer = await addSource(idp, { subject: 'userName' });
    const receiver = await newReceiver([idp.slug], { subject: 'iss_sub' });
    const { id: stream_id } = await newPush(receiver);
    await idp.user('ada', { externalId: '00u-ada', emails: emails('ada\uff20corp@example.com') });
    const remove = async (subject: object) =>
      (await receiver.api('POST', '/subjects/remove', { body: { stream_id, subject } })).status;
    expect(await remove({ format: 'iss_sub', iss: issuer, sub: '00u-ada' })).toBe(404);
    expect(await remove({ format: 'iss_sub', iss: 'https://other.test', sub: 'ada' })).toBe(404);
    expect(await remove({ format: 'email', email: 'ada@corp@example.com' })).toBe(404);
    expect(await remove({ format: 'iss_sub', iss: `${issuer}/`, sub: 'ADA' })).toBe(204);
    expect(await remove({ format: 'email', email: 'ada\uff20corp@example.com' })).toBe(204);
  });
});

describe('the format of the subject', () => {
  it('is scim unless the operator says otherwise, is shown, and can be changed', async () => {
    const receiver = await newReceiver([idp.slug]);
    const path = `/signals/receivers/${receiver.name}`;
    const { endpoint } = await newPush(receiver);
    expect((await admin('GET', path)).body.subject).toBe('scim');
    const changed = await admin('PATCH', path, { body: { subject: 'email' } });
    expect(changed).toMatchObject({ status: 200, body: { name: receiver.name, subject: 'email' } });
    expect((await admin('GET', '/signals/receivers')).body[0].subject).toBe('email');
    const ada = await idp.user('ada@example.com');
    await signOut(ada.id);
    await until(() => expect(endpoint.told).toContain('session-revoked'));
    expect(subjects(endpoint, 'session-revoked')).toEqual([{ format: 'email', email: 'ada@example.com' }]);
    await admin('PATCH', path, { body: { subject: 'email' } }); // as it is
    const events = (await journal(idp.orgId)).filter(({ type }) => type === 'signals.receiver_changed');
    expect(events.map(({ details }) => details)).toMatchObject([{ subject: 'email' }]);
  });

  it.each([['opaque'], [''], [null], [5], [undefined]])('%s is refused, and changes nothing', async (subject) => {
    const receiver = await newReceiver([idp.slug]);
    const before = await dump();
    const path = `/signals/receivers/${receiver.name}`;
    expect((await admin('PATCH', path, { body: { subject } })).status).toBe(400);
    if (subject !== undefined)
      expect((await admin('POST', '/signals/receivers', { body: { name: 'odd', subject } })).status).toBe(400);
    expect(await dump()).toBe(before);
    expect((await admin('PATCH', '/signals/receivers/none', { body: { subject: 'email' } })).status).toBe(404);
  });
});
