/** Promise 2, «deactivated means out»: what is in D1 and KV by the time an IdP hears 2xx, and what when something fails. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { sweep } from '../../src/cron/publications';
import type { Env } from '../../src/env';
import { checkSession } from '../../src/sessions/check';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import {
  brokenKv,
  coordinatorOf,
  flagOf,
  NotedKv,
  rebind,
  settled,
  userRow,
  useWholeSecond,
  waiting,
  writtenFlag,
} from '../support/coordinator';

const active = (value: boolean) => [{ op: 'replace', path: 'active', value }];
const check = (orgId: string, user: string, issuedAt: number) =>
  checkSession(env.REVOCATIONS, { org: orgId, user, issuedAt });

const unreachable = {
  getByName: () => ({ publish: () => Promise.reject(new Error('Durable Object is overloaded')) }),
} as unknown as Env['ORG_COORDINATOR'];

/** A database that commits the nth batch and dies with its answer. */
function dyingAt(nth: number): D1Database {
  let batches = 0;
  return {
    prepare: (text: string) => env.DB.prepare(text),
    batch: async (statements: D1PreparedStatement[]) => {
      const results = await env.DB.batch(statements);
      if (++batches === nth) throw new Error('D1_ERROR: Network connection lost.');
      return results;
    },
  } as unknown as D1Database;
}

/** As if a minute had passed since it was asked for: a younger publication counts as under way. */
const letWait = (orgId: string) =>
  env.DB.prepare('UPDATE outbox SET requested_at = requested_at - 60000 WHERE org_id = ?').bind(orgId).run();

beforeAll(() => {
  // Each of these failures is logged, which is not what is shown here.
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  return () => log.mockRestore();
});

const person = { userName: 'ada@x.example', externalId: 'ada' };
const off = { ...person, active: false };

