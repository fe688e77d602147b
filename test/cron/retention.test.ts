/** What the cron does about tombstones and events that an org does not keep for ever. */
import { createScheduledController } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { retain } from '../../src/cron/retention';
import type { Env } from '../../src/env';
import worker from '../../src/index';
import { readPublished } from '../../src/store/journal/revocation-feed';
import { eraseOld, pruneEvents } from '../../src/store/operations/retention';
import { OrgStore } from '../../src/store/org/open';
import { admin, host, type Idp, newIdp } from '../support/client';
import { counters, dump, journal, rows } from '../support/database';
import { FaultyDb } from '../support/faults';
import { fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { unreachable } from '../support/outbox';

const START = Date.parse('2026-11-20T12:00:00.000Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const unheard = { env: unreachable };

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

let idp: Idp;
let n = 0;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  await env.DB.prepare(`UPDATE orgs SET settings = '{}'`).run();
  idp = await newIdp(`retention-${++n}`);
});
afterEach(() => void vi.useRealTimers());

const at = (milliseconds: number) => vi.setSystemTime(START + milliseconds);
const run = () => retain(env);
const org = (path = '') => `/orgs/${idp.slug}${path}`;
const set = async (settings: Record<string, string>) =>
  expect((await admin('PATCH', org(), { body: { settings } })).status).toBe(200);
const active = (value: boolean) => [{ op: 'replace', path: 'active', value }];
const erasedOf = async ({ orgId }: Idp) =>
  (await rows('SELECT id FROM users WHERE org_id = ? AND erased_at IS NOT NULL ORDER BY seq', orgId)).map(
    ({ id }) => id,
  );
const prunedOf = async ({ orgId }: Idp) =>
  (await rows('SELECT pruned_through AS n FROM orgs WHERE id = ?', orgId))[0]!['n'] as number;
const eventsOf = async ({ orgId }: Idp) => (await journal(orgId)).map(({ seq, type }) => [seq, type]);

/** As many tombstones in a moment, deleted at that instant. */
async function bury(count: number, deletedAt: number): Promise<void> {
  await fillUsers(idp, count);
  await env.DB.batch([
    env.DB.prepare('DELETE FROM user_emails WHERE org_id = ?').bind(idp.orgId),
    env.DB.prepare('UPDATE users SET deleted_at = ?2, active = 0 WHERE org_id = ?1').bind(idp.orgId, deletedAt),
    env.DB.prepare('UPDATE orgs SET user_count = 0, active_user_count = 0 WHERE id = ?').bind(idp.orgId),
  ]);
}

