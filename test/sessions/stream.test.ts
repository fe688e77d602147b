/** The stream: every revocation pushed to every host, in order, and none missed, whatever happens to the object between. */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { sweep } from '../../src/cron/publications';
import type { Env } from '../../src/env';
import { admin, ask, BASE, host, type Idp, newIdp } from '../support/client';
import { brokenKv, coordinatorOf, evict, flagOf, NotedKv, rebind, userRow } from '../support/coordinator';
import { deactivateUsers, fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { Random } from '../support/random';
import { connect, type Frame, HostStream } from '../support/stream';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

const active = (value: boolean) => [{ op: 'replace', path: 'active', value }];
/** The answers do not wait for KV, where a key takes one write a second. */
const hasty = {
  getByName: (orgId: string) => ({
    publish: async (id: string) =>
      void coordinatorOf(orgId)
        .publish(id)
        .catch(() => undefined),
  }),
} as unknown as Env['ORG_COORDINATOR'];
const unreachable = {
  getByName: () => ({
    publish: () => Promise.reject(new Error('Durable Object is overloaded')),
    fetch: () => Promise.reject(new Error('Durable Object is overloaded')),
  }),
} as unknown as Env['ORG_COORDINATOR'];

let idp: Idp;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`stream-${++n}`);
});

const set = (id: string, value: boolean, more: Partial<Env> = { ORG_COORDINATOR: hasty }) =>
  idp.patch(`/Users/${id}`, active(value), { env: more });
const person = async (userName: string): Promise<string> => (await idp.user(userName)).id;
const current = async () => (await host('GET', `/events?org=${idp.slug}&limit=1`)).body.current as number;

/** A stream that has heard where it stands. */
async function synced(connecting: Parameters<typeof HostStream.open>[1] = {}, org = idp.slug): Promise<HostStream> {
  const stream = await HostStream.open(org, connecting);
  await stream.until(({ synced }) => synced !== undefined);
  return stream;
}

/** Until everything up to the latest event has come. */
async function caughtUp(stream: HostStream): Promise<void> {
  const last = (await env.DB.prepare('SELECT max(seq) AS seq FROM events WHERE org_id = ? AND publishes = 1')
    .bind(idp.orgId)
    .first<number>('seq'))!;
  await stream.until(({ synced = -1 }) => synced >= last);
}

const shown = ({ user, active, notBefore }: Frame) => ({ user, active, notBefore });
const ascending = (frames: Frame[]) => frames.every(({ seq }, i) => i === 0 || seq > frames[i - 1]!.seq);

/** What is true of someone, in the words of a frame. */
async function truth(user: string) {
  const row = await userRow(idp.orgId, user);
  return { user, active: row.active === 1 && row.deleted_at === null, notBefore: row.not_before ?? 0 };
}

