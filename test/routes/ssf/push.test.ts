/** Delivery by push (RFC 8935): what each event becomes, and what happens when a receiver does not take it. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCron } from '../../../src/cron';
import { admin, type Idp, newIdp } from '../../support/client';
import { coordinatorOf, flagOf } from '../../support/coordinator';
import { journal, rows } from '../../support/database';
import { catchTokens, newPush, newReceiver, removeReceivers, type TestReceiver, until } from '../../support/ssf';

catchTokens();
vi.spyOn(console, 'error').mockImplementation(() => undefined);

let n = 0;
let idp: Idp;
let receiver: TestReceiver;
beforeEach(async () => {
  await removeReceivers();
  idp = await newIdp(`pushed-${++n}`);
  receiver = await newReceiver([idp.slug]);
});
afterEach(() => vi.useRealTimers());

const set = (id: string, path: string, value: unknown) => idp.patch(`/Users/${id}`, [{ op: 'replace', path, value }]);
const lineOf = async (id: string) => (await rows('SELECT * FROM signal_lines WHERE stream_id = ?', id))[0];
/** The alarm, as if the pause were over. */
const afterPause = async (id: string) => {
  await env.DB.prepare('UPDATE signal_lines SET due_at = 1 WHERE stream_id = ?').bind(id).run();
  await coordinatorOf(idp.orgId).deliverSoon();
};
const group = async (displayName: string, ...members: string[]) =>
  (
    await idp.post('/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName,
      externalId: `ext-${displayName}`,
      members: members.map((value) => ({ value })),
    })
  ).body.id as string;

describe('what happens to', () => {
  it('a user becomes the events of CAEP, RISC and RFC 9967, in order', async () => {
    const { endpoint } = await newPush(receiver);
    const ada = await idp.user('ada@example.com', { externalId: 'e1' });
    await set(ada.id, 'title', 'Countess');
    await set(ada.id, 'userName', 'lovelace@example.com');
    await set(ada.id, 'active', false);
    await set(ada.id, 'active', true);
    await idp.patch(`/Users/${ada.id}`, [{ op: 'add', path: 'roles', value: [{ value: 'admin' }] }]);
    await admin('POST', `/orgs/${idp.slug}/users/${ada.id}/sign-out`, { body: {} });
    await idp.delete(`/Users/${ada.id}`);
    const expected = [
      ...['prov:create:notice', 'prov:patch:notice', 'prov:patch:notice', 'identifier-changed'],
      ...['session-revoked', 'account-disabled', 'prov:deactivate', 'account-enabled', 'prov:activate'],
      ...['prov:patch:notice', 'token-claims-change', 'session-revoked'],
      ...['session-revoked', 'account-purged', 'prov:delete'],
    ];
    await until(() => expect(endpoint.told).toEqual(expected));
    const [, titled, , renamed] = endpoint.got;
    expect(titled!.event).toEqual({ attributes: ['title'] });
    expect(renamed!.claims.sub_id).toEqual({ format: 'email', email: 'ada@example.com' });
    expect(renamed!.event).toEqual({ 'new-value': 'lovelace@example.com' });
    expect(endpoint.got[10]!.event).toMatchObject({ claims: { groups: [], roles: ['admin'] } });
    expect(endpoint.got[11]!.event).toMatchObject({ initiating_entity: 'admin' });
    expect(endpoint.got.at(-1)!.claims.sub_id).toMatchObject({ uri: `/Users/${ada.id}` });
  });

  it('a user or a group that is replaced (PUT) becomes put:notice', async () => {
    const { endpoint } = await newPush(receiver);
    const ada = await idp.user('ada@example.com', { externalId: 'e1' });
    const team = await group('Team', ada.id);
    const { body: user } = await idp.get(`/Users/${ada.id}`);
    await idp.put(`/Users/${ada.id}`, { ...user, title: 'Countess' });
    await idp.put(`/Users/${ada.id}`, { ...user, title: 'Countess' }); // changes nothing
    await idp.put(`/Groups/${team}`, {
      ...{ schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'], displayName: 'Crew', externalId: 'ext-Team' },
      members: [{ value: ada.id }],
    });
    await set(ada.id, 'title', 'Lady');
    await until(() =>
      expect(endpoint.told).toEqual([
        ...['prov:create:notice', 'prov:create:notice', 'token-claims-change'],
        ...['prov:put:notice', 'prov:put:notice', 'prov:patch:notice'],
      ]),
    );
    expect(endpoint.got[3]!.event).toEqual({ attributes: ['title'] });
    expect(endpoint.got[4]).toMatchObject({
      claims: { sub_id: { uri: `/Groups/${team}` } },
      event: { attributes: ['displayName'] },
    });
  });

  it('a group becomes notices, and changed claims of those who joined and left', async () => {
    const ada = await idp.user('ada@example.com', { externalId: 'ada' });
    const bob = await idp.user('bob@example.com', { externalId: 'bob' });
    const { endpoint } = await newPush(receiver);
    const team = await group('Team', ada.id);
    await idp.patch(`/Groups/${team}`, [{ op: 'add', path: 'members', value: [{ value: bob.id }] }]);
    await until(() => expect(endpoint.got).toHaveLength(4));
    expect(endpoint.told).toEqual([
      'prov:create:notice',
      'token-claims-change',
      'prov:patch:notice',
      'token-claims-change',
    ]);
    expect(endpoint.got[0]!.claims.sub_id).toEqual({ format: 'scim', uri: `/Groups/${team}`, externalId: 'ext-Team' });
    expect(endpoint.got[1]).toMatchObject({
      claims: { sub_id: { externalId: 'ada' } },
      event: { claims: { groups: ['Team'], roles: [] } },
    });
    expect(endpoint.got[2]!.event).toEqual({ attributes: ['members'] });
    await idp.delete(`/Groups/${team}`);
    await until(() => expect(endpoint.got).toHaveLength(7));
    expect(endpoint.told.slice(4)).toEqual(['prov:delete', 'token-claims-change', 'token-claims-change']);
    expect(endpoint.got[4]!.claims.sub_id).toMatchObject({ externalId: 'ext-Team' });
    expect(endpoint.got[5]!.event.claims.groups).toEqual([]);
  });

  it('the whole org is told of the tenant', async () => {
    const { endpoint } = await newPush(receiver);
    await admin('POST', `/orgs/${idp.slug}/sign-out`, { body: {} });
    await until(() => expect(endpoint.told).toEqual(['session-revoked']));
    const tenant = { format: 'opaque', id: idp.orgId };
    expect(endpoint.got[0]!.claims.sub_id).toEqual({ format: 'complex', tenant });
  });

  it('nobody that the stream asked for is not told', async () => {
    const revoked = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';
    const { endpoint, id } = await newPush(receiver, { events_requested: [revoked] });
    const ada = await idp.user('ada@example.com');
    await set(ada.id, 'active', false);
    await until(async () => expect(await lineOf(id)).toMatchObject({ due_at: null }));
    expect(endpoint.told).toEqual(['session-revoked']);
  });

  it('many members of one group at once is told in parts, each once', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) ids.push((await idp.user(`m${i}@example.com`, { externalId: `m${i}` })).id);
    const { endpoint, id } = await newPush(receiver);
    await group('Everyone', ...ids);
    await until(async () => expect(await lineOf(id)).toMatchObject({ due_at: null }));
    expect(endpoint.got).toHaveLength(61);
    expect(new Set(endpoint.got.map(({ claims }) => claims.jti)).size).toBe(61);
  });
});

