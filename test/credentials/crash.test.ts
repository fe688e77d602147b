/** Rotations that are cut off: by the end of the object, and by a D1 that fails before, in and after the batch. */
import { abortAllDurableObjects } from 'cloudflare:test';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { cancel, complete, issue, rotate } from '../../src/credentials/rotation';
import { TOKENS } from '../../src/store/credentials/credentials';
import { revokeCredentials } from '../../src/store/credentials/rotation';
import { OrgStore } from '../../src/store/org/open';
import type { Answer } from '../support/client';
import { rebind } from '../support/coordinator';
import { dump, journal } from '../support/database';
import { type Fault, FaultyDb, SilentDb } from '../support/faults';
import { type CredentialLine, newLine } from '../support/line';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

const actor = { name: 'admin:test', requestId: 'r' };
let line: CredentialLine;
let first: string;
let n = 0;
beforeEach(async () => {
  ({ line, first } = await newLine(`crash-${++n}`));
});

/** Which batch is meant: the one that changes credentials. */
const CHANGE = /INTO credentials|UPDATE credentials/;

type Operation = 'rotate' | 'rotate again' | 'cancel' | 'complete' | 'revoke' | 'generate';
interface Case {
  /** From one token to where the operation begins. @returns the secrets by generation. */
  readonly prepare: () => Promise<string[]>;
  readonly run: () => Promise<Answer>;
  /** The same past the object, for workerd tells of each failure inside one on stderr. */
  readonly direct: (store: OrgStore) => Promise<unknown>;
  /** Generations that are good before and after it. */
  readonly before: number[];
  readonly after: number[];
}
const inGrace = async () => [first, await line.rotated({ grace: '1h' })];
const CASES: Record<Operation, Case> = {
  rotate: {
    prepare: async () => [first],
    run: () => line.rotate({ grace: '1h' }),
    direct: (store) => rotate(store, line.orgId, TOKENS, { by: 'x', grace: 3_600_000 }, actor),
    before: [1],
    after: [1, 2],
  },
  'rotate again': {
    prepare: inGrace,
    run: () => line.rotate({ grace: '0' }),
    direct: (store) => rotate(store, line.orgId, TOKENS, { by: 'x', grace: 0 }, actor),
    before: [1, 2],
    after: [3],
  },
  cancel: {
    prepare: inGrace,
    run: () => line.cancel(),
    direct: (store) => cancel(store, TOKENS, 'x', undefined, actor),
    before: [1, 2],
    after: [1],
  },
  complete: {
    prepare: inGrace,
    run: () => line.complete(),
    direct: (store) => complete(store, TOKENS, 'x', undefined, actor),
    before: [1, 2],
    after: [2],
  },
  revoke: {
    prepare: inGrace,
    run: () => line.revoke(),
    direct: (store) => revokeCredentials(store, TOKENS, 'x', actor),
    before: [1, 2],
    after: [],
  },
  generate: {
    prepare: async () => {
      await line.revoke();
      return [first];
    },
    run: () => line.generate(),
    direct: (store) => issue(store, line.orgId, TOKENS, { by: 'x' }, actor),
    before: [],
    after: [2],
  },
};
const OPERATIONS = Object.keys(CASES) as Operation[];

const good = async () => {
  const { current, predecessor } = await line.alive();
  expect(current.length).toBeLessThanOrEqual(1);
  return [...predecessor, ...current];
};

/** Of the secrets that the test holds, those that are let in are the good ones. */
async function expectGood(secrets: string[], generations: number[]): Promise<void> {
  expect(await good()).toEqual(generations);
  const statuses = await Promise.all(secrets.map((secret) => line.read(secret)));
  expect(statuses).toEqual(secrets.map((_, i) => (generations.includes(i + 1) ? 200 : 401)));
}

function expectUnconfirmed({ status, body, headers }: Answer): void {
  expect(status).toBe(504);
  expect(body).toEqual({ error: 'unconfirmed', detail: expect.stringContaining('check with "token list"') });
  // A client that repeats by itself what did happen would kill the token that the IdP holds.
  expect(headers.get('Retry-After')).toBeNull();
}

async function withFault(fault: Fault, run: () => Promise<Answer>): Promise<Answer> {
  const db = new FaultyDb(fault, CHANGE);
  await rebind(line.orgId, { DB: db.binding });
  const answer = await run();
  await rebind(line.orgId, {});
  expect(db.hits).toBe(1);
  return answer;
}

