/** Promise 6: every change carries its event in the same transaction; what changes nothing leaves none. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { settled, waiting } from '../support/coordinator';

interface Event {
  seq: number;
  at: number;
  type: string;
  actor: string;
  credential_id: string | null;
  target_id: string | null;
  request_id: string;
  // biome-ignore lint/suspicious/noExplicitAny: looked into freely
  details: any;
}

async function journal(orgId: string): Promise<Event[]> {
  const { results } = await env.DB.prepare('SELECT * FROM events WHERE org_id = ? ORDER BY seq').bind(orgId).all();
  return results.map((row) => ({ ...row, details: JSON.parse(row['details'] as string) }) as unknown as Event);
}

let idp: Idp;
let slug: string;
let credential: string;
let known = 0;

/** What was written since the last look. */
async function news(): Promise<Event[]> {
  const all = await journal(idp.orgId);
  const events = all.slice(known);
  known = all.length;
  return events;
}

let n = 0;
beforeEach(async () => {
  slug = `journal-${++n}`;
  idp = await newIdp(slug);
  credential = (await env.DB.prepare('SELECT id FROM credentials WHERE org_id = ?')
    .bind(idp.orgId)
    .first<string>('id'))!;
  known = 0;
});

const requestId = (answer: Answer) => answer.headers.get('X-Request-Id')!;
const active = (value: unknown) => [{ op: 'replace', path: 'active', value }];

