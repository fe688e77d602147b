/** What follows from the use of a credential: the note of it, the warning to whoever reads the list, the early end of a grace. */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { app } from '../../src/app';
import type { Env } from '../../src/env';
import { TOKENS } from '../../src/store/credentials/credentials';
import { retirePredecessor } from '../../src/store/credentials/rotation';
import { OrgStore } from '../../src/store/org/open';
import { admin, BASE } from '../support/client';
import { coordinatorOf, rebind } from '../support/coordinator';
import { dump, journal, rows } from '../support/database';
import { FaultyDb } from '../support/faults';
import { type CredentialLine, newLine } from '../support/line';
import { Meter } from '../support/meter';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

const START = Date.parse('2026-11-20T12:00:00.000Z');
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

let line: CredentialLine;
let first: string;
let n = 0;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  ({ line, first } = await newLine(`use-${++n}`));
});
afterEach(() => void vi.useRealTimers());

const at = (milliseconds: number) => vi.setSystemTime(START + milliseconds);
const iso = (milliseconds: number) => new Date(START + milliseconds).toISOString();
const from = (client: string, address: string) => ({
  headers: { 'User-Agent': client, 'CF-Connecting-IP': address, 'X-Forwarded-For': '203.0.113.99' },
});
const shown = async (generation: number) => (await line.list()).find((one) => one.generation === generation)!;

describe('the last use', () => {
  it('is noted with client and address, the address in Cloudflare’s word', async () => {
    expect(await shown(1)).toMatchObject({ lastUsedAt: null, lastUsedClient: null, lastUsedAddress: null });
    expect(await line.read(first, from('Okta/9', '192.0.2.7'))).toBe(200);
    expect(await shown(1)).toMatchObject({
      lastUsedAt: iso(0),
      lastUsedClient: 'Okta/9',
      lastUsedAddress: '192.0.2.7',
    });
  });

  it('is cut to 200 characters of the client, and known without either', async () => {
    await line.read(first, from('x'.repeat(5_000), '192.0.2.7'));
    expect((await shown(1)).lastUsedClient).toBe('x'.repeat(200));
    at(5 * MINUTE);
    await line.read(first);
    expect(await shown(1)).toMatchObject({ lastUsedAt: iso(5 * MINUTE), lastUsedClient: null, lastUsedAddress: null });
  });

  it('is written once in five minutes, however many requests there are', async () => {
    const meter = new Meter();
    const metered = { env: { DB: meter.binding } };
    await line.read(first, metered);
    expect([meter.roundTrips, meter.rowsWritten, meter.notes, meter.rowsNoted]).toEqual([1, 0, 1, 1]);
    for (const time of [0, MINUTE, 5 * MINUTE - 1]) {
      at(time);
      meter.reset();
      await line.read(first, metered);
      expect([meter.roundTrips, meter.rowsWritten, meter.notes]).toEqual([1, 0, 0]);
    }
    at(5 * MINUTE);
    meter.reset();
    await Promise.all(Array.from({ length: 30 }, () => line.read(first, metered)));
    expect([meter.roundTrips, meter.rowsNoted]).toEqual([30, 1]);
    expect((await shown(1)).lastUsedAt).toBe(iso(5 * MINUTE));
  });

  it('is not on the answer’s path: the answer comes while the note is not written, and when it cannot be', async () => {
    const isNote = /SET last_used_at/;
    const request = () => new Request(`${BASE}/scim/v2/Users`, { headers: { Authorization: `Bearer ${first}` } });
    let release: () => void = () => undefined;
    const texts = new WeakMap<object, string>();
    const slow = {
      prepare: (text: string) => ({
        bind: (...parameters: unknown[]) => {
          const statement = env.DB.prepare(text).bind(...parameters);
          texts.set(statement, text);
          return statement;
        },
      }),
      batch: async (statements: D1PreparedStatement[]) => {
        if (isNote.test(texts.get(statements[0]!) ?? '')) await new Promise<void>((resolve) => (release = resolve));
        return env.DB.batch(statements);
      },
    } as unknown as D1Database;
    const context = createExecutionContext();
    const response = await app.fetch(request(), { ...env, DB: slow } as Env, context);
    expect(response.status).toBe(200);
    await response.text();
    expect((await shown(1)).lastUsedAt).toBeNull();
    release();
    await waitOnExecutionContext(context);
    expect((await shown(1)).lastUsedAt).toBe(iso(0));
    at(HOUR);
    expect(await line.read(first, { env: { DB: new FaultyDb({ kind: 'before' }, isNote).binding } })).toBe(200);
    expect((await shown(1)).lastUsedAt).toBe(iso(0));
  });

  it('does not go back when an earlier request is noted later', async () => {
    await line.read(first, from('later', '192.0.2.2'));
    await line.rotate({ grace: '1h' });
    at(-MINUTE);
    await line.read(first, from('earlier', '192.0.2.1'));
    expect(Date.parse((await shown(1)).lastUsedAt!)).toBeGreaterThan(START);
    at(-HOUR);
    await line.read(first, from('much earlier', '192.0.2.0'));
    expect((await shown(1)).lastUsedClient).toBe('earlier');
  });

  it.each<[string, () => Promise<unknown>]>([
    ['revoked', () => line.revoke()],
    ['of an org with SCIM off', () => admin('POST', `/orgs/${line.slug}/scim`, { body: { enabled: false } })],
  ])('of one that is refused is none: %s', async (_, kill) => {
    await kill();
    const before = await dump();
    expect(await line.read(first)).toBeGreaterThan(400);
    expect(await line.send(first, 'POST', '/Users', { body: { userName: 'x' } })).toMatchObject({
      body: { status: /40[13]/ },
    });
    expect(await dump()).toBe(before);
  });
});

