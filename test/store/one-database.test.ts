import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { homes } from '../../src/store/d1/homes';
import { type Answer, type Ask, admin, newIdp } from '../support/client';

/** How often the database was asked until the answer. */
async function trips(work: (ask: Ask) => Promise<Answer>, status: number) {
  let asked = 0;
  const batch = (statements: D1PreparedStatement[]) => {
    asked++;
    return env.DB.batch(statements);
  };
  const DB = { prepare: env.DB.prepare.bind(env.DB), batch } as unknown as D1Database;
  let before = 0;
  const answer = await work({ env: { DB }, onAnswer: () => (before = asked) });
  expect(answer.status).toBe(status);
  return before;
}

it('where there was only ever one database, an unknown org costs one question a minute more, and a known one none', async () => {
  const [idp, gone] = [await newIdp('only-here'), await newIdp('only-gone')];
  await admin('DELETE', `/orgs/${gone.slug}?confirm=${gone.slug}`);
  await idp.get('/Users');
  homes.clear();
  expect(await trips((ask) => idp.get('/Users', ask), 200)).toBe(1);
  expect(await trips((ask) => gone.get('/Users', ask), 401)).toBe(2);
  expect(await trips((ask) => gone.get('/Users', ask), 401)).toBe(1);
});
