/** `signals check`: what a transmitter says of its stream, compared with what this service asked for. */
import { beforeEach, describe, expect, it } from 'vitest';
import { admin, type Idp, newIdp } from '../../support/client';
import { dump } from '../../support/database';
import { newPolled, newSender, newTransmitter, type TestTransmitter } from '../../support/signals';

const PUSH = 'urn:ietf:rfc:8935';
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';

let n = 0;
let idp: Idp;
let transmitter: TestTransmitter;
/** What the transmitter says. */
let metadata: Record<string, unknown>;
let stream: Record<string, unknown>;
let status: Record<string, unknown>;
let instead: (request: string) => Response | undefined;

beforeEach(async () => {
  idp = await newIdp(`checked-${++n}`);
  transmitter = await newTransmitter(idp, { auth: 'token-1' });
  const { issuer, keys, endpoint } = transmitter;
  metadata = {
    ...{ issuer, jwks_uri: keys.jwksUrl, configuration_endpoint: `${issuer}/streams` },
    ...{ verification_endpoint: `${issuer}/verify`, status_endpoint: `${issuer}/status` },
  };
  const asked = transmitter.heard.find(({ request }) => request === 'POST /streams')!.body as Record<string, unknown>;
  stream = {
    ...{ stream_id: 'stream-1', iss: issuer, aud: 'https://receiver.test' },
    ...{ delivery: { method: PUSH, endpoint_url: endpoint }, events_requested: asked['events_requested'] },
    events_delivered: [`${CAEP}session-revoked`, `${RISC}account-disabled`, `${RISC}account-purged`],
  };
  status = { stream_id: 'stream-1', status: 'enabled' };
  instead = () => undefined;
  transmitter.answer = (request) => {
    const other = instead(request);
    if (other !== undefined) return other;
    if (request === 'GET /.well-known/ssf-configuration') return Response.json(metadata);
    if (request === 'GET /streams?stream_id=stream-1') return Response.json(stream);
    if (request === 'GET /streams') return Response.json([{ stream_id: 'another' }, stream]);
    if (request === 'GET /status?stream_id=stream-1') return Response.json(status);
    return undefined;
  };
});

const check = (body: object = { auth: 'token-2' }, id = transmitter.id) =>
  admin('POST', `/orgs/${idp.slug}/signals/${id}/check`, { body });
const differences = async () => {
  const { status, body, text } = await check();
  if (status !== 200) throw new Error(text);
  return (body.differences as { about: string }[]).map(({ about }) => about);
};

