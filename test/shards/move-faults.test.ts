/** What stands in the way of a move: it is refused and changes nothing, or it goes on later, and says so. An org is never written to in two databases. */
import { env } from 'cloudflare:workers';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { Databases } from '../../src/store/d1/databases';
import { adoptOldCopies, findMove, type MoveState, OLD_COPY } from '../../src/store/operations/moves';
import { begin as beginImport, exported, imported } from '../support/archive';
import { type Ask, admin, type Idp } from '../support/client';
import {
  before,
  begin,
  count,
  databaseNamed,
  goOn,
  moveTo,
  type Name,
  newIdpIn,
  statusOf,
  whereIs,
  without,
  workUntilThere,
} from './databases';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

const bound = env as unknown as Databases;
let n = 0;
async function filled(shard: Name): Promise<{ idp: Idp; slug: string; user: string }> {
  const slug = `fault-${++n}`;
  const idp = await newIdpIn(shard, slug);
  return { idp, slug, user: (await idp.user('ada@example.com')).id };
}
const move = (slug: string, to: string, more: Ask = {}) =>
  admin('POST', `/orgs/${slug}/move`, { ...more, body: { to } });
const stateOf = async (orgId: string) => (await findMove(bound.DB, orgId))?.state;
const rename = (idp: Idp, user: string, title: string) =>
  idp.patch(`/Users/${user}`, [{ op: 'replace', path: 'title', value: title }]);
/** The database fails for as long as it is bound so. */
const down = (): D1Database =>
  ({
    prepare: (text: string) => bound.DB.prepare(text),
    batch: () => Promise.reject(new Error('D1_ERROR: Network connection lost')),
  }) as unknown as D1Database;
/** Goes on until the move is in this state. */
async function until(orgId: string, state: MoveState): Promise<void> {
  const stop = { clearing: /^SELECT org_id/, copying: /octet_length/, finishing: /INSERT INTO frozen_orgs/ } as Record<
    string,
    RegExp
  >;
  const meant = state === 'switching' ? /INSERT OR REPLACE INTO orgs/ : stop[state]!;
  await goOn(
    orgId,
    0,
    before(meant, () => Promise.reject(new Error('cut off'))),
  );
  expect(await stateOf(orgId)).toBe(state);
}