describe('a stream', () => {
  it('begins with a hello, and says where it stands', async () => {
    const stream = await synced();
    expect(stream.frames).toEqual([
      { type: 'hello', v: 1, org: idp.orgId, seq: 3 },
      { type: 'synced', seq: 3 },
    ]);
  });

  it('tells of everything that ends a session or lets someone in again, as it is by then, in order', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')];
    const stream = await synced();
    const expected: object[] = [];
    const then = async (act: () => Promise<unknown>, id: () => string) => {
      const before = stream.states.length;
      await act();
      await stream.until(({ states }) => states.length > before);
      expected.push(await truth(id()));
    };
    await then(
      () => set(ada, false),
      () => ada,
    );
    await then(
      () => set(ada, true),
      () => ada,
    );
    await then(
      () => idp.delete(`/Users/${bob}`),
      () => bob,
    );
    await then(
      () => idp.user('bob'),
      () => bob,
    );
    let off = '';
    await then(
      async () => {
        off = (await idp.user('off', { active: false })).id;
      },
      () => off,
    );
    expect(stream.states.map(shown)).toEqual(expected);
    expect(expected.map((state) => (state as Frame).active)).toEqual([false, true, false, true, false]);
    expect(ascending(stream.states)).toBe(true);
    await caughtUp(stream);
    expect(stream.synced).toBe(await current());
  });

  it('tells of the whole org, when it is the org that has changed', async () => {
    const stream = await synced();
    const at = Date.now();
    const change = (sets: string) =>
      env.DB.batch([
        env.DB.prepare(`UPDATE orgs SET event_seq = event_seq + 1, ${sets} WHERE id = ?`).bind(idp.orgId),
        env.DB.prepare(
          `INSERT INTO events (org_id, seq, at, type, actor, request_id, details, publishes)
            SELECT id, event_seq, 1, 'org.changed', 'admin:test', 'r', '{}', 1 FROM orgs WHERE id = ?`,
        ).bind(idp.orgId),
      ]);
    await change(`not_before = ${at}`);
    await coordinatorOf(idp.orgId).publish('');
    await stream.until(({ states }) => states.length === 1);
    await change(`disabled_at = ${at}`);
    await coordinatorOf(idp.orgId).drain();
    await stream.until(({ states }) => states.length === 2);
    expect(stream.states.map(shown)).toEqual([
      { user: null, active: true, notBefore: at },
      { user: null, active: false, notBefore: at },
    ]);
  });

  it('says nothing of other changes, nor of other orgs', async () => {
    const ada = await person('ada');
    const other = await newIdp(`beside-${n}`);
    const { id } = await other.user('eve');
    const stream = await synced();
    await idp.patch(`/Users/${ada}`, [{ op: 'add', path: 'title', value: 'Head' }]);
    await idp.post('/Groups', { displayName: 'Team', members: [{ value: ada }] });
    await other.patch(`/Users/${id}`, active(false));
    await coordinatorOf(idp.orgId).drain();
    await set(ada, false);
    await stream.until(({ states }) => states.length > 0);
    expect(stream.frames.map(({ type, user }) => [type, user])).toEqual(
      [
        ['hello', undefined],
        ['synced', undefined],
        ['state', ada],
      ].concat(stream.frames.slice(3).map(({ type }) => [type, undefined])),
    );
    expect(stream.frames.slice(3).every(({ type }) => type === 'synced')).toBe(true);
  });

  it('begins, with after=0, with everyone who was ever revoked, once each and as they are now', async () => {
    const [ada, bob, cid] = [await person('ada'), await person('bob'), await person('cid')];
    await person('never');
    for (const value of [false, true, false, true]) await set(ada, value);
    await set(bob, false);
    await idp.delete(`/Users/${cid}`);
    // What else happens to them afterwards does not hide it.
    await idp.patch(`/Users/${bob}`, [{ op: 'add', path: 'title', value: 'Head' }]);
    const stream = await synced({ after: 0 });
    await caughtUp(stream);
    expect(stream.states.map(shown)).toEqual([await truth(ada), await truth(bob), await truth(cid)]);
  });

  it('says when everything has been sent, also where the last events are of no interest', async () => {
    await fillUsers(idp, 500);
    await deactivateUsers(idp, 1, 500);
    await idp.patch(`/Users/${userId(1)}`, [{ op: 'add', path: 'title', value: 'Head' }]);
    const stream = await HostStream.open(idp.slug, { after: 0 });
    await stream.until(({ synced }) => synced === 504);
    expect(stream.frames[0]).toMatchObject({ type: 'hello', seq: 504 });
    expect(stream.states).toHaveLength(500);
  });

  it('goes on after any event without a gap, a repetition or an old state', async () => {
    const random = new Random(Number(env.PROPERTY_SEED));
    const people = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(person));
    const witness = await synced();
    for (let i = 0; i < 30; i++) {
      const id = random.pick(people);
      if (random.chance(0.7)) await set(id, random.chance(0.5));
      else await idp.patch(`/Users/${id}`, [{ op: 'add', path: 'title', value: `Title ${i}` }]);
    }
    await caughtUp(witness);
    const last = await current();
    const published = await env.DB.prepare(
      'SELECT seq, target_id FROM events WHERE org_id = ? AND publishes = 1 ORDER BY seq',
    )
      .bind(idp.orgId)
      .all<{ seq: number; target_id: string }>();
    for (let after = 0; after <= last; after++) {
      const stream = await synced({ after });
      await caughtUp(stream);
      // Of each who has changed since, the one latest event.
      const latest = new Map(published.results.filter(({ seq }) => seq > after).map((e) => [e.target_id, e.seq]));
      const expected = [...latest].sort(([, a], [, b]) => a - b);
      expect(stream.states.map(({ user, seq }) => [user, seq])).toEqual(expected);
      for (const state of stream.states) expect(shown(state)).toEqual(await truth(state.user!));
      stream.close();
    }
    // Who listened all the time believes the same.
    for (const [user, state] of witness.known) expect({ user, ...state }).toEqual(await truth(user!));
    expect(new Set(witness.known.keys())).toEqual(new Set(published.results.map((e) => e.target_id)));
    expect(ascending(witness.states)).toBe(true);
  });
});

