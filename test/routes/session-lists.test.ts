/** The present state of an org as an application reads it: pages of everybody, and what has changed since. */
import { env, exports } from 'cloudflare:workers';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, type Ask, admin, host, type Idp, newIdp } from '../support/client';
import { fillDirectory, idOf } from '../support/directory';
import { fillGroup, fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { Random } from '../support/random';

type Query = Record<string, string>;
// biome-ignore lint/suspicious/noExplicitAny: as Answer.body
type Entry = any;

let idp: Idp;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`lists-${++n}`);
});

const get = (path: string, query: Query, more?: Ask) => host('GET', `${path}?${new URLSearchParams(query)}`, more);
const resolve = async (question: object) => (await host('POST', '/resolve', { body: question })).body;
const active = (value: boolean) => [{ op: 'replace', path: 'active', value }];
const set = (path: string, value: unknown) => [{ op: 'replace', path, value }];
const members = (op: 'add' | 'remove', ...ids: string[]) =>
  op === 'add'
    ? [{ op, path: 'members', value: ids.map((value) => ({ value })) }]
    : ids.map((id) => ({ op, path: `members[value eq "${id}"]` }));
const permit = (group: string, permissions: string[]) =>
  admin('PUT', `/orgs/${idp.slug}/groups/${group}/permissions`, { body: { permissions } });
const newGroup = async (displayName: string, ...ids: string[]): Promise<string> =>
  (await idp.post('/Groups', { displayName, members: ids.map((value) => ({ value })) })).body.id;

/** All pages of a list. */
async function walk(path: 'users' | 'groups' | 'memberships', query: Query = {}, org = idp.slug) {
  const pages: Entry[] = [];
  for (let cursor: string | null = ''; cursor !== null; cursor = pages.at(-1).cursor) {
    const answer = await get(`/${path}`, { org, ...query, ...(cursor && { cursor }) });
    expect(answer.status, answer.text).toBe(200);
    pages.push(answer.body);
  }
  return { pages, entries: pages.flatMap((page) => page[path]) as Entry[] };
}

/** What an application has: filled from the lists, and followed by changes. */
class Copy {
  readonly users = new Map<string, Entry>();
  readonly groups = new Map<string, Entry>();
  next = '0';
  resyncs = 0;

  async fill() {
    const users = await walk('users');
    const groups = await walk('groups');
    this.users.clear();
    this.groups.clear();
    for (const user of users.entries) this.users.set(user.id, user);
    for (const group of groups.entries) this.groups.set(group.id, group);
    this.next = String(users.pages[0].asOfSeq);
  }

  async follow(limit = '500') {
    for (let more = true; more; ) {
      const { status, body, text } = await get('/changes', { org: idp.slug, after: this.next, limit });
      expect(status, text).toBe(200);
      if (body.resync) {
        this.resyncs++;
        await this.fill();
        continue;
      }
      for (const [kind, entries] of [
        [this.users, body.users],
        [this.groups, body.groups],
      ]) {
        for (const entry of entries) entry.removed ? kind.delete(entry.id) : kind.set(entry.id, entry);
      }
      ({ next: this.next, more } = body);
    }
  }

  async expectEqual() {
    const byId = (a: Entry, b: Entry) => (a.id < b.id ? -1 : 1);
    expect([...this.users.values()].sort(byId)).toEqual((await walk('users')).entries.sort(byId));
    expect([...this.groups.values()].sort(byId)).toEqual((await walk('groups')).entries.sort(byId));
  }
}

