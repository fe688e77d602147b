import { beforeAll, describe, expect, it } from 'vitest';
import { ENTERPRISE_USER, LIST_RESPONSE, SEARCH_REQUEST, USER } from '../../src/scim/urns';
import { type Answer, type Idp, newIdp } from '../support/client';
import { expectRefusal } from '../support/refusal';

let idp: Idp;
/** Nine people in the order of their creation. */
const names = ['delta', 'Alpha', 'echo', 'Bravo', 'ägir', 'charlie', 'Zulu', 'Ωmega', 'foxtrot'];
const ids: string[] = [];

beforeAll(async () => {
  idp = await newIdp('lists');
  for (const [i, name] of names.entries()) {
    const { id } = await idp.user(`${name}@example.com`, {
      externalId: `E${i}`,
      displayName: name,
      ...(i % 3 === 0 && { title: `T${9 - i}` }),
      active: i !== 4,
      emails: [
        { value: `${name}@work.example.com`, type: 'work', ...(i % 2 === 0 && { primary: true }) },
        { value: `a${9 - i}@home.example.com`, type: 'home', ...(i % 2 === 1 && { primary: true }) },
      ],
      ...(i < 2 && { [ENTERPRISE_USER]: { department: 'R&D', manager: { value: ids[0] ?? 'nobody' } } }),
    });
    ids.push(id);
  }
});

const query = (text: string) => idp.get(`/Users?${text}`);
const filtered = (filter: string, more = '') => query(`filter=${encodeURIComponent(filter)}${more}`);
const displayNames = ({ body }: Answer): string[] =>
  body.Resources.map((user: { displayName: string }) => user.displayName);

