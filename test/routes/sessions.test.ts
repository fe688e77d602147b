/** The host app's door: who is let in to it, and what it answers, over HTTP and over RPC alike. */
import { createExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Env } from '../../src/env';
import { Sessions } from '../../src/index';
import { type Answer, type Ask, admin, ask, BASE, host, type Idp, newIdp } from '../support/client';
import { brokenKv } from '../support/coordinator';
import { fillDirectory, idOf } from '../support/directory';
import { Meter } from '../support/meter';

const active = (value: boolean) => [{ op: 'replace', path: 'active', value }];
const unreachable = {
  getByName: () => ({ publish: () => Promise.reject(new Error('Durable Object is overloaded')) }),
} as unknown as Env['ORG_COORDINATOR'];
const down = (message: string): Partial<Env> => ({
  DB: {
    prepare: (text: string) => env.DB.prepare(text),
    batch: () => Promise.reject(new Error(message)),
  } as unknown as D1Database,
});

let idp: Idp;
let other: Idp;
let n = 0;
beforeAll(async () => {
  other = await newIdp('other');
});
beforeEach(async () => {
  idp = await newIdp(`host-${++n}`);
});

const check = (question: unknown, more?: Ask) => host('POST', '/check', { ...more, body: question });
const resolve = (question: unknown, more?: Ask) => host('POST', '/resolve', { ...more, body: question });
const events = (query: Record<string, string>, more?: Ask) =>
  host('GET', `/events?${new URLSearchParams(query)}`, more);
const refused = ({ status, body }: Answer) => [status, body.error, body.detail];

describe('the door', () => {
  const paths: [string, string][] = [
    ['POST', '/check'],
    ['POST', '/resolve'],
    ['POST', '/may-act'],
    ['POST', '/discover'],
    ['GET', '/users'],
    ['GET', '/groups'],
    ['GET', '/memberships'],
    ['GET', '/changes'],
    ['GET', '/events'],
    ['GET', '/stream'],
    ['GET', '/nothing'],
    ['DELETE', '/check'],
  ];

  it.each(paths)('%s %s does not exist without HOST_TOKEN, whatever is presented', async (method, path) => {
    for (const HOST_TOKEN of [undefined, ''] as unknown as string[]) {
      const answer = await host(method, path, { env: { HOST_TOKEN } });
      const nowhere = await ask(method, `${BASE}/nowhere`);
      expect([answer.status, answer.text]).toEqual([404, nowhere.text]);
    }
  });

  it.each(paths)('%s %s refuses any other token than the host token, with one answer', async (method, path) => {
    const answers = await Promise.all(
      [
        '',
        'Bearer',
        'Bearer test-host-token-0123456789abcde',
        'Bearer test-host-token-0123456789abcdef2',
        'Bearer test-admin-token-0123456789abcdef',
        `Bearer ${idp.token}`,
        'Basic test-host-token-0123456789abcdef',
      ].map((Authorization) => host(method, path, { headers: { Authorization } })),
    );
    for (const answer of answers) {
      expect(refused(answer)).toEqual([401, 'unauthorized', 'The host token is required as a bearer token']);
      expect(answer.headers.get('WWW-Authenticate')).toBe('Bearer realm="host"');
    }
  });

  it('is no way to the administrator’s door, nor to the identity provider’s', async () => {
    const headers = { Authorization: 'Bearer test-host-token-0123456789abcdef' };
    expect((await admin('GET', '/orgs', { headers })).status).toBe(401);
    expect((await ask('GET', `${BASE}/scim/v2/Users`, { headers })).status).toBe(401);
  });

  it('says which method a path takes, and that another path is not there', async () => {
    const wrong = await host('GET', '/check');
    expect(refused(wrong)).toEqual([405, 'method_not_allowed', 'This endpoint takes POST only']);
    expect(wrong.headers.get('Allow')).toBe('POST');
    expect(refused(await host('POST', '/events', { body: {} }))[0]).toBe(405);
    expect(refused(await host('GET', '/nothing'))).toEqual([404, 'not_found', 'Endpoint not found']);
    expect(refused(await host('GET', `/stream?org=${idp.slug}`))[0]).toBe(426);
  });

  it('forbids caches to keep an answer', async () => {
    expect((await events({ org: idp.slug })).headers.get('Cache-Control')).toBe('no-store');
    expect((await check({})).headers.get('Cache-Control')).toBe('no-store');
  });
});