describe('the list of users', () => {
  it('says of each what the login gate says', async () => {
    const ada = await idp.user('ada', {
      externalId: 'hr-1',
      displayName: 'Ada',
      name: { givenName: 'Ada', familyName: 'Lovelace' },
      emails: [{ value: 'ada@x.example', type: 'work', primary: true }],
      roles: [{ value: 'admin' }],
    });
    const bare = await idp.user('bare');
    const gone = await idp.user('gone');
    await idp.delete(`/Users/${gone.id}`);
    const team = await newGroup('Team', ada.id);
    const all = await newGroup('Everyone', team, bare.id);
    await permit(team, ['write', 'read']);
    await permit(all, ['enter']);
    await idp.patch(`/Users/${bare.id}`, active(false));
    const { entries, pages } = await walk('users');
    expect(entries.map(({ id }) => id)).toEqual([ada.id, bare.id]);
    for (const entry of entries) {
      const { found, org, validAfter, notBefore, endedBy, ...resolved } = await resolve({
        org: idp.slug,
        id: entry.id,
      });
      expect(entry).toEqual(resolved);
    }
    expect(entries[0]).toEqual({
      ...{ id: ada.id, userName: 'ada', externalId: 'hr-1', displayName: 'Ada', active: true, authentication: 'sso' },
      name: { givenName: 'Ada', familyName: 'Lovelace' },
      emails: [{ value: 'ada@x.example', type: 'work', primary: true }],
      groups: [
        { id: team, displayName: 'Team' },
        { id: all, displayName: 'Everyone' },
      ],
      ...{ roles: ['admin'], permissions: ['enter', 'read', 'write'], version: 1 },
    });
    expect(entries[1]).toMatchObject({ active: false, name: null, emails: [], version: 2 });
    expect(pages[0].org).toEqual({ id: idp.orgId, slug: idp.slug });
    const { body } = await get('/events', { org: idp.slug });
    expect(pages[0].asOfSeq).toBe(body.current);
    const { users, asOfSeq, cursor } = (await exports.Sessions.users({ org: idp.slug })) as Entry;
    expect({ users, asOfSeq, cursor }).toEqual({ users: entries, asOfSeq: pages[0].asOfSeq, cursor: null });
  });

  it('has everybody who was there all the time once, whoever comes and goes between the pages', async () => {
    await fillUsers(idp, 50);
    const found: string[] = [];
    let cursor: string | null = '';
    for (let page = 0; cursor !== null; page++) {
      const { body } = await get('/users', { org: idp.slug, limit: '7', ...(cursor && { cursor }) });
      found.push(...body.users.map(({ id }: Entry) => id));
      cursor = body.cursor;
      // The last one of the page, one that was told, and one that was not.
      for (const id of [found.at(-1), `u${page + 1}`, `u${50 - page}`]) await idp.delete(`/Users/${id}`);
      await idp.user(`late-${page}`);
    }
    expect(new Set(found).size).toBe(found.length);
    for (const { id, userName } of (await walk('users')).entries)
      if (!userName.startsWith('late-')) expect(found).toContain(id);
  });

  it('can be of those alone who may sign in, or may not; of an org that is switched off nobody may', async () => {
    await fillUsers(idp, 20);
    for (const i of [3, 4, 11, 20]) await idp.patch(`/Users/u${i}`, active(false));
    const ids = async (active: string) => (await walk('users', { active, limit: '3' })).entries.map(({ id }) => id);
    expect(await ids('false')).toEqual(['u3', 'u4', 'u11', 'u20']);
    expect(await ids('true')).toHaveLength(16);
    await admin('POST', `/orgs/${idp.slug}/disable`, { body: {} });
    expect(await ids('true')).toEqual([]);
    expect(await ids('false')).toHaveLength(20);
    expect((await walk('users')).entries.every(({ active }) => active === false)).toBe(true);
  });

  it('ends a page early where users are large, and has each of them', async () => {
    await fillUsers(idp, 12);
    const large = 'x'.repeat(1_500_000);
    await env.DB.prepare(
      `UPDATE users SET resource = json_set(resource, '$.title', ?1) WHERE org_id = ?2 AND id IN ('u2', 'u3', 'u5', 'u7', 'u8', 'u11')`,
    )
      .bind(large, idp.orgId)
      .run();
    const { entries, pages } = await walk('users');
    expect(entries.map(({ id }) => id)).toEqual(Array.from({ length: 12 }, (_, i) => userId(i + 1)));
    expect(pages.length).toBeGreaterThan(1);
  });
});

