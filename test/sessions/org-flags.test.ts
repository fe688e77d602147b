/** Absence is not permission: each org has a flag of its own, from its creation on, and after an upgrade. Flags of people end. */
import { createScheduledController, runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { sweep } from '../../src/cron/publications';
import type { Env } from '../../src/env';
import worker from '../../src/index';
import { admin, ask, BASE, newIdp } from '../support/client';
import { brokenKv, coordinatorOf, flagOf, rebind, settled, waiting, writtenFlag } from '../support/coordinator';
import { unreachable } from '../support/outbox';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

const NEW = writtenFlag(true, 0);
const cron = () => worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date() }), env);
const missing = async () => (await ask('GET', `${BASE}/health`)).body.kv.orgsWithoutFlag as number;

/** Seconds from now to the end of a key; undefined: it has none. */
async function lifeOf(key: string): Promise<number | undefined> {
  const { keys } = await env.REVOCATIONS.list({ prefix: key });
  const found = keys.find(({ name }) => name === key);
  if (found === undefined) throw new Error(`no key ${key}`);
  return found.expiration === undefined ? undefined : found.expiration - Date.now() / 1_000;
}

const isAboutMaxAge = (life: number | undefined) => Math.abs(life! - Number(env.SESSION_MAX_AGE)) < 60;

let n = 0;
let slug: string;
beforeEach(() => {
  slug = `flagged-${++n}`;
});

describe('the flag of an org', () => {
  it('is there when its creation is answered, says that it lives, and never ends', async () => {
    const { orgId } = await newIdp(slug);
    expect(await flagOf(orgId)).toEqual(NEW);
    expect(await lifeOf(`rev:v1:${orgId}`)).toBeUndefined();
    await settled(orgId);
  });

  it('never ends either after a sign-out, or switched off and on, or with the org', async () => {
    const { orgId } = await newIdp(slug);
    for (const verb of ['sign-out', 'disable', 'enable']) {
      await admin('POST', `/orgs/${slug}/${verb}`, { body: {} });
      expect(await lifeOf(`rev:v1:${orgId}`), verb).toBeUndefined();
    }
    await admin('DELETE', `/orgs/${slug}?confirm=${slug}`);
    expect(await flagOf(orgId)).toMatchObject({ active: false });
    expect(await lifeOf(`rev:v1:${orgId}`)).toBeUndefined();
  });

  it('that the coordinator could not be asked for is published by the cron', async () => {
    const { status, body } = await admin('POST', '/orgs', { body: { slug }, env: unreachable });
    expect(status).toBe(201);
    expect([await flagOf(body.id), await waiting(body.id)]).toEqual([null, 1]);
    await cron();
    expect([await flagOf(body.id), await waiting(body.id)]).toEqual([NEW, 0]);
  });

  it('is told to no stream: nobody’s session has changed', async () => {
    const { orgId } = await newIdp(slug);
    const told = await env.DB.prepare('SELECT count(*) AS n FROM events WHERE org_id = ? AND publishes = 1')
      .bind(orgId)
      .first<number>('n');
    expect(told).toBe(0);
  });
});

