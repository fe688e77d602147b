/** People whom the host app has already: what an import makes of each, what it never does, and who is protected. */
import { beforeEach, describe, expect, it } from 'vitest';
import { USER } from '../../src/scim/urns';
import { type Answer, type Ask, admin, host, type Idp, newIdp } from '../support/client';
import { counters, dump, journal, rows } from '../support/database';
import { Meter } from '../support/meter';
import { publications } from '../support/outbox';

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`people-${++n}`);
});

type Account = Record<string, unknown>;
const at = (path: string) => `/orgs/${idp.slug}/users${path}`;
/** The accounts of a file, from its first line on. */
const send = (accounts: Account[], more: object = {}, request: Ask = {}): Promise<Answer> =>
  admin('POST', at('/import'), {
    ...request,
    body: { accounts: accounts.map((account, i) => ({ line: i + 1, ...account })), ...more },
  });
const bring = async (...accounts: Account[]) => {
  const { status, text, body } = await send(accounts);
  expect(status, text).toBe(200);
  return body;
};
const person = (name: string, more: Account = {}): Account => ({
  schemas: [USER],
  userName: `${name}@acme.com`,
  emails: [{ value: `${name}@acme.com`, type: 'work', primary: true }],
  ...more,
});
const show = async (user: string) => (await admin('GET', at(`/${encodeURIComponent(user)}`))).body;
const set = (settings: Record<string, string>) => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
const NOTHING = { created: 0, updated: 0, unchanged: 0, kept: 0, protected: 0, unprotected: 0, problems: [] };
const events = async (id?: string) => (await journal(idp.orgId, id)).filter(({ type }) => type.startsWith('user.'));
const types = async (id?: string) => (await events(id)).map(({ type }) => type);

/** What is counted is what there is, the journal has no gap, and what it tells hosts of is what is published. */
async function expectConsistent(): Promise<void> {
  const { kept, real } = await counters(idp.orgId);
  expect(kept).toEqual(real);
  const all = await journal(idp.orgId);
  expect(all.map(({ seq }) => seq)).toEqual(all.map((_, i) => i + 1));
  const [org] = await rows('SELECT event_seq FROM orgs WHERE id = ?', idp.orgId);
  expect(org!['event_seq']).toBe(all.length);
  const addresses = `SELECT u.id, json_extract(e.value, '$.value') AS address FROM users u, json_each(u.folded, '$.emails') e
    WHERE u.org_id = ?1 AND u.deleted_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2`;
  const indexed = `SELECT u.id, e.value_key AS address FROM user_emails e JOIN users u ON u.seq = e.user_seq
    WHERE e.org_id = ?1 ORDER BY 1, 2`;
  expect(await rows(indexed, idp.orgId)).toEqual(await rows(addresses, idp.orgId));
}