describe('the lists of groups and memberships', () => {
  it('say what groups allow, and who is directly in which', async () => {
    const [ada, bob] = [await idp.user('ada'), await idp.user('bob')];
    const team = await newGroup('Team', ada.id, bob.id);
    const all = await newGroup('Everyone', team, bob.id);
    await newGroup('Empty');
    await permit(team, ['write', 'read']);
    const groups = (await walk('groups', { limit: '1' })).entries;
    expect(groups.map(({ id }) => id)).toEqual(groups.map(({ id }) => id).toSorted());
    expect(groups.find(({ id }) => id === team)).toEqual({
      ...{ id: team, displayName: 'Team', externalId: null, permissions: ['read', 'write'] },
    });
    const expected = [
      { group: team, type: 'User', id: ada.id },
      { group: team, type: 'User', id: bob.id },
      { group: all, type: 'User', id: bob.id },
      { group: all, type: 'Group', id: team },
    ];
    const text = (list: Entry[]) => list.map((entry) => JSON.stringify(entry)).sort();
    for (const limit of ['1', '2', '3', '5000']) {
      const { entries } = await walk('memberships', { limit });
      expect(text(entries)).toEqual(text(expected));
    }
  });

  it('miss no membership when the group or the member that ended a page is deleted', async () => {
    await fillUsers(idp, 6);
    const groups = [await newGroup('A', 'u1', 'u2', 'u3'), await newGroup('B', 'u1', 'u4')];
    const outer = await newGroup('C', ...groups, 'u5');
    const found = new Set<string>();
    let [cursor, deleted]: [string | null, number] = ['', 0];
    while (cursor !== null) {
      const { body } = await get('/memberships', { org: idp.slug, limit: '1', ...(cursor && { cursor }) });
      for (const entry of body.memberships) found.add(JSON.stringify(entry));
      cursor = body.cursor;
      const last = body.memberships.at(-1);
      if (last?.type === 'Group' && deleted++ === 0) await idp.delete(`/Groups/${last.id}`);
    }
    for (const entry of (await walk('memberships')).entries) expect(found).toContain(JSON.stringify(entry));
    expect(outer).toBeDefined();
  });
});

