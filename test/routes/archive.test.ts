/** An org as a file: out of one service and into another, beside the original, and back from the dead. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { warn } from '../../src/cron/credentials';
import { ENTERPRISE_USER } from '../../src/scim/urns';
import { flagKey } from '../../src/sessions/flag';
import { begin, exported, finish, imported, type Line, lasting, send } from '../support/archive';
import { type Ask, admin, ask, BASE, host, type Idp, newIdp } from '../support/client';
import { coordinatorOf } from '../support/coordinator';
import { counters, dump, journal, rows } from '../support/database';
import { fillDirectory } from '../support/directory';
import { FaultyDb } from '../support/faults';
import { Meter } from '../support/meter';
import { newClient, tokenOf } from '../support/oauth';
import { unreachable } from '../support/outbox';

const STAFF = 'urn:acme:scim:2.0:Staff';

/** An org with everything that an org can have, as the service itself writes it. */
interface Full {
  readonly idp: Idp;
  readonly oldToken: string;
  readonly password: string;
  readonly access: string;
  readonly refresh: string;
  readonly ids: Record<'ada' | 'bob' | 'cleo' | 'dan' | 'eve' | 'fay', string>;
  readonly groups: Record<'all' | 'sales', string>;
}

let number = 0;

async function full(): Promise<Full> {
  const slug = `full-${++number}`;
  const idp = await newIdp(slug);
  const rotated = await admin('POST', `/orgs/${slug}/tokens/rotate`, { body: { grace: '1h' } });
  const { body: basic } = await admin('POST', `/orgs/${slug}/basic`, { body: {} });
  const client = await newClient({ slug });
  const { body: given } = await tokenOf(client);
  await admin('POST', `/orgs/${slug}/schemas`, {
    body: {
      id: STAFF,
      attributes: [{ name: 'level', type: 'integer' }, { name: 'nick' }, { name: 'factor', type: 'decimal' }],
    },
  });
  await admin('POST', `/orgs/${slug}/schemas`, { body: { id: 'urn:acme:gone', attributes: [{ name: 'a' }] } });
  await admin('DELETE', `/orgs/${slug}/schemas/urn:acme:gone?confirm=urn:acme:gone`);
  const person = async (name: string, more: object = {}) =>
    (await idp.user(`${name}@${slug}.test`, { emails: [{ value: `${name}@${slug}.test`, type: 'work' }], ...more })).id;
  const ada = await person('ada', {
    externalId: 'E-ada',
    name: { familyName: 'Müller', givenName: 'Ada' },
    [STAFF]: { level: 3, nick: 'Straße', factor: 1.5 },
  });
  const bob = await person('bob', { active: false, [ENTERPRISE_USER]: { manager: { value: ada } } });
  const cleo = await person('cleo', { externalId: 'E-cleo' });
  await idp.delete(`/Users/${cleo}`);
  const dan = await person('dan');
  const eve = await person('eve');
  const fay = await person('fay');
  await admin('POST', `/orgs/${slug}/users/${fay}/sign-out`, { body: {} });
  await idp.patch(`/Users/${ada}`, [{ op: 'replace', path: 'title', value: 'Countess' }]);
  const group = async (displayName: string, members: string[]) =>
    (await idp.post('/Groups', { displayName, members: members.map((value) => ({ value })) })).body.id as string;
  const sales = await group('Sales', [ada, bob, fay]);
  const all = await group('All', [sales, dan]);
  await admin('PUT', `/orgs/${slug}/groups/${sales}/permissions`, { body: { permissions: ['deals:write', 'a'] } });
  await admin('PATCH', `/orgs/${slug}`, {
    body: {
      settings: {
        defaultGroup: 'All',
        signOutGroups: 'Sales',
        roles: 'Admin, Ärzte',
        'plan.seats': '50',
        sso: 'okta',
        name: 'Full',
      },
    },
  });
  // As an import from the host app, an erasure, the brake and an assertion would have left them.
  await env.DB.batch([
    env.DB.prepare("UPDATE users SET origin = 'host', protected = 1 WHERE id = ?").bind(dan),
    env.DB.prepare(
      `UPDATE users SET user_name_key = '', external_id = NULL, resource = '{}', folded = '{}', active = 0,
        deleted_at = 1767225600000, erased_at = 1767225600000, not_before = 1767225600000 WHERE id = ?`,
    ).bind(eve),
    env.DB.prepare("DELETE FROM user_emails WHERE value_key LIKE 'eve@%' AND org_id = ?").bind(idp.orgId),
    env.DB.prepare(
      'UPDATE orgs SET user_count = user_count - 1, active_user_count = active_user_count - 1 WHERE id = ?',
    ).bind(idp.orgId),
    env.DB.prepare("INSERT INTO brake_held VALUES (?, ?, 'deactivate', 1, 2, 3, NULL, NULL)").bind(idp.orgId, ada),
    env.DB.prepare('INSERT INTO brake_counts VALUES (?, 1767225600000, 3)').bind(idp.orgId),
    env.DB.prepare('INSERT INTO assertions VALUES (?, ?, 4102444800000)').bind(idp.orgId, 'ab'.repeat(32)),
    env.DB.prepare(`INSERT INTO grants VALUES (?, 'g1', ?, ?, 1, '', NULL, 1, 'olga', 2, NULL, 4102444800000)`).bind(
      idp.orgId,
      client.clientId,
      'cd'.repeat(32),
    ),
  ]);
  await ask('GET', `${BASE}/orgs/${slug}/scim/v2/Users`); // refused, and counted
  await coordinatorOf(idp.orgId).drain();
  return {
    idp: { ...idp },
    oldToken: idp.token,
    password: basic.password,
    access: given.access_token,
    refresh: rotated.body.token,
    ids: { ada, bob, cleo, dan, eve, fay },
    groups: { all, sales },
  };
}