describe('an import', () => {
  it('brings in who is not there, unlinked, with an event each that says all of it', async () => {
    const report = await bring(
      person('ada', { id: 'acct-17', externalId: 'hr-1', name: { givenName: 'Ada' } }),
      person('bob'),
    );
    expect(report).toEqual({ ...NOTHING, dryRun: false, created: 2, activated: 2 });
    expect(await show('acct-17')).toMatchObject({
      id: 'acct-17',
      userName: 'ada@acme.com',
      active: true,
      name: { givenName: 'Ada' },
      meta: { version: 'W/"1"' },
      origin: 'host',
      linked: null,
      protected: false,
      validAfter: null,
      notBefore: null,
    });
    const bob = await show('bob@acme.com');
    expect(bob.id).toMatch(/^[0-9a-f-]{36}$/);
    const [told] = await events('acct-17');
    expect(told).toMatchObject({
      type: 'user.imported',
      actor: 'admin:admin',
      details: {
        changed: { userName: { before: null, after: 'ada@acme.com' }, active: { before: null, after: true } },
      },
    });
    expect(told!.details.quirks).toBeUndefined();
    await expectConsistent();
  });

  it('shows them to the identity provider, which finds them by userName, address and externalId', async () => {
    await bring(person('ada', { id: 'acct-17', externalId: 'hr-1' }), person('bob'));
    for (const filter of ['userName eq "ADA@acme.com"', 'emails.value eq "ada@acme.com"', 'externalId eq "hr-1"']) {
      const found = await idp.get(`/Users?${new URLSearchParams({ filter })}`);
      expect(found.body).toMatchObject({ totalResults: 1, Resources: [{ id: 'acct-17' }] });
    }
    expect((await idp.get('/Users?count=0')).body.totalResults).toBe(2);
    expect((await idp.get('/Users/acct-17')).body).not.toHaveProperty('origin');
  });

  it('run again changes nothing: no event, no version, no write', async () => {
    const all = [person('ada', { id: 'acct-17', protected: true }), person('bob', { active: false }), person('eve')];
    await bring(...all);
    const before = await dump();
    expect(await bring(...all)).toEqual({ ...NOTHING, dryRun: false, unchanged: 3, activated: 0 });
    expect(await dump()).toBe(before);
  });

  it('updates who is unlinked and differs, and leaves as it is what the file does not say of active', async () => {
    await bring(person('ada', { title: 'Head' }), person('bob', { active: false }));
    const { id } = await show('ada@acme.com');
    const home = { emails: [{ value: 'ada@home.example', type: 'home' }] };
    const report = await bring(person('ada', { title: 'Chair', ...home }), person('bob'));
    expect(report).toMatchObject({ updated: 1, unchanged: 1, problems: [] });
    expect(await show('ada@acme.com')).toMatchObject({ id, title: 'Chair', active: true, meta: { version: 'W/"2"' } });
    expect((await show('bob@acme.com')).active).toBe(false);
    const told = (await events(id)).at(-1)!;
    expect(told.type).toBe('user.imported');
    expect(Object.keys(told.details.changed).sort()).toEqual(['emails', 'title']);
    const found = await idp.get(`/Users?${new URLSearchParams({ filter: 'emails.value eq "ada@home.example"' })}`);
    expect(found.body.totalResults).toBe(1);
    await expectConsistent();
  });

  it('with an id renames the account, under the same id', async () => {
    await bring(person('ada', { id: 'acct-17' }));
    expect(await bring(person('lovelace', { id: 'acct-17' }))).toMatchObject({ updated: 1, problems: [] });
    expect(await show('acct-17')).toMatchObject({ userName: 'lovelace@acme.com' });
    expect(
      (await idp.get(`/Users?${new URLSearchParams({ filter: 'userName eq "ada@acme.com"' })}`)).body.totalResults,
    ).toBe(0);
    await expectConsistent();
  });

  it('that says someone is out ends their sessions; one that lets them in again revives none', async () => {
    await bring(person('ada', { id: 'ada' }), person('bob', { id: 'bob' }));
    const issuedAt = Date.now();
    expect(await bring(person('ada', { id: 'ada', active: false }), person('bob', { id: 'bob' }))).toMatchObject({
      updated: 1,
      unchanged: 1,
      activated: -1,
    });
    const check = async (user: string) =>
      (await host('POST', '/check', { body: { org: idp.slug, user, issuedAt } })).body.valid;
    expect([await check('ada'), await check('bob')]).toEqual([false, true]);
    const { notBefore } = await show('ada');
    expect(Date.parse(notBefore)).toBeGreaterThanOrEqual(issuedAt);
    expect(await bring(person('ada', { id: 'ada', active: true }))).toMatchObject({ updated: 1, activated: 1 });
    expect(await show('ada')).toMatchObject({ active: true, notBefore });
    expect(await check('ada')).toBe(false);
    await expectConsistent();
  });

  it('publishes who is inactive from the start, and everybody whose sessions end, also when it is many', async () => {
    const many = Array.from({ length: 51 }, (_, i) => person(`u${i}`, { id: `u${i}`, active: i % 2 === 0 }));
    await bring(...many);
    await bring(...many.map((one) => ({ ...one, active: !one['active'] })));
    const flags = await Promise.all(
      [0, 1].map((i) => host('POST', '/check', { body: { org: idp.slug, user: `u${i}`, issuedAt: Date.now() + 5 } })),
    );
    expect(flags.map(({ body }) => body.valid)).toEqual([false, true]);
    const { told } = await publications(idp.orgId);
    expect(told).toHaveLength(25 + 51);
    await expectConsistent();
  });

  it('does not write over the identity provider, but sets the mark', async () => {
    const ada = await idp.user('ada@acme.com', { title: 'From the IdP' });
    const before = (await idp.get(`/Users/${ada.id}`)).text;
    expect(await bring(person('ada', { title: 'From the file', active: false, protected: true }))).toMatchObject({
      kept: 1,
      protected: 1,
      problems: [],
    });
    expect((await idp.get(`/Users/${ada.id}`)).text).toBe(before);
    expect(await show(ada.id)).toMatchObject({ origin: 'idp', linked: null, protected: true });
    expect(await types(ada.id)).toEqual(['user.created', 'user.protected']);
    await expectConsistent();
  });

  it('brings back nobody whom the identity provider has deleted, by userName, externalId or id', async () => {
    const ada = await idp.user('ada@acme.com', { externalId: 'hr-1' });
    await idp.delete(`/Users/${ada.id}`);
    const before = await dump();
    const { problems, ...counts } = await bring(
      person('ADA'),
      person('bob', { externalId: 'hr-1' }),
      person('eve', { id: ada.id }),
    );
    expect(counts).toMatchObject({ created: 0, updated: 0, kept: 0 });
    expect(problems.map(({ line }: { line: number }) => line)).toEqual([1, 2, 3]);
    for (const { detail } of problems) {
      expect(detail).toMatch(
        /^the identity provider deleted this user on \d{4}-\d\d-\d\dT.*: an import does not restore users$/,
      );
    }
    expect(await dump()).toBe(before);
  });

  it('says which accounts are in each other’s way, and brings in the others', async () => {
    await bring(person('ada', { id: 'one' }), person('bob', { id: 'two' }));
    const { problems, created, unchanged } = await bring(
      person('ada', { id: 'other' }),
      person('ada', { id: 'two' }),
      person('bob', { id: 'two' }),
      person('bob'),
      person('eve', { id: 'three' }),
      person('EVE', { id: 'four' }),
      person('mallory', { id: 'three' }),
    );
    expect({ created, unchanged }).toEqual({ created: 1, unchanged: 1 });
    expect(problems.map((it: { line: number; detail: string }) => [it.line, it.detail])).toEqual([
      [1, 'the account one has this userName, but another id'],
      [2, 'the id belongs to another account than the userName, which is that of one'],
      [4, 'the userName stands in line 3 already'],
      [6, 'the userName stands in line 5 already'],
      [7, 'the id stands in line 5 already'],
    ]);
    await expectConsistent();
  });

  it.each<[string, Account, RegExp]>([
    ['no userName', { schemas: [USER] }, /^userName is required/],
    ['a title that is no text', person('x', { title: 7 }), /^title: a string was expected$/],
    ['another schema', { ...person('x'), schemas: ['urn:x'] }, /^schemas: /],
    ['an id with a slash', person('x', { id: 'a/b' }), /^id: 1 to 64 letters/],
    ['an id that is a path', person('x', { id: '..' }), /^id: 1 to 64 letters/],
    ['an id of 65 letters', person('x', { id: 'a'.repeat(65) }), /^id: 1 to 64 letters/],
    ['an id that is a number', person('x', { id: 7 }), /^id: 1 to 64 letters/],
    ['a mark that is none', person('x', { protected: 'maybe' }), /^protected: true or false was expected$/],
  ])('with %s is a problem of that line alone', async (_, account, detail) => {
    const report = await bring(person('ada'), account, person('bob'));
    expect(report).toMatchObject({ created: 2, problems: [{ line: 2, detail: expect.stringMatching(detail) }] });
  });

  it('reads what SCIM reads: extensions of the org too, and no password is kept', async () => {
    const urn = 'urn:acme:scim:2.0:Staff';
    const schema = { id: urn, name: 'Staff', attributes: [{ name: 'level', type: 'integer' }] };
    await admin('POST', `/orgs/${idp.slug}/schemas`, { body: schema });
    const { problems } = await bring(
      person('ada', { [urn]: { level: 3 }, password: 'hunter2hunter2' }),
      person('bob', { [urn]: { level: 'x' } }),
    );
    expect(problems).toEqual([{ line: 2, userName: 'bob@acme.com', detail: expect.stringContaining('level') }]);
    expect((await show('ada@acme.com'))[urn]).toEqual({ level: 3 });
    expect(await dump()).not.toContain('hunter2');
  });

  it('fills the seats of the plan and no more, which only who is active needs', async () => {
    await set({ 'plan.seats': '3' });
    const all = [
      person('a'),
      person('b', { active: false }),
      person('c'),
      person('d'),
      person('e'),
      person('f', { active: false }),
    ];
    const dry = (await send(all, { dryRun: true })).body;
    const report = await bring(...all);
    expect(report).toMatchObject({ created: 5, activated: 3 });
    expect(report.problems).toEqual([
      { line: 5, userName: 'e@acme.com', detail: 'the limit of active users in the plan (plan.seats: 3) is reached' },
    ]);
    expect(dry).toEqual({ ...report, dryRun: true });
    expect((await journal(idp.orgId)).filter(({ type }) => type === 'seats.warning')).toHaveLength(1);
    // A seat that the same file frees is there for who comes after it.
    expect(await bring({ ...all[0], active: false }, { ...all[1], active: true }, all[4]!)).toMatchObject({
      updated: 2,
      activated: 0,
      problems: [{ line: 3 }],
    });
    await expectConsistent();
  });

  it('asks neither for the default group nor for the list of roles', async () => {
    const group = (await idp.post('/Groups', { displayName: 'Everybody' })).body;
    await set({ defaultGroup: group.id, roles: 'Admin' });
    expect(await bring(person('ada', { roles: [{ value: 'Owner' }] }))).toMatchObject({ created: 1, problems: [] });
    expect((await idp.get(`/Groups/${group.id}`)).body.members).toEqual([]);
  });

  it('run dry says the same and writes nothing, portion after portion', async () => {
    await set({ 'plan.seats': '2' });
    const ada = await idp.user('ada@acme.com');
    const before = await dump();
    const all = [person('ada', { protected: true }), person('bob'), { userName: '' }];
    const dry = (await send(all, { dryRun: true })).body;
    expect(await dump()).toBe(before);
    expect((await send([person('eve')], { dryRun: true, activated: dry.activated })).body.problems).toHaveLength(1);
    expect({ ...(await bring(...all)), dryRun: true }).toEqual(dry);
    expect((await bring(person('eve'))).problems).toHaveLength(1);
    expect((await show(ada.id)).protected).toBe(true);
  });

  it('of one org does nothing to another, though ids and userNames are the same', async () => {
    const other = await newIdp(`people-other-${n}`);
    const theirs = await other.user('ada@acme.com');
    const before = (await other.get(`/Users/${theirs.id}`)).text;
    expect(await bring(person('ada', { id: theirs.id, protected: true }))).toMatchObject({ created: 1, problems: [] });
    expect((await other.get(`/Users/${theirs.id}`)).text).toBe(before);
    expect((await journal(other.orgId, theirs.id)).map(({ type }) => type)).toEqual(['user.created']);
    expect((await show(theirs.id)).origin).toBe('host');
  });

  it.each<[string, object, RegExp]>([
    ['a list too long', { accounts: Array.from({ length: 501 }, (_, i) => ({ line: i + 1 })) }, /^accounts: .*500/],
    ['no list', { accounts: 'x' }, /^accounts: a list/],
    ['no line', { accounts: [{ userName: 'x' }] }, /^accounts\.0\.line: a whole number from 1/],
    ['a line of nought', { accounts: [{ line: 0 }] }, /^accounts\.0\.line: a whole number from 1/],
    ['a word for dryRun', { accounts: [], dryRun: 'yes' }, /^dryRun: true or false/],
    ['something else', { accounts: [], force: true }, /force/],
  ])('asked for with %s is refused as a whole', async (_, body, detail) => {
    const before = await dump();
    const { status, body: refusal } = await admin('POST', at('/import'), { body });
    expect({ status, refusal }).toMatchObject({ status: 400, refusal: { detail: expect.stringMatching(detail) } });
    expect(await dump()).toBe(before);
  });

  it('takes one or two round trips, and for each account as many rows in an org of any size', async () => {
    const meter = new Meter();
    const cost = async (count: number, name: string, more: Account = {}) => {
      meter.reset();
      const accounts = Array.from({ length: count }, (_, i) =>
        person(`${name}${i}`, { externalId: `${name}${i}`, ...more }),
      );
      const { body } = await send(accounts, {}, { env: { DB: meter.binding } });
      expect(body.problems).toEqual([]);
      return { trips: meter.roundTrips, read: meter.rowsRead / count, written: meter.rowsWritten / count };
    };
    await cost(1, 'first'); // what is said once of the org
    const small = await cost(20, 'a');
    const plans = (await meter.plans()).filter((line) => /^SCAN (?!json_each|\w+ VIRTUAL|CONSTANT)/.test(line));
    for (let i = 0; i < 4; i++) await cost(250, `fill${i}-`);
    const large = await cost(20, 'b');
    const again = await cost(20, 'b');
    const changed = await cost(20, 'b', { title: 'x' });
    const marked = await cost(20, 'b', { title: 'x', protected: true });
    console.log(small, large, again, changed, marked, plans);
    expect(small.trips).toBe(2);
    expect(again.trips).toBe(1);
    expect(again.written).toBe(0);
    expect(large.read).toBeCloseTo(small.read, 0);
    expect(large.written).toBeCloseTo(small.written, 0);
  });
});