describe('a stream', () => {
  it('that is as it was asked for has no differences, and nothing is changed anywhere', async () => {
    const before = await dump();
    const { status: answer, body } = await check();
    expect(answer).toBe(200);
    expect(body).toMatchObject({
      ...{ id: transmitter.id, issuer: transmitter.issuer, isAsAsked: true, status: 'enabled', differences: [] },
      stream: { id: 'stream-1', audience: ['https://receiver.test'], delivery: { endpointUrl: transmitter.endpoint } },
    });
    expect(await dump()).toBe(before);
    const asked = transmitter.heard.slice(-3);
    expect(asked.map(({ request }) => request.split(' ')[0])).toEqual(['GET', 'GET', 'GET']);
    expect(asked.slice(1).map(({ authorization }) => authorization)).toEqual(['Bearer token-2', 'Bearer token-2']);
  });

  it.each<[string, () => void]>([
    ['jwks_uri', () => Object.assign(metadata, { jwks_uri: 'https://keys.test/other' })],
    ['configuration_endpoint', () => Object.assign(metadata, { configuration_endpoint: 'https://other.test/streams' })],
    ['iss', () => Object.assign(stream, { iss: 'https://other.test' })],
    ['aud', () => Object.assign(stream, { aud: ['https://other.test'] })],
    [
      'delivery.endpoint_url',
      () => Object.assign(stream, { delivery: { method: PUSH, endpoint_url: 'https://other.test' } }),
    ],
    [
      'delivery.method',
      () => Object.assign(stream, { delivery: { method: 'urn:ietf:rfc:8936', endpoint_url: transmitter.endpoint } }),
    ],
    ['events_requested', () => Object.assign(stream, { events_requested: [`${CAEP}session-revoked`] })],
    ['events_delivered', () => Object.assign(stream, { events_delivered: [`${CAEP}credential-change`] })],
    ['status', () => Object.assign(status, { status: 'paused', reason: 'too many failures' })],
  ])('with another %s has that difference alone', async (about, change) => {
    change();
    expect(await differences()).toEqual([about]);
  });

  it('that is paused tells the reason of the transmitter', async () => {
    Object.assign(status, { status: 'disabled', reason: 'too many failures' });
    expect((await check()).body).toMatchObject({
      ...{ status: 'disabled', reason: 'too many failures', isAsAsked: false },
      differences: [{ about: 'status', expected: 'enabled', found: 'disabled: too many failures' }],
    });
  });

  it('that is gone has one difference', async () => {
    instead = (request) => (request.startsWith('GET /streams') ? new Response(null, { status: 404 }) : undefined);
    expect((await check()).body).toMatchObject({ stream: null, differences: [{ about: 'stream', found: 'none' }] });
  });

  it('is never another one that the transmitter answers with; one without an id is the one that was asked for', async () => {
    Object.assign(stream, { stream_id: 'stream-2' });
    expect((await check()).body).toMatchObject({ isAsAsked: false, stream: null, differences: [{ found: 'none' }] });
    delete stream['stream_id'];
    expect((await check()).body).toMatchObject({ isAsAsked: true, stream: { id: null } });
  });

  it('that was made by hand is found by where it delivers', async () => {
    await admin('DELETE', `/orgs/${idp.slug}/signals/${transmitter.id}`, { body: {} });
    const body = { type: 'ssf', transmitter: transmitter.issuer, audience: 'https://receiver.test' };
    const { body: added } = await admin('POST', `/orgs/${idp.slug}/signals`, { body });
    expect((await check(undefined, added.id)).body).toMatchObject({ isAsAsked: true, stream: { id: 'stream-1' } });
    Object.assign(stream, { delivery: { method: PUSH, endpoint_url: 'https://other.test' } });
    expect((await check(undefined, added.id)).body.differences).toMatchObject([{ about: 'stream', found: 'none' }]);
  });

  it('that is polled is asked for with the credentials that are kept', async () => {
    const { transmitter: polled } = await newPolled(idp);
    const delivery = { method: 'urn:ietf:rfc:8936', endpoint_url: `${polled.issuer}/poll` };
    const usual = polled.answer;
    polled.answer = (request, init) =>
      request.startsWith('GET /streams')
        ? Response.json({ stream_id: 'stream-1', iss: polled.issuer, aud: 'https://receiver.test', delivery })
        : usual(request, init);
    const { status: answer, body } = await check({}, polled.id);
    expect(answer).toBe(200);
    expect(body).toMatchObject({ isAsAsked: true, status: null, stream: { eventsDelivered: null } });
  });
});

describe('a check is refused', () => {
  it('without credentials where none are kept, of Universal Logout, and of a source that is not there', async () => {
    const okta = await newSender(idp);
    expect((await check({})).status).toBe(400);
    expect((await check({ auth: 'a', client: { id: 'b', secret: 'c' } })).status).toBe(400);
    expect((await check({ auth: 'a' }, okta.id)).status).toBe(409);
    expect((await check({ auth: 'a' }, 'never')).status).toBe(404);
  });

  it.each<[string, () => void]>([
    [
      'does not answer',
      () => Object.assign(transmitter, { answer: () => Promise.reject(new TypeError('no connection')) }),
    ],
    [
      'refuses the token',
      () =>
        (instead = (request) => (request.startsWith('GET /streams') ? new Response(null, { status: 401 }) : undefined)),
    ],
    [
      'redirects',
      () =>
        (instead = (request) =>
          request.startsWith('GET /streams') ? Response.redirect('https://inside.test/', 302) : undefined),
    ],
    [
      'answers no JSON',
      () => (instead = (request) => (request.startsWith('GET /streams') ? new Response('<html>') : undefined)),
    ],
    [
      'answers too much',
      () =>
        (instead = (request) =>
          request.startsWith('GET /streams') ? Response.json({ a: 'a'.repeat(70_000) }) : undefined),
    ],
    [
      'has a status within a private network',
      () => Object.assign(metadata, { status_endpoint: 'https://10.0.0.1/status' }),
    ],
    [
      'refuses the status',
      () =>
        (instead = (request) => (request.startsWith('GET /status') ? new Response(null, { status: 500 }) : undefined)),
    ],
  ])('if the transmitter %s, and the token is in no answer', async (_, change) => {
    change();
    const { status: answer, text } = await check({ auth: 'very-secret' });
    expect([400, 409]).toContain(answer);
    expect(text).not.toContain('very-secret');
  });

  it('texts of the transmitter are cut', async () => {
    Object.assign(status, { status: 'paused', reason: 'a'.repeat(5_000) });
    expect((await check()).body.reason).toHaveLength(1_000);
  });
});