let it_: Full;
/** Its file, of when nothing had happened to it. */
let file: Line[];
beforeAll(async () => {
  it_ = await full();
  file = await exported(it_.idp.slug);
});

/** It is gone, and D1 and KV know nothing of it, as those of a deployment where it never was. */
async function forgotten(): Promise<void> {
  await remove(it_.idp.slug, quietly);
  await env.DB.prepare('DELETE FROM outbox').run();
  await env.DB.prepare('DELETE FROM deleted_orgs').run();
  const flags = await env.REVOCATIONS.list({ prefix: flagKey(it_.idp.orgId) });
  await Promise.all(flags.keys.map(({ name }) => env.REVOCATIONS.delete(name)));
}

/** It is as it was at first. */
async function back(): Promise<Line[]> {
  await forgotten();
  const { status, text } = await imported(it_.idp.slug, file, 200, quietly);
  expect(status, text).toBe(200);
  return exported(it_.idp.slug);
}

const with_ = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });
const kinds = (lines: readonly Line[]) => [...new Set(lines.map(({ kind }) => kind))];
const remove = (slug: string, more: Ask = {}) => admin('DELETE', `/orgs/${slug}?confirm=${slug}`, more);
/** Where publishing is not what is tested: KV takes a write a second of a key, and the object waits for it. */
const quietly: Ask = { env: unreachable };
const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());
const checked = async (org: string, user: string, issuedAt: number) =>
  (await host('POST', '/check', { body: { org, user, issuedAt } })).body;

describe('an org that is exported, deleted and imported', () => {
  let lines: Line[];
  let orders: unknown[];
  let deletedAt: number;
  const walk = async (path: string) => {
    const found: string[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      const { body } = await it_.idp.get(`/${path}count=2&cursor=${encodeURIComponent(cursor)}`, with_(it_.refresh));
      found.push(...body.Resources.map(({ id }: { id: string }) => id));
      cursor = body.nextCursor;
    }
    return found;
  };
  const paths = [
    'Users?',
    'Users?sortBy=userName&',
    'Users?sortBy=emails.value&',
    'Groups?',
    'Groups?sortBy=displayName&',
  ];

  beforeAll(async () => {
    orders = await Promise.all(paths.map(walk));
    lines = file;
    deletedAt = Date.now();
    await remove(it_.idp.slug);
    await coordinatorOf(it_.idp.orgId).drain();
    const answer = await imported(it_.idp.slug, lines);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body).toMatchObject({ id: it_.idp.orgId, published: true, counts: lines.at(-1)!['counts'] });
  });

  it('has every kind of line in its file, and a last one that counts them', () => {
    expect(kinds(lines)).toEqual([
      ...['org', 'schema', 'user', 'group', 'members', 'oauthClient', 'grant', 'credential', 'assertion', 'refusal'],
      ...['held', 'brakeCount', 'event', 'end'],
    ]);
    const count = (kind: string) => lines.filter((line) => line['kind'] === kind).length;
    expect(lines.at(-1)).toMatchObject({
      counts: { user: 6, group: 2, members: 3, event: count('event'), credential: count('credential') },
      changedMeanwhile: false,
    });
    expect(lines.at(-2)).toMatchObject({ kind: 'event', type: 'org.exported', seq: lines.at(-1)!['eventSeq'] });
  });

  it('comes out of its next export as the same lines, but for that it was imported and exported', async () => {
    const again = await exported(it_.idp.slug);
    const wanted = lasting(lines).slice(1, -1);
    const got = lasting(again).slice(1, -1);
    // Sessions that the deletion ended stay ended.
    expect(again[0]).toEqual({ ...lines[0], notBefore: expect.any(Number), exportedAt: expect.any(Number) });
    const news = got.filter(({ kind, seq }) => kind === 'event' && seq > lines.at(-1)!['eventSeq']);
    // To the letter, and the order of members.
    expect(JSON.stringify(got.filter((line) => !news.includes(line)))).toBe(JSON.stringify(wanted));
    expect(news.map(({ type }) => type)).toEqual(['org.imported', 'org.exported']);
    expect(news[0]).toMatchObject({ publishes: true, details: { withCredentials: true, from: { id: it_.idp.orgId } } });
  });

  it('keeps its token, the one in its grace, its password and what its OAuth client was given', async () => {
    for (const token of [it_.refresh, it_.oldToken, it_.access]) {
      expect((await it_.idp.get('/Users', with_(token))).status).toBe(200);
    }
    const authorization = `Basic ${btoa(`${it_.idp.slug}:${it_.password}`)}`;
    expect((await it_.idp.get('/Users', { headers: { Authorization: authorization } })).status).toBe(200);
    const { body } = await admin('GET', `/orgs/${it_.idp.slug}/tokens`);
    expect(body.map(({ generation, state }: Line) => [generation, state])).toEqual([
      [2, 'current'],
      [1, 'grace'],
    ]);
  });

  it('is listed, sorted and paged as before', async () => {
    expect(await Promise.all(paths.map(walk))).toEqual(orders);
  });

  it('is found by what is derived: folded names, addresses, externalIds, values of its own schema', async () => {
    for (const filter of [
      `userName eq "ADA@${it_.idp.slug}.test"`,
      `emails.value eq "ada@${it_.idp.slug}.TEST"`,
      'externalId eq "E-ada"',
      'name.familyName eq "MÜLLER"',
      `${STAFF}:nick eq "STRASSE"`,
      `${STAFF}:factor gt 1.4`,
    ]) {
      const { body } = await it_.idp.get(`/Users?${new URLSearchParams({ filter })}`, with_(it_.refresh));
      expect(
        body.Resources?.map(({ id }: Line) => id),
        filter,
      ).toEqual([it_.ids.ada]);
    }
  });

  it('has its groups with their members, groups in groups and permissions', async () => {
    const { body } = await it_.idp.get(`/Groups/${it_.groups.all}`, with_(it_.refresh));
    expect(body.members.map(({ value, type }: Line) => [value, type])).toEqual([
      [it_.ids.dan, 'User'],
      [it_.groups.sales, 'Group'],
    ]);
    const { body: sales } = await admin('GET', `/orgs/${it_.idp.slug}/groups/Sales`);
    expect(sales).toMatchObject({ memberCount: 3, permissions: ['a', 'deals:write'] });
  });

  it('counts as what is there', async () => {
    const { kept, real } = await counters(it_.idp.orgId);
    expect(kept).toEqual(real);
    expect((await admin('GET', `/orgs/${it_.idp.slug}`)).body).toMatchObject({
      users: 4,
      scimEnabled: true,
      name: 'Full',
    });
  });

  it('lets nobody in whose session was dead, as D1 and as KV have it', async () => {
    await coordinatorOf(it_.idp.orgId).drain();
    const { orgId } = it_.idp;
    for (const id of Object.values(it_.ids)) {
      expect((await checked(orgId, id, deletedAt)).valid).toBe(false);
    }
    expect((await checked(orgId, it_.ids.ada, Date.now() + 1)).valid).toBe(true);
    expect((await checked(orgId, it_.ids.bob, Date.now() + 1)).reason).toBe('inactive');
    expect((await checked(orgId, it_.ids.cleo, Date.now() + 1)).valid).toBe(false);
    const flag = async (...id: [] | [string]) => JSON.parse((await env.REVOCATIONS.get(flagKey(orgId, ...id)))!);
    expect(await flag()).toMatchObject({ active: true });
    expect((await flag()).notBefore).toBeGreaterThanOrEqual(deletedAt);
    expect(await flag(it_.ids.bob)).toMatchObject({ active: false });
    expect(await flag(it_.ids.cleo)).toMatchObject({ active: false });
    expect(await flag(it_.ids.eve)).toMatchObject({ active: false });
    // KV may have held anything of anybody: each is told anew.
    expect(await flag(it_.ids.ada)).toMatchObject({ active: true });
    expect(await rows('SELECT * FROM outbox WHERE org_id = ?', orgId)).toEqual([]);
  });

  it('restores a tombstone under its old id, and puts who is new into the default group', async () => {
    const { body } = await it_.idp.post(
      '/Users',
      { userName: `cleo@${it_.idp.slug}.test`, externalId: 'E-cleo' },
      with_(it_.refresh),
    );
    expect(body.id).toBe(it_.ids.cleo);
    const made = await it_.idp.post('/Users', { userName: 'new@x.test' }, with_(it_.refresh));
    const { body: shown } = await it_.idp.get(`/Users/${made.body.id}`, with_(it_.refresh));
    expect(shown.groups).toMatchObject([{ value: it_.groups.all }]);
  });
});

