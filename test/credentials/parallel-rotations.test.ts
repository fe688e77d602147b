/** A hundred rotations at once, through the org's line and past it: promise 4 is held by the database itself. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { cancel, complete, issue, type Outcome, rotate } from '../../src/credentials/rotation';
import { hashOf } from '../../src/credentials/secret';
import { TOKENS } from '../../src/store/credentials/credentials';
import { OrgStore } from '../../src/store/org/open';
import { journal, rows } from '../support/database';
import { type CredentialLine, newLine } from '../support/line';

const MANY = 100;
const times = <T>(make: (i: number) => Promise<T>) => Promise.all(Array.from({ length: MANY }, (_, i) => make(i)));

let line: CredentialLine;
let first: string;
let n = 0;
beforeEach(async () => {
  ({ line, first } = await newLine(`many-${++n}`));
});

/** Past the object: each from a store of its own, as if there were a hundred of it. */
const directly = (grace: number, expected?: number, by = 'direct') =>
  rotate(
    new OrgStore(env.DB, { kind: 'id', id: line.orgId }, Date.now()),
    line.orgId,
    TOKENS,
    { by, grace, expected },
    { name: 'admin:direct', requestId: 'r' },
  );

/** Of all that was handed out, one is current and one in its grace, and the journal's last rotation says which. */
async function expectTheLastTwo(secrets: string[]): Promise<void> {
  expect(new Set(secrets).size).toBe(MANY);
  const statuses = await Promise.all([first, ...secrets].map((secret) => line.read(secret)));
  expect(statuses.filter((status) => status === 200)).toHaveLength(2);
  expect(statuses.filter((status) => status === 401)).toHaveLength(MANY - 1);
  const rotations = (await journal(line.orgId)).filter(({ type }) => type === 'token.rotated');
  expect(rotations.map(({ details }) => details.generation)).toEqual(Array.from({ length: MANY }, (_, i) => i + 2));
  const last = rotations.at(-1)!;
  const { current, predecessor } = await line.alive();
  expect(current).toEqual([last.details.generation]);
  expect(predecessor).toEqual([last.details.replaced.generation]);
  const kept = await rows('SELECT generation, hash FROM credentials WHERE org_id = ?', line.orgId);
  const generationOf = new Map(kept.map((row) => [row['hash'], row['generation']]));
  const good = [first, ...secrets].filter((_, i) => statuses[i] === 200);
  const generations = await Promise.all(good.map(async (secret) => generationOf.get(await hashOf(secret))));
  expect(generations.sort()).toEqual([last.details.replaced.generation, last.details.generation].sort());
  expect(last.details.mask).toBe((await line.list())[0]!.mask);
  expect(kept).toHaveLength(MANY + 1);
}

describe('a hundred rotations at once', () => {
  it('hand out a hundred tokens, of which one is current and one in its grace: the journal says which', async () => {
    const answers = await times((i) => line.rotate({ grace: '1h', by: `admin-${i}` }));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    await expectTheLastTwo(answers.map(({ body }) => body.token));
  });

  it('past the org’s one line: the database holds it', async () => {
    const outcomes = await times((i) => directly(3_600_000, undefined, `admin-${i}`));
    const done = outcomes.filter((outcome): outcome is Extract<typeof outcome, { ok: true }> => outcome.ok);
    expect(done).toHaveLength(MANY);
    await expectTheLastTwo(done.map(({ secret }) => secret));
  });

  it('with the same expectation: one wins, and 99 hear who did it and when', async () => {
    const answers = await times((i) => line.rotate({ grace: '1h', expectGeneration: 1, by: `admin-${i}` }));
    const won = answers.filter(({ status }) => status === 201);
    expect(won).toHaveLength(1);
    const { token, createdBy, createdAt } = won[0]!.body;
    const lost = answers.filter(({ status }) => status === 409);
    expect(lost).toHaveLength(MANY - 1);
    for (const { body } of lost) {
      expect(body).toEqual({
        error: 'conflict',
        detail: `Generation 1 was expected, but ${createdBy} made generation 2 the current one at ${createdAt}. Nothing has changed`,
      });
    }
    expect(await Promise.all([line.read(first), line.read(token)])).toEqual([200, 200]);
    expect(await line.alive()).toEqual({ current: [2], predecessor: [1] });
    expect((await journal(line.orgId)).filter(({ type }) => type === 'token.rotated')).toHaveLength(1);
  });

  it('with the same expectation past the org’s one line: one wins', async () => {
    const outcomes = await times((i) => directly(0, 1, `admin-${i}`));
    const won = outcomes.filter(({ ok }) => ok);
    expect(won).toHaveLength(1);
    for (const outcome of outcomes) {
      if (!outcome.ok) expect(outcome).toMatchObject({ why: 'generation', current: { generation: 2 } });
    }
    expect(await line.alive()).toEqual({ current: [2], predecessor: [] });
  });
});

it('whatever is asked for past the line at once, there is one current token at most and one in its grace', async () => {
  const store = () => new OrgStore(env.DB, { kind: 'id', id: line.orgId }, Date.now());
  const actor = { name: 'admin:direct', requestId: 'r' };
  const handedOut = [first];
  for (let round = 0; round < 3; round++) {
    const outcomes = await times<Outcome<object>>((i) => {
      if (i % 10 === 7) return cancel(store(), TOKENS, 'x', undefined, actor);
      if (i % 10 === 8) return complete(store(), TOKENS, 'x', undefined, actor);
      if (i % 10 === 9) return issue(store(), line.orgId, TOKENS, { by: 'x' }, actor);
      return directly(i % 2 ? 0 : 3_600_000);
    });
    for (const outcome of outcomes) if ('secret' in outcome) handedOut.push(outcome.secret as string);
    const { current, predecessor } = await line.alive();
    expect(current).toHaveLength(1);
    expect(predecessor.length).toBeLessThanOrEqual(1);
    const statuses = await Promise.all(handedOut.map((secret) => line.read(secret)));
    expect(statuses.filter((status) => status === 200)).toHaveLength(1 + predecessor.length);
  }
  const generations = await rows('SELECT generation FROM credentials WHERE org_id = ? ORDER BY generation', line.orgId);
  expect(generations.map(({ generation }) => generation)).toEqual(handedOut.map((_, i) => i + 1));
});
