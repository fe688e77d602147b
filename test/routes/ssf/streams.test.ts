/**
 * What the OpenID conformance suite asks of a transmitter, as far as it can be replayed: metadata, stream configuration, status,
 * verification, subjects. Named after its modules.
 */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { streamsWithControl } from '../../../src/store/operations/signal-streams';
import { pushControl } from '../../../src/transmitter/deliveries';
import { admin, ask, BASE, type Idp, newIdp } from '../../support/client';
import { dump } from '../../support/database';
import {
  CAEP,
  catchTokens,
  newPush,
  newReceiver,
  POLL,
  PUSH,
  removeReceivers,
  type TestReceiver,
  until,
} from '../../support/ssf';

catchTokens();
vi.spyOn(console, 'error').mockImplementation(() => undefined);

let n = 0;
let idp: Idp;
let receiver: TestReceiver;
beforeEach(async () => {
  await removeReceivers();
  idp = await newIdp(`streams-${++n}`);
  receiver = await newReceiver([idp.slug]);
});

const create = (body: object = {}) => receiver.api('POST', '/streams', { body });
/** As the cron does, some time later. */
async function pushDueControl() {
  const due = await streamsWithControl(env, Date.now() + 3_600_000, 100);
  for (const id of due) await pushControl(env, { keys: [env.WEBHOOK_KEY!], allowsLoopback: false }, id);
}
const read = (id: string) => receiver.api('GET', `/streams?stream_id=${id}`);

describe('openid-ssf-transmitter-metadata', () => {
  it('has each required member, and addresses under the issuer', async () => {
    const { status, body, headers } = await ask('GET', `${BASE}/.well-known/ssf-configuration`);
    expect(status).toBe(200);
    expect(headers.get('Content-Type')).toContain('application/json');
    expect(body).toEqual({
      spec_version: '1_0',
      issuer: BASE,
      jwks_uri: `${BASE}/ssf/jwks.json`,
      delivery_methods_supported: [PUSH, POLL],
      configuration_endpoint: `${BASE}/ssf/streams`,
      status_endpoint: `${BASE}/ssf/status`,
      add_subject_endpoint: `${BASE}/ssf/subjects/add`,
      remove_subject_endpoint: `${BASE}/ssf/subjects/remove`,
      verification_endpoint: `${BASE}/ssf/verification`,
      authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
      default_subjects: 'ALL',
    });
  });
});

describe('the metadata of OAuth', () => {
  it.each([
    ['/.well-known/oauth-protected-resource', BASE],
    ['/.well-known/oauth-protected-resource/ssf', `${BASE}/ssf`],
  ])('%s leads a receiver to the token endpoint (RFC 9728, RFC 8414)', async (path, resource) => {
    const { body } = await ask('GET', BASE + path);
    expect(body).toEqual({
      resource,
      authorization_servers: [`${BASE}/ssf`],
      scopes_supported: ['ssf.read', 'ssf.manage'],
      bearer_methods_supported: ['header'],
    });
    const server = await ask('GET', `${BASE}/.well-known/oauth-authorization-server/ssf`);
    expect(server.body).toMatchObject({
      issuer: body.authorization_servers[0],
      token_endpoint: `${BASE}/ssf/token`,
      grant_types_supported: ['client_credentials'],
    });
  });
});