describe('a move to another deployment', () => {
  it('ends no session that was good, and leaves dead those that were not', async () => {
    await back();
    const issuedAt = Date.now();
    await forgotten();
    const { status } = await imported('moved', file);
    expect(status).toBe(200);
    await coordinatorOf(it_.idp.orgId).drain();
    expect(await checked(it_.idp.orgId, it_.ids.ada, issuedAt)).toMatchObject({ valid: true });
    for (const id of [it_.ids.bob, it_.ids.cleo, it_.ids.eve]) {
      expect((await checked(it_.idp.orgId, id, issuedAt)).valid).toBe(false);
      expect(await env.REVOCATIONS.get(flagKey(it_.idp.orgId, id))).toMatch(/"active":false/);
    }
    const fay = file.find(({ id }) => id === it_.ids.fay)!;
    expect(await checked(it_.idp.orgId, it_.ids.fay, fay['notBefore'])).toMatchObject({
      valid: false,
      reason: 'revoked',
    });
    expect(await checked(it_.idp.orgId, it_.ids.fay, issuedAt)).toMatchObject({ valid: true });
    // Nobody who is well needs a flag.
    expect(await env.REVOCATIONS.get(flagKey(it_.idp.orgId, it_.ids.ada))).toBeNull();
    expect((await ask('GET', `${BASE}/orgs/moved/scim/v2/Users`, with_(it_.refresh))).status).toBe(200);
    expect((await remove('moved')).body.users).toBe(4);
    await imported(it_.idp.slug, file, 200, quietly);
  });
});

