/** Signals that wait: how many, and what becomes of them when the database fails. */
import { env } from 'cloudflare:workers';
import { beforeEach, expect, it } from 'vitest';
import type { Ordered } from '../../src/signals/carry-out';
import { type Holder, Inbox, MAX_OF_SOURCE, MAX_WAITING } from '../../src/signals/inbox';
import { Busy } from '../../src/store/d1/batch';
import { openStore } from '../../src/store/org/open';
import { type Idp, newIdp } from '../support/client';
import { journal } from '../support/database';
import { newTransmitter, type TestTransmitter } from '../support/signals';

let idp: Idp;
let transmitter: TestTransmitter;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`inbox-${++n}`);
  transmitter = await newTransmitter(idp);
  await idp.user('ada@example.com', { externalId: '00uAda' });
});

const signal = (more: Partial<Ordered> = {}): Ordered => ({
  source: { id: transmitter.id, issuer: transmitter.issuer },
  once: { hash: crypto.randomUUID(), validUntil: Date.now() + 60_000 },
  acts: [{ event: 'account-disabled', ends: true, lookups: [['externalId', '00uAda']] }],
  actor: { name: `signal:${transmitter.issuer}`, requestId: crypto.randomUUID() },
  ...more,
});
const newInbox = (more: Partial<Holder> = {}) =>
  new Inbox({
    store: () => openStore(env, { kind: 'id', id: idp.orgId }, Date.now()),
    publish: () => Promise.resolve(true),
    later: (work) => void work,
    ...more,
  });
const signedOut = async () => (await journal(idp.orgId)).filter(({ type }) => type === 'user.signed_out');

it('beyond 900 of a source that wait its next one is told to come again, and what was taken is carried out', async () => {
  const inbox = newInbox();
  const nobody = [{ event: 'account-disabled', ends: true, lookups: [['externalId', 'nobody']] }] as const;
  const taken = await Promise.all(
    Array.from({ length: MAX_OF_SOURCE + 2 }, () => inbox.take(signal({ acts: nobody }))),
  );
  const full = taken.filter((one) => one.became === 'busy');
  expect(full).toEqual([{ became: 'busy', isFull: true, wait: expect.any(Number) }]);
  expect(taken.filter(({ became }) => became === 'done')).toHaveLength(MAX_OF_SOURCE + 1);
});

it('a source that floods the org leaves room for another one, which waits for a batch or two', async () => {
  const other = await newTransmitter(idp);
  const inbox = newInbox();
  let done = 0;
  const flood = Array.from({ length: MAX_OF_SOURCE + 100 }, () => inbox.take(signal()).then(() => done++));
  const [of, doneBefore] = await inbox
    .take(signal({ source: { id: other.id, issuer: other.issuer } }))
    .then(({ became }) => [became, done]);
  expect(of).toBe('done');
  expect(doneBefore).toBeLessThan(160); // those that were told to come again, the first one, and a batch
  await Promise.all(flood);
});

it('never more than 1,000 wait, of however many sources', async () => {
  const inbox = newInbox();
  const ids = Array.from({ length: 12 }, (_, i) => `source-${i}`);
  const taken = await Promise.all(
    ids.flatMap((id) => Array.from({ length: 100 }, () => inbox.take(signal({ source: { id, issuer: 'x' } })))),
  );
  expect(taken.filter(({ became }) => became === 'busy')).toHaveLength(1_200 - MAX_WAITING - 1);
});

it('signals of two sources that come by turns share batches all the same', async () => {
  const other = await newTransmitter(idp);
  let writes = 0;
  const store = () => {
    const real = openStore(env, { kind: 'id', id: idp.orgId }, Date.now());
    return real.seat((kind, statements) => {
      if (kind === 'write') writes++;
      return kind === 'read' ? real.read(...statements) : real.write(...statements);
    });
  };
  const inbox = newInbox({ store });
  const sources = [transmitter, other].map(({ id, issuer }) => ({ source: { id, issuer } }));
  const taken = await Promise.all(Array.from({ length: 50 }, (_, i) => inbox.take(signal(sources[i % 2]!))));
  expect(new Set(taken.map(({ became }) => became))).toEqual(new Set(['done']));
  expect(await signedOut()).toHaveLength(50);
  expect(writes).toBeLessThanOrEqual(3);
});

it('a signal that another way has carried out meanwhile does not stop those that share its batch', async () => {
  const twice = signal();
  // Between the look whether it was used up and the write.
  let isFirst = true;
  const other = newInbox();
  const store = () => {
    const real = openStore(env, { kind: 'id', id: idp.orgId }, Date.now());
    if (!isFirst) return real;
    isFirst = false;
    return real.seat(async (kind, statements) => {
      if (kind === 'read') return real.read(...statements);
      await other.take(twice);
      return real.write(...statements);
    });
  };
  const inbox = newInbox({ store });
  const taken = await Promise.all([inbox.take(twice), inbox.take(signal()), inbox.take(signal())]);
  expect(taken.map(({ became }) => became)).toEqual(['used', 'done', 'done']);
  expect(await signedOut()).toHaveLength(3);
});

it('signals that name many people by many aliases share a batch with few others, and none of them is lost', async () => {
  const reads: number[] = [];
  const store = () => {
    const real = openStore(env, { kind: 'id', id: idp.orgId }, Date.now());
    return real.seat(async (kind, statements) => {
      if (kind === 'read') reads.push(statements.length);
      return kind === 'read' ? real.read(...statements) : real.write(...statements);
    });
  };
  const many = (length: number) =>
    Array.from(
      { length },
      () =>
        [
          ['email', `${crypto.randomUUID()}@example.com`],
          ['externalId', '00uAda'],
        ] as const,
    );
  const act = (people: number) => ({ event: 'account-disabled', ends: true, lookups: many(people).flat() });
  const inbox = newInbox({ store });
  const signals = [
    ...Array.from({ length: 26 }, () => signal({ acts: [act(10)] })),
    signal({ acts: Array.from({ length: 10 }, () => act(10)) }),
    ...Array.from({ length: 25 }, () => signal()),
  ];
  const taken = await Promise.all(signals.map((one) => inbox.take(one)));
  expect(new Set(taken.map(({ became }) => became))).toEqual(new Set(['done']));
  expect(await signedOut()).toHaveLength(signals.length);
  expect(reads.filter((statements) => statements > 110)).toHaveLength(1); // that of the one that has so many alone
});

it('a database that is busy is told, and the next signal is carried out', async () => {
  let isBusy = true;
  const inbox = newInbox({
    store() {
      if (!isBusy) return openStore(env, { kind: 'id', id: idp.orgId }, Date.now());
      isBusy = false;
      throw new Busy('overloaded');
    },
  });
  expect(await inbox.take(signal())).toMatchObject({ became: 'busy', isFull: false });
  expect(await inbox.take(signal())).toMatchObject({ became: 'done' });
});

it('a signal that KV has no flag of is committed, and its sender is told so', async () => {
  const taken = await newInbox({ publish: () => Promise.resolve(false) }).take(signal());
  if (!('published' in taken)) throw new Error(taken.became);
  expect(await taken.published).toBe(false);
  expect(await signedOut()).toHaveLength(1);
});
