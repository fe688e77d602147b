import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { ENTERPRISE_USER, USER } from '../../src/scim/urns';
import { flagKey, parseFlag } from '../../src/sessions/flag';
import { type Answer, ask, BASE, type Idp, newIdp } from '../support/client';
import { settled, writtenFlag } from '../support/coordinator';
import { counters, dump, journal, rows } from '../support/database';
import { expectRefusal } from '../support/refusal';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('users');
});

let made = 0;
/** A userName that no other test has. */
const fresh = (name = 'user') => `${name}-${++made}@example.com`;
const title = (value: string) => [{ op: 'replace', path: 'title', value }];
const active = (value: unknown) => [{ op: 'replace', path: 'active', value }];
const types = async (id: string) => (await journal(idp.orgId, id)).map(({ type }) => type);

async function expectCounted(): Promise<void> {
  const { kept, real } = await counters(idp.orgId);
  expect(kept).toEqual(real);
}

describe('POST /Users', () => {
  it('is created, and answered whole with its address and version', async () => {
    const answer = await idp.post('/Users', { userName: 'ada@example.com', name: { givenName: 'Ada' } });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('Content-Type')).toBe('application/scim+json');
    expect(answer.headers.get('Location')).toBe(answer.body.meta.location);
    expect(answer.headers.get('ETag')).toBe(answer.body.meta.version);
    expect(answer.body).toMatchObject({ userName: 'ada@example.com', active: true, name: { givenName: 'Ada' } });
  });

  it('answers with an address that leads to the same answer', async () => {
    const { body, headers } = await idp.post('/Users', {
      userName: fresh(),
      externalId: 'e1',
      [ENTERPRISE_USER]: { department: 'R&D' },
    });
    const read = await ask('GET', headers.get('Location')!, { headers: { Authorization: `Bearer ${idp.token}` } });
    expect(read.body).toEqual(body);
    expect(body.schemas).toEqual([USER, ENTERPRISE_USER]);
    expect(body.meta).toEqual({
      resourceType: 'User',
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      lastModified: body.meta.created,
      location: `${BASE}/scim/v2/Users/${body.id}`,
      version: 'W/"1"',
    });
  });

  it('keeps the id, meta, groups and password that a client sends to itself', async () => {
    const userName = fresh();
    const answer = await idp.post('/Users', {
      userName,
      id: 'mine',
      meta: { resourceType: 'Group', version: 'W/"9"', created: '2001-01-01T00:00:00Z' },
      groups: [{ value: 'admins' }],
      password: 'open sesame',
      favouriteColour: 'green',
    });
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.body).sort()).toEqual(['active', 'id', 'meta', 'schemas', 'userName']);
    expect(answer.body.id).not.toBe('mine');
    expect(answer.body.meta).toMatchObject({ resourceType: 'User', version: 'W/"1"' });
  });

  it('refuses a userName that is taken, in every script and letter case', async () => {
    const pairs = [
      ['Zoe@example.com', 'zOE@EXAMPLE.com'],
      ['Émile@example.com', 'éMILE@example.com'],
      ['Ñandú@example.com', 'ñandÚ@example.com'],
      ['Straße@example.com', 'STRASSE@example.com'],
      ['Иван@example.com', 'ИВАН@example.com'],
      ['Γιώργος@example.com', 'ΓΙΏΡΓΟΣ@example.com'],
      ['Արամ@example.com', 'ԱՐԱՄ@example.com'],
      ['ÅSA@example.com', 'a\u030asa@example.com'],
      ['ｆｕｌｌ@example.com', 'FULL@example.com'],
      ['𐐀𐐁@example.com', '𐐨𐐩@example.com'],
    ] as const;
    for (const [first, second] of pairs) {
      const { id } = await idp.user(first);
      expectRefusal(await idp.post('/Users', { userName: second }), 409, 'uniqueness', /userName/);
      const other = await idp.user(fresh());
      expectRefusal(await idp.put(`/Users/${other.id}`, { userName: second }), 409, 'uniqueness');
      expectRefusal(
        await idp.patch(`/Users/${other.id}`, [{ op: 'replace', path: 'userName', value: second }]),
        409,
        'uniqueness',
      );
      // Its own name in another case is no conflict.
      expect((await idp.put(`/Users/${id}`, { userName: second })).body.userName).toBe(second);
    }
  });

  it('tells the dotless ı from i, so that one account cannot pass for another', async () => {
    await idp.user('irfan@example.com');
    expect((await idp.post('/Users', { userName: 'ırfan@example.com' })).status).toBe(201);
  });

  it('takes an inactive user, and does not count it as active', async () => {
    const before = (await counters(idp.orgId)).kept as { users: number; active: number };
    const { body } = await idp.post('/Users', { userName: fresh(), active: false });
    expect(body.active).toBe(false);
    expect((await counters(idp.orgId)).kept).toEqual({ users: before.users + 1, active: before.active });
    await expectCounted();
  });

  it('lets an IdP repeat the POST of a deactivated person it knows by externalId', async () => {
    const userName = fresh();
    const { id } = await idp.user(userName, { externalId: `okta-${userName}`, active: false });
    expectRefusal(await idp.post('/Users', { userName, externalId: 'someone-else' }), 409, 'uniqueness');
    expectRefusal(await idp.post('/Users', { userName }), 409, 'uniqueness');
    const back = await idp.post('/Users', { userName, externalId: `okta-${userName}` });
    expect(back.status).toBe(201);
    expect(back.body).toMatchObject({ id, active: true });
    expect(await types(id)).toEqual(['user.created', 'user.reactivated']);
    expectRefusal(await idp.post('/Users', { userName, externalId: `okta-${userName}` }), 409, 'uniqueness');
    await expectCounted();
  });
});