describe('openid-ssf-stream-control', () => {
  it('create-stream answers 201 with the whole configuration', async () => {
    const { status, body } = await create({
      delivery: { method: PUSH, endpoint_url: 'https://receiver.example.com/events' },
      events_requested: [`${CAEP}session-revoked`, 'https://example.com/not-supported'],
      description: 'Receiver of the security team',
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      stream_id: expect.any(String),
      iss: BASE,
      aud: receiver.audience,
      events_supported: expect.arrayContaining([`${CAEP}session-revoked`]),
      events_requested: [`${CAEP}session-revoked`, 'https://example.com/not-supported'],
      events_delivered: [`${CAEP}session-revoked`],
      delivery: { method: PUSH, endpoint_url: 'https://receiver.example.com/events' },
      min_verification_interval: 30,
      description: 'Receiver of the security team',
    });
    expect((await read(body.stream_id)).body).toEqual(body);
  });

  it('create-stream without a delivery is a stream that is polled, at an address of ours', async () => {
    const { body } = await create();
    expect(body.delivery).toEqual({ method: POLL, endpoint_url: `${BASE}/ssf/poll/${body.stream_id}` });
    expect(body.events_delivered).toEqual(body.events_supported);
  });

  it('create-stream answers 409 for one more than a receiver may have', async () => {
    for (let i = 0; i < 5; i++) expect((await create()).status).toBe(201);
    expect((await create()).status).toBe(409);
    const { body } = await receiver.api('GET', '/streams');
    expect(body).toHaveLength(5);
  });

  it('update-stream (PATCH) keeps what is not said, replace-stream (PUT) does not', async () => {
    const { body: made } = await create({ description: 'one', events_requested: [`${CAEP}session-revoked`] });
    const { stream_id } = made;
    const patched = await receiver.api('PATCH', '/streams', { body: { stream_id, description: 'two' } });
    expect(patched).toMatchObject({ status: 200, body: { ...made, description: 'two' } });
    const replaced = await receiver.api('PUT', '/streams', { body: { ...patched.body, events_requested: undefined } });
    expect(replaced.status).toBe(200);
    expect(replaced.body).not.toHaveProperty('events_requested');
    expect(replaced.body.events_delivered).toEqual(made.events_supported);
    const bare = await receiver.api('PUT', '/streams', { body: { stream_id } });
    expect(bare.body).not.toHaveProperty('description');
  });

  it('a configuration that was read can be sent back, and its header stays', async () => {
    const { endpoint, id, stream } = await newPush(receiver, {}, { authorization_header: 'Bearer kept' });
    expect(JSON.stringify(stream)).not.toContain('kept');
    expect((await receiver.api('PUT', '/streams', { body: stream })).status).toBe(200);
    await receiver.api('POST', '/verification', { body: { stream_id: id } });
    await until(() => expect(endpoint.headers[0]?.get('Authorization')).toBe('Bearer kept'));
  });

  it('delete-stream answers 204, and 404 afterwards', async () => {
    const { body } = await create();
    expect((await receiver.api('DELETE', `/streams?stream_id=${body.stream_id}`)).status).toBe(204);
    expect((await receiver.api('DELETE', `/streams?stream_id=${body.stream_id}`)).status).toBe(404);
    expect((await read(body.stream_id)).status).toBe(404);
    expect((await receiver.api('GET', `/status?stream_id=${body.stream_id}`)).status).toBe(404);
  });

  const push = (endpoint_url: unknown) => ({ delivery: { method: PUSH, endpoint_url } });
  it.each<[string, object]>([
    ['a list', []],
    ['delivery: text', { delivery: 'push' }],
    ['delivery.method: unknown', { delivery: { method: 'urn:ietf:rfc:9999' } }],
    ['delivery.endpoint_url: absent', { delivery: { method: PUSH } }],
    ['delivery.endpoint_url: http', push('http://receiver.example.com/')],
    ['delivery.endpoint_url: an address of this machine', push('https://127.0.0.1/')],
    ['delivery.endpoint_url: a private name', push('https://soc.internal/')],
    ['delivery.endpoint_url: an IPv6 address', push('https://[::1]/')],
    ['delivery.endpoint_url: metadata of a cloud', push('https://169.254.169.254/latest')],
    ['delivery.endpoint_url: with a password', push('https://me:pw@receiver.example.com/')],
    ['delivery.endpoint_url: too long', push(`https://receiver.example.com/${'a'.repeat(1_000)}`)],
    [
      'delivery.authorization_header: two lines',
      { delivery: { method: PUSH, endpoint_url: 'https://r.example.com', authorization_header: 'a\r\nb: c' } },
    ],
    ['events_requested: text', { events_requested: 'all' }],
    ['events_requested: numbers', { events_requested: [1] }],
    ['events_requested: too many', { events_requested: Array.from({ length: 101 }, (_, i) => `urn:${i}`) }],
    ['description: too long', { description: 'a'.repeat(1_001) }],
  ])('a configuration that is wrong is refused, and changes nothing: %s', async (_, body) => {
    const before = await dump();
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'invalidValue', detail: expect.any(String) });
    expect(await dump()).toBe(before);
  });

  it('create-stream ignores what the transmitter decides, whatever it is', async () => {
    const foreign = {
      ...{ stream_id: 'mine', iss: 'https://other.example.com', aud: ['https://other.example.com'] },
      ...{
        events_supported: 5,
        events_delivered: ['urn:x'],
        min_verification_interval: 1,
        inactivity_timeout: 'never',
      },
      delivery: { method: POLL, endpoint_url: 'https://other.example.com/' },
    };
    const { status, body } = await create(foreign);
    expect(status).toBe(201);
    expect(body).toMatchObject({ iss: BASE, aud: receiver.audience, min_verification_interval: 30 });
    expect(body.stream_id).not.toBe('mine');
    expect(body.events_delivered).toEqual(body.events_supported);
    expect(body.delivery).toEqual({ method: POLL, endpoint_url: `${BASE}/ssf/poll/${body.stream_id}` });
  });

  const OURS: readonly [string, unknown][] = [
    ['iss', 'https://other.example.com'],
    ['aud', 'https://other.example.com'],
    ['aud', []],
    ['aud', 5],
    ['min_verification_interval', 1],
    ['events_supported', ['urn:x']],
    ['events_delivered', ['urn:x']],
    ['delivery', { method: POLL, endpoint_url: 'https://other.example.com/' }],
  ];
  it.each(OURS.flatMap((ours) => [['PATCH', ...ours] as const, ['PUT', ...ours] as const]))(
    '%s refuses another %s than the transmitter has decided: %j',
    async (method, name, value) => {
      const { body: made } = await create();
      const before = await dump();
      const answer = await receiver.api(method, '/streams', { body: { ...made, description: 'x', [name]: value } });
      expect(answer).toMatchObject({ status: 400, body: { detail: expect.stringContaining(name) } });
      expect(await dump()).toBe(before);
    },
  );

  it.each(['PATCH', 'PUT'])('%s takes what was read with other events, and aud as a list', async (method) => {
    const { body: made } = await create();
    const asked = { ...made, aud: [made.aud], events_requested: [`${CAEP}session-revoked`] };
    const { status, body } = await receiver.api(method, '/streams', { body: asked });
    expect(status).toBe(200);
    expect(body.events_delivered).toEqual([`${CAEP}session-revoked`]);
    expect((await receiver.api(method, '/streams', { body })).status).toBe(200);
  });

  it.each(['PATCH', 'PUT'])('%s without a stream_id is 400, and of an unknown one 404', async (method) => {
    expect((await receiver.api(method, '/streams', { body: { description: 'x' } })).status).toBe(400);
    expect((await receiver.api(method, '/streams', { body: { stream_id: 'unknown' } })).status).toBe(404);
    expect((await receiver.api('PUT', '/streams', { raw: 'no JSON' })).status).toBe(400);
    expect((await receiver.api('DELETE', '/streams')).status).toBe(400);
    expect((await receiver.api('OPTIONS', '/streams')).status).toBe(405);
  });
});

