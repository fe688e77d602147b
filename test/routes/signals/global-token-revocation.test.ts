/** Universal Logout: a registered issuer ends a person's sessions at once, and nobody else does. */
import { env } from 'cloudflare:workers';
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { app } from '../../../src/app';
import { PAUSE } from '../../../src/credentials/jwks';
import { forgetSource } from '../../../src/routes/signals/authenticate';
import { admin, ask, BASE, host, type Idp, newIdp } from '../../support/client';
import { brokenKv, flagOf, NotedKv, rebind } from '../../support/coordinator';
import { dump, dumpAll, journal, rows } from '../../support/database';
import { Meter } from '../../support/meter';
import { type Claims, newPair, signed } from '../../support/oauth';
import {
  issSub,
  logout,
  logoutToken,
  newSender,
  postLogout,
  refusedSignals,
  type Sender,
  seconds,
  startTransmitter,
  UNKNOWN_ENDPOINT,
} from '../../support/signals';

let idp: Idp;
let okta: Sender;
let ada: string;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`logout-${++n}`);
  okta = await newSender(idp);
  ada = (await idp.user('ada@example.com', { externalId: '00uAda', emails: [{ value: 'Ada@Mail.example' }] })).id;
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const check = async (user: string, issuedAt: number) =>
  (await host('POST', '/check', { body: { org: idp.orgId, user, issuedAt } })).body;
const resolve = async (id: string) => (await host('POST', '/resolve', { body: { org: idp.orgId, id } })).body;
const notBefore = async (id: string) =>
  (await rows('SELECT not_before FROM users WHERE org_id = ? AND id = ?', idp.orgId, id))[0]!['not_before'];