describe('GET /Users/{id}', () => {
  it('answers 304 to a client that has this version already, and the user to every other', async () => {
    const { id, meta } = await idp.user(fresh());
    for (const tag of [meta.version, '"1"', `"x", ${meta.version}`, '*']) {
      const answer = await idp.get(`/Users/${id}`, { headers: { 'If-None-Match': tag } });
      expect(answer.status, tag).toBe(304);
      expect(answer.text).toBe('');
      expect(answer.headers.get('ETag')).toBe(meta.version);
    }
    await idp.patch(`/Users/${id}`, title('new'));
    const answer = await idp.get(`/Users/${id}`, { headers: { 'If-None-Match': meta.version } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('ETag')).toBe('W/"2"');
  });

  it('shows a deactivated user as before, by id and in lists', async () => {
    const userName = fresh();
    const { id } = await idp.user(userName);
    await idp.patch(`/Users/${id}`, active(false));
    expect((await idp.get(`/Users/${id}`)).body).toMatchObject({ userName, active: false });
    const found = await idp.get(`/Users?filter=${encodeURIComponent(`userName eq "${userName}"`)}`);
    expect(found.body.Resources).toMatchObject([{ id, active: false }]);
  });
});

describe('If-Match', () => {
  const writes: [string, (id: string, ifMatch: string) => Promise<Answer>][] = [
    [
      'PUT',
      (id, tag) => idp.put(`/Users/${id}`, { userName: fresh(), title: fresh() }, { headers: { 'If-Match': tag } }),
    ],
    ['PATCH', (id, tag) => idp.patch(`/Users/${id}`, title(fresh()), { headers: { 'If-Match': tag } })],
    ['DELETE', (id, tag) => idp.delete(`/Users/${id}`, { headers: { 'If-Match': tag } })],
  ];
  for (const [method, write] of writes) {
    it(`lets ${method} through at the version it names, alone, in a list, or as *`, async () => {
      for (const tag of ['W/"1"', '"1"', 'W/"7", W/"1"', '*']) {
        const { id } = await idp.user(fresh());
        expect((await write(id, tag)).status, tag).toBe(method === 'DELETE' ? 204 : 200);
      }
    });

    it(`stops ${method} with 412 at any other version, and changes nothing`, async () => {
      const { id } = await idp.user(fresh());
      await idp.patch(`/Users/${id}`, title('two'));
      const before = await dump();
      for (const tag of ['W/"1"', '"3"', 'W/"1", W/"3"', 'W/"22"', '""']) expectRefusal(await write(id, tag), 412);
      expect(await dump()).toBe(before);
    });

    it(`is a 404 for ${method} when there is no such user`, async () => {
      for (const tag of ['W/"1"', '*']) expectRefusal(await write(crypto.randomUUID(), tag), 404);
    });
  }
});

describe('PUT /Users/{id}', () => {
  it('takes what it is sent for the whole user', async () => {
    const { id, meta } = await idp.user(fresh(), {
      title: 'Dr',
      emails: [{ value: 'a@example.com' }],
      [ENTERPRISE_USER]: { department: 'x' },
    });
    const userName = fresh();
    const { status, body, headers } = await idp.put(`/Users/${id}`, { userName, nickName: 'n' });
    expect(status).toBe(200);
    expect(body).toEqual({ schemas: [USER], id, userName, nickName: 'n', active: true, meta: expect.anything() });
    expect(body.meta).toMatchObject({ created: meta.created, version: 'W/"2"' });
    expect(headers.get('ETag')).toBe('W/"2"');
    expect(headers.get('Location')).toBeNull();
    expect(await rows("SELECT * FROM user_emails WHERE value_key = 'a@example.com'")).toEqual([]);
  });

  it('that leaves out active neither lets a deactivated user back in nor shuts anyone out', async () => {
    for (const isActive of [true, false]) {
      const userName = fresh();
      const { id } = await idp.user(userName, { active: isActive });
      for (const body of [
        { userName, title: 'a' },
        { userName, title: 'b', active: null },
      ]) {
        expect((await idp.put(`/Users/${id}`, body)).body.active).toBe(isActive);
      }
      expect(await types(id)).toEqual(['user.created', 'user.updated', 'user.updated']);
    }
    await expectCounted();
  });

  it('that brings back what GET answered changes nothing', async () => {
    const { id } = await idp.user(fresh(), {
      emails: [{ value: 'same@example.com', primary: true }],
      [ENTERPRISE_USER]: { manager: { value: 'boss' } },
    });
    const read = await idp.get(`/Users/${id}`);
    const before = await dump();
    const answer = await idp.put(`/Users/${id}`, read.body);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(read.body);
    expect(await dump()).toBe(before);
  });

  it('of nobody is a 404, and creates nobody', async () => {
    expectRefusal(await idp.put(`/Users/${crypto.randomUUID()}`, { userName: fresh() }), 404);
  });
});

describe('PATCH /Users/{id}', () => {
  it('that changes nothing moves neither version nor time nor journal', async () => {
    const userName = fresh();
    const { id } = await idp.user(userName, {
      title: 'Dr',
      emails: [{ value: 'x@example.com', type: 'work' }],
      password: 'p',
    });
    const before = await dump();
    const idle: unknown[][] = [
      title('Dr'),
      active('True'),
      [{ op: 'add', path: 'emails', value: [{ value: 'x@example.com', type: 'work' }] }],
      [{ op: 'remove', path: 'nickName' }],
      [{ op: 'remove', path: 'emails[type eq "home"]' }],
      [{ op: 'replace', value: { userName, title: 'Dr', nickName: null } }],
      [{ op: 'replace', value: { id: 'other', meta: { version: 'x' }, groups: [], unknown: 1 } }],
      [{ op: 'replace', path: 'password', value: 'something new' }],
      [...title('Prof'), ...title('Dr')],
    ];
    for (const operations of idle) {
      const answer = await idp.patch(`/Users/${id}`, operations);
      expect(answer.status, JSON.stringify(operations)).toBe(200);
      expect(answer.headers.get('ETag')).toBe('W/"1"');
    }
    expect(await dump()).toBe(before);
  });

  it('that changes something moves version and lastModified, and is told of in the journal', async () => {
    const { id, meta } = await idp.user(fresh(), { title: 'Dr' });
    const { body } = await idp.patch(`/Users/${id}`, [{ op: 'Replace', path: 'title', value: 'Prof' }]);
    expect(body.meta.version).toBe('W/"2"');
    expect(body.meta.lastModified >= meta.lastModified).toBe(true);
    expect(body.meta.created).toBe(meta.created);
    const event = (await journal(idp.orgId, id)).at(-1)!;
    expect(event).toMatchObject({ type: 'user.updated', actor: 'idp' });
    expect(event.details.changed).toEqual({ title: { before: 'Dr', after: 'Prof' } });
    expect(event.details.quirks).toContain('capital-op');
  });

  it('of what only the service sets is refused by path', async () => {
    const { id } = await idp.user(fresh());
    const before = await dump();
    for (const path of ['id', 'meta', 'meta.version', 'groups', 'groups.value', 'manager.displayName']) {
      expectRefusal(await idp.patch(`/Users/${id}`, [{ op: 'replace', path, value: 'x' }]), 400, 'mutability');
    }
    expect(await dump()).toBe(before);
  });

  it('of an e-mail address as a bare text, with a deactivation beside it, does both (Entra ID)', async () => {
    const { id } = await idp.user(fresh());
    const { status, body } = await idp.patch(`/Users/${id}`, [
      { op: 'Replace', path: 'emails', value: 'new@example.com' },
      { op: 'Replace', path: 'active', value: 'False' },
    ]);
    expect([status, body.active, body.emails]).toEqual([200, false, [{ value: 'new@example.com' }]]);
    const flag = await env.REVOCATIONS.get(flagKey(idp.orgId, id));
    expect(flag && parseFlag(flag)).toMatchObject({ active: false });
  });

  it.each<[string, Record<string, unknown>]>([
    ['a list of one', { op: 'replace', path: 'active', value: ['false'] }],
    ['a list of one object', { op: 'replace', path: 'active', value: [{ $ref: null, value: 'False' }] }],
    ['a path-less object in a list', { op: 'replace', value: [{ active: false }] }],
    ['an unknown path beside it', { op: 'replace', path: 'active', value: 'False' }],
  ])('deactivates by %s', async (_, operation) => {
    const { id } = await idp.user(fresh());
    const badge = { op: 'Add', path: 'urn:ietf:params:scim:schemas:extension:acme:2.0:User:badge', value: '7' };
    const { status, body } = await idp.patch(`/Users/${id}`, [badge, operation]);
    expect([status, body.active]).toEqual([200, false]);
    const last = (await journal(idp.orgId, id)).at(-1)!;
    expect(last.type).toBe('user.deactivated');
    expect(last.details.quirks).toContain(`unknown-path:${badge.path}`);
  });

  it('of nothing but unknown paths is 200 with the unchanged user, and no event', async () => {
    const { id } = await idp.user(fresh());
    const before = (await idp.get(`/Users/${id}`)).body;
    const answer = await idp.patch(`/Users/${id}`, [
      { op: 'replace', path: 'shoeSize', value: 44 },
      { op: 'remove', path: 'name.shoeSize' },
    ]);
    expect([answer.status, answer.body]).toEqual([200, before]);
    expect(await types(id)).toEqual(['user.created']);
  });

  it.each([true, false])('that unassigns active keeps the state %s, and shows it', async (isActive) => {
    const { id } = await idp.user(fresh());
    await idp.patch(`/Users/${id}`, active(isActive));
    for (const operation of [
      { op: 'remove', path: 'active' },
      { op: 'replace', path: 'active', value: null },
      { op: 'replace', value: { active: null } },
      { op: 'replace', path: 'active', value: [] },
    ]) {
      const { status, body } = await idp.patch(`/Users/${id}`, [operation]);
      expect([status, body.active], JSON.stringify(operation)).toEqual([200, isActive]);
      expect((await idp.get(`/Users/${id}`)).body.active).toBe(isActive);
    }
  });

  it('sets the manager by $ref alone, and refuses one that is none of ours', async () => {
    const [{ id }, boss] = [await idp.user(fresh()), await idp.user(fresh())];
    for (const $ref of [`${BASE}/scim/v2/Users/${boss.id}`, `../Users/${boss.id}`]) {
      const { body } = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'manager', value: { $ref } }]);
      expect(body[ENTERPRISE_USER].manager).toMatchObject({
        value: boss.id,
        $ref: `${BASE}/scim/v2/Users/${boss.id}`,
      });
      await idp.patch(`/Users/${id}`, [{ op: 'remove', path: 'manager' }]);
    }
    const foreign = { $ref: `https://elsewhere.example/scim/v2/Users/${boss.id}` };
    const body = { userName: fresh(), [ENTERPRISE_USER]: { manager: foreign } };
    expectRefusal(await idp.post('/Users', body), 400, 'invalidValue');
    expectRefusal(await idp.put(`/Users/${id}`, body), 400, 'invalidValue');
    const operation = { op: 'replace', path: 'manager', value: foreign };
    expectRefusal(await idp.patch(`/Users/${id}`, [operation]), 400, 'invalidValue');
  });

  it('of nobody is a 404', async () => {
    expectRefusal(await idp.patch(`/Users/${crypto.randomUUID()}`, title('x')), 404);
  });
});

