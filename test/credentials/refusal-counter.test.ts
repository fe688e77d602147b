import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Occurrence } from '../../src/credentials/refusal';
import { RefusalCounter } from '../../src/credentials/refusal-counter';
import { newSecret } from '../../src/credentials/secret';
import { type Idp, newIdp } from '../support/client';
import { rows } from '../support/database';
import { Meter } from '../support/meter';

let acme: Idp;
let globex: Idp;
beforeAll(async () => {
  acme = await newIdp('acme');
  globex = await newIdp('globex');
});

const DAY = 86_400_000;
/** A day of its own for each test. */
let day = 20_000;
const seen = (more: Partial<Occurrence> = {}): Occurrence => ({
  reason: 'unknown',
  orgId: acme.orgId,
  client: 'test',
  address: '192.0.2.1',
  count: 1,
  firstAt: day * DAY,
  lastAt: day * DAY,
  ...more,
});
const kept = (orgId = acme.orgId) =>
  rows('SELECT * FROM refusals WHERE org_id = ? AND day = ? ORDER BY count DESC, client', orgId, day);
const sum = (all: Awaited<ReturnType<typeof kept>>) => all.reduce((n, { count }) => n + (count as number), 0);

function newCounter(interval = 0): RefusalCounter {
  day++;
  const counter = new RefusalCounter();
  counter.interval = interval;
  return counter;
}

/** D1 that fails so many times. */
const failing = (times: number): D1Database => {
  let left = times;
  const { binding } = new Meter();
  return {
    prepare: (text: string) => binding.prepare(text),
    batch: (statements: D1PreparedStatement[]) =>
      left-- > 0 ? Promise.reject(new Error('D1 is down')) : binding.batch(statements),
  } as unknown as D1Database;
};

describe('refusals of one isolate', () => {
  it('are written at once when there were none, and then once a second, however many there are', async () => {
    const counter = newCounter(1_000);
    const meter = new Meter();
    const from = Date.now();
    await counter.add({ DB: meter.binding }, seen());
    expect(meter.roundTrips).toBe(1);
    await Promise.all(
      Array.from({ length: 500 }, (_, i) => counter.add({ DB: meter.binding }, seen({ client: `c${i % 3}` }))),
    );
    expect(Date.now() - from).toBeGreaterThanOrEqual(1_000);
    expect(meter.roundTrips).toBe(2);
    expect(sum(await kept())).toBe(501);
  });

  it('are asked for their credentials at once, in one round trip', async () => {
    const counter = newCounter();
    const meter = new Meter();
    const all = Array.from({ length: 60 }, (_, i) => seen({ reason: undefined, hash: `h${i}` }));
    await Promise.all(all.map((one) => counter.add({ DB: meter.binding }, one)));
    expect(meter.roundTrips).toBe(2);
    expect(await kept()).toMatchObject([{ reason: 'unknown', count: 60, hint: '' }]);
  });

  it('are put back when the write fails, and written by the next attempt', async () => {
    const counter = newCounter();
    await counter.add({ DB: failing(2) }, seen({ count: 3 }));
    expect(counter.size).toBe(0);
    expect(await kept()).toMatchObject([{ count: 3 }]);
  });

  it('wait for the next refusal when D1 is down for longer, and none is lost or counted twice', async () => {
    const counter = newCounter();
    await expect(counter.add({ DB: failing(99) }, seen())).rejects.toThrow('D1 is down');
    expect(counter.size).toBe(1);
    await expect(counter.add({ DB: failing(99) }, seen())).rejects.toThrow('D1 is down');
    expect(await kept()).toEqual([]);
    await counter.add(env, seen({ client: 'other' }));
    expect((await kept()).map(({ client, count }) => [client, count])).toEqual([
      ['test', 2],
      ['other', 1],
    ]);
  });

  it('take room for no more than so many, and count beyond it; a flood of one org’s is not another’s', async () => {
    const counter = newCounter(50);
    const works = [counter.add(env, seen())];
    for (let i = 0; i < 3_000; i++) works.push(counter.add(env, seen({ client: `c${i}` })));
    for (let i = 0; i < 20; i++) works.push(counter.add(env, seen({ client: `g${i}`, orgId: globex.orgId })));
    expect(counter.size).toBeLessThanOrEqual(100 + 1 + 20);
    await Promise.all(works);
    expect(sum(await kept())).toBe(3_001);
    expect((await kept(globex.orgId)).map(({ count }) => count)).toEqual(Array(20).fill(1));
  });

  it('take no more room for orgs that are made up', async () => {
    const counter = newCounter(50);
    const works = Array.from({ length: 5_000 }, (_, i) => counter.add(env, seen({ orgId: `org${i}` })));
    expect(counter.size).toBe(1_000);
    await Promise.all(works);
    expect(await rows('SELECT 1 FROM refusals WHERE day = ? AND org_id NOT IN (SELECT id FROM orgs)', day)).toEqual([]);
  });
});