describe('openid-ssf-stream-status', () => {
  it('is enabled at first, and tells why it is paused; a change that the receiver asked for sends no event', async () => {
    const { endpoint, id } = await newPush(receiver);
    const status = () => receiver.api('GET', `/status?stream_id=${id}`);
    expect((await status()).body).toEqual({ stream_id: id, status: 'enabled' });
    const paused = { stream_id: id, status: 'paused', reason: 'maintenance' };
    const answer = await receiver.api('POST', '/status', { body: paused });
    expect(answer).toMatchObject({ status: 200, body: paused });
    expect((await status()).body).toEqual(paused);
    await receiver.api('POST', '/status', { body: { stream_id: id, status: 'enabled' } });
    await receiver.api('POST', '/verification', { body: { stream_id: id } });
    await until(() => expect(endpoint.told).toEqual(['verification']));
  });

  it('a paused stream sends nothing, and its verification once it is enabled again', async () => {
    const { endpoint, id } = await newPush(receiver);
    const set = (status: string) => receiver.api('POST', '/status', { body: { stream_id: id, status } });
    await set('paused');
    expect((await receiver.api('POST', '/verification', { body: { stream_id: id, state: 'held' } })).status).toBe(204);
    await pushDueControl();
    expect(endpoint.attempts).toBe(0);
    await set('enabled');
    await until(() => expect(endpoint.got.map(({ event }) => event)).toEqual([{ state: 'held' }]));
  });

  it('a disabled stream is not verified: the request is refused, and may follow at once when it is enabled', async () => {
    const { endpoint, id } = await newPush(receiver);
    const { body: polled } = await create();
    for (const stream_id of [id, polled.stream_id]) {
      await receiver.api('POST', '/status', { body: { stream_id, status: 'disabled' } });
      const before = await dump();
      const refused = await receiver.api('POST', '/verification', { body: { stream_id, state: 'early' } });
      expect(refused).toMatchObject({ status: 400, body: { detail: expect.stringContaining('disabled') } });
      expect(await dump()).toBe(before);
      await receiver.api('POST', '/status', { body: { stream_id, status: 'enabled' } });
      expect((await receiver.api('POST', '/verification', { body: { stream_id, state: 'now' } })).status).toBe(204);
    }
    await until(() => expect(endpoint.got.map(({ event }) => event)).toEqual([{ state: 'now' }]));
    const poll = await receiver.api('POST', `/poll/${polled.stream_id}`, { body: { returnImmediately: true } });
    expect(Object.keys(poll.body.sets)).toHaveLength(1);
  });

  it('a stream that is disabled drops a verification that was still to be sent', async () => {
    const { body: polled } = await create();
    const { stream_id } = polled;
    await receiver.api('POST', '/verification', { body: { stream_id } });
    for (const status of ['disabled', 'enabled'])
      await receiver.api('POST', '/status', { body: { stream_id, status } });
    const poll = await receiver.api('POST', `/poll/${stream_id}`, { body: { returnImmediately: true } });
    expect(poll.body.sets).toEqual({});
  });

  it('a receiver that the operator has switched off is not pushed its verification', async () => {
    const { endpoint, id } = await newPush(receiver);
    endpoint.answer = () => new Response(null, { status: 503 });
    await receiver.api('POST', '/verification', { body: { stream_id: id } });
    await until(() => expect(endpoint.attempts).toBe(1));
    await admin('POST', `/signals/receivers/${receiver.name}/disable`, { body: {} });
    await pushDueControl();
    expect(endpoint.attempts).toBe(1);
  });

  it('paused: what happens is kept; disabled: it is dropped', async () => {
    const { endpoint, id } = await newPush(receiver);
    const set = (status: string) => receiver.api('POST', '/status', { body: { stream_id: id, status } });
    const users = () =>
      endpoint.got.flatMap(({ claims }) => (claims.sub_id['uri'] ? String(claims.sub_id['externalId']) : []));
    await set('paused');
    await idp.user('kept@example.com', { externalId: 'kept' });
    await set('enabled');
    await until(() => expect(users()).toEqual(['kept']));
    await set('disabled');
    await idp.user('dropped@example.com', { externalId: 'dropped' });
    await set('enabled');
    await idp.user('later@example.com', { externalId: 'later' });
    await until(() => expect(users()).toEqual(['kept', 'later']));
  });

  it.each([
    ['an unknown status', { status: 'sleeping' }],
    ['no status', {}],
    ['a reason that is no text', { status: 'paused', reason: 5 }],
    ['a reason that is too long', { status: 'paused', reason: 'a'.repeat(1_001) }],
  ])('refuses %s', async (_, more) => {
    const { id } = await newPush(receiver);
    expect((await receiver.api('POST', '/status', { body: { stream_id: id, ...more } })).status).toBe(400);
    expect((await receiver.api('GET', '/status')).status).toBe(400);
  });
});