describe('a push', () => {
  it('does not wait for KV', async () => {
    const ada = await person('ada');
    const noted = new NotedKv();
    let isHeld = true;
    noted.onPut = async () => {
      while (isHeld) await scheduler.wait(5);
    };
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    const stream = await synced();
    const patched = set(ada, false, {});
    await stream.until(({ states }) => states.length === 1);
    expect(await flagOf(idp.orgId, ada)).toBeNull();
    while (noted.puts.length === 0) await scheduler.wait(5);
    isHeld = false;
    expect((await patched).status).toBe(200);
    expect(await flagOf(idp.orgId, ada)).toMatchObject({ active: false });
  });

  it('does not fail with KV', async () => {
    const ada = await person('ada');
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    const stream = await synced();
    await set(ada, false, {});
    await stream.until(({ states }) => states.length === 1);
    expect(shown(stream.states[0]!)).toEqual(await truth(ada));
    // The alarm tries KV again, and has nothing to push a second time.
    await runDurableObjectAlarm(coordinatorOf(idp.orgId));
    await set(ada, true);
    await stream.until(({ states }) => states.length === 2);
  });

  it('of what is committed while the journal is being read follows by itself', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')];
    const stream = await synced();
    const reads = new Set<D1PreparedStatement>();
    let held = 0;
    let isHeld = true;
    const slow = {
      prepare: (text: string) => ({
        bind: (...values: unknown[]) => {
          const statement = env.DB.prepare(text).bind(...values);
          if (text.includes('publishes = 1')) reads.add(statement);
          return statement;
        },
      }),
      batch: async (statements: D1PreparedStatement[]) => {
        const results = await env.DB.batch(statements);
        if (statements.some((statement) => reads.has(statement))) held++;
        while (isHeld && held > 0) await scheduler.wait(5);
        return results;
      },
    } as unknown as D1Database;
    await rebind(idp.orgId, { DB: slow });
    await set(ada, false);
    while (held === 0) await scheduler.wait(5);
    await set(bob, false);
    await scheduler.wait(20);
    expect(stream.states).toEqual([]);
    isHeld = false;
    await stream.until(({ states }) => states.length === 2);
    expect(stream.states.map(({ user }) => user)).toEqual([ada, bob]);
    await rebind(idp.orgId, {});
  });

  it('that the database was in the way of comes with the alarm', async () => {
    const ada = await person('ada');
    const stream = await synced();
    const batch = () => Promise.reject(new Error('D1_ERROR: Network connection lost.'));
    await rebind(idp.orgId, {
      DB: { prepare: (text: string) => env.DB.prepare(text), batch } as unknown as D1Database,
    });
    await set(ada, false, {});
    expect(stream.states).toEqual([]);
    await rebind(idp.orgId, {});
    expect(await runDurableObjectAlarm(coordinatorOf(idp.orgId))).toBe(true);
    await stream.until(({ states }) => states.length === 1);
  });

  it('of a Worker that died after its commit comes with the sweep', async () => {
    const ada = await person('ada');
    const stream = await synced();
    await set(ada, false, { ORG_COORDINATOR: unreachable });
    await scheduler.wait(50);
    expect(stream.states).toEqual([]);
    await env.DB.prepare('UPDATE outbox SET requested_at = requested_at - 60000 WHERE org_id = ?')
      .bind(idp.orgId)
      .run();
    await sweep(env);
    await stream.until(({ states }) => states.length === 1);
  });

  it('is one D1 round trip for all streams of the org, and reads what is new; without streams it is none', async () => {
    const people = await Promise.all(['a', 'b', 'c'].map(person));
    for (const id of people) await set(id, false);
    await fillUsers({ ...idp, slug: 'crowd' }, 2_000);
    await coordinatorOf(idp.orgId).drain(); // nobody waited for their publications
    const meter = new Meter();
    await rebind(idp.orgId, { DB: meter.binding });
    await coordinatorOf(idp.orgId).drain();
    const idle = meter.roundTrips;
    const streams = await Promise.all(Array.from({ length: 10 }, () => synced()));
    await scheduler.wait(20);
    meter.reset();
    await coordinatorOf(idp.orgId).drain();
    await scheduler.wait(20);
    expect(meter.roundTrips).toBe(idle + 1);
    await set(people[0]!, true, { ORG_COORDINATOR: unreachable });
    meter.reset();
    await coordinatorOf(idp.orgId).drain();
    await Promise.all(streams.map((stream) => stream.until(({ states }) => states.length === 1)));
    expect(meter.statements.filter((text) => text.includes('publishes = 1'))).toHaveLength(1);
    expect(meter.rowsRead).toBeLessThanOrEqual(25);
  });
});

