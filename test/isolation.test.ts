/** Two orgs with the same people: nothing of the other org is read, written, counted or inferred (promise 1). */
import { beforeAll, describe, expect, it } from 'vitest';
import { ENTERPRISE_USER } from '../src/scim/urns';
import { admin, ask, BASE, host, type Idp, newIdp } from './support/client';
import { counters, dump, journal, rows } from './support/database';
import { expectRefusal } from './support/refusal';

let ours: Idp;
let theirs: Idp;
/** The same person in both orgs. */
let ada: { id: string };
let theirAda: { id: string };
/** Only the other org has her. */
let grace: { id: string };

const person = (userName: string) => ({
  userName,
  externalId: `ext-${userName}`,
  displayName: `Display of ${userName}`,
  emails: [{ value: userName, type: 'work', primary: true }],
});

beforeAll(async () => {
  ours = await newIdp('ours');
  theirs = await newIdp('theirs');
  theirAda = await theirs.user('ada@example.com', person('ada@example.com'));
  ada = await ours.user('ada@example.com', person('ada@example.com'));
  grace = await theirs.user('grace@example.com', person('grace@example.com'));
  await theirs.user('alan@example.com', person('alan@example.com'));
});

/** What an id that never existed is answered, made comparable. */
const nobody = () => crypto.randomUUID();

/** Everything of the other org, as text. */
const theirRows = async () =>
  JSON.stringify([
    await rows('SELECT * FROM orgs WHERE id = ?', theirs.orgId),
    await rows('SELECT * FROM users WHERE org_id = ? ORDER BY seq', theirs.orgId),
    await rows('SELECT * FROM user_emails WHERE org_id = ? ORDER BY value_key', theirs.orgId),
    await rows('SELECT * FROM events WHERE org_id = ? ORDER BY seq', theirs.orgId),
    await rows('SELECT * FROM credentials WHERE org_id = ?', theirs.orgId),
    await rows('SELECT * FROM outbox WHERE org_id = ?', theirs.orgId),
  ]);

