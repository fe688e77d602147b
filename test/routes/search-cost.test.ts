/** What a search may ask of the database, which all orgs share: it is refused before the database is asked. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ENTERPRISE_USER, SEARCH_REQUEST } from '../../src/scim/urns';
import { weightOf } from '../../src/store/directory/filter-cost';
import { type Answer, type Ask, admin, type Idp, newIdp } from '../support/client';
import { rows } from '../support/database';
import { fillGroup, fillUsers } from '../support/fill';
import { Meter } from '../support/meter';
import { expectRefusal } from '../support/refusal';

const USERS = 2_000;
const GROUPS = 10;
const meter = new Meter();
const metered: Ask = { env: { DB: meter.binding } };
let idp: Idp;

beforeAll(async () => {
  idp = await newIdp('costly');
  await fillUsers(idp, USERS);
  for (let i = 0; i < GROUPS; i++) await fillGroup(idp, `Team ${i}`, USERS / 10);
});
afterEach(() => meter.reset());

const find = (path: string, filter: string, more = {}) =>
  idp.get(`${path}?${new URLSearchParams({ filter, count: '1', ...more })}`, metered);
const times = (count: number, term: string, word = ' or ') =>
  Array.from({ length: count }, (_, i) => term.replaceAll('#', `"zz${i}"`)).join(word);
const tooMany = (answer: Answer) => {
  expectRefusal(answer, 400, 'tooMany', /at most 400 are accepted.*userName eq or id eq/);
  expect(meter.statements.filter((text) => /FROM (users|groups)\b/.test(text))).toEqual([]);
  meter.reset();
};

describe('a search of users takes', () => {
  it.each<[string, number]>([
    ['userName eq #', 250],
    ['externalId eq #', 250],
    ['emails eq #', 150],
    ['emails[value eq #]', 125],
    ['userName co #', 250],
    ['title co #', 92],
    ['displayName co #', 250],
    ['emails co #', 15],
    ['emails[value co # or value sw #]', 15],
    ['emails[type eq # and value co #]', 9],
    ['manager.displayName co #', 14],
    ['groups.value eq #', 20],
    ['groups.display co #', 4],
    ['groups[display co # and type eq "direct"]', 4],
  ])('%s at most %i times', async (term, most) => {
    const { status, text } = await find('/Users', times(most, term));
    expect(status, text).toBe(200);
    if (most >= 125) return; // no filter has more of them
    meter.reset();
    tooMany(await find('/Users', times(most + 1, term)));
  });

  it('any terms beside the userName or the id, for these leave one user', async () => {
    const filter = `(${times(10, 'groups.display co #')}) and userName eq "user7@costly.test"`;
    expect((await find('/Users', filter)).status).toBe(200);
    expect(meter.rowsRead).toBeLessThan(500);
    meter.reset();
    const hit = await find('/Users', 'groups[display eq "team 3" and type eq "direct"] and id eq "u7"');
    expect(hit.body.totalResults).toBe(1);
    expect(meter.rowsRead).toBeLessThan(100);
    // One of two is not narrow.
    meter.reset();
    tooMany(await find('/Users', `(${times(40, 'groups.display co #')}) or userName eq "user7@costly.test"`));
  });

  it('an order by what no index has, which counts as a term', async () => {
    expect((await find('/Users', times(14, 'emails co #'), { sortBy: 'title' })).status).toBe(200);
    meter.reset();
    tooMany(await find('/Users', times(14, 'emails co #'), { sortBy: 'emails' }));
  });
});

it('the same limit holds in .search, of groups and across types', async () => {
  const search = (path: string, filter: string) =>
    idp.post(path, { schemas: [SEARCH_REQUEST], filter, count: 1 }, metered);
  tooMany(await search('/Users/.search', times(5, 'groups.display co #')));
  tooMany(await search('/.search', times(5, 'groups.display co #')));
  tooMany(await find('/Groups', times(4, 'members.display co #')));
  tooMany(await search('/Groups/.search', times(4, 'members.display co #')));
  expect((await search('/.search', times(4, 'groups.display co #'))).status).toBe(200);
  meter.reset();
  // The page of groups begins where that of users ends: the users are gone through again.
  tooMany(await search('/.search', times(125, 'displayName co #')));
  const byOperator = `/orgs/${idp.slug}/groups?${new URLSearchParams({ filter: times(4, 'members.display co #') })}`;
  expect((await admin('GET', byOperator)).body.error).toBe('tooMany');
});

describe('the rows that a search reads:', () => {
  it.each(['title pr', 'userName co "user"', 'active eq true and not (title pr)', `${ENTERPRISE_USER}:department pr`])(
    'each user once for the page and the total of %s',
    async (filter) => {
      const { status, body } = await find('/Users', filter);
      expect(status).toBe(200);
      expect(body.totalResults).toBeGreaterThanOrEqual(0);
      // Of each match the number is put down, counted and ordered, which are rows read as well.
      expect(meter.rowsRead).toBeLessThan(USERS + 3 * body.totalResults + 100);
    },
  );

  it.each([
    'userName co "er1999@"',
    'userName gt "user999@"',
    'displayName co "1999" or externalId ew "e1999"',
    'not (userName sw "user" or externalId pr or emails.value pr)',
    'not (userName sw "user") or emails.value ew "no-such.example"',
    'emails co "er1999@"',
    'emails.value ew "no-such.example"',
    'emails[value co "er1999@" or value lt "a"]',
    'emails[type eq "work" and value co "er1999@"]',
    'emails[type eq "work" and (value co "er1999@" or not (primary eq true) and value eq "x")] and title pr',
  ])('no row of a user but those that the index leaves, for %s', async (filter) => {
    const { status, body } = await find('/Users', filter);
    expect(status).toBe(200);
    expect(body.totalResults).toBeLessThan(4);
    expect(meter.rowsRead).toBeLessThan(2 * USERS + 50);
    // An index that covers what is asked for, or one that finds rows by more than the org.
    const plans = (await meter.plans()).filter((line) => /(SCAN|SEARCH) (users|user_emails)\b/.test(line));
    expect(plans.filter((line) => !/COVERING INDEX|\(org_id=\? AND |PRIMARY KEY/.test(line))).toEqual([]);
    expect(plans.some((line) => /COVERING INDEX .*\(org_id=\?\)/.test(line))).toBe(true);
  });

  it('each address once, and each match some times, where most match', async () => {
    const { body } = await find('/Users', 'emails co "user"');
    expect(body.totalResults).toBe(USERS);
    expect(meter.rowsRead).toBeLessThan(USERS + 7 * body.totalResults + 100);
  });

  it('each membership once for a term about groups, and each user once for all of them', async () => {
    const read = async (filter: string) => {
      meter.reset();
      expect((await find('/Users', filter)).status).toBe(200);
      return meter.rowsRead;
    };
    const one = await read(times(1, 'groups.display co #'));
    const four = await read(times(4, 'groups.display co #'));
    expect(one).toBeLessThan(USERS + 5 * GROUPS + 50);
    expect(four).toBeLessThan(USERS + 4 * (5 * GROUPS) + 50);
    const memberships = GROUPS * (USERS / 10);
    expect(await read('groups.display co "team"')).toBeLessThan(3 * memberships + 5 * (USERS / 10) + 100);
  });
});

it('two look-ups that find many users are not tried each with each', async () => {
  const other = await newIdp('shared');
  await fillUsers(other, USERS);
  const groups = [await fillGroup(other, 'One', USERS), await fillGroup(other, 'Two', USERS)];
  for (const address of ['one@shared.test', 'two@shared.test']) {
    await rows('INSERT INTO user_emails SELECT org_id, ?, seq FROM users WHERE org_id = ?', address, other.orgId);
  }
  for (const filter of [
    'emails eq "one@shared.test" and emails eq "two@shared.test"',
    'emails eq "one@shared.test" and (active eq true and emails[value eq "two@shared.test" and value pr])',
    groups.map((id) => `groups.value eq "${id}"`).join(' and '),
    'groups.display eq "one" and groups.display eq "two"',
  ]) {
    meter.reset();
    const { status } = await other.get(`/Users?${new URLSearchParams({ filter, count: '1' })}`, metered);
    expect(status).toBe(200);
    expect(meter.rowsRead, filter).toBeLessThan(15 * USERS);
  }
});

it('an org with more users than the limit is for may ask for less at once', async () => {
  const other = await newIdp('larger');
  await other.user('ada@larger.test', { title: 'Head' });
  const ask = (filter: string) => other.get(`/Users?${new URLSearchParams({ filter })}`);
  const claim = (users: number) => rows('UPDATE orgs SET user_count = ? WHERE id = ?', users, other.orgId);
  const filter = `${times(50, 'title co #')} or title eq "head"`;
  expect((await ask(filter)).body.totalResults).toBe(1);
  await claim(100_000);
  expectRefusal(await ask(filter), 400, 'tooMany');
  expect((await ask(times(10, 'title co #'))).status).toBe(200);
  await claim(5_000_000);
  expect((await ask('title eq "head"')).body.totalResults).toBe(1);
  expect((await ask('userName eq "ada@larger.test"')).body.totalResults).toBe(1);
});

describe('searches without an index', () => {
  it.each<[number, number, number]>([
    [1, 30_000, 1],
    [250, 100, 1],
    [34, 30_000, 2],
    [34, 1_000, 1],
    [400, 30_000, 20],
    [400, 1_000_000, 20],
  ])('of cost %i in an org of %i count for %i', (cost, users, weight) => {
    expect(weightOf(cost, users)).toBe(weight);
  });

  it('are refused with 429, before the database is asked, when a large org sends many', async () => {
    const other = await newIdp('busy');
    await other.user('ada@busy.test');
    await rows('UPDATE orgs SET user_count = 30000 WHERE id = ?', other.orgId);
    const ask = (filter: string) => other.get(`/Users?${new URLSearchParams({ filter })}`, metered);
    await ask('userName eq "ada@busy.test"'); // whose the token is, and how large the org
    const counted: string[] = [];
    let left = 30;
    const limit = async ({ key }: { key: string }) => {
      counted.push(key);
      return { success: --left >= 0 };
    };
    const heavy = (filter: string) =>
      other.get(`/Users?${new URLSearchParams({ filter })}`, { env: { DB: meter.binding, RATE_25: { limit } } });
    expect((await heavy('title co "x"')).status).toBe(200);
    expect(counted).toEqual([`search:${other.orgId}`, `search:${other.orgId}`]);
    expect((await heavy('userName eq "ada@busy.test"')).status).toBe(200);
    expect(counted).toHaveLength(2);
    expect((await heavy(times(80, 'title co #'))).status).toBe(200);
    meter.reset();
    const refused = await heavy(times(80, 'title co #'));
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([429, '10']);
    expect(meter.statements.filter((text) => text.includes('FROM users'))).toEqual([]);
    expect((await heavy('userName eq "ada@busy.test"')).status).toBe(200);
  });
});