describe('a request of a registered issuer', () => {
  it.each<[string, () => unknown]>([
    ['its issuer and subject', () => issSub(okta, '00uAda')],
    [
      'its issuer with a slash at the end',
      () => ({ sub_id: { format: 'iss_sub', iss: `${okta.issuer}/`, sub: '00uAda' } }),
    ],
    ['the SCIM id as the subject', () => issSub(okta, ada)],
    ['an e-mail address', () => ({ sub_id: { format: 'email', email: 'ADA@mail.example' } })],
    ['the userName as an e-mail address', () => ({ sub_id: { format: 'email', email: 'ada@example.com' } })],
    ['an opaque id', () => ({ sub_id: { format: 'opaque', id: '00uAda' } })],
    ['the SCIM id as an opaque id', () => ({ sub_id: { format: 'opaque', id: ada } })],
    ['the member that Okta’s guide names', () => ({ subject: { format: 'email', email: 'ada@mail.example' } })],
  ])('ends the sessions of the person it names by %s', async (_, body) => {
    const before = Date.now();
    expect(await check(ada, before)).toMatchObject({ valid: true });
    const answer = await logout(okta, body());
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await check(ada, before)).toMatchObject({ valid: false, reason: 'revoked' });
    expect((await flagOf(idp.orgId, ada))!.notBefore).toBe(await notBefore(ada));
  });

  it.each<[string, () => Claims, object]>([
    ['a type as a media type', () => ({}), { typ: 'application/global-token-revocation+jwt' }],
    ['a list of one audience', () => ({ aud: [okta.endpoint] }), {}],
    ['no iat and no nbf', () => ({ iat: undefined, nbf: undefined }), {}],
    ['a clock that is four minutes ahead', () => ({ iat: seconds() + 240, nbf: seconds() + 240 }), {}],
    [
      'a clock that is four minutes behind',
      () => ({ iat: seconds() - 540, nbf: seconds() - 540, exp: seconds() - 240 }),
      {},
    ],
    ['no kid, where the issuer has one key', () => ({}), { kid: undefined }],
  ])('is good with %s', async (_, claims, header) => {
    const token = await logoutToken(okta, claims(), header);
    expect((await postLogout(okta.endpoint, token, issSub(okta, '00uAda'))).status).toBe(204);
  });

  it('is good with an elliptic curve key, and with a body as Okta’s guide and Auth0 write it', async () => {
    const pair = await newPair('ES256', 'ec');
    okta.keys.answer = () => Response.json({ keys: [{ ...pair.publicJwk, alg: 'ES256' }] });
    const token = await logoutToken({ ...okta, pair }, {}, { alg: 'ES256' });
    const body = { subject: { format: 'iss_sub', iss: okta.issuer, sub: '00uAda' } };
    const headers = { Authorization: `bearer ${token}`, 'Content-Type': 'application/json; charset=utf-8' };
    expect((await postLogout(okta.endpoint, undefined, body, { headers })).status).toBe(204);
  });

  it('says why in the event, to the application and to the operator, and the person may sign in again at once', async () => {
    await logout(okta, issSub(okta, '00uAda'), { headers: { 'User-Agent': 'Okta' } });
    const event = (await journal(idp.orgId)).at(-1)!;
    expect(event).toMatchObject({
      type: 'user.signed_out',
      actor: `signal:${okta.issuer}`,
      target_id: ada,
      details: { cause: 'signal', event: 'global-token-revocation', issuer: okta.issuer, client: 'Okta' },
    });
    expect(await resolve(ada)).toMatchObject({ active: true, endedBy: { cause: 'signal', issuer: okta.issuer } });
    const { body } = await admin('GET', `/orgs/${idp.slug}/users/${ada}/history`);
    expect(body.events.at(-1)).toMatchObject({
      endedBy: { cause: 'signal', issuer: okta.issuer },
      told: `Signed out by a signal of ${okta.issuer} (Universal Logout)`,
    });
    expect(await check(ada, Date.now() + 1)).toMatchObject({ valid: true });
  });

  it('takes the attribute that the source names for the subject', async () => {
    const byName = await newSender(idp, { subject: 'userName' });
    expect((await logout(byName, issSub(byName, '00uAda'))).status).toBe(404);
    expect((await logout(byName, issSub(byName, 'ADA@example.com'))).status).toBe(204);
    const byEmail = await newSender(idp, { subject: 'email' });
    expect((await logout(byEmail, issSub(byEmail, 'ada@mail.example'))).status).toBe(204);
  });

  it('ends the sessions of a deactivated person, too, and leaves the account as it is', async () => {
    await idp.patch(`/Users/${ada}`, [{ op: 'replace', path: 'active', value: false }]);
    const { body: before } = await idp.get(`/Users/${ada}`);
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
    expect((await idp.get(`/Users/${ada}`)).body).toEqual(before);
  });

  it('works while SCIM is off for the org', async () => {
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false } });
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
  });

  it('is answered 202 when KV fails, and the flag follows', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(202);
    await rebind(idp.orgId, {});
    expect(await check(ada, Date.now() - 1_000)).toMatchObject({ valid: false });
    await vi.waitFor(async () => expect((await flagOf(idp.orgId, ada))?.notBefore).toBe(await notBefore(ada)), 30_000);
  });

  it('signs out all who share the externalId, and none of more than ten', async () => {
    const twin = (await idp.user('twin', { externalId: '00uAda' })).id;
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
    expect(await notBefore(twin)).toEqual(expect.any(Number));
    const before = await notBefore(ada);
    for (let i = 0; i < 9; i++) await idp.user(`twin-${i}`, { externalId: '00uAda' });
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(422);
    expect(await notBefore(ada)).toBe(before);
    expect(await refusedSignals(idp)).toEqual({ ambiguous: 1 });
  });

  it('costs its own request one round trip the first time, and none from then on', async () => {
    const meter = new Meter();
    const metered = { env: { DB: meter.binding } };
    await logout(okta, issSub(okta, '00uAda'), metered);
    expect(meter.roundTrips).toBe(1);
    meter.reset();
    await logout(okta, issSub(okta, '00uAda'), metered);
    expect(meter.roundTrips).toBe(0); // test/meter.test.ts counts the two of the coordinator
  });
});

describe('a person who is not there', () => {
  it('is the same 404, whether nobody has the name, another org has, or it was deleted', async () => {
    const other = await newIdp(`elsewhere-${n}`);
    const theirs = await other.user('grace', { externalId: '00uGrace', emails: [{ value: 'grace@mail.example' }] });
    const gone = (await idp.user('gone', { externalId: '00uGone' })).id;
    await idp.delete(`/Users/${gone}`);
    const before = await rows('SELECT * FROM users WHERE org_id = ?', other.orgId);
    const expected = await logout(okta, issSub(okta, 'nobody'));
    expect([expected.status, expected.body]).toEqual([404, { error: 'not_found', detail: 'User not found' }]);
    for (const body of [
      issSub(okta, '00uGrace'),
      issSub(okta, theirs.id),
      { sub_id: { format: 'email', email: 'grace@mail.example' } },
      { sub_id: { format: 'opaque', id: theirs.id } },
      issSub(okta, '00uGone'),
      { sub_id: { format: 'iss_sub', iss: 'https://evil.okta.test', sub: '00uAda' } },
    ]) {
      const answer = await logout(okta, body);
      expect([answer.status, answer.text], JSON.stringify(body)).toEqual([404, expected.text]);
    }
    expect(await rows('SELECT * FROM users WHERE org_id = ?', other.orgId)).toEqual(before);
    expect(await refusedSignals(idp)).toEqual({ subject: 6, foreign: 1 });
  });
});