describe('a preview of links', () => {
  const preview = async (query = '') => (await admin('GET', at(`/link-preview${query}`))).body;
  const ask = (people: Account[]) =>
    admin('POST', at('/link-preview'), { body: { people: people.map((one, i) => ({ line: i + 1, ...one })) } });
  const work = (value: string) => [{ value, type: 'work', primary: true }];
  const of = (accounts: { userName: string }[], userName: string) => accounts.find((it) => it.userName === userName);

  it('says of each account by what it would link, which addresses are in the way, and who is an owner', async () => {
    await bring(
      person('ada'),
      { schemas: [USER], userName: 'bob', emails: work('team@acme.com') },
      {
        schemas: [USER],
        userName: 'eve',
        emails: [...work('TEAM@acme.com'), { value: 'eve@home.test', type: 'home' }],
      },
      { schemas: [USER], userName: 'owner', protected: true, active: false },
    );
    await idp.user('theirs@acme.com');
    await set({ verifiedDomains: 'acme.com' });
    const { linking, verifiedDomains, accounts, next } = await preview();
    expect([linking, verifiedDomains, next, accounts.length]).toEqual(['email', ['acme.com'], null, 4]);
    expect(of(accounts, 'ada@acme.com')).toMatchObject({
      active: true,
      protected: false,
      links: { userName: true, emails: ['ada@acme.com'] },
      conflicts: [],
    });
    expect(of(accounts, 'bob')).toMatchObject({
      links: { userName: true, emails: [] },
      conflicts: [{ reason: 'shared', addresses: ['team@acme.com'] }],
    });
    expect(of(accounts, 'eve')).toMatchObject({
      conflicts: [
        { reason: 'shared', addresses: ['team@acme.com'] },
        { reason: 'unverified', addresses: ['eve@home.test'] },
        { reason: 'secondary', addresses: ['eve@home.test'] },
      ],
    });
    expect(of(accounts, 'owner')).toMatchObject({ active: false, protected: true });
  });

  it('names an imported externalId as a conflict, and the POST with another one says why it gets 409', async () => {
    await bring(person('ada', { externalId: 'hr-1' }));
    for (const linking of ['userName', 'email']) {
      await set({ verifiedDomains: 'acme.com', linking });
      const { conflicts } = (await preview()).accounts[0];
      expect(conflicts).toEqual([{ reason: 'externalId', addresses: [], detail: expect.stringContaining('409') }]);
    }
    const { people } = (await ask([{ schemas: [USER], userName: 'ada@acme.com', externalId: 'okta-1' }])).body;
    expect(people[0]).toMatchObject({ outcome: 'conflict', detail: expect.stringContaining('another externalId') });
    const refused = await idp.post('/Users', { userName: 'ada@acme.com', externalId: 'okta-1' });
    expect([refused.status, refused.body.detail]).toEqual([
      409,
      'userName is already taken by another resource with another externalId',
    ]);
  });

  it('follows the setting: by userName alone, or not at all', async () => {
    await bring(person('ada'));
    await set({ verifiedDomains: 'acme.com', linking: 'userName' });
    expect((await preview()).accounts[0].links).toEqual({ userName: true, emails: [] });
    await set({ linking: 'off' });
    expect((await preview()).accounts[0]).toMatchObject({
      links: { userName: false, emails: [] },
      conflicts: [{ reason: 'linking' }],
    });
  });

  it('goes page by page through those that are not linked yet, and none of another org', async () => {
    await bring(...['a', 'b', 'c'].map((name) => person(name, { id: name })));
    const first = await preview('?limit=2');
    expect([first.accounts.map(({ id }: { id: string }) => id), first.next]).toEqual([['a', 'b'], 'b']);
    expect((await idp.post('/Users', { userName: 'b@acme.com' })).status).toBe(201);
    const second = await preview(`?limit=2&after=${first.next}`);
    expect([second.accounts.map(({ id }: { id: string }) => id), second.next]).toEqual([['c'], null]);
    expect((await preview()).accounts).toHaveLength(2);
    const other = await newIdp(`${idp.slug}-other`);
    expect((await admin('GET', `/orgs/${other.slug}/users/link-preview`)).body.accounts).toEqual([]);
    expect((await admin('GET', `/orgs/${other.slug}/users/link-preview?after=a`)).status).toBe(400);
  });

  it('of a list of people says what each POST then comes to', async () => {
    const gone = await idp.user('gone', { externalId: 'gone' });
    await idp.delete(`/Users/${gone.id}`);
    await idp.user('theirs', { externalId: 'x1', emails: work('theirs@acme.com') });
    await bring(
      { schemas: [USER], userName: 'named' },
      { schemas: [USER], userName: 'addressed', emails: work('addressed@acme.com') },
      { schemas: [USER], userName: 'foreign', externalId: 'hers' },
      { schemas: [USER], userName: 'one', emails: work('team@acme.com') },
      { schemas: [USER], userName: 'two', emails: work('team@acme.com') },
    );
    await set({ verifiedDomains: 'acme.com' });
    const people: [Account, string, string?][] = [
      [{ userName: 'NAMED', externalId: 'n' }, 'links', 'userName'],
      [{ userName: 'by-mail', emails: work('Addressed@acme.com') }, 'links', 'email'],
      [{ userName: 'foreign', externalId: 'mine' }, 'conflict'],
      [{ userName: 'three', emails: work('team@acme.com') }, 'conflict'],
      [{ userName: 'beside', emails: work('theirs@acme.com') }, 'conflict'],
      [{ userName: 'theirs', externalId: 'x1' }, 'known'],
      [{ userName: 'gone', externalId: 'gone' }, 'restored'],
      [{ userName: 'nobody', emails: work('nobody@acme.com') }, 'new'],
      [{ userName: '' }, 'conflict'],
    ];
    const before = await dump();
    const { body } = await ask(people.map(([one]) => one));
    expect(body.people.map(({ outcome, by }: { outcome: string; by?: string }) => [outcome, by])).toEqual(
      people.map(([, outcome, by]) => [outcome, by]),
    );
    expect(await dump()).toBe(before);
    const links = body.people.filter(({ outcome }: { outcome: string }) => outcome === 'links');
    for (const [i, { account }] of links.entries()) {
      expect((await idp.post('/Users', people[i]![0])).body.id).toBe(account);
    }
    expect((await idp.post('/Users', people[2]![0])).status).toBe(409);
    for (const i of [3, 4]) expect((await idp.post('/Users', people[i]![0])).status).toBe(201);
    expect((await types()).filter((type) => type === 'user.linked')).toHaveLength(2);
  });

  it('costs one round trip a page, and for each account as many rows in an org of any size', async () => {
    const meter = new Meter();
    const cost = async (limit: number) => {
      meter.reset();
      const { body } = await admin('GET', at(`/link-preview?limit=${limit}`), { env: { DB: meter.binding } });
      expect(body.accounts).toHaveLength(limit);
      expect(meter.roundTrips).toBe(1);
      return meter.rowsRead / limit;
    };
    const people = (from: number) => Array.from({ length: 250 }, (_, i) => person(`u${from + i}`));
    await bring(...people(0));
    const small = await cost(100);
    await bring(...people(250));
    expect(await cost(100)).toBeCloseTo(small, 0);
    expect((await meter.plans()).filter((line) => /^SCAN users/.test(line))).toEqual([]);
  });

  it.each(['?after=nobody', '?after=', '?limit=0', '?limit=501', '?limit=x'])(
    'is told what it takes: %s',
    async (query) => {
      const { status, body } = await admin('GET', at(`/link-preview${query}`));
      expect([status, body.detail]).toEqual([400, expect.stringMatching(/^(after|limit): .* expected/)]);
    },
  );
});

