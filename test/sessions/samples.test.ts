/** The sample of the docs for a Worker, as it stands there (examples/samples/worker.ts), against the service. */
import { env, exports } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { openSessions } from '../../examples/samples/worker';
import { newIdp } from '../support/client';

it('lets a session in, until its user is deactivated', async () => {
  const idp = await newIdp('sample-worker');
  const { id: user } = await idp.user('ada@example.com');
  const check = openSessions({ REVOCATIONS: env.REVOCATIONS, SESSIONS: exports.Sessions as never });
  const session = { org: idp.orgId, user, issuedAt: Date.now() };
  const page = new Request('https://app.test/page');
  const payment = new Request('https://app.test/payments', { method: 'POST' });
  expect(await check(session, page)).toMatchObject({ valid: true, from: 'kv' });
  expect(await check(session, payment)).toMatchObject({ valid: true, from: 'strict' });
  await idp.patch(`/Users/${user}`, [{ op: 'replace', path: 'active', value: false }]);
  expect(await check(session, payment)).toMatchObject({ valid: false, reason: 'inactive' });
  expect(await check(session, page)).toMatchObject({ valid: false, reason: 'inactive' });
});
