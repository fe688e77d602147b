import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';

const SEARCH = 'urn:ietf:params:scim:api:messages:2.0:SearchRequest';

type Parameters = Record<string, string | number>;
const url = (path: string, parameters: Parameters) =>
  `${path}?${new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]))}`;

/** All pages, one after the other; `between` happens after each. */
async function walk(idp: Idp, path: string, parameters: Parameters, between?: (page: Answer) => Promise<unknown>) {
  const pages: Answer[] = [];
  let cursor: string | undefined = '';
  while (cursor !== undefined) {
    const page: Answer = await idp.get(url(path, { ...parameters, cursor }));
    if (page.status !== 200) throw new Error(`${path}: ${page.status} ${page.text}`);
    pages.push(page);
    if (pages.length > 100) throw new Error('the walk does not end');
    cursor = page.body.nextCursor;
    if (cursor !== undefined) await between?.(page);
  }
  return pages;
}

const ids = (pages: Answer[]): string[] => pages.flatMap(({ body }) => body.Resources.map((r: { id: string }) => r.id));
const listed = async (idp: Idp, path: string, parameters: Parameters) =>
  ids([await idp.get(url(path, { ...parameters, count: 500 }))]);
const refusal = ({ status, body }: Answer) => [status, body.scimType];
const next = async (idp: Idp, path: string, parameters: Parameters): Promise<string> =>
  (await idp.get(url(path, { ...parameters, cursor: '' }))).body.nextCursor;

