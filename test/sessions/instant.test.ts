/** An instant is unambiguous: what is one, what is none, and the same for the library, the APIs and their queries. */
import { exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { instant } from '../../src/sessions/check';
import { parseStrict } from '../../src/sessions/client/sources';
import { admin, host, type Idp, newIdp } from '../support/client';

const AT = Date.UTC(2025, 0, 12, 10);

const INSTANTS: readonly [string | number | Date, number][] = [
  ['2025-01-12T10:00:00Z', AT],
  ['2025-01-12T10:00Z', AT],
  ['2025-01-12t10:00:00z', AT],
  ['2025-01-12T10:00:00.000Z', AT],
  ['2025-01-12T10:00:00.1Z', AT + 100],
  ['2025-01-12T10:00:00.123999999Z', AT + 123],
  ['2025-01-12T11:00:00+01:00', AT],
  ['2025-01-12T00:00:00-10:00', AT],
  ['2025-01-13T00:00:00+14:00', AT],
  ['2025-01-12T10:00:00-00:00', AT],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  [AT, AT],
  [new Date(AT), AT],
];

const NONE: readonly string[] = [
  '',
  ' ',
  'yesterday',
  'hello 2030',
  '2030',
  '2030-01',
  '2025-01-12',
  '12/01/2025',
  '2025-01-12T10:00:00',
  '2025-01-12T10:00:00.000',
  '2025-01-12 10:00:00Z',
  '2025-01-12T10Z',
  ' 2025-01-12T10:00:00Z',
  '2025-01-12T10:00:00Z\n',
  '2025-01-12T10:00:00 Z',
  '2025-01-12T10:00:00UTC',
  '2025-01-12T10:00:00+01',
  '2025-01-12T10:00:00+0100',
  '2025-01-12T10:00:00+24:00',
  '2025-01-12T10:00:00+01:60',
  '2025-02-30T10:00:00Z',
  '2025-02-29T10:00:00Z',
  '2025-04-31T10:00:00Z',
  '2025-00-12T10:00:00Z',
  '2025-13-12T10:00:00Z',
  '2025-01-00T10:00:00Z',
  '2025-01-12T24:00:00Z',
  '2025-01-12T25:00:00Z',
  '2025-01-12T10:60:00Z',
  '2025-01-12T10:00:60Z',
  '2025-1-12T10:00:00Z',
  '27-01-12T10:00:00Z',
  '+002025-01-12T10:00:00Z',
  '2025-W02-2T10:00:00Z',
  'Tue, 12 Jan 2025 10:00:00 GMT',
  'Tue Jan 12 2025 10:00:00 GMT+0100',
  '9999-12-31T23:59:59Z',
];

describe('the library', () => {
  it.each(INSTANTS)('takes %s for an instant', (value, at) => {
    expect(instant(value)).toBe(at);
  });

  it.each(NONE)('refuses %j, and names what it expected', (text) => {
    expect(() => instant(text)).toThrow(/^issuedAt: .* expected/);
  });

  it('says that a zone is missing', () => {
    expect(() => instant('2025-01-12T10:00:00', 'since')).toThrow(/^since: .*with Z or an offset/);
  });

  it.each([
    ['a Date of seconds', new Date(AT / 1_000), 'seconds'],
    ['seconds', AT / 1_000, 'seconds'],
    ['a year', 2030, 'seconds'],
    ['microseconds', AT * 1_000, 'microseconds'],
    ['a list', [AT], 'expected'],
    ['null', null, 'expected'],
    ['true', true, 'expected'],
    ['digits as text', String(AT), 'expected'],
  ])('refuses %s', (_, value, message) => {
    expect(() => instant(value as never)).toThrow(message);
  });

  it.each(['validAfter', 'notBefore'])('takes a strict answer with a %s without a zone for malformed', (name) => {
    const answer = (at: unknown) => ({ valid: false, reason: 'revoked', [name]: at });
    expect(parseStrict(answer('2025-01-12T10:00:00.000Z')).validAfter).toBe(AT);
    expect(parseStrict(answer(AT)).validAfter).toBe(AT);
    expect(parseStrict(answer(null)).validAfter).toBe(0);
    expect(parseStrict(answer(undefined)).validAfter).toBeUndefined();
    for (const text of NONE.slice(0, 12)) expect(() => parseStrict(answer(text)), text).toThrow('another shape');
  });
});

describe('the service', () => {
  let idp: Idp;
  let user: string;
  beforeAll(async () => {
    idp = await newIdp('instants');
    user = (await idp.user('ada')).id;
  });

  const checkOverHttp = async (issuedAt: unknown) =>
    (await host('POST', '/check', { body: { org: idp.orgId, user, issuedAt } })).body;

  it.each(INSTANTS)('takes %s over HTTP, by RPC and in a query', async (value) => {
    const good = { valid: true, reason: 'good', validAfter: null, notBefore: null };
    expect(await checkOverHttp(value)).toEqual(good);
    expect(await exports.Sessions.check({ org: idp.orgId, user, issuedAt: value })).toEqual(good);
    const query = new URLSearchParams({
      user,
      issuedAt: value instanceof Date ? value.toISOString() : String(value),
    });
    expect((await admin('GET', `/orgs/${idp.slug}/sessions/check?${query}`)).body).toMatchObject(good);
  });

  it('refuses a session of more than a day ahead, which no sign-out would end, over HTTP, by RPC and in a query', async () => {
    const ahead = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
    const future = { valid: false, reason: 'future' };
    for (const issuedAt of [ahead(25), '2099-01-01T00:00:00Z']) {
      expect(await checkOverHttp(issuedAt)).toMatchObject(future);
      expect(await exports.Sessions.check({ org: idp.orgId, user, issuedAt })).toMatchObject(future);
      const query = new URLSearchParams({ user, issuedAt });
      expect((await admin('GET', `/orgs/${idp.slug}/sessions/check?${query}`)).body).toMatchObject({
        ...future,
        fromKv: future,
      });
    }
    expect(await checkOverHttp(ahead(23))).toMatchObject({ valid: true });
  });

  it('is checked for a user by userName, too', async () => {
    const check = (user: string) =>
      admin('GET', `/orgs/${idp.slug}/sessions/check?${new URLSearchParams({ user, issuedAt: String(Date.now()) })}`);
    expect((await check('ADA')).body).toMatchObject({ valid: true, reason: 'good', fromKv: { reason: 'good' } });
    expect((await check('nobody@example.com')).status).toBe(404);
    expect((await check('nobody')).body).toMatchObject({ valid: false, reason: 'unknown' });
    expect((await check('x'.repeat(1_001))).status).toBe(400);
  });

  it.each(NONE)('refuses %j at each of its doors', async (text) => {
    const said = { error: 'invalidValue', detail: expect.stringMatching(/^issuedAt: /) };
    expect(await checkOverHttp(text)).toEqual(said);
    expect(await exports.Sessions.check({ org: idp.orgId, user, issuedAt: text })).toMatchObject({
      ...said,
      valid: false,
    });
    const query = (more: Record<string, string>) => new URLSearchParams({ ...more }).toString();
    const paths = [
      `sessions/check?${query({ user, issuedAt: text })}`,
      `refusals?${query({ since: text })}`,
      `events?${query({ since: text })}`,
      `events?${query({ until: text })}`,
      `users/${user}/history?${query({ since: text })}`,
    ];
    for (const path of paths) {
      const { status, body } = await admin('GET', `/orgs/${idp.slug}/${path}`);
      expect([status, body.error], path).toEqual([400, 'invalidValue']);
      expect(body.detail, path).toMatch(/^(?:issuedAt|since|until): .*expected/);
    }
  });
});