describe('after an upgrade', () => {
  it('the cron publishes the flags of all orgs, also in the place of those that would end, and /health says when', async () => {
    const [never, ending] = [await newIdp(`${slug}-a`), await newIdp(`${slug}-b`)];
    await env.DB.prepare('UPDATE orgs SET flag_published_at = NULL').run();
    await env.REVOCATIONS.delete(`rev:v1:${never.orgId}`);
    const at = 1_764_115_200_000;
    await env.DB.prepare('UPDATE orgs SET not_before = ? WHERE id = ?').bind(at, ending.orgId).run();
    const old = JSON.stringify({ v: 1, active: true, notBefore: at });
    await env.REVOCATIONS.put(`rev:v1:${ending.orgId}`, old, { expirationTtl: 2_592_000 });
    await rebind(never.orgId, { REVOCATIONS: brokenKv });
    await cron();
    expect(await flagOf(ending.orgId)).toEqual(writtenFlag(true, at));
    expect(await lifeOf(`rev:v1:${ending.orgId}`)).toBeUndefined();
    // It is counted as the run begins; one that fails stays counted.
    await cron();
    expect(await missing()).toBe(1);
    await rebind(never.orgId, {});
    await runDurableObjectAlarm(coordinatorOf(never.orgId));
    expect(await flagOf(never.orgId)).toEqual(NEW);
    await cron();
    expect(await missing()).toBe(0);
  });

  it('the cron asks for two hundred in a run, once each, and goes on where those are published', async () => {
    await env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
        INSERT INTO orgs (id, slug, name, created_at) SELECT printf('upgradedOrg%03d', i), 'upgraded-' || i, 'x', 1 FROM n`,
    ).run();
    const drained: string[] = [];
    const noting = {
      getByName: (orgId: string) => ({ drain: async () => void drained.push(orgId) }),
    } as unknown as Env['ORG_COORDINATOR'];
    await sweep({ DB: env.DB, ORG_COORDINATOR: noting });
    expect(drained).toHaveLength(200);
    // Nothing was published: nothing more is asked for.
    await sweep({ DB: env.DB, ORG_COORDINATOR: noting });
    expect(drained).toHaveLength(400);
    expect(new Set(drained).size).toBe(200);
    expect(await env.DB.prepare("SELECT count(*) AS n FROM outbox WHERE user_id = ''").first('n')).toBe(200);
    await env.DB.batch([
      env.DB.prepare(
        "UPDATE orgs SET flag_published_at = 1 WHERE id IN (SELECT org_id FROM outbox WHERE user_id = '')",
      ),
      env.DB.prepare('DELETE FROM outbox'),
    ]);
    drained.length = 0;
    await sweep({ DB: env.DB, ORG_COORDINATOR: noting });
    expect(drained).toHaveLength(50);
    await env.DB.batch([
      env.DB.prepare("DELETE FROM orgs WHERE slug LIKE 'upgraded-%'"),
      env.DB.prepare('DELETE FROM outbox'),
    ]);
  });

  it('/health does not claim that all flags are there before they were counted', async () => {
    await env.REVOCATIONS.put('canary:v1', JSON.stringify({ v: 1, at: Date.now() }));
    expect((await ask('GET', `${BASE}/health`)).body.kv.orgsWithoutFlag).toBeNull();
  });
});

describe('the flag of somebody', () => {
  it('who is inactive stays; of people of a deleted org it ends when no session of theirs can live', async () => {
    const idp = await newIdp(slug);
    const [out, back, good] = [await idp.user('out'), await idp.user('back'), await idp.user('good')];
    for (const { id } of [out, back])
      await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    expect(await lifeOf(`rev:v1:${idp.orgId}:${out.id}`)).toBeUndefined();
    await admin('DELETE', `/orgs/${slug}?confirm=${slug}`);
    await cron();
    await settled(idp.orgId);
    for (const { id } of [out, back]) {
      expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
      expect(await lifeOf(`rev:v1:${idp.orgId}:${id}`)).toSatisfy(isAboutMaxAge);
    }
    expect(await flagOf(idp.orgId, good.id)).toBeNull();
  });

  it('who was erased stays, however they were erased: keys of an application have no end', async () => {
    const idp = await newIdp(slug);
    const [asked, deleted, aged] = [await idp.user('asked'), await idp.user('deleted'), await idp.user('aged')];
    await idp.delete(`/Users/${aged.id}`);
    expect(await lifeOf(`rev:v1:${idp.orgId}:${aged.id}`)).toBeUndefined();
    const erased = await admin('POST', `/orgs/${slug}/users/${asked.id}/erase?confirm=${asked.id}`, { body: {} });
    expect(erased.status, erased.text).toBe(200);
    const settings = { onDelete: 'erase', retainDeleted: '1d' };
    expect((await admin('PATCH', `/orgs/${slug}`, { body: { settings } })).status).toBe(200);
    await idp.delete(`/Users/${deleted.id}`);
    await env.DB.prepare('UPDATE users SET deleted_at = 1 WHERE org_id = ? AND id = ?').bind(idp.orgId, aged.id).run();
    await cron(); // erases
    await cron(); // publishes
    await settled(idp.orgId);
    for (const { id } of [asked, deleted, aged]) {
      expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
      expect(await lifeOf(`rev:v1:${idp.orgId}:${id}`)).toBeUndefined();
    }
  });
});