describe('deactivation', () => {
  const ways: [string, (id: string, userName: string) => Promise<Answer>][] = [
    ['PATCH active false', (id) => idp.patch(`/Users/${id}`, active(false))],
    ['PATCH active "False"', (id) => idp.patch(`/Users/${id}`, [{ op: 'Replace', path: 'active', value: 'False' }])],
    ['PATCH without a path', (id) => idp.patch(`/Users/${id}`, [{ op: 'replace', value: { active: false } }])],
    ['PUT active false', (id, userName) => idp.put(`/Users/${id}`, { userName, active: false })],
    ['DELETE', (id) => idp.delete(`/Users/${id}`)],
  ];
  for (const [name, deactivate] of ways) {
    it(`by ${name} raises not-before, publishes the flag, and is counted and recorded`, async () => {
      const userName = fresh();
      const { id } = await idp.user(userName);
      const { kept } = await counters(idp.orgId);
      const from = Date.now();
      expect((await deactivate(id, userName)).status).toBeLessThan(300);
      const [row] = await rows('SELECT active, not_before FROM users WHERE id = ?', id);
      expect(row!['active']).toBe(0);
      expect(row!['not_before']).toBeGreaterThanOrEqual(from);
      const flag = parseFlag((await env.REVOCATIONS.get(flagKey(idp.orgId, id)))!);
      expect(flag).toEqual(writtenFlag(false, row!['not_before'] as number));
      await settled(idp.orgId);
      expect(await types(id)).toEqual(['user.created', name === 'DELETE' ? 'user.deleted' : 'user.deactivated']);
      expect((await counters(idp.orgId)).kept['active']).toBe((kept['active'] as number) - 1);
      await expectCounted();
    });
  }

  it('is not undone for old sessions by a reactivation', async () => {
    const { id } = await idp.user(fresh());
    await idp.patch(`/Users/${id}`, active(false));
    const [before] = await rows('SELECT not_before FROM users WHERE id = ?', id);
    expect((await idp.patch(`/Users/${id}`, active(true))).body.active).toBe(true);
    const [after] = await rows('SELECT not_before FROM users WHERE id = ?', id);
    expect(after).toEqual(before);
    expect(parseFlag((await env.REVOCATIONS.get(flagKey(idp.orgId, id)))!)).toMatchObject({
      active: true,
      notBefore: after!['not_before'],
    });
    expect(await types(id)).toEqual(['user.created', 'user.deactivated', 'user.reactivated']);
    await expectCounted();
  });
});