describe('securityEvents of the ServiceProviderConfig', () => {
  it('is there while the org has a stream, and only then', async () => {
    const config = async () => (await idp.get('/ServiceProviderConfig')).body;
    expect(await config()).not.toHaveProperty('securityEvents');
    const { id } = await newPush(receiver);
    const { securityEvents } = await config();
    expect(securityEvents.asyncRequest).toBe('none');
    expect(securityEvents.eventUris).toContain('urn:ietf:params:scim:event:prov:deactivate');
    const other = await newIdp(`silent-${n}`);
    expect((await other.get('/ServiceProviderConfig')).body).not.toHaveProperty('securityEvents');
    await receiver.api('DELETE', `/streams?stream_id=${id}`);
    expect(await config()).not.toHaveProperty('securityEvents');
  });
});

describe('a receiver that', () => {
  it.each<[string, () => Response | Promise<Response>]>([
    ['answers 500', () => new Response(null, { status: 500 })],
    ['answers 302', () => new Response(null, { status: 302, headers: { Location: 'https://internal.example.com' } })],
    ['answers 429', () => new Response(null, { status: 429, headers: { 'Retry-After': '5' } })],
    ['answers 400 without a word', () => new Response('<html>', { status: 400 })],
    ['answers 400 with an endless text', () => new Response('x'.repeat(100_000), { status: 400 })],
    ['answers 400 invalid_key', () => Response.json({ err: 'invalid_key', description: 'x' }, { status: 400 })],
    ['answers 400 access_denied', () => Response.json({ err: 'access_denied' }, { status: 400 })],
    ['cannot be reached', () => Promise.reject(new TypeError('no connection'))],
  ])('%s is sent the same token again, and the next one after it', async (_, answer) => {
    const { endpoint, id } = await newPush(receiver);
    endpoint.answer = answer;
    const jtis: unknown[] = [];
    await idp.user('ada@example.com', { externalId: 'ada' });
    await idp.user('grace@example.com', { externalId: 'grace' });
    await until(async () => expect(await lineOf(id)).toMatchObject({ failures: 1 }));
    expect(endpoint.attempts).toBe(1);
    endpoint.answer = () => new Response(null, { status: 202 });
    await afterPause(id);
    await until(() => expect(endpoint.got).toHaveLength(2));
    jtis.push(...endpoint.got.map(({ claims }) => claims.sub_id['externalId']));
    expect(jtis).toEqual(['ada', 'grace']);
    expect(await lineOf(id)).toMatchObject({ failures: 0, last_error: null });
  });

  it('says that it cannot read one token (400 invalid_request) is sent the next one', async () => {
    const { endpoint, id } = await newPush(receiver);
    endpoint.answer = () => Response.json({ err: 'invalid_request', description: 'no' }, { status: 400 });
    await idp.user('ada@example.com');
    await until(async () => expect(await lineOf(id)).toMatchObject({ due_at: null, failures: 0 }));
    const { body } = await admin('GET', `/signals/receivers/${receiver.name}`);
    expect(body.streams[0]).toMatchObject({ refused: 1, lastRefusal: expect.stringContaining('invalid_request') });
  });

  it('is slow delays no other receiver and no revocation', async () => {
    const slow = await newPush(receiver);
    const quick = await newPush(await newReceiver([idp.slug]));
    let isReleased = false;
    slow.endpoint.answer = async () => {
      // Not a promise of the test's: it would go on in the test's own context.
      while (!isReleased) await new Promise((resolve) => setTimeout(resolve, 20));
      return new Response(null, { status: 202 });
    };
    const ada = await idp.user('ada@example.com');
    await until(() => expect(slow.endpoint.attempts).toBe(1));
    await set(ada.id, 'active', false);
    expect(await flagOf(idp.orgId, ada.id)).not.toBeNull();
    await until(() => expect(quick.endpoint.got).toHaveLength(4));
    expect(slow.endpoint.got).toHaveLength(0);
    isReleased = true;
    await until(() => expect(slow.endpoint.got).toHaveLength(4));
  });

  it('fails for 24 hours is paused: the journal and the health of the org say so, and nothing is lost', async () => {
    const { endpoint, id } = await newPush(receiver);
    endpoint.answer = () => new Response(null, { status: 500 });
    await idp.user('ada@example.com', { externalId: 'ada' });
    await until(async () => expect(await lineOf(id)).toMatchObject({ failures: 1 }));
    const day = 86_400_000;
    await env.DB.prepare('UPDATE signal_lines SET failing_since = ? WHERE stream_id = ?')
      .bind(Date.now() - day, id)
      .run();
    await afterPause(id);
    await until(async () => expect((await receiver.api('GET', `/status?stream_id=${id}`)).body.status).toBe('paused'));
    const { reason } = (await receiver.api('GET', `/status?stream_id=${id}`)).body;
    expect(reason).toContain('24 hours');
    const paused = (await journal(idp.orgId)).at(-1)!;
    expect(paused).toMatchObject({ type: 'signals.stream_paused', target_id: id });
    const { body: health } = await admin('GET', `/orgs/${idp.slug}/health`);
    expect(health.streams).toMatchObject([{ id, receiver: receiver.name, status: 'paused' }]);
    expect(JSON.stringify(health.advice)).toContain(`signals receiver show ${receiver.name}`);
    await idp.user('grace@example.com', { externalId: 'grace' });
    endpoint.answer = () => new Response(null, { status: 202 });
    await receiver.api('POST', '/status', { body: { stream_id: id, status: 'enabled' } });
    await until(() =>
      expect(endpoint.got.flatMap(({ claims }) => claims.sub_id['externalId'] ?? [])).toEqual(['ada', 'grace']),
    );
    await until(() => expect(endpoint.told).toContain('stream-updated'));
    const updated = endpoint.got[endpoint.told.indexOf('stream-updated')]!;
    expect(updated.claims.txn).toBe(paused.request_id);
  });

  it('was not there for its verification is asked again by the cron', async () => {
    const { endpoint, id } = await newPush(receiver);
    endpoint.answer = () => new Response(null, { status: 503 });
    await receiver.api('POST', '/verification', { body: { stream_id: id, state: 'again' } });
    await until(() => expect(endpoint.attempts).toBe(1));
    endpoint.answer = () => new Response(null, { status: 202 });
    await until(async () => {
      await env.DB.prepare('UPDATE signal_streams SET control_due_at = 1 WHERE control_due_at IS NOT NULL').run();
      await runCron(env as never);
      expect(endpoint.got[0]?.event).toEqual({ state: 'again' });
    });
    expect((await rows('SELECT control, control_due_at FROM signal_streams WHERE id = ?', id))[0]).toEqual({
      control: '[]',
      control_due_at: null,
    });
  });

  it('was disabled by the operator is sent what happened meanwhile once it is enabled', async () => {
    const { endpoint } = await newPush(receiver);
    await admin('POST', `/signals/receivers/${receiver.name}/disable`, { body: {} });
    await idp.user('ada@example.com', { externalId: 'ada' });
    expect(endpoint.attempts).toBe(0);
    await admin('POST', `/signals/receivers/${receiver.name}/enable`, { body: {} });
    await until(() => expect(endpoint.got).toHaveLength(1));
  });
});