describe('a list', () => {
  it('is a ListResponse with integers, in the order of creation', async () => {
    const answer = await idp.get('/Users');
    expect(answer.headers.get('Content-Type')).toBe('application/scim+json');
    const { Resources, ...rest } = answer.body;
    expect(rest).toEqual({ schemas: [LIST_RESPONSE], totalResults: 9, startIndex: 1, itemsPerPage: 9 });
    expect(Resources.map(({ id }: { id: string }) => id)).toEqual(ids);
    expect(Resources[0]).toEqual((await idp.get(`/Users/${ids[0]}`)).body);
  });

  it('shows of each user what its own address shows: groups through groups, and the manager', async () => {
    const other = await newIdp('shown-alike');
    const boss = await other.user('boss@example.com', { displayName: 'Boss' });
    const manager = { [ENTERPRISE_USER]: { department: 'R&D', manager: { value: boss.id } } };
    const [ada, bob] = [await other.user('ada@example.com', manager), await other.user('bob@example.com')];
    const group = async (displayName: string, ...members: { id: string }[]) =>
      (await other.post('/Groups', { displayName, members: members.map(({ id }) => ({ value: id })) })).body;
    const inner = await group('Inner', ada, bob);
    const outer = await group('Outer', inner, ada);
    await group('All', outer);
    const all = [boss, ada, bob].map(({ id }) => id as string);

    const shown = async (path: string) => (await other.get(path)).body;
    const pages = [
      '',
      'filter=userName%20pr',
      'sortBy=displayName',
      'sortBy=userName',
      'cursor',
      'cursor&sortBy=title',
    ];
    for (const more of [
      '',
      'excludedAttributes=groups',
      `attributes=userName,${ENTERPRISE_USER}:manager.displayName`,
    ]) {
      const single = await Promise.all(all.map((id) => shown(`/Users/${id}?${more}`)));
      expect(single[1].groups?.length).toBe(more === '' ? 3 : undefined);
      expect(single[1][ENTERPRISE_USER].manager.displayName).toBe('Boss');
      for (const page of pages) {
        const { Resources } = await shown(`/Users?${page}&${more}`);
        expect(all.map((id) => Resources.find((user: { id: string }) => user.id === id))).toEqual(single);
      }
      const found = await shown(`/Users?filter=${encodeURIComponent('userName eq "ADA@example.com"')}&${more}`);
      expect(found).toMatchObject({ totalResults: 1, startIndex: 1, itemsPerPage: 1, Resources: [single[1]] });
    }
  });

  it('of one key has a total on each page, and is nobody’s of another org', async () => {
    const other = await newIdp('one-key');
    const { id, userName } = await other.user('one@example.com');
    const of = async (who: Idp, filter: string, more = '') => {
      const { body } = await who.get(`/Users?filter=${encodeURIComponent(filter)}${more}`);
      return [body.totalResults, body.Resources.length];
    };
    for (const filter of [`userName eq "${userName}"`, `id eq "${id}"`]) {
      expect(await of(other, filter)).toEqual([1, 1]);
      expect(await of(other, filter, '&startIndex=2')).toEqual([1, 0]);
      expect(await of(other, filter, '&count=0')).toEqual([1, 0]);
      expect(await of(other, filter, '&cursor')).toEqual([1, 1]);
      expect(await of(idp, filter)).toEqual([0, 0]);
    }
    const group = (await other.post('/Groups', { displayName: 'One key' })).body;
    for (const filter of ['displayName eq "ONE KEY"', `id eq "${group.id}"`]) {
      const path = `/Groups?filter=${encodeURIComponent(filter)}`;
      const { members: _, ...bare } = group;
      expect((await other.get(`${path}&excludedAttributes=members`)).body).toMatchObject({
        totalResults: 1,
        Resources: [bare],
      });
      expect((await idp.get(`${path}&excludedAttributes=members`)).body.totalResults).toBe(0);
    }
    await other.delete(`/Users/${id}`);
    expect(await of(other, `userName eq "${userName}"`)).toEqual([0, 0]);
  });

  it('of nobody has an empty list of resources and is no 404', async () => {
    const { status, body } = await filtered('userName eq "1f7a0d0e-not-there"');
    expect(status).toBe(200);
    expect(body).toEqual({ schemas: [LIST_RESPONSE], totalResults: 0, startIndex: 1, itemsPerPage: 0, Resources: [] });
  });

  const pages: [string, { startIndex: number; from: number; length: number }][] = [
    ['startIndex=1&count=4', { startIndex: 1, from: 0, length: 4 }],
    ['startIndex=5&count=4', { startIndex: 5, from: 4, length: 4 }],
    ['startIndex=9&count=4', { startIndex: 9, from: 8, length: 1 }],
    ['startIndex=10&count=4', { startIndex: 10, from: 9, length: 0 }],
    ['startIndex=1000', { startIndex: 1000, from: 9, length: 0 }],
    ['startIndex=0&count=2', { startIndex: 1, from: 0, length: 2 }],
    ['startIndex=-5&count=2', { startIndex: 1, from: 0, length: 2 }],
    ['count=0', { startIndex: 1, from: 0, length: 0 }],
    ['count=-1', { startIndex: 1, from: 0, length: 0 }],
    ['startIndex=3&count=0', { startIndex: 3, from: 0, length: 0 }],
    ['count=100000', { startIndex: 1, from: 0, length: 9 }],
    ['startIndex=&count=', { startIndex: 1, from: 0, length: 9 }],
    ['startIndex=%2B2&count=%201%20', { startIndex: 2, from: 1, length: 1 }],
    ['startIndex=2&startIndex=5&count=1', { startIndex: 2, from: 1, length: 1 }],
  ];
  for (const [text, { startIndex, from, length }] of pages) {
    it(`?${text} is a page of ${length} from ${startIndex}, and counts all`, async () => {
      const { status, body } = await query(text);
      expect(status).toBe(200);
      expect(body).toMatchObject({ totalResults: 9, startIndex, itemsPerPage: length });
      expect(body.Resources.map(({ id }: { id: string }) => id)).toEqual(ids.slice(from, from + length));
      const filter = await query(`${text}&filter=${encodeURIComponent('userName pr')}`);
      expect(filter.body).toEqual(body);
    });
  }

  it('read page by page shows everyone once, in every order', async () => {
    for (const sort of [
      '',
      '&sortBy=active',
      '&sortBy=title',
      '&sortBy=title&sortOrder=descending',
      '&sortBy=userName',
      '&filter=active+pr',
    ]) {
      const seen: string[] = [];
      for (let at = 1; at <= 9; at += 2) {
        const { body } = await query(`startIndex=${at}&count=2${sort}`);
        seen.push(...body.Resources.map(({ id }: { id: string }) => id));
      }
      expect([...seen].sort(), sort).toEqual([...ids].sort());
    }
  });

  it('shows of each user what attributes and excludedAttributes leave', async () => {
    const { body } = await query('attributes=userName,emails.value&count=1');
    expect(body.Resources).toEqual([
      {
        schemas: [USER, ENTERPRISE_USER],
        id: ids[0],
        userName: 'delta@example.com',
        emails: [{ value: 'delta@work.example.com' }, { value: 'a9@home.example.com' }],
      },
    ]);
    const without = await query('excludedAttributes=emails,meta&count=1');
    expect(Object.keys(without.body.Resources[0])).not.toContain('emails');
    expect(Object.keys(without.body.Resources[0])).toContain('displayName');
    const microsoft = await query(`attributes=${encodeURIComponent('emails[type eq "work"]')}&count=1`);
    expect(Object.keys(microsoft.body.Resources[0]).sort()).toEqual(['emails', 'id', 'schemas']);
  });
});

