/** Extension schemas of an org: from their registration on as the standard ones, for that org alone, and at no cost to others. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { BULK_REQUEST, ENTERPRISE_USER, GROUP, USER } from '../../src/scim/urns';
import { knownProfiles } from '../../src/store/org/profile';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { journal, rows } from '../support/database';
import { Meter } from '../support/meter';
import { expectRefusal } from '../support/refusal';

const URN = 'urn:acme:scim:2.0:Staff';
const TEAM = 'urn:acme:scim:2.0:Team';
const FILE = {
  id: URN,
  name: 'Staff',
  description: 'What Acme keeps about its people',
  attributes: [
    { name: 'level', type: 'integer' },
    { name: 'factor', type: 'decimal' },
    { name: 'since', type: 'dateTime' },
    { name: 'key', type: 'binary' },
    { name: 'page', type: 'reference', referenceTypes: ['external'] },
    { name: 'remote', type: 'boolean' },
    { name: 'nick', type: 'string' },
    { name: 'code', type: 'string', caseExact: true },
    { name: 'tags', type: 'string', multiValued: true },
    { name: 'scores', type: 'integer', multiValued: true },
    { name: 'desk', type: 'complex', subAttributes: [{ name: 'floor', type: 'integer' }, { name: 'seat' }] },
    {
      name: 'badges',
      type: 'complex',
      multiValued: true,
      subAttributes: [
        { name: 'value' },
        { name: 'type', canonicalValues: ['door', 'garage'] },
        { name: 'issued', type: 'dateTime' },
        { name: 'primary', type: 'boolean' },
      ],
    },
    { name: 'secretHint', returned: 'request' },
    { name: 'stamp', returned: 'always' },
  ],
};
const ADA = {
  level: 3,
  factor: 1.5,
  since: '2026-01-31T10:00:00.000Z',
  key: 'AQID',
  page: 'https://acme.example/Ada',
  remote: true,
  nick: 'Ada',
  code: 'aX',
  tags: ['Red', 'green'],
  scores: [1, 20],
  desk: { floor: 2, seat: 'B7' },
  badges: [
    { value: '100', type: 'door', issued: '2026-02-01T00:00:00.000Z', primary: true },
    { value: '200', type: 'garage' },
  ],
  stamp: 'S1',
};

let idp: Idp;
let count = 0;
const add = (of: Idp, file: unknown = FILE, type = '') =>
  admin('POST', `/orgs/${of.slug}/schemas${type}`, { body: file });
const remove = (of: Idp, urn = URN, confirm = urn) =>
  admin('DELETE', `/orgs/${of.slug}/schemas/${encodeURIComponent(urn)}?${new URLSearchParams({ confirm })}`);
const find = (filter: string, more = '', of = idp) => of.get(`/Users?filter=${encodeURIComponent(filter)}${more}`);
const names = ({ body }: Answer) => body.Resources.map((it: { userName: string }) => it.userName);

beforeEach(async () => {
  knownProfiles.clear();
  idp = await newIdp(`schemas-${++count}`);
});

describe('at the administrator’s door a schema', () => {
  it('is added, listed, shown, and removed; the journal tells of it', async () => {
    const added = await add(idp);
    expect(added.status).toBe(201);
    expect(added.body).toMatchObject({ id: URN, resourceType: 'User', addedAt: expect.stringMatching(/Z$/) });
    expect((await admin('GET', `/orgs/${idp.slug}/schemas`)).body).toEqual([added.body]);
    const path = `/orgs/${idp.slug}/schemas/${encodeURIComponent(URN.toUpperCase())}`;
    expect((await admin('GET', path)).body).toEqual(added.body);
    expect((await add(idp, { id: TEAM, attributes: [{ name: 'x' }] }, '?type=group')).body.resourceType).toBe('Group');
    expect((await remove(idp)).body).toEqual({ removed: URN, resourceType: 'User', changed: 0 });
    expect((await admin('GET', path)).body).toEqual({ error: 'not_found', detail: 'Schema not found' });
    expect((await admin('GET', `/orgs/${idp.slug}/schemas`)).body.map(({ id }: { id: string }) => id)).toEqual([TEAM]);
    const events = (await journal(idp.orgId)).filter(({ type }) => type.startsWith('schema.'));
    expect(events.map(({ type, target_id }) => [type, target_id])).toEqual([
      ['schema.added', URN],
      ['schema.added', TEAM],
      ['schema.removed', URN],
    ]);
    expect(events[2]!.details).toMatchObject({ resourceType: 'User', schema: { id: URN }, changed: 0 });
  });

  it('that is shown can be added again, at another org too', async () => {
    const shown = (await add(idp)).body;
    const other = await newIdp(`schemas-again-${count}`);
    expect((await add(other, shown)).status).toBe(201);
    const third = await newIdp(`schemas-third-${count}`);
    expect((await add(third, (await idp.get(`/Schemas/${URN}`)).body)).status).toBe(201);
  });

  it('is refused by a sentence that names the attribute, and nothing is added', async () => {
    const bad = await add(idp, { ...FILE, attributes: [{ name: 'level', type: 'number' }] });
    expect(bad.status).toBe(400);
    expect(bad.body).toEqual({
      error: 'invalidValue',
      detail: 'level.type: string, boolean, decimal, integer, dateTime, reference, binary or complex was expected',
    });
    const twice = { raw: '{"id":"urn:a:b","id":"urn:a:c"}' };
    expect((await admin('POST', `/orgs/${idp.slug}/schemas`, twice)).body.error).toBe('invalidSyntax');
    expect((await add(idp, FILE, '?type=device')).status).toBe(400);
    expect((await add({ ...idp, slug: 'nobody' })).status).toBe(404);
    expect((await admin('GET', '/orgs/nobody/schemas')).status).toBe(404);
    expect((await admin('GET', `/orgs/${idp.slug}/schemas`)).body).toEqual([]);
  });

  it('may grow, but not lose or change an attribute; the same again changes nothing', async () => {
    await add(idp);
    await idp.user('ada', { [URN]: { level: 3 } });
    expect((await add(idp)).status).toBe(201);
    const less = await add(idp, { ...FILE, attributes: FILE.attributes.slice(1) });
    expect(less.status).toBe(409);
    expect(less.body.detail).toContain('level is left out. Remove it first');
    const other = [{ name: 'level', type: 'string' }, ...FILE.attributes.slice(1)];
    expect((await add(idp, { ...FILE, attributes: other })).body.detail).toContain('level.type was integer');
    expect((await add(idp, FILE, '?type=group')).body.detail).toContain('it extends User');
    const more = { ...FILE, attributes: [...FILE.attributes, { name: 'extra' }] };
    expect((await add(idp, more)).status).toBe(201);
    expect((await idp.patch('/Users/x', [])).status).toBe(404);
    expect(names(await find(`${URN}:level eq 3 and not (${URN}:extra pr)`))).toEqual(['ada']);
    const types = (await journal(idp.orgId)).map(({ type }) => type).filter((type) => type.startsWith('schema.'));
    expect(types).toEqual(['schema.added', 'schema.changed']);
  });

  it('has a URN that no path could take for another, and there are twenty at the most', async () => {
    await add(idp);
    const clash = await add(idp, { ...FILE, id: `${URN}:more` });
    expect([clash.status, clash.body.detail]).toEqual([409, expect.stringContaining(URN)]);
    for (let i = 1; i < 20; i++) {
      expect((await add(idp, { id: `urn:acme:n:a${i}`, attributes: [{ name: 'x' }] })).status).toBe(201);
    }
    expect((await add(idp, { id: 'urn:acme:n:z', attributes: [{ name: 'x' }] })).body.detail).toMatch(/at most 20/);
  });

  it('all count when several are added at once', async () => {
    const answers = await Promise.all(
      [1, 2, 3].map((n) => add(idp, { id: `urn:acme:n:a${n}`, attributes: [{ name: 'x' }] })),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect((await admin('GET', `/orgs/${idp.slug}/schemas`)).body).toHaveLength(3);
  });
});

describe('discovery', () => {
  it('shows it to that org alone', async () => {
    const other = await newIdp(`schemas-other-${count}`);
    const standard = (await other.get('/Schemas')).body;
    await add(idp);
    await add(idp, { id: TEAM, attributes: [{ name: 'x' }] }, '?type=group');
    const { body } = await idp.get('/Schemas');
    expect(body.Resources.map(({ id }: { id: string }) => id)).toEqual([
      USER,
      ENTERPRISE_USER,
      URN,
      GROUP,
      TEAM,
      ...standard.Resources.slice(-3).map(({ id }: { id: string }) => id),
    ]);
    expect((await idp.get(`/Schemas/${URN}`)).body).toMatchObject({
      id: URN,
      name: 'Staff',
      meta: { resourceType: 'Schema' },
    });
    const types = (await idp.get('/ResourceTypes')).body.Resources;
    expect(types[0].schemaExtensions).toContainEqual({ schema: URN, required: false });
    expect(types[1].schemaExtensions).toEqual([{ schema: TEAM, required: false }]);
    expect((await idp.get('/ResourceTypes/User')).body).toEqual(types[0]);
    expect((await other.get('/Schemas')).body).toEqual(standard);
    expectRefusal(await other.get(`/Schemas/${URN}`), 404);
    expect((await other.get('/ResourceTypes')).text).not.toContain('acme');
  });
});

describe('a user with values of it', () => {
  let id: string;
  beforeEach(async () => {
    await add(idp);
    const created = await idp.post('/Users', {
      schemas: [USER, URN],
      userName: 'ada',
      [URN]: { ...ADA, since: '2026-01-31T11:00:00+01:00', unknown: 1 },
    });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ schemas: [USER, URN], [URN]: ADA });
    id = created.body.id;
    await idp.user('bob', { [URN]: { level: 10, nick: 'bob', since: '2025-01-01T00:00:00Z' } });
    await idp.user('cyd');
  });

  it('is read, replaced, and the member’s name is read in any case', async () => {
    expect((await idp.get(`/Users/${id}`)).body[URN]).toEqual(ADA);
    const put = await idp.put(`/Users/${id}`, { userName: 'ada', [URN.toUpperCase()]: { LEVEL: 4, remote: 'False' } });
    expect(put.body[URN]).toEqual({ level: 4, remote: false });
    const none = await idp.put(`/Users/${id}`, { userName: 'ada' });
    expect(none.body).toMatchObject({ schemas: [USER] });
    expect(none.body[URN]).toBeUndefined();
  });

  it.each([
    ['level', '3', 'an integer'],
    ['level', 3.5, 'an integer'],
    ['factor', '1', 'a number'],
    ['since', 'yesterday', 'a date and time'],
    ['key', '***', 'base64 text'],
    ['page', 5, 'a string with a URI'],
    ['remote', 'maybe', 'true or false'],
    ['nick', 5, 'a string'],
    ['nick', ['x', 'y'], 'a string'],
    ['tags', 'red', 'a list of string values'],
    ['tags', [1], 'a string'],
    ['scores', ['1'], 'an integer'],
    ['desk', 'B7', 'an object'],
    ['badges', [['100']], 'an object'],
    ['badges', [{ issued: 'x' }], 'a date and time'],
  ])('has %s of the right type: %j is refused by POST, PUT and PATCH', async (name, value, expected) => {
    const detail = new RegExp(`^${URN}:${name}.*${expected}`);
    const body = { userName: 'dan', [URN]: { [name]: value } };
    expectRefusal(await idp.post('/Users', body), 400, 'invalidValue', detail);
    expectRefusal(await idp.put(`/Users/${id}`, body), 400, 'invalidValue', detail);
    const replace = [{ op: 'replace', path: `${URN}:${name}`, value }];
    expectRefusal(await idp.patch(`/Users/${id}`, replace), 400, 'invalidValue', detail);
    expect((await idp.get(`/Users/${id}`)).body.meta.version).toBe('W/"1"');
  });

  it.each<[string, string[]]>([
    ['level eq 3', ['ada']],
    ['level gt 3', ['bob']],
    ['level ne 3', ['bob', 'cyd']],
    ['factor le 1.5', ['ada']],
    ['since lt "2026-01-01T00:00:00Z"', ['bob']],
    ['since eq "2026-01-31T10:00:00Z"', ['ada']],
    ['key eq "AQID"', ['ada']],
    ['page ew "/Ada"', ['ada']],
    ['page ew "/ada"', []],
    ['remote eq true', ['ada']],
    ['nick sw "AD"', ['ada']],
    ['code eq "ax"', []],
    ['code eq "aX"', ['ada']],
    ['tags eq "red"', ['ada']],
    ['tags pr', ['ada']],
    ['scores gt 19', ['ada']],
    ['desk.floor eq 2', ['ada']],
    ['desk.seat co "b"', ['ada']],
    ['badges.value eq "200"', ['ada']],
    ['badges eq "200"', ['ada']],
    ['badges[type eq "DOOR" and value eq "100"]', ['ada']],
    ['badges[type eq "door" and value eq "200"]', []],
    ['badges.issued ge "2026-02-01T00:00:00Z"', ['ada']],
  ])('is found by %s', async (filter, expected) => {
    expect(names(await find(`${URN}:${filter}`, '&sortBy=userName'))).toEqual(expected);
    const body = { filter: `${URN.toLowerCase()}:${filter}`, sortBy: 'userName' };
    expect(names(await idp.post('/Users/.search', body))).toEqual(expected);
    expect((await idp.post('/.search', body)).body.totalResults).toBe(expected.length);
  });

  it('is found by the extension being there, and by schemas', async () => {
    expect(names(await find(`${URN} pr`, '&sortBy=userName'))).toEqual(['ada', 'bob']);
    expect(names(await find(`schemas eq "${URN}"`, '&sortBy=userName'))).toEqual(['ada', 'bob']);
    expectRefusal(await find(`${URN}:nothing eq 1`), 400, 'invalidFilter');
    expectRefusal(await find(`${URN}:level eq "three"`), 400, 'invalidFilter', /integer/);
  });

  it('is reached by any URN, one that ends in a number too, and by an attribute’s name alone', async () => {
    const urn = 'urn:acme:extra:1.0';
    await add(idp, { id: urn, attributes: [{ name: 'size', type: 'integer' }, { name: 'title' }] });
    const whole = await idp.patch(`/Users/${id}`, [{ op: 'add', path: urn, value: { size: 3, title: 'x' } }]);
    expect(whole.body[urn]).toEqual({ size: 3, title: 'x' });
    expect(whole.body.title).toBeUndefined();
    expect(names(await find(`${urn}:size eq 3 and ${urn}:title eq "X" and size lt 4`))).toEqual(['ada']);
    expect((await find('title pr')).body.totalResults).toBe(0); // the core schema's
    const one = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: `${urn}:size`, value: 4 }]);
    expect(one.body[urn].size).toBe(4);
    const removed = await idp.patch(`/Users/${id}`, [{ op: 'remove', path: urn }]);
    expect(removed.body[urn]).toBeUndefined();
  });

  it('is refused a filter that with its order would be too long a statement', async () => {
    const filter = Array(120).fill(`${URN}:badges[type eq "x" and value eq "y" and issued pr]`).join(' or ');
    const body = { filter: filter.slice(0, 8_100).replace(/ or [^[]*\[[^\]]*$/, ''), sortBy: `${URN}:badges.issued` };
    const answers = await Promise.all([
      idp.post('/Users/.search', body),
      idp.post('/.search', body),
      idp.post('/Users/.search', { ...body, cursor: '' }),
    ]);
    for (const { status, body: answer } of answers) expect([200, 400], answer.detail).toContain(status);
  });

  it('is sorted by it, numbers as numbers, and by cursor', async () => {
    const sorted = async (more: string) => names(await idp.get(`/Users?sortBy=${URN}:${more}`));
    expect(await sorted('level')).toEqual(['ada', 'bob', 'cyd']);
    expect(await sorted('level&sortOrder=descending')).toEqual(['cyd', 'bob', 'ada']);
    expect(await sorted('since')).toEqual(['bob', 'ada', 'cyd']);
    expect(await sorted('badges')).toEqual(['ada', 'bob', 'cyd']);
    const first = await idp.get(`/Users?sortBy=${URN}:level&count=1&cursor=`);
    const next = await idp.get(`/Users?sortBy=${URN}:level&count=1&cursor=${first.body.nextCursor}`);
    expect([...names(first), ...names(next)]).toEqual(['ada', 'bob']);
    expectRefusal(await idp.get(`/Users?sortBy=${URN}:none`), 400, 'invalidValue');
  });

  it('is projected by URN, by attribute and by part; what is asked for comes then only, what is always comes always', async () => {
    await idp.patch(`/Users/${id}`, [{ op: 'add', path: `${URN}:secretHint`, value: 'x' }]);
    const shown = async (query: string) => (await idp.get(`/Users/${id}?${query}`)).body[URN];
    const { stamp, ...rest } = ADA;
    expect(await shown('')).toEqual(ADA);
    expect(await shown(`attributes=${URN}`)).toEqual(ADA);
    expect(await shown(`attributes=${URN}:level,${URN}:badges.value`)).toEqual({
      level: 3,
      badges: [{ value: '100' }, { value: '200' }],
      stamp,
    });
    expect(await shown(`attributes=${URN}:secretHint`)).toEqual({ secretHint: 'x', stamp });
    expect(await shown('attributes=userName')).toEqual({ stamp });
    expect(await shown(`excludedAttributes=${URN}`)).toEqual({ stamp });
    expect(await shown(`excludedAttributes=${URN}:badges,${URN}:desk.floor,${URN}:stamp`)).toEqual({
      ...rest,
      badges: undefined,
      desk: { seat: 'B7' },
      stamp,
    });
    const page = await idp.get(`/Users?attributes=${URN}:nick&sortBy=userName`);
    expect(page.body.Resources.map((it: Record<string, unknown>) => it[URN])).toEqual([
      { nick: 'Ada', stamp },
      { nick: 'bob' },
      undefined,
    ]);
  });

  it('is patched by paths with the URN, by names, and as a whole', async () => {
    const patch = async (...operations: unknown[]) => {
      const answer = await idp.patch(`/Users/${id}`, operations);
      expect(answer.status, answer.text).toBe(200);
      return answer.body[URN];
    };
    expect(await patch({ op: 'replace', path: `${URN}:level`, value: 5 })).toEqual({ ...ADA, level: 5 });
    expect(await patch({ op: 'remove', path: `${URN}:level` })).not.toHaveProperty('level');
    expect(await patch({ op: 'Add', value: { [`${URN}:level`]: 6 } })).toMatchObject({ level: 6 });
    expect(await patch({ op: 'add', value: { [URN]: { nick: 'A', tags: ['blue', 'Red'] } } })).toMatchObject({
      nick: 'A',
      tags: ['Red', 'green', 'blue'],
      level: 6,
    });
    expect(await patch({ op: 'add', path: `${URN}:tags`, value: ['RED', 'pink', 'Pink'] })).toMatchObject({
      tags: ['Red', 'green', 'blue', 'pink'],
    });
    expect(await patch({ op: 'remove', path: `${URN}:tags`, value: ['red', 'BLUE'] })).toMatchObject({
      tags: ['green', 'pink'],
    });
    expect(await patch({ op: 'add', path: `${URN}:scores`, value: [20, 300] })).toMatchObject({ scores: [1, 20, 300] });
    expect(await patch({ op: 'replace', path: `${URN}:desk.floor`, value: 9 })).toMatchObject({
      desk: { floor: 9, seat: 'B7' },
    });
    expect(await patch({ op: 'replace', path: `${URN}:badges[type eq "door"].value`, value: '101' })).toMatchObject({
      badges: [{ value: '101', type: 'door' }, { value: '200' }],
    });
    expect(await patch({ op: 'remove', path: `${URN}:badges[value eq "200"]` })).toMatchObject({
      badges: [{ value: '101' }],
    });
    const created = await patch({ op: 'add', path: `${URN}:badges[type eq "roof"].value`, value: '7' });
    expect(created.badges[1]).toEqual({ type: 'roof', value: '7' });
    expect(await patch({ op: 'remove', path: URN })).toBeUndefined();
    const [event] = (await journal(idp.orgId, id)).slice(-1);
    expect(event!.details.changed[URN]).toMatchObject({ before: { level: 6 }, after: null });
    expect(await patch({ op: 'add', path: `${URN}.nick`, value: ['B'] })).toEqual({ nick: 'B' });
    expect(await patch({ op: 'add', path: `${URN}:badges`, value: '100' })).toMatchObject({
      badges: [{ value: '100' }],
    });
    expect(await patch({ op: 'add', path: `${URN}:none`, value: 1 })).not.toHaveProperty('none');
  });

  it('is written in Bulk, each operation on its own', async () => {
    const operation = (method: string, path: string, data: unknown, bulkId?: string) => ({
      method,
      path,
      data,
      bulkId,
    });
    knownProfiles.clear();
    const { body, status } = await idp.post('/Bulk', {
      schemas: [BULK_REQUEST],
      Operations: [
        operation('POST', '/Users', { userName: 'eve', [URN]: { level: 1 } }, 'e'),
        operation('POST', '/Users', { userName: 'eli', [URN]: { level: 'x' } }, 'f'),
        operation('PATCH', `/Users/${id}`, { Operations: [{ op: 'replace', path: `${URN}:level`, value: 8 }] }),
        operation('PUT', '/Users/bulkId:e', { userName: 'eve', [URN]: { level: 2, nick: 'bulkId:e' } }),
      ],
    });
    expect(status).toBe(200);
    expect(body.Operations.map((it: { status: string }) => it.status)).toEqual(['201', '400', '200', '200']);
    expect(body.Operations[1].response.detail).toContain(`${URN}:level`);
    expect(names(await find(`${URN}:level lt 9`, `&sortBy=${URN}:level`))).toEqual(['eve', 'ada']);
    knownProfiles.clear();
    const wrong = { method: 'POST', path: '/Users', bulkId: 'x', data: { userName: 'x', [URN]: { level: 'x' } } };
    const refused = await idp.post('/Bulk', { schemas: [BULK_REQUEST], Operations: [wrong] });
    expect(refused.body.Operations[0].status).toBe('400');
  });

  it('is shown to the administrator', async () => {
    expect((await admin('GET', `/orgs/${idp.slug}/users/ada`)).body[URN]).toEqual(ADA);
    const list = await admin('GET', `/orgs/${idp.slug}/users?filter=${encodeURIComponent(`${URN}:level eq 10`)}`);
    expect(list.body.users).toMatchObject([{ userName: 'bob', [URN]: { level: 10 } }]);
  });

  it('is restored with them', async () => {
    await idp.delete(`/Users/${id}`);
    const back = await idp.user('ada', { [URN]: { level: 1 } });
    expect(back).toMatchObject({ id, [URN]: { level: 1 } });
  });
});

describe('a group', () => {
  it('has an extension of its own, filtered, sorted, patched, shown and listed by the administrator', async () => {
    await add(idp, {
      id: TEAM,
      resourceType: 'Group',
      attributes: [{ name: 'cost', type: 'integer' }, { name: 'Site' }],
    });
    const group = await idp.post('/Groups', { displayName: 'Sales', [TEAM]: { cost: 5, site: 'Oslo' } });
    expect(group.body).toMatchObject({ schemas: [GROUP, TEAM], [TEAM]: { cost: 5, Site: 'Oslo' } });
    await idp.post('/Groups', { displayName: 'All', [TEAM]: { cost: 40 } });
    const listed = async (query: string) =>
      (await idp.get(`/Groups?${query}`)).body.Resources.map((it: { displayName: string }) => it.displayName);
    const filter = encodeURIComponent(`${TEAM}:site eq "OSLO"`);
    expect(await listed(`filter=${filter}`)).toEqual(['Sales']);
    expect(await listed(`sortBy=${TEAM}:cost&sortOrder=descending`)).toEqual(['All', 'Sales']);
    const path = `/Groups/${group.body.id}`;
    const patched = await idp.patch(path, [{ op: 'replace', value: { [`${TEAM}:cost`]: 50 } }]);
    expect(patched.body[TEAM]).toEqual({ cost: 50, Site: 'Oslo' });
    const put = await idp.put(path, { displayName: 'Sales', [TEAM]: { cost: 6 } });
    expect(put.body[TEAM]).toEqual({ cost: 6 });
    const admins = await admin('GET', `/orgs/${idp.slug}/groups?filter=${encodeURIComponent(`${TEAM}:cost eq 6`)}`);
    expect(admins.body.groups).toMatchObject([{ displayName: 'Sales' }]);
    expect((await idp.user('ada', { [TEAM]: { cost: 1 } }))[TEAM]).toBeUndefined();
    expect((await remove(idp, TEAM)).body.changed).toBe(2);
    const after = await idp.get(path);
    expect(after.body).toMatchObject({ schemas: [GROUP], meta: { version: 'W/"4"' } });
    expect(after.body[TEAM]).toBeUndefined();
  });
});

describe('an org without the schema', () => {
  it('ignores its values and its paths, and never sees it, though another has it', async () => {
    const other = await newIdp(`schemas-without-${count}`);
    await add(idp);
    await idp.user('ada', { [URN]: { level: 3 } });
    const user = await other.user('ada', { schemas: [USER, URN], [URN]: { level: 'anything' } });
    expect(user).toMatchObject({ schemas: [USER] });
    expect(user[URN]).toBeUndefined();
    expectRefusal(await find(`${URN}:level eq 3`, '', other), 400, 'invalidFilter');
    const add1 = [{ op: 'add', path: `${URN}:level`, value: 1 }];
    expect((await other.patch(`/Users/${user.id}`, add1)).status).toBe(200);
    expect((await other.patch(`/Users/${user.id}`, [{ op: 'add', value: { [URN]: { level: 1 } } }])).status).toBe(200);
    expect((await other.get(`/Users/${user.id}`)).body[URN]).toBeUndefined();
    expect((await admin('GET', `/orgs/${other.slug}/schemas`)).body).toEqual([]);
    expect((await admin('GET', `/orgs/${other.slug}/schemas/${encodeURIComponent(URN)}`)).status).toBe(404);
    expect((await remove(other)).status).toBe(404);
    expect((await find(`${URN}:level eq 3`)).body.totalResults).toBe(1);
  });

  it('had ignored its values before: they are not there after the registration', async () => {
    const { id } = await idp.user('ada', { [URN]: { level: 3 } });
    await add(idp);
    expect((await idp.get(`/Users/${id}`)).body[URN]).toBeUndefined();
    expect((await find(`${URN}:level pr`)).body.totalResults).toBe(0);
  });
});

describe('removing it', () => {
  it('takes every value along, deleted users’ too, moves the versions of who had one, and leaves others alone', async () => {
    await add(idp);
    const { id } = await idp.user('ada', { title: 'Dr', [ENTERPRISE_USER]: { department: 'X' }, [URN]: ADA });
    const plain = await idp.user('bob', { externalId: 'b' });
    const gone = await idp.user('cyd', { [URN]: ADA });
    await idp.delete(`/Users/${gone.id}`);
    expect((await remove(idp, URN, 'urn:other:x')).body.error).toBe('invalidValue');
    expect((await remove(idp)).body).toEqual({ removed: URN, resourceType: 'User', changed: 2 });
    const { body, headers } = await idp.get(`/Users/${id}`);
    expect(body).toMatchObject({ title: 'Dr', schemas: [USER, ENTERPRISE_USER], meta: { version: 'W/"2"' } });
    expect(body[URN]).toBeUndefined();
    expect(headers.get('ETag')).toBe('W/"2"');
    expect((await idp.get(`/Users/${plain.id}`)).body.meta).toEqual(plain.meta);
    for (const filter of [
      `id eq "${id}" and meta.version eq "${body.meta.version.replaceAll('"', '\\"')}"`,
      `meta.lastModified eq "${body.meta.lastModified}" and userName eq "ada"`,
      `schemas eq "${ENTERPRISE_USER}"`,
    ]) {
      expect(names(await find(filter))).toEqual(['ada']);
    }
    expect((await find(`schemas eq "${URN}"`)).body.totalResults).toBe(0);
    expectRefusal(await find(`${URN}:level eq 3`), 400, 'invalidFilter');
    await add(idp);
    expect((await idp.get(`/Users/${id}`)).body[URN]).toBeUndefined();
    expect((await find(`${URN} pr`)).body.totalResults).toBe(0);
    expect(JSON.stringify(await rows('SELECT * FROM users WHERE org_id = ?', idp.orgId))).not.toContain(URN);
  });

  it('with the org leaves none', async () => {
    await add(idp);
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    expect(await rows('SELECT * FROM schemas WHERE org_id = ?', idp.orgId)).toEqual([]);
  });
});

describe('an isolate that knows other schemas of the org', () => {
  // The administrator's door and the IdP's are different callers: what one changes, the other does not know of.
  it.each<[string, (id: string) => Promise<Answer>, number]>([
    ['POST', () => idp.post('/Users', { userName: 'new', [URN]: { level: 3 } }), 201],
    ['PUT', (id) => idp.put(`/Users/${id}`, { userName: 'ada', [URN]: { level: 3 } }), 200],
    ['PATCH', (id) => idp.patch(`/Users/${id}`, [{ op: 'add', path: `${URN}:level`, value: 3 }]), 200],
    ['GET', (id) => idp.get(`/Users/${id}?attributes=${URN}`), 200],
    ['a filter', () => find(`${URN}:level pr`), 200],
    ['/Schemas', () => idp.get(`/Schemas/${URN}`), 200],
    ['a wrong value', () => idp.post('/Users', { userName: 'new', [URN]: { level: 'x' } }), 400],
  ])('answers %s under those that it has now, after an addition and after a removal', async (_, request, status) => {
    const { id } = await idp.user('ada');
    await add(idp); // the IdP's credential is known without them
    expect((await request(id)).status).toBe(status);
    await remove(idp); // and now with them
    const { status: after, body } = await request(id);
    expect(after).toBe({ POST: 409, 'a filter': 400, '/Schemas': 404, 'a wrong value': 201 }[_] ?? 200);
    expect(body[URN]).toBeUndefined();
    expect(JSON.stringify(await rows('SELECT resource, folded FROM users WHERE org_id = ?', idp.orgId))).not.toContain(
      URN,
    );
  });

  it('says of a Bulk request that they overtake half-way what was not done', async () => {
    let batches = 0;
    const db = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        // The first one finds the org's profile, the second writes fifty users.
        if (++batches === 3) await add(idp);
        return env.DB.batch(statements);
      },
    } as unknown as D1Database;
    const Operations = Array.from({ length: 60 }, (_, i) => ({
      method: 'POST',
      path: '/Users',
      bulkId: `b${i}`,
      data: { userName: `user${i}`, [URN]: { level: i } },
    }));
    const { body } = await idp.post('/Bulk', { schemas: [BULK_REQUEST], Operations }, { env: { DB: db } });
    const statuses = body.Operations.map((it: { status: string }) => it.status);
    expect(statuses).toEqual([...Array(50).fill('201'), ...Array(10).fill('503')]);
    expect(body.Operations[59].response.detail).toMatch(/settings of the organization are being changed: try again/);
    expect((await idp.get('/Users?count=0')).body.totalResults).toBe(50);
    expect((await find(`${URN} pr`)).body.totalResults).toBe(0);
  });

  it('loses nothing of a Bulk request that was begun under them', async () => {
    const { id } = await idp.user('ada');
    await add(idp);
    const { body } = await idp.post('/Bulk', {
      schemas: [BULK_REQUEST],
      Operations: [
        {
          method: 'PATCH',
          path: `/Users/${id}`,
          data: { Operations: [{ op: 'add', path: `${URN}:level`, value: 1 }] },
        },
        { method: 'POST', path: '/Users', bulkId: 'b', data: { userName: 'bob', [URN]: { level: 2 } } },
      ],
    });
    expect(body.Operations.map((it: { status: string }) => it.status)).toEqual(['200', '201']);
    expect((await find(`${URN}:level pr`)).body.totalResults).toBe(2);
  });

  it('tells a bad credential nothing', async () => {
    await add(idp);
    await idp.get('/Users');
    await admin('DELETE', `/orgs/${idp.slug}/tokens`);
    for (const answer of [
      await idp.post('/Users', { userName: 'x', [URN]: { level: 'x' } }),
      await idp.get(`/Schemas/${URN}`),
      await find(`${URN}:level pr`),
    ]) {
      expectRefusal(answer, 401);
      expect(answer.text).not.toContain('acme');
    }
  });

  it('takes an org made anew under the same name for another', async () => {
    await add(idp);
    await admin('GET', `/orgs/${idp.slug}/users`);
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    const again = await newIdp(idp.slug);
    await add(again, { id: URN, attributes: [{ name: 'level', type: 'string' }] });
    await again.user('ada', { [URN]: { level: 'high' } });
    expect((await admin('GET', `/orgs/${idp.slug}/users/ada`)).body[URN]).toEqual({ level: 'high' });
  });
});

describe('the cost', () => {
  const meter = new Meter();
  const metered = { env: { DB: meter.binding } };
  const trips = async (request: Promise<Answer>) => {
    meter.reset();
    const { status } = await request;
    return [status, meter.roundTrips];
  };

  const requests = async (of: Idp, id: string, more: object) => ({
    post: await trips(of.post('/Users', { userName: crypto.randomUUID(), ...more }, metered)),
    get: await trips(of.get(`/Users/${id}`, metered)),
    list: await trips(of.get('/Users?filter=title+pr', metered)),
    put: await trips(of.put(`/Users/${id}`, { userName: 'ada', title: crypto.randomUUID(), ...more }, metered)),
    patch: await trips(of.patch(`/Users/${id}`, [{ op: 'add', path: 'title', value: crypto.randomUUID() }], metered)),
    schemas: await trips(of.get('/Schemas', metered)),
    delete: await trips(of.delete(`/Users/${id}`, metered)),
  });
  const usual = {
    post: [201, 1],
    get: [200, 1],
    list: [200, 1],
    put: [200, 2],
    patch: [200, 2],
    schemas: [200, 1],
    delete: [204, 1],
  };

  it('is none for an org without, and none for one with schemas that the isolate knows', async () => {
    const plain = await idp.user('ada');
    expect(await requests(idp, plain.id, {})).toMatchObject(usual);
    await add(idp);
    const { id } = await idp.user('bob', { [URN]: ADA });
    expect(await requests(idp, id, { [URN]: { level: 1 } })).toMatchObject(usual);
  });

  it('is one round trip for the first read of an isolate, two for a first write', async () => {
    const { id } = await idp.user('ada');
    await add(idp);
    expect(await trips(idp.get(`/Users/${id}`, metered))).toEqual([200, 2]);
    expect(await trips(idp.get(`/Users/${id}`, metered))).toEqual([200, 1]);
    knownProfiles.clear();
    expect(await trips(idp.post('/Users', { userName: 'bob' }, metered))).toEqual([201, 2]);
    expect(await trips(idp.post('/Users', { userName: 'cyd' }, metered))).toEqual([201, 1]);
  });

  it('of a refusal is that of the check that every refusal has', async () => {
    await add(idp);
    await idp.get('/Users');
    let before = 0;
    const onAnswer = () => {
      before = meter.roundTrips;
    };
    meter.reset();
    const asked = `/Users?filter=${encodeURIComponent(`${URN}:level eq "x"`)}`;
    expect((await idp.get(asked, { ...metered, onAnswer })).status).toBe(400);
    expect(before).toBe(1);
  });
});