describe('the rows of an org', () => {
  it('are fifty of a day and reason, whatever the hints, and one for all others: counts stay exact', async () => {
    const counter = newCounter();
    // In several writes, so that both the rows that are there and those that come are counted.
    for (let write = 0; write < 7; write++) {
      await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          counter.add(env, seen({ reason: 'malformed', hint: ['form', 'checksum'][i % 2], client: `c${write}-${i}` })),
        ),
      );
    }
    const all = await kept();
    expect(all).toHaveLength(51);
    expect(all[0]).toMatchObject({ hint: 'others', client: '', address: '', credential_id: '', count: 160 });
    expect(sum(all)).toBe(210);
    // Whoever has a row goes on in it; another reason, another day and another org have their own.
    await counter.add(env, seen({ reason: 'malformed', hint: 'form', client: 'c0-0' }));
    await counter.add(env, seen({ reason: 'missing' }));
    await counter.add(env, seen({ reason: 'malformed', orgId: globex.orgId }));
    expect((await kept()).filter(({ client }) => client === 'c0-0')).toMatchObject([{ count: 2 }]);
    expect((await kept()).filter(({ reason }) => reason === 'missing')).toMatchObject([{ client: 'test', count: 1 }]);
    expect(await kept(globex.orgId)).toMatchObject([{ client: 'test', count: 1 }]);
    day++;
    await counter.add(env, seen({ reason: 'malformed' }));
    expect(await kept()).toMatchObject([{ client: 'test', count: 1 }]);
  });

  it('say when it was first and last, in whichever order it is written', async () => {
    const counter = newCounter();
    for (const at of [500, 900, 100]) {
      await counter.add(env, seen({ firstAt: day * DAY + at, lastAt: day * DAY + at }));
    }
    expect(await kept()).toMatchObject([{ count: 3, first_at: day * DAY + 100, last_at: day * DAY + 900 }]);
  });

  it('are counted by isolates at once without a loss', async () => {
    day++;
    await Promise.all(
      Array.from({ length: 20 }, () => {
        const isolate = new RefusalCounter();
        return Promise.all([1, 2, 3].map(() => isolate.add(env, seen())));
      }),
    );
    expect(await kept()).toMatchObject([{ count: 60 }]);
  });

  it('are of the org that the text names, else of the path’s, and there are none of an org that is not', async () => {
    const counter = newCounter();
    await counter.add(env, seen({ slug: 'globex' }));
    await counter.add(env, seen({ orgId: '000000000000', slug: 'globex' }));
    await counter.add(env, seen({ orgId: undefined, slug: 'globex' }));
    await counter.add(env, seen({ orgId: '000000000000', slug: 'nobody' }));
    expect(await kept()).toMatchObject([{ count: 1 }]);
    expect(await kept(globex.orgId)).toMatchObject([{ count: 2 }]);
    expect(await rows('SELECT org_id FROM refusals WHERE day = ?', day)).toHaveLength(2);
  });

  it('hold no secret and no hash', async () => {
    const counter = newCounter();
    const secret = await newSecret('token', acme.orgId);
    await counter.add(env, seen({ reason: undefined, hash: secret }));
    expect(JSON.stringify(await kept())).not.toContain(secret.slice(18));
  });
});
