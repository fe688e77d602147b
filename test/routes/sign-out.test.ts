/** «Sign out everywhere», of a user and of an org, and the vendor's switch: what is dead by the time the answer comes. */
import { env } from 'cloudflare:workers';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { sweep } from '../../src/cron/publications';
import { checkSession } from '../../src/sessions/check';
import { admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { brokenKv, flagOf, rebind, settled, userRow, writtenFlag } from '../support/coordinator';
import { dump, journal, rows } from '../support/database';
import { fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { forbidLowering, unreachable } from '../support/outbox';
import { expectRefusal } from '../support/refusal';

beforeAll(async () => {
  await forbidLowering();
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  return () => log.mockRestore();
});

let idp: Idp;
let id: string;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`signing-out-${++n}`);
  id = (await idp.user('Ada@x.example')).id;
});

const signOut = (user = id, more = {}) =>
  admin('POST', `/orgs/${idp.slug}/users/${encodeURIComponent(user)}/sign-out`, { body: {}, ...more });
const ofOrg = (verb: string, body = {}, more = {}) => admin('POST', `/orgs/${idp.slug}/${verb}`, { body, ...more });
const shown = async () => (await admin('GET', `/orgs/${idp.slug}`)).body;
/** What D1 says, and a host that asks KV alone. */
async function check(issuedAt: number, user = id): Promise<string[]> {
  const query = new URLSearchParams({ user, issuedAt: String(issuedAt) });
  const { body } = await admin('GET', `/orgs/${idp.slug}/sessions/check?${query}`);
  return [body.reason, (await checkSession(env.REVOCATIONS, { org: idp.orgId, user, issuedAt })).reason];
}
const typesSince = async (seq: number) => (await journal(idp.orgId)).slice(seq).map(({ type }) => type);
const both = (reason: string) => [reason, reason];

describe('signing a user out', () => {
  it('ends every session issued until now, in D1 and in KV, by the time of the answer; later ones are good', async () => {
    const before = Date.now();
    const answer = await signOut();
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      id,
      userName: 'Ada@x.example',
      active: true,
      validAfter: expect.any(String),
      notBefore: answer.body.validAfter, // its former name, for one more release
      published: true,
    });
    const at = Date.parse(answer.body.validAfter);
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(true, at));
    await settled(idp.orgId);
    expect([await check(before), await check(at)]).toEqual([both('revoked'), both('revoked')]);
    expect(await check(at + 1)).toEqual(both('good'));
  });

  it('leaves the user as it is to the identity provider: active, and of the same version', async () => {
    const before = await idp.get(`/Users/${id}`);
    await signOut();
    const after = await idp.get(`/Users/${id}`);
    expect([after.text, after.headers.get('ETag')]).toEqual([before.text, before.headers.get('ETag')]);
  });

  it('takes the id or the userName in any letter case; an id wins over a userName that is spelled like it', async () => {
    const twin = await idp.user(id);
    expect((await signOut('ADA@X.EXAMPLE')).body.id).toBe(id);
    expect((await signOut(id)).body.id).toBe(id);
    expect((await userRow(idp.orgId, twin.id)).not_before).toBeNull();
  });

  it('is recorded, with who asked for it', async () => {
    await signOut(id, { body: { by: 'grace' }, headers: { 'X-Admin-By': 'console' } });
    await signOut(id, { headers: { 'X-Admin-By': 'console' } });
    const events = (await journal(idp.orgId, id)).filter(({ type }) => type === 'user.signed_out');
    expect(events.map(({ actor, details }) => [actor, details])).toEqual([
      ['admin:console', { cause: 'operator', by: 'grace' }],
      ['admin:console', { cause: 'operator', by: 'console' }],
    ]);
  });

  it('needs no body', async () => {
    const url = `${BASE}/admin/v1/orgs/${idp.slug}/users/${id}/sign-out`;
    expect(
      (await ask('POST', url, { headers: { Authorization: 'Bearer test-admin-token-0123456789abcdef' } })).status,
    ).toBe(200);
  });

  it('of someone deactivated keeps them out, and holds after a reactivation', async () => {
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }], { env: unreachable });
    const answer = await signOut();
    expect(answer.body.active).toBe(false);
    const at = Date.parse(answer.body.notBefore);
    expect(await check(at + 1)).toEqual(both('inactive'));
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: true }]);
    expect([await check(at), await check(at + 1)]).toEqual([both('revoked'), both('good')]);
  });

  it('of nobody, of someone deleted, or in no org is 404, and changes nothing', async () => {
    await idp.delete(`/Users/${id}`, { env: unreachable });
    const before = await dump();
    for (const user of [id, 'Ada@x.example', crypto.randomUUID(), 'x'.repeat(500)]) {
      const answer = await signOut(user);
      expect([answer.status, answer.body]).toEqual([404, { error: 'not_found', detail: 'User not found' }]);
    }
    expect((await admin('POST', `/orgs/nowhere/users/${id}/sign-out`, { body: {} })).body.detail).toBe('Org not found');
    expect(await dump()).toBe(before);
  });

  it('refuses a body that is not as it must be', async () => {
    for (const body of [{ by: '' }, { by: 5 }, { user: 'x' }, []])
      expect((await signOut(id, { body })).status).toBe(400);
    expect(await userRow(idp.orgId, id)).toMatchObject({ not_before: null });
  });

  it('says when KV could not be written; D1 knows all the same, and the flag follows', async () => {
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    const before = Date.now();
    const answer = await signOut();
    expect([answer.status, answer.body.published]).toEqual([200, false]);
    expect(await check(before)).toEqual(['revoked', 'good']);
    expect((await signOut(id, { env: unreachable })).body.published).toBe(false);
    await rebind(idp.orgId, {});
    await sweep(env);
    expect(await check(before)).toEqual(both('revoked'));
    await settled(idp.orgId);
  });

  it('takes one D1 round trip, and few rows in an org of any size', async () => {
    await fillUsers(idp, 5_000);
    const meter = new Meter();
    expect((await signOut(userId(77), { env: { DB: meter.binding } })).status).toBe(200);
    expect(meter.roundTrips).toBe(1);
    expect(meter.rowsRead).toBeLessThanOrEqual(55);
    expect(meter.rowsWritten).toBeLessThanOrEqual(12);
  });
});