describe('the strict check', () => {
  it('says good, revoked or inactive of a session, and since when sessions are dead', async () => {
    const { id } = await idp.user('ada');
    const question = (issuedAt: unknown) => ({ org: idp.orgId, user: id, issuedAt });
    const before = Date.now();
    expect((await check(question(before))).body).toEqual({
      valid: true,
      reason: 'good',
      validAfter: null,
      notBefore: null,
    });
    await idp.patch(`/Users/${id}`, active(false));
    const inactive = await check(question(Date.now() + 1_000));
    const notBefore = Date.parse(inactive.body.notBefore);
    expect(inactive.body).toEqual({
      valid: false,
      reason: 'inactive',
      validAfter: new Date(notBefore).toISOString(),
      notBefore: new Date(notBefore).toISOString(),
    });
    expect(notBefore).toBeGreaterThanOrEqual(before);
    await idp.patch(`/Users/${id}`, active(true));
    const judged = async (issuedAt: unknown) => (await check(question(issuedAt))).body.reason;
    expect(await judged(before)).toBe('revoked');
    expect(await judged(notBefore)).toBe('revoked'); // the very millisecond
    expect(await judged(notBefore + 1)).toBe('good');
    expect(await judged(new Date(notBefore + 1).toISOString())).toBe('good');
    expect((await check(question(before))).body.notBefore).toBe(inactive.body.notBefore);
  });

  it('knows of a commit at once, with KV down and the coordinator out of reach', async () => {
    const { id } = await idp.user('ada');
    await idp.patch(`/Users/${id}`, active(false), { env: { ORG_COORDINATOR: unreachable, REVOCATIONS: brokenKv } });
    const { body } = await check(
      { org: idp.slug, user: id, issuedAt: Date.now() },
      { env: { ORG_COORDINATOR: unreachable, REVOCATIONS: brokenKv } },
    );
    expect(body).toMatchObject({ valid: false, reason: 'inactive' });
  });

  it('is dead for everybody of an org that is switched off, and for what was issued until the org’s not-before', async () => {
    const { id } = await idp.user('ada');
    const set = (column: string, value: number | null) =>
      env.DB.prepare(`UPDATE orgs SET ${column} = ? WHERE id = ?`).bind(value, idp.orgId).run();
    const judged = async (issuedAt: number) => (await check({ org: idp.slug, user: id, issuedAt })).body;
    const at = Date.now();
    await set('not_before', at);
    expect(await judged(at)).toEqual({
      valid: false,
      reason: 'revoked',
      validAfter: new Date(at).toISOString(),
      notBefore: new Date(at).toISOString(),
    });
    expect((await judged(at + 1)).valid).toBe(true);
    await set('disabled_at', at);
    expect((await judged(at + 1)).reason).toBe('inactive');
    await set('disabled_at', null);
    expect((await judged(at + 1)).valid).toBe(true);
  });

  it('is dead for who was deleted', async () => {
    const { id } = await idp.user('ada');
    await idp.delete(`/Users/${id}`);
    expect((await check({ org: idp.slug, user: id, issuedAt: Date.now() + 1_000 })).body.reason).toBe('inactive');
  });

  it('answers of another org’s user, of nobody, and of an org that is not there with the same words', async () => {
    const { id } = await idp.user('ada');
    await env.DB.prepare('UPDATE orgs SET not_before = 1 WHERE id = ?').bind(other.orgId).run();
    const unknown = { valid: false, reason: 'unknown', validAfter: null, notBefore: null };
    for (const [org, user] of [
      [other.orgId, id],
      [other.slug, id],
      [idp.orgId, crypto.randomUUID()],
      ['nowhere', id],
      ["' OR 1=1 --", id],
    ]) {
      const answer = await check({ org, user, issuedAt: Date.now() });
      expect([answer.status, answer.body]).toEqual([200, unknown]);
    }
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    expect((await check({ org: idp.orgId, user: id, issuedAt: Date.now() })).body).toEqual(unknown);
  });

  it('takes a name for an org’s id before it takes it for another one’s slug', async () => {
    const { id } = await idp.user('ada');
    // An id without a capital letter is what a slug could be.
    await env.DB.prepare('UPDATE orgs SET slug = ? WHERE id = ?').bind(idp.orgId, other.orgId).run();
    expect((await check({ org: idp.orgId, user: id, issuedAt: Date.now() })).body.valid).toBe(true);
    await env.DB.prepare("UPDATE orgs SET slug = 'other' WHERE id = ?").bind(other.orgId).run();
  });

  it.each([
    ['org', { org: '' }, 'org: a string was expected'],
    ['org', { org: undefined }, 'org: a string was expected'],
    ['org', { org: 'x'.repeat(101) }, 'org: at most 100 characters are accepted'],
    ['user', { user: 7 }, 'user: a string was expected'],
    ['user', { user: ['a'] }, 'user: a string was expected'],
    ['issuedAt', { issuedAt: undefined }, 'issuedAt: a Date, epoch milliseconds or ISO text was expected'],
    ['issuedAt', { issuedAt: null }, 'issuedAt: a Date, epoch milliseconds or ISO text was expected'],
    ['issuedAt', { issuedAt: 'yesterday' }, 'issuedAt: a Date, epoch milliseconds or ISO text was expected'],
    ['issuedAt in seconds', { issuedAt: 1_764_115_200 }, /^issuedAt: epoch milliseconds were expected/],
    ['member that is not known', { usr: 'x' }, 'usr is not part of the question'],
  ])('refuses a wrong %s', async (_, wrong, detail) => {
    const question = { org: idp.slug, user: 'x', issuedAt: Date.now(), ...wrong };
    const said = typeof detail === 'string' ? detail : expect.stringMatching(detail);
    expect(refused(await check(question))).toEqual([400, 'invalidValue', said]);
    // Over RPC as a value, which lets nobody in.
    expect(await exports.Sessions.check(question as never)).toEqual({
      valid: false,
      reason: 'unknown',
      validAfter: null,
      notBefore: null,
      error: 'invalidValue',
      detail: said,
    });
  });

  it('refuses what is no question at all', async () => {
    for (const raw of ['', '[', '7', '[]', 'null', '"x"']) {
      const answer = await host('POST', '/check', { raw });
      expect(answer.status, raw).toBe(400);
      expect(answer.body).toEqual({
        error: expect.stringMatching(/^invalid/),
        detail: expect.stringMatching(/expected|JSON|empty/i),
      });
    }
    expect((await host('POST', '/check', { raw: `{"org":"${'x'.repeat(1_100_000)}"}` })).status).toBe(413);
    expect((await host('POST', '/check', { raw: 'org=x', headers: { 'Content-Type': 'text/plain' } })).status).toBe(
      415,
    );
  });
});