describe('nothing is missed', () => {
  it('across a hibernation, during which a heartbeat is answered and an ack is heard', async () => {
    const ada = await person('ada');
    const stream = await synced();
    for (const value of [false, true]) {
      await evict(idp.orgId);
      stream.say('ping');
      await stream.until(({ words }) => words.length > 0);
      stream.ack(stream.synced!);
      await set(ada, value);
      await stream.until(({ states }) => states.at(-1)?.active === value);
    }
    expect(stream.words).toEqual(['pong', 'pong']);
    expect(stream.closed).toBeUndefined();
  });

  it('across a hibernation of one who waits to be acknowledged', async () => {
    await fillUsers(idp, 520);
    const stream = await HostStream.openSilent(idp.slug);
    await revoke(1, 520);
    await stream.until(({ states }) => states.length === 500);
    await evict(idp.orgId);
    stream.ack(stream.states.at(-1)!.seq);
    await stream.until(({ states }) => states.length === 520);
    expect(new Set(stream.states.map(({ user }) => user)).size).toBe(520);
  });

  it.each([
    ['evicted with its connections', () => evict(idp.orgId, { webSockets: 'close' })],
    ['aborted', () => abortAllDurableObjects()],
  ])('when the object is %s: hosts come back and hear of what has happened meanwhile', async (_, end) => {
    const [ada, bob] = [await person('ada'), await person('bob')];
    const stream = await synced();
    await set(ada, false);
    await caughtUp(stream);
    await end();
    await stream.until(({ closed }) => closed !== undefined);
    await set(bob, false, { ORG_COORDINATOR: unreachable });
    const again = await synced({ after: stream.synced! });
    await caughtUp(again);
    expect(again.states.map(shown)).toEqual([await truth(bob)]);
    await set(ada, true);
    await again.until(({ states }) => states.length === 2);
  });

  it('when the object is aborted again and again in the middle of pushing', async () => {
    await fillUsers(idp, 400);
    const heard = new Map<string, boolean>();
    let stream = await HostStream.open(idp.slug);
    let [after, reconnects] = [3, 0];
    const listen = () => {
      for (const { user, active } of stream.states) heard.set(user!, active!);
      after = stream.synced ?? after;
    };
    for (let from = 1; from <= 400; from += 40) {
      await revoke(from, from + 39);
      if (from % 80 === 1) await abortAllDurableObjects();
      await scheduler.wait(5);
    }
    while (heard.size < 400) {
      await scheduler.wait(5);
      listen();
      if (stream.closed === undefined) continue;
      stream = await HostStream.open(idp.slug, { after });
      reconnects++;
    }
    expect(reconnects).toBeGreaterThan(0);
    expect([...heard.values()]).toEqual(Array.from({ length: 400 }, () => false));
  });
});