describe('the changes', () => {
  it('are the present state of each user and group, once, however often it changed; deleted ones are removed', async () => {
    const { body: start } = await get('/users', { org: idp.slug });
    const [ada, bob] = [await idp.user('ada'), await idp.user('bob')];
    for (const title of ['a', 'b', 'c']) await idp.patch(`/Users/${ada.id}`, set('displayName', title));
    const [team, gone] = [await newGroup('Team', ada.id), await newGroup('Gone', bob.id)];
    await idp.delete(`/Groups/${gone}`);
    await idp.delete(`/Users/${bob.id}`);
    const { body } = await get('/changes', { org: idp.slug, after: String(start.asOfSeq) });
    expect(body.users).toEqual([
      expect.objectContaining({ id: ada.id, displayName: 'c', groups: [{ id: team, displayName: 'Team' }] }),
      { id: bob.id, removed: true, removedAt: expect.stringMatching(/Z$/) },
    ]);
    expect(body.groups.toSorted((a: Entry) => (a.removed ? 1 : -1))).toEqual([
      { id: team, displayName: 'Team', externalId: null, permissions: [] },
      { id: gone, removed: true },
    ]);
    expect(body).toMatchObject({ more: false, resync: false });
    const again = (await get('/changes', { org: idp.slug, after: body.next })).body;
    expect(again).toMatchObject({ users: [], groups: [], more: false, asOfSeq: body.asOfSeq });
    expect(await exports.Sessions.changes({ org: idp.slug, after: start.asOfSeq })).toEqual(body);
  });

  it('reach everybody below a group that is renamed, allowed more, nested, taken out or deleted', async () => {
    await fillUsers(idp, 30);
    const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => userId(from + i));
    const inner = await newGroup('Inner', ...range(1, 10));
    const middle = await newGroup('Middle', inner, ...range(8, 15));
    const outer = await newGroup('Outer', ...range(20, 22));
    const copy = new Copy();
    await copy.fill();
    const steps = [
      () => idp.patch(`/Groups/${outer}`, members('add', middle)),
      () => permit(outer, ['all']),
      () => idp.patch(`/Groups/${middle}`, set('displayName', 'Renamed')),
      () => idp.patch(`/Groups/${middle}`, members('remove', inner)),
      () => permit(inner, ['own']),
      () => idp.patch(`/Groups/${middle}`, members('add', inner)),
      () => idp.delete(`/Groups/${middle}`),
      () => idp.delete(`/Groups/${inner}`),
    ];
    for (const step of steps) {
      expect((await step()).status).toBeLessThan(300);
      await copy.follow('4');
      await copy.expectEqual();
    }
    expect(copy.resyncs).toBe(0);
  });

  it('keep a copy equal, whatever happens between the pages', async () => {
    const random = new Random(Number(env.PROPERTY_SEED));
    await fillUsers(idp, 40);
    const users = Array.from({ length: 40 }, (_, i) => userId(i + 1));
    const groups = [await newGroup('G0', 'u1', 'u2')];
    const copy = new Copy();
    await copy.fill();
    let made = 0;
    const operations = [
      async () => users.push((await idp.user(`new-${++made}`)).id),
      () => idp.patch(`/Users/${random.pick(users)}`, set('displayName', `Name ${++made}`)),
      () => idp.patch(`/Users/${random.pick(users)}`, active(random.chance(0.5))),
      () => idp.delete(`/Users/${random.pick(users)}`),
      () => admin('POST', `/orgs/${idp.slug}/users/${random.pick(users)}/restore`, { body: {} }),
      async () =>
        groups.push(await newGroup(`G${++made}`, random.pick(users), random.pick(users), random.pick(groups))),
      () => idp.patch(`/Groups/${random.pick(groups)}`, members('add', random.pick(users), random.pick(users))),
      () => idp.patch(`/Groups/${random.pick(groups)}`, members('add', random.pick(groups))),
      () => idp.patch(`/Groups/${random.pick(groups)}`, members('remove', random.pick(users), random.pick(groups))),
      () => idp.patch(`/Groups/${random.pick(groups)}`, set('displayName', `G${++made}`)),
      () => permit(random.pick(groups), random.chance(0.5) ? ['read'] : ['read', `p${made}`]),
      () => (random.chance(0.3) ? idp.delete(`/Groups/${random.pick(groups)}`) : undefined),
    ];
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 12; i++) await random.pick(operations)();
      // In the middle of the pages, too.
      const { body } = await get('/changes', { org: idp.slug, after: copy.next, limit: '3' });
      await random.pick(operations)();
      for (const user of body.users) user.removed ? copy.users.delete(user.id) : copy.users.set(user.id, user);
      for (const group of body.groups) group.removed ? copy.groups.delete(group.id) : copy.groups.set(group.id, group);
      copy.next = body.next;
      await copy.follow(random.pick(['1', '3', '500']));
      await copy.expectEqual();
    }
    expect(copy.resyncs).toBe(0);
  });

  it('ask for the lists where everybody changed at once, or more left a group than the journal names', async () => {
    await fillUsers(idp, 1_200);
    const group = await fillGroup(idp, 'large', 1_200);
    const copy = new Copy();
    await copy.fill();
    const steps: [string, () => Promise<Answer>][] = [
      [
        'authentication',
        () => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { authentication: 'password-setup' } } }),
      ],
      ['disabled', () => admin('POST', `/orgs/${idp.slug}/disable`, { body: {} })],
      ['enabled', () => admin('POST', `/orgs/${idp.slug}/enable`, { body: {} })],
      ['deleted', () => idp.delete(`/Groups/${group}`)],
    ];
    for (const [i, [name, step]] of steps.entries()) {
      expect((await step()).status, name).toBeLessThan(300);
      await copy.follow();
      expect(copy.resyncs, name).toBe(i + 1);
    }
    await copy.expectEqual();
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { restore: 'never' } } });
    await copy.follow();
    expect(copy.resyncs).toBe(steps.length);
  });

  it('ask for the lists where events are gone, told by the journal or not', async () => {
    await idp.user('ada');
    await idp.user('bob');
    const at = (after: number) => get('/changes', { org: idp.slug, after: String(after) });
    const { body: whole } = await at(0);
    expect(whole.resync).toBe(false);
    await env.DB.prepare('UPDATE orgs SET pruned_through = 2 WHERE id = ?').bind(idp.orgId).run();
    expect((await at(0)).body).toMatchObject({ resync: true, more: false, users: [], groups: [] });
    expect((await at(2)).body.resync).toBe(false);
    await env.DB.prepare('UPDATE orgs SET pruned_through = 0 WHERE id = ?').bind(idp.orgId).run();
    await env.DB.prepare('DELETE FROM events WHERE org_id = ? AND seq = 3').bind(idp.orgId).run();
    expect((await at(0)).body.resync).toBe(true);
    await env.DB.prepare('DELETE FROM events WHERE org_id = ?').bind(idp.orgId).run();
    expect((await at(3)).body.resync).toBe(true);
    expect((await at(whole.asOfSeq)).body).toMatchObject({ resync: false, more: false });
  });
});