describe('signing an org out', () => {
  it('ends everybody’s sessions with one row, one event and one key; who is active may sign in anew', async () => {
    await fillUsers(idp, 500);
    const before = Date.now();
    const meter = new Meter();
    const answer = await ofOrg('sign-out', { by: 'grace' }, { env: { DB: meter.binding } });
    expect([answer.status, answer.body.published, answer.body.slug]).toEqual([200, true, idp.slug]);
    const at = Date.parse(answer.body.notBefore);
    expect(at).toBeGreaterThanOrEqual(before);
    for (const user of [id, userId(1), userId(500)]) {
      expect([await check(at, user), await check(at + 1, user)]).toEqual([both('revoked'), both('good')]);
    }
    expect([meter.roundTrips, meter.rowsWritten <= 12]).toEqual([1, true]);
    const { keys } = await env.REVOCATIONS.list({ prefix: `rev:v1:${idp.orgId}` });
    expect(keys.map(({ name }) => name)).toEqual([`rev:v1:${idp.orgId}`]);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({
      type: 'org.signed_out',
      target_id: null,
      details: { cause: 'operator', by: 'grace' },
    });
    expect((await shown()).notBefore).toBe(answer.body.notBefore);
    expect((await idp.get(`/Users/${id}`)).status).toBe(200);
  });

  it('that does not exist is 404', async () => {
    for (const verb of ['sign-out', 'disable', 'enable'])
      expect((await admin('POST', `/orgs/nowhere/${verb}`, { body: {} })).status).toBe(404);
  });
});