describe.concurrent('by the time the IdP hears of it, the flag is in KV and nothing waits:', () => {
  it.each<[name: string, act: (idp: Idp, path: string) => Promise<Answer>]>([
    ['a PATCH that deactivates', (idp, path) => idp.patch(path, active(false))],
    [
      'a PATCH without a path that deactivates',
      (idp, path) => idp.patch(path, [{ op: 'Replace', value: { active: 'False' } }]),
    ],
    ['a PUT that deactivates', (idp, path) => idp.put(path, off)],
    ['a DELETE', (idp, path) => idp.delete(path)],
  ])('%s ends every session', async (name, act) => {
    const idp = await newIdp(`ends-${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`);
    const { id } = await idp.user(person.userName, person);
    expect(await flagOf(idp.orgId, id)).toBeNull();
    const before = Date.now();
    expect((await act(idp, `/Users/${id}`)).status).toBeLessThan(300);
    const flag = await flagOf(idp.orgId, id);
    const row = await userRow(idp.orgId, id);
    expect(flag).toEqual(writtenFlag(false, row.not_before));
    expect(row.active).toBe(0);
    expect(flag!.notBefore).toBeGreaterThanOrEqual(before);
    expect(flag!.notBefore).toBeLessThanOrEqual(Date.now());
    await settled(idp.orgId);
    expect(await check(idp.orgId, id, Date.now())).toEqual({ valid: false, reason: 'inactive' });
    // The flag of someone inactive has no end.
    const { keys } = await env.REVOCATIONS.list({ prefix: `rev:v1:${idp.orgId}:` });
    expect(keys).toEqual([{ name: `rev:v1:${idp.orgId}:${id}` }]);
  });

  it('someone created inactive is inactive for a host that asks KV alone', async () => {
    const idp = await newIdp('created-off');
    const { body } = await idp.post('/Users', off);
    expect(await flagOf(idp.orgId, body.id)).toEqual(writtenFlag(false, 0));
    await settled(idp.orgId);
  });

  it.each<[name: string, act: (idp: Idp, path: string) => Promise<Answer>]>([
    ['PATCH', (idp, path) => idp.patch(path, active(true))],
    ['PUT', (idp, path) => idp.put(path, { ...person, active: true })],
    ['POST', (idp) => idp.post('/Users', person)],
  ])('a reactivation by %s lets new sessions in, and leaves the old ones dead', async (name, act) => {
    const idp = await newIdp(`back-by-${name.toLowerCase()}`);
    const { id } = await idp.user(person.userName, person);
    const old = Date.now();
    await idp.patch(`/Users/${id}`, active(false));
    const { notBefore } = (await flagOf(idp.orgId, id))!;
    const answer = await act(idp, `/Users/${id}`);
    expect(answer.body).toMatchObject({ id, active: true });
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(true, notBefore));
    expect((await userRow(idp.orgId, id)).not_before).toBe(notBefore);
    expect(await check(idp.orgId, id, old)).toEqual({ valid: false, reason: 'revoked' });
    expect(await check(idp.orgId, id, notBefore)).toEqual({ valid: false, reason: 'revoked' });
    expect(await check(idp.orgId, id, notBefore + 1)).toEqual({ valid: true, reason: 'good' });
    await settled(idp.orgId);
    // It is needed while a session from before may live.
    const [key] = (await env.REVOCATIONS.list({ prefix: `rev:v1:${idp.orgId}:` })).keys;
    const month = Date.now() / 1000 + Number(env.SESSION_MAX_AGE);
    expect(key!.expiration).toBeGreaterThan(month - 60);
    expect(key!.expiration).toBeLessThan(month + 60);
  });

  it('who comes back after a DELETE is let in anew, with the old sessions dead', async () => {
    const idp = await newIdp('restored');
    const { id } = await idp.user(person.userName, person);
    await idp.delete(`/Users/${id}`);
    const { notBefore } = (await flagOf(idp.orgId, id))!;
    expect((await idp.post('/Users', person)).body.id).toBe(id);
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(true, notBefore));
    await settled(idp.orgId);
  });

  it('who comes back inactive stays out', async () => {
    const idp = await newIdp('restored-off');
    const { id } = await idp.user(person.userName, person);
    await idp.delete(`/Users/${id}`);
    expect((await idp.post('/Users', off)).body).toMatchObject({ id, active: false });
    expect(await flagOf(idp.orgId, id)).toMatchObject({ v: 1, active: false });
    await settled(idp.orgId);
  });

  it('a second deactivation moves not-before on, never back', async () => {
    const idp = await newIdp('twice');
    const { id } = await idp.user(person.userName, person);
    await idp.patch(`/Users/${id}`, active(false));
    const first = (await flagOf(idp.orgId, id))!.notBefore;
    await idp.patch(`/Users/${id}`, active(true));
    const between = Date.now();
    expect((await check(idp.orgId, id, between)).valid).toBe(true);
    await idp.patch(`/Users/${id}`, active(false));
    await idp.patch(`/Users/${id}`, active(true));
    const second = (await flagOf(idp.orgId, id))!.notBefore;
    expect(second).toBeGreaterThan(first);
    expect(await check(idp.orgId, id, between)).toEqual({ valid: false, reason: 'revoked' });
  });

  it('a session that was issued while the request waited for the database dies too', async () => {
    const idp = await newIdp('waited');
    const { id } = await idp.user(person.userName, person);
    let issuedAt = 0;
    const slow = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        await scheduler.wait(30);
        issuedAt = Date.now();
        return env.DB.batch(statements);
      },
    } as unknown as D1Database;
    await idp.patch(`/Users/${id}`, active(false), { env: { DB: slow } });
    await idp.patch(`/Users/${id}`, active(true));
    expect(await check(idp.orgId, id, issuedAt)).toEqual({ valid: false, reason: 'revoked' });
  });

  it('nothing is written for a change that is not about signing in', async () => {
    const idp = await newIdp('quiet');
    const { id } = await idp.user(person.userName, person);
    await idp.patch(`/Users/${id}`, [{ op: 'add', path: 'title', value: 'Head' }]);
    await idp.put(`/Users/${id}`, { ...person, userName: 'eve@x.example' });
    expect(await flagOf(idp.orgId, id)).toBeNull();
    await settled(idp.orgId);
  });

  it('a deleted org leaves a flag under which every session is dead, those of tomorrow too', async () => {
    const idp = await newIdp('closed');
    const { id } = await idp.user(person.userName, person);
    const { status, body } = await admin('DELETE', '/orgs/closed?confirm=closed');
    expect([status, body]).toEqual([200, { deleted: 'closed', id: idp.orgId, users: 1 }]);
    expect(await flagOf(idp.orgId)).toMatchObject({ v: 1, active: false });
    expect(await check(idp.orgId, id, Date.now() + 86_400_000)).toEqual({ valid: false, reason: 'inactive' });
    await settled(idp.orgId);
  });

  it('keys and values hold ids, a word and an instant: nothing about the person or the org', async () => {
    const idp = await newIdp('private-affairs');
    const { id } = await idp.user('ada.lovelace@private.example', { displayName: 'Ada', externalId: 'hr-1' });
    await idp.patch(`/Users/${id}`, active(false));
    const { keys } = await env.REVOCATIONS.list({ prefix: `rev:v1:${idp.orgId}:` });
    expect(keys).toHaveLength(1);
    expect(keys[0]!.name).toMatch(/^rev:v1:[0-9A-Za-z]{12}:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(keys[0]).not.toHaveProperty('metadata');
    expect(await env.REVOCATIONS.get(keys[0]!.name)).toMatch(
      /^\{"v":1,"active":false,"validAfter":\d{13},"notBefore":\d{13}\}$/,
    );
  });
});

