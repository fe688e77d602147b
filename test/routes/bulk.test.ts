/** /Bulk (RFC 7644 §3.7): many operations in one request, each of them as its own request would do it. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Env } from '../../src/env';
import { BULK_REQUEST, BULK_RESPONSE, ENTERPRISE_USER, ERROR } from '../../src/scim/urns';
import { type Answer, type Ask, BASE, type Idp, newIdp } from '../support/client';
import { flagOf, settled, waiting } from '../support/coordinator';
import { counters, dump, journal, rows } from '../support/database';
import { Meter } from '../support/meter';
import { Random } from '../support/random';
import { expectRefusal } from '../support/refusal';

let idp: Idp;
let other: Idp;
beforeAll(async () => {
  idp = await newIdp('bulk');
  other = await newIdp('beside');
});

type Operation = Record<string, unknown>;
const bulk = (operations: unknown, more: Record<string, unknown> = {}, request?: Ask, at = idp) =>
  at.post('/Bulk', { schemas: [BULK_REQUEST], Operations: operations, ...more }, request);
const statuses = ({ body }: Answer): string[] => body.Operations.map(({ status }: { status: string }) => status);
const idIn = (answer: Answer, i: number): string => answer.body.Operations[i].location.split('/').at(-1);

let made = 0;
/** A name that nothing else has. */
const fresh = (word = 'x') => `${word}-${made++}`;
const user = (bulkId: string, more: Operation = {}): Operation => ({
  method: 'POST',
  path: '/Users',
  bulkId,
  data: { userName: fresh(bulkId), ...more },
});
const group = (bulkId: string, members: unknown[] = [], more: Operation = {}): Operation => ({
  method: 'POST',
  path: '/Groups',
  bulkId,
  data: { displayName: fresh(bulkId), members, ...more },
});
const patch = (path: string, ...operations: unknown[]): Operation => ({
  method: 'PATCH',
  path,
  data: { Operations: operations },
});
const retitle = (path: string, value: string) => patch(path, { op: 'replace', path: 'title', value });
const membersOf = async (id: string) =>
  ((await idp.get(`/Groups/${id}`)).body.members ?? []).map(({ value }: { value: string }) => value);

async function expectCounted(at = idp): Promise<void> {
  const { kept, real } = await counters(at.orgId);
  expect(kept).toEqual(real);
  const events = await journal(at.orgId);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
}