describe('an org', () => {
  it("meets another org's id exactly as one that never existed, whatever it asks", async () => {
    const before = await dump();
    const operations = [{ op: 'replace', path: 'active', value: false }];
    const tries: ((id: string) => ReturnType<Idp['get']>)[] = [
      (id) => ours.get(`/Users/${id}`),
      (id) => ours.get(`/Users/${id}?attributes=userName`),
      (id) => ours.get(`/Users/${id}`, { headers: { 'If-None-Match': 'W/"1"' } }),
      (id) => ours.patch(`/Users/${id}`, operations),
      (id) => ours.patch(`/Users/${id}`, operations, { headers: { 'If-Match': 'W/"1"' } }),
      (id) => ours.patch(`/Users/${id}`, operations, { headers: { 'If-Match': 'W/"7"' } }),
      (id) => ours.put(`/Users/${id}`, { userName: 'stolen@example.com' }),
      (id) => ours.put(`/Users/${id}`, { userName: 'stolen@example.com' }, { headers: { 'If-Match': '*' } }),
      (id) => ours.delete(`/Users/${id}`),
      (id) => ours.delete(`/Users/${id}`, { headers: { 'If-Match': 'W/"1"' } }),
      (id) => ours.delete(`/Users/${id}`, { headers: { 'If-Match': 'W/"7"' } }),
    ];
    for (const attempt of tries) {
      const [foreign, unknown] = [await attempt(grace.id), await attempt(nobody())];
      expectRefusal(foreign, 404);
      expect(foreign.text).toBe(unknown.text);
      const headers = (answer: typeof foreign) => [...answer.headers].filter(([name]) => name !== 'x-request-id');
      expect(headers(foreign)).toEqual(headers(unknown));
    }
    expect(await dump()).toBe(before);
  });

  it('lists, filters, sorts and searches its own people only', async () => {
    const filters = [
      'userName pr',
      'userName eq "grace@example.com"',
      'userName eq "ada@example.com"',
      'not (userName eq "ada@example.com")',
      'externalId eq "ext-grace@example.com"',
      'emails.value eq "grace@example.com"',
      'emails[type eq "work" and value eq "grace@example.com"]',
      'emails[type eq "work"].value eq "ada@example.com"',
      'emails.value co "@example.com"',
      `id eq "${grace.id}"`,
      `id ne "${ada.id}"`,
      `id eq "${theirAda.id}" or userName sw "a"`,
      'meta.location co "Users"',
      'active eq true',
      'displayName ew "com"',
    ];
    const expected = new Set([ada.id]);
    const answers = [await ours.get('/Users'), await ours.post('/.search', {}), await ours.post('/Users/.search', {})];
    for (const order of ['ascending', 'descending']) {
      for (const by of ['userName', 'displayName', 'emails.value', 'meta.created', 'id']) {
        answers.push(await ours.get(`/Users?sortBy=${by}&sortOrder=${order}`));
      }
    }
    for (const filter of filters) {
      answers.push(await ours.get(`/Users?filter=${encodeURIComponent(filter)}`));
      answers.push(await ours.get(`/Users?filter=${encodeURIComponent(filter)}&count=0`));
      answers.push(await ours.post('/.search', { filter }));
    }
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(answer.body.totalResults).toBeLessThanOrEqual(1);
      for (const { id } of answer.body.Resources) expect(expected).toContain(id);
      expect(answer.text).not.toContain('grace');
    }
    expect((await ours.get('/Users')).body.totalResults).toBe(1);
    expect((await theirs.get('/Users')).body.totalResults).toBe(3);
  });

  it('may have the userNames, externalIds and e-mail addresses of another org', async () => {
    const before = await theirRows();
    const same = await ours.post('/Users', person('alan@example.com'));
    expect(same.status).toBe(201);
    expect((await ours.put(`/Users/${same.body.id}`, person('grace@example.com'))).status).toBe(200);
    const renamed = [{ op: 'replace', path: 'userName', value: 'ALAN@example.com' }];
    expect((await ours.patch(`/Users/${same.body.id}`, renamed)).status).toBe(200);
    expect((await ours.delete(`/Users/${same.body.id}`)).status).toBe(204);
    expect(await theirRows()).toBe(before);
  });

  it("does not restore, nor even notice, another org's deleted user", async () => {
    const gone = await theirs.user('hedy@example.com', person('hedy@example.com'));
    await theirs.delete(`/Users/${gone.id}`);
    const before = await theirRows();
    const created = await ours.post('/Users', person('hedy@example.com'));
    expect(created.status).toBe(201);
    expect(created.body.id).not.toBe(gone.id);
    expect(created.body.meta.version).toBe('W/"1"');
    expect((await journal(ours.orgId, created.body.id)).map(({ type }) => type)).toEqual(['user.created']);
    expect(await theirRows()).toBe(before);
    // And the other way round: its own tombstone is still there for it.
    expect((await theirs.post('/Users', person('hedy@example.com'))).body.id).toBe(gone.id);
    await ours.delete(`/Users/${created.body.id}`);
  });

  it('is told as little of a manager in another org as of one who never existed', async () => {
    const withManager = async (manager: string) => {
      const { body } = await ours.post('/Users', {
        userName: `${manager}@example.com`,
        [ENTERPRISE_USER]: { manager: { value: manager } },
      });
      return body;
    };
    for (const manager of [grace.id, theirAda.id, nobody()]) {
      const user = await withManager(manager);
      expect(user[ENTERPRISE_USER].manager).toEqual({ value: manager });
      const read = await ours.get(`/Users/${user.id}`);
      expect(read.body[ENTERPRISE_USER].manager).toEqual({ value: manager });
      const patched = await ours.patch(`/Users/${user.id}`, [
        { op: 'replace', path: `${ENTERPRISE_USER}:manager`, value: { value: manager, displayName: 'x', $ref: 'y' } },
        { op: 'replace', path: 'title', value: 'x' },
      ]);
      expect(patched.body[ENTERPRISE_USER].manager).toEqual({ value: manager });
      for (const filter of ['manager.displayName pr', 'manager.$ref pr', 'manager.displayName co "Display"']) {
        const found = await ours.get(`/Users?filter=${encodeURIComponent(filter)}`);
        expect(found.body, filter).toMatchObject({ totalResults: 0 });
      }
      expect((await ours.get('/Users?sortBy=manager.displayName')).text).not.toContain('Display of grace');
      await ours.delete(`/Users/${user.id}`);
    }
    const user = await withManager(ada.id);
    expect(user[ENTERPRISE_USER].manager).toEqual({
      value: ada.id,
      $ref: `${BASE}/scim/v2/Users/${ada.id}`,
      displayName: 'Display of ada@example.com',
    });
    await ours.delete(`/Users/${user.id}`);
  });

  it('counts its own, and keeps a journal of its own without a gap', async () => {
    const before = await theirRows();
    const { id } = await ours.user('counted@example.com');
    await ours.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    expect(await theirRows()).toBe(before);
    for (const { orgId } of [ours, theirs]) {
      const { kept, real } = await counters(orgId);
      expect(kept).toEqual(real);
      const events = await journal(orgId);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    }
    const [shown, theirShown] = [await admin('GET', '/orgs/ours'), await admin('GET', '/orgs/theirs')];
    expect(shown.body).toMatchObject({ users: 2, activeUsers: 1 });
    expect(theirShown.body).toMatchObject({ users: 4, activeUsers: 4 });
    await ours.delete(`/Users/${id}`);
  });

  it('has no trace in the journal of another', async () => {
    const foreign = [ours.orgId, ada.id, ours.token];
    const text = JSON.stringify(await journal(theirs.orgId));
    for (const trace of foreign) expect(text).not.toContain(trace);
    for (const { seq } of await journal(ours.orgId)) expect(seq).toBeGreaterThan(0);
  });

  it('is shown to the administrator with its own people only', async () => {
    const list = await admin('GET', '/orgs/ours/users');
    expect(list.body).toMatchObject({ totalResults: 1, users: [{ id: ada.id }] });
    const filtered = await admin('GET', `/orgs/ours/users?filter=${encodeURIComponent('userName sw "g"')}`);
    expect(filtered.body).toMatchObject({ totalResults: 0, users: [] });
    for (const user of [grace.id, 'grace@example.com', theirAda.id]) {
      const shown = await admin('GET', `/orgs/ours/users/${user}`);
      expect(shown.status).toBe(404);
      expect(shown.text).toBe((await admin('GET', `/orgs/ours/users/${nobody()}`)).text);
    }
    expect((await admin('GET', '/orgs/ours/users/ada@example.com')).body.id).toBe(ada.id);
  });

  it("cannot ask whether another org's session is good", async () => {
    const at = Date.now();
    const answer = await admin('GET', `/orgs/ours/sessions/check?user=${grace.id}&issuedAt=${at}`);
    const unknown = await admin('GET', `/orgs/ours/sessions/check?user=${nobody()}&issuedAt=${at}`);
    expect(answer.text).toBe(unknown.text);
    expect(answer.body).toMatchObject({ valid: false, reason: 'unknown' });
  });

  it('is listed to an application with its own people only, and another org’s ids are those of nobody', async () => {
    const their = await theirs.post('/Groups', { displayName: 'Theirs', members: [{ value: grace.id }] });
    const our = await ours.post('/Groups', { displayName: 'Ours', members: [{ value: ada.id }] });
    const get = (path: string, query = '') => host('GET', `/${path}?org=ours${query}`);
    const users = await get('users');
    expect(users.body.users.map(({ id }: { id: string }) => id)).toEqual([ada.id]);
    expect((await get('groups')).body.groups.map(({ id }: { id: string }) => id)).toEqual([our.body.id]);
    expect((await get('memberships')).body.memberships).toEqual([{ group: our.body.id, type: 'User', id: ada.id }]);
    const foreign = [grace.id, theirAda.id, their.body.id, theirs.orgId, 'grace'];
    for (const path of ['users', 'groups', 'memberships', 'changes']) {
      const { status, text } = await get(path, path === 'changes' ? '&after=0' : '');
      expect(status, text).toBe(200);
      for (const trace of foreign) expect(text, path).not.toContain(trace);
    }
    // A cursor that was made up of another org's ids goes on from nobody's place.
    const cursor = (kind: string, ...place: unknown[]) => btoa(JSON.stringify([1, kind, ours.orgId, ...place]));
    for (const [kind, member, foreignId] of [
      ['users', 'cursor', grace.id],
      ['groups', 'cursor', their.body.id],
    ] as const) {
      const asked = (id: string) => get(kind, `&${member}=${encodeURIComponent(cursor(kind, id, null))}`);
      const kindOf = async (id: string) => (await asked(id)).body[kind].length;
      expect(await kindOf(foreignId)).toBeLessThanOrEqual(1);
      if (kind === 'users') expect((await asked(foreignId)).text).toBe((await asked(nobody())).text);
    }
    await theirs.delete(`/Users/${grace.id}`);
    expect((await host('POST', '/resolve', { body: { org: 'ours', id: grace.id } })).body).toEqual({ found: false });
    await admin('POST', `/orgs/theirs/users/${grace.id}/restore`, { body: {} });
    await ours.delete(`/Groups/${our.body.id}`);
    await theirs.delete(`/Groups/${their.body.id}`);
  });

  it('loses its token without the other losing its own', async () => {
    const brief = await newIdp('brief');
    await admin('DELETE', '/orgs/brief/tokens');
    await admin('POST', '/orgs/brief/scim', { body: { enabled: false } });
    expect((await brief.get('/Users')).status).toBe(401);
    expect((await ours.get('/Users')).status).toBe(200);
    await admin('DELETE', '/orgs/brief?confirm=brief');
    expect((await theirs.get('/Users')).body.totalResults).toBe(4);
  });

  it('has addresses of the door that it came through', async () => {
    const authorization = { headers: { Authorization: `Bearer ${ours.token}` } };
    const base = `${BASE}/orgs/ours/scim/v2`;
    const answer = await ask('GET', `${base}/Users/${ada.id}`, authorization);
    expect(answer.body.meta.location).toBe(`${base}/Users/${ada.id}`);
    const filter = encodeURIComponent(`meta.location eq "${base}/Users/${ada.id}"`);
    expect((await ask('GET', `${base}/Users?filter=${filter}`, authorization)).body.totalResults).toBe(1);
    expect((await ours.get(`/Users?filter=${filter}`)).body.totalResults).toBe(0);
  });
});