describe('a body that is none', () => {
  it.each<[number, string | object]>([
    [400, ''],
    [400, '{'],
    [400, '[]'],
    [400, '7'],
    [400, {}],
    [400, { sub_id: 'ada' }],
    [400, { sub_id: {} }],
    [400, { sub_id: { format: 'iss_sub', sub: '00uAda' } }],
    [400, { sub_id: { format: 'iss_sub', iss: 7, sub: '00uAda' } }],
    [400, { sub_id: { format: 'email', email: '   ' } }],
    [400, { sub_id: { format: 'email', email: ['ada@mail.example'] } }],
    [400, { sub_id: { format: 'opaque', id: 'x'.repeat(1_001) } }],
    [400, { sub_id: { format: 'did', url: 'did:example:ada' } }],
    [413, { sub_id: { format: 'opaque', id: 'x'.repeat(17_000) } }],
  ])('is %i and changes nothing: %s', async (status, body) => {
    const raw = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await logout(okta, undefined, { raw });
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ error: expect.any(String), detail: expect.any(String) });
    expect(await notBefore(ada)).toBeNull();
  });

  it('is 415 when it is no JSON by its media type', async () => {
    expect((await logout(okta, {}, { headers: { 'Content-Type': 'text/plain' } })).status).toBe(415);
  });
});

