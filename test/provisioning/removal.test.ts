/** Orgs and schemas that are deleted: gone with the answer, and removed in portions that survive a crash. */
import { createScheduledController, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { sweep } from '../../src/cron/publications';
import type { Env } from '../../src/env';
import worker from '../../src/index';
import { removeWaiting } from '../../src/provisioning/removal';
import * as tables from '../../src/store/d1/tables';
import { CHUNK, ROWS_OF_ORG, removeRows } from '../../src/store/directory/removal';
import { deleteOrg } from '../../src/store/operations/orgs';
import { OrgStore } from '../../src/store/org/open';
import { admin, host, type Idp, newIdp } from '../support/client';
import { coordinatorOf, flagOf } from '../support/coordinator';
import { journal, rows } from '../support/database';
import { FaultyDb } from '../support/faults';
import { fillGroup, fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';

const cron = () =>
  worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date() }), env as Env);

/** What is known of where orgs are, not rows of orgs (store/directory/removal.ts). */
const OF_PLACES = new Set(['catalogue', 'moves', 'frozen_orgs', 'moved_orgs']);

/** Every table that has an org, asked of the schema and not of the service. */
const TABLES_OF_ORG = Object.values(tables).flatMap((table) => {
  if (!(table instanceof SQLiteTable)) return [];
  const { name, columns } = getTableConfig(table);
  return columns.some((column) => column.name === 'org_id') && !OF_PLACES.has(name) ? [{ name, columns }] : [];
});

async function rowsOf(orgId: string): Promise<Record<string, number>> {
  const counts = await Promise.all(
    TABLES_OF_ORG.map(async ({ name }) => {
      const [row] = await rows(`SELECT count(*) AS n FROM ${name} WHERE org_id = ?`, orgId);
      return [name, row!['n'] as number] as const;
    }),
  );
  return Object.fromEntries(counts.filter(([, n]) => n > 0));
}

/** A row of the org in each table, whatever it says. */
async function fillTables(orgId: string): Promise<void> {
  const statements = TABLES_OF_ORG.filter(({ name }) => name !== 'deleted_orgs' && name !== 'removals').map(
    ({ name, columns }) => {
      const some = columns.filter((column) => column.notNull && !column.hasDefault && column.name !== 'seq');
      const names = [
        ...some.map((column) => column.name),
        ...(name === 'events' || name === 'webhook_lines' ? ['seq'] : []),
      ];
      const values = names.map((column) => (column === 'org_id' ? orgId : column === 'seq' ? 999_999 : '7'));
      return env.DB.prepare(`INSERT INTO ${name} (${names.join()}) VALUES (${names.map(() => '?').join()})`).bind(
        ...values,
      );
    },
  );
  await env.DB.batch(statements);
}

/** Deletes an org as the service does, and stops before its rows are removed. */
const deleteOnly = (idp: Idp) => deleteOrg(new OrgStore(env.DB, { kind: 'id', id: idp.orgId }, Date.now()));

/** What is left: that it was deleted, and what tells hosts so, until it has. */
const TOLD_LATER = { deleted_orgs: 1, outbox: 1 };

const exportOf = async (slug: string): Promise<unknown[]> => {
  const lines: unknown[] = [];
  let page = (await admin('POST', `/orgs/${slug}/export`, { body: {} })).body;
  for (;;) {
    lines.push(...page.lines);
    if (page.next === null) return lines;
    page = (await admin('GET', `/orgs/${slug}/export?after=${encodeURIComponent(page.next)}`)).body;
  }
};

