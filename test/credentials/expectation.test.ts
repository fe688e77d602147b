/** Rotations that say what they take for the current token, numbers that never come again, and lines with a long past. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { cancel, issue, rotate } from '../../src/credentials/rotation';
import { secretsOf, TOKENS } from '../../src/store/credentials/credentials';
import { revokeCredentials } from '../../src/store/credentials/rotation';
import { OrgStore } from '../../src/store/org/open';
import { dump, journal } from '../support/database';
import { type CredentialLine, newLine } from '../support/line';
import { Meter } from '../support/meter';

const actor = { name: 'admin:test', requestId: 'r', client: 'cli/1' };
let line: CredentialLine;
let first: string;
let n = 0;
beforeEach(async () => {
  ({ line, first } = await newLine(`expectation-${++n}`));
});

const open = (db: D1Database = env.DB) => new OrgStore(db, { kind: 'id', id: line.orgId }, Date.now());

describe('an expected generation', () => {
  it('that is the current one lets the operation through', async () => {
    expect((await line.rotate({ expectGeneration: 1 })).status).toBe(201);
    expect((await line.cancel({ expectGeneration: 2 })).body.generation).toBe(1);
    expect((await line.rotate({ expectGeneration: 1 })).body.generation).toBe(3);
    expect((await line.complete({ expectGeneration: 3 })).status).toBe(200);
  });

  it.each(['rotate', 'cancel', 'complete'] as const)(
    'that is another one stops %s: the answer says who and when, and nothing has changed',
    async (verb) => {
      const { body } = await line.rotate({ by: 'eve' });
      const before = await dump();
      for (const expectGeneration of [1, 3, 1_000_000]) {
        const answer = await line[verb]({ expectGeneration, by: 'ada' });
        expect(answer.status).toBe(409);
        expect(answer.body.detail).toContain(`eve made generation 2 the current one at ${body.createdAt}`);
      }
      expect(await dump()).toBe(before);
    },
  );

  it('of a rotation that somebody cancelled says who brought the old one back, and when', async () => {
    await line.rotate({ by: 'ada' });
    await line.cancel({ by: 'eve' });
    const cancelled = (await journal(line.orgId)).at(-1)! as unknown as { at: number };
    for (const verb of ['rotate', 'complete'] as const) {
      const { status, body } = await line[verb]({ expectGeneration: 2 });
      expect(status).toBe(409);
      expect(body.detail).toContain(`eve made generation 1 the current one at ${new Date(cancelled.at).toISOString()}`);
    }
    expect(await line.read(first)).toBe(200);
  });

  it('of tokens that were revoked meanwhile is refused', async () => {
    await line.revoke();
    expect((await line.rotate({ expectGeneration: 1 })).status).toBe(409);
    expect((await line.cancel({ expectGeneration: 1 })).body.detail).toContain('none is current');
    expect(await line.states()).toEqual([[1, 'revoked']]);
  });

  it.each([0, -1, 1.5, '2', null, Number.MAX_VALUE])('that is no number of one (%s) is a 400', async (generation) => {
    expect((await line.rotate({ expectGeneration: generation })).status).toBe(400);
    expect(await line.states()).toEqual([[1, 'current']]);
  });
});

it('numbers go up by one, and none comes again after a cancelled rotation or a revocation', async () => {
  const seen = [1];
  for (const step of [
    'rotate',
    'cancel',
    'rotate',
    'rotate',
    'cancel',
    'revoke',
    'generate',
    'rotate',
    'cancel',
  ] as const) {
    const { body } = await line[step]();
    if (step === 'rotate' || step === 'generate') seen.push(body.generation);
  }
  expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await line.states()).toEqual([
    [6, 'revoked'],
    [5, 'current'],
    [4, 'revoked'],
    [3, 'revoked'],
    [2, 'revoked'],
    [1, 'replaced'],
  ]);
});

describe('a line with a past of two thousand', () => {
  const PAST = 2_000;
  beforeEach(async () => {
    await env.DB.prepare(
      `INSERT INTO credentials (id, org_id, kind, hash, mask, generation, created_at, created_by, revoked_at, revoked_by)
        WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
        SELECT ?1 || i, ?1, 'token', ?1 || i, 'scim_x…' || i, i, 1, 'x', 2, 'x' FROM n`,
    )
      .bind(line.orgId, PAST)
      .run();
  });

  it('shows its current token, though that is the oldest, and of the dead ones the last hundred', async () => {
    const states = await line.states();
    expect(states).toHaveLength(101);
    expect(states[0]).toEqual([PAST, 'revoked']);
    expect(states.at(-1)).toEqual([1, 'current']);
    const { status, body } = await line.generate();
    expect([status, body.detail]).toEqual([409, expect.stringContaining('generation 1)')]);
  });

  it('is rotated, cancelled and revoked for the price of a young one', async () => {
    const meter = new Meter();
    const ask = { by: 'x', grace: 1_000_000 };
    for (const [name, run] of [
      ['rotate', () => rotate(open(meter.binding), line.orgId, TOKENS, ask, actor)],
      ['rotate in a grace', () => rotate(open(meter.binding), line.orgId, TOKENS, ask, actor)],
      ['cancel', () => cancel(open(meter.binding), TOKENS, 'x', undefined, actor)],
      ['revoke', () => revokeCredentials(open(meter.binding), TOKENS, 'x', actor)],
      ['issue', () => issue(open(meter.binding), line.orgId, TOKENS, { by: 'x' }, actor)],
    ] as const) {
      meter.reset();
      expect(await run()).toBeTruthy();
      expect(meter.roundTrips, name).toBe(1);
      expect(meter.rowsRead, name).toBeLessThan(60);
      const walks = (await meter.plans()).filter(
        (plan) => /^SCAN (?!CONSTANT)/.test(plan) || plan === 'SEARCH credentials',
      );
      expect(walks, name).toEqual([]);
    }
  });
});

it('what happens to an OAuth client’s secrets is told with the client’s id, and beside other clients', async () => {
  const [one, two] = [secretsOf('client-1'), secretsOf('client-2')];
  for (const its of [one, two]) expect((await issue(open(), line.orgId, its, { by: 'ada' }, actor)).ok).toBe(true);
  await rotate(open(), line.orgId, one, { by: 'ada', grace: 60_000 }, actor);
  await cancel(open(), one, 'ada', undefined, actor);
  expect(await revokeCredentials(open(), one, 'ada', actor)).toHaveLength(1);
  const events = (await journal(line.orgId)).filter(({ type }) => type.startsWith('client.'));
  expect(events.map(({ type, details }) => [type, details.oauthClient, details.by, details.client])).toEqual([
    ['client.issued', 'client-1', 'ada', 'cli/1'],
    ['client.issued', 'client-2', 'ada', 'cli/1'],
    ['client.rotated', 'client-1', 'ada', 'cli/1'],
    ['client.cancelled', 'client-1', 'ada', 'cli/1'],
    ['client.revoked', 'client-1', 'ada', 'cli/1'],
  ]);
  expect(await revokeCredentials(open(), two, 'ada', actor)).toHaveLength(1);
  expect(await line.read(first)).toBe(200);
});