describe('openid-ssf-stream-verification', () => {
  it('repeats the state; without one there is none', async () => {
    const one = await newPush(receiver);
    const two = await newPush(receiver);
    const asked = await receiver.api('POST', '/verification', { body: { stream_id: one.id, state: 'VGhpcyBpcyBh' } });
    await receiver.api('POST', '/verification', { body: { stream_id: two.id } });
    await until(() => expect(one.endpoint.got[0]?.event).toEqual({ state: 'VGhpcyBpcyBh' }));
    await until(() => expect(two.endpoint.got[0]?.event).toEqual({}));
    expect(one.endpoint.got[0]!.claims.txn).toBe(asked.headers.get('X-Request-Id'));
  });

  it('is refused with 429 and Retry-After before min_verification_interval is over', async () => {
    const { id } = await newPush(receiver);
    expect((await receiver.api('POST', '/verification', { body: { stream_id: id } })).status).toBe(204);
    const again = await receiver.api('POST', '/verification', { body: { stream_id: id } });
    expect(again.status).toBe(429);
    expect(Number(again.headers.get('Retry-After'))).toBeGreaterThan(0);
    expect((await receiver.api('POST', '/verification', { body: { stream_id: id, state: 5 } })).status).toBe(400);
  });
});

describe('openid-ssf-stream-subjects', () => {
  const subjectOf = (stream_id: string, subject: object) => ({ body: { stream_id, subject } });

  it('a user who is removed is told of no more, until they are added again', async () => {
    const { endpoint, id } = await newPush(receiver);
    const ada = await idp.user('ada@example.com', { emails: [{ value: 'Ada@Example.com' }] });
    const grace = await idp.user('grace@example.com');
    await until(() => expect(endpoint.got).toHaveLength(2));
    const email = { format: 'email', email: 'ada@example.com' };
    expect((await receiver.api('POST', '/subjects/remove', subjectOf(id, email))).status).toBe(204);
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: false }]);
    await idp.patch(`/Users/${grace.id}`, [{ op: 'replace', path: 'title', value: 'Admiral' }]);
    await until(() => expect(endpoint.got).toHaveLength(3));
    expect(endpoint.got[2]!.claims.sub_id['uri']).toBe(`/Users/${grace.id}`);
    const scim = { format: 'scim', uri: `/Users/${ada.id}` };
    expect((await receiver.api('POST', '/subjects/add', subjectOf(id, scim))).status).toBe(200);
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: true }]);
    await until(() => expect(endpoint.got).toHaveLength(5));
  });

  it('takes the formats of RFC 9493 that it knows, and a complex subject with the org', async () => {
    const everyone = await newReceiver();
    const { id } = await newPush(everyone);
    const ada = await idp.user('ada@example.com', { externalId: `ext-${n}` });
    const user = { format: 'opaque', id: ada.id };
    const complex = { format: 'complex', user, tenant: { format: 'opaque', id: idp.orgId } };
    const remove = (subject: object) => everyone.api('POST', '/subjects/remove', subjectOf(id, subject));
    expect((await remove(user)).status).toBe(400);
    expect((await remove(complex)).status).toBe(204);
    expect((await remove({ ...complex, user: { format: 'iss_sub', iss: BASE, sub: ada.id } })).status).toBe(204);
    expect((await remove({ ...complex, user: { format: 'scim', externalId: `ext-${n}` } })).status).toBe(204);
    expect((await remove({ ...complex, user: { format: 'iss_sub', iss: 'https://other', sub: ada.id } })).status).toBe(
      404,
    );
    expect((await remove({ ...complex, tenant: { format: 'opaque', id: 'another' } })).status).toBe(404);
  });

  it.each([
    ['none', undefined],
    ['one without a format', { id: 'x' }],
    ['an unknown format', { format: 'did', url: 'did:example:1' }],
    ['an e-mail address that is none', { format: 'email', email: 5 }],
    ['a path that names no user', { format: 'scim', uri: '/Groups/1' }],
  ])('refuses a subject: %s', async (_, subject) => {
    const { id } = await newPush(receiver);
    expect((await receiver.api('POST', '/subjects/remove', { body: { stream_id: id, subject } })).status).toBe(400);
  });
});