describe('a database that is missing or down during a move', () => {
  it.each([
    ['copying', 'DB_1', 'source'],
    ['copying', 'DB_2', 'target'],
    ['finishing', 'DB_1', 'source'],
    ['finishing', 'DB_2', 'target'],
    ['switching', 'DB_1', 'source'],
    ['switching', 'DB_2', 'target'],
  ] as const)('in the state %s: %s, the %s. The move goes on when it is there again', async (state, name, _) => {
    const { idp, slug, user } = await filled('DB_1');
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    await until(idp.orgId, state);
    for (const [why, bindings] of [
      [`${name} is missing`, without(name)],
      [`${name} did not answer`, { [name]: down() }],
    ] as const) {
      expect(await goOn(idp.orgId, 0, bindings as Partial<Databases>)).toBe(false);
      const { move: shown } = await statusOf(slug);
      expect([shown.state, shown.waitsFor]).toEqual([state, expect.stringContaining(why)]);
      if (state === 'switching') expect(shown.waitsFor).toContain('503');
      // Before it left, the org is written to as ever, wherever that is possible.
      else if (name === 'DB_2') expect((await rename(idp, user, why)).status).toBe(200);
      expect((await whereIs(idp.orgId)).length).toBeLessThan(2);
    }
    await workUntilThere(idp.orgId, 'DB_2');
    expect(await whereIs(idp.orgId)).toEqual(['DB_2']);
    expect((await rename(idp, user, 'last')).body.title).toBe('last');
  });

  it('before the org leaves: it stays where it is and is written to', async () => {
    const { idp, slug, user } = await filled('DB_1');
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    const lost = { isLost: false };
    const real = before(/"state" = 'switching'|state = \?\d+, place/, async () => undefined);
    const target = {
      prepare: (text: string) => bound.DB_2!.prepare(text),
      batch: (all: D1PreparedStatement[]) =>
        lost.isLost ? Promise.reject(new Error('D1_ERROR: lost')) : bound.DB_2!.batch(all),
    } as unknown as D1Database;
    const main = {
      prepare: (text: string) => bound.DB.prepare(text),
      batch: async (all: D1PreparedStatement[]) => {
        const results = await bound.DB.batch(all);
        if ((await stateOf(idp.orgId)) === 'switching') lost.isLost = true;
        return results;
      },
    } as unknown as D1Database;
    await goOn(idp.orgId, 0, { ...real, DB: main, DB_2: target });
    expect(lost.isLost).toBe(true);
    expect(await whereIs(idp.orgId)).toEqual(['DB_1']);
    expect((await rename(idp, user, 'still here')).status).toBe(200);
    expect((await statusOf(slug)).move).toMatchObject({
      state: 'finishing',
      waitsFor: expect.stringContaining('did not answer'),
    });
    await workUntilThere(idp.orgId, 'DB_2');
    expect((await idp.get(`/Users/${user}`)).body.title).toBe('still here');
  });

  it('when it is the catalogue, at the switch: requests wait or get 503, and the move goes on', async () => {
    const { idp, slug, user } = await filled('DB_1');
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    const cut = before(/INSERT INTO catalogue/, () => Promise.reject(new Error('cut off')));
    await goOn(idp.orgId, 0, { ...cut, DB: { ...cut.DB!, prepare: cut.DB!.prepare } as D1Database });
    expect([await stateOf(idp.orgId), await whereIs(idp.orgId)]).toEqual(['switching', ['DB_2']]);
    const answer = await rename(idp, user, 'waits');
    expect([200, 503]).toContain(answer.status);
    await workUntilThere(idp.orgId, 'DB_2');
    expect((await rename(idp, user, 'there')).status).toBe(200);
  });

  it('is thawed when the catalogue fails while writes are refused', async () => {
    const { idp, slug, user } = await filled('DB_1');
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    const cut = before(/octet_length\(details\).*LIMIT|SELECT count\(\*\) AS n, sum\(version\)/, () =>
      Promise.reject(new Error('x')),
    );
    await goOn(idp.orgId, 0, cut).catch(() => undefined);
    await until(idp.orgId, 'finishing').catch(() => undefined);
    await goOn(idp.orgId, 0, { DB: down() }).catch(() => undefined);
    expect(await count('DB_1', 'frozen_orgs', idp.orgId)).toBe(0);
    expect((await rename(idp, user, 'written')).status).toBe(200);
    await workUntilThere(idp.orgId, 'DB_2');
  });

  it('writes are refused for half a minute at most: a move that was cut off then copies what came meanwhile', async () => {
    const { idp, slug, user } = await filled('DB_1');
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    await until(idp.orgId, 'finishing');
    const frozen = databaseNamed('DB_1').prepare('INSERT INTO frozen_orgs (org_id, since) VALUES (?, ?)');
    await frozen.bind(idp.orgId, Date.now() - 40_000).run();
    expect((await rename(idp, user, 'refused')).status).toBe(503);
    await workUntilThere(idp.orgId, 'DB_2');
    expect((await rename(idp, user, 'written')).status).toBe(200);
  });
});

describe('an old run of a move that is gone on with elsewhere', () => {
  it('does not let the org leave after writes were allowed again', async () => {
    const { idp, slug, user } = await filled('DB_1');
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    const old = before(/INSERT OR REPLACE INTO moved_orgs/, async () => {
      await databaseNamed('DB_1').prepare('DELETE FROM frozen_orgs').run();
      expect((await rename(idp, user, 'newer')).status).toBe(200);
    });
    await goOn(idp.orgId, 0, old);
    expect(await whereIs(idp.orgId)).toEqual(['DB_1']);
    await workUntilThere(idp.orgId, 'DB_2');
    expect((await idp.get(`/Users/${user}`)).body.title).toBe('newer');
  });

  it('writes nothing into the database where the org has arrived', async () => {
    const { idp, slug, user } = await filled('DB_1');
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    const old = before(/^INSERT OR REPLACE INTO users/, async () => {
      await workUntilThere(idp.orgId, 'DB_2');
      expect((await rename(idp, user, 'newer')).status).toBe(200);
    });
    await goOn(idp.orgId, 0, old);
    expect((await idp.get(`/Users/${user}`)).body.title).toBe('newer');
  });
});