describe('a mark of protection', () => {
  const mark = (user: string, verb: 'protect' | 'unprotect', body: object = {}) =>
    admin('POST', at(`/${encodeURIComponent(user)}/${verb}`), { body });

  it('is set and taken away by id or userName, is told once, and moves no version', async () => {
    const { id, meta } = await idp.user('Owner@acme.com');
    expect((await mark('OWNER@acme.com', 'protect', { by: 'olga', reason: 'the owner' })).body).toEqual({
      id,
      userName: 'Owner@acme.com',
      protected: true,
    });
    expect((await mark(id, 'protect')).body.protected).toBe(true);
    expect(await show(id)).toMatchObject({ protected: true, origin: 'idp' });
    expect((await idp.get(`/Users/${id}`)).body.meta).toEqual(meta);
    expect((await mark(id, 'unprotect')).body.protected).toBe(false);
    expect(await types(id)).toEqual(['user.created', 'user.protected', 'user.unprotected']);
    expect((await events(id))[1]).toMatchObject({ actor: 'admin:admin', details: { by: 'olga', reason: 'the owner' } });
    expect((await idp.delete(`/Users/${id}`)).status).toBe(204);
  });

  it('is of a live user of this org, and of nobody else', async () => {
    const { id } = await idp.user('gone');
    await idp.delete(`/Users/${id}`);
    const other = await newIdp(`${idp.slug}-other`);
    const theirs = await other.user('theirs');
    const before = await dump();
    for (const user of [id, 'gone', theirs.id, 'theirs', 'nobody'])
      expect((await mark(user, 'protect')).status).toBe(404);
    expect(await dump()).toBe(before);
  });

  it('asked for at once by many is told once', async () => {
    const { id } = await idp.user('owner');
    const answers = await Promise.all(Array.from({ length: 10 }, () => mark(id, 'protect')));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(await types(id)).toEqual(['user.created', 'user.protected']);
  });

  it.each([{ reason: '' }, { reason: 7 }, { reason: 'x'.repeat(201) }, { by: '' }, { until: 'noon' }])(
    'says what was expected in the place of %j',
    async (body) => {
      const { id } = await idp.user('owner');
      expect((await mark(id, 'protect', body)).status).toBe(400);
      expect(await types(id)).toEqual(['user.created']);
    },
  );
});