/** What D1 must hold of a deactivation that KV has not heard of. */
async function expectCommitted(idp: Idp, id: string, requestId: string | null): Promise<void> {
  const row = await userRow(idp.orgId, id);
  expect(row.active).toBe(0);
  expect(row.not_before).toBeGreaterThan(Date.now() - 10_000);
  const event = await env.DB.prepare('SELECT type, request_id FROM events WHERE org_id = ? ORDER BY seq DESC LIMIT 1')
    .bind(idp.orgId)
    .first<{ type: string; request_id: string }>();
  expect(event!.type).toMatch(/^user\.(deactivated|deleted)$/);
  if (requestId !== null) expect(event!.request_id).toBe(requestId);
  expect(await waiting(idp.orgId)).toBe(1);
  expect(await flagOf(idp.orgId, id)).toBeNull();
}

describe.concurrent('when KV fails,', () => {
  it.each<[string, (idp: Idp, id: string) => Promise<Answer>]>([
    ['PATCH', (idp, id) => idp.patch(`/Users/${id}`, active(false))],
    ['PUT', (idp, id) => idp.put(`/Users/${id}`, off)],
    ['DELETE', (idp, id) => idp.delete(`/Users/${id}`)],
  ])('a deprovisioning by %s succeeds, is on record, and is published by the alarm', async (name, act) => {
    const idp = await newIdp(`kv-fails-${name.toLowerCase()}`);
    const { id } = await idp.user(person.userName, person);
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    const answer = await act(idp, id);
    expect(answer.status).toBe(name === 'DELETE' ? 204 : 200);
    await expectCommitted(idp, id, answer.headers.get('X-Request-Id'));
    await rebind(idp.orgId, {});
    expect(await runDurableObjectAlarm(coordinatorOf(idp.orgId))).toBe(true);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });

  it('and an org is deleted, its flag is written by the alarm, though nothing of the org is left', async () => {
    const idp = await newIdp('kv-fails-org');
    await idp.user(person.userName);
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    expect((await admin('DELETE', '/orgs/kv-fails-org?confirm=kv-fails-org')).status).toBe(200);
    expect(await flagOf(idp.orgId)).toMatchObject({ active: true });
    await rebind(idp.orgId, {});
    await runDurableObjectAlarm(coordinatorOf(idp.orgId));
    expect(await flagOf(idp.orgId)).toMatchObject({ v: 1, active: false });
    await settled(idp.orgId);
  });

  it('a late retry writes what is true by then, and cannot bring back an old state', async () => {
    const idp = await newIdp('late');
    const { id } = await idp.user(person.userName, person);
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    await idp.patch(`/Users/${id}`, active(false));
    await idp.patch(`/Users/${id}`, active(true));
    expect(await waiting(idp.orgId)).toBe(2);
    const { not_before: notBefore } = await userRow(idp.orgId, id);
    const noted = new NotedKv();
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    await runDurableObjectAlarm(coordinatorOf(idp.orgId));
    expect(noted.puts.map(({ flag }) => flag)).toEqual([writtenFlag(true, notBefore)]);
    expect(await check(idp.orgId, id, notBefore!)).toEqual({ valid: false, reason: 'revoked' });
    expect(await check(idp.orgId, id, notBefore! + 1)).toEqual({ valid: true, reason: 'good' });
    await settled(idp.orgId);
    // And once more, long after: the same.
    expect(await coordinatorOf(idp.orgId).publish(id)).toBe(true);
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(true, notBefore));
  });
});