describe('a copy beside the original', () => {
  it('has an id of its own and no credentials; users and groups keep their ids, and the original all it has', async () => {
    const lines = await back();
    const before = await journal(it_.idp.orgId);
    const begun = await begin('copied', lines[0]);
    expect(begun.body).toMatchObject({ copy: true, credentials: false });
    expect(begun.body.id).not.toBe(it_.idp.orgId);
    const { status, body } = await imported('copied', lines, 200, quietly);
    expect(status).toBe(200);
    expect(body.id).toBe(begun.body.id);
    expect((await admin('GET', '/orgs/copied/tokens')).body).toEqual([]);
    expect((await admin('GET', '/orgs/copied/oauth/clients')).body).toEqual([]);
    const { body: ada } = await admin('GET', `/orgs/copied/users/${it_.ids.ada}`);
    expect(ada).toMatchObject({ title: 'Countess', [STAFF]: { level: 3 } });
    // Its token still reads the original, and that alone.
    const { body: token } = await admin('POST', '/orgs/copied/tokens', { body: {} });
    await it_.idp.patch(
      `/Users/${it_.ids.ada}`,
      [{ op: 'replace', path: 'title', value: 'Queen' }],
      with_(token.token),
    );
    expect((await it_.idp.get(`/Users/${it_.ids.ada}`, with_(it_.refresh))).body.title).toBe('Countess');
    expect(await journal(it_.idp.orgId)).toEqual(before);
    expect((await journal(body.id)).map(({ type }) => type)).toContain('org.imported');
  });

  it('is what a file without credentials becomes anywhere', async () => {
    await back();
    const lines = await exported(it_.idp.slug, { withoutCredentials: true });
    const text = JSON.stringify(lines);
    expect(kinds(lines)).not.toContain('credential');
    for (const { hash } of await rows('SELECT hash FROM credentials WHERE org_id = ?', it_.idp.orgId)) {
      expect(text).not.toContain(hash);
    }
    await remove(it_.idp.slug, quietly);
    const { body } = await imported(it_.idp.slug, lines, 200, quietly);
    expect(body.id).toBe(it_.idp.orgId);
    expect((await it_.idp.get('/Users', with_(it_.refresh))).status).toBe(401);
  });
});

describe('a file', () => {
  it('has nothing of another org, no secret, and not the key of the cursors', async () => {
    await back();
    const other = await newIdp(`other-${number}`);
    await other.user('stranger@other.test', { externalId: 'S-1' });
    const text = JSON.stringify(await exported(it_.idp.slug));
    const [{ cursor_key }] = (await rows('SELECT cursor_key FROM orgs WHERE id = ?', it_.idp.orgId)) as [Line];
    for (const secret of [
      'stranger',
      other.orgId,
      other.slug,
      it_.refresh,
      it_.oldToken,
      it_.password,
      it_.access,
      cursor_key,
    ]) {
      expect(text).not.toContain(secret);
    }
  });

  it('says so when the org has changed while it was written, and names nobody who is not in it', async () => {
    await back();
    const { slug } = it_.idp;
    let page = (await admin('POST', `/orgs/${slug}/export`, { body: {} })).body;
    const lines: Line[] = [...page.lines];
    const next = async () => {
      page = (await admin('GET', `/orgs/${slug}/export?${new URLSearchParams({ after: page.next })}`)).body;
      lines.push(...page.lines);
    };
    while (lines.at(-1)!['kind'] !== 'user') await next();
    const gus = (await it_.idp.user('gus@x.test')).id; // joins the default group
    const { body: late } = await it_.idp.post('/Groups', { displayName: 'Late', members: [{ value: it_.ids.ada }] });
    await it_.idp.patch(`/Groups/${it_.groups.sales}`, [{ op: 'add', path: 'members', value: [{ value: late.id }] }]);
    await it_.idp.delete(`/Users/${it_.ids.dan}`);
    while (page.next !== null) await next();
    expect(lines.at(-1)).toMatchObject({ kind: 'end', changedMeanwhile: true });
    expect(JSON.stringify(lines.filter(({ kind }) => kind !== 'event'))).not.toContain(gus);
    await remove(slug, quietly);
    // Its journal tells what came.
    expect((await imported(slug, lines, 200, quietly)).status).toBe(200);
    expect((await journal(it_.idp.orgId, gus)).map(({ type }) => type)).toEqual(['user.created']);
  });

  it('of an org whose default group is gone by then leaves the setting out, as its deletion would have', async () => {
    const lines = await back();
    const without = lines.filter(
      ({ kind, id, group }) =>
        !(kind === 'group' && id === it_.groups.sales) && !(kind === 'members' && group === it_.groups.sales),
    );
    const kept = without.filter(({ kind, type }) => !(kind === 'members' && type === 'Group'));
    kept.at(-1)!['counts'] = { ...kept.at(-1)!['counts'], group: 1, members: 1 };
    await remove(it_.idp.slug, quietly);
    const { body, text } = await imported(it_.idp.slug, kept, 200, quietly);
    expect(body.settings, text).toMatchObject({ defaultGroup: it_.groups.all, roles: ['Admin', 'Ärzte'] });
    expect(body.settings).not.toHaveProperty('signOutGroups');
  });

  it('is begun by a request that is recorded, and a cursor of nobody is refused', async () => {
    const idp = await newIdp(`cursor-${++number}`);
    await exported(idp.slug);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({ type: 'org.exported', details: { by: 'admin' } });
    const forged = (place: object) => btoa(JSON.stringify(place));
    const place = { step: 'user', counts: {}, users: 1, groups: 1, seq: 1, withoutCredentials: false };
    for (const after of [
      '',
      'x',
      btoa('{}'),
      forged({ ...place, step: 'orgs' }),
      forged({ ...place, key: [1, 2] }),
      forged({ ...place, users: '1 OR 1' }),
      forged({ ...place, key: [{}] }),
    ]) {
      const { status, body } = await admin('GET', `/orgs/${idp.slug}/export?${new URLSearchParams({ after })}`);
      expect([status, body.detail], after).toEqual([400, expect.stringContaining('after:')]);
    }
    expect((await admin('POST', '/orgs/nobody/export', { body: {} })).status).toBe(404);
    expect((await admin('POST', `/orgs/${idp.slug}/export`, { body: { withoutCredentials: 'yes' } })).status).toBe(400);
  });
});

