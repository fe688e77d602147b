// The client of the stream, in plain Node over real sockets, against a stand-in written from the contract.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { StreamOptions } from '../../src/sessions/client/stream-options.ts';
import { startHostDoor } from '../support/host-door.ts';
import { moment, openStream, type Stage, scenarios, soon } from '../support/stream-scenarios.ts';
import { type ServerSocket, startWire, type Wire } from '../support/web-socket.mjs';

let door: Awaited<ReturnType<typeof startHostDoor>>;
let wire: Wire;
let stage: Stage;
beforeAll(async () => {
  door = await startHostDoor();
  wire = await startWire(door.url);
  stage = {
    wire,
    token: door.token,
    async newOrg(slug) {
      const org = door.newOrg(slug);
      return {
        ...{ id: org.id, slug },
        newUser: async () => crypto.randomUUID(),
        setActive: async (user, active) => door.change(org, user, active),
        signOutAll: async () => door.change(org, null, true, true),
        delete: async () => door.remove(org),
      };
    },
  };
});
afterAll(async () => {
  await wire.stop();
  await door.stop();
});

describe('as agreed:', () => {
  scenarios.forEach(({ promise, play }, i) => {
    it(promise, () => play(stage, `agreed-${i}`));
  });
});

describe('with a service that does not keep to it', () => {
  let slug = '';
  let opened: ReturnType<typeof openStream>[] = [];
  afterEach(async () => {
    await Promise.all(opened.map(({ stream }) => stream.close()));
    opened = [];
    door.script = door.refuseWith = undefined;
    wire.isSilent = false;
  });
  const newSlug = () => `odd-${crypto.randomUUID().slice(0, 8)}`;
  const open = (more?: Partial<StreamOptions>) => {
    const it = openStream(stage, [slug], more);
    opened.push(it);
    return it;
  };
  const begin = () => {
    slug = newSlug();
    return door.newOrg(slug);
  };
  const hello = (socket: ServerSocket, org: { id: string }, seq = 0) =>
    socket.send({ type: 'hello', v: 1, org: org.id, seq });
  const state = (seq: number, user: string | null, active: boolean, notBefore: number) => ({
    ...{ type: 'state', seq, user, active, notBefore },
  });
  /** What the first connection is sent after its hello; the ones after it are served as agreed. */
  const firstSays = (act: (socket: ServerSocket, org: { id: string }) => void) => {
    door.script = (socket, org) => {
      door.script = undefined;
      act(socket, org);
    };
  };

  it.each<[string, (socket: ServerSocket) => void]>([
    ['text that is no JSON', (socket) => socket.send('{"type":"sta')],
    ['a list', (socket) => socket.send([])],
    ['null', (socket) => socket.send('null')],
    ['a number', (socket) => socket.send('7')],
    ['no type', (socket) => socket.send({ seq: 1 })],
    ['a state without active', (socket) => socket.send({ type: 'state', seq: 1, user: 'ada', notBefore: 0 })],
    ['a state with text for active', (socket) => socket.send({ ...state(1, 'ada', true, 0), active: 'true' })],
    ['a state without a user', (socket) => socket.send({ ...state(1, 'ada', true, 0), user: undefined })],
    ['a state of nobody', (socket) => socket.send(state(1, '', true, 0))],
    ['a state with a negative sequence', (socket) => socket.send(state(-1, 'ada', true, 0))],
    ['a state with half a sequence', (socket) => socket.send(state(1.5, 'ada', true, 0))],
    ['a state with a date for not-before', (socket) => socket.send({ ...state(1, 'ada', true, 0), notBefore: '2026' })],
    ['a synced without a sequence', (socket) => socket.send({ type: 'synced' })],
    ['a hello of another version', (socket) => socket.send({ type: 'hello', v: 2, org: 'x', seq: 0 })],
    ['a hundred kilobytes', (socket) => socket.send(JSON.stringify({ type: 'x', pad: 'x'.repeat(100_000) }))],
    ['binary', (socket) => socket.sendBinary([123, 125])],
    ['a reserved opcode', (socket) => socket.raw(new Uint8Array([0x83, 0x01, 0x41]))],
    ['a masked frame', (socket) => socket.raw(new Uint8Array([0x81, 0x82, 1, 2, 3, 4, 5, 6]))],
    ['text that is no UTF-8', (socket) => socket.raw(new Uint8Array([0x81, 0x02, 0xc3, 0x28]))],
    ['plain bytes', (socket) => socket.raw(new Uint8Array(300).fill(0xff))],
    ['close 1000', (socket) => socket.close(1000)],
    ['close 1008', (socket) => socket.close(1008, 'policy')],
    ['close 1012', (socket) => socket.close(1012)],
    ['close 4999', (socket) => socket.close(4999)],
    ['a cut connection', (socket) => socket.destroy()],
  ])('%s ends the connection, takes nothing in, and the next one is whole', async (_, act) => {
    const org = begin();
    const issuedAt = await moment();
    door.change(org, 'grace', false);
    firstSays((socket, { id }) => {
      hello(socket, { id }, org.seq);
      socket.send(state(1, 'ada', false, Date.now()));
      act(socket);
      socket.send(state(2, 'ada', true, 0));
      socket.send({ type: 'synced', seq: org.seq });
    });
    const { stream, statuses, synced } = open();
    const from = door.sockets.length;
    await soon(() => expect(statuses.some(({ is }) => is === 'waiting')).toBe(true));
    await synced(slug);
    expect(door.sockets.length).toBe(from + 2);
    expect(statuses.map(({ is }) => is)).toEqual(['connecting', 'waiting', 'connecting', 'synced']);
    expect(await stream.check({ org: org.id, user: 'grace', issuedAt })).toMatchObject({ reason: 'inactive' });
    // What it had heard before the fault stands; what came after it was not listened to.
    expect(await stream.check({ org: org.id, user: 'ada', issuedAt })).toMatchObject({ reason: 'inactive' });
  });

  it.each<[string, (socket: ServerSocket) => void]>([
    ['a state before the hello', (socket) => socket.send(state(1, 'ada', false, 1))],
    ['synced before the hello', (socket) => socket.send({ type: 'synced', seq: 0 })],
    ['no hello at all', () => undefined],
  ])('%s is no beginning', async (_, act) => {
    const org = begin();
    firstSays((socket) => act(socket));
    const { stream, statuses, synced } = open();
    await soon(() => expect(statuses.map(({ detail }) => detail)).toContainEqual(expect.stringContaining('hello')));
    await synced(slug);
    expect(await stream.check({ org: org.id, user: 'ada', issuedAt: Date.now() })).toMatchObject({ valid: true });
  });

  it('a frame of a kind that it does not know is passed over', async () => {
    const org = begin();
    firstSays((socket, { id }) => {
      hello(socket, { id });
      socket.send({ type: 'news', from: 'later' });
      socket.send({ type: 'synced', seq: 0 });
    });
    const { stream, statuses, synced } = open();
    await synced(slug);
    expect(statuses.map(({ is }) => is)).toEqual(['connecting', 'synced']);
    expect(await stream.check({ org: org.id, user: 'ada', issuedAt: Date.now() })).toMatchObject({ valid: true });
  });

  it('that never says synced it calls nobody good, and does not wait for ever', async () => {
    const org = begin();
    const issuedAt = await moment();
    door.script = (socket, { id }) => {
      socket.onText = (text) => text === 'ping' && socket.send('pong');
      hello(socket, { id }, 5);
      socket.send(state(1, 'ada', false, Date.now()));
    };
    const { stream, statuses, synced } = open();
    await soon(async () =>
      expect(await stream.check({ org: org.id, user: 'ada', issuedAt })).toMatchObject({ reason: 'inactive' }),
    );
    expect(await stream.check({ org: org.id, user: 'grace', issuedAt })).toMatchObject({ reason: 'unavailable' });
    await soon(() => expect(statuses.map(({ detail }) => detail)).toContain('it never says synced'));
    expect(stream.isSynced(slug)).toBe(false);
    expect(stream.snapshot(slug)).toBeUndefined();
    door.script = undefined;
    await synced(slug);
  });

  it('that says synced for less than it greeted with, it is not caught up', async () => {
    const org = begin();
    let later: () => void = () => expect.unreachable();
    firstSays((socket, { id }) => {
      hello(socket, { id }, 9);
      socket.send({ type: 'synced', seq: 4 });
      later = () => {
        socket.send(state(9, 'ada', false, Date.now()));
        socket.send({ type: 'synced', seq: 9 });
      };
    });
    const { stream, synced } = open();
    await soon(() => expect(stream.size(slug)).toBe(0));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(stream.isSynced(slug)).toBe(false);
    later();
    await synced(slug);
    expect(await stream.check({ org: org.id, user: 'ada', issuedAt: 1e12 })).toMatchObject({ valid: false });
  });

  it('duplicates, old news and gaps change nothing that is known', async () => {
    const org = begin();
    const at = Date.now();
    const told: number[] = [];
    firstSays((socket, { id }) => {
      hello(socket, { id }, 90);
      socket.send(state(10, 'ada', false, at));
      socket.send(state(10, 'ada', false, at));
      socket.send(state(70, 'ada', true, at));
      socket.send(state(10, 'ada', false, at - 5_000));
      socket.send(state(80, 'ada', true, at - 9_000));
      socket.send(state(85, 'grace', false, at));
      socket.send({ type: 'synced', seq: 90 });
      socket.send({ type: 'synced', seq: 30 });
    });
    const { stream, synced } = open({ onState: ({ seq }) => void told.push(seq) });
    await synced(slug);
    const reason = async (user: string, issuedAt: number) =>
      (await stream.check({ org: org.id, user, issuedAt })).reason;
    expect(await reason('ada', at)).toBe('revoked');
    expect(await reason('ada', at - 7_000)).toBe('revoked');
    expect(await reason('ada', at + 1)).toBe('good');
    expect(await reason('grace', at + 1)).toBe('inactive');
    await soon(() => expect(told).toEqual([10, 70, 80, 85]));
    expect(stream.snapshot(slug)).toMatchObject({ v: 1, org: org.id, seq: 90 });
  });

  it('a wire on which nothing passes any more is noticed by two pings, and by silence before that', async () => {
    const org = begin();
    const issuedAt = await moment();
    const { stream, statuses, synced } = open({ heartbeat: 100, maxSilence: 150 });
    await synced(slug);
    // In touch, the silence stays about a heartbeat.
    await new Promise((resolve) => setTimeout(resolve, 400));
    await soon(() => {
      expect(stream.isSynced(slug)).toBe(true);
      expect(stream.silence(slug)).toBeLessThanOrEqual(150);
    });
    wire.isSilent = true;
    door.change(org, 'ada', false);
    await soon(async () =>
      expect(await stream.check({ org: org.id, user: 'ada', issuedAt })).toMatchObject({ reason: 'unavailable' }),
    );
    await soon(() => expect(statuses.map(({ detail }) => detail)).toContain('two pings without an answer'));
    wire.isSilent = false;
    wire.kill();
    await synced(slug);
    expect(await stream.check({ org: org.id, user: 'ada', issuedAt })).toMatchObject({ reason: 'inactive' });
  });

  it('2,000 states come through the window of 500, as fast as a slow handler takes them, and none is held', async () => {
    const org = begin();
    const users = Array.from({ length: 2_000 }, (_, i) => `user-${i}`);
    for (const user of users) door.change(org, user, false);
    const told: string[] = [];
    let mostAhead = 0;
    const { stream, synced } = open({
      heartbeat: 2_000,
      maxSilence: 5_000,
      async onState({ user }) {
        if (told.length % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        told.push(user!);
        mostAhead = Math.max(mostAhead, stream.size(slug) - told.length);
      },
    });
    await synced(slug);
    await soon(() => expect(told).toEqual(users));
    expect(stream.size(slug)).toBe(2_000);
    expect(mostAhead).toBeLessThanOrEqual(500);
    const acks = () => door.sockets.at(-1)!.received.filter((text) => text.includes('ack'));
    await soon(() => expect(JSON.parse(acks().at(-1)!)).toEqual({ type: 'ack', seq: org.seq }));
    expect(acks().length).toBeLessThan(60);
  });

  it('that waits for acks of 500 states may hold back more: pongs do not make it whole', async () => {
    const org = begin();
    firstSays((socket, { id }) => {
      socket.onText = (text) => text === 'ping' && socket.send('pong');
      hello(socket, { id }, 500);
      for (let i = 1; i <= 500; i++) socket.send(state(i, `user-${i}`, false, Date.now()));
      socket.send({ type: 'synced', seq: 500 });
    });
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { stream, statuses, synced } = open({ onState: () => held, heartbeat: 50, maxSilence: 150 });
    const check = async () => (await stream.check({ org: org.id, user: 'ada', issuedAt: Date.now() })).reason;
    await synced(slug);
    expect(await check()).toBe('good');
    await soon(async () => expect(await check()).toBe('unavailable'));
    expect(stream.isSynced(slug)).toBe(true);
    release();
    await soon(async () => expect(await check()).toBe('good'));
    expect(statuses.map(({ is }) => is)).toEqual(['connecting', 'synced']);
  });

  it('that is full is asked again, later and later, with jitter', async () => {
    begin();
    door.refuseWith = 503;
    const { statuses, synced } = open({ backoff: { base: 2, max: 64 } });
    const waits = () => statuses.filter(({ is }) => is === 'waiting').map(({ retryIn }) => retryIn!);
    await soon(() => expect(waits().length).toBeGreaterThanOrEqual(12));
    waits().forEach((wait, i) => {
      expect(wait).toBeLessThanOrEqual(Math.min(64, 2 * 2 ** i));
    });
    expect(new Set(waits().slice(5)).size).toBeGreaterThan(1);
    door.refuseWith = undefined;
    await synced(slug);
  });

  it('an org whose slug was taken over by another org is told apart from it', async () => {
    const old = begin();
    const issuedAt = await moment();
    door.change(old, 'ada', false);
    const { stream, synced } = open();
    await synced(slug);
    wire.isDown = true;
    wire.kill();
    door.remove(old);
    const young = Object.assign(door.newOrg(slug), { id: `second-${old.id}`, seq: 3_000 });
    wire.isDown = false;
    await soon(() => expect(stream.isSynced(young.id)).toBe(true));
    expect(await stream.check({ org: young.id, user: 'ada', issuedAt })).toMatchObject({ valid: true });
    expect(await stream.check({ org: old.id, user: 'grace', issuedAt })).toMatchObject({ reason: 'inactive' });
  });

  it('forgets who is back since longer than any session lives, and never who is out', async () => {
    const org = begin();
    const old = Date.now() - 100_000;
    firstSays((socket, { id }) => {
      hello(socket, { id }, 5_000);
      for (let i = 1; i <= 3_000; i++) socket.send(state(i, `user-${i}`, i % 3 !== 0, i % 2 === 0 ? old : Date.now()));
      socket.send({ type: 'synced', seq: 5_000 });
    });
    const { stream, synced } = open({ sessionMaxAge: 50_000, heartbeat: 2_000, maxSilence: 5_000 });
    await synced(slug);
    stream.snapshot(slug);
    // 1,000 are out; of the 2,000 others, half were signed out long ago.
    expect(stream.size(slug)).toBe(2_000);
    const check = (user: string, issuedAt: number) => stream.check({ org: org.id, user, issuedAt });
    expect(await check('user-2', old - 1)).toMatchObject({ valid: false, reason: 'expired' });
    expect(await check('user-2', Date.now() - 40_000)).toMatchObject({ valid: true });
    expect(await check('user-6', Date.now())).toMatchObject({ reason: 'inactive' });
  });

  it('a bare cursor is for hosts that keep the states: check has no ground to call anyone good', async () => {
    const org = begin();
    door.change(org, 'left-before', false);
    const cursor = org.seq;
    const { stream, synced } = open({ after: { [slug]: cursor }, onUnavailable: 'last-known' });
    await synced(slug);
    door.change(org, 'ada', false);
    const check = (user: string) => stream.check({ org: org.id, user, issuedAt: Date.now() - 1_000 });
    await soon(async () => expect(await check('ada')).toMatchObject({ valid: false, reason: 'inactive' }));
    expect(await check('left-before')).toMatchObject({ valid: false, reason: 'unavailable' });
    expect(stream.snapshot(slug)).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ['text', 'x'],
    ['another version', { v: 2, org: 'x', seq: 1, asOf: 1, states: [] }],
    ['a state cut short', { v: 1, org: 'x', seq: 1, asOf: 1, states: [{ seq: 1 }] }],
    ['a negative sequence', -1],
  ])('a snapshot that is none (%s) is left aside, and everything is heard from the beginning', async (_, after) => {
    const org = begin();
    door.change(org, 'ada', false);
    const { stream, synced } = open({ after: { [slug]: after as number } });
    await synced(slug);
    expect(await stream.check({ org: org.id, user: 'ada', issuedAt: Date.now() })).toMatchObject({ valid: false });
  });

  it.each(['deny', 'allow', 'last-known'] as const)(
    'out of touch, %s decides, and who is out stays out',
    async (policy) => {
      const org = begin();
      const issuedAt = await moment();
      door.change(org, 'ada', false);
      const { stream, synced } = open({ onUnavailable: policy, maxSilence: 160, heartbeat: 150, lastKnownMaxAge: 900 });
      const check = async (user: string) => {
        const { valid, reason, from } = await stream.check({ org: org.id, user, issuedAt });
        return `${valid} ${reason} ${from}`;
      };
      await synced(slug);
      expect(await check('grace')).toBe('true good stream');
      wire.isDown = true;
      wire.kill();
      const expected = {
        deny: 'false unavailable policy',
        allow: 'true unavailable policy',
        'last-known': 'true good last-known',
      };
      await soon(async () => expect(await check('grace')).toBe(expected[policy]));
      // Never asked about before, and known all the same.
      expect(await check('hedy')).toBe(expected[policy]);
      expect(await check('ada')).toBe('false inactive last-known');
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(await check('grace')).toBe(policy === 'last-known' ? expected.deny : expected[policy]);
      expect(await check('ada')).toBe('false inactive last-known');
      wire.isDown = false;
      await synced(slug);
    },
  );

  it('a wrong token is no outage: allow lets nobody in, and console.error says it where there is no onStatus', async () => {
    const org = begin();
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    try {
      const { stream } = open({ token: 'wrong', onUnavailable: 'allow', onStatus: undefined as never });
      await soon(() => expect(log.mock.calls.flat().join()).toContain('HTTP 401'));
      expect(log.mock.calls.flat().join()).not.toContain('wrong');
      // By its slug, which is followed, and by its id, which is not known yet.
      for (const name of [org.slug, org.id]) {
        const verdict = await stream.check({ org: name, user: 'ada', issuedAt: Date.now() });
        expect(verdict).toMatchObject({ valid: false, reason: 'unavailable' });
      }
      expect(log).toHaveBeenCalledTimes(1);
    } finally {
      log.mockRestore();
    }
  });

  it('nothing that handlers throw, or a class that is no WebSocket, comes out anywhere', async () => {
    const org = begin();
    const statuses: string[] = [];
    class Broken {
      constructor() {
        throw new Error('no network here');
      }
    }
    const broken = open({
      WebSocket: Broken as never,
      onStatus(status) {
        statuses.push(status.detail ?? status.is);
        throw new Error('the log is full');
      },
    });
    await soon(() => expect(statuses).toContain('no socket: Error: no network here'));
    expect(broken.stream.silence(slug)).toBe(Number.POSITIVE_INFINITY);
    let saved = 0;
    open({
      saveCursor() {
        saved++;
        throw new Error('the disk is full');
      },
    });
    await soon(() => expect(saved).toBeGreaterThan(2));
    expect(org.sockets.size).toBeLessThanOrEqual(1);
  });

  it('closed, it is quiet: no socket, no timer, no further call', async () => {
    const org = begin();
    const told: unknown[] = [];
    let finish: () => void = () => undefined;
    const { stream, statuses, synced } = open({
      onState: (change) => {
        told.push(change);
        return new Promise((resolve) => {
          finish = resolve;
        });
      },
    });
    door.change(org, 'ada', false);
    door.change(org, 'grace', false);
    await synced(slug);
    await soon(() => expect(told.length).toBe(1));
    let isClosed = false;
    const closed = stream.close().then(() => {
      isClosed = true;
    });
    await soon(() => expect(org.sockets.size).toBe(0));
    expect(isClosed).toBe(false);
    finish();
    await closed;
    const connections = wire.connections;
    door.change(org, 'hedy', false);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([told.length, wire.connections]).toEqual([1, connections]);
    expect(statuses.at(-1)).toEqual({ org: slug, is: 'closed' });
    await stream.close();
  });
});

describe('what it is opened with is checked at once', () => {
  const options = { url: 'https://scim.example.com', token: 'x', orgs: [], onUnavailable: 'deny' } as const;
  it.each<[string, Record<string, unknown>]>([
    ['url', { url: 'scim.example.com' }],
    ['url', { url: 'ftp://scim.example.com' }],
    ['token', { token: '' }],
    ['token', { token: 'a b' }],
    ['onUnavailable', { onUnavailable: undefined }],
    ['heartbeat', { heartbeat: 0 }],
    ['maxSilence', { maxSilence: 20_000 }],
  ])('%s', async (name, wrong) => {
    const { openRevocationStream } = await import('../../src/sessions/client/stream.ts');
    expect(() => openRevocationStream({ ...options, ...wrong } as never)).toThrow(name === 'url' ? /url/i : name);
    await openRevocationStream(options).close();
  });
});