describe('a cursor', () => {
  it('of the future, another org, another list, another filter or another format is refused', async () => {
    const other = await newIdp(`lists-other-${n}`);
    for (const { ...one } of [idp, other]) await fillUsers(one as Idp, 3);
    const { body: theirs } = await get('/users', { org: other.slug, limit: '1' });
    const { body: ours } = await get('/users', { org: idp.slug, limit: '1' });
    const { body: change } = await get('/changes', { org: other.slug, after: '0' });
    const encoded = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, '');
    const refused: [string, Query][] = [
      ['/users', { cursor: theirs.cursor }],
      ['/users', { cursor: 'x' }],
      ['/users', { cursor: '' }],
      ['/users', { cursor: encoded([1, 'users', idp.orgId]) }],
      ['/users', { cursor: encoded({}) }],
      ['/users', { cursor: ours.cursor, active: 'true' }],
      ['/users', { active: 'yes' }],
      ['/users', { limit: '501' }],
      ['/groups', { cursor: ours.cursor }],
      ['/memberships', { cursor: ours.cursor }],
      ['/memberships', { cursor: encoded([1, 'memberships', idp.orgId, 'a', 'Robot', 'b']) }],
      ['/changes', {}],
      ['/changes', { after: '-1' }],
      ['/changes', { after: '999999' }],
      ['/changes', { after: change.next }],
      ['/changes', { after: ours.cursor }],
      ['/changes', { after: encoded([1, 'changes', idp.orgId, 5, 3, 'u1']) }],
      ['/changes', { after: encoded([1, 'changes', idp.orgId, 0, 99_999, 'u1']) }],
      ['/changes', { after: encoded([1, 'changes', idp.orgId, '0']) }],
    ];
    for (const [path, query] of refused) {
      const answer = await get(path, { org: idp.slug, ...query });
      expect(answer.status, `${path} ${JSON.stringify(query)}: ${answer.text}`).toBe(400);
    }
    for (const path of ['/users', '/groups', '/memberships']) {
      expect((await get(path, { org: 'nowhere' })).status).toBe(404);
      expect((await get(path, {})).status).toBe(400);
    }
  });
});

describe('somebody who was deleted', () => {
  const found = (org = idp.slug) =>
    Promise.all(
      [{ id: gone.id }, { userName: 'ADA' }, { externalId: 'hr-1' }, { email: 'ada@x.example' }].map((by) =>
        resolve({ org, ...by }),
      ),
    );
  let gone: { id: string };
  const person = { externalId: 'hr-1', emails: [{ value: 'Ada@X.example' }, { value: 'ada@home.example' }] };
  beforeEach(async () => {
    gone = await idp.user('ada', person);
  });

  it('is said to be removed, and when, whatever they are asked for by, and is found again once restored', async () => {
    const before = Date.now();
    await idp.delete(`/Users/${gone.id}`);
    for (const answer of await found()) {
      expect(answer).toEqual({ found: false, removed: true, removedAt: expect.any(String) });
      expect(Date.parse(answer.removedAt)).toBeGreaterThanOrEqual(before - 1_000);
    }
    expect(await resolve({ org: idp.slug, email: 'someone@x.example' })).toEqual({ found: false });
    await admin('POST', `/orgs/${idp.slug}/users/${gone.id}/restore`, { body: {} });
    for (const answer of await found()) expect(answer).toMatchObject({ found: true, id: gone.id });
    expect(
      await env.DB.prepare('SELECT count(*) AS n FROM deleted_emails WHERE org_id = ?').bind(idp.orgId).first('n'),
    ).toBe(0);
  });

  it('gives way to somebody live with the same name or address', async () => {
    await idp.delete(`/Users/${gone.id}`);
    const { id } = await idp.user('bob', { emails: [{ value: 'ada@x.example' }] });
    expect(await resolve({ org: idp.slug, email: 'ada@x.example' })).toMatchObject({ found: true, id });
    expect(await resolve({ org: idp.slug, userName: 'ada' })).toMatchObject({ found: false, removed: true });
  });

  it('is known by the id alone once erased, and to no other org', async () => {
    await idp.delete(`/Users/${gone.id}`);
    const other = await newIdp(`lists-elsewhere-${n}`);
    for (const answer of await found(other.slug)) expect(answer).toEqual({ found: false });
    await admin('POST', `/orgs/${idp.slug}/users/${gone.id}/erase?confirm=${gone.id}`, { body: {} });
    const [byId, ...others] = await found();
    expect(byId).toMatchObject({ found: false, removed: true });
    for (const answer of others) expect(answer).toEqual({ found: false });
  });
});