describe('paging by cursor (RFC 9865)', () => {
  let idp: Idp;
  let other: Idp;
  beforeAll(async () => {
    idp = await newIdp('cursor');
    other = await newIdp('cursor-other');
    const titles = ['Smith', undefined, 'carpenter', 'Smith', 'Émigré', undefined, 'smith', 'Baker', undefined];
    for (const [i, title] of titles.entries()) {
      const more = { ...(title && { title }), active: i % 2 === 0, emails: [{ value: `e${9 - i}@x.test` }] };
      const user = await idp.user(`Person${(i * 7) % 9}@example.com`, more);
      await idp.post('/Groups', { displayName: `Team ${(i * 5) % 9}`, members: [{ value: user.id }] });
    }
    for (const name of ['one', 'two', 'three']) await other.user(name);
  });

  it('answers pages of the same size until the last, which alone has no nextCursor', async () => {
    const pages = await walk(idp, '/Users', { count: 4 });
    expect(pages.map(({ body }) => body.itemsPerPage)).toEqual([4, 4, 1]);
    for (const { body } of pages) {
      expect(body.totalResults).toBe(9);
      expect(body).not.toHaveProperty('startIndex');
    }
    expect(pages[0]!.body.nextCursor).toMatch(/^[\w.~-]{40,300}$/);
    expect(pages[2]!.body).not.toHaveProperty('nextCursor');
  });

  it('a page that ends with the list is the last', async () => {
    expect((await walk(idp, '/Users', { count: 3 })).length).toBe(3);
    expect((await walk(idp, '/Users', { count: 9 })).length).toBe(1);
    expect((await walk(idp, '/Users', { filter: 'userName eq "nobody"' }))[0]!.body).toMatchObject({
      totalResults: 0,
      Resources: [],
    });
  });

  it('index paging stays the default, and a cursor wins over startIndex', async () => {
    const byIndex = await idp.get('/Users?startIndex=2&count=2');
    expect(byIndex.body).toMatchObject({ startIndex: 2, itemsPerPage: 2 });
    expect(byIndex.body).not.toHaveProperty('nextCursor');
    const both = await idp.get('/Users?startIndex=2&count=2&cursor');
    expect(both.body).not.toHaveProperty('startIndex');
    expect(ids([both])).toEqual((await listed(idp, '/Users', {})).slice(0, 2));
  });

  for (const sortBy of ['userName', 'title', 'active', 'emails', 'meta.created', 'externalId', 'name.familyName']) {
    for (const sortOrder of ['ascending', 'descending']) {
      it(`visits users by ${sortBy}, ${sortOrder}, in the order of the list`, async () => {
        const expected = await listed(idp, '/Users', { sortBy, sortOrder });
        for (const count of [1, 2, 4]) {
          expect(ids(await walk(idp, '/Users', { sortBy, sortOrder, count }))).toEqual(expected);
        }
      });
    }
  }

  it('visits groups by displayName in the order of the list', async () => {
    for (const sortOrder of ['ascending', 'descending']) {
      const parameters = { sortBy: 'displayName', sortOrder };
      const expected = await listed(idp, '/Groups', parameters);
      expect(ids(await walk(idp, '/Groups', { ...parameters, count: 2 }))).toEqual(expected);
    }
  });

  it('visits every group once without a sort, with and without members', async () => {
    const expected = new Set(await listed(idp, '/Groups', {}));
    for (const more of [{}, { excludedAttributes: 'members' }]) {
      const pages = await walk(idp, '/Groups', { count: 4, ...more });
      expect(pages.map(({ body }) => body.itemsPerPage)).toEqual([4, 4, 1]);
      expect(new Set(ids(pages))).toEqual(expected);
      const withMembers = pages.flatMap(({ body }) => body.Resources).filter((group) => group.members?.length === 1);
      expect(withMembers.length).toBe('excludedAttributes' in more ? 0 : 9);
    }
  });

  for (const parameters of [
    { filter: 'active eq true' },
    { filter: 'title pr and not (title eq "baker")', sortBy: 'title' },
    { filter: 'userName sw "person"', sortBy: 'userName', sortOrder: 'descending' },
    { filter: 'emails[value ew "x.test"]', sortBy: 'emails.value' },
  ]) {
    it(`visits the matches of ${parameters.filter} and no others`, async () => {
      const expected = await listed(idp, '/Users', parameters);
      expect(expected.length).toBeGreaterThan(4);
      const pages = await walk(idp, '/Users', { ...parameters, count: 2 });
      expect(ids(pages)).toEqual(expected);
      for (const { body } of pages) expect(body.totalResults).toBe(expected.length);
    });
  }

  it('works in .search, and goes on there with a cursor of the query string', async () => {
    const body = { schemas: [SEARCH], count: 5, sortBy: 'title', sortOrder: 'descending' };
    const first = await idp.post('/Users/.search', { ...body, cursor: '' });
    const second = await idp.post('/Users/.search', { ...body, cursor: first.body.nextCursor });
    const { schemas: _, ...parameters } = body;
    expect(ids([first, second])).toEqual(await listed(idp, '/Users', parameters));
    const fromUrl = await idp.get(url('/Users', { ...parameters, cursor: first.body.nextCursor }));
    expect(fromUrl.body).toEqual(second.body);
    expect((await idp.post('/Users/.search', { ...body, cursor: null })).body.startIndex).toBe(1);
  });

  it('the root answers users first, then groups, whatever the size of a page', async () => {
    const users = await listed(idp, '/Users', {});
    const groups = await listed(idp, '/Groups', {});
    for (const count of [1, 2, 4, 5, 9, 10, 17, 18]) {
      const pages = await walk(idp, '/', { count });
      expect(ids(pages).slice(0, 9)).toEqual(users);
      expect(new Set(ids(pages).slice(9))).toEqual(new Set(groups));
      expect(ids(pages).length).toBe(18);
      expect(pages.length).toBe(Math.ceil(18 / count));
      for (const { body } of pages) expect(body.totalResults).toBe(18);
    }
    const search = { schemas: [SEARCH], count: 10, filter: 'displayName sw "team" or userName sw "p"', cursor: '' };
    const first = await idp.post('/.search', search);
    const second = await idp.post('/.search', { ...search, cursor: first.body.nextCursor });
    expect(new Set(ids([first, second]))).toEqual(new Set([...users, ...groups]));
    expect(second.body).toMatchObject({ totalResults: 18, itemsPerPage: 8 });
  });

  it('takes the filters that a list takes, and refuses one that nests too deeply or costs too much', async () => {
    const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
    const leaves = [
      'emails.value pr',
      'members.value eq "x"',
      'groups.value eq "x"',
      `${enterprise}:manager.$ref ne "x"`,
      'members[value eq "x" or not (type sw "u")]',
      Array.from({ length: 250 }, (_, i) => `emails[value eq "e${i}@x.test"]`).join(' or '),
    ];
    const statuses = new Set<number>();
    // Under the org's own address the credential is asked one thing more.
    const post = (body: object) =>
      ask('POST', `${BASE}/orgs/${idp.slug}/scim/v2/.search`, { body, headers: { Authorization: idp.token } });
    for (const leaf of leaves) {
      for (let nots = 0; nots < 33; nots += nots < 12 ? 4 : 1) {
        const filter = `${'not ('.repeat(nots)}${leaf}${')'.repeat(nots)}`;
        const search = { schemas: [SEARCH], filter, sortBy: 'emails.value', count: 1 };
        const { status, body } = await post(search);
        statuses.add(status);
        if (status === 400) expect(['invalidFilter', 'tooMany']).toContain(body.scimType);
        const first = await post({ ...search, cursor: '' });
        expect(first.status).toBe(status);
        if (first.body.nextCursor === undefined) continue;
        const second = await post({ ...search, cursor: first.body.nextCursor });
        expect(second.body).toMatchObject({ totalResults: body.totalResults, itemsPerPage: 1 });
      }
    }
    expect(statuses).toEqual(new Set([200, 400]));
  });

  it('projects as a list does, and another projection may go on', async () => {
    const cursor = await next(idp, '/Users', { count: 3, attributes: 'title' });
    const { body } = await idp.get(url('/Users', { count: 3, attributes: 'userName', cursor }));
    expect(Object.keys(body.Resources[0]).sort()).toEqual(['id', 'schemas', 'userName']);
  });

  it('count=0 answers the total only, and says nothing of further pages', async () => {
    const { body } = await idp.get('/Users?cursor&count=0');
    expect(body).toMatchObject({ totalResults: 9, itemsPerPage: 0, Resources: [] });
    expect(body).not.toHaveProperty('nextCursor');
    expect((await idp.get('/Users?cursor&count=-1')).body.itemsPerPage).toBe(0);
  });

  it('ServiceProviderConfig says what there is', async () => {
    expect((await idp.get('/ServiceProviderConfig')).body.pagination).toEqual({
      cursor: true,
      index: true,
      defaultPaginationMethod: 'index',
      defaultPageSize: 100,
      maxPageSize: 500,
      cursorTimeout: 3600,
    });
  });

  it("the administrator's list pages by cursor too", async () => {
    const first = await admin('GET', '/orgs/cursor/users?cursor&count=5');
    expect(first.body).not.toHaveProperty('startIndex');
    const second = await admin('GET', `/orgs/cursor/users?count=5&cursor=${first.body.nextCursor}`);
    expect([...first.body.users, ...second.body.users].length).toBe(9);
  });

  describe('refuses', () => {
    afterEach(() => {
      vi.useRealTimers();
    });
    const parameters = { count: 2, filter: 'active eq true', sortBy: 'title' };
    let cursor: string;
    beforeAll(async () => {
      cursor = await next(idp, '/Users', parameters);
    });
    const ask = (changed: Parameters, path = '/Users', by = idp) =>
      by.get(url(path, { ...parameters, cursor, ...changed }));

    it('a cursor of another query', async () => {
      expect((await ask({})).status).toBe(200);
      for (const changed of [{ filter: 'active eq false' }, { sortBy: 'userName' }, { sortOrder: 'descending' }]) {
        expect(refusal(await ask(changed))).toEqual([400, 'invalidCursor']);
      }
      const { filter: _, ...unfiltered } = parameters;
      expect(refusal(await idp.get(url('/Users', { ...unfiltered, cursor })))).toEqual([400, 'invalidCursor']);
      expect(refusal(await ask({}, '/'))).toEqual([400, 'invalidCursor']);
      const ofGroups = await next(idp, '/Groups', { count: 2 });
      expect(refusal(await idp.get(url('/Users', { count: 2, cursor: ofGroups })))).toEqual([400, 'invalidCursor']);
    });

    it("another org's cursor", async () => {
      const theirs = await next(other, '/Users', { count: 2 });
      expect(refusal(await idp.get(url('/Users', { count: 2, cursor: theirs })))).toEqual([400, 'invalidCursor']);
      expect((await other.get(url('/Users', { count: 2, cursor: theirs }))).body.itemsPerPage).toBe(1);
    });

    it('a cursor that was changed in any place', async () => {
      for (let i = 0; i < cursor.length; i += i < cursor.length - 8 ? 9 : 1) {
        for (const letter of ['A', 'B', '_']) {
          const changed = `${cursor.slice(0, i)}${letter}${cursor.slice(i + 1)}`;
          if (changed === cursor) continue;
          expect(refusal(await ask({ cursor: changed }))).toEqual([400, 'invalidCursor']);
        }
      }
    });

    it('what was never a cursor', async () => {
      const forged = (payload: unknown) =>
        btoa(`${'x'.repeat(32)}${JSON.stringify(payload)}`)
          .replaceAll('+', '-')
          .replaceAll('/', '_')
          .replace(/=+$/, '');
      const id = crypto.randomUUID();
      for (const text of [
        ' ',
        'x',
        'not-a-cursor',
        'null',
        '\u0000',
        'Äö😀',
        '%',
        "' OR 1=1 --",
        'A'.repeat(44),
        'A'.repeat(7000),
        `${cursor}=`,
        cursor.slice(0, -1),
        cursor.slice(1),
        cursor + cursor,
        forged(null),
        forged([]),
        forged({}),
        forged(['User', id]),
        forged(['User', id, 1, {}, [], 'x']),
        forged(['User', { toString: 1 }, '', 2, 9, Date.now()]),
        forged(['constructor', id, '', 2, 9, Date.now()]),
        forged(['User', id, '', 2, 1e308, -1]),
      ]) {
        for (const path of ['/Users', '/Groups', '/']) {
          expect(refusal(await idp.get(url(path, { cursor: text })))).toEqual([400, 'invalidCursor']);
        }
        const body = { schemas: [SEARCH], cursor: text };
        expect(refusal(await idp.post('/Users/.search', body))).toEqual([400, 'invalidCursor']);
      }
      for (const cursor of [7, true, {}, [''], 'A'.repeat(500_000), '\ud800']) {
        const body = { schemas: [SEARCH], cursor };
        expect(refusal(await idp.post('/.search', body))).toEqual([400, 'invalidCursor']);
      }
    });

    it('a cursor older than an hour', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3590_000 });
      expect((await ask({})).status).toBe(200);
      vi.setSystemTime(Date.now() + 20_000);
      expect(refusal(await ask({}))).toEqual([400, 'expiredCursor']);
    });

    it('a count that is none, or not that of the first page', async () => {
      for (const count of ['three', '1.5', '1e2']) {
        expect(refusal(await ask({ cursor: '', count }))).toEqual([400, 'invalidCount']);
      }
      const body = { schemas: [SEARCH], cursor: '' };
      for (const count of [1.5, '3.5', true]) {
        expect(refusal(await idp.post('/Users/.search', { ...body, count }))).toEqual([400, 'invalidCount']);
      }
      expect(refusal(await ask({ count: 3 }))).toEqual([400, 'invalidCount']);
      expect(refusal(await idp.get('/Users?count=three'))).toEqual([400, 'invalidValue']);
    });

    it('a bad credential as ever, whatever the cursor', async () => {
      for (const text of ['', 'x', cursor]) {
        const answer = await idp.get(url('/Users', { cursor: text }), {
          headers: { Authorization: 'Bearer nonsense' },
        });
        expect(answer.status).toBe(401);
      }
    });
  });

  it('shows nothing of a person, nor how many users other orgs have', async () => {
    const cursor = await next(idp, '/Users', { count: 2, sortBy: 'userName', filter: 'userName sw "person"' });
    const text = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'));
    expect(text.slice(32)).toMatch(/^\["User","[0-9a-f-]{36}","[\w-]{16}",2,9,\d{13}\]$/);
  });
});