describe('a move is refused and changes nothing', () => {
  const refused = async (
    slug: string,
    answer: { status: number; body: { detail?: string } },
    status: number,
    why: string,
  ) => {
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringContaining(why)]);
    expect((await statusOf(slug)).move).toBeNull();
  };

  it('to where the org is, to a database that is full, and to another residency', async () => {
    const { slug } = await filled('DB_1');
    await refused(slug, await move(slug, 'DB_1'), 400, 'already');
    const full = {
      prepare: (text: string) => {
        const real = databaseNamed('DB_3').prepare(text);
        const run = async () => ({ meta: { size_after: 9_900_000_000 } });
        return text === 'SELECT 1' ? { ...real, run } : real;
      },
      batch: (all: D1PreparedStatement[]) => databaseNamed('DB_3').batch(all),
    } as unknown as D1Database;
    await refused(slug, await move(slug, 'DB_3', { env: { DB_3: full } as never }), 400, 'full');
    const inEu = { REGION: 'us', DATABASE_RESIDENCY: '{"DB_3":"eu"}' };
    await refused(slug, await move(slug, 'DB_3', { env: inEu }), 409, 'residency');
    await refused(slug, await move(slug, 'DB_3', { env: without('DB_3') }), 400, 'not bound');
  });

  it('when two are asked for at once: one begins', async () => {
    const { idp, slug } = await filled('DB_1');
    const answers = await Promise.all([move(slug, 'DB_2'), move(slug, 'DB_3'), move(slug, 'DB_2')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409]);
    const [to] = answers.filter(({ status }) => status === 202).map(({ body }) => body.to as Name);
    await workUntilThere(idp.orgId, to!);
    expect(await whereIs(idp.orgId)).toEqual([to]);
  });

  it('of an org that is being imported, and of one that was deleted', async () => {
    const { slug } = await filled('DB_1');
    const [org] = await exported(slug);
    expect((await beginImport(`${slug}-copy`, org)).status).toBeLessThan(300);
    const home = (await statusOf(`${slug}-copy`)).shard;
    const elsewhere = home === 'DB_3' ? 'DB_2' : 'DB_3';
    await refused(`${slug}-copy`, await move(`${slug}-copy`, elsewhere), 409, 'imported');
    await admin('DELETE', `/orgs/${slug}?confirm=${slug}`, { body: {} });
    expect((await move(slug, 'DB_3')).status).toBe(404);
  });
});

describe('a database that is bound under the name of another during a move', () => {
  it.each(['clearing', 'copying', 'finishing', 'switching', 'done'] as const)(
    'in the state %s: nothing of the org is removed, and the move goes on when both are bound as they were',
    async (state) => {
      const { idp, slug, user } = await filled('DB_1');
      await begin(idp.orgId, slug, 'DB_1', 'DB_2');
      if (state === 'done') await workUntilThere(idp.orgId, 'DB_2');
      else if (state !== 'clearing') await until(idp.orgId, state);
      const swapped = { DB_1: databaseNamed('DB_2'), DB_2: databaseNamed('DB_1') };
      for (let i = 0; i < 3; i++) await goOn(idp.orgId, Number.MAX_SAFE_INTEGER, swapped);
      expect((await statusOf(slug)).move).toMatchObject({
        state,
        waitsFor: expect.stringMatching(/^What is bound as DB_[12] is the database DB_[12]: bind it as it was/),
      });
      await workUntilThere(idp.orgId, 'DB_2');
      expect((await rename(idp, user, 'whole')).body.title).toBe('whole');
    },
  );
});

describe('an old copy in a third database that is missing', () => {
  it('does not hold up a move, and is removed when the database is bound again', async () => {
    const { idp, slug } = await filled('DB_1');
    await moveTo('DB_2', slug);
    expect((await move(slug, 'DB_3', { env: without('DB_1') })).status).toBe(202);
    for (let i = 0; i < 50 && (await stateOf(idp.orgId)) !== 'done'; i++)
      await goOn(idp.orgId, 0, without('DB_1') as never);
    expect(await whereIs(idp.orgId)).toEqual(['DB_3']);
    expect(await count('DB_1', 'users', idp.orgId)).toBe(1);
    const later = Date.now() + 2 * OLD_COPY;
    // First that of DB_2, then the one that no move knows.
    for (const name of ['DB_2', 'DB_1'] as const) {
      await adoptOldCopies(bound, later);
      for (let i = 0; i < 20 && (await stateOf(idp.orgId)) !== undefined; i++) await goOn(idp.orgId, later);
      expect([name, await count(name, 'users', idp.orgId)]).toEqual([name, 0]);
    }
    await adoptOldCopies(bound, later);
    expect(await stateOf(idp.orgId)).toBeUndefined();
    expect((await idp.get('/Users')).body.totalResults).toBe(1);
  });
});

