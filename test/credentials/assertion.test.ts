/** Proof by signature: what is let in, what is refused and as what, and when an issuer's keys are fetched. */
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readAssertion, verifyAssertion } from '../../src/credentials/assertion';
import { ALGORITHMS } from '../../src/credentials/signer';
import type { PublicKey } from '../../src/store/credentials/oauth-clients';
import { type Claims, newIssuer, newPair, type Pair, signed } from '../support/oauth';

const CLIENT = 'abcdefghijkl_ABCDEFGHIJKLMNOP';
const OURS = ['https://scim.test', 'https://scim.test/oauth/token'];
const now = () => Date.now();
const seconds = (later = 0) => Math.floor(Date.now() / 1_000) + later;
const base64url = (value: unknown) =>
  btoa(JSON.stringify(value)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

let pair: Pair;
let stranger: Pair;
beforeAll(async () => {
  [pair, stranger] = await Promise.all([newPair(), newPair()]);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('an assertion that the client signed itself', () => {
  const own = (more: Claims = {}): Claims => ({ iss: CLIENT, sub: CLIENT, aud: OURS[1], ...more });
  const keysOf = (...pairs: Pair[]) => ({ keys: pairs.map(({ publicJwk }) => publicJwk as PublicKey) });
  const verify = (text: string, signer = keysOf(pair)) =>
    verifyAssertion(text, signer, { clientId: CLIENT, audiences: OURS, now: now() });

  it.each(ALGORITHMS)('is good when it is signed with %s', async (alg) => {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const text = await new SignJWT({ exp: seconds(60), ...own() }).setProtectedHeader({ alg }).sign(privateKey);
    expect(await verify(text, { keys: [(await exportJWK(publicKey)) as PublicKey] })).toEqual({ ok: true });
  });

  it.each<[string, Claims]>([
    ['for our issuer', { aud: OURS[0] }],
    ['for both of our names', { aud: OURS }],
    ['that expired within the last minute, for clocks differ', { exp: seconds(-50) }],
    ['that begins within the next minute', { nbf: seconds(50) }],
    ['that lives for an hour', { exp: seconds(3_600) }],
  ])('%s is good', async (_, claims) => {
    expect(await verify(await signed(pair, own(claims)))).toEqual({ ok: true });
  });

  it.each<[string, string, Claims]>([
    ['of another issuer', 'issuer', { iss: 'abcdefghijkl_zzzzzzzzzzzzzzzz' }],
    ['without an issuer', 'issuer', { iss: undefined }],
    ['about another client', 'subject', { sub: 'abcdefghijkl_zzzzzzzzzzzzzzzz' }],
    ['without a subject', 'subject', { sub: undefined }],
    ['for another server', 'audience', { aud: 'https://other.test/token' }],
    ['for another server, too', 'audience', { aud: [OURS[1], 'https://other.test/token'] }],
    ['for our name in capitals', 'audience', { aud: OURS[1]!.toUpperCase() }],
    ['for nobody', 'audience', { aud: undefined }],
    ['for a number', 'audience', { aud: 5 }],
    ['that expired', 'expired', { exp: seconds(-70) }],
    ['that never expires', 'time', { exp: undefined }],
    ['that expires at a text', 'time', { exp: '2999-01-01' }],
    ['that lives for two hours', 'time', { exp: seconds(7_200) }],
    ['that lives for ever', 'time', { exp: 1e300 }],
    ['that is not valid yet', 'time', { nbf: seconds(70) }],
    ['whose jti is a number', 'malformed', { jti: 5 }],
    ['whose jti is an object', 'malformed', { jti: { a: 1 } }],
  ])('%s is refused', async (_, fault, claims) => {
    expect(await verify(await signed(pair, own(claims)))).toEqual({ ok: false, fault });
  });

  it.each<[string, string, () => Promise<string> | string]>([
    ['signed by a stranger', 'signature', () => signed(stranger, own())],
    [
      'signed by a stranger who sends the key along',
      'signature',
      () => signed(stranger, own(), { jwk: stranger.publicJwk as Required<JWK> }),
    ],
    [
      'signed by a stranger who says where the key is',
      'signature',
      () => signed(stranger, own(), { jku: 'https://evil.test/keys' }),
    ],
    [
      'without a signature (alg none)',
      'malformed',
      () => `${base64url({ alg: 'none' })}.${base64url({ exp: seconds(60), ...own() })}.`,
    ],
    ['with the signature taken off', 'signature', async () => (await signed(pair, own())).replace(/[^.]*$/, '')],
    [
      'whose claims were changed',
      'signature',
      async () => {
        const [head, , signature] = (await signed(pair, own())).split('.');
        return `${head}.${base64url({ exp: seconds(60), ...own(), admin: true })}.${signature}`;
      },
    ],
    [
      'signed by HMAC with the public key as secret',
      'malformed',
      () =>
        new SignJWT({ exp: seconds(60), ...own() })
          .setProtectedHeader({ alg: 'HS256' })
          .sign(new TextEncoder().encode(JSON.stringify(pair.publicJwk))),
    ],
    [
      'that depends on an extension nobody knows',
      'malformed',
      async () => {
        const [, claims, signature] = (await signed(pair, own())).split('.');
        return `${base64url({ alg: 'ES256', crit: ['x'], x: 1 })}.${claims}.${signature}`;
      },
    ],
    ['that is empty', 'malformed', () => ''],
    ['that is no JWT', 'malformed', () => 'a.b.c'],
    ['that is a text in another script', 'malformed', () => 'пропуск.✓.🔑'],
    ['that is huge', 'malformed', () => 'a'.repeat(60_000)],
    ['whose claims are a list', 'signature', () => `${base64url({ alg: 'ES256' })}.${base64url([1])}.AAAA`],
    [
      'whose claims nest ten thousand deep',
      'signature',
      () => `${base64url({ alg: 'ES256' })}.${btoa('['.repeat(10_000)).replace(/=+$/, '')}.${'A'.repeat(86)}`,
    ],
  ])('%s is refused', async (_, fault, text) => {
    const verification = await verify(await text());
    expect(verification).toEqual({ ok: false, fault });
  });

  it('of one key without a name is good whatever the client calls the key', async () => {
    expect(await verify(await signed(pair, own(), { kid: 'mine' }))).toEqual({ ok: true });
  });

  it('of several keys is checked with the one that it names', async () => {
    const [first, second] = await Promise.all([newPair('ES256', 'first'), newPair('ES256', 'second')]);
    const both = keysOf(first, second);
    expect(await verify(await signed(second, own()), both)).toEqual({ ok: true });
    expect(await verify(await signed(second, own(), { kid: 'first' }), both)).toEqual({
      ok: false,
      fault: 'signature',
    });
    expect(await verify(await signed(second, own(), { kid: 'third' }), both)).toEqual({ ok: false, fault: 'key' });
  });

  it('with a jti is good once: it is remembered until it has expired, for this client alone', async () => {
    const exp = seconds(300);
    const text = await signed(pair, own({ jti: 'one', exp }));
    const first = await verify(text);
    expect(first).toEqual({
      ok: true,
      once: { hash: expect.stringMatching(/^[0-9a-f]{64}$/), validUntil: (exp + 60) * 1_000 },
    });
    expect(await verify(text)).toEqual(first);
    const other = 'abcdefghijkl_zzzzzzzzzzzzzzzz';
    const theirs = await signed(pair, { iss: other, sub: other, aud: OURS[0], jti: 'one', exp });
    const asked = { clientId: other, audiences: OURS, now: now() };
    expect(await verifyAssertion(theirs, keysOf(pair), asked)).not.toEqual(first);
  });

  it('is refused when its algorithm is not that of the key', async () => {
    const rsa = await generateKeyPair('RS256', { extractable: true });
    const jwk = { ...(await exportJWK(rsa.publicKey)), alg: 'PS256' } as unknown as PublicKey;
    expect(
      await verify(await signed({ privateKey: rsa.privateKey as CryptoKey, publicJwk: {} }, own(), { alg: 'RS256' }), {
        keys: [jwk],
      }),
    ).toEqual({ ok: false, fault: 'malformed' });
    expect(await verify(await signed(pair, own()), { keys: [jwk] })).toEqual({ ok: false, fault: 'malformed' });
  });

  it('says who the client is when issuer and subject are one', async () => {
    expect(readAssertion(await signed(pair, own()))).toEqual({ clientId: CLIENT });
    expect(readAssertion(await signed(pair, own({ sub: 'x' })))).toEqual({ clientId: undefined });
    expect(readAssertion(await signed(pair, own({ iss: 1, sub: 1 })))).toEqual({ clientId: undefined });
    expect(readAssertion('a.b.c')).toBeUndefined();
    expect(readAssertion(`${base64url({ alg: 'none' })}.${base64url(own())}.`)).toBeUndefined();
    expect(readAssertion(`${base64url({ alg: 'HS256' })}.${base64url(own())}.AAAA`)).toBeUndefined();
  });
});

describe('an assertion that an issuer signed', () => {
  const SUBJECT = 'd2f8ee76-c549-45b8-a143-f5b640669704';
  const ISSUER = 'https://login.microsoftonline.com/ce5f061f-abe6-4e40-9615-301f87bcb7f0/v2.0';
  const APPLICATION = 'b5ba7a93-4452-4522-aeb4-a2b5da870c16';
  let key: Pair;
  beforeAll(async () => {
    key = await newPair('ES256', 'k1');
  });
  const claims = (more: Claims = {}): Claims => ({ iss: ISSUER, sub: SUBJECT, aud: `api://${APPLICATION}`, ...more });
  const verify = (text: string, jwksUrl: string, audience = `api://${APPLICATION}`) =>
    verifyAssertion(
      text,
      { issuer: ISSUER, jwksUrl, subject: SUBJECT, audience },
      { clientId: CLIENT, audiences: OURS, now: now() },
    );
  const good = { ok: true };
  const unavailable = { ok: false, fault: 'unavailable' };

  it('is good, though its subject is not the client, and again until it expires, though it has a jti', async () => {
    const { jwksUrl } = newIssuer(key.publicJwk);
    const text = await signed(key, claims({ jti: 'one', exp: seconds(86_400) }));
    expect(await verify(text, jwksUrl)).toEqual(good);
    expect(await verify(text, jwksUrl)).toEqual(good);
  });

  const spellings = [APPLICATION, `api://${APPLICATION}`, `api://${APPLICATION}/.default`];
  it.each(spellings.flatMap((registered) => spellings.map((sent) => [registered, sent])))(
    'for the application that was registered as %s is good when it says %s',
    async (registered, sent) => {
      const { jwksUrl } = newIssuer(key.publicJwk);
      expect(await verify(await signed(key, claims({ aud: sent })), jwksUrl, registered)).toEqual(good);
    },
  );

  it.each<[string, string, Claims]>([
    ['of another tenant', 'issuer', { iss: ISSUER.replace('ce5f', 'ffff') }],
    ['about another subject', 'subject', { sub: 'someone else' }],
    ['whose subject is the client', 'subject', { sub: CLIENT }],
    ['for another application', 'audience', { aud: `api://${SUBJECT}` }],
    ['for this service instead of the application', 'audience', { aud: OURS[1] }],
    ['for two applications', 'audience', { aud: [`api://${APPLICATION}`, 'api://other'] }],
    ['that expired', 'expired', { exp: seconds(-70) }],
    ['that never expires', 'time', { exp: undefined }],
    ['that is not valid yet', 'time', { nbf: seconds(70) }],
  ])('%s is refused', async (_, fault, more) => {
    const { jwksUrl } = newIssuer(key.publicJwk);
    expect(await verify(await signed(key, claims(more)), jwksUrl)).toEqual({ ok: false, fault });
  });

  it('by a stranger under the name of a published key is refused', async () => {
    const { jwksUrl } = newIssuer(key.publicJwk);
    expect(await verify(await signed(stranger, claims(), { kid: 'k1' }), jwksUrl)).toEqual({
      ok: false,
      fault: 'signature',
    });
  });

  it('needs one fetch of the keys for ten minutes', async () => {
    const { jwksUrl, asked } = newIssuer(key.publicJwk);
    vi.useFakeTimers({ toFake: ['Date'] });
    for (let i = 0; i < 5; i++) expect(await verify(await signed(key, claims()), jwksUrl)).toEqual(good);
    expect(asked()).toBe(1);
    vi.setSystemTime(Date.now() + 601_000);
    expect(await verify(await signed(key, claims()), jwksUrl)).toEqual(good);
    expect(asked()).toBe(2);
  });

  it('with a key that is not published is refused, and asks for the keys at most twice a minute', async () => {
    const issuer = newIssuer(key.publicJwk);
    vi.useFakeTimers({ toFake: ['Date'] });
    const unknown = { ok: false, fault: 'key' };
    for (let i = 0; i < 10; i++) {
      expect(await verify(await signed(stranger, claims(), { kid: `x${i}` }), issuer.jwksUrl)).toEqual(unknown);
    }
    expect(issuer.asked()).toBe(1);
    vi.setSystemTime(Date.now() + 31_000);
    const next = await newPair('ES256', 'k2');
    issuer.answer = () => Response.json({ keys: [next.publicJwk] });
    expect(await verify(await signed(next, claims()), issuer.jwksUrl)).toEqual(good);
    expect(issuer.asked()).toBe(2);
    expect(await verify(await signed(key, claims()), issuer.jwksUrl)).toEqual(unknown);
  });

  it.each<[string, () => Response | Promise<Response>]>([
    ['cannot be reached', () => Promise.reject(new TypeError('Network connection lost'))],
    ['answers 500', () => new Response('{"keys":[]}', { status: 500 })],
    ['redirects', () => new Response(null, { status: 302, headers: { Location: 'https://evil.test/keys' } })],
    ['answers what is no JSON', () => new Response('<html>')],
    ['answers null', () => Response.json(null)],
    ['answers a list', () => Response.json([key.publicJwk])],
    ['answers keys that are a text', () => Response.json({ keys: 'none' })],
    ['answers keys that are numbers', () => Response.json({ keys: [1, 2] })],
    ['answers bytes that are no text', () => new Response(new Uint8Array([0xff, 0xfe, 0x7b]))],
    ['answers half a megabyte', () => Response.json({ keys: [key.publicJwk], padding: 'x'.repeat(524_288) })],
    [
      'publishes a private key',
      async () => Response.json({ keys: [{ ...(await exportJWK(key.privateKey)), kid: 'k1' }] }),
    ],
  ])('is neither good nor bad while its issuer %s', async (_, answer) => {
    const issuer = newIssuer(key.publicJwk);
    issuer.answer = answer;
    expect(await verify(await signed(key, claims()), issuer.jwksUrl)).toEqual(unavailable);
    expect(fetch).toHaveBeenCalledWith(issuer.jwksUrl, expect.objectContaining({ redirect: 'manual' }));
  });

  it('is asked about again five seconds after the keys could not be fetched, and not sooner', async () => {
    const issuer = newIssuer(key.publicJwk);
    const { answer } = issuer;
    vi.useFakeTimers({ toFake: ['Date'] });
    issuer.answer = () => new Response('', { status: 503 });
    const text = await signed(key, claims());
    for (let i = 0; i < 5; i++) expect(await verify(text, issuer.jwksUrl)).toEqual(unavailable);
    issuer.answer = answer;
    expect(await verify(text, issuer.jwksUrl)).toEqual(unavailable);
    expect(issuer.asked()).toBe(1);
    vi.setSystemTime(Date.now() + 5_001);
    expect(await verify(text, issuer.jwksUrl)).toEqual(good);
    expect(issuer.asked()).toBe(2);
  });

  it('is refused when the keys have grown old and no new ones can be had', async () => {
    const issuer = newIssuer(key.publicJwk);
    vi.useFakeTimers({ toFake: ['Date'] });
    expect(await verify(await signed(key, claims()), issuer.jwksUrl)).toEqual(good);
    issuer.answer = () => Promise.reject(new TypeError('Network connection lost'));
    vi.setSystemTime(Date.now() + 601_000);
    expect(await verify(await signed(key, claims()), issuer.jwksUrl)).toEqual(unavailable);
  });

  it('a key of the set that is too weak proves nothing', async () => {
    const weak: JWK = { kty: 'RSA', n: 'r'.repeat(171), e: 'AQAB', kid: 'weak' }; // 1026 bits
    const { jwksUrl } = newIssuer(weak);
    const rsa = await generateKeyPair('RS256');
    const text = await signed({ privateKey: rsa.privateKey as CryptoKey, publicJwk: {} }, claims(), {
      alg: 'RS256',
      kid: 'weak',
    });
    expect(await verify(text, jwksUrl)).toMatchObject({ ok: false });
    expect(await importJWK(weak, 'RS256')).toBeDefined();
  });

  it('keeps the keys of a hundred issuers, and fetches those of the one not used for longest again', async () => {
    const first = newIssuer(key.publicJwk);
    const text = await signed(key, claims());
    await verify(text, first.jwksUrl);
    const second = newIssuer(key.publicJwk);
    await verify(text, second.jwksUrl);
    for (let i = 0; i < 98; i++) await verify(text, newIssuer(key.publicJwk).jwksUrl);
    await verify(text, first.jwksUrl);
    expect(first.asked()).toBe(1);
    await verify(text, newIssuer(key.publicJwk).jwksUrl); // the hundred and first
    await verify(text, first.jwksUrl);
    expect(first.asked()).toBe(1);
    await verify(text, second.jwksUrl);
    expect(second.asked()).toBe(2);
  });
});