describe('a filter', () => {
  const cases: [string, string[]][] = [
    ['userName eq "DELTA@EXAMPLE.COM"', ['delta']],
    ['userName Eq "ÄGIR@example.com"', ['ägir']],
    ['USERNAME eq "ωMEGA@example.com"', ['Ωmega']],
    [`${USER}:userName eq "echo@example.com"`, ['echo']],
    ['externalId eq "E3"', ['Bravo']],
    ['externalId eq "e3"', []],
    ['externalId eq E3', ['Bravo']],
    ['emails.value eq "ECHO@work.example.com"', ['echo']],
    ['emails eq "echo@work.example.com"', ['echo']],
    ['emails[type eq "work" and value eq "echo@work.example.com"]', ['echo']],
    ['emails[type eq "home" and value eq "echo@work.example.com"]', []],
    ['emails[type eq "work"].value eq "echo@work.example.com"', ['echo']],
    ['emails[primary eq "True" and type eq "home"].value sw "a"', ['Alpha', 'Bravo', 'charlie', 'Ωmega']],
    ['displayName sw "A"', ['Alpha']],
    ['displayName sw "a" or displayName sw "Ä"', ['Alpha', 'ägir']],
    ['displayName ew "O"', ['echo', 'Bravo']],
    ['displayName co "ELT"', ['delta']],
    ['title pr', ['delta', 'Bravo', 'Zulu']],
    ['not (title pr) and displayName gt "f"', ['ägir', 'Ωmega', 'foxtrot']],
    ['title gt "T3" and title le "T9"', ['delta', 'Bravo']],
    ['title ne "T9" and title pr', ['Bravo', 'Zulu']],
    ['active eq false', ['ägir']],
    ['active eq "False"', ['ägir']],
    ['active ne true', ['ägir']],
    ['title eq null and active eq false', ['ägir']],
    ['meta.resourceType eq "User" and displayName eq "echo"', ['echo']],
    ['meta.created gt "2000-01-01T00:00:00Z" and displayName eq "echo"', ['echo']],
    ['meta.lastModified lt "2000-01-01T00:00:00+02:00"', []],
    [`${ENTERPRISE_USER}:department eq "r&d"`, ['delta', 'Alpha']],
    [`${ENTERPRISE_USER}:manager.displayName eq "DELTA"`, ['Alpha']],
    ['manager pr and displayName eq "Alpha"', ['Alpha']],
    ['title eq "T9" or title eq "T6" and active eq false', ['delta']],
    ['(title eq "T9" or title eq "T6") and active eq true', ['delta', 'Bravo']],
    ['userName eq "\\u0064elta@example.com"', ['delta']],
  ];
  for (const [filter, expected] of cases) {
    it(`${filter} finds ${expected.join(', ') || 'nobody'}, in a list and in both searches`, async () => {
      const list = await filtered(filter);
      expect(list.status, list.text).toBe(200);
      expect(displayNames(list)).toEqual(expected);
      expect(list.body.totalResults).toBe(expected.length);
      for (const path of ['/.search', '/Users/.search']) {
        expect((await idp.post(path, { schemas: [SEARCH_REQUEST], filter })).body).toEqual(list.body);
      }
    });
  }

  it('asks whether a reference holds, as Entra ID does before it changes one', async () => {
    const holds = await filtered(`id eq "${ids[1]}" and manager eq "${ids[0]}"`, '&attributes=id');
    expect(holds.body).toMatchObject({ totalResults: 1, Resources: [{ id: ids[1] }] });
    expect((await filtered(`id eq "${ids[2]}" and manager eq "${ids[0]}"`)).body.totalResults).toBe(0);
    expect((await filtered(`id eq "${ids[1]?.toUpperCase()}"`)).body.totalResults).toBe(0);
  });

  it('counts all that it finds whatever the page', async () => {
    const { body } = await filtered('active eq true', '&startIndex=3&count=2');
    expect(body).toMatchObject({ totalResults: 8, startIndex: 3, itemsPerPage: 2 });
    expect((await filtered('active eq true', '&count=0')).body).toMatchObject({ totalResults: 8, Resources: [] });
  });

  it('that cannot be read is refused with its position, never ignored', async () => {
    for (const filter of [
      'userName',
      'userName eq',
      'userName xx "a"',
      'nothing eq "x"',
      'userName eq "a" nand title pr',
    ]) {
      expectRefusal(await filtered(filter), 400, 'invalidFilter');
      expectRefusal(await idp.post('/.search', { filter }), 400, 'invalidFilter');
    }
    expectRefusal(await filtered('userName xx "a"'), 400, 'invalidFilter', /position 10/);
  });
});