describe('after a move', () => {
  it('its status is told while the database that it led to is missing', async () => {
    const { slug } = await filled('DB_1');
    await moveTo('DB_2', slug);
    const { body } = await admin('GET', `/orgs/${slug}/move`, { env: without('DB_2') });
    expect(body).toEqual(await statusOf(slug));
    expect(body).toMatchObject({ org: slug, shard: 'DB_2', move: { from: 'DB_1', to: 'DB_2', state: 'done' } });
  });
});

describe('while an org is moved', () => {
  it('it can be deleted: the move ends, nothing is left, and it can be imported again', async () => {
    const { idp, slug } = await filled('DB_1');
    const lines = await exported(slug);
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    await until(idp.orgId, 'copying');
    const deleted = await admin('DELETE', `/orgs/${slug}?confirm=${slug}`, { body: {} });
    expect(deleted.status).toBeLessThan(300);
    for (let i = 0; i < 20 && (await stateOf(idp.orgId)) !== undefined; i++) await goOn(idp.orgId);
    expect(await stateOf(idp.orgId)).toBeUndefined();
    expect(await whereIs(idp.orgId)).toEqual([]);
    expect(await count('DB_2', 'users', idp.orgId)).toBe(0);
    const { removeWaiting } = await import('../../src/provisioning/removal');
    await removeWaiting(bound);
    expect((await imported(slug, lines)).status).toBeLessThan(300);
    expect(await whereIs(idp.orgId)).toHaveLength(1);
  });

  it('it can be offboarded, and be given accounts: all of it is in the new database', async () => {
    const { idp, slug, user } = await filled('DB_1');
    await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: false } });
    await begin(idp.orgId, slug, 'DB_1', 'DB_2');
    const answers: number[] = [];
    await goOn(
      idp.orgId,
      0,
      before(/INSERT INTO frozen_orgs/, async () => {
        const accounts = [{ line: 1, id: 'local-1', userName: 'bob@example.com' }];
        answers.push((await admin('POST', `/orgs/${slug}/offboarding/deactivate`, { body: {} })).status);
        answers.push((await admin('POST', `/orgs/${slug}/users/import`, { body: { accounts } })).status);
      }),
    );
    await workUntilThere(idp.orgId, 'DB_2');
    expect(answers).toEqual([200, 200]);
    await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } });
    expect((await idp.get(`/Users/${user}`)).body.active).toBe(false);
    expect((await findMove(bound.DB, idp.orgId))?.place.attempts ?? 0).toBe(0);
    expect(await count('DB_2', 'users', idp.orgId)).toBe(await count('DB_1', 'users', idp.orgId));
  });
});

describe('the old copy', () => {
  it('is removed in portions, and a removal that is interrupted goes on; then nothing can be taken back', async () => {
    const { idp, slug } = await filled('DB_1');
    const db = databaseNamed('DB_1');
    await db
      .prepare(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
        INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details)
        SELECT ?1, 100 + i, 1, 'user.updated', 'a', 't', 'r', '{}' FROM n`)
      .bind(idp.orgId)
      .run();
    await db.prepare('UPDATE orgs SET event_seq = 2600 WHERE id = ?').bind(idp.orgId).run();
    await moveTo('DB_2', slug);
    const after = Date.now() + 1;
    let removals = 0;
    for (let isOver = false; !isOver; removals++) {
      // Each portion of events is cut off once, before it.
      await goOn(
        idp.orgId,
        after,
        before(/^DELETE FROM events/, () => Promise.reject(new Error('cut off'))),
      );
      const before_ = await count('DB_1', 'events', idp.orgId);
      if (before_ > 0) {
        const again = await admin('DELETE', `/orgs/${slug}/move`, { body: {} });
        expect([again.status, again.body.detail]).toEqual([409, expect.stringContaining(`org move ${slug} --to DB_1`)]);
      }
      await goOn(
        idp.orgId,
        after,
        before(/^DELETE FROM groups/, () => Promise.reject(new Error('cut off'))),
      );
      isOver = (await stateOf(idp.orgId)) === undefined;
      if (removals > 20) throw new Error('the old copy stays');
    }
    for (const table of ['users', 'events', 'moved_orgs'])
      expect([table, await count('DB_1', table, idp.orgId)]).toEqual([table, 0]);
    expect(await whereIs(idp.orgId)).toEqual(['DB_2']);
    expect((await idp.get('/Users')).body.totalResults).toBe(1);
  });
});