describe('DELETE /Users/{id}', () => {
  it('makes the user a 404 to every method and every list, and frees the name', async () => {
    const userName = fresh();
    const { id } = await idp.user(userName, { externalId: userName, emails: [{ value: userName }] });
    const answer = await idp.delete(`/Users/${id}`);
    expect({ status: answer.status, text: answer.text }).toEqual({ status: 204, text: '' });
    expectRefusal(await idp.get(`/Users/${id}`), 404);
    expectRefusal(await idp.patch(`/Users/${id}`, title('x')), 404);
    expectRefusal(await idp.put(`/Users/${id}`, { userName }), 404);
    expectRefusal(await idp.delete(`/Users/${id}`), 404);
    for (const filter of [
      `userName eq "${userName}"`,
      `externalId eq "${userName}"`,
      `emails.value eq "${userName}"`,
      `id eq "${id}"`,
    ]) {
      expect((await idp.get(`/Users?filter=${encodeURIComponent(filter)}`)).body.totalResults).toBe(0);
    }
    const other = await idp.user(fresh());
    expect((await idp.patch(`/Users/${other.id}`, [{ op: 'replace', path: 'userName', value: userName }])).status).toBe(
      200,
    );
    await expectCounted();
  });

  it('leaves a manager who is gone without an address and a name', async () => {
    const boss = await idp.user(fresh(), { displayName: 'Boss' });
    const { id } = await idp.user(fresh(), { [ENTERPRISE_USER]: { manager: { value: boss.id } } });
    const manager = async () => (await idp.get(`/Users/${id}`)).body[ENTERPRISE_USER].manager;
    expect(await manager()).toEqual({ value: boss.id, displayName: 'Boss', $ref: boss.meta.location });
    await idp.delete(`/Users/${boss.id}`);
    expect(await manager()).toEqual({ value: boss.id });
  });
});