describe('the journal of an org', () => {
  it('tells who did it, to whom, with which credential, in which request, by which client', async () => {
    await news();
    const before = Date.now();
    const answer = await idp.post(
      '/Users',
      { userName: 'ada@x.example' },
      { headers: { 'User-Agent': 'Okta SCIM Client 1.0.0' } },
    );
    const events = await news();
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      type: 'user.created',
      actor: 'idp',
      credential_id: credential,
      target_id: answer.body.id,
      request_id: requestId(answer),
      details: { client: 'Okta SCIM Client 1.0.0' },
    });
    expect(events[0]!.at).toBeGreaterThanOrEqual(before);
    expect(events[0]!.at).toBeLessThanOrEqual(Date.now());
  });

  it('tells of each attribute that changed what it was and what it is, and of no other', async () => {
    const { id } = await idp.user('ada@x.example', { title: 'Engineer', nickName: 'Ada' });
    await news();
    await idp.patch(`/Users/${id}`, [
      { op: 'replace', path: 'title', value: 'Head' },
      { op: 'remove', path: 'nickName' },
      { op: 'add', path: 'name.givenName', value: 'Ada' },
    ]);
    const [event, ...others] = await news();
    expect(others).toEqual([]);
    expect(event!.type).toBe('user.updated');
    expect(event!.details.changed).toEqual({
      title: { before: 'Engineer', after: 'Head' },
      nickName: { before: 'Ada', after: null },
      name: { before: null, after: { givenName: 'Ada' } },
    });
  });

  it('has one event of the right name for each step of a life', async () => {
    const created = await idp.user('ada@x.example', { externalId: 'ada' });
    const path = `/Users/${created.id}`;
    await idp.patch(path, active(false));
    await idp.put(path, { userName: 'ada@x.example', externalId: 'ada', active: true });
    await idp.put(path, { userName: 'ada@x.example', externalId: 'ada', title: 'Head' });
    await idp.put(path, { userName: 'ada@x.example', externalId: 'ada', active: false });
    await idp.delete(path);
    await idp.post('/Users', { userName: 'ada@x.example', externalId: 'ada' });
    const events = (await news()).filter(({ target_id }) => target_id === created.id);
    expect(events.map(({ type }) => type)).toEqual([
      'user.created',
      'user.deactivated',
      'user.reactivated',
      'user.updated',
      'user.deactivated',
      'user.deleted',
      'user.restored',
    ]);
    expect(new Set(events.map(({ request_id }) => request_id)).size).toBe(7);
  });

  it('keeps of who was deleted all that was there', async () => {
    const { id } = await idp.user('ada@x.example', { title: 'Engineer', emails: [{ value: 'ada@x.example' }] });
    await news();
    const answer = await idp.delete(`/Users/${id}`);
    const [event] = await news();
    expect(event).toMatchObject({ type: 'user.deleted', target_id: id, request_id: requestId(answer) });
    expect(event!.details.before).toEqual({
      userName: 'ada@x.example',
      title: 'Engineer',
      active: true,
      emails: [{ value: 'ada@x.example' }],
    });
  });

  it('names the quirks that a message needed', async () => {
    const { id } = await idp.user('ada@x.example');
    await news();
    await idp.patch(`/Users/${id}`, [{ op: 'Replace', path: 'active', value: 'False' }]);
    const [event] = await news();
    expect([...event!.details.quirks].sort()).toEqual(['boolean-string', 'capital-op']);
    const { body } = await idp.ask('POST', '/Users', {
      body: { userName: 'bob@x.example', emails: { value: 'b@x.example' } },
    });
    const [created] = await news();
    expect(created!.target_id).toBe(body.id);
    expect([...created!.details.quirks].sort()).toEqual(['missing-schemas', 'single-value']);
  });

  it('has none for a message that is right', async () => {
    await idp.user('ada@x.example');
    expect((await news()).at(-1)!.details).not.toHaveProperty('quirks');
  });

  it('tells of the org’s creation, of SCIM switched on and off, of tokens issued and revoked, and by whom', async () => {
    const by = { headers: { 'X-Admin-By': 'grace' } };
    await news();
    await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: false }, ...by });
    await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true }, ...by });
    await admin('DELETE', `/orgs/${slug}/tokens`, by);
    const issued = await admin('POST', `/orgs/${slug}/tokens`, { body: {}, ...by });
    await admin('PATCH', `/orgs/${slug}`, { body: { settings: { name: 'Acme', idp: 'okta' } }, ...by });
    const events = await news();
    expect(events.map(({ type, actor }) => [type, actor])).toEqual([
      ['scim.disabled', 'admin:grace'],
      ['scim.enabled', 'admin:grace'],
      ['token.revoked', 'admin:grace'],
      ['token.issued', 'admin:grace'],
      ['org.changed', 'admin:grace'],
    ]);
    expect(events[3]).toMatchObject({
      request_id: requestId(issued),
      details: { mask: issued.body.mask, by: 'grace' },
    });
    expect(events[4]!.details.changed).toEqual({
      name: { before: slug, after: 'Acme' },
      idp: { before: null, after: 'okta' },
    });
    expect((await journal(idp.orgId)).slice(0, 3).map(({ type }) => type)).toEqual([
      'org.created',
      'scim.enabled',
      'token.issued',
    ]);
  });

  it('says which token was revoked', async () => {
    await news();
    const { body } = await admin('DELETE', `/orgs/${slug}/tokens`);
    const events = await news();
    expect(events).toHaveLength(1);
    expect(events[0]!.details).toMatchObject({ by: 'admin', masks: [body.tokens[0].mask] });
  });

  it('is numbered without a gap, also when many write at once and some are refused', async () => {
    const names = Array.from({ length: 15 }, (_, i) => `user-${i % 10}@x.example`);
    const answers = await Promise.all(names.map((userName) => idp.post('/Users', { userName })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(5);
    const { id } = answers[0]!.status === 201 ? answers[0]!.body : answers.find(({ status }) => status === 201)!.body;
    await Promise.all(
      [1, 2, 3, 4, 5].map((i) => idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: `${i}` }])),
    );
    const events = await journal(idp.orgId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    expect(events.filter(({ type }) => type === 'user.created')).toHaveLength(10);
    expect(events.filter(({ type }) => type === 'user.updated')).toHaveLength(5);
    const latest = await env.DB.prepare('SELECT event_seq FROM orgs WHERE id = ?').bind(idp.orgId).first('event_seq');
    expect(latest).toBe(events.length);
  });

  it('is the org’s own: another org’s changes are not in it, and do not move its numbers', async () => {
    const other = await newIdp(`${slug}-other`);
    await idp.user('ada@x.example');
    await other.user('ada@x.example');
    await idp.user('bob@x.example');
    expect((await journal(idp.orgId)).filter(({ type }) => type === 'user.created').map(({ seq }) => seq)).toEqual([
      4, 5,
    ]);
    expect((await journal(other.orgId)).at(-1)!.seq).toBe(4);
  });
});