// One after another: a sweep publishes what it finds of any org, and so what another of these tests has left.
describe('what a crash left between the commit and the publication', () => {
  it('of a coordinator that cannot be reached is published by the sweep', async () => {
    const idp = await newIdp('unreachable');
    const { id } = await idp.user(person.userName, person);
    const answer = await idp.patch(`/Users/${id}`, active(false), { env: { ORG_COORDINATOR: unreachable } });
    expect(answer.status).toBe(200);
    expect(answer.body.active).toBe(false);
    await expectCommitted(idp, id, answer.headers.get('X-Request-Id'));
    await letWait(idp.orgId);
    await sweep(env);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });

  it('of a request that died with its answer is published by the sweep', async () => {
    const idp = await newIdp('crashed');
    const { id } = await idp.user(person.userName, person);
    const answer = await idp.patch(`/Users/${id}`, active(false), { env: { DB: dyingAt(2) } });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('Retry-After')).toMatch(/^\d+$/);
    await expectCommitted(idp, id, answer.headers.get('X-Request-Id'));
    await letWait(idp.orgId);
    await sweep(env);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });

  it.each<[string, (idp: Idp, id: string) => Promise<Answer>]>([
    ['PATCH', (idp, id) => idp.patch(`/Users/${id}`, active(false))],
    ['PUT', (idp, id) => idp.put(`/Users/${id}`, off)],
    ['POST', (idp) => idp.post('/Users', off)],
  ])('is published when the IdP repeats it by %s, before it hears that nothing has changed', async (name, again) => {
    const idp = await newIdp(`repeated-by-${name.toLowerCase()}`);
    const { id, meta } = await idp.user(person.userName, person);
    await idp.patch(`/Users/${id}`, active(false), { env: { DB: dyingAt(2) } });
    expect(await flagOf(idp.orgId, id)).toBeNull();
    const answer = await again(idp, id);
    expect(answer.body).toMatchObject({ id, active: false, meta: { created: meta.created, version: 'W/"2"' } });
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });
});

describe('someone switched off and on twenty times at once', () => {
  it('ends with the right flag, after far fewer writes, none sooner than a second after another', async () => {
    useWholeSecond();
    const idp = await newIdp('flapping');
    const { id } = await idp.user(person.userName, person);
    const noted = new NotedKv();
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    const publications: Promise<boolean>[] = [];
    // The answers do not wait here, or twenty changes would take twenty seconds.
    const hasty = {
      getByName: (orgId: string) => ({
        publish: async (userId: string) => void publications.push(coordinatorOf(orgId).publish(userId)),
      }),
    } as unknown as Env['ORG_COORDINATOR'];
    for (let i = 1; i <= 20; i++) {
      const { body } = await idp.patch(`/Users/${id}`, active(i % 2 === 0), { env: { ORG_COORDINATOR: hasty } });
      expect(body.active).toBe(i % 2 === 0);
    }
    expect(await Promise.all(publications)).toEqual(Array.from({ length: 20 }, () => true));
    const { not_before: notBefore } = await userRow(idp.orgId, id);
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(true, notBefore));
    await settled(idp.orgId);
    expect(noted.puts.length).toBeGreaterThanOrEqual(1);
    expect(noted.puts.length).toBeLessThanOrEqual(5);
    noted.puts.slice(1).forEach(({ at }, i) => {
      expect(at - noted.puts[i]!.at).toBeGreaterThanOrEqual(1_000);
    });
    // No write ever took not-before back.
    const instants = noted.puts.map(({ flag }) => flag.notBefore);
    expect(instants).toEqual([...instants].sort((a, b) => a - b));
  });
});