describe('a D1 that fails', () => {
  it.each(OPERATIONS)('before the batch leaves all as it was: %s; asked again, it works', async (operation) => {
    const { prepare, run, before, after } = CASES[operation];
    const secrets = await prepare();
    const state = await dump();
    const answer = await withFault({ kind: 'before' }, run);
    expectUnconfirmed(answer);
    expect(await dump()).toBe(state);
    await expectGood(secrets, before);
    expect((await run()).status).toBeLessThan(300);
    await expectGood(secrets, after);
  });

  it.each(OPERATIONS)('at any statement of the batch leaves all as it was: %s', async (operation) => {
    const { prepare, run, direct, before, after } = CASES[operation];
    const secrets = await prepare();
    const state = await dump();
    let size = 1;
    for (let statement = 0; statement <= size; statement++) {
      const db = new FaultyDb({ kind: 'at', statement }, CHANGE);
      const store = new OrgStore(db.binding, { kind: 'id', id: line.orgId }, Date.now());
      await expect(direct(store)).rejects.toThrow('malformed JSON');
      size = db.size;
    }
    expect(size).toBeGreaterThan(6);
    expect(await dump()).toBe(state);
    await expectGood(secrets, before);
    expect((await run()).status).toBeLessThan(300);
    await expectGood(secrets, after);
  });

  it.each(OPERATIONS)(
    'when it is committed, and only the answer is lost, leaves the new state: %s',
    async (operation) => {
      const { prepare, run, after } = CASES[operation];
      const secrets = await prepare();
      const events = (await journal(line.orgId)).length;
      const answer = await withFault({ kind: 'after' }, run);
      expectUnconfirmed(answer);
      await expectGood(secrets, after);
      expect(await journal(line.orgId)).toHaveLength(events + 1);
    },
  );
});

describe('the object that ends', () => {
  /** Ends it while the operation waits for D1. */
  async function abortIn(when: 'before' | 'after', run: () => Promise<Answer>): Promise<Answer> {
    const db = new SilentDb(when);
    await rebind(line.orgId, { DB: db.binding });
    const answer = run();
    await db.reached();
    await abortAllDurableObjects();
    return answer;
  }

  it.each(OPERATIONS)('before the batch leaves all as it was: %s; asked again, it works', async (operation) => {
    const { prepare, run, before, after } = CASES[operation];
    const secrets = await prepare();
    const state = await dump();
    expectUnconfirmed(await abortIn('before', run));
    expect(await dump()).toBe(state);
    await expectGood(secrets, before);
    expect((await run()).status).toBeLessThan(300);
    await expectGood(secrets, after);
  });

  it.each(OPERATIONS)('between the commit and the answer leaves the new state: %s', async (operation) => {
    const { prepare, run, after } = CASES[operation];
    const secrets = await prepare();
    expectUnconfirmed(await abortIn('after', run));
    await expectGood(secrets, after);
  });

  it('takes those with it that wait in its line, and none of them has happened', async () => {
    const db = new SilentDb('before');
    await rebind(line.orgId, { DB: db.binding });
    const answers = Promise.all(Array.from({ length: 5 }, () => line.rotate({ grace: '1h' })));
    await db.reached();
    await abortAllDurableObjects();
    for (const answer of await answers) expectUnconfirmed(answer);
    await expectGood([first], [1]);
  });
});

describe('a rotation whose answer was lost', () => {
  const lose = async () => {
    const answer = await withFault({ kind: 'after' }, () =>
      line.rotate({ grace: '1h', expectGeneration: 1, by: 'ada' }),
    );
    expectUnconfirmed(answer);
  };

  it('and is repeated with the same expectation is a 409 that names it, and the old token stays good', async () => {
    await lose();
    const { status, body } = await line.rotate({ grace: '1h', expectGeneration: 1, by: 'ada' });
    expect(status).toBe(409);
    const [second] = await line.list();
    expect(body.detail).toContain(`ada made generation 2 the current one at ${second!.createdAt}`);
    await expectGood([first], [1, 2]);
  });

  it('can be taken back: the token that nobody has seen is dead, and the old one current', async () => {
    await lose();
    expect((await line.cancel({ expectGeneration: 2 })).status).toBe(200);
    await expectGood([first], [1]);
    const second = await line.rotated({ grace: '1h', expectGeneration: 1 });
    expect(await line.states()).toEqual([
      [3, 'current'],
      [2, 'revoked'],
      [1, 'grace'],
    ]);
    expect(await line.read(second)).toBe(200);
  });

  it('and is repeated without one hands out a token that works, and says whom that killed', async () => {
    await lose();
    const { status, body } = await line.rotate({ grace: '1h' });
    expect(status).toBe(201);
    expect(body.killed).toMatchObject({ generation: 1 });
    expect(await line.read(body.token)).toBe(200);
    await expectGood([first], [2, 3]);
  });
});
