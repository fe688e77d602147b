/** Promise 7: what an operation costs, in D1 round trips and rows read, in an org of 20,000 people with another beside it. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newSecret } from '../src/credentials/secret';
import { traffic } from '../src/routes/access/outcome';
import { ENTERPRISE_USER, SEARCH_REQUEST } from '../src/scim/urns';
import { homes } from '../src/store/d1/homes';
import { type Answer, type Ask, admin, ask, BASE, type Idp, newIdp } from './support/client';
import { fillDirectory, idOf } from './support/directory';
import { Meter } from './support/meter';

const SIZE = 20_000;
const DELETED = 5_000;
const BESIDE = 5_000;
const meter = new Meter();
/** Round trips until the answer was there: what is noted of a refusal is noted after it. */
let beforeAnswer = 0;
let rowsBeforeAnswer = 0;
const metered: Ask = {
  env: { DB: meter.binding },
  onAnswer: () => {
    beforeAnswer = meter.roundTrips;
    rowsBeforeAnswer = meter.rowsRead;
  },
};
let idp: Idp;
let beside: Idp;

beforeAll(async () => {
  idp = await newIdp('big');
  beside = await newIdp('beside');
  await fillDirectory(idp, SIZE, DELETED);
  await fillDirectory(beside, BESIDE);
  meter.reset();
}, 60_000);

afterEach(() => meter.reset());

const search = (query: Record<string, string>) => idp.get(`/Users?${new URLSearchParams(query)}`, metered);
const mail = (n: number) => `person-${n}@big.example`;
const replaceTitle = (n: number, title: string) =>
  idp.patch(`/Users/${idOf(n)}`, [{ op: 'replace', path: 'title', value: title }], metered);

/** Whole-table reads, and reads of all that an org has: an index of which only the org is given. */
const wholesale = (plans: string[]) =>
  plans.filter(
    (line) =>
      /^SCAN (users|user_emails|credentials|orgs|events|outbox|refusals|traffic|m)\b/.test(line) ||
      // An org has at most 20 webhooks and 250 streams of signals.
      (line.endsWith('(org_id=?)') && !/^SEARCH (webhook_lines|signal_lines|l) /.test(line)),
  );