describe('the login gate', () => {
  const ada = {
    externalId: 'hr-1',
    displayName: 'Ada',
    emails: [
      { value: 'ada@x.example', type: 'work', primary: true },
      { value: 'Ada@Home.example', type: 'home' },
    ],
    roles: [{ value: 'admin' }, { value: 'auditor', primary: true }, { display: 'no value' }],
  };

  it('finds someone by id, userName, e-mail address or externalId, and says all that a host needs', async () => {
    const { id } = await idp.user('Ada.Lovelace', ada);
    const { body: team } = await idp.post('/Groups', { displayName: 'Team', members: [{ value: id }] });
    const { body: all } = await idp.post('/Groups', { displayName: 'Everyone', members: [{ value: team.id }] });
    await idp.post('/Groups', { displayName: 'Apart' });
    const permit = (group: string, permissions: string[]) =>
      admin('PUT', `/orgs/${idp.slug}/groups/${group}/permissions`, { body: { permissions } });
    await permit(team.id, ['write', 'read']);
    await permit(all.id, ['read', 'enter']);
    const expected = {
      found: true,
      id,
      userName: 'Ada.Lovelace',
      externalId: 'hr-1',
      active: true,
      authentication: 'sso',
      displayName: 'Ada',
      name: null,
      emails: ada.emails,
      groups: [
        { id: team.id, displayName: 'Team' },
        { id: all.id, displayName: 'Everyone' },
      ],
      roles: ['admin', 'auditor'],
      permissions: ['enter', 'read', 'write'],
      version: 1,
      validAfter: null,
      notBefore: null,
      endedBy: null,
      org: { id: idp.orgId, slug: idp.slug },
    };
    for (const by of [
      { id },
      { userName: 'Ada.Lovelace' },
      { userName: 'ADA.lovelace' },
      { email: 'ADA@X.example' },
      { email: 'ada@home.example' },
      { externalId: 'hr-1' },
    ]) {
      for (const org of [idp.slug, idp.orgId]) {
        expect((await resolve({ org, ...by })).body).toEqual(expected);
        expect(await exports.Sessions.resolve({ org, ...by } as never)).toEqual(expected);
      }
    }
  });

  it('has null and empty lists for what someone has not got', async () => {
    const { id } = await idp.user('bare');
    expect((await resolve({ org: idp.slug, id })).body).toEqual({
      found: true,
      id,
      userName: 'bare',
      externalId: null,
      active: true,
      authentication: 'sso',
      displayName: null,
      name: null,
      emails: [],
      groups: [],
      roles: [],
      permissions: [],
      version: 1,
      validAfter: null,
      notBefore: null,
      endedBy: null,
      org: { id: idp.orgId, slug: idp.slug },
    });
  });

  it('finds who is deactivated, as inactive, and after which instant a session has to be issued', async () => {
    const { id } = await idp.user('ada', ada);
    await idp.patch(`/Users/${id}`, active(false));
    const { body } = await resolve({ org: idp.slug, email: 'ada@x.example' });
    expect(body).toMatchObject({ found: true, id, active: false, notBefore: expect.stringMatching(/^\d{4}-.*Z$/) });
    await idp.patch(`/Users/${id}`, active(true));
    const again = (await resolve({ org: idp.slug, id })).body;
    expect([again.active, again.notBefore]).toEqual([true, body.notBefore]);
    const later = Date.parse(body.notBefore) + 60_000;
    await env.DB.prepare('UPDATE orgs SET not_before = ? WHERE id = ?').bind(later, idp.orgId).run();
    expect((await resolve({ org: idp.slug, id })).body.notBefore).toBe(new Date(later).toISOString());
  });

  it('lets nobody of an org in that is switched off', async () => {
    await idp.user('ada');
    await env.DB.prepare('UPDATE orgs SET disabled_at = 1 WHERE id = ?').bind(idp.orgId).run();
    expect((await resolve({ org: idp.slug, userName: 'ada' })).body).toMatchObject({ found: true, active: false });
  });

  it('does not find who was deleted, who is of another org, or anybody of an org that is not there', async () => {
    const { id } = await idp.user('ada', ada);
    const everyWay = [{ id }, { userName: 'ada' }, { email: 'ada@x.example' }, { externalId: 'hr-1' }];
    const answers = (org: string) => Promise.all(everyWay.map(async (by) => (await resolve({ org, ...by })).body));
    const nobody = everyWay.map(() => ({ found: false }));
    expect(await answers(other.slug)).toEqual(nobody);
    expect(await answers('nowhere')).toEqual(nobody);
    await idp.delete(`/Users/${id}`);
    const removed = { found: false, removed: true, removedAt: expect.stringMatching(/Z$/) };
    expect(await answers(idp.slug)).toEqual(everyWay.map(() => removed));
    expect(await answers(other.slug)).toEqual(nobody);
  });

  it('does not guess which of several people is meant by an address or an externalId', async () => {
    const shared = { externalId: 'twice', emails: [{ value: 'team@x.example', primary: true }] };
    const { id } = await idp.user('ada', shared);
    await idp.user('bob', { externalId: 'twice', emails: [{ value: 'bob@x.example' }, { value: 'TEAM@x.example' }] });
    const ambiguous = { found: false, ambiguous: true };
    expect((await resolve({ org: idp.slug, email: 'team@x.example' })).body).toEqual(ambiguous);
    expect((await resolve({ org: idp.slug, externalId: 'twice' })).body).toEqual(ambiguous);
    await idp.patch(`/Users/${id}`, active(false));
    expect((await resolve({ org: idp.slug, email: 'team@x.example' })).body).toEqual(ambiguous);
    await idp.delete(`/Users/${id}`);
    expect((await resolve({ org: idp.slug, email: 'team@x.example' })).body).toMatchObject({ userName: 'bob' });
    // The same address in another org is nobody’s business here.
    await other.user('ada', shared);
    expect((await resolve({ org: idp.slug, email: 'team@x.example' })).body).toMatchObject({ userName: 'bob' });
  });

  it('is asked for one thing', async () => {
    const one = 'One of id, userName, email and externalId was expected';
    for (const by of [{}, { id: 'x', userName: 'y' }]) {
      expect(refused(await resolve({ org: idp.slug, ...by }))).toEqual([400, 'invalidValue', one]);
      const overRpc = await exports.Sessions.resolve({ org: idp.slug, ...by });
      expect(overRpc).toEqual({ found: false, error: 'invalidValue', detail: one });
    }
    expect(refused(await resolve({ org: idp.slug, username: 'y' }))[2]).toBe('username is not part of the question');
    expect(refused(await resolve({ org: idp.slug, id: 7 }))[2]).toBe('id: a string was expected');
  });
});