describe('a token that is not good', () => {
  const weak = async () => {
    // jose makes no such key.
    const { publicKey, privateKey } = (await crypto.subtle.generateKey(
      { name: 'RSASSA-PKCS1-v1_5', modulusLength: 512, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
      true,
      ['sign', 'verify'],
    )) as CryptoKeyPair;
    return { publicJwk: { ...(await exportJWK(publicKey)), alg: 'RS256', kid: 'weak' }, privateKey };
  };
  const claims = () => ({
    iss: okta.issuer,
    aud: okta.endpoint,
    iat: seconds(),
    exp: seconds() + 60,
    jti: crypto.randomUUID(),
  });

  it.each<[string, string, () => Promise<string | undefined>]>([
    ['missing', 'missing', async () => undefined],
    ['no token at all', 'malformed', async () => 'let-me-in'],
    ['cut off', 'malformed', async () => (await logoutToken(okta)).split('.').slice(0, 2).join('.')],
    ['enormous', 'malformed', () => logoutToken(okta, { more: 'x'.repeat(9_000) })],
    ['unsigned', 'algorithm', async () => new UnsecuredJWT(claims()).encode()],
    [
      'signed with the public key as a secret',
      'algorithm',
      () =>
        new SignJWT(claims())
          .setProtectedHeader({ alg: 'HS256', typ: 'global-token-revocation+jwt', kid: okta.pair.publicJwk.kid! })
          .sign(new TextEncoder().encode(JSON.stringify(okta.pair.publicJwk))),
    ],
    ['of another type', 'type', () => logoutToken(okta, {}, { typ: 'JWT' })],
    ['without a type', 'type', () => logoutToken(okta, {}, { typ: undefined })],
    ['of an issuer that nobody registered', 'issuer', () => logoutToken(okta, { iss: 'https://evil.okta.test' })],
    ['of the issuer with a slash more', 'issuer', () => logoutToken(okta, { iss: `${okta.issuer}/` })],
    ['without an issuer', 'issuer', () => logoutToken(okta, { iss: undefined })],
    ['for another address', 'audience', () => logoutToken(okta, { aud: `${BASE}/signals` })],
    ['for our address in other letters', 'audience', () => logoutToken(okta, { aud: okta.endpoint.toUpperCase() })],
    ['for us and for somebody else', 'audience', () => logoutToken(okta, { aud: [okta.endpoint, 'https://x.test'] })],
    ['for nobody', 'audience', () => logoutToken(okta, { aud: undefined })],
    ['without an id', 'jti', () => logoutToken(okta, { jti: undefined })],
    ['with an id that is no text', 'jti', () => logoutToken(okta, { jti: 7 })],
    ['without an end', 'time', () => logoutToken(okta, { exp: undefined })],
    ['good for a day', 'time', () => logoutToken(okta, { exp: seconds() + 86_400 })],
    [
      'by a clock that is ten minutes ahead',
      'clock',
      () => logoutToken(okta, { iat: seconds() + 600, nbf: seconds() + 600, exp: seconds() + 900 }),
    ],
    [
      'by a clock that is ten minutes behind',
      'expired',
      () => logoutToken(okta, { iat: seconds() - 600, nbf: seconds() - 600, exp: seconds() - 301 }),
    ],
    ['with a time that is no number', 'time', () => logoutToken(okta, { nbf: 'now' })],
    [
      'signed with another key of the same name',
      'signature',
      async () => logoutToken({ ...okta, pair: await newPair('RS256', okta.pair.publicJwk.kid) }),
    ],
    [
      'signed with a key that the issuer does not publish',
      'key',
      async () => logoutToken({ ...okta, pair: await newPair('RS256', 'unknown') }),
    ],
    [
      'signed with another algorithm than the key is for',
      'key',
      async () => {
        const pair = await newPair('ES256', okta.pair.publicJwk.kid);
        return signed(pair, claims(), { typ: 'global-token-revocation+jwt' });
      },
    ],
    [
      'signed with a key of 512 bits that the issuer does publish',
      'key',
      async () => {
        const pair = await weak();
        okta.keys.answer = () => Response.json({ keys: [pair.publicJwk] });
        const data = [{ alg: 'RS256', typ: 'global-token-revocation+jwt', kid: 'weak' }, claims()].map((part) =>
          btoa(JSON.stringify(part)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''),
        );
        const text = data.join('.');
        const signature = await crypto.subtle.sign(
          'RSASSA-PKCS1-v1_5',
          pair.privateKey,
          new TextEncoder().encode(text),
        );
        const encoded = btoa(String.fromCharCode(...new Uint8Array(signature)));
        return `${text}.${encoded.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
      },
    ],
  ])('is one and the same 401 when it is %s, and the administrator reads why', async (_, hint, token) => {
    const stranger = await postLogout(UNKNOWN_ENDPOINT, undefined, {});
    expect(stranger.status).toBe(401);
    const answer = await postLogout(okta.endpoint, await token(), issSub(okta, '00uAda'));
    expect([answer.status, answer.text]).toEqual([401, stranger.text]);
    expect(answer.headers.get('WWW-Authenticate')).toBe('Bearer realm="signals"');
    expect(await notBefore(ada)).toBeNull();
    expect(await refusedSignals(idp)).toEqual({ [hint]: 1 });
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(body[0].detail).toMatch(/^(?:a|the) .{10,}: .{8,}/);
    // The source that the token names. An issuer that is not registered is not kept.
    const isNamed = !['missing', 'malformed', 'issuer'].includes(hint);
    const source = { type: 'global-token-revocation', issuer: okta.issuer };
    expect(body[0].source).toEqual(isNamed ? source : null);
    expect(body[0].detail.includes(`(source ${okta.issuer})`)).toBe(isNamed);
    expect(await dumpAll()).not.toContain('evil.okta.test');
  });

  it('of strangers crowds out nothing that a source is refused for, and no hint the other', async () => {
    const headers = (client: string) => ({ 'User-Agent': client, 'CF-Connecting-IP': '192.0.2.7' });
    // As one isolate after the other: a made-up name for each request.
    for (let i = 0; i < 60; i++)
      await postLogout(okta.endpoint, 'let-me-in', {}, { headers: headers(`stranger-${i}`) });
    for (let i = 0; i < 30; i++) {
      const iss = i % 2 === 0 ? okta.issuer : 'https://evil.okta.test';
      const token = await logoutToken(okta, { iss, iat: seconds() + 600, exp: seconds() + 900 });
      await postLogout(okta.endpoint, token, {}, { headers: headers(`clock-${i}`) });
    }
    await postLogout(okta.endpoint, await logoutToken(okta, { aud: BASE }), {}, { headers: headers('Okta') });
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    const all = body as { hint: string; client: string | null; count: number; source: { issuer: string } | null }[];
    const sum = (hint: string, isNamed: boolean) =>
      all
        .filter((one) => one.hint === hint && (one.source?.issuer === okta.issuer) === isNamed)
        .reduce((total, { count }) => total + count, 0);
    expect([sum('malformed', false), sum('clock', true), sum('clock', false)]).toEqual([60, 15, 15]);
    expect(all.filter(({ hint }) => hint === 'malformed')).toHaveLength(11);
    expect(all.find(({ hint }) => hint === 'audience')).toMatchObject({
      client: 'Okta',
      source: { issuer: okta.issuer },
    });
    expect(all.some(({ hint }) => hint === 'others')).toBe(false);
  });

  it('that names nobody leaves room in the list for those of its source and of credentials', async () => {
    await logout(okta, issSub(okta, 'nobody'));
    // Of a thousand days and reasons, all later.
    const later = Date.now() + 1_000;
    await env.DB.prepare(
      `INSERT INTO refusals (org_id, day, reason, hint, credential_id, client, address, count, first_at, last_at)
        SELECT ?1, value, 'missing', '', '', 'x', '', 1, ?2, ?2 FROM json_each(?3)`,
    )
      .bind(idp.orgId, later, JSON.stringify(Array.from({ length: 1_000 }, (_, i) => i)))
      .run();
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(body).toHaveLength(151);
    expect(body.at(-1)).toMatchObject({ hint: 'subject', source: { issuer: okta.issuer } });
  });

  it('is 401 where the path names no org, or another one', async () => {
    const other = await newIdp(`other-${n}`);
    const stranger = await postLogout(UNKNOWN_ENDPOINT, undefined, {});
    for (const org of [other.orgId, '000000000000', idp.slug, 'x', '%00', 'x'.repeat(300)]) {
      const endpoint = `${BASE}/signals/${org}/global-token-revocation`;
      for (const aud of [endpoint, okta.endpoint]) {
        const answer = await postLogout(endpoint, await logoutToken(okta, { aud }), issSub(okta, '00uAda'));
        expect([org, answer.status, answer.text]).toEqual([org, 401, stranger.text]);
      }
    }
  });

  it('is used up: of the same one sent twenty times at once, one acts', async () => {
    const token = await logoutToken(okta);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => postLogout(okta.endpoint, token, issSub(okta, '00uAda'))),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([204, ...Array.from({ length: 19 }, () => 401)]);
    expect((await journal(idp.orgId)).filter(({ type }) => type === 'user.signed_out')).toHaveLength(1);
    expect(await refusedSignals(idp)).toEqual({ replayed: 19 });
  });

  it('costs nothing in D1 before the answer when it cannot be good, and one look-up when its issuer is unknown', async () => {
    const meter = new Meter();
    let trips = -1;
    const metered = { env: { DB: meter.binding }, onAnswer: () => (trips = meter.roundTrips) };
    await postLogout(okta.endpoint, 'let-me-in', {}, metered);
    expect(trips).toBe(0);
    meter.reset();
    await postLogout(okta.endpoint, await logoutToken(okta, { iss: 'https://evil.okta.test' }), {}, metered);
    expect(trips).toBe(1);
    expect(okta.keys.asked()).toBe(0);
  });

  it('is 429 before D1 is asked when too many have come from the address, and a known sender still passes', async () => {
    const braked = { FAILED_AUTH: { limit: async () => ({ success: false }) } };
    const headers = { 'CF-Connecting-IP': '192.0.2.7' };
    const meter = new Meter();
    let trips = -1;
    const stranger = await postLogout(okta.endpoint, await logoutToken(okta), issSub(okta, '00uAda'), {
      headers,
      env: { ...braked, DB: meter.binding },
      onAnswer: () => (trips = meter.roundTrips),
    });
    expect([stranger.status, stranger.headers.get('Retry-After'), trips]).toEqual([429, '60', 0]);
    expect((await logout(okta, issSub(okta, '00uAda'), { headers })).status).toBe(204);
    expect((await logout(okta, issSub(okta, '00uAda'), { headers, env: braked })).status).toBe(204);
    const forged = await logoutToken({ ...okta, pair: await newPair('RS256', okta.pair.publicJwk.kid) });
    expect((await postLogout(okta.endpoint, forged, {}, { headers, env: braked })).status).toBe(429);
  });

  it('that is forged asks D1 once in an isolate from a braked address, though its issuer is known in the location', async () => {
    const headers = { 'CF-Connecting-IP': '192.0.2.8' };
    expect((await logout(okta, issSub(okta, '00uAda'), { headers })).status).toBe(204);
    forgetSource(idp.orgId, { type: 'global-token-revocation', issuer: okta.issuer }); // as a new isolate has
    const forger = { ...okta, pair: await newPair('RS256', okta.pair.publicJwk.kid) };
    const trips: number[] = [];
    for (let i = 0; i < 3; i++) {
      const meter = new Meter();
      const answer = await logout(forger, issSub(okta, '00uAda'), {
        headers,
        env: { FAILED_AUTH: { limit: async () => ({ success: false }) }, DB: meter.binding },
        onAnswer: () => {
          trips.push(meter.roundTrips);
        },
      });
      expect([401, 429]).toContain(answer.status);
    }
    expect(trips).toEqual([1, 0, 0]);
  });

  it('is good the first time after its source was registered again with the same keys and another subject', async () => {
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
    await env.DB.prepare('DELETE FROM signal_sources WHERE id = ?').bind(okta.id).run();
    const { issuer, keys } = okta;
    const body = { type: 'global-token-revocation', issuer, jwksUrl: keys.jwksUrl, subject: 'userName' };
    expect((await admin('POST', `/orgs/${idp.slug}/signals`, { body })).status).toBe(201);
    expect((await logout(okta, issSub(okta, 'ada@example.com'))).status).toBe(204);
    expect(await refusedSignals(idp)).toEqual({});
  });

  it('is good after its source was registered again with other keys, where the former one is still remembered', async () => {
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
    // As another isolate removes it: this one is not told.
    await env.DB.prepare('DELETE FROM signal_sources WHERE id = ?').bind(okta.id).run();
    const renewed = await newSender(idp, { issuer: okta.issuer });
    expect((await logout(renewed, issSub(okta, '00uAda'))).status).toBe(204);
    // A key that the new set lacks, just after it was fetched.
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(503);
  });
});

describe('the keys of the issuer', () => {
  it.each<[string, () => Response | Promise<Response>]>([
    ['an error', () => new Response('no', { status: 500 })],
    ['a redirect', () => Response.redirect('https://inside.test/keys', 302)],
    ['a page', () => new Response('<html>')],
    ['something huge', () => new Response(' '.repeat(300_000))],
    ['a failure', () => Promise.reject(new Error('no connection'))],
  ])('that are %s leave the sessions alone: 503, and the sender tries again', async (_, answer) => {
    okta.keys.answer = answer;
    const refused = await logout(okta, issSub(okta, '00uAda'));
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, String(PAUSE / 1_000)]);
    expect(await notBefore(ada)).toBeNull();
    expect(await refusedSignals(idp)).toEqual({ unavailable: 1 });
  });

  it('that were just fetched and lack a key may be out of date: 503 until they are fetched again, then 401 or 204', async () => {
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
    vi.useFakeTimers({ toFake: ['Date'] });
    const rotated = { ...okta, pair: await newPair('RS256', 'rotated') };
    const forged = { ...okta, pair: await newPair('RS256', 'forged') };
    for (let i = 0; i < 3; i++) {
      const early = await logout(rotated, issSub(okta, '00uAda'));
      expect(early.status).toBe(503);
      expect(Number(early.headers.get('Retry-After'))).toBeGreaterThan(20);
    }
    expect(okta.keys.asked()).toBe(1);
    okta.keys.answer = () => Response.json({ keys: [okta.pair.publicJwk, rotated.pair.publicJwk] });
    vi.setSystemTime(Date.now() + 31_000);
    expect((await logout(rotated, issSub(okta, '00uAda'))).status).toBe(204);
    expect(okta.keys.asked()).toBe(2);
    vi.setSystemTime(Date.now() + 31_000);
    expect((await logout(forged, issSub(okta, '00uAda'))).status).toBe(401);
    // Forged keys cause no fetch before the next half minute.
    for (let i = 0; i < 3; i++) expect((await logout(forged, issSub(okta, '00uAda'))).status).toBe(503);
    expect(okta.keys.asked()).toBe(3);
  });

  it('are fetched once for many requests at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => logout(okta, issSub(okta, '00uAda'))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
    expect(okta.keys.asked()).toBe(1);
  });

  it.each(['https://127.0.0.1/keys', 'https://10.0.0.1/keys', 'http://okta.test/keys', 'https://db.internal/keys'])(
    'are never fetched from %s',
    async (jwksUrl) => {
      const body = { type: 'global-token-revocation', issuer: 'https://inside.test', jwksUrl };
      expect((await admin('POST', `/orgs/${idp.slug}/signals`, { body })).status).toBe(400);
      // As it may be from before the rule.
      await env.DB.prepare('UPDATE signal_sources SET jwks_url = ? WHERE org_id = ?').bind(jwksUrl, idp.orgId).run();
      expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(401);
      expect(await refusedSignals(idp)).toEqual({ jwks: 1 });
    },
  );
});

describe('many signals at once', () => {
  it('for one person are one not-before for each, and few writes of KV; another org is not held up', async () => {
    const kv = new NotedKv();
    await rebind(idp.orgId, { REVOCATIONS: kv.binding });
    const answers = await Promise.all(Array.from({ length: 100 }, () => logout(okta, issSub(okta, '00uAda'))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
    expect((await journal(idp.orgId)).filter(({ type }) => type === 'user.signed_out')).toHaveLength(100);
    expect(kv.puts.length).toBeLessThan(30);
    await rebind(idp.orgId, {});
  });

  it('beyond the rate of the org are 429, and none of them is counted against another org', async () => {
    const asked: string[] = [];
    const limited = { RATE_500: { limit: async ({ key }: { key: string }) => ({ success: asked.push(key) < 2 }) } };
    expect((await logout(okta, issSub(okta, '00uAda'), { env: limited })).status).toBe(204);
    const answer = await logout(okta, issSub(okta, '00uAda'), { env: limited });
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([429, '10']);
    expect(new Set(asked)).toEqual(new Set([`signals:${idp.orgId}`]));
  });
});

/** An issuer with metadata, at one of its well-known addresses. */
async function publishing(
  metadata: (issuer: string) => object | undefined,
  at = 'GET /.well-known/openid-configuration',
) {
  const transmitter = await startTransmitter();
  transmitter.answer = (request) => {
    const found = request === at ? metadata(transmitter.issuer) : undefined;
    return found ? Response.json(found) : new Response(null, { status: 404 });
  };
  return transmitter;
}

describe('a source', () => {
  it('is listed with what is entered in the identity provider, and without a jwksUrl has what the issuer publishes', async () => {
    const { issuer } = await publishing((own) => ({ issuer: own, jwks_uri: `${own}/oauth2/v1/keys` }));
    const body = { type: 'global-token-revocation', issuer };
    const added = await admin('POST', `/orgs/${idp.slug}/signals`, { body, headers: { 'X-Admin-By': 'grace' } });
    expect(added.body).toEqual({
      id: expect.stringMatching(/^[0-9A-Za-z]{12}$/),
      type: 'global-token-revocation',
      issuer,
      jwksUrl: `${issuer}/oauth2/v1/keys`,
      subject: 'externalId',
      endpoint: `${BASE}/signals/${idp.orgId}/global-token-revocation`,
      pausedAt: null,
      lastSignalAt: null,
      createdAt: expect.any(String),
      createdBy: 'grace',
    });
    const { body: listed } = await admin('GET', `/orgs/${idp.slug}/signals`);
    expect(listed.map(({ id }: { id: string }) => id)).toEqual([okta.id, added.body.id]);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({ type: 'signals.added', target_id: added.body.id });
    expect((await admin('POST', `/orgs/${idp.slug}/signals`, { body })).status).toBe(409);
  });

  it.each<[string, (issuer: string) => object | undefined]>([
    ['nothing', () => undefined],
    ['of another issuer', () => ({ issuer: 'https://other.test', jwks_uri: 'https://other.test/keys' })],
    ['without keys', (issuer) => ({ issuer })],
    ['with keys inside', (issuer) => ({ issuer, jwks_uri: 'https://10.0.0.1/keys' })],
  ])('is refused where its issuer publishes %s and no jwksUrl is entered', async (_, metadata) => {
    const { issuer } = await publishing(metadata);
    const body = { type: 'global-token-revocation', issuer };
    const answer = await admin('POST', `/orgs/${idp.slug}/signals`, { body });
    expect([answer.status, answer.body.detail]).toEqual([409, expect.stringMatching(/^issuer: .* enter jwksUrl/)]);
  });

  it('has the keys that the metadata of an authorization server names, where there is none of OpenID Connect', async () => {
    const { issuer } = await publishing(
      (own) => ({ issuer: `${own}/tenant`, jwks_uri: `${own}/keys` }),
      'GET /.well-known/oauth-authorization-server/tenant',
    );
    const body = { type: 'global-token-revocation', issuer: `${issuer}/tenant` };
    const answer = await admin('POST', `/orgs/${idp.slug}/signals`, { body });
    expect([answer.status, answer.body.jwksUrl]).toEqual([201, `${issuer}/keys`]);
  });

  it('that is paused gets 503 for its signals, and is heard again once it goes on', async () => {
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
    const before = await notBefore(ada);
    const change = (verb: string) => admin('POST', `/orgs/${idp.slug}/signals/${okta.id}/${verb}`, { body: {} });
    expect((await change('pause')).body.pausedAt).toEqual(expect.any(String));
    const refused = await logout(okta, issSub(okta, '00uAda'));
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, '300']);
    expect(await notBefore(ada)).toBe(before);
    expect(await refusedSignals(idp)).toEqual({ paused: 1 });
    expect((await change('resume')).body.pausedAt).toBeNull();
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
    expect((await journal(idp.orgId)).map(({ type }) => type)).toEqual(
      expect.arrayContaining(['signals.paused', 'signals.resumed']),
    );
  });

  it('that another isolate has paused is not heard from its next signal on', async () => {
    await logout(okta, issSub(okta, '00uAda'));
    await env.DB.prepare('UPDATE signal_sources SET paused_at = 1 WHERE id = ?').bind(okta.id).run();
    for (const sub of ['00uAda', 'nobody']) expect((await logout(okta, issSub(okta, sub))).status).toBe(503);
    await env.DB.prepare('UPDATE signal_sources SET paused_at = NULL WHERE id = ?').bind(okta.id).run();
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(204);
  });

  it.each([
    [{ type: 'global-token-revocation' }, /^issuer/],
    [{ type: 'x', issuer: 'https://x.okta.com' }, /^type/],
    [{ type: 'global-token-revocation', issuer: 'x.okta.com' }, /^issuer/],
    [{ type: 'global-token-revocation', issuer: 'https://x.okta.com', subject: 'id' }, /^subject/],
    [{ type: 'global-token-revocation', issuer: 'https://x.okta.com', more: 1 }, /more/],
  ])('is refused when it is wrong: %j', async (body, detail) => {
    const answer = await admin('POST', `/orgs/${idp.slug}/signals`, { body });
    expect([answer.status, answer.body.detail]).toEqual([400, expect.stringMatching(detail)]);
  });

  it('is dead from the request on that follows its removal, and not brought back by its memory here', async () => {
    await logout(okta, issSub(okta, '00uAda'));
    const before = await notBefore(ada);
    // As another isolate removes it.
    await env.DB.prepare('DELETE FROM signal_sources WHERE org_id = ?').bind(idp.orgId).run();
    for (const sub of ['00uAda', 'nobody']) expect((await logout(okta, issSub(okta, sub))).status).toBe(401);
    expect(await notBefore(ada)).toBe(before);
  });

  it('is removed by an operator, once', async () => {
    const removed = await admin('DELETE', `/orgs/${idp.slug}/signals/${okta.id}`);
    expect(removed.body).toEqual({ removed: okta.id, type: 'global-token-revocation', issuer: okta.issuer });
    expect((await admin('DELETE', `/orgs/${idp.slug}/signals/${okta.id}`)).status).toBe(404);
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(401);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({ type: 'signals.removed', target_id: okta.id });
  });

  it('of another org is nobody’s here: it cannot be removed, and ends nothing', async () => {
    const other = await newIdp(`others-${n}`);
    expect((await admin('DELETE', `/orgs/${other.slug}/signals/${okta.id}`)).status).toBe(404);
    await other.user('ada@example.com', { externalId: '00uAda' });
    const theirs = await rows('SELECT * FROM users WHERE org_id = ?', other.orgId);
    await logout(okta, issSub(okta, '00uAda'));
    expect(await rows('SELECT * FROM users WHERE org_id = ?', other.orgId)).toEqual(theirs);
  });

  it('is gone with its org', async () => {
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    expect((await logout(okta, issSub(okta, '00uAda'))).status).toBe(401);
  });
});

describe('the metadata of an org', () => {
  it('names the endpoint, and is the same for an org that is not there', async () => {
    const at = (org: string) => ask('GET', `${BASE}/.well-known/oauth-authorization-server/signals/${org}`);
    const before = await dump();
    expect((await at(idp.orgId)).body).toEqual({
      issuer: `${BASE}/signals/${idp.orgId}`,
      response_types_supported: [],
      global_token_revocation_endpoint: okta.endpoint,
      global_token_revocation_endpoint_auth_methods_supported: ['private_key_jwt'],
    });
    expect((await at('000000000000')).status).toBe(200);
    expect((await at('acme')).status).toBe(404);
    expect(await dump()).toBe(before);
  });
});

describe('the endpoint', () => {
  it('takes POST alone, and its answers are kept by no cache', async () => {
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await ask(method, okta.endpoint);
      expect([method, answer.status, answer.headers.get('Allow')]).toEqual([method, 405, 'POST']);
    }
    expect((await logout(okta, issSub(okta, 'nobody'))).headers.get('Cache-Control')).toBe('no-store');
    expect((await ask('GET', `${BASE}/signals/${idp.orgId}/nothing`)).status).toBe(404);
  });
});

describe('the API for signals', () => {
  it('has no route that these tests do not know', () => {
    const routes = app.routes.filter(({ path, method }) => path.startsWith('/signals/') && method !== 'ALL');
    expect(routes.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      'POST /signals/:org/events',
      'POST /signals/:org/global-token-revocation',
    ]);
  });
});
