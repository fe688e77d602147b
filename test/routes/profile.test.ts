/** Promise 3 and 7: an isolate remembers what an org has set, and never acts by a profile of the past. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { knownProfiles } from '../../src/store/org/profile';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { rows } from '../support/database';
import { Meter } from '../support/meter';

let idp: Idp;
let count = 0;
/** By the administrator's API: the IdP's requests remember another profile until they ask again. */
const set = async (settings: Record<string, string>) =>
  expect((await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } })).status).toBe(200);
const deactivate = (id: string) => idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
const revision = async () => (await rows('SELECT revision FROM orgs WHERE id = ?', idp.orgId))[0]!['revision'];
const sql = (text: string, ...values: unknown[]) =>
  env.DB.prepare(text)
    .bind(...values)
    .run();

/** D1, where something else happens right before the batch of this number. */
const before = (number: number, happens: () => Promise<unknown>) => {
  let batches = 0;
  const db = {
    prepare: (text: string) => env.DB.prepare(text),
    batch: async (statements: D1PreparedStatement[]) => {
      if (++batches === number) await happens();
      return env.DB.batch(statements);
    },
  } as unknown as D1Database;
  return { env: { DB: db } };
};

beforeEach(async () => {
  idp = await newIdp(`profile-${++count}`);
  await idp.get('/Users?count=0');
});

describe('the revision of an org', () => {
  it.each([
    ['slug', "UPDATE orgs SET slug = slug || 'x' WHERE id = ?"],
    ['name', "UPDATE orgs SET name = 'Other' WHERE id = ?"],
    ['settings', `UPDATE orgs SET settings = '{"plan.seats":1}' WHERE id = ?`],
    ['SCIM', 'UPDATE orgs SET scim_enabled = 0 WHERE id = ?'],
    ['the vendor’s switch', 'UPDATE orgs SET disabled_at = 1 WHERE id = ?'],
    ['the key of its cursors', "UPDATE orgs SET cursor_key = 'other' WHERE id = ?"],
    [
      'a new schema',
      "INSERT INTO schemas (org_id, urn_key, resource_type, definition, added_at) VALUES (?, 'urn:x', 'User', '{}', 1)",
    ],
  ])('moves with a change of %s', async (_, text) => {
    const was = await revision();
    await sql(text, idp.orgId);
    expect(await revision()).not.toBe(was);
  });

  it('moves when a schema changes or goes', async () => {
    await sql(
      "INSERT INTO schemas (org_id, urn_key, resource_type, definition, added_at) VALUES (?, 'urn:x', 'User', '{}', 1)",
      idp.orgId,
    );
    const seen = [await revision()];
    await sql("UPDATE schemas SET definition = '{ }' WHERE org_id = ?", idp.orgId);
    seen.push(await revision());
    await sql('DELETE FROM schemas WHERE org_id = ?', idp.orgId);
    seen.push(await revision());
    expect(new Set(seen).size).toBe(3);
  });

  it('stays where users and groups change', async () => {
    const was = await revision();
    const { id } = await idp.user('ada');
    await idp.post('/Groups', { displayName: 'Sales', members: [{ value: id }] });
    await idp.delete(`/Users/${id}`);
    expect(await revision()).toBe(was);
  });

  it('begins elsewhere when an org with the same id comes again', async () => {
    const was = await revision();
    await sql('DELETE FROM orgs WHERE id = ?', idp.orgId);
    await sql('INSERT INTO orgs (id, slug, name, created_at) VALUES (?1, ?2, ?2, 1)', idp.orgId, idp.slug);
    expect(await revision()).not.toBe(was);
  });
});

describe('a setting is in force with the next request of an isolate that remembers another one', () => {
  it.each<[string, Record<string, string>, () => Promise<Answer>, number, number]>([
    ['plan.seats', { 'plan.seats': '1' }, () => idp.post('/Users', { userName: `new-${Math.random()}` }), 403, 201],
    [
      'roles',
      { roles: 'Admin' },
      () => idp.post('/Users', { userName: `new-${Math.random()}`, roles: [{ value: 'Other' }] }),
      400,
      201,
    ],
    [
      'uniqueExternalId',
      { uniqueExternalId: 'true' },
      () => idp.post('/Users', { userName: `new-${Math.random()}`, externalId: 'ada' }),
      409,
      201,
    ],
    [
      'unknownMembers',
      { unknownMembers: 'reject' },
      () => idp.post('/Groups', { displayName: `G-${Math.random()}`, members: [{ value: 'nobody' }] }),
      400,
      201,
    ],
    ['plan.scim', { 'plan.scim': 'false' }, () => idp.get('/Users?count=0'), 403, 200],
  ])('%s', async (name, settings, request, refused, usual) => {
    await idp.user('ada', { externalId: 'ada' });
    await set(settings);
    expect((await request()).status).toBe(refused);
    await set({ [name]: 'none' });
    expect((await request()).status).toBe(usual);
  });

  it('brake.deactivations', async () => {
    const users = [await idp.user('ada'), await idp.user('bob'), await idp.user('cyd')];
    await set({ 'brake.deactivations': '1' });
    expect((await deactivate(users[0]!.id)).status).toBe(200);
    expect((await deactivate(users[1]!.id)).status).toBe(429);
    await set({ 'brake.deactivations': 'none' });
    expect((await deactivate(users[1]!.id)).status).toBe(200);
  });

  it('onDelete', async () => {
    const { id } = await idp.user('ada');
    const resource = async () => (await rows('SELECT resource FROM users WHERE id = ?', id))[0]!['resource'];
    await set({ onDelete: 'erase' });
    expect((await idp.delete(`/Users/${id}`)).status).toBe(204);
    expect(await resource()).toBe('{}');
  });
});