/** As many events more, one each second from that instant on, each of somebody else. */
async function happen(count: number, from: number, publishes = 0): Promise<void> {
  await env.DB.batch([
    env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
       INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details, publishes)
       SELECT orgs.id, event_seq + i, ?3 + i * 1000, 'user.updated', 'idp', 'u' || i, 'r', '{"changed":{}}', ?4
       FROM n, orgs WHERE orgs.id = ?1`,
    ).bind(idp.orgId, count, from, publishes),
    env.DB.prepare('UPDATE orgs SET event_seq = event_seq + ?2 WHERE id = ?1').bind(idp.orgId, count),
  ]);
}

describe('a deleted user', () => {
  it('is erased when it is as old as the org keeps them, to the millisecond, and told of', async () => {
    await set({ retainDeleted: '30d' });
    const ada = await idp.user('ada@x', { externalId: 'e1' });
    const bob = await idp.user('bob@x');
    await idp.delete(`/Users/${ada.id}`, unheard);
    at(DAY);
    await idp.delete(`/Users/${bob.id}`, unheard);
    at(30 * DAY - 1);
    await run();
    expect(await erasedOf(idp)).toEqual([]);
    at(30 * DAY - 1 + HOUR);
    await worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date() }), env as Env);
    expect(await erasedOf(idp)).toEqual([ada.id]);
    const told = await journal(idp.orgId, ada.id);
    expect(told.at(-1)).toMatchObject({
      type: 'user.erased',
      actor: 'service',
      details: { erased: true, cause: 'retention' },
    });
    expect(JSON.stringify(told)).not.toContain('ada');
    expect((await journal(idp.orgId, bob.id))[0]?.details.changed.userName.after).toBe('bob@x');
    const { kept, real } = await counters(idp.orgId);
    expect(kept).toEqual(real);
    expect((await idp.post('/Users', { userName: 'ada@x', externalId: 'e1' })).body.id).not.toBe(ada.id);
    const seqs = (await journal(idp.orgId)).map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
  });

  it('stays for ever where nothing is set, and from `none` on', async () => {
    const { id } = await idp.user('ada@x');
    await idp.delete(`/Users/${id}`, unheard);
    at(3_650 * DAY);
    const was = await rows('SELECT * FROM users');
    await run();
    expect(await rows('SELECT * FROM users')).toEqual(was);
    await set({ retainDeleted: '1d' });
    await set({ retainDeleted: 'none' });
    await run();
    expect(await erasedOf(idp)).toEqual([]);
    // Changed after the run has read the setting.
    await set({ retainDeleted: '90d' });
    const store = new OrgStore(env.DB, { kind: 'id', id: idp.orgId }, Date.now());
    const stale = { setting: 'retainDeleted', text: '1d', until: Date.now() } as const;
    expect(await eraseOld(store, { name: 'service', requestId: 'r' }, stale, 10)).toBe(0);
    expect(await erasedOf(idp)).toEqual([]);
  });

  it('is one of many: a portion each run, the oldest first, all in the end and each once', async () => {
    await bury(450, START);
    await set({ retainDeleted: '1d' });
    at(2 * DAY);
    const counts = [];
    for (let i = 0; i < 4; i++) {
      await run();
      counts.push((await erasedOf(idp)).length);
    }
    expect(counts).toEqual([200, 400, 450, 450]);
    expect(await rows(`SELECT count(*) AS n FROM events WHERE org_id = ? AND type = 'user.erased'`, idp.orgId)).toEqual(
      [{ n: 450 }],
    );
  });

  it('who is restored at the same moment is restored whole or erased whole', async () => {
    await set({ retainDeleted: '1d' });
    for (let i = 0; i < 6; i++) {
      const { id } = await idp.user(`ada${i}@x`, { externalId: `e${i}` });
      await idp.delete(`/Users/${id}`, unheard);
      at((2 + 2 * i) * DAY);
      const [back] = await Promise.all([
        idp.post('/Users', { userName: `ada${i}@x`, externalId: `e${i}` }, unheard),
        ...(i % 2 ? [run(), run()] : [scheduler.wait(i).then(run)]),
      ]);
      expect(back.status).toBe(201);
      const [row] = await rows('SELECT erased_at, deleted_at, user_name_key, resource FROM users WHERE id = ?', id);
      if (back.body.id === id)
        expect(row).toMatchObject({ erased_at: null, deleted_at: null, user_name_key: `ada${i}@x` });
      else expect(row).toMatchObject({ user_name_key: '', resource: '{}' });
    }
    const { kept, real } = await counters(idp.orgId);
    expect(kept).toEqual(real);
  });

  it('of an org whose journal is empty by its age is numbered after all that ever happened', async () => {
    const { id } = await idp.user('ada@x');
    await idp.delete(`/Users/${id}`, unheard);
    const [{ event_seq: last }] = (await rows('SELECT event_seq FROM orgs WHERE id = ?', idp.orgId)) as [
      { event_seq: number },
    ];
    await env.DB.prepare('DELETE FROM events WHERE org_id = ?').bind(idp.orgId).run();
    at(9 * DAY);
    await env.DB.prepare(`UPDATE orgs SET settings = '{"retainDeleted":"10d"}' WHERE id = ?`).bind(idp.orgId).run();
    await run();
    expect((await rows('SELECT event_seq FROM orgs WHERE id = ?', idp.orgId))[0]).toEqual({ event_seq: last });
    at(11 * DAY);
    await run();
    expect(await eventsOf(idp)).toEqual([[last + 1, 'user.erased']]);
  });
});

describe('the journal', () => {
  it('loses what is older than the org keeps it, and tells how far', async () => {
    await idp.post('/Groups', { displayName: 'Old' });
    await set({ retainEvents: '90d' });
    at(10 * DAY);
    await idp.post('/Groups', { displayName: 'Young' });
    expect((await admin('GET', org('/events'))).body).toMatchObject({ pruned: 0, current: 6 });
    at(91 * DAY);
    await run();
    expect(await eventsOf(idp)).toEqual([[6, 'group.created']]);
    const page = { next: 6, current: 6, pruned: 5 };
    expect((await admin('GET', org('/events?after=2'))).body).toMatchObject({ ...page, events: [{ seq: 6 }] });
    expect((await host('GET', `/events?org=${idp.slug}`)).body).toMatchObject({ ...page, events: [{ seq: 6 }] });
    at(101 * DAY);
    await run();
    expect((await host('GET', `/events?org=${idp.slug}`)).body).toEqual({ events: [], next: 6, current: 6, pruned: 6 });
    await idp.post('/Groups', { displayName: 'New' });
    expect(await eventsOf(idp)).toEqual([[7, 'group.created']]);
  });

  it('keeps as a bare line what a host that connects anew has to know: who is out, and the org’s own state', async () => {
    const [ada, bob, eve] = [await idp.user('ada@x'), await idp.user('bob@x'), await idp.user('eve@x')];
    await idp.patch(`/Users/${ada.id}`, active(false), unheard);
    await idp.patch(`/Users/${ada.id}`, active(true), unheard);
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: 'False' }], unheard);
    await idp.patch(`/Users/${bob.id}`, active(false), unheard);
    await admin('POST', org('/sign-out'), { body: {}, ...unheard });
    await idp.delete(`/Users/${eve.id}`, unheard);
    await set({ retainEvents: '90d' });
    const known = async () => {
      const { chunks } = (await readPublished(env.DB, idp.orgId, [0]))!;
      return chunks[0]!.states.map(({ user, active, validAfter }) => ({ user, active, validAfter }));
    };
    const was = await known();
    expect(was).toHaveLength(4);
    at(50 * DAY);
    await idp.patch(`/Users/${bob.id}`, active(true), unheard);
    const then = await known();
    at(91 * DAY);
    await run();
    expect(await known()).toEqual(then);
    const left = await journal(idp.orgId);
    expect(left.map(({ type, target_id, details }) => [type, target_id, details])).toEqual([
      ['user.deactivated', ada.id, {}],
      ['org.signed_out', null, {}],
      ['user.deleted', eve.id, {}],
      ['user.reactivated', bob.id, expect.objectContaining({ changed: expect.anything() })],
    ]);
    // And when a later one is old, the bare line of the same user goes.
    at(92 * DAY);
    await idp.patch(`/Users/${ada.id}`, active(true), unheard);
    at(200 * DAY);
    await run();
    expect((await journal(idp.orgId)).map(({ type, target_id }) => [type, target_id])).toEqual([
      ['org.signed_out', null],
      ['user.deleted', eve.id],
      ['user.reactivated', bob.id],
      ['user.reactivated', ada.id],
    ]);
    expect((await known()).map(({ user, active }) => [user, active])).toEqual([
      [null, true],
      [eve.id, false],
      [bob.id, true],
      [ada.id, true],
    ]);
    // Bare lines can be read, and told.
    expect((await admin('GET', org('/events'))).status).toBe(200);
    expect((await admin('GET', org(`/users/${eve.id}/history`))).body.events.at(-1).told).toMatch(/^Deleted by/);
  });

  it('goes portion by portion, and rests an hour when nothing is left', async () => {
    await happen(1_200, START);
    await set({ retainEvents: '90d' });
    at(91 * DAY);
    const counts = [];
    for (let i = 0; i < 4; i++) {
      await run();
      counts.push((await journal(idp.orgId)).length);
    }
    expect(counts).toEqual([704, 204, 0, 0]);
    at(91 * DAY + HOUR - 1);
    const was = await dump();
    await run();
    expect(await dump()).toBe(was);
    at(91 * DAY + HOUR);
    await run();
    expect(await dump()).not.toBe(was);
  });

  it('is looked for again at once by another age, and after the age itself where that is less than an hour', async () => {
    await happen(10, START);
    await set({ retainEvents: '90d' });
    at(2 * DAY);
    await run();
    expect((await journal(idp.orgId)).length).toBeGreaterThan(10);
    await set({ retainEvents: '60s' });
    await run();
    expect((await journal(idp.orgId)).map(({ type }) => type)).toEqual(['org.changed']);
    at(2 * DAY + 59_999);
    await run();
    expect(await journal(idp.orgId)).toHaveLength(1);
    at(2 * DAY + 60_000);
    await run();
    expect(await journal(idp.orgId)).toEqual([]);
  });

  it('is not held up by a young event among old ones, which stays until it is old itself', async () => {
    await happen(700, START);
    await env.DB.prepare('UPDATE events SET at = ?2 WHERE org_id = ?1 AND seq = 10')
      .bind(idp.orgId, START + 5 * DAY)
      .run();
    await set({ retainEvents: '90d' });
    at(91 * DAY);
    for (let i = 0; i < 3; i++) await run();
    expect((await eventsOf(idp)).map(([seq]) => seq)).toEqual([10]);
    expect(await prunedOf(idp)).toBe(9);
    at(95 * DAY);
    await run();
    expect(await eventsOf(idp)).toEqual([]);
  });

  it('is asked by time, type and user as before, and within bounds', async () => {
    await happen(600, START, 1);
    await happen(3_000, START + DAY);
    await set({ retainEvents: '90d' });
    at(91 * DAY - 2 * HOUR);
    await idp.user('ada@x');
    at(91 * DAY + 2 * HOUR);
    for (let i = 0; i < 9; i++) await run();
    const found = async (query: string) => {
      const all = [];
      for (let after = 0, current = 1, asked = 0; after < current; asked++) {
        const { status, body, text } = await admin('GET', org(`/events?after=${after}&limit=500&${query}`));
        expect(status, text).toBe(200);
        expect(asked).toBeLessThan(10);
        all.push(...body.events);
        ({ next: after, current } = body);
      }
      return all.map(({ type }: { type: string }) => type);
    };
    expect(await found('type=user.created')).toEqual(['user.created']);
    expect(await found('since=1d')).toEqual(['user.created']);
    expect(await found('since=1d&type=user.created')).toEqual(['user.created']);
    expect(await found('until=30d')).toHaveLength(600);
    expect(await found('until=200d')).toEqual([]);
    expect(await found('user=ada@x')).toEqual(['user.created']);
  });

  it('is pruned whole or not at all, wherever the database fails, and by two runs at once as by one', async () => {
    const ada = await idp.user('ada@x');
    await idp.patch(`/Users/${ada.id}`, active(false), unheard);
    await happen(20, START);
    await set({ retainEvents: '90d', retainDeleted: '90d' });
    at(91 * DAY);
    const content = async () => JSON.stringify([await journal(idp.orgId), await prunedOf(idp)]);
    const was = await content();
    let size = 1;
    for (let statement = 0; statement < size; statement++) {
      const faulty = new FaultyDb({ kind: 'at', statement }, /SET pruned_through/);
      await expect(retain({ DB: faulty.binding })).rejects.toThrow('retention left orgs behind');
      ({ size } = faulty);
    }
    expect(size).toBe(6);
    expect(await content()).toBe(was);
    await Promise.all([run(), run(), run()]);
    expect(await eventsOf(idp)).toEqual([[5, 'user.deactivated']]);
  });

  it('stays as it is when the setting is another one by the time it would be pruned', async () => {
    await happen(5, START);
    await set({ retainEvents: '900d' });
    at(91 * DAY);
    const store = new OrgStore(env.DB, { kind: 'id', id: idp.orgId }, Date.now());
    const was = await journal(idp.orgId);
    await pruneEvents(store, 0, { setting: 'retainEvents', text: '90d', until: Date.now() - 90 * DAY }, 500);
    expect(await journal(idp.orgId)).toEqual(was);
    expect(await prunedOf(idp)).toBe(0);
  });
});

it('an event of an org that has set nothing is kept for 400 days', async () => {
  await idp.user('ada@x');
  const was = await journal(idp.orgId);
  at(399 * DAY);
  await run();
  expect(await journal(idp.orgId)).toEqual(was);
  at(401 * DAY);
  await run();
  expect(await journal(idp.orgId)).toEqual([]);
});

describe('a run', () => {
  it('goes on with the other orgs when one fails, or is deleted meanwhile', async () => {
    const other = await newIdp(`retention-other-${n}`);
    for (const { slug } of [idp, other])
      await admin('PATCH', `/orgs/${slug}`, { body: { settings: { retainEvents: '1d' } } });
    at(5 * DAY);
    const meant = new FaultyDb({ kind: 'before' }, /SET pruned_through/);
    await expect(retain({ DB: meant.binding })).rejects.toThrow('retention left orgs behind');
    expect(meant.hits).toBe(2);
    // The one that was there when the run began is gone when its turn comes.
    const { binding } = new Meter();
    const deleting = {
      prepare: (text: string) => binding.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        const result = await env.DB.batch(statements);
        await env.DB.prepare('DELETE FROM orgs WHERE id = ?').bind(idp.orgId).run();
        return result;
      },
    } as unknown as D1Database;
    await retain({ DB: deleting });
    expect((await journal(other.orgId)).length).toBe(0);
  });

  it('reads in proportion to what it removes, whatever the org, the journal and the number of orgs', async () => {
    await fillUsers(idp, 5_000);
    await happen(5_000, START + 10 * DAY);
    await env.DB.prepare('UPDATE users SET deleted_at = ?2, active = 0 WHERE org_id = ?1 AND id IN (?3, ?4)')
      .bind(idp.orgId, START, userId(7), userId(8))
      .run();
    for (let i = 0; i < 30; i++) {
      await env.DB.prepare('INSERT INTO orgs (id, slug, name, created_at) VALUES (?1, ?1, ?1, 1)')
        .bind(`beside-${i}`)
        .run();
    }
    await set({ retainEvents: '90d', retainDeleted: '90d' });
    at(90 * DAY);
    const meter = new Meter();
    await retain({ DB: meter.binding });
    expect(await erasedOf(idp)).toEqual([userId(7), userId(8)]);
    // Of the journal the portion that is looked at.
    expect(meter.rowsRead).toBeLessThan(2 * 500 + 200);
    const plans = await meter.plans();
    expect(plans.filter((line) => /^SCAN (users|events|orgs|user_emails)\b/.test(line))).toEqual([]);
    expect(plans.filter((line) => line.includes('orgs_retained'))).not.toEqual([]);
    await retain({ DB: meter.binding }); // the orgs beside it, of which one run takes only so many
    meter.reset();
    at(90 * DAY + HOUR - 1);
    await retain({ DB: meter.binding });
    expect([meter.roundTrips, meter.rowsWritten]).toEqual([1, 0]);
    expect(meter.rowsRead).toBeLessThan(10);
  });
});
