/** An application's database is filled and followed, through every kind of failure, and ends equal to the directory. */
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  bindingDirectory,
  catchUp,
  type DirectorySource,
  httpDirectory,
  mirror,
  Refused,
  reconcile,
} from '../../src/mirror';
import { admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { fillUsers, userId } from '../support/fill';
import { Killed, MemoryStore } from '../support/memory-store';
import { Random } from '../support/random';

let idp: Idp;
let source: DirectorySource;
let store: MemoryStore;
let ender: AbortController;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`mirrored-${++n}`);
  source = bindingDirectory(exports.Sessions as never, idp.slug);
  store = new MemoryStore();
  ender = new AbortController();
});
afterEach(() => ender.abort());

const set = (path: string, value: unknown) => [{ op: 'replace', path, value }];
const add = (...ids: string[]) => [{ op: 'add', path: 'members', value: ids.map((value) => ({ value })) }];
const newGroup = async (displayName: string, ...ids: string[]): Promise<string> =>
  (await idp.post('/Groups', { displayName, members: ids.map((value) => ({ value })) })).body.id;
const until = async (condition: () => boolean | Promise<boolean>) => {
  while (!(await condition())) await scheduler.wait(5);
};

/** What the directory has, read by its lists. */
async function truth() {
  const [users, groups] = [new Map(), new Map()];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await source.users(cursor ?? null);
    for (const user of page.users) users.set(user.id, user);
    cursor = page.cursor;
  }
  for (const group of (await source.groups(null)).groups) groups.set(group.id, group);
  return { users, groups };
}
async function expectEqual(it = store) {
  const { users, groups } = await truth();
  expect(it.userRows).toEqual(users);
  expect(it.groupRows).toEqual(groups);
}

describe('an option that there is not', () => {
  it('is refused with a TypeError, by each of them', async () => {
    const wrong = { source, store, onErorr: () => undefined };
    expect(() => mirror(wrong)).toThrow('mirror: there is no option onErorr');
    await expect(catchUp(wrong)).rejects.toThrow('catchUp: there is no option onErorr');
    await expect(reconcile(wrong)).rejects.toThrow('reconcile: there is no option onErorr');
    const http = { url: BASE, token: 'x', org: 'acme' };
    expect(() => httpDirectory({ ...http, organisation: 'acme' } as never)).toThrow(
      'httpDirectory: there is no option',
    );
    expect(() => httpDirectory({ ...http, stream: { onStat: () => undefined } } as never)).toThrow(
      'httpDirectory: stream: there is no option onStat',
    );
  });
});

describe('without onError', () => {
  it('a mirror writes to console.error that its token is refused, once a minute', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    try {
      const refused = () => Promise.reject(new Refused('unauthorized', 'The host token is required as a bearer token'));
      const it = mirror({
        source: { users: refused, groups: refused, changes: refused },
        ...{ store, backoff: { base: 1, max: 1 }, signal: ender.signal },
      });
      await until(() => log.mock.calls.length > 0);
      await scheduler.wait(20);
      expect(log.mock.calls).toEqual([['scim-worker/mirror: The host token is required as a bearer token']]);
      ender.abort();
      await it.done;
    } finally {
      log.mockRestore();
    }
  });
});