/** Someone deleted. */
const buried = async (more: Record<string, unknown> = {}, userName = fresh()) => {
  const { id } = await idp.user(userName, more);
  await idp.delete(`/Users/${id}`);
  return { id: id as string, userName };
};

// At once: each restoration waits a second for the flag of the deletion to settle (coordinator.ts).
describe.concurrent('a POST of someone deleted', () => {
  it('restores the same id by userName, in any letter case, with what the POST says and nothing older', async () => {
    const { id, userName } = await buried({ title: 'Dr', externalId: fresh() });
    const answer = await idp.post('/Users', { userName: userName.toUpperCase(), nickName: 'n' });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('Location')).toBe(`${BASE}/scim/v2/Users/${id}`);
    expect(answer.body).toEqual({
      schemas: [USER],
      id,
      userName: userName.toUpperCase(),
      nickName: 'n',
      active: true,
      meta: expect.anything(),
    });
    expect(await types(id)).toEqual(['user.created', 'user.deleted', 'user.restored']);
    expect((await idp.get(`/Users/${id}`)).body).toEqual(answer.body);
    await expectCounted();
  });

  it('restores the same id by externalId under a new userName', async () => {
    const externalId = fresh('ext');
    const { id } = await buried({ externalId });
    const userName = fresh();
    expect((await idp.post('/Users', { userName, externalId })).body).toMatchObject({ id, userName, externalId });
  });

  it('goes by externalId before userName', async () => {
    const externalId = fresh('ext');
    const byName = await buried({ externalId: fresh('ext') });
    const byExternalId = await buried({ externalId });
    const { body } = await idp.post('/Users', { userName: byName.userName, externalId });
    expect(body.id).toBe(byExternalId.id);
    expect(body.userName).toBe(byName.userName);
    // The other one is still there to be restored, once the name is free.
    await idp.delete(`/Users/${body.id}`);
    await expectCounted();
  });

  it('does not bring old sessions back', async () => {
    const { id, userName } = await buried();
    const [before] = await rows('SELECT not_before FROM users WHERE id = ?', id);
    await idp.post('/Users', { userName });
    const [after] = await rows('SELECT not_before FROM users WHERE id = ?', id);
    expect(after!['not_before']).toBeGreaterThanOrEqual(before!['not_before'] as number);
    const flag = parseFlag((await env.REVOCATIONS.get(flagKey(idp.orgId, id)))!);
    expect(flag).toMatchObject({ active: true, notBefore: after!['not_before'] });
  });

  it('moves the version on, so that no old ETag fits', async () => {
    const { id, userName } = await buried();
    const { body } = await idp.post('/Users', { userName });
    expect(body.meta.version).toBe('W/"3"');
    expectRefusal(await idp.patch(`/Users/${id}`, title('x'), { headers: { 'If-Match': 'W/"1"' } }), 412);
  });
});