describe('a bulk request', () => {
  it('answers each operation with its location, its version and its status, in the order of the request', async () => {
    const [put, changed, gone] = [await idp.user(fresh()), await idp.user(fresh()), await idp.user(fresh())];
    const answer = await bulk([
      user('ada'),
      { method: 'PUT', path: `/Users/${put.id}`, data: { userName: put.userName, title: 'Dr' } },
      { ...retitle(`/Users/${changed.id}`, 'Prof'), bulkId: 'named' },
      { method: 'DELETE', path: `/Users/${gone.id}` },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('Content-Type')).toBe('application/scim+json');
    const at = (id: string) => `${BASE}/scim/v2/Users/${id}`;
    expect(answer.body).toEqual({
      schemas: [BULK_RESPONSE],
      Operations: [
        { method: 'POST', bulkId: 'ada', location: at(idIn(answer, 0)), version: 'W/"1"', status: '201' },
        { method: 'PUT', location: at(put.id), version: 'W/"2"', status: '200' },
        { method: 'PATCH', bulkId: 'named', location: at(changed.id), version: 'W/"2"', status: '200' },
        { method: 'DELETE', location: at(gone.id), status: '204' },
      ],
    });
    for (const { location, version, method } of answer.body.Operations) {
      const found = await idp.get(location.slice(`${BASE}/scim/v2`.length));
      expect(found.status).toBe(method === 'DELETE' ? 404 : 200);
      if (method !== 'DELETE') expect(found.headers.get('ETag')).toBe(version);
    }
  });

  it('answers with addresses of the door that it came through', async () => {
    const { body } = await bulk([user('ada')], {}, { headers: {} });
    expect(body.Operations[0].location.startsWith(`${BASE}/scim/v2/Users/`)).toBe(true);
  });

  it('lets the neighbours of a failing operation succeed, and says why it failed', async () => {
    const taken = (await idp.user(fresh('taken'))).userName;
    const answer = await bulk([
      user('a'),
      user('b', { userName: taken.toUpperCase() }),
      user('c', { userName: '' }),
      user('d', { addresses: 'none' }),
      retitle(`/Users/${crypto.randomUUID()}`, 'x'),
      { method: 'DELETE', path: '/Groups/nothing' },
      { method: 'PUT', path: '/Users', data: {} },
      { method: 'POST', path: `/Users/${crypto.randomUUID()}`, bulkId: 'e', data: {} },
      { method: 'POST', path: '/Nothing', bulkId: 'f', data: {} },
      { method: 'POST', path: '/Bulk', bulkId: 'g', data: {} },
      { method: 'POST', path: '/Users', bulkId: 'h' },
      user('i'),
    ]);
    expect(statuses(answer)).toEqual('201 409 400 400 404 404 400 400 404 404 400 201'.split(' '));
    for (const { status, response, location, version, method } of answer.body.Operations) {
      if (status === '201') {
        expect(response).toBeUndefined();
        continue;
      }
      expect(response).toMatchObject({ schemas: [ERROR], status, detail: expect.stringMatching(/\S{3,}/) });
      expect(version).toBeUndefined();
      expect(location === undefined).toBe(method === 'POST'); // RFC 7644 §3.7.3
    }
    expect(answer.body.Operations[1].response.scimType).toBe('uniqueness');
    await expectCounted();
  });

  it('carries out operations on one resource in their order', async () => {
    const { id, userName } = await idp.user(fresh());
    const path = `/Users/${id}`;
    const answer = await bulk([
      retitle(path, 'first'),
      { method: 'PUT', path, data: { userName, title: 'second' } },
      patch(path, { op: 'remove', path: 'title' }),
      retitle(path, 'fourth'),
      { method: 'DELETE', path },
      retitle(path, 'too late'),
      { method: 'POST', path: '/Users', bulkId: 'back', data: { userName, title: 'sixth' } },
    ]);
    expect(statuses(answer)).toEqual(['200', '200', '200', '200', '204', '404', '201']);
    // The PATCHes in a row are one change.
    expect(answer.body.Operations.slice(0, 4).map(({ version }: Operation) => version)).toEqual(
      [2, 3, 4, 4].map((version) => `W/"${version}"`),
    );
    expect(idIn(answer, 6)).toBe(id);
    expect((await journal(idp.orgId, id)).map(({ type }) => type)).toEqual([
      'user.created',
      ...Array(3).fill('user.updated'),
      'user.deleted',
      'user.restored',
    ]);
  });

  it('carries out many membership changes of one group in their order', async () => {
    const people = await Promise.all([0, 1, 2].map(() => idp.user(fresh())));
    const [a, b, c] = people.map(({ id }) => id);
    const { body } = await idp.post('/Groups', { displayName: fresh('ordered'), members: [{ value: a }] });
    const path = `/Groups/${body.id}`;
    const answer = await bulk([
      patch(path, { op: 'add', path: 'members', value: [{ value: b }] }),
      patch(path, { op: 'remove', path: `members[value eq "${a}"]` }),
      patch(path, { op: 'replace', path: 'members', value: [{ value: c }] }),
      patch(path, { op: 'add', path: 'members', value: [{ value: a }] }),
      patch(path, { op: 'replace', value: { id: body.id, displayName: fresh('renamed') } }),
    ]);
    expect(statuses(answer)).toEqual(Array(5).fill('200'));
    expect((await membersOf(body.id)).sort()).toEqual([a, c].sort());
    // Four PATCHes in a row are one change; the one that renames is another.
    expect((await idp.get(path)).body.meta.version).toBe('W/"3"');
  });

  it('adds nobody who has been deleted before in the same request', async () => {
    const [gone, stays] = [await idp.user(fresh()), await idp.user(fresh())];
    const [inner, outer] = await Promise.all(
      ['inner', 'outer'].map(async (name) => (await idp.post('/Groups', { displayName: fresh(name) })).body),
    );
    const answer = await bulk([
      { method: 'DELETE', path: `/Users/${gone.id}` },
      { method: 'DELETE', path: `/Groups/${inner.id}` },
      patch(`/Groups/${outer.id}`, {
        op: 'add',
        path: 'members',
        value: [gone, inner, stays].map(({ id }) => ({ value: id })),
      }),
    ]);
    expect(statuses(answer)).toEqual(['204', '204', '200']);
    expect(await membersOf(outer.id)).toEqual([stays.id]);
    const { details } = (await journal(idp.orgId, outer.id)).at(-1)!;
    expect([details.joined, details.unknownMembers.sort()]).toEqual([[stays.id], [gone.id, inner.id].sort()]);
  });

  it('gives a name to the second of two only when the first has let it go', async () => {
    const [left, right] = [await idp.user(fresh()), await idp.user(fresh())];
    const rename = (id: string, userName: string) =>
      patch(`/Users/${id}`, { op: 'replace', path: 'userName', value: userName });
    const swapped = await bulk([
      rename(left.id, right.userName),
      rename(left.id, fresh()),
      rename(right.id, left.userName),
      { method: 'POST', path: '/Users', bulkId: 'n', data: { userName: right.userName } },
    ]);
    expect(statuses(swapped)).toEqual(['409', '200', '200', '201']);
  });

  it('deletes somebody who was deleted and has come back in the same request', async () => {
    const { id, userName } = await idp.user(fresh());
    const remove = { method: 'DELETE', path: `/Users/${id}` };
    const answer = await bulk([remove, { method: 'POST', path: '/Users', bulkId: 'b', data: { userName } }, remove]);
    expect(statuses(answer)).toEqual(['204', '201', '204']);
    expect((await idp.get(`/Users/${id}`)).status).toBe(404);
    const other = await idp.user(fresh());
    const again = { method: 'POST', path: '/Users', bulkId: 'c', data: { userName: other.userName } };
    const removed = { method: 'DELETE', path: `/Users/${other.id}` };
    expect(statuses(await bulk([again, retitle(`/Users/${other.id}`, 'x'), removed]))).toEqual(['409', '200', '204']);
    expect((await idp.get(`/Users/${other.id}`)).status).toBe(404);
  });

  it('honours the version that an operation names, and 412 is its own', async () => {
    const { id, meta } = await idp.user(fresh());
    const path = `/Users/${id}`;
    const answer = await bulk([
      { ...retitle(path, 'a'), version: 'W/"9"' },
      { ...retitle(path, 'b'), version: meta.version },
      { ...retitle(path, 'c'), version: meta.version },
      { method: 'DELETE', path, version: meta.version },
      { method: 'DELETE', path, version: 'W/"2"' },
    ]);
    expect(statuses(answer)).toEqual(['412', '200', '412', '412', '204']);
  });

  it('moves nothing for an operation that changes nothing', async () => {
    const { id } = await idp.user(fresh(), { title: 'same' });
    const before = (await journal(idp.orgId)).length;
    const answer = await bulk([retitle(`/Users/${id}`, 'same')]);
    expect(answer.body.Operations[0]).toMatchObject({ status: '200', version: 'W/"1"' });
    expect(await journal(idp.orgId)).toHaveLength(before);
  });

  it('never answers with a password, a secret or a body that was sent', async () => {
    const secret = 'correct-horse-battery';
    const answer = await bulk([
      user('a', { password: secret }),
      user('b', { password: secret, addresses: secret }),
      patch(`/Users/${(await idp.user(fresh())).id}`, { op: 'replace', path: 'password', value: secret }),
      patch('/Users/none', { op: 'replace', value: { password: secret } }),
      { method: 'POST', path: '/Users', bulkId: 'c', data: secret },
    ]);
    expect(statuses(answer)).toEqual(['201', '400', '200', '404', '400']);
    expect(answer.text).not.toContain(secret);
    expect(JSON.stringify(await journal(idp.orgId))).not.toContain(secret);
    expect(await dump()).not.toContain(secret);
  });

  it('leaves an event for each operation that changed something, in the order of the request', async () => {
    const before = (await journal(idp.orgId)).length;
    const answer = await bulk([user('a'), group('g', [{ value: 'bulkId:a' }]), user('b', { userName: '' }), user('c')]);
    const events = (await journal(idp.orgId)).slice(before);
    expect(events.map(({ type, target_id }) => [type, target_id])).toEqual([
      ['user.created', idIn(answer, 0)],
      ['group.created', idIn(answer, 1)],
      ['user.created', idIn(answer, 3)],
    ]);
    expect(new Set(events.map((event) => (event as unknown as Operation)['request_id'])).size).toBe(1);
  });
});

describe('a bulkId', () => {
  it('stands for a member, a manager, a path, a value of a PATCH, and inside a value path', async () => {
    const [old] = [await idp.user(fresh())];
    const { body } = await idp.post('/Groups', { displayName: fresh('refs'), members: [{ value: old.id }] });
    const answer = await bulk([
      group('team', [{ value: 'bulkId:ada', type: 'User' }, 'bulkId:bob']),
      user('bob', { [ENTERPRISE_USER]: { manager: { value: 'bulkId:ada' } } }),
      retitle('/Users/bulkId:ada', 'Dr'),
      patch(`/Groups/${body.id}`, {
        op: 'add',
        path: 'members',
        value: [{ value: 'bulkId:ada' }, { value: 'bulkId:bob' }],
      }),
      patch(`/Groups/${body.id}`, { op: 'remove', path: 'members[value eq "bulkId:bob"]' }),
      patch(`/Users/${old.id}`, { op: 'Add', path: `${ENTERPRISE_USER}:manager`, value: 'bulkId:bob' }),
      {
        method: 'PUT',
        path: '/Groups/bulkId:empty',
        data: { displayName: fresh('put'), members: [{ value: 'bulkId:team' }] },
      },
      user('ada'),
      group('empty'),
      { method: 'DELETE', path: '/Users/bulkId:brief' },
      user('brief'),
    ]);
    expect(statuses(answer)).toEqual('201 201 200 200 200 200 200 201 201 204 201'.split(' '));
    const [team, bob, ada, empty] = [0, 1, 7, 8].map((i) => idIn(answer, i));
    expect((await membersOf(team!)).sort()).toEqual([ada, bob].sort());
    expect((await membersOf(body.id)).sort()).toEqual([ada, old.id].sort());
    expect(await membersOf(empty!)).toEqual([team]);
    const managerOf = async (id: string) => (await idp.get(`/Users/${id}`)).body[ENTERPRISE_USER].manager.value;
    expect([await managerOf(bob!), await managerOf(old.id)]).toEqual([ada, bob]);
    expect((await idp.get(`/Users/${ada}`)).body.title).toBe('Dr');
    expect(answer.body.Operations[2].location).toBe(`${BASE}/scim/v2/Users/${ada}`);
    expect((await idp.get(`/Users/${idIn(answer, 10)}`)).status).toBe(404);
    expect(answer.text).not.toContain('/bulkId:');
  });

  it('may be of a group in a group in a group, whatever their order', async () => {
    const answer = await bulk([
      group('top', [{ value: 'bulkId:middle' }]),
      group('middle', [{ value: 'bulkId:bottom' }]),
      group('bottom', [{ value: 'bulkId:ada' }]),
      user('ada'),
    ]);
    expect(statuses(answer)).toEqual(Array(4).fill('201'));
    const { groups } = (await idp.get(`/Users/${idIn(answer, 3)}`)).body;
    expect(groups.map(({ value, type }: { value: string; type: string }) => [value, type]).sort()).toEqual(
      [
        [idIn(answer, 0), 'indirect'],
        [idIn(answer, 1), 'indirect'],
        [idIn(answer, 2), 'direct'],
      ].sort(),
    );
  });

  it('in a circle, of nobody, or of what has failed is 409 to that operation alone', async () => {
    const before = (await journal(idp.orgId)).length;
    const answer = await bulk([
      group('a', [{ value: 'bulkId:b' }]),
      group('b', [{ value: 'bulkId:a' }]),
      group('self', [{ value: 'bulkId:self' }]),
      group('lost', [{ value: 'bulkId:nobody' }]),
      retitle('/Users/bulkId:nobody', 'x'),
      user('bad', { userName: '' }),
      group('after', [{ value: 'bulkId:bad' }]),
      group('later', [{ value: 'bulkId:after' }]),
      user('good'),
    ]);
    expect(statuses(answer)).toEqual('409 409 409 409 409 400 409 409 201'.split(' '));
    expect((await journal(idp.orgId)).slice(before).map(({ type }) => type)).toEqual(['user.created']);
  });

  it('of one operation is 409 again when the circle goes through a group that is there', async () => {
    const { body } = await idp.post('/Groups', { displayName: fresh('there') });
    const answer = await bulk([
      group('new', [{ value: body.id }]),
      patch(`/Groups/${body.id}`, { op: 'add', path: 'members', value: [{ value: 'bulkId:new' }] }),
      patch(`/Groups/${body.id}`, { op: 'replace', path: 'displayName', value: fresh('goes on') }),
    ]);
    expect(statuses(answer)).toEqual(['201', '400', '200']);
    expect(await membersOf(body.id)).toEqual([]);
  });

  it('twice refuses the request, and nothing is done', async () => {
    const before = await dump();
    expectRefusal(await bulk([user('a'), user('b'), group('a')]), 400, 'invalidValue', /Operations\[2\]\.bulkId/);
    expect(await dump()).toBe(before);
  });

  it('of a restored person is that person', async () => {
    const { id, userName } = await idp.user(fresh());
    await idp.delete(`/Users/${id}`);
    const answer = await bulk([
      group('g', [{ value: 'bulkId:back' }]),
      { method: 'POST', path: '/Users', bulkId: 'back', data: { userName } },
    ]);
    expect(statuses(answer)).toEqual(['201', '201']);
    expect(await membersOf(idIn(answer, 0))).toEqual([id]);
  });
});

describe('failOnErrors', () => {
  it('ends the answer with the failure that was one too many, and nothing after it is applied', async () => {
    const there = await idp.user(fresh(), { title: 'before' });
    const { body: team } = await idp.post('/Groups', { displayName: fresh('stays') });
    const bad = () => user('bad', { userName: '' });
    for (const limit of [1, 2, 3]) {
      const before = await dump();
      const failing = Array.from({ length: 3 }, (_, i) => ({ ...bad(), bulkId: `bad${i}` }));
      const answer = await bulk(
        [
          ...failing.slice(0, limit),
          user('never'),
          retitle(`/Users/${there.id}`, 'never'),
          { method: 'DELETE', path: `/Users/${there.id}` },
          patch(`/Groups/${team.id}`, { op: 'add', path: 'members', value: [{ value: there.id }] }),
          { method: 'DELETE', path: `/Groups/${team.id}` },
          retitle('/Users/nobody', 'fails too, and is not told of'),
        ],
        { failOnErrors: limit },
      );
      expect(statuses(answer)).toEqual(Array(limit).fill('400'));
      expect(await dump()).toBe(before);
    }
  });

  it('counts a failure that D1 finds as it counts one of the message', async () => {
    const taken = (await idp.user(fresh('taken'))).userName;
    const names = Array.from({ length: 6 }, () => fresh('row'));
    const named = (bulkId: string, userName: string) => ({
      method: 'POST',
      path: '/Users',
      bulkId,
      data: { userName },
    });
    const answer = await bulk(
      [
        named('a', names[0]!),
        named('b', taken),
        named('c', names[1]!),
        retitle('/Users/nobody', 'x'),
        named('d', names[2]!),
        retitle('/Users/nobody', 'y'),
        named('e', names[3]!),
      ],
      { failOnErrors: 2 },
    );
    expect(statuses(answer)).toEqual(['201', '409', '201', '404']);
    for (const [i, name] of names.entries()) {
      const { body } = await idp.get(`/Users?filter=${encodeURIComponent(`userName eq "${name}"`)}`);
      expect(body.totalResults, name).toBe(i < 2 ? 1 : 0);
    }
    await expectCounted();
  });

  it('that is not reached ends nothing', async () => {
    const answer = await bulk([user('bad', { userName: '' }), user('a'), user('b')], { failOnErrors: 2 });
    expect(statuses(answer)).toEqual(['400', '201', '201']);
  });

  it('counts in the order that the references ask for', async () => {
    const answer = await bulk(
      [group('g', [{ value: 'bulkId:bad' }]), user('a'), user('bad', { userName: '' }), user('b')],
      { failOnErrors: 1 },
    );
    // The one that the group refers to comes first; it fails, and all else would come after it.
    expect(statuses(answer)).toEqual(['400']);
    expect(answer.body.Operations[0].bulkId).toBe('bad');
  });

  it('holds of any mixture: what is told is what was done, and is what one by one would have done', async () => {
    const random = new Random(Date.now() % 1_000_000_000);
    const at = await newIdp('mixture');
    for (let round = 0; round < 12; round++) {
      const people = await Promise.all([0, 1, 2].map(() => at.user(fresh())));
      const ids = [...people.map(({ id }) => id), 'nobody'];
      const limit = 1 + random.below(3);
      const operations = Array.from({ length: 25 }, (_, i): Operation => {
        const path = `/Users/${random.pick(ids)}`;
        switch (random.below(7)) {
          case 0:
            return user(`u${i}`);
          case 1:
            return user(`u${i}`, { userName: random.pick(people).userName });
          case 2:
            return user(`u${i}`, { emails: random.chance(0.5) ? 'wrong' : [] });
          case 3:
            return { method: 'DELETE', path };
          case 4:
            return group(`u${i}`, [{ value: random.pick(ids) }]);
          case 5:
            return { method: 'PUT', path, data: { userName: random.pick(people).userName, title: `put ${i}` } };
          default:
            return retitle(path, `title ${i}`);
        }
      });
      const before = (await journal(at.orgId)).length;
      const answer = await bulk(operations, { failOnErrors: limit }, {}, at);
      const told = statuses(answer);
      const seed = `seed ${random.seed}, round ${round}, limit ${limit}: ${told}`;
      const failures = told.filter((status) => Number(status) >= 400).length;
      expect(failures, seed).toBeLessThanOrEqual(limit);
      expect(told.length === operations.length || (failures === limit && Number(told.at(-1)) >= 400), seed).toBe(true);
      expect(
        answer.body.Operations.map(({ method }: Operation) => method),
        seed,
      ).toEqual(operations.slice(0, told.length).map(({ method }) => method));
      expect((await journal(at.orgId)).length - before, seed).toBe(told.length - failures);
      await expectCounted(at);
    }
  });
});

describe('an envelope that nobody sends by mistake', () => {
  const hostile: [string, unknown][] = [
    ['null', null],
    ['a list', []],
    ['text', 'bulk'],
    ['a number', 7],
    ['nothing in it', {}],
    ['Operations of null', { Operations: null }],
    ['Operations of text', { Operations: 'all' }],
    ['Operations of an object', { Operations: { method: 'POST' } }],
    ['operations that are numbers', { Operations: [1, 2] }],
    ['nested operations', { Operations: [[{ method: 'POST' }]] }],
    ['a fraction of an error', { failOnErrors: 0.5, Operations: [user('a')] }],
    ['failOnErrors as an object', { failOnErrors: {}, Operations: [user('a')] }],
    ['schemas of another message', { schemas: ['urn:x'], Operations: [user('a')] }],
  ];
  for (const [name, body] of hostile) {
    it(`is refused whole with ${name}`, async () => {
      const before = await dump();
      const answer = await idp.post('/Bulk', body);
      expect(answer.status).toBe(400);
      expectRefusal(answer, 400, answer.body.scimType);
      expect(await dump()).toBe(before);
    });
  }

  it('is 413 with more operations or bytes than are accepted, and nothing is done', async () => {
    const before = await dump();
    const many = Array.from({ length: 1_001 }, (_, i) => user(`u${i}`));
    expectRefusal(await bulk(many), 413, undefined, /1000/);
    const long = Array.from({ length: 800 }, (_, i) => user(`u${i}`, { title: 'x'.repeat(1_400) }));
    expectRefusal(await bulk(long), 413, undefined, /bytes/);
    expect(await dump()).toBe(before);
  });

  it('has an operation that is wrong in itself refused alone, and what it is told by repeated', async () => {
    const { id } = await idp.user(fresh());
    const { body } = await bulk([
      { method: 'GET', path: `/Users/${id}` },
      { method: 'trace', path: '/Users' },
      { method: { toString: 1 }, path: '/Users' },
      { method: 'PATCH', path: 'Users/1', bulkId: 'named', data: {} },
      { method: 'DELETE', path: ['/Users'] },
      { method: 'DELETE', path: '/Users/1', version: {} },
      { ...user('a'), bulkId: ['a'] },
      { ...user('b'), path: 'Users' },
      retitle(`/Users/${id}`, 'done'),
    ]);
    const wrong = (operation: Operation) => ({ ...operation, status: '400' });
    const told = body.Operations.map(({ response, ...operation }: Operation) => operation);
    const location = `${BASE}/scim/v2/Users/${id}`;
    expect(told).toEqual([
      wrong({ method: 'GET', location }),
      wrong({ method: 'trace', location: `${BASE}/scim/v2/Users` }),
      wrong({ location: `${BASE}/scim/v2/Users` }),
      wrong({ method: 'PATCH', bulkId: 'named' }),
      wrong({ method: 'DELETE' }),
      wrong({ method: 'DELETE', location: `${BASE}/scim/v2/Users/1` }),
      wrong({ method: 'POST' }),
      wrong({ method: 'POST', bulkId: 'b' }),
      { method: 'PATCH', location, version: 'W/"2"', status: '200' },
    ]);
    expect(body.Operations[0].response).toMatchObject({ schemas: [ERROR], status: '400', scimType: 'invalidSyntax' });
  });

  it('ends at the first failure with failOnErrors 0', async () => {
    const answer = await bulk([user('a'), user('b', { userName: '' }), user('c')], { failOnErrors: 0 });
    expect(statuses(answer)).toEqual(['201', '400']);
  });

  it('states the limits that it keeps', async () => {
    const { body } = await idp.get('/ServiceProviderConfig');
    expect(body.bulk).toEqual({ supported: true, maxOperations: 1_000, maxPayloadSize: 1_048_576 });
  });

  it('has its failures told one by one when only single operations are wrong, and never a 5xx', async () => {
    const paths = [
      '/',
      '//',
      '/Users/',
      '/Users//',
      '/Users/../Groups',
      '/Users/%00',
      '/users',
      '/Users?a=b',
      '/Users/a/b',
    ];
    const datas = [undefined, null, [], 'x', 7, { userName: {} }, { Operations: 'x' }, { Operations: [{ op: 'add' }] }];
    const ids = ['constructor', '__proto__', "' OR 1=1 --", 'x'.repeat(5_000), '"', '\u0000', '💥'];
    const operations = [
      ...paths.flatMap((path) => ['PUT', 'PATCH', 'DELETE'].map((method) => ({ method, path, data: {} }))),
      ...paths
        .filter((path) => path !== '/Users/')
        .map((path, i) => ({ method: 'POST', path, bulkId: `p${i}`, data: {} })),
      ...datas.map((data, i) => ({ method: 'POST', path: '/Users', bulkId: `d${i}`, data })),
      ...datas.map((data, i) => ({ method: 'POST', path: '/Groups', bulkId: `e${i}`, data })),
      ...datas.map((data) => ({ method: 'PATCH', path: '/Users/nobody', data })),
      ...ids.map((id) => ({ method: 'DELETE', path: `/Users/${id}` })),
      ...ids.map((id) => ({ method: 'DELETE', path: '/Users/1', version: id })),
      ...ids.map((id) => ({ method: 'DELETE', path: `/Groups/${id}` })),
    ];
    const answer = await bulk(operations);
    expect(answer.status).toBe(200);
    expect(answer.body.Operations).toHaveLength(operations.length);
    for (const [i, status] of statuses(answer).entries()) {
      expect([400, 404, 409, 412], JSON.stringify(operations[i])).toContain(Number(status));
    }
  });

  it('is 409 to a bulkId that no operation has, even one that every object has', async () => {
    for (const bulkId of ['constructor', '__proto__', 'toString']) {
      const answer = await bulk([retitle(`/Users/bulkId:${bulkId}`, 'x'), group('g', [{ value: `bulkId:${bulkId}` }])]);
      expect(statuses(answer)).toEqual(['409', '409']);
    }
  });
});

describe('two orgs', () => {
  it('each meet the ids of the other as ids of nobody', async () => {
    const theirs = await other.user(fresh());
    const { body: team } = await other.post('/Groups', { displayName: 'Theirs', members: [{ value: theirs.id }] });
    const before = await journal(other.orgId);
    const operations = (userId: string, groupId: string) => [
      retitle(`/Users/${userId}`, 'x'),
      { method: 'PUT', path: `/Users/${userId}`, data: { userName: 'x' } },
      { method: 'DELETE', path: `/Users/${userId}` },
      patch(`/Groups/${groupId}`, { op: 'remove', path: 'members' }),
      { method: 'PUT', path: `/Groups/${groupId}`, data: { displayName: 'x' } },
      { method: 'DELETE', path: `/Groups/${groupId}` },
      { method: 'DELETE', path: `/Groups/${groupId}`, version: 'W/"1"' },
    ];
    const nobody = crypto.randomUUID();
    const answer = await bulk(operations(theirs.id, team.id));
    const expected = await bulk(operations(nobody, nobody));
    const plain = (text: string) => text.replaceAll(theirs.id, 'x').replaceAll(team.id, 'x').replaceAll(nobody, 'x');
    expect(plain(answer.text)).toBe(plain(expected.text));
    expect(statuses(answer)).toEqual(Array(7).fill('404'));
    const joined = await bulk([group('g', [{ value: theirs.id }, { value: team.id }])]);
    expect(await membersOf(idIn(joined, 0))).toEqual([]);
    expect(await journal(other.orgId)).toEqual(before);
    expect((await other.get(`/Groups/${team.id}`)).body.members).toHaveLength(1);
  });

  it('send at once, and each gets its own', async () => {
    const answers = await Promise.all(
      [idp, other, idp, other].map((at, i) =>
        bulk([group(`g${i}`, [{ value: 'bulkId:u' }]), user('u')], {}, {}, at).then((answer) => ({ at, answer })),
      ),
    );
    for (const { at, answer } of answers) {
      expect(statuses(answer)).toEqual(['201', '201']);
      expect((await at.get(`/Users/${idIn(answer, 1)}`)).body.groups).toHaveLength(1);
      const stranger = at === idp ? other : idp;
      expect((await stranger.get(`/Users/${idIn(answer, 1)}`)).status).toBe(404);
    }
    await expectCounted(idp);
    await expectCounted(other);
  });
});

describe('people who are deactivated in bulk', () => {
  it('are out, and their flags are there, before the answer', async () => {
    const at = await newIdp('leavers');
    const people = await Promise.all(Array.from({ length: 12 }, () => at.user(fresh())));
    const [first, second, third] = [people.slice(0, 4), people.slice(4, 8), people.slice(8)];
    const answer = await bulk(
      [
        ...first.map(({ id }) => patch(`/Users/${id}`, { op: 'Replace', path: 'active', value: 'False' })),
        ...second.map(({ id, userName }) => ({
          method: 'PUT',
          path: `/Users/${id}`,
          data: { userName, active: false },
        })),
        ...third.map(({ id }) => ({ method: 'DELETE', path: `/Users/${id}` })),
        retitle('/Users/nobody', 'one fails'),
        user('new', { active: false }),
      ],
      {},
      {},
      at,
    );
    expect(statuses(answer).filter((status) => status === '404')).toHaveLength(1);
    for (const { id } of [...people, { id: idIn(answer, 13) }]) {
      expect(await flagOf(at.orgId, id)).toMatchObject({ active: false });
    }
    await settled(at.orgId);
    expect(await counters(at.orgId)).toMatchObject({ kept: { users: 9, active: 0 } });
  });

  it('and reactivated have their flags say so, and after the stop of failOnErrors all that was done is published', async () => {
    const at = await newIdp('returners');
    const [a, b, c] = await Promise.all([0, 1, 2].map(() => at.user(fresh())));
    const set = (id: string, active: boolean) =>
      patch(`/Users/${id}`, { op: 'replace', path: 'active', value: active });
    const answer = await bulk(
      [set(a.id, false), set(b.id, false), set(a.id, true), retitle('/Users/nobody', 'x'), set(c.id, false)],
      { failOnErrors: 1 },
      {},
      at,
    );
    expect(statuses(answer)).toEqual(['200', '200', '200', '404']);
    expect(await flagOf(at.orgId, a.id)).toMatchObject({ active: true, notBefore: expect.any(Number) });
    expect(await flagOf(at.orgId, b.id)).toMatchObject({ active: false });
    expect(await flagOf(at.orgId, c.id)).toBeNull();
    await settled(at.orgId);
  });
});

describe('a database that fails on the way', { timeout: 60_000 }, () => {
  /** The real one, but that these of its batches, counted from 1, are refused as Cloudflare's documentation says. */
  const failing = (isRefused: (batch: number) => boolean): Ask => {
    let batches = 0;
    const DB = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: (statements: D1PreparedStatement[]) =>
        isRefused(++batches)
          ? Promise.reject(new Error('D1_ERROR: D1 DB is overloaded. Requests queued for too long.'))
          : env.DB.batch(statements),
    } as unknown as D1Database;
    return { env: { DB } };
  };
  const deactivate = (id: string) => patch(`/Users/${id}`, { op: 'replace', path: 'active', value: false });

  it('leaves each operation done or refused with 503, and whoever was deactivated is out before the answer', async () => {
    const ids = await Promise.all(
      Array.from({ length: 120 }, async () => (await idp.user(fresh('half'))).id as string),
    );
    // Each fifty are read and then written; the sixth batch would write the last twenty.
    const answer = await bulk(
      ids.map(deactivate),
      {},
      failing((batch) => batch === 6),
    );
    expect(answer.status).toBe(200);
    const told = statuses(answer);
    expect([
      told.filter((status) => status === '200').length,
      told.filter((status) => status === '503').length,
    ]).toEqual([100, 20]);
    for (const [i, id] of ids.entries()) {
      const isOut = told[i] === '200';
      expect((await idp.get(`/Users/${id}`)).body.active).toBe(!isOut);
      expect((await flagOf(idp.orgId, id))?.active).toBe(isOut ? false : undefined);
    }
    await settled(idp.orgId);
  });

  it('from the first batch on is 503 for the whole, with Retry-After, and changes nothing', async () => {
    const { id } = await idp.user(fresh('whole'));
    const before = await dump();
    const answer = await bulk(
      [deactivate(id), user('a')],
      {},
      failing(() => true),
    );
    expectRefusal(answer, 503);
    expect(answer.headers.get('Retry-After')).toMatch(/^\d+$/);
    expect(await dump()).toBe(before);
  });
});