describe('an import that is under way', () => {
  let lines: Line[];
  let half: number;
  beforeAll(async () => {
    lines = await back();
    await remove(it_.idp.slug, quietly);
    half = lines.findIndex(({ kind }) => kind === 'event') + 3;
    await begin(it_.idp.slug, lines[0]);
    const { body } = await send(it_.idp.slug, 1, lines.slice(1, half));
    await send(it_.idp.slug, body.through, lines.slice(body.through, half));
  });

  it('refuses the IdP, and everything that the operator would write, but to delete it', async () => {
    const before = await dump();
    const { slug } = it_.idp;
    expect((await it_.idp.get('/Users', with_(it_.refresh))).status).toBe(403);
    expect((await it_.idp.post('/Users', { userName: 'x' }, with_(it_.refresh))).status).toBe(403);
    for (const [method, path, body] of [
      ['POST', '/scim', { enabled: true }],
      ['POST', '/enable', {}],
      ['POST', '/disable', {}],
      ['POST', '/sign-out', {}],
      ['PATCH', '', { settings: { idp: 'okta' } }],
      ['POST', '/tokens', {}],
      ['POST', '/tokens/rotate', {}],
      ['DELETE', '/tokens', undefined],
      ['POST', '/basic', {}],
      ['POST', '/oauth/clients', {}],
      ['POST', '/oauth/approvals', {}],
      ['POST', '/schemas', { id: 'urn:acme:y', attributes: [{ name: 'a' }] }],
      ['POST', `/users/${it_.ids.ada}/sign-out`, {}],
      ['PUT', `/groups/${it_.groups.sales}/permissions`, { permissions: ['b'] }],
      ['POST', '/export', {}],
    ] as const) {
      const answer = await admin(method, `/orgs/${slug}${path}`, body && { body });
      // What is so already changes nothing, and may be asked for.
      expect([409, path === '/disable' ? 200 : 409], `${method} ${path}: ${answer.text}`).toContain(answer.status);
      if (answer.status === 409) expect(answer.body.detail).toContain(`import of ${slug} is not finished`);
    }
    expect((await admin('GET', `/orgs/${slug}`)).body.notices).toEqual([
      expect.stringContaining('import is not finished'),
    ]);
    expect(await checked(it_.idp.orgId, it_.ids.ada, Date.now())).toMatchObject({ valid: false, reason: 'inactive' });
    expect(await dump()).toBe(before);
  });

  it('takes a portion twice, and none out of turn', async () => {
    const { slug } = it_.idp;
    const before = await dump();
    expect((await send(slug, half - 3, lines.slice(half - 3, half))).body).toEqual({ through: half });
    const gap = await send(slug, half + 1, lines.slice(half + 1, half + 2));
    expect([gap.status, gap.body.detail]).toEqual([409, `${half} lines were imported: line ${half + 1} was expected`]);
    const overlap = await send(slug, half - 1, lines.slice(half - 1, half + 1));
    expect(overlap.status).toBe(409);
    const early = await finish(slug, lines.at(-1));
    expect([early.status, early.body.detail]).toEqual([409, expect.stringMatching(/lines of event, but has 3/)]);
    expect(await dump()).toBe(before);
  });

  it('survives D1 failing before, within and after a portion', async () => {
    const { slug } = it_.idp;
    for (const fault of [{ kind: 'before' }, { kind: 'at', statement: 4 }, { kind: 'after' }] as const) {
      const db = new FaultyDb(fault, /INSERT INTO events/);
      const portion = lines.slice(half, half + 2);
      expect((await send(slug, half, portion, { env: { DB: db.binding } })).status).toBeGreaterThanOrEqual(500);
      expect(db.hits).toBe(1);
      const { body } = await send(slug, half, portion);
      expect(body).toEqual({ through: half + 2 });
      half += 2;
    }
  });

  it('is told of nothing by the cron, whose numbers would be those of its journal', async () => {
    const { orgId } = it_.idp;
    await env.DB.prepare(
      'UPDATE credentials SET valid_until = ? WHERE org_id = ? AND generation > 0 AND revoked_at IS NULL',
    )
      .bind(Date.now() + 3_600_000, orgId)
      .run();
    const before = await journal(orgId);
    await warn(env);
    expect(await journal(orgId)).toEqual(before);
    for (const { id, validUntil } of lines.filter(({ kind }) => kind === 'credential')) {
      await env.DB.prepare('UPDATE credentials SET valid_until = ? WHERE id = ?').bind(validUntil, id).run();
    }
  });

  it('refuses another file, and goes on with the same one', async () => {
    const { slug } = it_.idp;
    const other = await begin(slug, { ...lines[0], exportedAt: 1 });
    expect([other.status, other.body.detail]).toEqual([409, expect.stringContaining('Another file')]);
    const [one, two] = await Promise.all([imported(slug, lines, 2, quietly), imported(slug, lines, 3, quietly)]);
    // Of two at once one finishes; nothing is there twice.
    expect([one!.status, two!.status]).toContain(200);
    // What was refused meanwhile is counted beside what the file counts.
    const counted = (all: Line[]) =>
      lasting(all)
        .slice(1, -1)
        .filter(
          ({ kind, type, seq }) =>
            kind !== 'refusal' && !(type?.startsWith('org.') && seq >= lines.at(-1)!['eventSeq']),
        );
    expect(counted(await exported(slug))).toEqual(counted(lines));
    const again = await begin(slug, lines[0]);
    expect([again.status, again.body.detail]).toEqual([
      409,
      `The org ${slug} exists already: import the file under another slug`,
    ]);
  });

  it('is removed by org delete, as if it had never been: what was good stays good where it goes on', async () => {
    const { slug } = it_.idp;
    const issuedAt = Date.now();
    await forgotten();
    await begin(slug, file[0]);
    await send(slug, 1, file.slice(1, 5));
    expect((await remove(slug, quietly)).status).toBe(200);
    expect(await rows('SELECT 1 FROM users WHERE org_id = ?', it_.idp.orgId)).toEqual([]);
    expect((await imported(slug, file, 200, quietly)).status).toBe(200);
    expect(await checked(it_.idp.orgId, it_.ids.fay, issuedAt)).toMatchObject({ valid: true });
  });

  it('cannot write into an org that is there', async () => {
    const there = await newIdp(`there-${++number}`);
    await there.user('ada@x.test');
    const before = await dump();
    for (const answer of [
      await begin(there.slug, lines[0]),
      await send(there.slug, 1, lines.slice(2, 4)),
      await finish(there.slug, lines.at(-1)),
    ]) {
      expect([answer.status, answer.body.detail]).toEqual([
        409,
        expect.stringContaining(`The org ${there.slug} exists already`),
      ]);
    }
    expect((await send('nobody-at-all', 1, lines.slice(1, 2))).status).toBe(404);
    expect(await dump()).toBe(before);
  });
});

