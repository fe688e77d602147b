/** The reference store on D1 (examples/worker-host): a page and its cursor hold together. */
import { env, exports } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { d1Store } from '../../examples/worker-host/mirror-store';
import { TABLES } from '../../examples/worker-host/mirror-tables';
import { bindingDirectory, catchUp, reconcile } from '../../src/mirror';
import { newIdp } from '../support/client';
import { fillUsers } from '../support/fill';

beforeAll(async () => {
  for (const table of TABLES) await env.DB.prepare(table).run();
});

it('a database on D1 is filled, follows, and is as it was when a batch fails', async () => {
  const idp = await newIdp('mirrored-d1');
  await fillUsers(idp, 30);
  const { body: group } = await idp.post('/Groups', { displayName: 'Team', members: [{ value: 'u1' }] });
  const source = bindingDirectory(exports.Sessions as never, idp.slug);
  const store = d1Store(env.DB, idp.slug);
  await catchUp({ source, store });
  expect(await reconcile({ source, store })).toEqual([]);
  expect(await env.DB.prepare('SELECT count(*) AS n FROM people WHERE org = ?').bind(idp.slug).first('n')).toBe(30);
  await idp.delete('/Users/u1');
  await idp.patch('/Users/u2', [{ op: 'replace', path: 'active', value: false }]);
  await idp.delete(`/Groups/${group.id}`);
  const failing = { prepare: (sql: string) => env.DB.prepare(sql), batch: () => Promise.reject(new Error('down')) };
  const before = await env.DB.prepare('SELECT * FROM people').all();
  await expect(catchUp({ source, store: d1Store(failing as never, idp.slug) })).rejects.toThrow('down');
  expect((await env.DB.prepare('SELECT * FROM people').all()).results).toEqual(before.results);
  await catchUp({ source, store });
  expect(await reconcile({ source, store })).toEqual([]);
  expect(await env.DB.prepare("SELECT active FROM people WHERE id = 'u2'").first('active')).toBe(0);
  expect(await env.DB.prepare('SELECT count(*) AS n FROM roles').first('n')).toBe(0);
});

it('two mirrors on one database, one of them slow, do not undo each other', async () => {
  const idp = await newIdp('mirrored-twice');
  await fillUsers(idp, 3);
  const source = bindingDirectory(exports.Sessions as never, idp.slug);
  const newStore = () => d1Store(env.DB, idp.slug);
  await catchUp({ source, store: newStore() });
  const rename = (displayName: string) =>
    idp.patch('/Users/u1', [{ op: 'replace', path: 'displayName', value: displayName }]);
  /** Reads what has changed until now, and writes it when it is told to. */
  const held = (store = newStore()) => {
    let reached = () => {};
    const isReached = new Promise<void>((resolve) => {
      reached = resolve;
    });
    let release = () => {};
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    const saveCursor: typeof store.saveCursor = async (...args) => {
      reached();
      await isReleased;
      return store.saveCursor(...args);
    };
    const done = catchUp({ source, store: { ...store, saveCursor } }).then(
      () => 'done',
      () => 'refused',
    );
    return { isReached, release, done };
  };
  await rename('old');
  const slow = held();
  await slow.isReached;
  await rename('new');
  const quick = held();
  await quick.isReached;
  slow.release();
  expect(await slow.done).toBe('done');
  quick.release();
  expect(await quick.done).toBe('refused');
  await catchUp({ source, store: newStore() });
  expect(await reconcile({ source, store: newStore() })).toEqual([]);
});

it('two orgs that have the same ids, as an imported one may, do not touch each other', async () => {
  const [ours, theirs] = ['ours', 'theirs'].map((org) => d1Store(env.DB, org));
  const user = (userName: string) => ({ id: 'same', userName, active: true }) as never;
  const group = (displayName: string) => ({ id: 'same', displayName, permissions: [] }) as never;
  for (const [store, name] of [
    [ours!, 'ada'],
    [theirs!, 'grace'],
  ] as const) {
    await store.upsertUser(user(name));
    await store.upsertGroup(group(name));
    await store.saveCursor('1', undefined);
  }
  await ours!.removeUser('same');
  await ours!.removeGroup('same');
  await ours!.saveCursor('2', '1');
  for (const table of ['people', 'roles']) {
    const left = await env.DB.prepare(`SELECT org FROM ${table} WHERE id = 'same'`).all();
    expect(left.results).toEqual([{ org: 'theirs' }]);
  }
});