describe('an org that the vendor has disabled', () => {
  it('has nobody signed in, whenever it was; enabled again, the sessions from before stay dead and new ones are good', async () => {
    const before = Date.now();
    const off = await ofOrg('disable', { reason: 'unpaid' });
    expect(off.status).toBe(200);
    expect(off.body).toMatchObject({ disabledAt: expect.any(String), scimEnabled: true, published: true });
    expect(await flagOf(idp.orgId)).toMatchObject({ active: false });
    expect(await check(before)).toEqual(both('inactive'));
    expect(await check(Date.now() + 60_000)).toEqual(both('inactive'));
    const on = await ofOrg('enable');
    expect(on.body).toMatchObject({ disabledAt: null, published: true });
    const at = Date.parse(on.body.notBefore);
    expect(on.body.notBefore).toBe(off.body.notBefore);
    expect([await check(before), await check(at), await check(at + 1)]).toEqual([
      both('revoked'),
      both('revoked'),
      both('good'),
    ]);
  });

  it('is shown as such, and the journal says since when, by whom and why', async () => {
    const { disabledAt } = (await ofOrg('disable', { reason: 'unpaid', by: 'grace' })).body;
    expect((await shown()).disabledAt).toBe(disabledAt);
    const { body: all } = await admin('GET', '/orgs');
    expect(all.find(({ slug }: { slug: string }) => slug === idp.slug).disabledAt).toBe(disabledAt);
    await ofOrg('enable', {}, { headers: { 'X-Admin-By': 'ada' } });
    const events = (await journal(idp.orgId)).slice(-2);
    expect(events.map(({ type, details }) => [type, details])).toEqual([
      ['org.disabled', { by: 'grace', reason: 'unpaid' }],
      ['org.enabled', { by: 'ada' }],
    ]);
  });

  it('has its identity provider refused, whatever it presents, and nothing is read or written for it', async () => {
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { supportContact: 'help@x.example' } } });
    const { password } = (await admin('POST', `/orgs/${idp.slug}/basic`, { body: {} })).body;
    const basic = { headers: { Authorization: `Basic ${btoa(`${idp.slug}:${password}`)}` } };
    expect((await idp.get(`/Users/${id}`, basic)).status).toBe(200);
    await ofOrg('disable');
    const before = await dump();
    for (const answer of [
      await idp.get(`/Users/${id}`),
      await idp.get('/Users', basic),
      await idp.get('/ServiceProviderConfig'),
      await idp.post('/Users', { userName: 'grace' }),
      await idp.post('/Users', { userName: 'grace' }, basic),
      await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]),
      await idp.delete(`/Users/${id}`),
    ]) {
      expectRefusal(answer, 403, undefined, /not enabled.*Contact help@x\.example\./);
      expect(answer.text).not.toContain('Ada');
    }
    expect(await dump()).toBe(before);
    await ofOrg('enable');
    expect((await idp.get(`/Users/${id}`)).status).toBe(200);
    expect((await idp.get('/Users', basic)).status).toBe(200);
  });

  it('refuses a request that had begun before', async () => {
    let batches = 0;
    const disabling = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        if (++batches === 2) await ofOrg('disable');
        return env.DB.batch(statements);
      },
    } as unknown as D1Database;
    const rename = [{ op: 'replace', path: 'displayName', value: 'Countess' }];
    expectRefusal(await idp.patch(`/Users/${id}`, rename, { env: { DB: disabling } }), 403);
    expect(await rows('SELECT version FROM users WHERE id = ?', id)).toEqual([{ version: 1 }]);
  });

  it('keeps its tokens and its users, and is still the administrator’s', async () => {
    const tokens = (await admin('GET', `/orgs/${idp.slug}/tokens`)).body;
    await ofOrg('disable');
    expect((await admin('GET', `/orgs/${idp.slug}/tokens`)).body).toEqual(tokens);
    expect((await admin('GET', `/orgs/${idp.slug}/users/${id}`)).body.active).toBe(true);
    expect((await signOut()).status).toBe(200);
    expect((await shown()).activeUsers).toBe(1);
  });

  it('stays disabled when SCIM is switched on; switching SCIM off touches no session', async () => {
    const scim = (enabled: boolean) => admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled } });
    await scim(false);
    expectRefusal(await idp.get('/Users'), 403);
    expect(await check(Date.now())).toEqual(both('good'));
    expect(await flagOf(idp.orgId)).toMatchObject({ active: true, notBefore: 0 });
    await ofOrg('disable');
    await scim(true);
    expectRefusal(await idp.get('/Users'), 403);
    await ofOrg('enable');
    expect((await idp.get('/Users')).status).toBe(200);
  });

  it('may be disabled again: no event, no later not-before, but what waits is published', async () => {
    const first = await ofOrg('disable', {}, { env: unreachable });
    expect(first.body.published).toBe(false);
    const { length } = await journal(idp.orgId);
    const again = await ofOrg('disable');
    expect(again.body).toEqual({ ...first.body, published: true });
    expect(await typesSince(length)).toEqual([]);
    await settled(idp.orgId);
    expect(await check(Date.now() + 1_000)).toEqual(both('inactive'));
  });

  it('by ten at once is disabled once; switched to and fro at once, the journal tells the way in turn', async () => {
    const { length } = await journal(idp.orgId);
    const ten = await Promise.all(Array.from({ length: 10 }, () => ofOrg('disable', {}, { env: unreachable })));
    expect(new Set(ten.map(({ body }) => body.disabledAt)).size).toBe(1);
    expect(await typesSince(length)).toEqual(['org.disabled']);
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => ofOrg(i % 2 === 0 ? 'enable' : 'disable', {}, { env: unreachable })),
    );
    const types = await typesSince(length);
    expect(types).toEqual(types.map((_, i) => (i % 2 === 0 ? 'org.disabled' : 'org.enabled')));
    expect((await shown()).disabledAt === null).toBe(types.at(-1) === 'org.enabled');
  });
});