describe('a walk while the directory changes', () => {
  let idp: Idp;
  let users: { id: string; userName: string }[];
  beforeAll(async () => {
    idp = await newIdp('cursor-change');
    users = [];
    for (let i = 0; i < 12; i++) {
      users.push(await idp.user(`u${String(i).padStart(2, '0')}`, { ...(i % 3 > 0 && { title: `t${i % 2}` }) }));
      await idp.post('/Groups', { displayName: `g${String(i).padStart(2, '0')}` });
    }
  });

  for (const sort of [{}, { sortBy: 'userName' }, { sortBy: 'title' }, { sortBy: 'title', sortOrder: 'descending' }]) {
    it(`skips and repeats nobody who stays, sorted by ${JSON.stringify(sort)}`, async () => {
      const before = await listed(idp, '/Users', sort);
      const gone = new Set<string>();
      let made = 0;
      const pages = await walk(idp, '/Users', { ...sort, count: 3 }, async ({ body }) => {
        // Someone before the page, and the very one at which it ends.
        for (const { id } of [body.Resources[0], body.Resources[2]]) {
          expect((await idp.delete(`/Users/${id}`)).status).toBe(204);
          gone.add(id);
        }
        if (made++ < 3) await idp.user(`a${crypto.randomUUID()}`, { title: 't0' });
      });
      const seen = ids(pages);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((id) => before.includes(id))).toEqual(before);
      for (const id of gone) {
        const { userName } = users.find((user) => user.id === id) ?? {};
        if (userName) await idp.user(userName, { ...(Number(userName.slice(1)) % 3 > 0 && { title: 't1' }) });
      }
    });
  }

  it('goes on where a deleted group was', async () => {
    const before = await listed(idp, '/Groups', {});
    const pages = await walk(idp, '/Groups', { count: 5 }, async ({ body }) => {
      await idp.delete(`/Groups/${body.Resources[4].id}`);
      await idp.post('/Groups', { displayName: crypto.randomUUID() });
    });
    const seen = ids(pages);
    expect(new Set(seen).size).toBe(seen.length);
    expect(new Set(seen.filter((id) => before.includes(id)))).toEqual(new Set(before));
  });

  it('says so rather than skip, when the place where a sorted page ended cannot be told any more', async () => {
    const sorted = { sortBy: 'displayName', count: 2 };
    const page = await idp.get(url('/Groups', { ...sorted, cursor: '' }));
    await idp.delete(`/Groups/${page.body.Resources[1].id}`);
    const after = await idp.get(url('/Groups', { ...sorted, cursor: page.body.nextCursor }));
    expect(refusal(after)).toEqual([400, 'expiredCursor']);

    const byTitle = { sortBy: 'title', count: 2 };
    const { body } = await idp.get(url('/Users', { ...byTitle, cursor: '' }));
    const path = `/Users/${body.Resources[1].id}`;
    await idp.patch(path, [{ op: 'replace', path: 'nickName', value: 'same place' }]);
    expect((await idp.get(url('/Users', { ...byTitle, cursor: body.nextCursor }))).status).toBe(200);
    await idp.patch(path, [{ op: 'replace', path: 'title', value: 'zzz' }]);
    expect(refusal(await idp.get(url('/Users', { ...byTitle, cursor: body.nextCursor })))).toEqual([
      400,
      'expiredCursor',
    ]);
  });
});