describe('the journal as a feed', () => {
  const all = async (query: Record<string, string>, limit = '3') => {
    const found: { seq: number; type: string }[] = [];
    let page: Answer['body'];
    let after = '0';
    do {
      page = (await events({ org: idp.slug, after, limit, ...query })).body;
      expect(page.events.length).toBeLessThanOrEqual(Number(limit));
      found.push(...page.events);
      after = String(page.next);
    } while (page.next < page.current);
    return found;
  };
  const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

  it('tells who did what to whom, with what changed', async () => {
    const { id } = await idp.user('ada');
    await idp.patch(`/Users/${id}`, active(false));
    const { body } = await events({ org: idp.orgId });
    expect(body).toMatchObject({ next: 5, current: 5 });
    expect(body.events.map(({ type }: { type: string }) => type)).toEqual([
      'org.created',
      'scim.enabled',
      'token.issued',
      'user.created',
      'user.deactivated',
    ]);
    expect(body.events[4]).toEqual({
      seq: 5,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      type: 'user.deactivated',
      actor: 'idp',
      target: id,
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      endedBy: { cause: 'scim' },
      details: { changed: { active: { before: true, after: false } } },
    });
    expect(body.events[0].target).toBeNull();
    expect(await exports.Sessions.events({ org: idp.slug })).toEqual(body);
  });

  it('is gapless and in order, page by page, while others write', async () => {
    let isWriting = true;
    const writer = (async () => {
      for (let i = 0; i < 40; i++) await idp.user(`user-${i}`);
      isWriting = false;
    })();
    const seen: number[] = [];
    let next = 0;
    let current = 0;
    while (isWriting || next < current) {
      const { body } = await events({ org: idp.slug, after: String(next), limit: '7' });
      seen.push(...body.events.map(({ seq }: { seq: number }) => seq));
      ({ next, current } = body);
    }
    await writer;
    expect((await events({ org: idp.slug, after: String(next) })).body).toEqual({
      events: [],
      next: 43,
      current: 43,
      pruned: 0,
    });
    expect(seen).toEqual(upTo(43));
  });

  it('can be asked for some types, by name or by what they begin with', async () => {
    const { id } = await idp.user('ada');
    await idp.post('/Groups', { displayName: 'Team' });
    await idp.patch(`/Users/${id}`, active(false));
    await idp.delete(`/Users/${id}`);
    const types = async (...wanted: string[]) => {
      const query = new URLSearchParams([['org', idp.slug], ...wanted.map((type) => ['type', type])]);
      const { body } = await host('GET', `/events?${query}`);
      expect(body.next).toBe(body.current);
      expect((await exports.Sessions.events({ org: idp.slug, types: wanted })) as unknown).toEqual(body);
      return body.events.map(({ type }: { type: string }) => type);
    };
    expect(await types('user.*')).toEqual(['user.created', 'user.deactivated', 'user.deleted']);
    expect(await types('user.deleted', 'group.*')).toEqual(['group.created', 'user.deleted']);
    expect(await types('user.delete')).toEqual([]);
    expect((await all({ type: 'user.*' }, '1')).map(({ type }) => type)).toEqual(await types('user.*'));
  });

  it('costs no more for a rare type: a page goes through 2,000 events, and says where to go on', async () => {
    await idp.user('early');
    await fillJournal(5_000, `'group.updated'`, `'{}'`);
    await idp.user('late');
    const meter = new Meter();
    const pages: number[] = [];
    const seen: number[] = [];
    let after = 0;
    let current = 1;
    while (after < current) {
      meter.reset();
      const { body } = await events(
        { org: idp.slug, after: String(after), type: 'user.created' },
        { env: { DB: meter.binding } },
      );
      expect(meter.roundTrips).toBe(1);
      expect(meter.rowsRead).toBeLessThanOrEqual(2_030);
      seen.push(...body.events.map(({ seq }: { seq: number }) => seq));
      pages.push(body.next);
      ({ next: after, current } = body);
    }
    expect([pages, seen]).toEqual([
      [2_000, 4_000, 5_005],
      [4, 5_005],
    ]);
  });

  it('ends a page early when its details are long', async () => {
    await fillJournal(5, `'user.updated'`, `json_object('x', hex(zeroblob(300000)))`);
    const sizes: number[] = [];
    for (let after = 3; after < 8; ) {
      const { body } = await events({ org: idp.slug, after: String(after) });
      sizes.push(body.events.length);
      after = body.next;
    }
    expect(sizes).toEqual([2, 2, 1]);
    expect((await all({}, '100')).map(({ seq }) => seq)).toEqual(upTo(8));
  });

  it('is that of one org', async () => {
    await other.user(`only-${n}`);
    const { body } = await events({ org: idp.slug, limit: '500' });
    expect(body.current).toBe(3);
    expect(body.events).toHaveLength(3);
    expect(refused(await events({ org: 'nowhere' }))).toEqual([404, 'not_found', 'Org not found']);
    expect(await exports.Sessions.events({ org: 'nowhere' })).toEqual({ error: 'not_found', detail: 'Org not found' });
  });

  it.each([
    ['after', '-1', /^after: a whole number from 0/],
    ['after', '1.5', /^after: a whole number from 0/],
    ['after', '', /^after: a whole number from 0/],
    ['after', 'x', /^after: a whole number from 0/],
    ['after', '0x1', /^after: a whole number from 0/],
    ['after', '9'.repeat(15), /^after: at most 3 was expected, the org's latest event$/],
    ['after', '9'.repeat(30), /^after: a whole number from 0/],
    ['after', '4', /^after: at most 3 was expected/],
    ['limit', '0', /^limit: a whole number from 1 to 500/],
    ['limit', '501', /^limit: a whole number from 1 to 500/],
    ['limit', '-1', /^limit: a whole number from 1 to 500/],
    ['type', '*', /^types\.0: the name of an event/],
    ['type', 'user.[a-z]*', /^types\.0: the name of an event/],
    ['type', "user.x' OR 1", /^types\.0: the name of an event/],
    ['seq', '1', /^seq is not part of the question$/],
  ])('refuses %s=%s', async (name, value, detail) => {
    const answer = await events({ org: idp.slug, [name]: value });
    expect(refused(answer)).toEqual([400, 'invalidValue', expect.stringMatching(detail)]);
  });

  it('refuses the same over RPC, as a value', async () => {
    for (const wrong of [
      { after: -1 },
      { after: 4 },
      { after: Number.NaN },
      { after: 2 ** 60 },
      { after: '1' },
      { limit: 501 },
    ]) {
      const answer = await exports.Sessions.events({ org: idp.slug, ...wrong } as never);
      expect(answer).toEqual({ error: 'invalidValue', detail: expect.stringMatching(/expected/) });
    }
  });

  /** So many events after those that are there. */
  async function fillJournal(count: number, type: string, details: string): Promise<void> {
    await env.DB.batch([
      env.DB.prepare(
        `INSERT INTO events (org_id, seq, at, type, actor, request_id, details)
          WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
          SELECT id, event_seq + n, 1, ${type}, 'idp', 'r', ${details} FROM orgs, numbers WHERE id = ?`,
      ).bind(idp.orgId),
      env.DB.prepare(`UPDATE orgs SET event_seq = event_seq + ${count} WHERE id = ?`).bind(idp.orgId),
    ]);
  }
});

describe('when the database fails,', () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  beforeAll(() => () => log.mockRestore());
  const question = { org: 'x', user: 'x', issuedAt: Date.now() };
  const entrypoint = (message: string) => new Sessions(createExecutionContext(), { ...env, ...down(message) });

  it('an overloaded one is a 503 with Retry-After, over RPC an error that says so', async () => {
    const overloaded = 'D1_ERROR: D1 DB is overloaded. Too many requests queued.';
    const answer = await check(question, { env: down(overloaded) });
    expect(refused(answer)).toEqual([503, 'busy', 'The directory is busy: try again in a moment']);
    expect(answer.headers.get('Retry-After')).toMatch(/^\d+$/);
    await expect(entrypoint(overloaded).check(question)).rejects.toThrow('The directory is busy');
  });

  it('another fault is a 500 that tells nothing of it', async () => {
    const fault = 'D1_ERROR: no such table: secrets';
    const answer = await check(question, { env: down(fault) });
    expect(refused(answer)).toEqual([500, 'internal', 'The service failed; the request id is in X-Request-Id']);
    await expect(entrypoint(fault).events({ org: 'x' })).rejects.toThrow(/^The service failed$/);
  });
});

