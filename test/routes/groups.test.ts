/** /Groups and who is in them (RFC 7643 §4.2, RFC 7644 §3.3 to §3.6), as the identity providers push them. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { GROUP, SEARCH_REQUEST } from '../../src/scim/urns';
import { type Answer, admin, BASE, type Idp, newIdp } from '../support/client';
import { dump, journal, rows } from '../support/database';
import { fillUsers, userId } from '../support/fill';
import { expectRefusal } from '../support/refusal';

let idp: Idp;
let other: Idp;
/** Ids of people who are in no group unless a test puts them there. */
let ada: string;
let bob: string;
let cy: string;
beforeAll(async () => {
  idp = await newIdp('groups');
  other = await newIdp('beside');
  [ada, bob, cy] = (await Promise.all(['ada', 'bob', 'cy'].map((name) => idp.user(name)))).map(({ id }) => id) as [
    string,
    string,
    string,
  ];
});

let made = 0;
const fresh = (word = 'Team') => `${word} ${made++}`;
const elements = (ids: readonly string[]) => ids.map((value) => ({ value }));
const newGroup = async (members: readonly string[] = [], displayName = fresh(), at = idp) => {
  const answer = await at.post('/Groups', { schemas: [GROUP], displayName, members: elements(members) });
  expect(answer.status, answer.text).toBe(201);
  return answer.body as { id: string; displayName: string };
};
const read = async (id: string, at = idp) => (await at.get(`/Groups/${id}`)).body;
const membersOf = async (id: string, at = idp): Promise<string[]> =>
  ((await read(id, at)).members ?? []).map(({ value }: { value: string }) => value).sort();
const versionOf = async (id: string) => Number(/\d+/.exec((await read(id)).meta.version)![0]);
const groupsOf = async (id: string): Promise<[string, string, string][]> =>
  ((await idp.get(`/Users/${id}`)).body.groups ?? [])
    .map(({ value, type, display }: Record<string, string>) => [value, type, display])
    .sort();