describe('an order', () => {
  const byDisplayName = ['Alpha', 'Bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'Zulu', 'ägir', 'Ωmega'];
  const orders: [string, string[]][] = [
    ['sortBy=displayName', byDisplayName],
    ['sortBy=userName', byDisplayName],
    ['sortBy=USERNAME&sortOrder=ascending', byDisplayName],
    ['sortBy=userName&sortOrder=descending', byDisplayName.toReversed()],
    ['sortBy=userName&sortOrder=Descending', byDisplayName.toReversed()],
    [`sortBy=${USER}:userName`, byDisplayName],
    ['sortBy=meta.created', names],
    ['sortBy=title', ['Zulu', 'Bravo', 'delta', ...names.filter((_, i) => i % 3 !== 0)]],
    ['sortOrder=descending', names],
    ['sortBy=', names],
  ];
  for (const [text, expected] of orders) {
    it(`?${text} is ${expected.slice(0, 3).join(', ')} …`, async () => {
      expect(displayNames(await query(text))).toEqual(expected);
    });
  }

  it('has those without a value last when ascending and first when descending', async () => {
    const up = displayNames(await query('sortBy=title'));
    const down = displayNames(await query('sortBy=title&sortOrder=descending'));
    expect(up.slice(0, 3)).toEqual(['Zulu', 'Bravo', 'delta']);
    expect(down.slice(-3)).toEqual(['delta', 'Bravo', 'Zulu']);
  });

  it('of a list attribute goes by its primary value', async () => {
    const value = ({ emails }: { emails: { value: string; primary?: boolean }[] }) =>
      emails.find(({ primary }) => primary)!.value;
    for (const by of ['emails', 'emails.value']) {
      const { body } = await query(`sortBy=${by}`);
      const sorted = body.Resources.map((user: never) => value(user).toLowerCase());
      expect(sorted).toEqual([...sorted].sort());
    }
  });

  it('that is none is refused', async () => {
    expectRefusal(await query('sortBy=nothing'), 400, 'invalidValue', /sortBy/);
    expectRefusal(await query('sortBy=password'), 400, 'invalidValue');
    expectRefusal(await query('sortBy=name'), 400, 'invalidValue');
    expectRefusal(await query('sortBy=userName&sortOrder=upwards'), 400, 'invalidValue', /sortOrder/);
  });
});

describe('a search', () => {
  for (const path of ['/.search', '/Users/.search']) {
    it(`at ${path} takes in its body all that a list takes in its address`, async () => {
      const body = {
        schemas: [SEARCH_REQUEST],
        attributes: ['userName'],
        filter: 'active eq true',
        sortBy: 'userName',
        sortOrder: 'descending',
        startIndex: 2,
        count: 3,
      };
      const list = await query(
        'attributes=userName&filter=active%20eq%20true&sortBy=userName&sortOrder=descending&startIndex=2&count=3',
      );
      const found = await idp.post(path, body);
      expect(found.status).toBe(200);
      expect(found.body).toEqual(list.body);
      expect(found.body).toMatchObject({ totalResults: 8, startIndex: 2, itemsPerPage: 3 });
      const excluding = await idp.post(path, { excludedAttributes: ['emails', 'meta'], count: 1 });
      expect(excluding.body).toEqual((await query('excludedAttributes=emails,meta&count=1')).body);
      expect((await idp.post(path, {})).body.totalResults).toBe(9);
      expect((await idp.post(path, { filter: null, count: null, Attributes: null })).body.totalResults).toBe(9);
    });

    it(`at ${path} takes nothing from its address`, async () => {
      const { body } = await idp.post(`${path}?count=1&filter=nonsense`, { count: 2 });
      expect(body.itemsPerPage).toBe(2);
    });
  }

  it('at the root finds the users, as a list at the root does', async () => {
    expect((await idp.get('/?count=2')).body).toEqual((await idp.get('/Users?count=2')).body);
    expect((await idp.get('?count=2')).body).toEqual((await idp.get('/Users?count=2')).body);
  });
});

describe('an address as real clients write it', () => {
  it('may have its parameters in any letter case', async () => {
    const { body } = await query(
      'STARTINDEX=2&Count=1&sortby=userName&SortOrder=descending&ATTRIBUTES=userName&FILTER=active+eq+true',
    );
    expect(body).toMatchObject({ totalResults: 8, startIndex: 2, itemsPerPage: 1 });
    expect(Object.keys(body.Resources[0]).sort()).toEqual(['id', 'schemas', 'userName']);
  });

  it('may have + for a space, a & at the end, a ? at the end, a / before the ?', async () => {
    expect((await query('filter=userName+eq+%22echo@example.com%22&')).body.totalResults).toBe(1);
    expect((await query('')).body.totalResults).toBe(9);
    expect((await query('&&')).body.totalResults).toBe(9);
    expect((await idp.get(`/Users/${ids[0]}?`)).body.id).toBe(ids[0]);
    expect((await idp.get('/Users/?count=1')).body.itemsPerPage).toBe(1);
    expect((await idp.get('/Users?filter=userName%20eq%20"echo@example.com"')).body.totalResults).toBe(1);
  });

  it('may have parameters that nobody knows', async () => {
    expect((await query('api-version=2&_=17&cursor')).body.totalResults).toBe(9);
  });
});