describe('in an org of 20,000, one question is one round trip, and reads what it answers:', () => {
  const meter = new Meter();
  const metered: Ask = { env: { DB: meter.binding } };
  let big: Idp;
  beforeAll(async () => {
    big = await newIdp('big');
    await fillDirectory(big, 20_000, 1_000);
    await big.post('/Groups', {
      displayName: 'All',
      members: Array.from({ length: 1_000 }, (_, i) => ({ value: idOf(i + 1) })),
    });
    // As an identity provider may do it: one address for everybody.
    await env.DB.prepare(
      `INSERT INTO user_emails (org_id, value_key, user_seq) SELECT org_id, 'all@big.example', seq FROM users
        WHERE org_id = ? AND deleted_at IS NULL`,
    )
      .bind(big.orgId)
      .run();
    meter.reset();
  });

  const mail = 'Person-777@big.example';
  it.each<[name: string, atMost: number, run: () => Promise<Answer>, isRight: (body: Answer['body']) => boolean]>([
    ['check', 5, () => check({ org: 'big', user: idOf(777), issuedAt: Date.now() }, metered), ({ valid }) => valid],
    ['resolve by id', 25, () => resolve({ org: 'big', id: idOf(777) }, metered), ({ id }) => id === idOf(777)],
    ['resolve by userName', 25, () => resolve({ org: 'big', userName: mail }, metered), ({ id }) => id === idOf(777)],
    ['resolve by e-mail', 25, () => resolve({ org: 'big', email: mail }, metered), ({ id }) => id === idOf(777)],
    [
      'resolve by externalId',
      25,
      () => resolve({ org: 'big', externalId: 'hr-777' }, metered),
      ({ id }) => id === idOf(777),
    ],
    ['resolve of nobody', 10, () => resolve({ org: 'big', email: 'no@one' }, metered), ({ found }) => !found],
    [
      'resolve of everybody’s address',
      50,
      () => resolve({ org: 'big', email: 'all@big.example' }, metered),
      ({ ambiguous }) => ambiguous,
    ],
    ['events', 25, () => events({ org: 'big', limit: '3' }, metered), (body) => body.events.length === 3],
  ])('%s reads at most %i', async (_, atMost, run, isRight) => {
    meter.reset();
    const { body } = await run();
    expect(isRight(body), JSON.stringify(body)).toBe(true);
    expect(meter.roundTrips).toBe(1);
    expect(meter.rowsRead).toBeLessThanOrEqual(atMost);
  });
});
