/** A user whom the identity provider has deleted, brought back by the operator. */
import { beforeEach, expect, it } from 'vitest';
import { protect } from '../support/accounts';
import { admin, host, type Idp, newIdp } from '../support/client';
import { counters, dump, journal, rows } from '../support/database';

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`restore-${++n}`);
});

const restore = (id: string, body: object = {}) => admin('POST', `/orgs/${idp.slug}/users/${id}/restore`, { body });
const set = (settings: Record<string, string>) => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
async function buried(userName: string, more: Record<string, unknown> = {}): Promise<string> {
  const { id } = await idp.user(userName, more);
  await idp.delete(`/Users/${id}`);
  return id;
}
const isValid = async (user: string, issuedAt: number) =>
  (await host('POST', '/check', { body: { org: idp.slug, user, issuedAt } })).body.valid;

it('comes back as the account was, may sign in anew, and no old session does', async () => {
  const issuedAt = Date.now();
  const id = await buried('ada', { externalId: 'x', title: 'Dr', emails: [{ value: 'ada@acme.com' }] });
  const { status, body } = await restore(id, { by: 'olga', reason: 'deleted by mistake' });
  expect(status).toBe(200);
  expect(body).toMatchObject({ id, userName: 'ada', externalId: 'x', title: 'Dr', active: true, published: true });
  expect((await idp.get(`/Users/${id}`)).body).toMatchObject({ userName: 'ada', active: true });
  expect((await host('POST', '/resolve', { body: { org: idp.slug, email: 'ada@acme.com' } })).body.id).toBe(id);
  expect([await isValid(id, issuedAt), await isValid(id, Date.now() + 1_000)]).toEqual([false, true]);
  expect((await journal(idp.orgId, id)).at(-1)).toMatchObject({
    type: 'user.restored',
    actor: 'admin:admin',
    details: { by: 'olga', reason: 'deleted by mistake' },
  });
  const history = await admin('GET', `/orgs/${idp.slug}/users/${id}/history`);
  expect(history.text).toContain('Restored by the administrator olga (deleted by mistake), with the same id');
  const { kept, real } = await counters(idp.orgId);
  expect(kept).toEqual(real);
});

it('comes back beside the person whose new account the identity provider has made', async () => {
  const id = await buried('ada', { externalId: 'leaver' });
  const joiner = await idp.user('ada', { externalId: 'joiner' });
  const before = await dump();
  const taken = await restore(id);
  expect([taken.status, taken.body.detail]).toEqual([409, 'userName is already taken by another resource']);
  expect(await dump()).toBe(before);
  await idp.patch(`/Users/${joiner.id}`, [{ op: 'replace', path: 'userName', value: 'ada2' }]);
  expect((await restore(id)).status).toBe(200);
});

it('is inactive if it was so when it was deleted, and then needs no seat', async () => {
  const [idle, ada] = [await buried('idle', { active: false }), await buried('ada')];
  await idp.user('eve');
  await set({ 'plan.seats': '1' });
  expect((await restore(idle)).body).toMatchObject({ active: false });
  const before = await dump();
  const full = await restore(ada);
  expect([full.status, full.body.detail]).toEqual([409, expect.stringContaining('plan.seats: 1')]);
  expect(await dump()).toBe(before);
});

it('is refused where its externalId is a live user’s, whatever the org’s setting', async () => {
  await set({ restore: 'off' });
  const id = await buried('ada', { externalId: 'x' });
  await idp.user('ada2', { externalId: 'x' });
  const taken = await restore(id);
  expect([taken.status, taken.body.detail]).toEqual([409, 'externalId is already taken by another resource']);
});

it('is restored once when it is asked for many times at once', async () => {
  const id = await buried('ada');
  const answers = await Promise.all([restore(id), restore(id), restore(id), restore(id)]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 404, 404, 404]);
  expect((await journal(idp.orgId, id)).filter(({ type }) => type === 'user.restored')).toHaveLength(1);
});

it('a protected account keeps its mark, and who it is, when a POST restores it', async () => {
  const id = await buried('owner', { externalId: 'x' });
  await protect(idp, id);
  expect((await idp.post('/Users', { userName: 'mallory', externalId: 'x' })).status).toBe(403);
  expect((await idp.post('/Users', { userName: 'owner' })).status).toBe(403);
  expect((await restore(id)).body).toMatchObject({ protected: true, userName: 'owner' });
});

it.each([
  ['nobody’s id', async () => 'nobody', /^Deleted user not found$/],
  ['the id of a live user', async () => (await idp.user('ada')).id, /not deleted/],
  [
    'the id of somebody erased',
    async () => {
      const id = await buried('ada');
      await admin('POST', `/orgs/${idp.slug}/users/${id}/erase?confirm=${id}`, { body: {} });
      return id;
    },
    /was erased/,
  ],
  ['another org’s', async () => buriedElsewhere(), /^Deleted user not found$/],
] as [string, () => Promise<string>, RegExp][])('%s is 404, and says why', async (_, given, detail) => {
  const id = await given();
  const before = await dump();
  const { status, body } = await restore(id);
  expect([status, body.detail]).toEqual([404, expect.stringMatching(detail)]);
  expect(await dump()).toBe(before);
});

async function buriedElsewhere(): Promise<string> {
  const other = await newIdp(`${idp.slug}-other`);
  const { id } = await other.user('ada');
  await other.delete(`/Users/${id}`);
  return id;
}

it.each([
  ['restore', 'sometimes', 'restore: same-person, externalId or off was expected'],
  ['uniqueExternalId', '1', 'uniqueExternalId: true or false was expected'],
])('the setting %s takes no %s', async (key, value, detail) => {
  const { status, body } = await set({ [key]: value });
  expect([status, body.detail]).toEqual([400, detail]);
  expect((await rows('SELECT settings FROM orgs WHERE id = ?', idp.orgId))[0]).toEqual({ settings: '{}' });
});

it('is restored by userName, unless several deleted users have it', async () => {
  await buried('ada', { externalId: 'first' });
  const eve = await buried('eve');
  expect((await restore('EVE')).body).toMatchObject({ id: eve, userName: 'eve' });
  expect((await restore('eve')).status).toBe(404);
  const last = await buried('ada', { externalId: 'second' });
  const several = await restore('ada');
  expect([several.status, several.body.detail]).toEqual([409, expect.stringContaining('name the user by id')]);
  expect((await restore(last)).status).toBe(200);
});
