/** Many requests at once: no update is lost, and what the org counts is what there is (promises 5 and 6). */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Idp, newIdp } from '../support/client';
import { counters, journal, rows } from '../support/database';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('busy');
});

const times = <T>(n: number, one: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => one(i)));

const count = (values: readonly number[]) =>
  Object.fromEntries([...new Set(values)].sort().map((value) => [value, values.filter((v) => v === value).length]));

async function expectConsistent(): Promise<void> {
  const { kept, real } = await counters(idp.orgId);
  expect(kept).toEqual(real);
  const events = await journal(idp.orgId);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  const [org] = await rows('SELECT event_seq FROM orgs WHERE id = ?', idp.orgId);
  expect(org!['event_seq']).toBe(events.length);
  const stray = await rows(
    `SELECT e.value_key FROM user_emails AS e LEFT JOIN users AS u ON u.seq = e.user_seq AND u.org_id = e.org_id
      AND u.deleted_at IS NULL WHERE e.org_id = ? AND u.seq IS NULL`,
    idp.orgId,
  );
  expect(stray).toEqual([]);
}

describe('requests at once', () => {
  it('a hundred and fifty additions to one list of one user all count, and none is turned away', async () => {
    const { id } = await idp.user('crowded@example.com');
    const answers = await times(150, (i) =>
      idp.patch(`/Users/${id}`, [{ op: 'add', path: 'emails', value: [{ value: `m${i}@example.com` }] }]),
    );
    expect(count(answers.map(({ status }) => status))).toEqual({ 200: 150 });
    expect((await idp.get(`/Users/${id}`)).body.emails).toHaveLength(150);
  });

  it('fifty PATCHes of different attributes of one user all count', async () => {
    const { id } = await idp.user('fifty@example.com');
    const single = [
      'displayName',
      'nickName',
      'title',
      'userType',
      'locale',
      'timezone',
      'preferredLanguage',
      'externalId',
      'profileUrl',
      'name.givenName',
      'name.familyName',
      'name.middleName',
      'name.formatted',
    ];
    const extension = ['department', 'division', 'costCenter', 'organization', 'employeeNumber'];
    const lists = ['emails', 'phoneNumbers', 'ims', 'entitlements'];
    const operations = [
      ...single.map((path) => ({ op: 'replace', path, value: `${path} is set` })),
      ...extension.map((name) => ({
        op: 'add',
        path: `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:${name}`,
        value: `${name} is set`,
      })),
      ...Array.from({ length: 32 }, (_, i) => ({ op: 'add', path: lists[i % 4], value: [{ value: `v${i}` }] })),
    ];
    expect(operations).toHaveLength(50);
    const answers = await times(50, (i) => idp.patch(`/Users/${id}`, [operations[i]]));
    expect(count(answers.map(({ status }) => status))).toEqual({ 200: 50 });

    const { body } = await idp.get(`/Users/${id}`);
    expect(body.meta.version).toBe('W/"51"');
    for (const path of single) {
      const value = path.split('.').reduce((holder, name) => holder?.[name], body);
      expect(value, path).toBe(`${path} is set`);
    }
    for (const name of extension) {
      expect(body['urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'][name]).toBe(`${name} is set`);
    }
    for (const [i, list] of lists.entries()) {
      const values = body[list].map(({ value }: { value: string }) => value).sort();
      expect(values).toEqual(Array.from({ length: 8 }, (_, j) => `v${j * 4 + i}`).sort());
    }
    const versions = answers.map(({ body }) => body.meta.version);
    expect(new Set(versions).size).toBe(50);
    await expectConsistent();
  });

  it('PATCHes with one If-Match are won by exactly one', async () => {
    const { id, meta } = await idp.user('one@example.com');
    const answers = await times(20, (i) =>
      idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: `T${i}` }], {
        headers: { 'If-Match': meta.version },
      }),
    );
    expect(count(answers.map(({ status }) => status))).toEqual({ 200: 1, 412: 19 });
    const winner = answers.find(({ status }) => status === 200)!;
    expect((await idp.get(`/Users/${id}`)).body).toEqual(winner.body);
    expect(winner.body.meta.version).toBe('W/"2"');
    await expectConsistent();
  });

  it('PUT, PATCH and DELETE with one If-Match are won by exactly one', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, meta } = await idp.user(`mixed${round}@example.com`);
      const headers = { 'If-Match': meta.version };
      const answers = await Promise.all([
        idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'x' }], { headers }),
        idp.put(`/Users/${id}`, { userName: `mixed${round}@example.com`, title: 'y' }, { headers }),
        idp.delete(`/Users/${id}`, { headers }),
      ]);
      const won = answers.filter(({ status }) => status < 300);
      expect(won).toHaveLength(1);
      for (const { status } of answers.filter((answer) => !won.includes(answer))) expect([404, 412]).toContain(status);
    }
    await expectConsistent();
  });

  it('POSTs of one userName in different letter case make one user', async () => {
    const spell = (text: string, i: number) =>
      [...text].map((letter, at) => ((i >> (at % 5)) & 1 ? letter.toUpperCase() : letter)).join('');
    for (const name of ['çağan.übel@example.com', 'иван.петров@example.com', 'νίκος@example.com']) {
      const answers = await times(20, (i) => idp.post('/Users', { userName: spell(name, i) }));
      expect(count(answers.map(({ status }) => status)), name).toEqual({ 201: 1, 409: 19 });
    }
    await expectConsistent();
  });

  it('POSTs of one deleted user restore it once', async () => {
    const { id } = await idp.user('phoenix@example.com', { externalId: 'phoenix' });
    await idp.delete(`/Users/${id}`);
    const answers = await times(10, () =>
      idp.post('/Users', { userName: 'phoenix@example.com', externalId: 'phoenix' }),
    );
    expect(count(answers.map(({ status }) => status))).toEqual({ 201: 1, 409: 9 });
    expect(answers.find(({ status }) => status === 201)!.body.id).toBe(id);
    expect((await journal(idp.orgId, id)).map(({ type }) => type)).toEqual([
      'user.created',
      'user.deleted',
      'user.restored',
    ]);
    await expectConsistent();
  });

  it('DELETEs of one user succeed once', async () => {
    const { id } = await idp.user('once@example.com');
    const answers = await times(10, () => idp.delete(`/Users/${id}`));
    expect(count(answers.map(({ status }) => status))).toEqual({ 204: 1, 404: 9 });
    await expectConsistent();
  });

  it('renames of two users to one name are won by one', async () => {
    const [a, b] = await Promise.all([idp.user('left@example.com'), idp.user('right@example.com')]);
    const answers = await Promise.all(
      [a, b].map(({ id }) =>
        idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'userName', value: 'Middle@example.com' }]),
      ),
    );
    expect(count(answers.map(({ status }) => status))).toEqual({ 200: 1, 409: 1 });
    await expectConsistent();
  });

  it('deactivations and reactivations leave the row, the counters and the journal of one mind', async () => {
    const { id } = await idp.user('switch@example.com');
    const answers = await times(16, (i) =>
      idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: i % 2 === 1 }]),
    );
    expect(count(answers.map(({ status }) => status))).toEqual({ 200: 16 });
    const events = (await journal(idp.orgId, id)).map(({ type }) => type).slice(1);
    events.forEach((type, i) => {
      expect(type).toBe(i % 2 === 0 ? 'user.deactivated' : 'user.reactivated');
    });
    const { body } = await idp.get(`/Users/${id}`);
    expect(body.active).toBe(events.at(-1) !== 'user.deactivated');
    expect(body.meta.version).toBe(`W/"${1 + events.length}"`);
    const [row] = await rows("SELECT active, json_extract(resource, '$.active') AS said FROM users WHERE id = ?", id);
    expect(row!['active']).toBe(row!['said']);
    await expectConsistent();
  });

  it('of every kind leave the counters as they really are', async () => {
    const names = Array.from({ length: 6 }, (_, i) => `mix${i}@example.com`);
    const users = await times(6, (i) => idp.user(names[i]!, { externalId: `mix${i}`, emails: [{ value: names[i] }] }));
    const answers = await times(90, async (i) => {
      const at = (i * 7) % 6;
      const path = `/Users/${users[at].id}`;
      switch (i % 9) {
        case 0:
          return idp.delete(path);
        case 1:
          return idp.post('/Users', { userName: names[at], externalId: `mix${at}`, active: i % 2 === 0 });
        case 2:
          return idp.patch(path, [{ op: 'replace', path: 'active', value: false }]);
        case 3:
          return idp.patch(path, [{ op: 'replace', path: 'active', value: 'True' }]);
        case 4:
          return idp.put(path, { userName: names[at], active: i % 4 === 0 });
        case 5:
          return idp.patch(path, [{ op: 'add', path: 'emails', value: [{ value: `more${i}@example.com` }] }]);
        case 6:
          return idp.post('/Users', { userName: `new${i % 4}@example.com`, active: i % 2 === 0 });
        case 7:
          return idp.patch(path, [{ op: 'replace', path: 'userName', value: names[(at + 1) % 6] }]);
        default:
          return idp.get('/Users');
      }
    });
    for (const { status, text } of answers) expect([200, 201, 204, 404, 409], text).toContain(status);
    const { body } = await idp.get('/Users?count=0');
    expect(body.totalResults).toBe((await counters(idp.orgId)).real['users']);
    await expectConsistent();
  });
});
