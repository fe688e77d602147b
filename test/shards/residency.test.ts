/** DATABASE_RESIDENCY: databases of another region hold only orgs of that region. */
import { describe, expect, it } from 'vitest';
import { exported } from '../support/archive';
import { admin, ask, BASE } from '../support/client';
import { newIdpIn, whereIs } from './databases';

const elsewhere = { DATABASE_RESIDENCY: '{"DB":"us","DB_1":"us","DB_3":"eu"}' };
const ALL_NAMED = '{"DB":"us","DB_1":"us","DB_2":"us","DB_3":"eu"}';
const inEu = { REGION: 'eu', DATABASE_RESIDENCY: '{"DB":"us","DB_1":"us","DB_3":"us"}' };

describe('a new org', () => {
  it('is not placed in a database of another region', async () => {
    for (let i = 0; i < 6; i++) {
      const unasked = await admin('POST', '/orgs', { body: { slug: `unasked-${i}` }, env: elsewhere });
      expect(await whereIs(unasked.body.id)).toEqual(['DB_2']);
      const regional = await admin('POST', '/orgs', { body: { slug: `regional-${i}` }, env: inEu });
      expect(await whereIs(regional.body.id)).toEqual(['DB_2']);
    }
  });

  it('is refused where no database of its region has room, and where it asks for one of another region', async () => {
    const env = { REGION: 'eu', DATABASE_RESIDENCY: '{"DB":"us","DB_1":"us","DB_2":"us","DB_3":"us"}' };
    for (const shard of [undefined, 'DB_3']) {
      const answer = await admin('POST', '/orgs', { body: { slug: 'stateless', ...(shard && { shard }) }, env });
      expect([answer.status, answer.body.detail]).toEqual([400, expect.stringContaining('region')]);
    }
    expect((await admin('GET', '/orgs/stateless')).status).toBe(404);
  });
});

it('an org that is imported goes to a database of its residency', async () => {
  await newIdpIn('DB_1', 'european');
  await admin('PATCH', '/orgs/european', { body: { settings: { residency: 'eu' } } });
  const [org] = await exported('european');
  const begun = await admin('POST', '/orgs/european-copy/import', { body: { org }, env: elsewhere });
  expect(await whereIs(begun.body.id)).toEqual(['DB_3']);
});

describe('a move', () => {
  it.each([
    ['eu', 'DB_1', 409],
    ['eu', 'DB_2', 409],
    ['us', 'DB_3', 409],
    ['us', 'DB_1', 200],
  ])('of an org in %s to %s is answered with %s', async (residency, to, status) => {
    const slug = `mover-${residency}-${to.toLowerCase().replace('_', '-')}`;
    await newIdpIn('DB', slug);
    await admin('PATCH', `/orgs/${slug}`, { body: { settings: { residency } } });
    const answer = await admin('POST', `/orgs/${slug}/move`, { body: { to, dryRun: true }, env: elsewhere });
    expect([answer.status, answer.body.detail ?? '']).toEqual([status, expect.any(String)]);
  });
});

describe('the residency of an org', () => {
  it('that no database is in is refused', async () => {
    await newIdpIn('DB', 'to-asia');
    const body = { settings: { residency: 'asia' } };
    const answer = await admin('PATCH', '/orgs/to-asia', { body, env: { DATABASE_RESIDENCY: ALL_NAMED } });
    expect([answer.status, answer.body.detail]).toEqual([
      400,
      expect.stringContaining('no database is in this region'),
    ]);
  });

  it('that its database is not in is told by org health, with the move that helps', async () => {
    await newIdpIn('DB_1', 'misplaced');
    await admin('PATCH', '/orgs/misplaced', { body: { settings: { residency: 'eu' } }, env: elsewhere });
    const { body } = await admin('GET', '/orgs/misplaced/health', { env: elsewhere });
    expect(body.advice[0]).toEqual({
      says: "The org's residency is eu, and its database DB_1 is in us.",
      command: 'org move misplaced --to DB_3',
    });
  });
});

it.each(['{', '[]', 'null', '"eu"', '{"DB_3":1}', '{"D3":"eu"}', '{"DB_3":"the eu"}'])(
  'a wrong value is named by /health and by what needs it, and identity providers are served: %s',
  async (DATABASE_RESIDENCY) => {
    const env = { DATABASE_RESIDENCY };
    const health = await ask('GET', `${BASE}/health`, { env });
    expect([health.status, health.body.variables[0].variable]).toEqual([503, 'DATABASE_RESIDENCY']);
    const created = await admin('POST', '/orgs', { body: { slug: 'wrong-json' }, env });
    expect([created.status, created.body.detail]).toEqual([503, expect.stringContaining('was expected')]);
    const idp = await newIdpIn('DB_1', `served-${crypto.randomUUID()}`);
    expect((await idp.get('/Users', { env })).status).toBe(200);
  },
);