describe('no event is written by', () => {
  it('a request that is refused', async () => {
    const { id } = await idp.user('ada@x.example');
    await idp.user('bob@x.example');
    await news();
    const refused = [
      await idp.post('/Users', { userName: 'ada@x.example' }),
      await idp.post('/Users', { userName: 5 }),
      await idp.post('/Users', {}),
      await idp.put(`/Users/${id}`, { userName: 'BOB@x.example' }),
      await idp.put(`/Users/${id}`, { userName: 'eve@x.example' }, { headers: { 'If-Match': 'W/"9"' } }),
      await idp.patch(`/Users/${id}`, [
        { op: 'replace', path: 'title', value: 'x' },
        { op: 'replace', path: 'id', value: 'y' },
      ]),
      await idp.patch('/Users/nobody', active(false)),
      await idp.delete('/Users/nobody'),
      await idp.delete(`/Users/${id}`, { headers: { 'If-Match': 'W/"9"' } }),
      await idp.ask('POST', '/Users', { body: { userName: 'eve' }, headers: { Authorization: 'Bearer nonsense' } }),
      await admin('POST', `/orgs/${slug}/tokens`, { body: {} }),
      await admin('PATCH', `/orgs/${slug}`, { body: { settings: { idp: 'nobody' } } }),
      await admin('DELETE', `/orgs/${slug}`),
    ];
    for (const { status } of refused) expect(status).toBeGreaterThanOrEqual(400);
    expect(await news()).toEqual([]);
  });

  it('a request that changes nothing, and no version moves', async () => {
    const created = await idp.user('ada@x.example', { title: 'Head', active: true });
    await news();
    const path = `/Users/${created.id}`;
    const answers = [
      await idp.patch(path, active(true)),
      await idp.patch(path, [
        { op: 'replace', path: 'title', value: 'Other' },
        { op: 'replace', path: 'title', value: 'Head' },
      ]),
      await idp.put(path, { userName: 'ada@x.example', title: 'Head' }),
    ];
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body.meta).toEqual(created.meta);
    }
    expect((await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } })).status).toBe(200);
    expect((await admin('PATCH', `/orgs/${slug}`, { body: { settings: { name: slug } } })).status).toBe(200);
    expect(await news()).toEqual([]);
  });

  it('a revocation where there is nothing to revoke', async () => {
    await admin('DELETE', `/orgs/${slug}/tokens`);
    await news();
    const { status, body } = await admin('DELETE', `/orgs/${slug}/tokens`);
    expect(status).toBe(200);
    expect(body).toEqual({ revoked: 0, tokens: [] });
    expect(await news()).toEqual([]);
  });

  it('a question', async () => {
    const { id } = await idp.user('ada@x.example');
    await news();
    await idp.get('/Users');
    await idp.get(`/Users/${id}`);
    await idp.get('/ServiceProviderConfig');
    await admin('GET', `/orgs/${slug}/users/${id}`);
    await admin('GET', `/orgs/${slug}/sessions/check?user=${id}&issuedAt=${Date.now()}`);
    expect(await news()).toEqual([]);
  });
});

it('an event is not without its change, nor a change without its event: one batch, all or nothing', async () => {
  const { id } = await idp.user('ada@x.example');
  await news();
  await settled(idp.orgId);
  // The journal refuses this one: the change must not be there either.
  await env.DB.prepare(
    `CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.org_id = '${idp.orgId}' BEGIN SELECT RAISE(ABORT, 'the journal is full'); END`,
  ).run();
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  try {
    const answers = [
      await idp.patch(`/Users/${id}`, active(false)),
      await idp.put(`/Users/${id}`, { userName: 'eve@x.example' }),
      await idp.delete(`/Users/${id}`),
      await idp.post('/Users', { userName: 'bob@x.example' }),
      await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: false } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500]);
  } finally {
    log.mockRestore();
    await env.DB.prepare('DROP TRIGGER full').run();
  }
  const { body } = await idp.get('/Users');
  expect(body.totalResults).toBe(1);
  expect(body.Resources).toMatchObject([{ id, userName: 'ada@x.example', active: true, meta: { version: 'W/"1"' } }]);
  expect(await waiting(idp.orgId)).toBe(0);
  expect(await news()).toEqual([]);
});

it('no secret and no password is anywhere: not in a table, not in KV, not in the coordinator', async () => {
  const password = 'correct horse battery staple';
  const user = await idp.user('ada@x.example', { password });
  await idp.put(`/Users/${user.id}`, { userName: 'ada@x.example', password, title: 'x' });
  await idp.patch(`/Users/${user.id}`, [{ op: 'replace', value: { password, active: false } }]);
  await idp.patch(`/Users/${user.id}`, [{ op: 'replace', path: 'password', value: password }]);
  await idp.delete(`/Users/${user.id}`);
  await admin('DELETE', `/orgs/${slug}/tokens`);
  const second = (await admin('POST', `/orgs/${slug}/tokens`, { body: {} })).body.token;

  const { results: tables } = await env.DB.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all<{
    name: string;
  }>();
  const dump: string[] = [];
  for (const { name } of tables.filter(({ name }) => !/^(sqlite|_cf)/.test(name))) {
    const { results } = await env.DB.prepare(`SELECT * FROM "${name}"`).all();
    dump.push(`${name} ${JSON.stringify(results)}`);
  }
  const { keys } = await env.REVOCATIONS.list();
  for (const { name } of keys) dump.push(`${name} ${await env.REVOCATIONS.get(name)}`);
  const coordinator = env.ORG_COORDINATOR.getByName(idp.orgId);
  dump.push(
    await runInDurableObject(coordinator, async (_, state) => JSON.stringify([...(await state.storage.list())])),
  );

  const everything = dump.join('\n');
  expect(everything).toContain('ada@x.example'); // it is the right dump
  for (const secret of [
    password,
    idp.token.slice(18),
    second.slice(18),
    idp.token.slice(18, 51),
    'test-admin-token-0123456789abcdef',
  ]) {
    expect(everything).not.toContain(secret);
  }
});