describe('in an org of 10,000 users a page deep in the list costs what the first one costs', {
  timeout: 120_000,
}, () => {
  let idp: Idp;
  beforeAll(async () => {
    // Someone else's users stand before, between and after.
    const neighbour = await newIdp('cursor-neighbour');
    idp = await newIdp('cursor-large');
    await fill('neighbour', neighbour.orgId, 1_000);
    await fill('large', idp.orgId, 5_000);
    await fill('neighbour', neighbour.orgId, 1_000, 1_000);
    await fill('large', idp.orgId, 5_000, 5_000);
  }, 120_000);

  async function fill(name: string, orgId: string, howMany: number, from = 0) {
    const n = `WITH RECURSIVE n (i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${from + howMany - 1})`;
    // 7919 has no factor in common with 10,000: the names are in another order than the rows.
    const key = `printf('${name}%05d', (i * 7919) % 10000)`;
    const document = `json_object('userName', ${key}, 'title', 't' || (i % 10), 'active', json('true'))`;
    await env.DB.batch([
      env.DB.prepare(`INSERT INTO users (org_id, id, user_name_key, active, version, created_at, modified_at, resource, folded)
        ${n} SELECT '${orgId}', printf('%08x-0000-4000-8000-%012x', (i * 40503) % 4294967296, i + length('${name}') * 1000000),
          ${key}, 1, 1, 0, 0, ${document}, ${document} FROM n`),
      env.DB.prepare(`UPDATE orgs SET user_count = user_count + ${howMany}, group_count = group_count + ${howMany / 100}
        WHERE id = '${orgId}'`),
      env.DB.prepare(`INSERT INTO groups (org_id, id, display_name_key, version, created_at, modified_at, resource, folded)
        ${n} SELECT '${orgId}', printf('%08x-0000-4000-9000-%012x', (i * 40503) % 4294967296, i),
          printf('g%06d', (i * 7919) % 10000), 1, 0, 0, json_object('displayName', 'g' || i), json_object('displayName', 'g' || i)
          FROM n WHERE i % 100 = 0`),
    ]);
  }

  /** What the first page costs, and one after `pages` more. */
  async function costs(path: string, parameters: Parameters, pages: number) {
    const meter = new Meter();
    const measured = async (cursor: string) => {
      meter.reset();
      const answer = await idp.get(url(path, { ...parameters, cursor }), { env: { DB: meter.binding } });
      expect(answer.status).toBe(200);
      const plans = await Promise.all(meter.statements.map((statement) => planOf(statement)));
      return { answer, roundTrips: meter.roundTrips, rowsRead: meter.rowsRead, plan: plans.flat().join('\n') };
    };
    const first = await measured('');
    let cursor: string = first.answer.body.nextCursor;
    for (let i = 1; i < pages; i++) {
      cursor = (await idp.get(url(path, { ...parameters, cursor }))).body.nextCursor;
    }
    return { first, deep: await measured(cursor) };
  }

  async function planOf(statement: string): Promise<string[]> {
    const holes = new Set(statement.match(/\?\d+/g));
    const explain = env.DB.prepare(`EXPLAIN QUERY PLAN ${statement}`).bind(...[...holes].map(() => '1'));
    return (await explain.all<{ detail: string }>()).results.map(({ detail }) => detail);
  }

  for (const [name, path, parameters, pages] of [
    ['users', '/Users', {}, 16],
    ['users by userName', '/Users', { sortBy: 'userName' }, 16],
    ['users by userName, descending', '/Users', { sortBy: 'userName', sortOrder: 'descending' }, 16],
    ['users of a filter', '/Users', { filter: 'title eq "t3" or title eq "t5"' }, 3],
    ['users of a filter by userName', '/Users', { filter: 'title sw "t"', sortBy: 'userName' }, 16],
    ['users by a filter that has an index', '/Users', { filter: 'userName sw "large"' }, 16],
    ['the root', '/', {}, 16],
    ['the root, where users end', '/', {}, 20],
    ['groups', '/Groups', { count: 10 }, 9],
    ['groups by displayName', '/Groups', { count: 10, sortBy: 'displayName' }, 9],
  ] as const) {
    it(`${name}`, async () => {
      const { first, deep } = await costs(path, { count: 500, ...parameters }, pages);
      expect([first.roundTrips, deep.roundTrips]).toEqual([1, 1]);
      // Behind the users come groups, with six rows each, where a user has five.
      const most = name === 'the root, where users end' ? 6 * 500 + 30 : first.rowsRead + 20;
      expect(deep.rowsRead).toBeLessThan(most);
      expect(deep.plan).not.toMatch(/SCAN (users|groups)\b/);
      expect(deep.plan).not.toMatch(/ORDER BY/);
    });
  }
});