describe('an org that is deleted', () => {
  it('leaves nothing in any table but that it was deleted, and no alarm in its object', async () => {
    const idp = await newIdp('everything');
    await fillTables(idp.orgId);
    await fillUsers(idp, 20);
    await fillGroup(idp, 'staff', 10);
    expect(Object.keys(await rowsOf(idp.orgId)).sort()).toEqual(
      TABLES_OF_ORG.map(({ name }) => name)
        .filter((name) => name !== 'deleted_orgs' && name !== 'removals')
        .sort(),
    );
    const answer = await admin('DELETE', '/orgs/everything?confirm=everything');
    expect(answer.body).toEqual({ deleted: 'everything', id: idp.orgId, users: 20 });
    // The flags of its users end by a last publication: until then they wait in the outbox.
    await expect
      .poll(async () => {
        await sweep(env);
        return rowsOf(idp.orgId);
      })
      .toEqual({ deleted_orgs: 1 });
    expect(await flagOf(idp.orgId)).toMatchObject({ active: false });
    const alarm = runInDurableObject(coordinatorOf(idp.orgId), (_, state) => state.storage.getAlarm());
    expect(await alarm).toBe(null);
  });

  it('is gone with the answer, before its rows are: refused, unknown, out, and its slug is free', async () => {
    const idp = await newIdp('gone');
    await fillUsers(idp, 10);
    const faulty = new FaultyDb({ kind: 'before' }, /UPDATE removals/);
    const answer = await admin('DELETE', '/orgs/gone?confirm=gone', { env: { DB: faulty.binding } });
    expect(answer.status).toBe(200);
    expect(faulty.hits).toBe(1);
    expect((await rowsOf(idp.orgId))['users']).toBe(10);

    expect((await idp.get('/Users')).status).toBe(401);
    expect((await admin('GET', '/orgs/gone')).status).toBe(404);
    expect((await admin('GET', '/orgs')).body.map(({ slug }: { slug: string }) => slug)).not.toContain('gone');
    const asked = { org: idp.orgId, user: userId(1), issuedAt: Date.now() + 5_000 };
    expect((await host('POST', '/check', { body: asked })).body).toMatchObject({ valid: false });
    expect(await flagOf(idp.orgId)).toMatchObject({ active: false });
    const again = await admin('POST', '/orgs', { body: { slug: 'gone' } });
    expect(again.status).toBe(201);
    expect(again.body.id).not.toBe(idp.orgId);

    await cron();
    expect(await rowsOf(idp.orgId)).toEqual({ deleted_orgs: 1 });
    expect((await admin('GET', '/orgs/gone')).body.id).toBe(again.body.id);
  });

  it('is removed in portions, each found by an index, whatever stops it in between', async () => {
    const [idp, other] = [await newIdp('portions'), await newIdp('beside')];
    await fillUsers(idp, 2 * CHUNK + 500);
    await fillUsers(other, 10);
    await fillGroup(idp, 'all', CHUNK + 1);
    const before = await rowsOf(other.orgId);
    await deleteOnly(idp);
    const total = async () => Object.values(await rowsOf(idp.orgId)).reduce((sum, n) => sum + n, 0);
    const meter = new Meter();
    for (let left = await total(); left > 2; ) {
      await removeWaiting({ DB: meter.binding }, 1);
      // The first portions of a run may find that a table is empty already.
      const now = await total();
      expect(left - now).toBeLessThanOrEqual(CHUNK + 1);
      if (now === left) await removeWaiting({ DB: meter.binding }, 40);
      left = await total();
    }
    await removeWaiting({ DB: meter.binding });
    expect(await rowsOf(idp.orgId)).toEqual(TOLD_LATER);
    expect(await rowsOf(other.orgId)).toEqual(before);
    const plans = await meter.plans();
    expect(plans.filter((line) => /^SCAN (?!removals|CONSTANT|\()/.test(line))).toEqual([]);
  });

  it('is removed once and whole by two runs at the same time, and by a run that failed anywhere', async () => {
    const idp = await newIdp('twice');
    await fillUsers(idp, CHUNK + 10);
    await deleteOnly(idp);
    const broken = new FaultyDb({ kind: 'after' }, /DELETE FROM users/);
    await expect(removeWaiting({ DB: broken.binding })).rejects.toThrow('removals were left behind');
    await Promise.all([removeWaiting(env), removeWaiting(env)]);
    await removeWaiting(env);
    expect(await rowsOf(idp.orgId)).toEqual(TOLD_LATER);
  });

  it('is imported again when the last of it is gone, and a late portion removes nothing of the import', async () => {
    const idp = await newIdp('moved');
    await fillUsers(idp, 5);
    const [first, ...lines] = await exportOf('moved');
    const end = lines.pop();
    await deleteOnly(idp);
    for (const dryRun of [true, false]) {
      const answer = await admin('POST', '/orgs/moved/import', { body: { org: first, dryRun } });
      expect(answer.status).toBe(409);
      expect(answer.body.detail).toContain('still being removed');
    }
    await removeWaiting(env);
    expect((await admin('POST', '/orgs/moved/import', { body: { org: first } })).body).toMatchObject({
      id: idp.orgId,
    });
    await admin('POST', '/orgs/moved/import/lines', { body: { after: 1, lines } });
    expect((await admin('POST', '/orgs/moved/import/finish', { body: { end } })).status).toBe(200);
    for (const table of ROWS_OF_ORG) expect(await removeRows(env.DB, idp.orgId, table)).toBe(0);
    expect((await admin('GET', '/orgs/moved')).body.users).toBe(5);
  });
});

describe('a schema that is removed from a large org', () => {
  const URN = 'urn:large:scim:2.0:staff';
  const USERS = CHUNK + 200;
  let idp: Idp;
  const schemas = '/orgs/large/schemas';
  const schema = { id: URN, name: 'Staff', attributes: [{ name: 'level', type: 'string' }] };
  const last = userId(USERS);

  beforeAll(async () => {
    idp = await newIdp('large');
    await fillUsers(idp, USERS);
    expect((await admin('POST', `${schemas}?type=User`, { body: schema })).status).toBe(201);
    await env.DB.prepare(
      `UPDATE users SET resource = json_set(resource, '$."${URN}"', json('{"level":"high"}')),
        folded = json_set(folded, '$."${URN}"', json('{"level":"high"}'), '$.schemas[1]', '${URN}') WHERE org_id = ?`,
    )
      .bind(idp.orgId)
      .run();
    expect((await idp.get(`/Users/${last}`)).body[URN]).toEqual({ level: 'high' });
    const faulty = new FaultyDb({ kind: 'before' }, /UPDATE removals SET turn/);
    const answer = await admin('DELETE', `${schemas}/${URN}?confirm=${URN}`, { env: { DB: faulty.binding } });
    expect(answer.body).toEqual({ removed: URN, resourceType: 'User', changed: CHUNK, removing: true });
  });

  const valued = async () =>
    (
      await rows(
        `SELECT count(*) AS n FROM users WHERE org_id = ? AND json_type(resource, '$."${URN}"') IS NOT NULL`,
        idp.orgId,
      )
    )[0]!['n'];

  it('is gone at once, also from resources that still hold a value of it', async () => {
    expect(await valued()).toBe(USERS - CHUNK);
    const { body } = await idp.get(`/Users/${last}`);
    expect(body[URN]).toBeUndefined();
    expect(body.schemas).not.toContain(URN);
    expect((await idp.get(`/Users?filter=${encodeURIComponent(`${URN}:level pr`)}`)).status).toBe(400);
    const listed = await idp.get(`/Users?startIndex=${USERS}`);
    expect(listed.text).not.toContain(URN);
  });

  it('cannot come back, and no file is written, before the last value is gone', async () => {
    const added = await admin('POST', `${schemas}?type=User`, {
      body: { ...schema, id: URN.replace('large', 'LARGE') },
    });
    expect([added.status, added.body.detail]).toEqual([409, expect.stringContaining('still being removed')]);
    const exported = await admin('POST', '/orgs/large/export', { body: {} });
    expect([exported.status, exported.body.detail]).toEqual([409, expect.stringContaining('still being removed')]);
  });

  it('does not come back with a change of somebody who still has a value', async () => {
    const changed = await idp.patch(`/Users/${last}`, [{ op: 'replace', path: 'title', value: 'Chief' }]);
    expect(changed.status).toBe(200);
    expect(changed.body[URN]).toBeUndefined();
  });

  it('is looked through to the end by the cron, and an event tells how many had a value', async () => {
    await cron();
    expect(await valued()).toBe(0);
    const [user] = await rows('SELECT version, folded FROM users WHERE org_id = ? AND id = ?', idp.orgId, last);
    expect(user!['version']).toBe(3);
    expect(user!['folded']).not.toContain(URN);
    const told = (await journal(idp.orgId, URN)).map(({ type, details }) => [type, details.changed]);
    expect(told).toEqual([
      ['schema.added', undefined],
      ['schema.removed', CHUNK],
      ['schema.cleared', USERS],
    ]);
    expect((await admin('POST', `${schemas}?type=User`, { body: schema })).status).toBe(201);
    expect((await idp.get(`/Users/${last}`)).body[URN]).toBeUndefined();
  });
});
