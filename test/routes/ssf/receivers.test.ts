/** Who receives our signals: commands around receivers, access tokens, and what no receiver learns of another one. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { admin, ask, BASE, type Idp, newIdp } from '../../support/client';
import { dump, journal, rows } from '../../support/database';
import {
  catchTokens,
  newPush,
  newReceiver,
  POLL,
  removeReceivers,
  type TestReceiver,
  tokenFor,
  until,
  verified,
  withToken,
} from '../../support/ssf';

catchTokens();
vi.spyOn(console, 'error').mockImplementation(() => undefined);

let n = 0;
let idp: Idp;
let receiver: TestReceiver;
beforeEach(async () => {
  await removeReceivers();
  idp = await newIdp(`received-${++n}`);
  receiver = await newReceiver([idp.slug]);
});

const typesOf = async (orgId: string) => (await journal(orgId)).map(({ type }) => type);

describe('a receiver', () => {
  it('is added, listed, disabled, enabled, removed, and the journal of its orgs says so', async () => {
    const path = `/signals/receivers/${receiver.name}`;
    const { body: shown } = await admin('GET', path);
    expect(shown).toMatchObject({ name: receiver.name, orgs: [idp.slug], audience: receiver.clientId, streams: [] });
    expect(JSON.stringify(shown)).not.toContain(receiver.secret);
    const { body: all } = await admin('GET', '/signals/receivers');
    expect(all.map(({ name }: { name: string }) => name)).toContain(receiver.name);
    expect((await receiver.api('GET', '/streams')).body).toEqual([]);
    await admin('POST', `${path}/disable`, { body: {} });
    expect((await receiver.api('GET', '/streams')).status).toBe(401);
    expect((await tokenFor(receiver.clientId, receiver.secret)).status).toBe(401);
    await admin('POST', `${path}/enable`, { body: {} });
    expect((await tokenFor(receiver.clientId, receiver.secret)).status).toBe(200);
    expect((await admin('DELETE', path)).body).toEqual({ removed: receiver.name });
    expect((await tokenFor(receiver.clientId, receiver.secret)).status).toBe(401);
    expect((await admin('GET', path)).status).toBe(404);
    expect(await typesOf(idp.orgId)).toEqual(
      expect.arrayContaining(['added', 'disabled', 'enabled', 'removed'].map((verb) => `signals.receiver_${verb}`)),
    );
  });

  it('gets access tokens with both secrets until the grace is over', async () => {
    const { body } = await admin('POST', `/signals/receivers/${receiver.name}/rotate-secret`, { body: {} });
    expect((await tokenFor(receiver.clientId, receiver.secret)).status).toBe(200);
    expect((await tokenFor(receiver.clientId, body.clientSecret)).status).toBe(200);
    await admin('POST', `/signals/receivers/${receiver.name}/rotate-secret`, { body: { grace: '0' } });
    expect((await tokenFor(receiver.clientId, body.clientSecret)).status).toBe(401);
    expect((await tokenFor(receiver.clientId, receiver.secret)).status).toBe(401);
  });

  it('gets access tokens for the scopes that it asks for, and those do no more', async () => {
    const { body: read } = await tokenFor(receiver.clientId, receiver.secret, { scope: 'ssf.read' });
    expect(read).toMatchObject({ scope: 'ssf.read', token_type: 'Bearer', expires_in: 900 });
    const api = withToken(read.access_token);
    expect((await api('GET', '/streams')).status).toBe(200);
    const denied = await api('POST', '/streams', { body: {} });
    expect(denied.status).toBe(403);
    expect(denied.headers.get('WWW-Authenticate')).toBe('Bearer realm="ssf", error="insufficient_scope"');
    const { body: manage } = await tokenFor(receiver.clientId, receiver.secret, { scope: 'ssf.manage' });
    const { body: stream } = await withToken(manage.access_token)('POST', '/streams', { body: {} });
    const poll = { ack: ['none'], returnImmediately: true };
    expect((await api('POST', `/poll/${stream.stream_id}`, { body: poll })).status).toBe(200);
    expect((await api('POST', '/verification', { body: { stream_id: stream.stream_id } })).status).toBe(403);
    const other = await tokenFor(receiver.clientId, receiver.secret, { scope: 'scim' });
    expect(other).toMatchObject({ status: 400, body: { error: 'invalid_scope' } });
    const form = await ask('POST', `${BASE}/ssf/token`, {
      raw: `grant_type=client_credentials&client_id=${receiver.clientId}&client_secret=${receiver.secret}`,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    });
    expect(form.status).toBe(200);
  });

  it('keeps no secret in the database', async () => {
    const { body } = await tokenFor(receiver.clientId, receiver.secret);
    await newPush(receiver, {}, { authorization_header: 'Bearer very-secret' });
    const all = await dump();
    for (const secret of [receiver.secret, body.access_token, 'very-secret', 'PRIVATE KEY'])
      expect(all).not.toContain(secret);
  });

  it('has twenty access tokens at a time, and an expired one is refused', async () => {
    for (let i = 0; i < 25; i++) await tokenFor(receiver.clientId, receiver.secret);
    expect(
      (await rows('SELECT * FROM signal_receiver_tokens WHERE receiver_id = ?', receiver.clientId)).length,
    ).toBeLessThanOrEqual(20);
    const { body } = await tokenFor(receiver.clientId, receiver.secret);
    await env.DB.prepare('UPDATE signal_receiver_tokens SET valid_until = 1').run();
    const answer = await withToken(body.access_token)('GET', '/streams');
    expect(answer.status).toBe(401);
  });

  it.each([
    ['a bad name', { name: 'Not A Name' }],
    ['an unknown org', { orgs: ['nobody-here'] }],
    ['no org', { orgs: [] }],
    ['too many orgs', { orgs: Array.from({ length: 101 }, (_, i) => `org-${i}`) }],
    ['an unknown algorithm', { algorithm: 'HS256' }],
    ['an audience with blanks', { audience: 'a b' }],
    ['an unknown member', { colour: 'red' }],
  ])('with %s is refused, and nothing changes', async (_, more) => {
    const before = await dump();
    const answer = await admin('POST', '/signals/receivers', { body: { name: 'another', ...more } });
    expect(answer.status).toBe(400);
    expect(await dump()).toBe(before);
  });

  it('of a name that is taken, or without WEBHOOK_KEY, is refused', async () => {
    expect((await admin('POST', '/signals/receivers', { body: { name: receiver.name } })).status).toBe(409);
    const without = { env: { WEBHOOK_KEY: undefined } as never };
    expect((await admin('POST', '/signals/receivers', { body: { name: 'no-key' }, ...without })).status).toBe(409);
    expect((await ask('GET', `${BASE}/.well-known/ssf-configuration`, without)).status).toBe(404);
    expect((await receiver.api('GET', '/streams', without)).status).toBe(404);
  });
});

it('an access token in the query of an address opens nothing (RFC 6750, section 2.3)', async () => {
  const { body } = await tokenFor(receiver.clientId, receiver.secret);
  expect((await withToken('')('GET', `/streams?access_token=${body.access_token}`)).status).toBe(401);
});

describe('isolation', () => {
  const ROUTES: readonly [string, (id: string) => string, (id: string) => object | undefined][] = [
    ['GET', (id) => `/streams?stream_id=${id}`, () => undefined],
    ['PATCH', () => '/streams', (id) => ({ stream_id: id, description: 'mine' })],
    ['PUT', () => '/streams', (id) => ({ stream_id: id })],
    ['DELETE', (id) => `/streams?stream_id=${id}`, () => undefined],
    ['GET', (id) => `/status?stream_id=${id}`, () => undefined],
    ['POST', () => '/status', (id) => ({ stream_id: id, status: 'disabled' })],
    ['POST', () => '/verification', (id) => ({ stream_id: id })],
    ['POST', () => '/subjects/add', (id) => ({ stream_id: id, subject: { format: 'opaque', id: 'x' } })],
    ['POST', () => '/subjects/remove', (id) => ({ stream_id: id, subject: { format: 'opaque', id: 'x' } })],
    ['POST', (id) => `/poll/${id}`, () => ({ returnImmediately: true })],
  ];

  it.each(ROUTES)("%s %s answers another receiver's stream as one that never existed", async (method, path, body) => {
    const other = await newReceiver([idp.slug]);
    const { body: theirs } = await other.api('POST', '/streams', { body: { delivery: { method: POLL } } });
    const before = await dump();
    const send = (id: string) => receiver.api(method, path(id), { ...(body(id) && { body: body(id) }) });
    const [foreign, unknown] = [await send(theirs.stream_id), await send('neverThere0000000000')];
    expect(foreign.status).toBe(404);
    expect(foreign.text).toBe(unknown.text);
    expect(await dump()).toBe(before);
  });

  it.each(ROUTES)('%s %s refuses what is no good token, all with the same answer', async (method, path, body) => {
    const asked = { ...(body('x') && { body: body('x') }) };
    const { body: given } = await tokenFor(receiver.clientId, receiver.secret);
    await env.DB.prepare('DELETE FROM signal_receiver_tokens').run();
    const texts = new Set<string>();
    for (const token of ['', 'let-me-in', given.access_token, idp.token, 'test-admin-token-0123456789abcdef']) {
      const answer = await withToken(token)(method, path('x'), asked);
      expect(answer.status).toBe(401);
      // RFC 6750 §3.1: an error code, where there were credentials.
      const code = token === '' ? '' : ', error="invalid_token"';
      expect(answer.headers.get('WWW-Authenticate')).toBe(`Bearer realm="ssf"${code}`);
      texts.add(answer.text);
    }
    // A body that cannot be read makes no difference to a stranger.
    if (method !== 'GET') texts.add((await withToken(given.access_token)(method, path('x'), { raw: '{' })).text);
    expect(texts.size).toBe(1);
  });

  it('a receiver of one org is told nothing of another, and one of all orgs is told of later ones', async () => {
    const everyone = await newReceiver();
    const ours = await newPush(receiver);
    const all = await newPush(everyone);
    const later = await newIdp(`later-${n}`);
    const eve = await later.user('eve@example.com');
    const ada = await idp.user('ada@example.com');
    await until(() => expect(ours.endpoint.got).toHaveLength(1));
    await until(() => expect(all.endpoint.got).toHaveLength(2));
    expect(ours.endpoint.got[0]!.claims.sub_id['uri']).toBe(`/Users/${ada.id}`);
    expect(new Set(all.endpoint.got.map(({ claims }) => claims.sub_id['uri']))).toEqual(
      new Set([`/Users/${ada.id}`, `/Users/${eve.id}`]),
    );
    // A subject of an org that is not the receiver's is nobody's.
    const remove = (id: string) =>
      receiver.api('POST', '/subjects/remove', {
        body: { stream_id: ours.id, subject: { format: 'scim', uri: `/Users/${id}` } },
      });
    const [foreign, unknown] = [await remove(eve.id), await remove(crypto.randomUUID())];
    expect(foreign.status).toBe(404);
    expect(foreign.text).toBe(unknown.text);
  });

  it('the share of an org that is deleted ends, and does not come back with an org of that slug', async () => {
    const { id } = await newPush(receiver);
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    expect(await rows('SELECT * FROM signal_lines WHERE stream_id = ?', id)).toEqual([]);
    expect((await admin('GET', `/signals/receivers/${receiver.name}`)).body.orgs).toEqual([]);
    await newIdp(idp.slug);
    expect(await rows('SELECT * FROM signal_lines WHERE stream_id = ?', id)).toEqual([]);
  });
});

describe('the keys', () => {
  const published = async () => (await ask('GET', `${BASE}/ssf/jwks.json`)).body.keys as Record<string, string>[];

  it('are two of each algorithm, public ones only; rotation signs with the next one, and keeps the one before', async () => {
    await newReceiver([idp.slug], { algorithm: 'ES256' });
    const before = await published();
    expect(before.filter(({ alg }) => alg === 'RS256')).toHaveLength(2);
    expect(before.filter(({ alg }) => alg === 'ES256')).toHaveLength(2);
    for (const key of before) {
      expect(key).toMatchObject({ use: 'sig', kid: expect.any(String) });
      expect(key).not.toHaveProperty('d');
    }
    const { endpoint } = await newPush(receiver);
    await idp.user('before@example.com');
    await until(() => expect(endpoint.got).toHaveLength(1));
    const rotated = await admin('POST', '/signals/keys/rotate', { body: {} });
    expect(rotated.status).toBe(200);
    await idp.user('after@example.com');
    await until(() => expect(endpoint.got).toHaveLength(2));
    const [first, second] = endpoint.got.map(({ header }) => header.kid);
    expect(first).not.toBe(second);
    // Known before it signed, and the old one is known as well.
    expect(before.map(({ kid }) => kid)).toEqual(expect.arrayContaining([first, second]));
    const after = await published();
    expect(after.map(({ kid }) => kid)).toEqual(expect.arrayContaining([first, second]));
    expect(after.filter(({ alg }) => alg === 'RS256')).toHaveLength(3);
    await env.DB.prepare("UPDATE signing_keys SET retired_until = 1 WHERE state = 'previous'").run();
    expect((await published()).map(({ kid }) => kid)).not.toContain(first);
  });

  it('sign by ES256 for a receiver that wants it', async () => {
    const other = await newReceiver([idp.slug], { algorithm: 'ES256', audience: 'https://soc.example.com' });
    const { endpoint, stream } = await newPush(other);
    expect(stream.aud).toBe('https://soc.example.com');
    await idp.user('ada@example.com');
    await until(() => expect(endpoint.got[0]?.header.alg).toBe('ES256'));
    expect(endpoint.got[0]!.claims.aud).toBe('https://soc.example.com');
  });

  describe('rotated', () => {
    const DAY = 86_400_000;
    const rotate = (more: object = {}) =>
      admin('POST', '/signals/keys/rotate', { body: { algorithm: 'RS256', ...more } });
    const kids = async () => (await published()).flatMap(({ alg, kid }) => (alg === 'RS256' ? kid! : []));
    /** As if the last rotation were 24 hours ago. */
    const expire = () => env.DB.prepare("UPDATE signing_keys SET retired_until = 1 WHERE state = 'previous'").run();
    beforeEach(async () => {
      await expire();
    });

    it.each([[{}], [{ force: true }]])('by two operators at the same time (%j) are rotated once', async (more) => {
      const before = await kids();
      const answers = await Promise.all([rotate(more), rotate(more)]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
      expect(await kids()).toHaveLength(3);
      expect(await kids()).toEqual(expect.arrayContaining(before));
    });

    it('a second time within 24 hours are refused with the instant from which it is possible', async () => {
      const begun = Date.now();
      expect((await rotate()).status).toBe(200);
      const before = await dump();
      const refused = await rotate();
      expect(refused.status).toBe(409);
      const [instant] = /\d{4}-\d\d-\d\dT[\d:.]+Z/.exec(refused.body.detail)!;
      expect(Date.parse(instant) - begun).toBeGreaterThanOrEqual(DAY);
      expect(Date.parse(instant) - begun).toBeLessThan(DAY + 60_000);
      expect(await dump()).toBe(before);
      await expire();
      expect((await rotate()).status).toBe(200);
    });

    it('of every algorithm, if of one it is too early, are all left as they are', async () => {
      await newReceiver([idp.slug], { algorithm: 'ES256' });
      expect((await rotate({ algorithm: 'ES256' })).status).toBe(200);
      const before = await dump();
      expect(await rotate({ algorithm: undefined })).toMatchObject({ status: 409 });
      expect(await dump()).toBe(before);
      expect((await rotate()).status).toBe(200);
    });

    it('by force withdraw the key before at once, and sign with one that is published', async () => {
      const { body: first } = await rotate();
      const leaked = first.find(
        ({ state, algorithm }: Record<string, string>) => state === 'previous' && algorithm === 'RS256',
      );
      expect(await kids()).toContain(leaked.kid);
      expect((await rotate({ force: true })).status).toBe(200);
      expect(await kids()).not.toContain(leaked.kid);
      const { endpoint } = await newPush(receiver);
      await idp.user('after@example.com');
      await until(() => expect(endpoint.got).toHaveLength(1)); // the endpoint verifies it
      expect((await rotate({ force: 'yes' })).status).toBe(400);
    });
  });
});

it('a token that was signed for one receiver is not one for another', async () => {
  const { endpoint } = await newPush(receiver);
  const other = await newReceiver([idp.slug]);
  await idp.user('ada@example.com');
  await until(() => expect(endpoint.got).toHaveLength(1));
  await expect(verified('e30.e30.e30', other.audience)).rejects.toThrow();
});