describe('a POST of someone deleted, and the org', () => {
  it('is a conflict when the userName is a live user by now', async () => {
    const externalId = fresh('ext');
    await buried({ externalId });
    const { userName } = await idp.user(fresh());
    const before = await dump();
    expectRefusal(await idp.post('/Users', { userName, externalId }), 409, 'uniqueness');
    expect(await dump()).toBe(before);
  });

  it('restores someone inactive as inactive, and counts active users right', async () => {
    const { id, userName } = await buried();
    const { kept } = await counters(idp.orgId);
    expect((await idp.post('/Users', { userName, active: false })).body).toMatchObject({ id, active: false });
    expect((await counters(idp.orgId)).kept).toEqual({ users: (kept['users'] as number) + 1, active: kept['active'] });
    await expectCounted();
  });
});

describe('a password', () => {
  it('is taken by every method and kept nowhere', async () => {
    const secret = 'correct-horse-battery-staple';
    const userName = fresh();
    const { id } = await idp.user(userName, { password: secret });
    const answers = [
      await idp.put(`/Users/${id}`, { userName, title: 'a', password: secret }),
      await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'password', value: secret }, ...title('b')]),
      await idp.patch(`/Users/${id}`, [{ op: 'add', value: { password: secret, title: 'c' } }]),
      await idp.patch(`/Users/${id}`, [{ op: 'replace', value: { [`${USER}:password`]: secret, title: 'd' } }]),
      await idp.patch(`/Users/${id}`, [{ op: 'replace', path: `${USER}:password`, value: secret }, ...title('e')]),
      await idp.put(`/Users/${id}`, { userName, [USER]: { title: 'f', password: secret } }),
      await idp.get(`/Users/${id}?attributes=password,userName`),
      await idp.delete(`/Users/${id}`),
      await idp.post('/Users', { userName, Password: secret }),
    ];
    for (const { status, text } of answers) {
      expect(status, text).toBeLessThan(300);
      expect(text).not.toContain(secret);
    }
    const tables = await rows(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
    );
    for (const { name } of tables) {
      expect(JSON.stringify(await rows(`SELECT * FROM "${name}"`)), String(name)).not.toContain(secret);
    }
    const { keys } = await env.REVOCATIONS.list();
    for (const { name } of keys) expect(await env.REVOCATIONS.get(name)).not.toContain(secret);
  });
});