describe('a mirror', () => {
  it('fills an empty database, and follows what changes, poked or not', async () => {
    await fillUsers(idp, 30);
    const group = await newGroup('Team', 'u1', 'u2');
    const it = mirror({ source, store, interval: 20, signal: ender.signal });
    await it.ready;
    await expectEqual();
    await idp.patch('/Users/u3', set('displayName', 'Changed'));
    await idp.patch(`/Groups/${group}`, add('u3'));
    await idp.delete('/Users/u1');
    await until(() => store.userRows.get('u3')?.groups.length === 1 && !store.userRows.has('u1'));
    await expectEqual();
    const slow = new MemoryStore();
    const other = mirror({ source, store: slow, interval: 3_600_000, signal: ender.signal });
    await other.ready;
    await idp.delete(`/Groups/${group}`);
    other.poke();
    await until(() => slow.groupRows.size === 0);
    await expectEqual(slow);
    ender.abort();
    await Promise.all([it.done, other.done]);
  });

  it('is poked by the stream, over HTTP', async () => {
    await fillUsers(idp, 3);
    let poke: (() => void) | undefined;
    const http = httpDirectory({
      ...{ url: BASE, token: env.HOST_TOKEN!, org: idp.orgId },
      fetch: async (url, { method, headers }) => {
        const { status, body } = await ask(method, url, { headers });
        return { ok: status === 200, status, json: async () => body };
      },
    });
    const listening: DirectorySource = {
      ...http,
      listen(call) {
        poke = call;
        return () => {
          poke = undefined;
        };
      },
    };
    const it = mirror({ source: listening, store, interval: 3_600_000, signal: ender.signal });
    await it.ready;
    await expectEqual();
    await until(() => poke !== undefined);
    await idp.patch('/Users/u2', set('active', false));
    poke!();
    await until(() => store.userRows.get('u2')?.active === false);
    ender.abort();
    await it.done;
    expect(poke).toBeUndefined();
  });

  it('tells groups before the users that are in them, and removes groups after', async () => {
    await fillUsers(idp, 2);
    await catchUp({ source, store });
    store.log.length = 0;
    const group = await newGroup('Team', 'u1');
    await catchUp({ source, store });
    expect(store.log).toEqual(['upsertGroup', 'upsertUser', 'saveCursor']);
    store.log.length = 0;
    await idp.delete(`/Groups/${group}`);
    await catchUp({ source, store });
    expect(store.log).toEqual(['upsertUser', 'removeGroup', 'saveCursor']);
  });

  it('that is killed at any call, before or after it, ends equal when it is started again', async () => {
    const random = new Random(Number(env.PROPERTY_SEED));
    await fillUsers(idp, 40);
    const groups = [await newGroup('A', 'u1', 'u2'), await newGroup('B', 'u3')];
    const paged = small(source, 7);
    for (let round = 0; round < 40; round++) {
      let left = random.below(12) + 1;
      const kill = () => {
        if (--left === 0) throw new Killed('killed');
      };
      store.before = random.chance(0.5) ? kill : () => undefined;
      store.after = store.before === kill ? () => undefined : kill;
      // A new one each time: nothing is left of the one that was killed.
      await catchUp({ source: paged, store }).catch((error) => {
        if (!(error instanceof Killed)) throw error;
      });
      const id = userId(random.below(40) + 1);
      const act = [
        () => idp.patch(`/Users/${id}`, set('displayName', `Name ${round}`)),
        () => idp.delete(`/Users/${id}`),
        () => idp.patch(`/Groups/${random.pick(groups)}`, add(id)),
        () => idp.patch(`/Groups/${random.pick(groups)}`, set('displayName', `G${round}`)),
        async () => groups.push(await newGroup(`New ${round}`, id)),
      ];
      await random.pick(act)();
    }
    store.before = store.after = () => undefined;
    await catchUp({ source: paged, store });
    await expectEqual();
    expect(store.userRows.size).toBeGreaterThan(0);
  });

  it('tries again when the source or the store fails, tells each failure, and survives a log that throws', async () => {
    await fillUsers(idp, 5);
    const told: string[] = [];
    let failures = 0;
    store.before = (method) => {
      if (method === 'upsertUser' && failures++ < 3) throw new Error('the database is down');
    };
    const flaky = { ...source, changes: failing(source.changes, 2, 'the service is down') };
    const it = mirror({
      ...{ source: flaky, store, interval: 5, backoff: { base: 1, max: 5 }, signal: ender.signal },
      onError: (error) => {
        told.push((error as Error).message);
        throw new Error('the log is down');
      },
    });
    await it.ready;
    await expectEqual();
    expect(told.filter((text) => text === 'the database is down')).toHaveLength(3);
    expect(told.filter((text) => text === 'the service is down')).toHaveLength(2);
  });

  it('walks the lists after a resync, and removes what is not there any more', async () => {
    await fillUsers(idp, 12);
    const gone = await newGroup('Gone', 'u1');
    await catchUp({ source, store });
    await idp.delete('/Users/u5');
    await idp.delete(`/Groups/${gone}`);
    await idp.patch('/Users/u6', set('displayName', 'Changed'));
    await env.DB.prepare('DELETE FROM events WHERE org_id = ?').bind(idp.orgId).run();
    await catchUp({ source: small(source, 5), store });
    await expectEqual();
    // The same when it is killed in the middle: the next one does not know what the first has seen.
    await idp.delete('/Users/u7');
    await env.DB.prepare('DELETE FROM events WHERE org_id = ?').bind(idp.orgId).run();
    let left = 6;
    store.before = () => {
      if (--left === 0) throw new Killed('killed');
    };
    await expect(catchUp({ source: small(source, 5), store })).rejects.toThrow(Killed);
    store.before = () => undefined;
    await catchUp({ source: small(source, 5), store });
    await expectEqual();
  });

  it('says so when the store cannot list what it has, and not when it was empty', async () => {
    await fillUsers(idp, 3);
    const told: string[] = [];
    const { upsertUser, removeUser, upsertGroup, removeGroup, loadCursor, saveCursor } = store;
    const blind = { upsertUser, removeUser, upsertGroup, removeGroup, loadCursor, saveCursor };
    const options = { source, store: blind, onError: (error: unknown) => told.push((error as Error).message) };
    await catchUp(options);
    expect(told).toEqual([]);
    await env.DB.prepare('DELETE FROM events WHERE org_id = ?').bind(idp.orgId).run();
    await idp.delete('/Users/u1');
    await env.DB.prepare('DELETE FROM events WHERE org_id = ?').bind(idp.orgId).run();
    await catchUp(options);
    expect(told).toEqual(['the store cannot list what it has: what was deleted meanwhile stays']);
    await expect(reconcile(options)).rejects.toThrow('users() and groups() are needed');
  });

  it.each<[what: string, cursor: () => string]>([
    ['of another format', () => '{"v":9}'],
    ['that is no text of a mirror', () => 'x'],
    ['of the future', () => JSON.stringify({ v: 1, is: 'following', org: idp.orgId, seq: 9, after: '99999' })],
    ['of another org', () => JSON.stringify({ v: 1, is: 'following', org: 'otherOrgHere', seq: 0, after: '0' })],
    [
      'of a list that the service does not know',
      () => JSON.stringify({ v: 1, is: 'filling', org: idp.orgId, seq: 0, list: 'users', cursor: 'x', isFirst: false }),
    ],
  ])('begins anew with a cursor %s', async (_, cursor) => {
    await fillUsers(idp, 5);
    store.cursor = cursor();
    store.userRows.set('stranger', { id: 'stranger' } as never);
    await catchUp({ source, store });
    await expectEqual();
  });

  it('notices another one on the same database, and both end equal', async () => {
    await fillUsers(idp, 30);
    const random = new Random(Number(env.PROPERTY_SEED));
    const told: string[] = [];
    const slow: DirectorySource = {
      ...source,
      changes: async (after) => {
        const changes = await source.changes(after);
        await scheduler.wait(random.below(20));
        return changes;
      },
    };
    const options = { store, interval: 3, signal: ender.signal, onError: (error: unknown) => told.push(String(error)) };
    const both = [mirror({ ...options, source: slow }), mirror({ ...options, source })];
    await Promise.all(both.map(({ ready }) => ready));
    for (let i = 0; i < 40; i++) await idp.patch(`/Users/u${random.below(30) + 1}`, set('displayName', `Name ${i}`));
    await scheduler.wait(150);
    await expectEqual();
    expect(told.some((text) => text.includes('another mirror'))).toBe(true);
  });
});