describe('a line that is not as the service writes it', () => {
  let lines: Line[];
  beforeAll(async () => {
    lines = await back();
  });

  /** The file with the first line of a kind changed, as far as that one. */
  async function refused(slug: string, kind: string, change: (line: Line) => unknown): Promise<[number, string]> {
    const at = lines.findIndex((line) => line['kind'] === kind);
    const spoilt = lines.map((line, i) => (i === at ? change(structuredClone(line)) : line));
    const { status, body } = await imported(slug, spoilt.slice(0, at + 1).concat(kind === 'end' ? [] : [lines.at(-1)]));
    expect(body.detail, body.detail).toContain(`line ${at + 1}: `);
    const said = body.detail.slice(`line ${at + 1}: `.length);
    await remove(slug, quietly);
    return [status, said];
  }

  const set =
    (...path: (string | number)[]) =>
    (value: unknown) =>
    (line: Line) => {
      const last = path.at(-1)!;
      let inner = line;
      for (const name of path.slice(0, -1)) inner = inner[name];
      inner[last] = value;
      return line;
    };
  const cases: [kind: string, name: string, change: (line: Line) => unknown, said: RegExp][] = [
    ['org', 'of another version', set('v')(2), /^v: version 1 was expected/],
    [
      'org',
      'with a setting of a later version',
      set('settings', 'telepathy')(true),
      /^settings.telepathy: this version has no such setting/,
    ],
    [
      'org',
      'with a setting that is none',
      set('settings', 'plan.seats')('many'),
      /^settings.plan.seats: a whole number/,
    ],
    [
      'org',
      'with a setting of another form',
      set('settings', 'roles')(['Admin']),
      /^settings.roles: the form that org export writes/,
    ],
    ['org', 'with an id of no org', set('id')("x' OR 1"), /^id: the id of an org/],
    ['org', 'that is none', () => 'org', /^the line of the org/],
    ['schema', 'with no schema', set('schema')({ id: 'urn:acme:y' }), /^attributes: a list/],
    [
      'schema',
      'without its defaults',
      set('schema', 'description')(undefined),
      /^schema: the form that org export writes was expected/,
    ],
    ['user', 'with more members', set('admin')(true), /^admin: there is no such member/],
    ['user', 'of no kind', set('kind')('orgs'), /^kind: one of schema, user/],
    ['user', 'without a version', set('version')(undefined), /^version: /],
    ['user', 'with an id for a path', set('id')('../x'), /^id: an id of letters/],
    ['user', 'with a dot for an id', set('id')('.'), /^id: an id of letters/],
    ['user', 'with two dots for an id', set('id')('..'), /^id: an id of letters/],
    ['group', 'with an id that begins with a dot', set('id')('.a'), /^id: an id of letters/],
    ['members', 'with two dots for a member', set('ids', 0)('..'), /^ids.0: an id of letters/],
    ['members', 'with two dots for a group', set('group')('..'), /^group: an id of letters/],
    ['user', 'from beyond all dates', set('createdAt')(8.64e15), /^createdAt: at most/],
    ['user', 'that is both active and not', set('active')(false), /^active: true was expected/],
    ['user', 'deleted and active', set('deletedAt')(1), /^active: false was expected of a deleted/],
    [
      'user',
      'erased with data',
      (line) => ({ ...line, erasedAt: 1, deletedAt: 1, active: false }),
      /^resource: \{\} was expected/,
    ],
    [
      'user',
      'with an attribute that no user has',
      set('resource', 'shoeSize')(42),
      /^resource.shoeSize: the form that org export writes/,
    ],
    ['user', 'with an id in the resource', set('resource', 'id')('x'), /^resource.id: the form that/],
    ['user', 'with groups in the resource', set('resource', 'groups')('x'), /^resource.groups: the form that/],
    [
      'user',
      'with a type that is wrong',
      set('resource', 'emails')([{ value: 5 }]),
      /^resource: emails.value: a string/,
    ],
    ['user', 'with an empty list', set('resource', 'photos')([]), /^resource.photos: the form that/],
    ['user', 'without a userName', set('resource', 'userName')(undefined), /^resource: userName is required/],
    [
      'user',
      'with a string that is too long',
      set('resource', 'title')('x'.repeat(20_000)),
      /^resource: title: at most/,
    ],
    ['user', 'with half a character', set('resource', 'title')('\ud800'), /well-formed/],
    ['user', 'with a character that ends a text', set('resource', 'title')('a\0b'), /U\+0000/],
    ['user', 'with a prototype', set('resource', 'constructor')({}), /^resource.constructor: the form that/],
    ['group', 'with members', set('resource', 'members')([{ value: 'x' }]), /^resource.members: members are lines/],
    ['group', 'with a permission of two words', set('permissions')(['a b']), /^permissions.0: letters/],
    ['group', 'with a permission twice', set('permissions')(['a', 'a']), /^permissions: one stands twice/],
    ['members', 'with a stranger', set('ids', 0)('nobody'), /^members: there is no user or group with the id nobody/],
    ['members', 'of no group', set('group')('nothing'), /^members: there is no user or group with the id nothing/],
    ['members', 'with nobody', set('ids')([]), /^ids: at least one/],
    ['credential', 'with a secret for a hash', set('hash')('scim_secret'), /^hash: SHA-256/],
    ['credential', 'of no kind', set('type')('root'), /^type: token, basic/],
    ['oauthClient', 'with an id of nobody', set('id')('x'), /^id: the id of a client/],
    ['oauthClient', 'with a signer that is none', set('assertion')({ keys: 5 }), /^assertion: /],
    ['refusal', 'with no count', set('count')(-1), /^count: at least 0/],
    ['event', 'with details that are none', set('details')([]), /^details: an object/],
    ['event', 'whose details cannot be told', set('details')({ quirks: 5 }), /^details.quirks: a list/],
    [
      'event',
      'whose changes cannot be told',
      (line) => ({ ...line, type: 'user.updated', details: { changed: { title: null } } }),
      /^details.changed.title: an object/,
    ],
    ['event', 'with a type of no event', set('type')('DROP TABLE'), /^type: the name of an event/],
    ['end', 'that counts otherwise', set('counts', 'user')(7), /^The file counts 7 lines of user, but has 6/],
    ['end', 'that ends before its events', set('eventSeq')(3), /^eventSeq: at least/],
    ['end', 'with a count of nothing', set('counts', 'orgs')(1), /^counts/],
  ];
  for (const [kind, name, change, said] of cases) {
    it(`is refused with its number: ${kind}, ${name}`, async () => {
      const [status, detail] = await refused('spoilt', kind, change);
      expect(detail).toMatch(said);
      expect(status).toBe(kind === 'end' && said.source.includes('The file counts') ? 409 : 400);
    });
  }

  const user = () => lines.findIndex(({ kind }) => kind === 'user');
  const spoil = async (change: (file: Line[]) => Line[], portion?: number) => {
    const { status, body } = await imported('spoilt', change(structuredClone(lines)), portion);
    await remove('spoilt', quietly);
    return [status, body.detail];
  };

  it('is refused where it is there already: ids, userNames, displayNames, members, events, at once or later', async () => {
    const again =
      (kind: string, change: (line: Line) => Line = (line) => line) =>
      (file: Line[]) => {
        const at = file.findIndex((line) => line['kind'] === kind);
        return file.toSpliced(at + 1, 0, change(structuredClone(file[at]!)));
      };
    const at = user() + 2;
    for (const portion of [200, 1]) {
      const twice = [400, expect.stringMatching(new RegExp(`^line ${at}: the id, or the userName`))];
      expect(await spoil(again('user'), portion)).toEqual(twice);
      const named = again('user', (line) => ({ ...line, id: 'other' }));
      expect(await spoil(named, portion)).toEqual(twice);
    }
    const group = lines.findIndex(({ kind }) => kind === 'group');
    expect(await spoil(again('group', (line) => ({ ...line, id: 'other' })))).toEqual([
      400,
      expect.stringMatching(new RegExp(`^line ${group + 2}: the id or the displayName`)),
    ]);
    expect(await spoil(again('members'))).toEqual([400, expect.stringContaining('a member exists already')]);
    expect(await spoil(again('event'))).toEqual([
      400,
      expect.stringMatching(/^line \d+: seq: more than 1 was expected/),
    ]);
    expect(await spoil(again('event'), 1)).toEqual([
      400,
      expect.stringMatching(/^line \d+: seq: more than 1 was expected/),
    ]);
    expect(await spoil(again('schema'))).toEqual([400, expect.stringContaining('a URN that does not begin like')]);
  });

  it('of an older version may have an empty externalId, and domains in another form: none of them identifies anybody', async () => {
    const file = structuredClone(lines);
    file[0]!['settings'] = { ...file[0]!['settings'], verifiedDomains: ['müller.example', 'strasse.example'] };
    const at = file.findIndex(({ kind, deletedAt }) => kind === 'user' && deletedAt === null);
    file[at]!['resource'] = { ...file[at]!['resource'], externalId: '', emails: [{ value: ' ', type: 'work' }] };
    const { status, text } = await imported('older', file);
    expect(status, text).toBeLessThan(300);
    const [org, ...others] = await exported('older');
    expect(org!['settings'].verifiedDomains).toEqual(['xn--mller-kva.example', 'strasse.example']);
    const user = others.find(({ id }) => id === file[at]!['id'])!;
    expect(user['resource']).not.toHaveProperty('externalId');
    expect(JSON.stringify(user['resource'].emails ?? [])).not.toContain('value');
    await remove('older', quietly);
  });

  it('is refused out of order, at once or later', async () => {
    for (const portion of [200, 1]) {
      expect(
        await spoil((file) => {
          const at = file.findIndex(({ kind }) => kind === 'group');
          return file.toSpliced(at + 1, 0, { ...file[user()]!, id: 'late' });
        }, portion),
      ).toEqual([400, expect.stringContaining('kind: user comes before group')]);
    }
  });

  it('is refused where it closes a circle of groups', async () => {
    expect(
      await spoil((file) => {
        const at = file.findIndex(({ kind, type }) => kind === 'members' && type === 'Group');
        return file.toSpliced(at, 0, {
          kind: 'members',
          group: it_.groups.sales,
          type: 'Group',
          ids: [it_.groups.all],
        });
      }),
    ).toEqual([400, expect.stringContaining('a cycle of groups')]);
  });

  it('is refused where a credential of it is another org’s', async () => {
    // Its org's id is free, and what it brings is not.
    expect(await spoil((file) => [{ ...file[0]!, id: '0000000000Xx' }, ...file.slice(1)])).toEqual([
      400,
      expect.stringMatching(/^lines \d+ to \d+: one of them exists already$/),
    ]);
  });

  it('is refused as a body that is none', async () => {
    await begin('spoilt', lines[0]);
    for (const body of [{}, { after: 0, lines: [] }, { after: 1 }, { after: 1, lines: [], more: 1 }]) {
      expect((await admin('POST', '/orgs/spoilt/import/lines', { body })).status).toBe(400);
    }
    const raw = (text: string) => admin('POST', '/orgs/spoilt/import/lines', { raw: text });
    expect((await raw('{"after":1,"lines":[{"kind":"user","kind":"group"}]}')).status).toBe(400);
    expect((await raw('{')).status).toBe(400);
    expect((await raw(`{"after":1,"lines":["${'x'.repeat(4_200_000)}"]}`)).status).toBe(413);
    expect((await begin('Spoilt!', lines[0])).body.detail).toMatch(/^slug: small letters/);
    await remove('spoilt', quietly);
  });
});