const add = (...ids: string[]) => ({ op: 'add', path: 'members', value: elements(ids) });
const remove = (id: string) => ({ op: 'remove', path: `members[value eq "${id}"]` });
const change = (id: string, ...operations: unknown[]) => idp.patch(`/Groups/${id}`, operations);
const find = async (filter: string, path = '/Groups', at = idp): Promise<string[]> => {
  const answer = await at.get(`${path}?count=200&filter=${encodeURIComponent(filter)}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.body.Resources.map(({ id }: { id: string }) => id);
};
const lastEvent = async (id: string) => (await journal(idp.orgId, id)).at(-1)!;

/** Nothing of these is carried out, or even noticed. */
async function expectUntouched(run: () => Promise<Answer[]>): Promise<Answer[]> {
  const before = await dump();
  const answers = await run();
  expect(await dump()).toBe(before);
  return answers;
}

describe('a group', () => {
  it('is created with its members, and all of it is in the answer', async () => {
    const nested = await newGroup();
    const displayName = fresh();
    const answer = await idp.post('/Groups', {
      schemas: [GROUP, 'http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group'],
      externalId: 'guid',
      displayName,
      meta: { resourceType: 'Group' },
      members: [
        { value: ada, display: 'Not her name', type: 'Group', $ref: 'https://elsewhere' },
        { value: nested.id },
      ],
    });
    expect(answer.status).toBe(201);
    const { id, meta } = answer.body;
    expect(answer.headers.get('Location')).toBe(`${BASE}/scim/v2/Groups/${id}`);
    expect(answer.headers.get('ETag')).toBe('W/"1"');
    expect(answer.body).toEqual({
      schemas: [GROUP],
      id,
      externalId: 'guid',
      displayName,
      members: [
        { value: ada, $ref: `${BASE}/scim/v2/Users/${ada}`, type: 'User', display: 'ada' },
        { value: nested.id, $ref: `${BASE}/scim/v2/Groups/${nested.id}`, type: 'Group', display: nested.displayName },
      ],
      meta: {
        resourceType: 'Group',
        created: expect.stringMatching(/Z$/),
        lastModified: meta.created,
        location: `${BASE}/scim/v2/Groups/${id}`,
        version: 'W/"1"',
      },
    });
    expect((await idp.get(`/Groups/${id}`)).body).toEqual(answer.body);
  });

  it('needs a displayName, and says that it is empty while it has no members', async () => {
    for (const body of [{}, { displayName: '' }, { displayName: ' ' }, { displayName: null }, { displayName: 7 }]) {
      expectRefusal(await idp.post('/Groups', body), 400, 'invalidValue', /displayName/);
    }
    const { id } = await newGroup();
    expect((await read(id)).members).toEqual([]);
  });

  it('is answered with all its members when it is created with many', async () => {
    const values = await Promise.all(
      Array.from({ length: 310 }, async (_, i) => ({ value: (await idp.user(`m${i}`)).id })),
    );
    const { body } = await idp.post('/Groups', { displayName: 'Many from the start', members: values });
    expect(body.members).toHaveLength(310);
    const lean = await idp.post('/Groups?excludedAttributes=members', { displayName: 'Lean', members: values });
    expect(lean.body).not.toHaveProperty('members');
  });

  it('is replaced by PUT, and what is left out is unassigned, members too', async () => {
    const { id, displayName } = await newGroup([ada, bob]);
    await change(id, { op: 'add', path: 'externalId', value: 'e' });
    const answer = await idp.put(`/Groups/${id}`, {
      displayName,
      members: [{ value: cy }, { value: cy }, { value: ada }],
    });
    expect(answer.status).toBe(200);
    expect(answer.body).not.toHaveProperty('externalId');
    expect(await membersOf(id)).toEqual([ada, cy].sort());
    await idp.put(`/Groups/${id}`, { displayName });
    expect(await membersOf(id)).toEqual([]);
  });

  it('that is put as it was found moves nothing', async () => {
    const { id } = await newGroup([ada, bob]);
    const before = await read(id);
    const [answer] = await expectUntouched(async () => [await idp.put(`/Groups/${id}`, before)]);
    expect([answer!.status, answer!.body]).toEqual([200, before]);
  });

  it('is deleted, is 404 then, and lets its name go', async () => {
    const { id, displayName } = await newGroup([ada]);
    expect((await idp.delete(`/Groups/${id}`)).status).toBe(204);
    const answers = await expectUntouched(async () => [
      await idp.get(`/Groups/${id}`),
      await idp.delete(`/Groups/${id}`),
      await change(id, add(ada)),
      await idp.put(`/Groups/${id}`, { displayName }),
    ]);
    for (const answer of answers) expectRefusal(answer, 404);
    expect((await newGroup([], displayName)).id).not.toBe(id);
  });

  it.each([
    ['Latin', 'Équipe Ö', 'éQUIPE ö'],
    ['Greek', 'ΟΜΆΔΑ', 'ομάδα'],
    ['Cyrillic', 'Команда', 'КОМАНДА'],
    ['Armenian', 'Թիմ', 'թԻՄ'],
    ['German', 'Straße', 'STRASSE'],
  ])('has a displayName of its own in any letter case (%s)', async (_, name, spelled) => {
    const { id } = await newGroup([], name);
    const second = await newGroup();
    const answers = await expectUntouched(async () => [
      await idp.post('/Groups', { displayName: spelled }),
      await change(second.id, { op: 'replace', value: { displayName: spelled } }),
      await idp.put(`/Groups/${second.id}`, { displayName: spelled, members: [{ value: ada }] }),
    ]);
    for (const answer of answers) expectRefusal(answer, 409, 'uniqueness', /displayName/);
    expect((await change(id, { op: 'replace', path: 'displayName', value: spelled })).status).toBe(200);
    expect((await other.post('/Groups', { displayName: name })).status).toBe(201);
    expect(await find(`displayName eq "${name}"`)).toEqual([id]);
  });

  it('is made once by many who ask for it at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => idp.post('/Groups', { displayName: 'At once' })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(409)]);
  });

  it('is 304 to whom has it, 412 to who means another version, whatever is asked', async () => {
    const { id, displayName } = await newGroup([ada]);
    const known = await idp.get(`/Groups/${id}`, { headers: { 'If-None-Match': 'W/"1"' } });
    expect([known.status, known.text]).toEqual([304, '']);
    const headers = { 'If-Match': 'W/"7"' };
    const answers = await expectUntouched(async () => [
      await idp.patch(`/Groups/${id}`, [add(bob)], { headers }),
      await idp.put(`/Groups/${id}`, { displayName }, { headers }),
      await idp.delete(`/Groups/${id}`, { headers }),
    ]);
    for (const answer of answers) expectRefusal(answer, 412);
    const moved = await idp.patch(`/Groups/${id}`, [add(bob)], { headers: { 'If-Match': 'W/"1"' } });
    expect(moved.headers.get('ETag')).toBe('W/"2"');
    expect((await idp.get(`/Groups/${id}`, { headers: { 'If-None-Match': 'W/"1"' } })).status).toBe(200);
    expect((await idp.delete(`/Groups/${id}`, { headers: { 'If-Match': 'W/"1", W/"2"' } })).status).toBe(204);
  });

  it('is shown with what is asked for', async () => {
    const { id } = await newGroup([ada]);
    const keys = async (query: string) => Object.keys((await idp.get(`/Groups/${id}?${query}`)).body).sort();
    expect(await keys('excludedAttributes=members')).toEqual(['displayName', 'id', 'meta', 'schemas']);
    expect(await keys('attributes=displayName')).toEqual(['displayName', 'id', 'schemas']);
    expect((await idp.get(`/Groups/${id}?attributes=members.value`)).body.members).toEqual([{ value: ada }]);
    expect((await idp.get(`/Groups/${id}?excludedAttributes=members.display,meta`)).body).toEqual({
      schemas: [GROUP],
      id,
      displayName: expect.any(String),
      members: [{ value: ada, $ref: expect.any(String), type: 'User' }],
    });
  });
});

describe('lists of groups', () => {
  let at: Idp;
  beforeAll(async () => {
    at = await newIdp('listed');
    const { id } = await at.user('ada');
    for (const name of ['beta', 'Alpha', 'gamma', 'Delta']) await newGroup(name === 'beta' ? [id] : [], name, at);
  });
  const names = ({ body }: Answer) => body.Resources.map(({ displayName }: { displayName: string }) => displayName);

  it('are in the order of creation, or sorted without regard to case, and paged', async () => {
    const all = await at.get('/Groups');
    expect(all.body).toMatchObject({ totalResults: 4, startIndex: 1, itemsPerPage: 4 });
    expect(names(all)).toEqual(['beta', 'Alpha', 'gamma', 'Delta']);
    expect(names(await at.get('/Groups?sortBy=displayName'))).toEqual(['Alpha', 'beta', 'Delta', 'gamma']);
    expect(names(await at.get('/Groups?sortBy=displayName&sortOrder=descending&startIndex=2&count=2'))).toEqual([
      'Delta',
      'beta',
    ]);
    expect((await at.get('/Groups?count=0')).body).toMatchObject({ totalResults: 4, itemsPerPage: 0 });
  });

  it('carry members unless they are not wanted', async () => {
    const [shown] = (await at.get('/Groups?filter=displayName+eq+"BETA"')).body.Resources;
    expect(shown.members).toHaveLength(1);
    const [hidden] = (await at.get('/Groups?excludedAttributes=members&filter=DisplayName+eq+"beta"')).body.Resources;
    expect(hidden).not.toHaveProperty('members');
  });

  it('are the same by .search, and a search across types has groups after people', async () => {
    const found = await at.post('/Groups/.search', {
      schemas: [SEARCH_REQUEST],
      filter: 'displayName sw "b"',
      attributes: ['displayName'],
    });
    expect(names(found)).toEqual(['beta']);
    const everywhere = await at.post('/.search', { filter: 'displayName pr or userName pr', count: 10 });
    expect(everywhere.body.Resources.map(({ meta }: { meta: { resourceType: string } }) => meta.resourceType)).toEqual([
      'User',
      ...Array(4).fill('Group'),
    ]);
  });

  it('refuse a filter or an order by what groups do not have', async () => {
    expectRefusal(await at.get('/Groups?filter=userName+eq+"ada"'), 400, 'invalidFilter');
    expectRefusal(await at.get('/Groups?filter=members.nothing+eq+"ada"'), 400, 'invalidFilter');
    expectRefusal(await at.get('/Groups?sortBy=userName'), 400, 'invalidValue');
  });
});

describe('filters by membership', () => {
  let inner: string;
  let outer: string;
  let dan: string;
  let eve: string;
  beforeAll(async () => {
    [dan, eve] = [(await idp.user('dan', { displayName: 'Dan D.' })).id, (await idp.user('eve')).id];
    inner = (await newGroup([dan])).id;
    outer = (await newGroup([inner, eve])).id;
  });

  it('find the groups of a member by its id, as it is spelled', async () => {
    for (const [filter, expected] of [
      [`members.value eq "${dan}"`, [inner]],
      [`members[value eq "${dan}"]`, [inner]],
      [`members.$ref eq "${BASE}/scim/v2/Users/${dan}"`, [inner]],
      [`members[$ref eq "${BASE}/scim/v2/Users/${dan}"]`, [inner]],
      [`members[$ref eq "../Users/${dan}"]`, [inner]],
      [`members.$ref eq "${BASE}/scim/v2/Groups/${dan}"`, []],
      [`members.$ref eq "https://elsewhere.example/scim/v2/Users/${dan}"`, []],
      [`members.$ref ew "/Users/${dan}"`, [inner]],
      [`members eq "${dan}"`, [inner]],
      [`Members.Value EQ "${dan}"`, [inner]],
      [`${GROUP}:members.value eq "${dan}"`, [inner]],
      [`members.value eq "${inner}"`, [outer]],
      [`members.value eq "${dan.toUpperCase()}"`, []],
      [`members.value eq "${dan}" or members.value eq "${eve}"`, [inner, outer]],
      [`members.value eq "${dan}" and not (displayName pr)`, []],
      [`members[value eq "${dan}" and type eq "User"]`, [inner]],
      [`members[value eq "${dan}" and type eq "Group"]`, []],
      [`members.display eq "DAN D."`, [inner]],
      [`members[display sw "dan" and type eq "user"]`, [inner]],
      [`id eq "${inner}" and members.value ne "${dan}"`, []],
      [`id eq "${outer}" and members pr`, [outer]],
      ['members.value eq "nobody"', []],
    ] as const) {
      expect((await find(filter)).sort(), filter).toEqual([...expected].sort());
    }
  });

  it('find the people of a group, those in groups of it included', async () => {
    for (const [filter, expected] of [
      [`groups.value eq "${inner}"`, [dan]],
      [`groups.value eq "${outer}"`, [dan, eve]],
      [`groups eq "${outer}"`, [dan, eve]],
      [`groups[value eq "${outer}" and type eq "indirect"]`, [dan]],
      [`groups.value eq "${outer}" and userName eq "EVE"`, [eve]],
      ['groups.value eq "nothing"', []],
    ] as const) {
      expect((await find(filter, '/Users')).sort(), filter).toEqual([...expected].sort());
    }
  });

  it('answer whether it holds that someone is a member, with 0 or 1', async () => {
    const holds = async (filter: string) =>
      (await idp.get(`/Groups?attributes=id&filter=${encodeURIComponent(filter)}`)).body.totalResults;
    expect(await holds(`id eq "${inner}" and members eq "${dan}"`)).toBe(1);
    expect(await holds(`id eq "${inner}" and members eq "${eve}"`)).toBe(0);
    expect(await holds(`id eq "nothing" and members eq "${dan}"`)).toBe(0);
  });

  it('know nobody of another org', async () => {
    const stranger = await other.user('stranger');
    const theirs = await newGroup([stranger.id], fresh(), other);
    expect(await find(`members.value eq "${stranger.id}"`)).toEqual([]);
    expect(await find(`groups.value eq "${theirs.id}"`, '/Users')).toEqual([]);
    expect(await find(`members.value eq "${dan}"`, '/Groups', other)).toEqual([]);
  });
});

describe('a PATCH of members in the form of', () => {
  const cases: [name: string, operations: (ids: string[], group: string) => unknown[], left: number[]][] = [
    [
      'Okta: one goes, one comes',
      ([, , c]) => [remove(ada), { op: 'add', path: 'members', value: [{ value: c, display: 'c@x' }] }],
      [1, 2],
    ],
    [
      'Okta: the whole group',
      ([a, , c]) => [{ op: 'replace', path: 'members', value: [{ value: a, display: null }, { value: c }] }],
      [0, 2],
    ],
    ['Okta: an empty group', () => [{ op: 'replace', path: 'members', value: [] }], []],
    ['Okta: a new name, with the id', (_, id) => [{ op: 'replace', value: { id, displayName: fresh() } }], [0, 1]],
    [
      'Okta: a new name and members',
      ([, , c], id) => [{ op: 'replace', value: { id, displayName: fresh() } }, add(c!)],
      [0, 1, 2],
    ],
    ['Entra: one comes', ([, , c]) => [{ op: 'Add', path: 'members', value: [{ $ref: null, value: c }] }], [0, 1, 2]],
    [
      'Entra: one goes, by a value list',
      ([a]) => [{ op: 'Remove', path: 'members', value: [{ $ref: null, value: a }] }],
      [1],
    ],
    ['Entra with its flag: one goes', ([a]) => [{ op: 'remove', path: `members[value eq "${a}"]` }], [1]],
    ['Entra: a new name', () => [{ op: 'Replace', path: 'displayName', value: fresh() }], [0, 1]],
    ['the Entra validator: replace', ([, , c]) => [{ op: 'replace', path: 'members', value: [{ value: c }] }], [2]],
    ['the Entra validator: path-less', () => [{ op: 'replace', value: { externalId: fresh() } }], [0, 1]],
    ['the Entra validator: one comes and goes', ([, , c]) => [add(c!), remove(c!)], [0, 1]],
    ['JumpCloud: one goes', ([a]) => [{ op: 'remove', path: 'members', value: [{ value: a }] }], [1]],
    ['JumpCloud: one comes again', ([a]) => [add(a!)], [0, 1]],
    [
      'Keycloak: the whole group',
      ([a, , c]) => [
        {
          op: 'replace',
          path: 'members',
          value: [
            { value: a, $ref: `Users/${a}` },
            { value: c, $ref: `Users/${c}` },
          ],
        },
      ],
      [0, 2],
    ],
    ['Keycloak: nobody is left', () => [{ op: 'remove', path: 'members' }], []],
    [
      'authentik: one by one',
      ([a, , c]) => [
        { op: 'add', path: 'members', value: [{ value: c }] },
        { op: 'remove', path: 'members', value: [{ value: a }] },
      ],
      [1, 2],
    ],
    [
      'authentik: a new name, with the whole group',
      (_, id) => [{ op: 'replace', value: { id, schemas: [GROUP], displayName: fresh(), externalId: 'pk' } }],
      [0, 1],
    ],
    ['OneLogin: one object', ([, , c]) => [{ op: 'add', path: 'members', value: { value: c } }], [0, 1, 2]],
    ['a bare id', ([, , c]) => [{ op: 'add', path: 'members', value: c }], [0, 1, 2]],
    ['no path', ([, , c]) => [{ op: 'add', value: { members: [{ value: c }] } }], [0, 1, 2]],
    ['no path, all replaced', ([, , c]) => [{ op: 'replace', value: { members: [c] } }], [2]],
    [
      'a path as a name',
      ([a, , c]) => [{ op: 'replace', value: { [`members[value eq "${a}"]`]: { value: c } } }],
      [1, 2],
    ],
    ['a filter by type', () => [{ op: 'remove', path: 'members[type eq "User"]' }], []],
    ['a filter by $ref', ([a]) => [{ op: 'remove', path: `members[$ref eq "${BASE}/scim/v2/Users/${a}"]` }], [1]],
    ['a filter by the end of $ref', ([a]) => [{ op: 'remove', path: `members[$ref ew "/Users/${a}"]` }], [1]],
    ['a $ref alone', ([, , c]) => [{ op: 'add', path: 'members', value: [{ $ref: `../Users/${c}` }] }], [0, 1, 2]],
    [
      'an unknown path beside it',
      ([, , c]) => [
        { op: 'add', path: 'badge', value: 7 },
        { op: 'add', path: 'members', value: [c] },
      ],
      [0, 1, 2],
    ],
    ['a filter by display', () => [{ op: 'remove', path: 'members[display eq "BOB"]' }], [0]],
  ];
  it.each(cases)('%s', async (_, operations, left) => {
    const people = [ada, bob, cy];
    const { id } = await newGroup([ada, bob]);
    const answer = await change(id, ...operations(people, id));
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body.schemas).toEqual([GROUP]);
    const expected = left.map((i) => people[i]!).sort();
    expect((answer.body.members ?? []).map(({ value }: { value: string }) => value).sort()).toEqual(expected);
    expect(await membersOf(id)).toEqual(expected);
    const [row] = await rows('SELECT member_count, resource FROM groups WHERE id = ?', id);
    expect(row!['member_count']).toBe(left.length);
    expect(row!['resource']).not.toContain('members');
    // What has been done is not done again.
    const version = await versionOf(id);
    await change(id, ...operations(people, id).filter((one) => !JSON.stringify(one).includes('"Team ')));
    expect(await versionOf(id)).toBe(version);
  });

  it('a thousand operations, in order', async () => {
    const at = await newIdp('thousand');
    await fillUsers(at, 600);
    const { id } = await newGroup([userId(600)], fresh(), at);
    const operations = Array.from({ length: 1_000 }, (_, i) =>
      i < 550
        ? add(userId(i + 1))
        : i < 900
          ? remove(userId(i - 549))
          : { op: 'Add', path: 'members', value: [{ $ref: null, value: userId((i % 50) + 1) }] },
    );
    expect((await at.patch(`/Groups/${id}`, operations)).status).toBe(200);
    const left = [
      ...Array.from({ length: 50 }, (_, i) => i + 1),
      ...Array.from({ length: 200 }, (_, i) => i + 351),
      600,
    ];
    expect(await membersOf(id, at)).toEqual(left.map(userId).sort());
  });

  it.each<[string, unknown]>([
    ['no id', [{ display: 'Ada' }]],
    ['an unknown name for the id', [{ id: 'x' }]],
    ['an empty object', {}],
    ['a number', 7],
    ['a number in a list', [7]],
    ['true', [true]],
    ['a nested list', [['a']]],
    ['an id that is a number', [{ value: 7 }]],
    ['an id that is an object', [{ value: { $ne: null } }]],
    ['an id that is a list', [{ value: ['a', 'b'] }]],
    ['an endless id', [{ value: 'x'.repeat(100_000) }]],
    ['half a character', [{ value: '\ud83d' }]],
    ['a null character', [{ value: 'a\0b' }]],
  ])('nobody sane, with %s for a member, is 400, and nobody joins or leaves', async (_, value) => {
    const { id, displayName } = await newGroup([ada]);
    const answers = await expectUntouched(async () => [
      await change(id, { op: 'add', path: 'members', value }),
      await change(id, { op: 'replace', path: 'members', value }),
      await change(id, { op: 'remove', path: 'members', value }),
      await change(id, { op: 'replace', value: { members: value } }),
      await change(id, add(bob), { op: 'add', path: 'members', value }),
      await idp.put(`/Groups/${id}`, { displayName, members: value }),
      await idp.post('/Groups', { displayName: 'Of nobody', members: value }),
    ]);
    for (const answer of answers) expectRefusal(answer, 400, 'invalidValue', /members/);
  });

  it('ids that are nobody’s, however they look, is no 5xx', async () => {
    const hostile = [
      '',
      ' ',
      "' OR 1=1 --",
      '"',
      '\\',
      '%',
      '../Users',
      'null',
      '0',
      '1',
      '[]',
      '__proto__',
      '💥'.repeat(500),
      'ı',
      `${ada} `,
      ada.toUpperCase(),
    ];
    const { id } = await newGroup([ada]);
    const answer = await change(id, add(...hostile), { op: 'remove', path: 'members', value: hostile });
    expect(answer.status).toBe(200);
    expect((await change(id, add(...hostile))).status).toBe(200);
    expect(await membersOf(id)).toEqual([ada]);
    expect((await lastEvent(id)).details.unknownMembers).toEqual(hostile);
  });

  it('is refused whole when one operation is wrong', async () => {
    const { id } = await newGroup([ada]);
    const wrong = [
      { op: 'remove' },
      { op: 'remove', path: 'displayName' },
      { op: 'replace', path: 'members[value eq "x"].display', value: 'y' },
      { op: 'replace', path: 'members.value', value: 'y' },
      { op: 'add', path: 'nothing[', value: 'y' },
      { op: 'add', path: 'members', value: [{ $ref: 'https://elsewhere.example/Users/1' }] },
      { op: 'replace', path: 'id', value: 'y' },
      { op: 'remove', path: 'members[value eq' },
    ];
    const answers = await expectUntouched(() => Promise.all(wrong.map((one) => change(id, add(bob), one))));
    for (const answer of answers) expectRefusal(answer, 400, answer.body.scimType);
  });
});

describe('the answer to a change', () => {
  let at: Idp;
  let id: string;
  beforeAll(async () => {
    at = await newIdp('answers');
    await fillUsers(at, 320);
    id = (
      await newGroup(
        Array.from({ length: 300 }, (_, i) => userId(i + 1)),
        fresh(),
        at,
      )
    ).id;
  });
  const toggle = (query = '', person = userId(310)) => at.patch(`/Groups/${id}${query}`, [add(person)]);

  it('is the group up to 300 members, 204 with the ETag above, and the group again where it is asked for', async () => {
    const few = await at.patch(`/Groups/${id}`, [remove(userId(1)), add(userId(301))]);
    expect([few.status, few.body.members.length]).toEqual([200, 300]);
    const many = await toggle();
    expect([many.status, many.text, many.headers.get('ETag')]).toEqual([204, '', 'W/"3"']);
    const same = await toggle();
    expect([same.status, same.headers.get('ETag')]).toEqual([204, 'W/"3"']);
    const asked = await toggle('?attributes=displayName', userId(311));
    expect([asked.status, Object.keys(asked.body).sort()]).toEqual([200, ['displayName', 'id', 'schemas']]);
    const whole = await toggle('?attributes=members', userId(312));
    expect([whole.status, whole.body.members.length]).toEqual([200, 303]);
    const without = await toggle('?excludedAttributes=members', userId(313));
    expect([without.status, without.body.members, without.body.id]).toEqual([200, undefined, id]);
    const { displayName, members } = (await at.get(`/Groups/${id}`)).body;
    const put = await at.put(`/Groups/${id}`, { displayName, members: members.slice(1) });
    expect([put.status, put.body.members.length]).toEqual([200, 303]);
    expect((await at.put(`/Groups/${id}`, { displayName, members: members.slice(1, 3) })).body.members).toHaveLength(2);
  });
});

describe('groups in groups', () => {
  it('are refused in a circle: of one, of two, of many, through PUT and PATCH', async () => {
    const chain: string[] = [(await newGroup([ada])).id];
    for (let i = 0; i < 12; i++) chain.push((await newGroup([chain.at(-1)!])).id);
    const [bottom, above] = chain as [string, string];
    const top = chain.at(-1)!;
    const { displayName } = await read(bottom);
    const answers = await expectUntouched(async () => [
      await change(bottom, add(bottom)),
      await change(bottom, add(above)),
      await change(bottom, add(bob, top)),
      await change(bottom, { op: 'replace', path: 'members', value: elements([top]) }),
      await idp.put(`/Groups/${bottom}`, { displayName, members: elements([ada, top]) }),
      await change(bottom, { op: 'replace', value: { displayName: fresh() } }, add(top)),
    ]);
    for (const answer of answers) expectRefusal(answer, 400, 'invalidValue', /member of itself/);
    // Twice the same group by two ways is no circle.
    expect((await change(top, add(bottom, ada))).status).toBe(200);
    expect((await groupsOf(ada)).filter(([id]) => chain.includes(id))).toHaveLength(13);
  });

  it('are not in a circle after two requests that would each make half of it at once', async () => {
    for (let round = 0; round < 5; round++) {
      const [a, b] = [await newGroup(), await newGroup()];
      const answers = await Promise.all([change(a.id, add(b.id)), change(b.id, add(a.id))]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 400]);
      expect((await membersOf(a.id)).length + (await membersOf(b.id)).length).toBe(1);
    }
  });

  it('make their people indirect members of what they are in, direct where they are both', async () => {
    const at = await newGroup();
    const inner = await newGroup([bob]);
    const outer = await newGroup([inner.id]);
    const listed = async () => (await groupsOf(bob)).filter(([id]) => [at.id, inner.id, outer.id].includes(id));
    const as = (...wanted: [{ id: string; displayName: string }, string][]) =>
      wanted.map(([{ id, displayName }, type]) => [id, type, displayName]).sort();
    expect(await listed()).toEqual(as([inner, 'direct'], [outer, 'indirect']));
    await change(at.id, add(outer.id));
    expect(await listed()).toEqual(as([inner, 'direct'], [outer, 'indirect'], [at, 'indirect']));
    await change(outer.id, add(bob));
    expect(await listed()).toEqual(as([inner, 'direct'], [outer, 'direct'], [at, 'indirect']));
    const { groups } = (await idp.get(`/Users/${bob}?attributes=groups`)).body;
    expect(groups.find(({ value }: { value: string }) => value === at.id)).toEqual({
      value: at.id,
      $ref: `${BASE}/scim/v2/Groups/${at.id}`,
      type: 'indirect',
      display: at.displayName,
    });
    outer.displayName = fresh('Renamed');
    await change(outer.id, { op: 'replace', value: { displayName: outer.displayName } });
    expect(await listed()).toEqual(as([inner, 'direct'], [outer, 'direct'], [at, 'indirect']));
    await change(outer.id, remove(bob));
    expect(await listed()).toEqual(as([inner, 'direct'], [outer, 'indirect'], [at, 'indirect']));
    await idp.delete(`/Groups/${outer.id}`);
    expect(await listed()).toEqual(as([inner, 'direct']));
    await change(inner.id, { op: 'remove', path: 'members' });
    expect(await listed()).toEqual([]);
  });

  it('leave what they were in when they are deleted, and move its version', async () => {
    const inner = await newGroup([ada]);
    const outer = await newGroup([inner.id, bob]);
    await idp.delete(`/Groups/${inner.id}`);
    expect(await membersOf(outer.id)).toEqual([bob]);
    expect(await versionOf(outer.id)).toBe(2);
    const [row] = await rows('SELECT member_count FROM groups WHERE id = ?', outer.id);
    expect(row!['member_count']).toBe(1);
  });

  it('cannot be set from the user: groups is readOnly', async () => {
    const { id } = await newGroup([cy]);
    const before = await groupsOf(cy);
    await idp.put(`/Users/${cy}`, { userName: 'cy', groups: [] });
    await idp.patch(`/Users/${cy}`, [{ op: 'replace', value: { groups: [{ value: 'x' }] } }]);
    expectRefusal(await idp.patch(`/Users/${cy}`, [{ op: 'remove', path: 'groups' }]), 400, 'mutability');
    expect(await groupsOf(cy)).toEqual(before);
    expect(await membersOf(id)).toEqual([cy]);
  });
});

describe('a person who is deleted', () => {
  it('leaves every group, whose versions move, and is not back in them when restored', async () => {
    const { id, userName } = await idp.user('leaver', { externalId: 'leaver' });
    const [direct, outer] = [await newGroup([id, ada]), await newGroup()];
    await change(outer.id, add(direct.id, id));
    const before = (await read(direct.id)).meta;
    expect((await idp.delete(`/Users/${id}`)).status).toBe(204);
    expect(await membersOf(direct.id)).toEqual([ada]);
    expect(await membersOf(outer.id)).toEqual([direct.id]);
    expect(await versionOf(direct.id)).toBe(2);
    expect(await versionOf(outer.id)).toBe(3);
    expect(Date.parse((await read(direct.id)).meta.lastModified)).toBeGreaterThanOrEqual(
      Date.parse(before.lastModified),
    );
    expect(await find(`members.value eq "${id}"`)).toEqual([]);

    expect((await change(direct.id, add(id))).status).toBe(200);
    expect((await lastEvent(direct.id)).details.unknownMembers).toEqual([id]);
    const back = await idp.post('/Users', { userName, externalId: 'leaver' });
    expect([back.status, back.body.id, back.body.groups]).toEqual([201, id, undefined]);
    expect(await membersOf(direct.id)).toEqual([ada]);
    await change(direct.id, add(id));
    expect(await membersOf(direct.id)).toEqual([ada, id].sort());
  });

  it('is no member of anything, whoever adds it at the same time', async () => {
    for (let round = 0; round < 5; round++) {
      const { id } = await idp.user(fresh('racer'));
      const group = await newGroup([ada]);
      const [, joined] = await Promise.all([idp.delete(`/Users/${id}`), change(group.id, add(id))]);
      expect(joined!.status).toBe(200);
      expect(await membersOf(group.id)).toEqual([ada]);
      const [row] = await rows('SELECT member_count FROM groups WHERE id = ?', group.id);
      expect(row!['member_count']).toBe(1);
    }
  });

  it('stays in its groups when it is only deactivated', async () => {
    const { id } = await idp.user(fresh('sleeper'));
    const group = await newGroup([id]);
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    expect(await membersOf(group.id)).toEqual([id]);
    expect(await versionOf(group.id)).toBe(1);
  });
});

describe('ids of nobody', () => {
  const nobody = '11111111-2222-4333-8444-555555555555';

  it('are left out, the rest counts, and the event says so', async () => {
    const posted = await idp.post('/Groups', { displayName: fresh(), members: elements([ada, nobody]) });
    expect(posted.body.members).toMatchObject([{ value: ada }]);
    const { id, displayName } = posted.body;
    expect((await lastEvent(id)).details).toMatchObject({ joined: [ada], joinedCount: 1, unknownMembers: [nobody] });
    await change(id, add(bob, nobody));
    expect((await lastEvent(id)).details).toMatchObject({ joined: [bob], joinedCount: 1, unknownMembers: [nobody] });
    await idp.put(`/Groups/${id}`, { displayName, members: elements([cy, nobody]) });
    expect((await lastEvent(id)).details).toMatchObject({
      joined: [cy],
      left: expect.arrayContaining([ada, bob]),
      leftCount: 2,
      unknownMembers: [nobody],
    });
    expect(await membersOf(id)).toEqual([cy]);
    const version = await versionOf(id);
    await change(id, add(nobody));
    expect(await versionOf(id)).toBe(version);
    expect((await lastEvent(id)).details).toMatchObject({ changed: {}, unknownMembers: [nobody] });
    const events = (await journal(idp.orgId, id)).length;
    await change(id, remove(nobody));
    expect(await journal(idp.orgId, id)).toHaveLength(events);
  });

  it('only, in a POST, make a group without members whose event names nobody as joined', async () => {
    const { id } = await newGroup([nobody]);
    const { details } = await lastEvent(id);
    expect(details.unknownMembers).toEqual([nobody]);
    expect([details.joined, details.joinedCount]).toEqual([undefined, undefined]);
  });

  it('refuse the push and change nothing where the org wants it so', async () => {
    const at = await newIdp('strict');
    const set = (unknownMembers: string) => admin('PATCH', '/orgs/strict', { body: { settings: { unknownMembers } } });
    const { id: member } = await at.user('ada');
    const { id, displayName } = await newGroup([member], fresh(), at);
    expect((await set('reject')).status).toBe(200);
    const before = await dump();
    for (const answer of [
      await at.post('/Groups', { displayName: fresh(), members: elements([member, nobody]) }),
      await at.put(`/Groups/${id}`, { displayName: fresh(), members: elements([nobody]) }),
      await at.patch(`/Groups/${id}`, [{ op: 'replace', path: 'displayName', value: fresh() }, add(nobody)]),
      await at.patch(`/Groups/${id}`, [add(member, ada)]),
    ]) {
      expectRefusal(answer, 400, 'invalidValue', /members\.value/);
      expect(answer.text).not.toContain(nobody);
    }
    expect(await dump()).toBe(before);
    // To remove who is not there is success in either way.
    expect((await at.patch(`/Groups/${id}`, [remove(nobody)])).status).toBe(200);
    expect((await at.put(`/Groups/${id}`, { displayName, members: elements([member]) })).status).toBe(200);
    expect((await set('skip')).status).toBe(200);
    expect((await at.patch(`/Groups/${id}`, [add(nobody)])).status).toBe(200);
  });

  it('and ids of another org are one and the same', async () => {
    const stranger = await other.user(fresh('stranger'));
    const theirs = await newGroup([stranger.id], fresh(), other);
    const before = await journal(other.orgId);
    const { id } = await newGroup([ada]);
    const answer = await change(id, add(stranger.id, theirs.id));
    expect(answer.body.members).toHaveLength(1);
    expect((await lastEvent(id)).details.unknownMembers.sort()).toEqual([stranger.id, theirs.id].sort());
    await change(id, { op: 'replace', path: 'members', value: elements([stranger.id]) });
    expect(await membersOf(id)).toEqual([]);
    for (const target of [theirs.id, nobody]) {
      for (const refused of [
        await idp.get(`/Groups/${target}`),
        await change(target, add(ada)),
        await idp.put(`/Groups/${target}`, { displayName: fresh() }),
        await idp.delete(`/Groups/${target}`),
        await idp.delete(`/Groups/${target}`, { headers: { 'If-Match': 'W/"1"' } }),
      ]) {
        expectRefusal(refused, 404);
      }
    }
    expect(await membersOf(theirs.id, other)).toEqual([stranger.id]);
    expect(await journal(other.orgId)).toEqual(before);
  });
});

describe('the journal of a group', () => {
  it('has one event for each change, with what it changed, and none for what changed nothing', async () => {
    const { id, displayName } = await newGroup([ada]);
    await change(id, { op: 'Add', path: 'members', value: [{ $ref: null, value: bob }] });
    await change(id, add(bob));
    await change(id, remove(cy));
    await change(id, { op: 'replace', value: { id, displayName } });
    await change(id, add(cy), remove(ada), { op: 'replace', path: 'displayName', value: 'Journal' });
    await change(id, { op: 'remove', path: 'members' });
    await idp.put(`/Groups/${id}`, { displayName: 'Journal' });
    await idp.delete(`/Groups/${id}`);
    const events = await journal(idp.orgId, id);
    expect(events.map(({ type }) => type)).toEqual([
      'group.created',
      ...Array(3).fill('group.updated'),
      'group.deleted',
    ]);
    const [created, joined, mixed, emptied, deleted] = events.map(({ details }) => details);
    expect(created).toMatchObject({ joined: [ada], joinedCount: 1 });
    expect(joined).toMatchObject({ changed: {}, joined: [bob], quirks: ['capital-op'] });
    expect(joined).not.toHaveProperty('left');
    expect(mixed).toMatchObject({
      changed: { displayName: { before: displayName, after: 'Journal' } },
      joined: [cy],
      left: [ada],
      leftCount: 1,
    });
    expect(emptied).toMatchObject({ left: expect.arrayContaining([bob, cy]), leftCount: 2 });
    expect(deleted).toMatchObject({ before: { displayName: 'Journal' }, left: [], leftCount: 0 });
  });

  it('moves the version and the time of a group with each change, and with nothing else', async () => {
    const { id } = await newGroup([ada]);
    const versions: number[] = [];
    for (const operation of [
      add(bob),
      add(bob),
      remove(cy),
      remove(bob),
      { op: 'replace', path: 'externalId', value: 'x' },
    ]) {
      await change(id, operation);
      versions.push(await versionOf(id));
    }
    expect(versions).toEqual([2, 2, 2, 3, 4]);
  });
});

describe('membership changes of one group at once', () => {
  it('of fifty people are all kept', async () => {
    const at = await newIdp('at-once');
    await fillUsers(at, 100);
    const { id } = await newGroup([], fresh(), at);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => at.patch(`/Groups/${id}`, [add(userId(i + 1))])),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await membersOf(id, at)).toEqual(Array.from({ length: 50 }, (_, i) => userId(i + 1)).sort());
    const mixed = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        i % 10 === 9
          ? at.patch(`/Groups/${id}`, [{ op: 'replace', value: { id, displayName: `Named ${i}` } }])
          : at.patch(`/Groups/${id}`, [i % 2 === 0 ? remove(userId(i + 1)) : add(userId(i + 51))]),
      ),
    );
    expect(new Set(mixed.map(({ status }) => status))).toEqual(new Set([200]));
    const expected = [
      ...Array.from({ length: 50 }, (_, i) => i)
        .filter((i) => i % 2 === 1)
        .map((i) => userId(i + 1)),
      ...Array.from({ length: 50 }, (_, i) => i)
        .filter((i) => i % 2 === 1 && i % 10 !== 9)
        .map((i) => userId(i + 51)),
    ];
    expect(await membersOf(id, at)).toEqual(expected.sort());
    const [row] = await rows('SELECT member_count, version FROM groups WHERE id = ?', id);
    expect(row).toEqual({ member_count: expected.length, version: 101 });
    expect(await journal(at.orgId, id)).toHaveLength(101);
  });

  it('of one person are told of once: who joins joins once, who leaves leaves once', async () => {
    const { id } = await newGroup();
    for (const operation of [add(ada, bob), { op: 'remove', path: 'members', value: elements([ada, bob]) }]) {
      const answers = await Promise.all(Array.from({ length: 12 }, () => change(id, operation)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    const events = (await journal(idp.orgId, id))
      .slice(1)
      .map(({ details }) => [details.joinedCount, details.leftCount]);
    expect(events).toEqual([
      [2, undefined],
      [undefined, 2],
    ]);
    expect(await versionOf(id)).toBe(3);
  });

  it('by PUT and PATCH end as one of their orders would', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, displayName } = await newGroup([ada]);
      const answers = await Promise.all([
        idp.put(`/Groups/${id}`, { displayName, members: elements([bob]) }),
        change(id, add(cy)),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect([[bob].sort(), [bob, cy].sort()]).toContainEqual(await membersOf(id));
      const [row] = await rows('SELECT member_count FROM groups WHERE id = ?', id);
      expect(row!['member_count']).toBe((await membersOf(id)).length);
    }
  });
});

it('the event of a deletion names the groups that the person was in', async () => {
  const { id } = await idp.user('leaver@example.com');
  const { body } = await idp.post('/Groups', { displayName: 'Left behind', members: [{ value: id }] });
  await idp.delete(`/Users/${id}`);
  const row = await env.DB.prepare(
    "SELECT details FROM events WHERE org_id = ? AND type = 'user.deleted' AND target_id = ?",
  )
    .bind(idp.orgId, id)
    .first<{ details: string }>();
  expect(JSON.parse(row!.details).leftGroups).toEqual([body.id]);
});
