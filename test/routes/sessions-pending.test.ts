/** What is committed and has not reached KV yet: the operator can see it, and since when. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { admin, type Idp, newIdp } from '../support/client';
import { brokenKv, coordinatorOf, rebind, settled } from '../support/coordinator';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

let idp: Idp;
let other: Idp;
beforeAll(async () => {
  idp = await newIdp('pending');
  other = await newIdp('pending-beside');
});
const pending = (slug: string) => admin('GET', `/orgs/${slug}/sessions/pending`);

it('nothing waits while all is well', async () => {
  const { id } = await idp.user('calm');
  await idp.delete(`/Users/${id}`);
  await settled(idp.orgId);
  expect((await pending('pending')).body).toEqual({ total: 0, pending: [] });
});

it('whose revocation KV has refused is listed, the longest wait first, until it is published', async () => {
  await rebind(idp.orgId, { REVOCATIONS: brokenKv });
  const [ada, bob] = [await idp.user('ada'), await idp.user('bob')];
  expect((await idp.delete(`/Users/${ada.id}`)).status).toBe(204);
  await idp.patch(`/Users/${bob.id}`, [{ op: 'replace', path: 'active', value: false }]);
  await idp.patch(`/Users/${bob.id}`, [{ op: 'replace', path: 'active', value: true }]);
  await env.DB.prepare('UPDATE outbox SET requested_at = requested_at - 90000 WHERE user_id = ?').bind(ada.id).run();

  const { status, body } = await pending('pending');
  expect(status).toBe(200);
  expect(body.total).toBe(2);
  expect(body.pending).toMatchObject([
    { user: ada.id, userName: 'ada', changes: 1 },
    { user: bob.id, userName: 'bob', changes: 2 },
  ]);
  expect(body.pending[0].waiting).toBeGreaterThanOrEqual(90);
  expect(Date.now() - Date.parse(body.pending[1].since)).toBeLessThan(20_000);
  expect((await pending('pending-beside')).body.total).toBe(0);

  await rebind(idp.orgId, {});
  await coordinatorOf(idp.orgId).drain();
  expect((await pending('pending')).body.total).toBe(0);
});

it('the whole org waits as one, and an org that is not there is a 404', async () => {
  await env.DB.prepare("INSERT INTO outbox (org_id, user_id, requested_at) VALUES (?, '', 1)").bind(other.orgId).run();
  expect((await pending('pending-beside')).body.pending).toMatchObject([{ user: null, userName: null, changes: 1 }]);
  expect((await pending('nowhere')).status).toBe(404);
});