describe('a check', () => {
  it('says what is wrong with lines, what must be theirs alone, and whom they need; nothing is written', async () => {
    const lines = await back();
    const before = await dump();
    const check = (body: object) => admin('POST', '/orgs/new/import/check', { body });
    const schemas = lines.filter(({ kind }) => kind === 'schema');
    const place = { line: 1, kind: 0, seq: 0 };
    const { status, body } = await check({ place, schemas: [], lines: lines.slice(1, -1) });
    expect(status).toBe(200);
    expect(body.place).toMatchObject({ line: lines.length - 1, kind: 11 });
    const at = lines.findIndex(({ kind }) => kind === 'user');
    expect(body.named[at - 1]).toEqual({
      unique: [`id ${it_.ids.ada}`, `userName ada@${it_.idp.slug}.test`, `live User ${it_.ids.ada}`],
      needs: [],
    });
    const wrong = structuredClone(lines[at]!);
    wrong['resource'][STAFF] = { level: 'high' };
    const refused = await check({ place: { ...place, line: 77 }, schemas, lines: [wrong] });
    expect([refused.status, refused.body.detail]).toEqual([400, expect.stringMatching(/^line 78: resource: .*level/)]);
    expect((await begin('new', lines[0], { dryRun: true })).body).toMatchObject({ copy: true, through: 1, id: null });
    expect(await dump()).toBe(before);
  });
});