describe('a change between the read and the write of one request', () => {
  it('of a setting binds the write', async () => {
    const { id } = await idp.user('ada');
    const race = before(2, () => set({ roles: 'Admin' }));
    const patch = [{ op: 'add', path: 'roles', value: [{ value: 'Other' }] }];
    expect((await idp.patch(`/Users/${id}`, patch, race)).status).toBe(400);
    expect((await idp.get(`/Users/${id}`)).body.roles).toBeUndefined();
  });

  it('of a policy that is decided without a read binds a DELETE', async () => {
    const { id } = await idp.user('ada');
    const race = before(1, () => set({ onDelete: 'erase' }));
    expect((await idp.delete(`/Users/${id}`, race)).status).toBe(204);
    expect((await rows('SELECT resource FROM users WHERE id = ?', id))[0]!['resource']).toBe('{}');
  });

  it('that switches SCIM off refuses the write', async () => {
    const { id } = await idp.user('ada');
    const race = before(2, () => admin('POST', `/orgs/${idp.slug}/disable`, { body: {} }));
    const answer = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'Dr' }], race);
    expect(answer.status).toBe(403);
    const [row] = await rows('SELECT version FROM users WHERE id = ?', id);
    expect(row!['version']).toBe(1);
  });

  it('that ends the token refuses the write', async () => {
    const { id } = await idp.user('ada');
    const race = before(2, () => admin('DELETE', `/orgs/${idp.slug}/tokens`));
    const answer = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'Dr' }], race);
    expect(answer.status).toBe(401);
    expect((await rows('SELECT version FROM users WHERE id = ?', id))[0]!['version']).toBe(1);
  });
});

describe('the answer to a change', () => {
  it('shows the name of the manager that the change sets, and none that it takes away', async () => {
    const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
    const [one, two] = [await idp.user('one', { displayName: 'One' }), await idp.user('two', { displayName: 'Two' })];
    const made = await idp.user('ada', { [ENTERPRISE]: { manager: { value: one.id } } });
    expect(made[ENTERPRISE].manager.displayName).toBe('One');
    const patch = (value: unknown) =>
      idp.patch(`/Users/${made.id}`, [{ op: 'replace', path: `${ENTERPRISE}:manager.value`, value }]);
    expect((await patch(two.id)).body[ENTERPRISE].manager.displayName).toBe('Two');
    const title = await idp.patch(`/Users/${made.id}`, [{ op: 'replace', path: 'title', value: 'Dr' }]);
    expect(title.body[ENTERPRISE].manager.displayName).toBe('Two');
    expect(title.body).toEqual((await idp.get(`/Users/${made.id}`)).body);
    const gone = await idp.put(`/Users/${made.id}`, { userName: 'ada' });
    expect(gone.body[ENTERPRISE]).toBeUndefined();
  });

  it('shows the new name of a person who is their own manager', async () => {
    const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
    const { id } = await idp.user('ada', { displayName: 'Ada' });
    await idp.patch(`/Users/${id}`, [{ op: 'add', path: `${ENTERPRISE}:manager.value`, value: id }]);
    const { body } = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'displayName', value: 'Countess' }]);
    expect(body[ENTERPRISE].manager.displayName).toBe('Countess');
  });

  it('shows the groups that the user is in', async () => {
    const { id } = await idp.user('ada');
    await idp.post('/Groups', { displayName: 'Sales', members: [{ value: id }] });
    const { body } = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'Dr' }]);
    expect(body.groups).toMatchObject([{ display: 'Sales' }]);
  });
});

describe('the cost', () => {
  const meter = new Meter();
  const metered = { env: { DB: meter.binding } };

  it.each<[string, (id: string) => Promise<Answer>, number[], number]>([
    ['GET', (id) => idp.get(`/Users/${id}`, metered), [1], 2_700],
    [
      'POST',
      () => idp.post('/Users', { userName: 'new', externalId: 'new', emails: [{ value: 'n@x.example' }] }, metered),
      [5],
      3_400,
    ],
    [
      'PATCH',
      (id) => idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'Dr' }], metered),
      [2, 5],
      4_800,
    ],
    ['DELETE', (id) => idp.delete(`/Users/${id}`, metered), [9], 3_900],
  ])('of %s is a few short statements where the org has set nothing', async (_, request, batches, bytes) => {
    const { id } = await idp.user('ada');
    meter.reset();
    expect((await request(id)).status).toBeLessThan(300);
    expect(meter.batches.slice(0, batches.length)).toEqual(batches);
    expect(meter.statements.reduce((sum, text) => sum + text.length, 0)).toBeLessThanOrEqual(bytes);
    expect(meter.statements.join()).not.toMatch(/brake_counts|defaultGroup|allowed_roles|seats/);
  });

  it('of the first request in an isolate is one round trip more for a write, and none for a read where nothing is set', async () => {
    const { id } = await idp.user('ada');
    knownProfiles.clear();
    meter.reset();
    await idp.get(`/Users/${id}`, metered);
    expect(meter.batches).toEqual([1]);
    knownProfiles.clear();
    meter.reset();
    expect((await idp.post('/Users', { userName: 'bob' }, metered)).status).toBe(201);
    expect(meter.roundTrips).toBe(2);
    await set({ 'plan.seats': '10' });
    knownProfiles.clear();
    meter.reset();
    expect((await idp.get(`/Users/${id}`, metered)).status).toBe(200);
    expect(meter.roundTrips).toBe(2);
    meter.reset();
    expect((await idp.post('/Users', { userName: 'cyd' }, metered)).status).toBe(201);
    expect(meter.roundTrips).toBe(1);
  });
});