describe('a thousand revocations', () => {
  it('reach each of twenty streams, each once and in order', async () => {
    await fillUsers(idp, 1_000);
    const streams = await Promise.all(Array.from({ length: 20 }, () => synced()));
    await revoke(1, 1_000);
    await Promise.all(streams.map((stream) => stream.until(({ states }) => states.length === 1_000, 15_000)));
    const everyone = new Set(Array.from({ length: 1_000 }, (_, i) => userId(i + 1)));
    for (const { states, closed } of streams) {
      expect(ascending(states)).toBe(true);
      expect(new Set(states.map(({ user }) => user))).toEqual(everyone);
      expect(states.every((state) => state.active === false && state.notBefore! > 0)).toBe(true);
      expect(closed).toBeUndefined();
    }
  });
});

describe('who does not acknowledge', () => {
  it('gets 500 states and no more, holds nobody up, and goes on where it was', async () => {
    await fillUsers(idp, 1_300);
    const [slow, quick] = [await HostStream.openSilent(idp.slug), await synced()];
    await revoke(1, 700);
    await revoke(701, 1_300);
    await quick.until(({ states }) => states.length === 1_300, 15_000);
    expect(slow.states).toHaveLength(500);
    const frames = slow.frames.length;
    // Nothing more comes, not even with further pushes: nothing piles up.
    await coordinatorOf(idp.orgId).drain();
    await scheduler.wait(50);
    expect(slow.frames).toHaveLength(frames);
    const kept = await runInDurableObject(coordinatorOf(idp.orgId), (_, state) =>
      state.getWebSockets().map((socket) => (socket.deserializeAttachment() as { unacked: number[] }).unacked.length),
    );
    expect(kept.sort()).toEqual([0, 500]);
    // An ack of a few is heard, and is not enough to send more; of the half it is.
    slow.ack(slow.states[99]!.seq);
    await scheduler.wait(50);
    expect(slow.states).toHaveLength(500);
    slow.ack(slow.states[249]!.seq);
    await slow.until(({ states }) => states.length === 750);
    slow.isPolite = true;
    slow.ack(slow.states.at(-1)!.seq);
    await slow.until(({ states }) => states.length === 1_300);
    expect(slow.states.map(shown)).toEqual(quick.states.map(shown));
    expect(ascending(slow.states)).toBe(true);
    await slow.until(({ synced }) => synced === quick.synced);
  });

  it('is not waited for by anybody, nor is one who is far behind', async () => {
    await fillUsers(idp, 2);
    // One person, again and again: forty portions to go through.
    await env.DB.batch([
      env.DB.prepare(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
          INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details, publishes)
          SELECT orgs.id, event_seq + i, 1, 'user.reactivated', 'idp', ?2, 'r', '{}', 1 FROM n, orgs WHERE orgs.id = ?1`,
      ).bind(idp.orgId, userId(1)),
      env.DB.prepare('UPDATE orgs SET event_seq = event_seq + 20000 WHERE id = ?').bind(idp.orgId),
    ]);
    const quick = await synced();
    const behind = await HostStream.open(idp.slug, { after: 0 });
    await deactivateUsers(idp, 2, 2);
    await coordinatorOf(idp.orgId).drain();
    await quick.until(({ states }) => states.length === 1);
    expect(behind.states).toEqual([]);
    await caughtUp(behind);
    expect(behind.states.map(({ user }) => user)).toEqual([userId(1), userId(2)]);
    expect(quick.states.map(({ user }) => user)).toEqual([userId(2)]);
  });
});

describe('what a host may say', () => {
  const ack = (seq: unknown) => JSON.stringify({ type: 'ack', seq });
  it.each<[string, string | ArrayBuffer, number]>([
    ['text that is no JSON', 'hello', 1008],
    ['a heartbeat in another spelling', 'PING', 1008],
    ['nothing', '', 1008],
    ['null', 'null', 1008],
    ['JSON of another type', '{"type":"subscribe","org":"other"}', 1008],
    ['an ack of nothing', '{"type":"ack"}', 1008],
    ['an ack of a text', ack('3'), 1008],
    ['an ack of a fraction', ack(1.5), 1008],
    ['an ack below 0', ack(-1), 1008],
    ['an ack from the future', ack(4), 1008],
    ['an ack from far away', ack(Number.MAX_SAFE_INTEGER), 1008],
    ['a number beyond all', '{"type":"ack","seq":1e400}', 1008],
    ['bytes', new TextEncoder().encode('ping').buffer as ArrayBuffer, 1008],
    ['1,025 characters', ' '.repeat(1_025), 1009],
    ['1,024 characters that are more bytes', 'ä'.repeat(1_024), 1009],
    ['a mebibyte', 'x'.repeat(1_048_576), 1009],
    ['2 KiB of bytes', new ArrayBuffer(2_048), 1009],
  ])('is not %s: the stream is closed', async (_, what, code) => {
    const [stream, other] = [await synced(), await synced()];
    stream.say(what);
    await stream.until(({ closed }) => closed !== undefined);
    expect(stream.closed).toEqual({ code, reason: expect.stringMatching(/expected|accepted|sent/) });
    await set(await person('ada'), false);
    await other.until(({ states }) => states.length === 1);
    expect(stream.states).toEqual([]);
  });

  it('is an ack, again or of less than before, padded to 1,024 bytes', async () => {
    const ada = await person('ada');
    const stream = await synced();
    await set(ada, false);
    await caughtUp(stream);
    for (const seq of [stream.synced!, stream.synced!, 1, 0]) stream.say(ack(seq).padEnd(1_024));
    await set(ada, true);
    await stream.until(({ states }) => states.length === 2);
    expect(stream.closed).toBeUndefined();
  });
});

describe('before the upgrade', () => {
  const refused = async (answer: Response) => [answer.status, ((await answer.json()) as { detail: string }).detail];

  it.each(['-1', '1.5', 'x', '', '9'.repeat(20), '1e3', 'null'])('after=%s is refused', async (after) => {
    const answer = await connect(idp.slug, { after });
    expect(await refused(answer)).toEqual([400, 'after: a whole number from 0 was expected']);
  });

  it('an event from the future is refused, with what is the latest', async () => {
    const latest = [400, "after: at most 3 was expected, the org's latest event"];
    expect(await refused(await connect(idp.slug, { after: 4 }))).toEqual(latest);
    expect(await refused(await connect(idp.slug, { after: '9'.repeat(15) }))).toEqual(latest);
  });

  it('an org that is not there is a 404, a wrong token a 401, no WebSocket a 426', async () => {
    expect(await refused(await connect('nowhere'))).toEqual([404, 'Org not found']);
    expect((await connect(idp.slug, { token: 'test-host-token-0123456789abcde' })).status).toBe(401);
    expect((await connect(idp.slug, { token: idp.token })).status).toBe(401);
    expect((await connect(idp.slug, { env: { HOST_TOKEN: '' } })).status).toBe(404);
    const plain = await host('GET', `/stream?org=${idp.slug}`);
    expect([plain.status, plain.headers.get('Upgrade')]).toEqual([426, 'websocket']);
  });

  it('without an upgrade the question has the same refusals: a client learns why its upgrade failed', async () => {
    expect((await host('GET', '/stream?org=nowhere')).body.detail).toBe('Org not found');
    expect((await host('GET', `/stream?org=${idp.slug}&after=4`)).status).toBe(400);
    const { token } = (await admin('POST', '/hosts', { body: { name: idp.slug, scopes: ['lists'] } })).body;
    const answer = await ask('GET', `${BASE}/sessions/v1/stream?org=${idp.slug}`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(403);
  });

  it('a coordinator that cannot be reached is a 503 with Retry-After', async () => {
    const answer = await connect(idp.slug, { env: { ORG_COORDINATOR: unreachable } });
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '2']);
  });

  it('the 101st stream of an org is a 503 with Retry-After; another org’s, and one in a free place, are not', async () => {
    const answers = await Promise.all(Array.from({ length: 150 }, () => connect(idp.slug)));
    const streams = answers.flatMap(({ webSocket }) => (webSocket ? [new HostStream(webSocket)] : []));
    expect(streams).toHaveLength(100);
    for (const answer of answers.filter(({ webSocket }) => webSocket === null)) {
      expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '30']);
    }
    await synced({}, (await newIdp(`roomy-${n}`)).slug);
    const ada = await person('ada');
    await set(ada, false);
    await Promise.all(streams.map((stream) => stream.until(({ states }) => states.length === 1)));
    streams[0]!.close();
    await streams[0]!.until(({ closed }) => closed !== undefined);
    await synced();
    expect((await connect(idp.slug)).status).toBe(503);
  });
});

describe('a stream ends', () => {
  it('when the org is deleted, with everybody of it inactive', async () => {
    const stream = await synced();
    const before = Date.now();
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    await stream.until(({ closed }) => closed !== undefined);
    expect(stream.states).toEqual([
      {
        type: 'state',
        seq: 4,
        user: null,
        active: false,
        validAfter: expect.any(Number),
        notBefore: expect.any(Number),
      },
    ]);
    expect(stream.states[0]!.notBefore).toBeGreaterThanOrEqual(before);
    expect(stream.closed).toEqual({ code: 4004, reason: 'the org is gone' });
    expect((await connect(idp.orgId)).status).toBe(404);
  });

  it('when the host token becomes another one: nothing more goes to whoever holds the old one', async () => {
    const ada = await person('ada');
    const [byToken, byBinding] = [await synced(), await bound()];
    await rebind(idp.orgId, { HOST_TOKEN: 'another-host-token-0123456789abcdef' });
    await set(ada, false);
    await byToken.until(({ closed }) => closed !== undefined);
    expect(byToken.closed).toEqual({ code: 4001, reason: 'the host token is another one now' });
    expect(byToken.states).toEqual([]);
    await byBinding.until(({ states }) => states.length === 1);
    await rebind(idp.orgId, {});
  });

  it('is opened through the entrypoint without a token, and not at other paths', async () => {
    const stream = await bound();
    expect(stream.frames[0]).toEqual({ type: 'hello', v: 1, org: idp.orgId, seq: 3 });
    expect((await exports.Sessions.fetch('https://sessions/stream')).status).toBe(404);
    expect((await ask('GET', `${BASE}/sessions/v1/stream?org=${idp.slug}`)).status).toBe(401);
  });

  /** Through a service binding. */
  async function bound(): Promise<HostStream> {
    const answer = await exports.Sessions.fetch(`https://sessions/sessions/v1/stream?org=${idp.slug}`, {
      headers: { Upgrade: 'websocket' },
    });
    const stream = new HostStream(answer.webSocket!);
    await stream.until(({ synced }) => synced !== undefined);
    return stream;
  }
});

/** Filled users, in waves of a hundred; each is told of at once, and the next does not wait for it. */
async function revoke(from: number, to: number): Promise<void> {
  for (let first = from; first <= to; first += 100) {
    await deactivateUsers(idp, first, Math.min(first + 99, to));
    void coordinatorOf(idp.orgId)
      .drain()
      .catch(() => undefined);
  }
}