describe('the cost', () => {
  it('of a page and of a portion is the same in an org of 1,000 and of 4,000, in one round trip', async () => {
    const costs: unknown[] = [];
    for (const size of [1_000, 4_000]) {
      const idp = await newIdp(`size-${size}`);
      await fillDirectory(idp, size, 600);
      await env.DB.prepare(
        `INSERT INTO groups (org_id, id, display_name_key, version, created_at, modified_at, resource, folded)
          VALUES (?, 'g', 'g', 1, 1, 1, '{"displayName":"g"}', '{}')`,
      )
        .bind(idp.orgId)
        .run();
      await env.DB.prepare(
        `INSERT INTO memberships SELECT org_id, (SELECT seq FROM groups WHERE org_id = ?1), 0, seq FROM users
          WHERE org_id = ?1 AND deleted_at IS NULL`,
      )
        .bind(idp.orgId)
        .run();
      const meter = new Meter();
      const more = { env: { DB: meter.binding } };
      let page = (await admin('POST', `/orgs/${idp.slug}/export`, { body: {} })).body;
      const lines: Line[] = [...page.lines];
      const pages: Record<string, [number, number]> = {};
      while (page.next !== null) {
        meter.reset();
        page = (await admin('GET', `/orgs/${idp.slug}/export?${new URLSearchParams({ after: page.next })}`, more)).body;
        lines.push(...page.lines);
        const kind = page.lines[0]?.kind;
        if (kind && page.next && page.lines.length === 500) pages[kind] = [meter.roundTrips, meter.rowsRead];
      }
      await remove(idp.slug, quietly);
      await begin(idp.slug, lines[0]);
      const portions: [number, number, number][] = [];
      for (const after of [1, 201, 401]) {
        meter.reset();
        expect((await send(idp.slug, after, lines.slice(after, after + 200), more)).status).toBe(200);
        portions.push([meter.roundTrips, meter.rowsRead, meter.rowsWritten]);
      }
      costs.push({ pages, portions });
    }
    expect(costs[1]).toEqual(costs[0]);
    const [{ pages, portions }] = costs as [{ pages: Record<string, number[]>; portions: number[][] }];
    expect(pages['user']![0]).toBe(1);
    expect(pages['user']![1]).toBeLessThan(6_000);
    // One more, where the isolate does not know what the org has set.
    expect(portions[0]![0]).toBeLessThanOrEqual(2);
    expect(portions[2]).toEqual(portions[1]);
  });
});