describe('the list warns', () => {
  it('of a predecessor that is used after its successor was issued: how recently, from which client and address', async () => {
    at(MINUTE);
    await line.read(first, from('Okta/9', '192.0.2.7'));
    at(2 * MINUTE);
    await line.rotated({ grace: '24h' });
    expect((await shown(1)).warnings).toEqual([]);
    // Noted a minute ago, and noted again all the same: this use is another thing.
    at(2 * MINUTE + SECOND);
    await line.read(first, from('Okta/10', '192.0.2.8'));
    at(2 * MINUTE + 43 * SECOND);
    expect((await shown(1)).warnings).toEqual([
      'was used 42 s ago from Okta/10, 192.0.2.8, although generation 2 has replaced it',
    ]);
    expect((await shown(2)).warnings).toEqual([]);
    at(3 * HOUR);
    expect((await shown(1)).warnings).toEqual([
      'was used 3 h ago from Okta/10, 192.0.2.8, although generation 2 has replaced it',
    ]);
  });

  it('of a use in the millisecond of the rotation, and by a machine whose clock is behind', async () => {
    await line.read(first);
    await line.rotated({ grace: '24h' });
    await line.read(first);
    expect((await shown(1)).warnings).toHaveLength(1);
    const { line: other, first: its } = await newLine(`behind-${n}`);
    await other.rotated({ grace: '24h' });
    at(-3 * SECOND);
    await other.read(its);
    expect((await other.list()).find(({ generation }) => generation === 1)!.warnings).toHaveLength(1);
  });

  it('not of uses before the rotation, however late they are noted, nor of a history that is over', async () => {
    await line.read(first);
    at(MINUTE);
    const second = await line.rotated({ grace: '1h' });
    expect((await shown(1)).warnings).toEqual([]);
    at(2 * MINUTE);
    await line.read(first);
    expect((await shown(1)).warnings).toHaveLength(1);
    await line.rotated({ grace: '1h' });
    at(3 * MINUTE);
    await line.read(second);
    expect((await shown(2)).warnings).toEqual([expect.stringContaining('although generation 3 has replaced it')]);
    expect((await shown(1)).warnings).toEqual([]);
  });

  it('with the generation that took the place, when one before it was cancelled', async () => {
    await line.rotated({ grace: '1h' });
    at(MINUTE);
    await line.cancel();
    at(2 * MINUTE);
    await line.rotated({ grace: '1h' });
    at(3 * MINUTE);
    await line.read(first);
    expect((await shown(1)).warnings).toEqual([expect.stringContaining('although generation 3 has replaced it')]);
  });

  it('of one that expires soon', async () => {
    await line.rotated({ grace: '0', expires: '21d' });
    expect((await shown(2)).warnings).toEqual([]);
    at(24 * HOUR);
    expect((await shown(2)).warnings).toEqual(['expires in 20 days: rotate it before then']);
  });
});