describe('a comparison', () => {
  it('names what is only here, only there and different, in which members, and repairs it', async () => {
    await fillUsers(idp, 10);
    const group = await newGroup('Team', 'u1', 'u2');
    await catchUp({ source, store });
    expect(await reconcile({ source, store })).toEqual([]);
    store.userRows.delete('u3');
    store.userRows.set('u4', { ...store.userRows.get('u4')!, displayName: 'Forged', active: false });
    store.userRows.set('x', { ...store.userRows.get('u5')!, id: 'x' });
    store.groupRows.set(group, { ...store.groupRows.get(group)!, permissions: ['all'] });
    const expected = [
      { kind: 'group', id: group, is: 'different', members: ['permissions'] },
      { kind: 'user', id: 'u3', is: 'only-there', members: [] },
      { kind: 'user', id: 'u4', is: 'different', members: ['displayName', 'active'] },
      { kind: 'user', id: 'x', is: 'only-here', members: [] },
    ];
    expect(await reconcile({ source, store })).toEqual(expected);
    expect(await reconcile({ source, store, repair: true })).toEqual(expected);
    await expectEqual();
    expect(await reconcile({ source, store })).toEqual([]);
  });

  it('says nothing of what the mirror has not heard yet, of the order of sets, nor of columns that are not kept', async () => {
    await fillUsers(idp, 5);
    const groups = [await newGroup('A', 'u1'), await newGroup('B', 'u1')];
    await catchUp({ source, store });
    const { emails: _, ...kept } = store.userRows.get('u1')!;
    store.userRows.set('u1', { ...kept, groups: kept.groups.toReversed() } as never);
    await idp.patch('/Users/u2', set('displayName', 'Later'));
    await idp.delete(`/Groups/${groups[1]}`);
    expect(await reconcile({ source, store })).toEqual([]);
  });

  it('runs between two pages of a mirror, and repairs while it follows', async () => {
    await fillUsers(idp, 10);
    const it = mirror({ source, store, interval: 5, signal: ender.signal });
    await it.ready;
    store.userRows.delete('u1');
    for (let i = 0; i < 5; i++) {
      await idp.patch('/Users/u2', set('displayName', `Name ${i}`));
      await it.reconcile({ repair: true });
    }
    await until(() => store.userRows.get('u2')?.displayName === 'Name 4');
    await expectEqual();
    expect(await admin('GET', `/orgs/${idp.slug}`)).toMatchObject({ status: 200 });
  });
});

/** The same directory in small pages. */
function small(source: DirectorySource, limit: number): DirectorySource {
  const sessions = exports.Sessions as unknown as Record<'users' | 'groups' | 'changes', (q: object) => Promise<never>>;
  const org = idp.slug;
  const from = (cursor: string | null) => ({ org, limit, ...(cursor !== null && { cursor }) });
  const checked = bindingDirectory(
    {
      users: ({ cursor = null }) => sessions.users(from(cursor)),
      groups: ({ cursor = null }) => sessions.groups(from(cursor)),
      changes: ({ after }: { after: string }) => sessions.changes({ org, limit, after }),
    } as never,
    org,
  );
  return { ...source, ...checked };
}

/** Fails so many times. */
function failing<A extends unknown[], R>(work: (...args: A) => Promise<R>, times: number, message: string) {
  let left = times;
  return async (...args: A): Promise<R> => {
    if (left-- > 0) throw new Error(message);
    return work(...args);
  };
}