describe('what a bulk request costs', { timeout: 120_000 }, () => {
  const meter = new Meter();
  const metered: Ask = { env: { DB: meter.binding } };
  let at: Idp;
  let ids: string[];

  /** Fifty operations travel in one batch (store/org/shared-batches.ts), and one read looks up what all of them name. */
  const BATCHES = 1_000 / 50 + 1;
  const perBatch = () => Math.max(...meter.batches);

  it('is twenty batches for 1,000 POSTs', async () => {
    at = await newIdp('thousand');
    await at.get('/Users?count=1'); // known here, or its first large body would wait for a check
    const operations = Array.from({ length: 1_000 }, (_, i) => user(`u${i}`, { externalId: `e${i}` }));
    meter.reset();
    const answer = await bulk(operations, {}, metered, at);
    expect(new Set(statuses(answer))).toEqual(new Set(['201']));
    expect(meter.roundTrips).toBeLessThanOrEqual(BATCHES);
    expect(perBatch()).toBeLessThanOrEqual(510);
    expect(meter.rowsRead).toBeLessThanOrEqual(56 * 1_000);
    expect(meter.rowsWritten).toBeLessThanOrEqual(14 * 1_000);
    ids = operations.map((_, i) => idIn(answer, i));
    await expectCounted(at);
  });

  it('is twenty batches to read and twenty to write for 1,000 PATCHes', async () => {
    meter.reset();
    const answer = await bulk(
      ids.map((id, i) => retitle(`/Users/${id}`, `Title ${i}`)),
      {},
      metered,
      at,
    );
    expect(new Set(statuses(answer))).toEqual(new Set(['200']));
    expect(meter.roundTrips).toBeLessThanOrEqual(2 * BATCHES);
    expect(perBatch()).toBeLessThanOrEqual(400);
    expect(meter.rowsRead).toBeLessThanOrEqual(52 * 1_000);
    expect((await at.get(`/Users/${ids[999]}`)).body.title).toBe('Title 999');
  });

  /** What is in proportion to its operations need not be shown with a thousand. */
  const SOME = 400;
  /** @param each batches for a portion of fifty operations. */
  async function expectBatches(
    operations: Operation[],
    each: number,
    expected: Record<string, number>,
  ): Promise<Answer> {
    meter.reset();
    const answer = await bulk(operations, {}, metered, at);
    const told = Object.fromEntries(
      [...Map.groupBy(statuses(answer), (status) => status)].map(([k, v]) => [k, v.length]),
    );
    expect(told).toEqual(expected);
    expect(meter.roundTrips).toBeLessThanOrEqual((operations.length / 50) * each + 5);
    return answer;
  }
  const many = (operation: (i: number) => Operation, length = SOME) => Array.from({ length }, (_, i) => operation(i));

  it('is no more than two batches for fifty when all of them are refused', async () => {
    const people = many((i) => user(`taken${i}`));
    await bulk(people, {}, {}, at);
    await expectBatches(people, 2, { 409: SOME });
    await expectBatches(
      many((i) => ({ ...user(`same${i}`), data: { userName: 'one name' } })),
      2,
      { 201: 1, 409: SOME - 1 },
    );
    await expectBatches(
      many(() => retitle('/Users/nobody', 'x')),
      1,
      { 404: SOME },
    );
  });

  it('is no more than four batches for fifty of a mixture of what is done and what is refused', async () => {
    const taken = (await at.user(fresh('taken'))).userName;
    const mixture = (i: number): Operation =>
      [
        () => user(`mix${i}`),
        () => user(`mix${i}`, { userName: taken }),
        () => retitle(`/Users/${ids[i]}`, `mixed ${i}`),
        () => ({ method: 'DELETE', path: `/Users/nobody-${i}` }),
        () => patch(`/Users/${ids[i]}`, { op: 'replace', path: 'name', value: 7 }),
        () => retitle(`/Users/${ids[i]}`, `again ${i}`),
        () => ({ ...retitle(`/Users/${ids[i]}`, 'x'), version: 'W/"77"' }),
        () => user(`mix${i}`, { userName: '' }),
      ][i % 8]!();
    await expectBatches(many(mixture), 4, { 200: 100, 201: 50, 400: 100, 404: 50, 409: 50, 412: 50 });
    await expectCounted(at);
  });

  it('is one change and one event for many PATCHes of one user in a row', async () => {
    const { id } = await at.user(fresh('one'));
    const answer = await expectBatches(
      many((i) => retitle(`/Users/${id}`, `Title ${i}`)),
      1,
      { 200: SOME },
    );
    const versions = answer.body.Operations.map(({ version }: Operation) => version);
    expect(new Set(versions)).toEqual(new Set(['W/"2"']));
    const events = await journal(at.orgId, id);
    expect(events.map(({ type }) => type)).toEqual(['user.created', 'user.updated']);
    expect(events.at(-1)!.details.changed.title).toEqual({ before: null, after: `Title ${SOME - 1}` });
    await expectBatches(
      many(() => retitle(`/Users/${id}`, 'the same')),
      1,
      { 200: SOME },
    );
  });

  it('is one batch for fifty operations in one chain of references, in whatever order', async () => {
    const chained = (word: string, other: (i: number) => number) =>
      many((i) => {
        const next = other(i);
        const manager = next >= 0 && next < SOME ? { manager: { value: `bulkId:${word}${next}` } } : {};
        return user(`${word}${i}`, { [ENTERPRISE_USER]: manager });
      });
    const answer = await expectBatches(
      chained('up', (i) => i - 1),
      1,
      { 201: SOME },
    );
    await expectBatches(
      chained('down', (i) => i + 1),
      1,
      { 201: SOME },
    );
    const { body } = await at.get(`/Users/${idIn(answer, SOME - 1)}`);
    expect(body[ENTERPRISE_USER].manager.value).toBe(idIn(answer, SOME - 2));
  });

  it('is two batches for fifty that join or leave one group', async () => {
    const { body } = await at.post('/Groups', { displayName: fresh('team') });
    const path = `/Groups/${body.id}`;
    const add = (value: string) => patch(path, { op: 'add', path: 'members', value: [{ value }] });
    const size = async () => (await rows('SELECT member_count FROM groups WHERE id = ?', body.id))[0]!['member_count'];
    await expectBatches(
      many((i) => add(ids[i]!)),
      2,
      { 200: SOME },
    );
    expect(await size()).toBe(SOME);
    await expectBatches(
      many((i) => patch(path, { op: 'remove', path: `members[value eq "${ids[i]}"]` })),
      2,
      { 200: SOME },
    );
    expect(await size()).toBe(0);
  });

  it('is two batches for fifty deactivations and one for fifty deletions, and the coordinator is called once', async () => {
    const calls: string[] = [];
    const stub = { publish: async () => calls.push('publish'), drain: async () => calls.push('drain') };
    const ORG_COORDINATOR = { getByName: () => stub } as unknown as Env['ORG_COORDINATOR'];
    const counted: Ask = { env: { DB: meter.binding, ORG_COORDINATOR } };
    meter.reset();
    const out = many((i) => patch(`/Users/${ids[i]}`, { op: 'replace', path: 'active', value: false }));
    expect(new Set(statuses(await bulk(out, {}, counted, at)))).toEqual(new Set(['200']));
    expect(meter.roundTrips).toBeLessThanOrEqual((2 * SOME) / 50);
    expect(calls).toEqual(['drain']);
    expect(await waiting(at.orgId)).toBe(SOME);
    meter.reset();
    const gone = many((i) => ({ method: 'DELETE', path: `/Users/${ids[i]}` }));
    expect(new Set(statuses(await bulk(gone, {}, counted, at)))).toEqual(new Set(['204']));
    expect(meter.roundTrips).toBeLessThanOrEqual(SOME / 50 + 1);
    expect(calls).toEqual(['drain', 'drain']);
    await expectCounted(at);
  });

  it('never passes what one request may ask of D1: what is left is 503, whole, and named', async () => {
    const { id } = await at.user(fresh('renamed'));
    const rename = () => patch(`/Users/${id}`, { op: 'replace', path: 'userName', value: fresh('name') });
    const names = many(rename, 1_000);
    meter.reset();
    const answer = await bulk(names, {}, metered, at);
    expect(answer.status).toBe(200);
    // A few more note, after the answer, what was refused.
    expect(meter.roundTrips).toBeLessThanOrEqual(920);
    const told = statuses(answer);
    const done = told.filter((status) => status === '200').length;
    expect(told).toEqual([...Array(done).fill('200'), ...Array(1_000 - done).fill('503')]);
    expect(answer.headers.get('Retry-After')).toBe('1');
    expect(answer.body.Operations[999].response).toMatchObject({ schemas: [ERROR], status: '503' });
    const { meta } = (await at.get(`/Users/${id}`)).body;
    expect(meta.version).toBe(`W/"${done + 1}"`);
  });

  it('counts statements where the operator says so', async () => {
    meter.reset();
    const people = many((i) => user(`counted${i}`));
    const env = { DB: meter.binding, D1_QUERY_LIMIT_COUNTS: 'statements' };
    const answer = await bulk([retitle('/Users/nobody', 'x'), ...people.slice(1)], {}, { env }, at);
    const sent = meter.batches.reduce((sum, size) => sum + size, 0);
    expect(sent).toBeLessThanOrEqual(900);
    const told = statuses(answer);
    const done = told.filter((status) => status === '201').length;
    expect(done).toBeGreaterThanOrEqual(75);
    expect(told).toEqual(['404', ...Array(done).fill('201'), ...Array(SOME - 1 - done).fill('503')]);
    const { body } = await at.get(`/Users?filter=${encodeURIComponent('userName sw "counted"')}&count=0`);
    expect(body.totalResults).toBe(done);
  });

  it('is little more for a group and its 900 new members', async () => {
    meter.reset();
    const people = Array.from({ length: 900 }, (_, i) => user(`m${i}`));
    const answer = await bulk(
      [
        group(
          'all',
          people.map(({ bulkId }) => ({ value: `bulkId:${bulkId}` })),
        ),
        ...people,
      ],
      {},
      metered,
      at,
    );
    expect(new Set(statuses(answer))).toEqual(new Set(['201']));
    expect(meter.roundTrips).toBeLessThanOrEqual(BATCHES + 1);
    const [row] = await rows('SELECT member_count FROM groups WHERE id = ?', idIn(answer, 0));
    expect(row!['member_count']).toBe(900);
  });

  it('is three batches where one of fifty fails', async () => {
    const taken = (await at.user(fresh())).userName;
    const operations = Array.from({ length: 50 }, (_, i) => user(`u${i}`, i === 37 ? { userName: taken } : {}));
    meter.reset();
    const answer = await bulk(operations, {}, metered, at);
    expect(statuses(answer).filter((status) => status !== '201')).toEqual(['409']);
    expect(meter.roundTrips).toBeLessThanOrEqual(3);
  });
});