describe('rows read in an org of 20,000', () => {
  const one: [name: string, atMost: number, run: () => Promise<Answer>, found: (answer: Answer) => unknown][] = [
    ['GET by id', 10, () => idp.get(`/Users/${idOf(777)}`, metered), ({ body }) => body.userName === mail(777)],
    ...[
      ['userName eq', `userName eq "${mail(777).toUpperCase()}"`, 15],
      ['externalId eq', 'externalId eq "hr-777"', 20],
      ['emails.value eq', `emails.value eq "${mail(777)}"`, 30],
      ['emails eq', `emails eq "${mail(777)}"`, 30],
      ['emails[type and value]', `emails[type eq "work" and value eq "${mail(777)}"]`, 30],
      ['emails[type].value', `emails[type eq "work"].value eq "${mail(777)}"`, 30],
      ['id eq', `id eq "${idOf(777)}"`, 15],
      ['id eq and manager eq', `id eq "${idOf(777)}" and ${ENTERPRISE_USER}:manager eq "${idOf(77)}"`, 15],
      ['userName eq and active eq', `userName eq "${mail(777)}" and active eq true`, 15],
      ['userName eq and title eq', `title eq "engineer" and userName eq "${mail(777)}"`, 15],
    ].map(([name, filter, atMost]): (typeof one)[number] => [
      name as string,
      atMost as number,
      () => search({ filter: filter as string }),
      ({ body }) => body.totalResults === 1 && body.Resources[0].id === idOf(777),
    ]),
    ['userName eq, sorted', 15, () => search({ filter: `userName eq "${mail(777)}"`, sortBy: 'userName' }), one777],
    ['externalId eq, sorted', 20, () => search({ filter: 'externalId eq "hr-777"', sortBy: 'userName' }), one777],
    ['emails eq, sorted', 30, () => search({ filter: `emails eq "${mail(777)}"`, sortBy: 'userName' }), one777],
    [
      'one of five userNames',
      60,
      () => search({ filter: [1, 2, 3, 4, 5].map((i) => `userName eq "${mail(i)}"`).join(' or ') }),
      ({ body }) => body.totalResults === 5,
    ],
    [
      'nobody’s address',
      20,
      () => search({ filter: 'emails.value eq "no@one.example"' }),
      ({ body }) => body.totalResults === 0,
    ],
    [
      'userName sw, 11 found',
      120,
      () => search({ filter: 'userName sw "Person-777"' }),
      ({ body }) => body.totalResults === 11,
    ],
    ['count=0', 6, () => search({ count: '0' }), ({ body }) => body.totalResults >= SIZE],
    [
      'POST',
      70,
      () =>
        idp.post(
          '/Users',
          { userName: 'new@big.example', externalId: 'new', emails: [{ value: 'new@big.example' }] },
          metered,
        ),
      ({ status }) => status === 201,
    ],
    [
      'POST without externalId',
      60,
      () => idp.post('/Users', { userName: 'bare@big.example' }, metered),
      ({ status }) => status === 201,
    ],
    [
      'POST of a taken userName',
      25,
      () => idp.post('/Users', { userName: mail(778) }, metered),
      ({ status }) => status === 409,
    ],
    [
      'POST that restores',
      80,
      () => idp.post('/Users', { userName: mail(SIZE + 1) }, metered),
      ({ body }) => body.id === idOf(SIZE + 1),
    ],
    ['PATCH', 40, () => replaceTitle(779, 'Changed'), ({ status }) => status === 200],
    [
      'PATCH of an address',
      60,
      () =>
        idp.patch(
          `/Users/${idOf(779)}`,
          [{ op: 'replace', path: 'emails[type eq "work"].value', value: 'moved@big.example' }],
          metered,
        ),
      ({ status }) => status === 200,
    ],
    [
      'PATCH that deactivates',
      65,
      () => idp.patch(`/Users/${idOf(780)}`, [{ op: 'replace', path: 'active', value: false }], metered),
      ({ body }) => body.active === false,
    ],
    [
      'PUT',
      50,
      () => idp.put(`/Users/${idOf(781)}`, { userName: 'put@big.example' }, metered),
      ({ status }) => status === 200,
    ],
    ['DELETE', 125, () => idp.delete(`/Users/${idOf(782)}`, metered), ({ status }) => status === 204],
    [
      'DELETE of one who is not there',
      10,
      () => idp.delete(`/Users/${idOf(SIZE + 2)}`, metered),
      ({ status }) => status === 404,
    ],
    [
      'the administrator’s look at one',
      15,
      () => admin('GET', `/orgs/big/users/${mail(783)}`, metered),
      ({ body }) => body.id === idOf(783),
    ],
  ];
  it.each(one)('%s reads at most %i', async (_, atMost, run, found) => {
    const answer = await run();
    expect(found(answer), answer.text).toBe(true);
    // The note of a refusal comes after the answer, and has a bound of its own below.
    expect(answer.status < 400 ? meter.rowsRead : rowsBeforeAnswer).toBeLessThanOrEqual(atMost);
    expect(wholesale(await meter.plans())).toEqual([]);
  });

  function one777({ body }: Answer): boolean {
    return body.totalResults === 1 && body.Resources[0].id === idOf(777);
  }

  it.each([
    ['the first page', {}],
    ['the first page by userName', { sortBy: 'userName' }],
    ['the last names first', { sortBy: 'userName', sortOrder: 'descending' }],
  ])('%s of 100 reads 100 people, their managers and groups, and counts nobody', async (_, query) => {
    const { body } = await search(query);
    expect(body.Resources).toHaveLength(100);
    expect(body.totalResults).toBeGreaterThanOrEqual(SIZE);
    expect(meter.rowsRead).toBeLessThanOrEqual(4 * 100 + 10);
    const plans = await meter.plans();
    expect(plans.filter((line) => /^SCAN (?!(?:up|its)\b|\()/.test(line))).toEqual([]);
    expect(plans.filter((line) => line.includes('TEMP B-TREE FOR ORDER BY'))).toEqual([]);
  });

  it('a page of ten reads ten people, their managers and groups', async () => {
    const { body } = await search({ count: '10' });
    expect(body.Resources).toHaveLength(10);
    expect(meter.rowsRead).toBeLessThanOrEqual(4 * 10 + 10);
  });

  it('an org beside it, with the same ids and externalIds, is neither read nor found', async () => {
    const { body } = await beside.get(`/Users?filter=${encodeURIComponent('externalId eq "hr-777"')}`, metered);
    expect(body.totalResults).toBe(1);
    expect(body.Resources[0].userName).toBe('person-777@beside.example');
    expect(meter.rowsRead).toBeLessThanOrEqual(20);
  });
});

describe('D1 round trips', () => {
  const filters = [
    'userName eq "a"',
    'userName ne "a"',
    'name.familyName co "a"',
    'userName sw "a"',
    'userName ew "a"',
    'title pr',
    'meta.lastModified gt "2026-01-01T00:00:00Z"',
    'meta.created ge "2026-01-01T00:00:00Z"',
    'meta.created lt "2026-01-01T00:00:00Z"',
    'meta.created le "2026-01-01T00:00:00Z"',
    'active eq true and not (title eq "x") or emails.type eq "home"',
    'emails[type eq "work" and value co "@"]',
    `${ENTERPRISE_USER}:manager.displayName eq "a"`,
    'meta.location eq "x"',
  ];
  it.each(filters)('a list with the filter %s takes 1', async (filter) => {
    const { status } = await beside.get(`/Users?${new URLSearchParams({ filter, count: '1' })}`, metered);
    expect(status).toBe(200);
    expect(meter.roundTrips).toBe(1);
  });

  const send = (path: string, authorization: string | undefined, url = `${BASE}/scim/v2`) =>
    ask('GET', `${url}${path}`, { ...metered, ...(authorization && { headers: { Authorization: authorization } }) });
  const person = (n: number) => `/Users/${idOf(n)}`;
  const active = (value: boolean) => [{ op: 'replace', path: 'active', value }];
  const searchBody = { schemas: [SEARCH_REQUEST], filter: 'title eq "engineer"', sortBy: 'userName', count: 1 };

  it.each<[name: string, trips: number, status: number, run: () => Promise<Answer>]>([
    ['GET by id', 1, 200, () => beside.get(person(1), metered)],
    [
      'GET of the version that is known',
      1,
      304,
      () => beside.get(person(1), { ...metered, headers: { 'If-None-Match': 'W/"1"' } }),
    ],
    ['GET of nobody', 1, 404, () => beside.get('/Users/nobody', metered)],
    ['a list', 1, 200, () => beside.get('/Users?count=2', metered)],
    [
      'a list, sorted, of some attributes',
      1,
      200,
      () => beside.get('/Users?count=2&sortBy=name.familyName&attributes=title', metered),
    ],
    ['/Users/.search', 1, 200, () => beside.post('/Users/.search', searchBody, metered)],
    ['/.search', 1, 200, () => beside.post('/.search', searchBody, metered)],
    ['/ServiceProviderConfig', 1, 200, () => beside.get('/ServiceProviderConfig', metered)],
    ['/Schemas', 1, 200, () => beside.get('/Schemas', metered)],
    ['/ResourceTypes', 1, 200, () => beside.get('/ResourceTypes', metered)],
    ['a path that is not there', 1, 404, () => beside.get('/Nothing', metered)],
    [
      'POST',
      1,
      201,
      () =>
        beside
          .user('new@beside.example', {})
          .then(() => beside.post('/Users', { userName: 'newer@beside.example' }, metered)),
    ],
    [
      'POST of someone inactive',
      1,
      201,
      () => beside.post('/Users', { userName: 'off@beside.example', active: false }, metered),
    ],
    ['POST of a body that is wrong', 1, 400, () => beside.post('/Users', { userName: 5 }, metered)],
    ['POST of a taken userName', 2, 409, () => beside.post('/Users', { userName: 'person-1@beside.example' }, metered)],
    ['PUT', 2, 200, () => beside.put(person(2), { userName: 'two@beside.example' }, metered)],
    ['PUT of what is there', 1, 200, () => beside.put(person(2), { userName: 'two@beside.example' }, metered)],
    ['PATCH', 2, 200, () => beside.patch(person(3), [{ op: 'add', path: 'title', value: 'Head' }], metered)],
    [
      'PATCH that changes nothing',
      1,
      200,
      () => beside.patch(person(3), [{ op: 'add', path: 'title', value: 'Head' }], metered),
    ],
    ['PATCH that deactivates', 2, 200, () => beside.patch(person(4), active(false), metered)],
    ['PATCH that reactivates', 2, 200, () => beside.patch(person(4), active(true), metered)],
    ['PATCH of nobody', 1, 404, () => beside.patch('/Users/nobody', active(false), metered)],
    [
      'PATCH with a stale If-Match',
      1,
      412,
      () => beside.patch(person(3), active(false), { ...metered, headers: { 'If-Match': 'W/"1"' } }),
    ],
    ['DELETE', 1, 204, () => beside.delete(person(5), metered)],
    [
      'DELETE of the version that is known',
      1,
      204,
      () => beside.delete(person(6), { ...metered, headers: { 'If-Match': 'W/"1"' } }),
    ],
    ['POST that restores', 3, 201, () => beside.post('/Users', { userName: 'person-5@beside.example' }, metered)],
    ['DELETE of nobody', 1, 404, () => beside.delete('/Users/nobody', metered)],
    ['a read with no token', 0, 401, () => send('/Users', undefined)],
    ['a read with a mistyped token', 0, 401, () => send('/Users', `Bearer ${beside.token.slice(0, -1)}`)],
    [
      'a read with a well-formed token of nobody',
      1,
      401,
      async () => send('/Users', `Bearer ${await newSecret('token', '000000000000')}`),
    ],
    [
      'a write with a well-formed token of nobody',
      1,
      401,
      async () =>
        beside.ask('DELETE', person(7), {
          ...metered,
          headers: { Authorization: await newSecret('token', '000000000000') },
        }),
    ],
    [
      'a read under another org’s address',
      1,
      401,
      () => send('/Users', `Bearer ${beside.token}`, `${BASE}/orgs/big/scim/v2`),
    ],
  ])('%s takes %i (%i)', async (_, trips, status, run) => {
    homes.emptyAt = Date.now(); // once a minute an isolate asks whether orgs are elsewhere (test/store/one-database.test.ts)
    const answer = await run();
    expect(answer.status, answer.text).toBe(status);
    expect(beforeAnswer).toBe(trips);
    // What is refused is noted after the answer; what is answered well is not, but for its count.
    if (status < 400) expect(meter.roundTrips).toBe(trips);
  });

  it('the count of a request, and of its refusal, is written after the answer, in one each', async () => {
    traffic.interval = 0;
    try {
      await beside.get(person(1), metered);
      expect([beforeAnswer, meter.roundTrips]).toEqual([1, 2]);
      meter.reset();
      await beside.get('/Users/nobody', metered);
      expect([beforeAnswer, meter.roundTrips]).toEqual([1, 3]);
      expect(meter.rowsRead - rowsBeforeAnswer).toBeLessThanOrEqual(35);
      expect(wholesale(await meter.plans())).toEqual([]);
    } finally {
      traffic.interval = Number.POSITIVE_INFINITY;
    }
  });

  it.each<[name: string, trips: number, header: () => Promise<string> | string]>([
    ['a mistyped token', 1, () => beside.token.slice(0, -1)],
    ['a token of nobody', 2, () => newSecret('token', beside.orgId)],
  ])('the refusal of %s is noted after the answer, in %i', async (_, trips, header) => {
    const { status } = await send('/Nothing', await header());
    expect(status).toBe(401);
    expect(meter.roundTrips - beforeAnswer).toBe(trips);
    expect(meter.rowsRead).toBeLessThanOrEqual(30);
    expect(wholesale(await meter.plans())).toEqual([]);
  });
});