describe('a domain', () => {
  const discover = async (email: string) => (await host('POST', '/discover', { body: { email } })).body;
  const setTo = (org: Idp, settings: object) => admin('PATCH', `/orgs/${org.slug}`, { body: { settings } });

  it('leads to the orgs that have verified it, with the name of their SSO', async () => {
    const other = await newIdp(`lists-same-domain-${n}`);
    const domain = `straße-${n}.example`;
    await setTo(idp, { verifiedDomains: `acme-${n}.example,${domain}`, sso: 'okta-acme' });
    await setTo(other, { verifiedDomains: domain });
    const [one, two] = [
      { id: idp.orgId, slug: idp.slug, name: idp.slug, sso: 'okta-acme' },
      { id: other.orgId, slug: other.slug, name: other.slug, sso: null },
    ];
    expect(await discover(`Ada@ACME-${n}.example`)).toEqual({ orgs: [one] });
    expect(await discover(`ada@${domain}`)).toEqual({ orgs: [one, two] });
    expect(await exports.Sessions.discover({ email: `ada@${domain}` })).toEqual({ orgs: [one, two] });
    for (const nobody of ['ada@sub.acme.example', 'ada', '@', 'ada@127.0.0.1']) {
      expect(await discover(nobody)).toEqual({ orgs: [] });
    }
    await admin('POST', `/orgs/${other.slug}/disable`, { body: {} });
    await setTo(idp, { verifiedDomains: `acme-${n}.example` });
    expect(await discover(`ada@${domain}`)).toEqual({ orgs: [] });
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    expect(await discover(`ada@acme-${n}.example`)).toEqual({ orgs: [] });
  });
});

describe('in an org of 20,000 users and 500 groups', () => {
  const meter = new Meter();
  const metered: Ask = { env: { DB: meter.binding } };
  let big: Idp;
  beforeAll(async () => {
    big = await newIdp('lists-big');
    await fillDirectory(big, 20_000, 500);
    await env.DB.batch([
      env.DB.prepare(
        `WITH RECURSIVE g (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < 500)
          INSERT INTO groups (org_id, id, display_name_key, version, created_at, modified_at, member_count, resource, folded)
          SELECT ?1, printf('group-%03d', i), 'g' || i, 1, 1, 1, 200, json_object('displayName', 'G' || i), '{}' FROM g`,
      ).bind(big.orgId),
      // Five groups for each.
      env.DB.prepare(
        `INSERT INTO memberships (org_id, group_seq, is_group, member_seq)
          SELECT u.org_id,
            (SELECT g.seq FROM groups AS g WHERE g.org_id = u.org_id AND g.id = printf('group-%03d', 1 + (u.seq + k.value * 100) % 500)),
            0, u.seq FROM users AS u JOIN json_each('[0,1,2,3,4]') AS k
          WHERE u.org_id = ?1 AND u.deleted_at IS NULL`,
      ).bind(big.orgId),
    ]);
  }, 120_000);

  it('all of them come in at most 60 pages of one round trip, which read what they answer', async () => {
    let [pages, users, cursor]: [number, number, string | null] = [0, 0, ''];
    for (; cursor !== null; pages++) {
      meter.reset();
      const { body } = await get('/users', { org: big.slug, ...(cursor && { cursor }) }, metered);
      expect(meter.roundTrips).toBe(1);
      expect(meter.rowsRead).toBeLessThanOrEqual(20_000);
      users += body.users.length;
      cursor = body.cursor;
    }
    expect([pages <= 60, users]).toEqual([true, 20_000]);
  });

  it('pages of groups, memberships and changes take one round trip, wherever they begin', async () => {
    const last = async (path: string, query: Query = {}) => {
      meter.reset();
      const answer = await get(path, { org: big.slug, ...query }, metered);
      expect(answer.status, answer.text).toBe(200);
      expect(meter.roundTrips).toBe(1);
      return answer.body;
    };
    expect((await last('/groups')).groups).toHaveLength(500);
    expect(meter.rowsRead).toBeLessThanOrEqual(3_000);
    let memberships = 0;
    for (let cursor: string | null = ''; cursor !== null; ) {
      const body: Entry = await last('/memberships', cursor ? { cursor } : {});
      expect(meter.rowsRead).toBeLessThanOrEqual(35_000);
      memberships += body.memberships.length;
      cursor = body.cursor;
    }
    expect(memberships).toBe(100_000);
    const { asOfSeq } = await last('/users', { limit: '1' });
    await big.patch(`/Users/${idOf(7)}`, set('displayName', 'Changed'));
    expect((await last('/changes', { after: String(asOfSeq) })).users).toHaveLength(1);
    expect(meter.rowsRead).toBeLessThanOrEqual(200);
    expect((await last('/users', { active: 'false' })).users).toHaveLength(200);
    expect(meter.rowsRead).toBeLessThanOrEqual(8_000);
  });
});