describe('attributes and excludedAttributes', () => {
  const body = () => ({
    userName: fresh(),
    title: 'Dr',
    name: { givenName: 'G', familyName: 'F' },
    emails: [{ value: 'p@example.com', type: 'work' }],
  });
  const methods: [string, (query: string) => Promise<Answer>][] = [
    ['POST', (query) => idp.post(`/Users?${query}`, body())],
    ['GET', async (query) => idp.get(`/Users/${(await idp.user(fresh(), body())).id}?${query}`)],
    ['PUT', async (query) => idp.put(`/Users/${(await idp.user(fresh())).id}?${query}`, body())],
    [
      'PATCH',
      async (query) =>
        idp.patch(`/Users/${(await idp.user(fresh())).id}?${query}`, [
          { op: 'add', value: { ...body(), userName: undefined } },
        ]),
    ],
  ];
  for (const [method, send] of methods) {
    it(`shape the answer to ${method}, which always has schemas and id`, async () => {
      const only = await send('attributes=name.givenName,EMAILS,nothing');
      expect(only.status).toBeLessThan(300);
      expect(only.body).toEqual({
        schemas: [USER],
        id: expect.any(String),
        name: { givenName: 'G' },
        emails: [{ value: 'p@example.com', type: 'work' }],
      });
      expect(only.headers.get('ETag')).toMatch(/^W\/"\d+"$/);
      const without = await send('excludedattributes=name.givenName,emails,meta,id,schemas,userName');
      expect(without.body).toEqual({
        schemas: [USER],
        id: expect.any(String),
        active: true,
        title: 'Dr',
        name: { familyName: 'F' },
      });
      const both = await send('attributes=title,emails&excludedAttributes=emails.type');
      expect(both.body).toEqual({
        schemas: [USER],
        id: expect.any(String),
        title: 'Dr',
        emails: [{ value: 'p@example.com' }],
      });
    });
  }

  it('take the whole extension by its URN', async () => {
    const { id } = await idp.user(fresh(), { [ENTERPRISE_USER]: { department: 'R', division: 'D' } });
    const { body } = await idp.get(`/Users/${id}?attributes=${ENTERPRISE_USER}`);
    expect(body).toEqual({
      schemas: [USER, ENTERPRISE_USER],
      id,
      [ENTERPRISE_USER]: { department: 'R', division: 'D' },
    });
    const one = await idp.get(`/Users/${id}?attributes=${ENTERPRISE_USER}:department`);
    expect(one.body[ENTERPRISE_USER]).toEqual({ department: 'R' });
  });
});

describe('of several deleted users', () => {
  it('the one with the externalId comes back, else the one that was deleted last', async () => {
    const org = await newIdp('returning');
    const bury = async (userName: string, more: object) => {
      const { id } = await org.user(userName, { ...more });
      await org.delete(`/Users/${id}`);
      return id as string;
    };
    const first = await org.user('one', { externalId: 'e1' });
    const second = await org.user('two', {});
    for (const { id } of [first, second])
      await org.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'x' }]);
    await org.delete(`/Users/${second.id}`);
    const third = await bury('three', { externalId: 'e3' });
    expect((await org.user('two', { externalId: 'e3' })).id).toBe(third);
    await org.put(`/Users/${third}`, { userName: 'two', externalId: 'e3' });
    await org.delete(`/Users/${third}`);
    // Both were called "two": the later one, which has an externalId, before the earlier one, which has none.
    expect((await org.user('two')).id).toBe(third);
  });
});