describe('with retire-on-use', () => {
  const flag = async () => {
    const [row] = await rows('SELECT max(retire_on_use) AS flag FROM credentials WHERE org_id = ?', line.orgId);
    return row!['flag'];
  };
  const retirements = async () => (await journal(line.orgId)).filter(({ type }) => type === 'token.retired');

  it('the first request with the new token leaves the old one 30 seconds', async () => {
    const second = await line.rotated({ grace: '24h', retireOnUse: true });
    at(HOUR);
    expect(await line.read(first)).toBe(200);
    expect(await shown(1)).toMatchObject({ graceUntil: iso(24 * HOUR) });
    expect(await line.read(second, from('Okta/9', '192.0.2.7'))).toBe(200);
    expect(await shown(1)).toMatchObject({ state: 'grace', graceUntil: iso(HOUR + 30 * SECOND) });
    at(HOUR + 30 * SECOND - 1);
    expect(await line.read(first)).toBe(200);
    expect((await line.list()).map(({ state }) => state)).toEqual(['current', 'grace']);
    at(HOUR + 30 * SECOND);
    expect(await line.read(first)).toBe(401);
    expect(await line.read(second)).toBe(200);
    expect(await retirements()).toMatchObject([
      {
        actor: 'idp',
        details: {
          retired: { generation: 1 },
          by: 'the first use of its successor',
          graceUntil: iso(HOUR + 30 * SECOND),
          client: 'Okta/9',
        },
      },
    ]);
    expect(await flag()).toBe(0);
  });

  it('a refused request, and one with the old token, retire nobody', async () => {
    const second = await line.rotated({ grace: '24h', retireOnUse: true });
    await line.read(first);
    await line.read(`${second}x`);
    await admin('POST', `/orgs/${line.slug}/scim`, { body: { enabled: false } });
    expect(await line.read(second)).toBe(403);
    expect(await retirements()).toEqual([]);
    expect(await flag()).toBe(1);
    await admin('POST', `/orgs/${line.slug}/scim`, { body: { enabled: true } });
    await line.read(second);
    expect(await retirements()).toHaveLength(1);
  });

  it('thirty first requests at once retire once', async () => {
    const second = await line.rotated({ grace: '24h', retireOnUse: true });
    const statuses = await Promise.all(Array.from({ length: 30 }, () => line.read(second)));
    expect(statuses).toEqual(statuses.map(() => 200));
    expect(await retirements()).toHaveLength(1);
    expect(await shown(1)).toMatchObject({ graceUntil: iso(30 * SECOND) });
  });

  it('past the org’s one line, thirty at once retire once', async () => {
    await line.rotated({ grace: '24h', retireOnUse: true });
    const [{ id }] = (await rows('SELECT id FROM credentials WHERE org_id = ? AND generation = 2', line.orgId)) as [
      { id: string },
    ];

    const retire = () =>
      retirePredecessor(new OrgStore(env.DB, { kind: 'id', id: line.orgId }, START), TOKENS, id, 30_000, {
        name: 'idp',
        requestId: 'r',
      });
    await Promise.all(Array.from({ length: 30 }, retire));
    expect(await retirements()).toHaveLength(1);
  });

  it('a crash between the use and the retirement loses nothing: the next use does it', async () => {
    const second = await line.rotated({ grace: '24h', retireOnUse: true });
    const unreachable = {
      getByName: () => ({ retire: () => Promise.reject(new Error('gone')) }),
    } as unknown as Env['ORG_COORDINATOR'];
    expect(await line.read(second, { env: { ORG_COORDINATOR: unreachable } })).toBe(200);
    expect([await flag(), await retirements()]).toEqual([1, []]);
    await rebind(line.orgId, { DB: new FaultyDb({ kind: 'before' }, /retire_on_use = 0/).binding });
    expect(await line.read(second)).toBe(200);
    await rebind(line.orgId, {});
    expect([await flag(), await retirements()]).toEqual([1, []]);
    await rebind(line.orgId, { DB: new FaultyDb({ kind: 'after' }, /retire_on_use = 0/).binding });
    expect(await line.read(second)).toBe(200);
    await rebind(line.orgId, {});
    expect(await line.read(second)).toBe(200);
    expect(await flag()).toBe(0);
    expect(await retirements()).toHaveLength(1);
  });

  it('without a predecessor the first use only takes the flag away', async () => {
    const second = await line.rotated({ grace: '1m', retireOnUse: true });
    at(MINUTE);
    await line.read(second);
    expect([await flag(), await retirements()]).toEqual([0, []]);
    const third = await line.rotated({ grace: '0', retireOnUse: true });
    await line.read(third);
    expect([await flag(), await retirements()]).toEqual([0, []]);
  });

  it('a grace that ends sooner is not made longer', async () => {
    const second = await line.rotated({ grace: '20s', retireOnUse: true });
    await line.read(second);
    expect(await shown(1)).toMatchObject({ graceUntil: iso(20 * SECOND) });
    expect([await flag(), await retirements()]).toEqual([0, []]);
  });

  it('a rotation that is cancelled, or followed by another, retires nobody afterwards', async () => {
    const second = await line.rotated({ grace: '24h', retireOnUse: true });
    await line.cancel();
    expect(await line.read(second)).toBe(401);
    const third = await line.rotated({ grace: '24h', retireOnUse: true });
    const fourth = await line.rotated({ grace: '24h' });
    expect(await Promise.all([line.read(third), line.read(fourth)])).toEqual([200, 200]);
    expect(await retirements()).toEqual([]);
    expect(await shown(3)).toMatchObject({ graceUntil: iso(24 * HOUR) });
  });

  it('without the flag nobody is retired, whoever asks for it', async () => {
    await line.rotated({ grace: '24h' });
    const [row] = await rows('SELECT id FROM credentials WHERE org_id = ? AND generation = 2', line.orgId);
    const before = await dump();
    await coordinatorOf(line.orgId).retire(TOKENS, row!['id'] as string, { name: 'idp', requestId: 'r' });
    expect(await dump()).toBe(before);
  });

  it('a retirement that comes late, when another is current, changes nothing', async () => {
    await line.rotated({ grace: '24h', retireOnUse: true });
    const [{ id }] = (await rows('SELECT id FROM credentials WHERE org_id = ? AND generation = 2', line.orgId)) as [
      { id: string },
    ];
    await line.rotated({ grace: '24h' });
    const before = await dump();
    await coordinatorOf(line.orgId).retire(TOKENS, id, { name: 'idp', requestId: 'r' });
    expect(await dump()).toBe(before);
  });
});
