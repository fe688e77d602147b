/** Shared signals by push: what a transmitter tells ends sessions as the org's policy says, once, and nothing else does. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_OF_SOURCE } from '../../../src/signals/inbox';
import { admin, ask, BASE, host, type Idp, newIdp } from '../../support/client';
import { coordinatorOf, rebind } from '../../support/coordinator';
import { journal, rows } from '../../support/database';
import { Meter } from '../../support/meter';
import { newPair } from '../../support/oauth';
import {
  CAEP,
  logoutToken,
  newSender,
  newTransmitter,
  push,
  RISC,
  refusedSignals,
  SSF,
  seconds,
  setOf,
  startTransmitter,
  type TestTransmitter,
  tell,
} from '../../support/signals';

let idp: Idp;
let transmitter: TestTransmitter;
let ada: string;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`events-${++n}`);
  transmitter = await newTransmitter(idp);
  ada = (await idp.user('ada@example.com', { externalId: '00uAda', emails: [{ value: 'ada@mail.example' }] })).id;
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const notBefore = async (id: string) =>
  (await rows('SELECT not_before FROM users WHERE org_id = ? AND id = ?', idp.orgId, id))[0]!['not_before'] as number;
const last = async () => (await journal(idp.orgId)).at(-1)!;
const source = async () => {
  const { body } = await admin('GET', `/orgs/${idp.slug}/signals`);
  return body.find(({ id }: { id: string }) => id === transmitter.id);
};
const byAdmin = { initiating_entity: 'admin' };

describe('an event', () => {
  it.each<[string, object]>([
    [`${CAEP}session-revoked`, byAdmin],
    [`${CAEP}session-revoked`, { initiating_entity: 'policy' }],
    [`${CAEP}session-revoked`, { initiating_entity: 'system' }],
    [`${RISC}account-disabled`, { reason: 'hijacking' }],
    [`${RISC}account-purged`, {}],
  ])('%s %j ends the sessions of the person, who stays as active as SCIM says', async (uri, members) => {
    const before = Date.now();
    const answer = await tell(transmitter, uri, '00uAda', members);
    expect([answer.status, answer.text]).toEqual([202, '']);
    expect(await notBefore(ada)).toBeGreaterThanOrEqual(before);
    const name = uri.split('/').at(-1);
    expect(await last()).toMatchObject({
      type: 'user.signed_out',
      actor: `signal:${transmitter.issuer}`,
      details: { cause: 'signal', event: name, issuer: transmitter.issuer },
    });
    const { body } = await host('POST', '/resolve', { body: { org: idp.orgId, id: ada } });
    expect(body).toMatchObject({ active: true, endedBy: { cause: 'signal', issuer: transmitter.issuer } });
  });

  it.each<[string, object]>([
    [`${CAEP}session-revoked`, { initiating_entity: 'user' }],
    [`${CAEP}session-revoked`, {}],
    [`${CAEP}session-revoked`, { initiating_entity: ['admin'] }],
  ])('%s %j is a person’s own sign-out: nothing is changed, and the administrator can see it', async (uri, members) => {
    expect((await tell(transmitter, uri, '00uAda', members)).status).toBe(202);
    expect(await notBefore(ada)).toBeNull();
    expect((await last()).type).toBe('user.created');
    expect(await refusedSignals(idp)).toEqual({ initiator: 1 });
  });

  it('is judged by the policy of a source that took the place of another one five minutes ago', async () => {
    expect((await tell(transmitter, `${CAEP}session-revoked`, '00uAda', {})).status).toBe(202);
    // As another isolate replaces it: this one is not told.
    await env.DB.prepare('DELETE FROM signal_sources WHERE id = ?').bind(transmitter.id).run();
    const body = { type: 'ssf', transmitter: transmitter.issuer, anyInitiator: true };
    expect((await admin('POST', `/orgs/${idp.slug}/signals`, { body })).status).toBe(201);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 300_000 });
    expect((await tell(transmitter, `${CAEP}session-revoked`, '00uAda', {})).status).toBe(202);
    expect(await notBefore(ada)).not.toBeNull();
  });

  it.each<[string, object]>([
    [`${CAEP}credential-change`, byAdmin],
    [`${CAEP}token-claims-change`, { claims: { role: 'x' } }],
    [`${CAEP}device-compliance-change`, { current_status: 'not-compliant' }],
    [`${RISC}account-enabled`, {}],
    [`${RISC}identifier-changed`, { 'new-value': 'secret@mail.example' }],
  ])('%s goes into the journal without what it says, and ends nothing', async (uri, members) => {
    expect((await tell(transmitter, uri, '00uAda', members)).status).toBe(202);
    expect(await notBefore(ada)).toBeNull();
    const { type, target_id, details } = await last();
    expect({ type, target_id, details }).toEqual({
      type: 'user.signal_received',
      target_id: ada,
      details: { cause: 'signal', event: uri.split('/').at(-1), issuer: transmitter.issuer },
    });
    const { body } = await admin('GET', `/orgs/${idp.slug}/users/${ada}/history`);
    expect(body.events.at(-1).told).toMatch(/^Named by a signal of https:.* \([a-z-]+\): nothing was changed$/);
  });

  it('ends sessions where the source says that it does, whoever set it off', async () => {
    const strict = await newTransmitter(idp, { endsOn: ['credential-change'], anyInitiator: true });
    await tell(strict, `${CAEP}session-revoked`, '00uAda', byAdmin);
    expect(await notBefore(ada)).toBeNull();
    await tell(strict, `${CAEP}credential-change`, '00uAda', { initiating_entity: 'user' });
    expect(await notBefore(ada)).not.toBeNull();
  });

  it.each<[string, (id: string) => object]>([
    ['e-mail address', () => ({ sub_id: { format: 'email', email: 'ADA@mail.example' } })],
    ['opaque id', () => ({ sub_id: { format: 'opaque', id: '00uAda' } })],
    ['SCIM address', (id) => ({ sub_id: { format: 'scim', uri: `/Users/${id}` } })],
    ['whole SCIM address', (id) => ({ sub_id: { format: 'scim', uri: `https://scim.test/scim/v2/Users/${id}` } })],
    ['externalId', () => ({ sub_id: { format: 'scim', uri: '/Users/unknown', externalId: '00uAda' } })],
    [
      'user of a complex subject',
      () => ({
        sub_id: {
          format: 'complex',
          user: { format: 'email', email: 'ada@mail.example' },
          tenant: { format: 'opaque', id: 'x' },
        },
      }),
    ],
    [
      'alias',
      () => ({
        sub_id: {
          format: 'aliases',
          identifiers: [
            { format: 'did', url: 'did:x' },
            { format: 'email', email: 'ada@mail.example' },
          ],
        },
      }),
    ],
  ])('names the person by %s', async (_, claims) => {
    expect((await tell(transmitter, `${RISC}account-disabled`, '', {}, claims(ada) as never)).status).toBe(202);
    expect(await notBefore(ada)).not.toBeNull();
  });

  it('names the person within itself, as older transmitters do', async () => {
    const subject = { format: 'iss_sub', iss: transmitter.issuer, sub: '00uAda' };
    const set = await setOf(transmitter, `${CAEP}session-revoked`, { ...byAdmin, subject });
    expect((await push(transmitter.endpoint, set)).status).toBe(202);
    expect(await notBefore(ada)).not.toBeNull();
  });

  it('names the person in a complex subject without a format, as Okta and the drafts before 2023 write it', async () => {
    const subject = {
      user: { format: 'iss_sub', iss: transmitter.issuer, sub: '00uAda' },
      device: { format: 'opaque', id: 'device-1' },
    };
    const set = await setOf(transmitter, `${CAEP}session-revoked`, { ...byAdmin, subject });
    expect((await push(transmitter.endpoint, set)).status).toBe(202);
    expect(await notBefore(ada)).not.toBeNull();
  });

  it.each([
    [{ format: 'complex', session: { format: 'opaque', id: 'session-1' } }],
    [{ format: 'complex', tenant: { format: 'opaque', id: '00uAda' }, device: { format: 'opaque', id: '00uAda' } }],
    [{ format: 'phone_number', phone_number: '+12065550100' }],
    [{ format: 'did', url: 'did:example:123456' }],
  ])('about %j is good, means nobody here, and ends nothing', async (subject) => {
    expect((await tell(transmitter, `${CAEP}session-revoked`, '', byAdmin, { sub_id: subject })).status).toBe(202);
    expect(await notBefore(ada)).toBeNull();
    expect(await refusedSignals(idp)).toEqual({ format: 1 });
  });

  it.each<[string, () => object, object]>([
    ['a type as a media type', () => ({}), { typ: 'application/secevent+jwt' }],
    ['a type in capitals', () => ({}), { typ: 'secevent+JWT' }],
    ['a list of one audience', () => ({ aud: [transmitter.audience] }), {}],
    ['a txn and a toe', () => ({ txn: 'abc', toe: 1_700_000_000 }), {}],
    ['a clock that is four minutes ahead', () => ({ iat: seconds() + 240 }), {}],
    ['no kid, where the issuer has one key', () => ({}), { kid: undefined }],
  ])('with %s is good', async (_, claims, header) => {
    const about = { sub_id: { format: 'iss_sub', iss: transmitter.issuer, sub: '00uAda' } };
    const set = await setOf(transmitter, `${RISC}account-disabled`, {}, { ...about, ...claims() }, header);
    expect((await push(transmitter.endpoint, set)).status).toBe(202);
    expect(await notBefore(ada)).not.toBeNull();
  });

  it.each([
    { 'Content-Type': 'application/secevent+jwt; charset=utf-8' },
    { 'Content-Type': 'Application/SecEvent+JWT' },
  ])('sent with %j is good', async (headers) => {
    expect((await tell(transmitter, `${RISC}account-disabled`, '00uAda', {}, {}, { headers })).status).toBe(202);
    expect(await notBefore(ada)).not.toBeNull();
  });

  describe('among several in one token', () => {
    const subject = (sub: string) => ({ format: 'iss_sub', iss: transmitter.issuer, sub });
    const told = async (id: string) =>
      (await rows('SELECT type, details FROM events WHERE target_id = ? AND actor LIKE ?', id, 'signal:%')).map(
        ({ type, details }) => `${type} ${JSON.parse(details as string).event}`,
      );
    const pushAll = async (events: object, claims: object = {}) =>
      push(transmitter.endpoint, await setOf(transmitter, '', {}, { events, ...claims }));
    let bob: string;
    beforeEach(async () => {
      bob = (await idp.user('bob', { externalId: '00uBob' })).id;
    });

    it('ends the sessions of the person that it names itself, and of nobody whom another one names', async () => {
      const events = {
        [`${CAEP}assurance-level-change`]: { subject: subject('00uAda') },
        [`${RISC}account-disabled`]: { subject: subject('00uBob') },
      };
      expect((await pushAll(events)).status).toBe(202);
      expect(await told(ada)).toEqual(['user.signal_received assurance-level-change']);
      expect(await told(bob)).toEqual(['user.signed_out account-disabled']);
      expect(await notBefore(ada)).toBeNull();
      expect(await notBefore(bob)).not.toBeNull();
    });

    it('ends the sessions of each person that they name, each for the event of that person', async () => {
      const events = {
        [`${CAEP}session-revoked`]: { ...byAdmin, subject: subject('00uAda') },
        [`${RISC}account-disabled`]: { subject: subject('00uBob') },
        [`${RISC}account-purged`]: { subject: subject('00uBob') },
      };
      expect((await pushAll(events)).status).toBe(202);
      expect(await told(ada)).toEqual(['user.signed_out session-revoked']);
      expect(await told(bob)).toEqual(['user.signed_out account-disabled']);
    });

    it('is about the subject of the token, if it has one, whatever it names itself', async () => {
      const events = { [`${RISC}account-disabled`]: { subject: subject('00uBob') } };
      expect((await pushAll(events, { sub_id: subject('00uAda') })).status).toBe(202);
      expect(await told(ada)).toEqual(['user.signed_out account-disabled']);
      expect(await told(bob)).toEqual([]);
    });

    it('is refused with all of them when the subject of one cannot be read', async () => {
      const events = {
        [`${CAEP}session-revoked`]: { ...byAdmin, subject: subject('00uAda') },
        [`${RISC}account-disabled`]: { subject: 'bob' },
      };
      expect((await pushAll(events)).status).toBe(400);
      expect(await notBefore(ada)).toBeNull();
    });
  });

  it('of nobody here, or of another issuer’s person, is taken and counted, and writes nothing', async () => {
    const other = await newIdp(`events-other-${n}`);
    const theirs = await other.user('grace', { externalId: '00uGrace' });
    const before = await rows('SELECT * FROM users WHERE org_id = ?', other.orgId);
    for (const claims of [
      {},
      { sub_id: { format: 'iss_sub', iss: 'https://evil.test', sub: '00uAda' } },
      { sub_id: { format: 'opaque', id: theirs.id } },
      { sub_id: { format: 'did', url: 'did:x' } },
    ]) {
      expect((await tell(transmitter, `${RISC}account-disabled`, '00uGrace', {}, claims)).status).toBe(202);
    }
    expect(await rows('SELECT * FROM users WHERE org_id = ?', other.orgId)).toEqual(before);
    expect((await last()).type).toBe('user.created');
    expect(await refusedSignals(idp)).toEqual({ subject: 2, foreign: 1, format: 1 });
  });

  it('acts once, however often the transmitter repeats it, at once or later', async () => {
    const set = await setOf(
      transmitter,
      `${RISC}account-disabled`,
      {},
      {
        sub_id: { format: 'iss_sub', iss: transmitter.issuer, sub: '00uAda' },
      },
    );
    const answers = await Promise.all(Array.from({ length: 20 }, () => push(transmitter.endpoint, set)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    const first = await notBefore(ada);
    expect((await push(transmitter.endpoint, set)).status).toBe(202);
    expect(await notBefore(ada)).toBe(first);
    expect((await journal(idp.orgId)).filter(({ type }) => type === 'user.signed_out')).toHaveLength(1);
    // When its jti is forgotten, the sessions that have begun since then stay.
    await env.DB.prepare('DELETE FROM assertions WHERE org_id = ?').bind(idp.orgId).run();
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Date.now() + 4 * 3_600_000);
    expect((await push(transmitter.endpoint, set)).status).toBe(202);
    expect(await notBefore(ada)).toBeLessThan(first + 301_000);
  });

  it('that comes a day late ends the sessions from before it, and leaves those that began since', async () => {
    const iat = seconds() - 86_400;
    expect((await tell(transmitter, `${RISC}account-disabled`, '00uAda', {}, { iat })).status).toBe(202);
    expect(await notBefore(ada)).toBe((iat + 300) * 1_000);
    expect((await last()).type).toBe('user.signed_out');
    await tell(transmitter, `${RISC}account-disabled`, '00uAda', {}, { iat });
    expect((await journal(idp.orgId)).filter(({ type }) => type === 'user.signed_out')).toHaveLength(1);
  });

  it('may be for several receivers, and costs its own request no round trip from the second one on', async () => {
    const aud = ['https://somebody-else.test', transmitter.audience];
    await tell(transmitter, `${RISC}account-disabled`, '00uAda', {}, { aud });
    expect(await notBefore(ada)).not.toBeNull();
    const meter = new Meter();
    const set = await setOf(
      transmitter,
      `${RISC}account-disabled`,
      {},
      {
        sub_id: { format: 'iss_sub', iss: transmitter.issuer, sub: '00uAda' },
      },
    );
    await push(transmitter.endpoint, set, { env: { DB: meter.binding } });
    expect(meter.roundTrips).toBe(0); // test/meter.test.ts counts the two of the coordinator
  });
});

/** A D1 binding that counts the batches of signals, and how many of them are under way at once. */
class SignalBatches {
  count = 0;
  mostAtOnce = 0;
  #underWay = 0;
  readonly #noted = new WeakSet<D1PreparedStatement>();

  get binding(): D1Database {
    return {
      prepare: (text: string) => ({
        bind: (...parameters: unknown[]) => {
          const statement = env.DB.prepare(text).bind(...parameters);
          if (text.includes('signal_sources')) this.#noted.add(statement);
          return statement;
        },
      }),
      batch: async <T>(statements: D1PreparedStatement[]) => {
        if (!statements.some((statement) => this.#noted.has(statement))) return env.DB.batch<T>(statements);
        this.count++;
        this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#underWay);
        return env.DB.batch<T>(statements).finally(() => this.#underWay--);
      },
    } as unknown as D1Database;
  }
}

describe('many events at once', () => {
  const signedOut = async () => (await journal(idp.orgId)).filter(({ type }) => type === 'user.signed_out');
  const about = (sub: string) => ({ sub_id: { format: 'iss_sub', iss: transmitter.issuer, sub } });
  const uri = `${RISC}account-disabled`;

  it('share their batches: each acts once, has an event of its own, and is answered', async () => {
    await idp.user('bob@example.com', { externalId: '00uBob' });
    const people = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? '00uAda' : '00uBob'));
    const sets = await Promise.all(people.map((sub) => setOf(transmitter, uri, {}, about(sub))));
    const unknown = await setOf(transmitter, uri, {}, about('00uNobody'));
    // The first one is sent twice, and one means nobody.
    const answers = await Promise.all([...sets, sets[0]!, unknown].map((set) => push(transmitter.endpoint, set)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    const events = await signedOut();
    expect(events).toHaveLength(40);
    expect(new Set(events.map(({ request_id }) => request_id)).size).toBe(40);
    expect(events.filter(({ target_id }) => target_id === ada)).toHaveLength(20);
    const seqs = (await journal(idp.orgId)).map(({ seq }) => seq as number);
    expect(seqs).toEqual(seqs.map((_, i) => seqs[0]! + i));
    expect(await refusedSignals(idp)).toEqual({ subject: 1 });
    await vi.waitFor(async () => expect(await rows('SELECT * FROM outbox WHERE org_id = ?', idp.orgId)).toEqual([]));
  });

  it('ask the database for one batch at a time, and for far fewer batches than there are signals', async () => {
    await tell(transmitter, uri, '00uAda'); // the source is known from here on
    const batches = new SignalBatches();
    await rebind(idp.orgId, { DB: batches.binding });
    const sets = await Promise.all(Array.from({ length: 60 }, () => setOf(transmitter, uri, {}, about('00uAda'))));
    const answers = await Promise.all(
      sets.map((set) => push(transmitter.endpoint, set, { env: { DB: batches.binding } })),
    );
    await rebind(idp.orgId, {});
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    expect(await signedOut()).toHaveLength(61);
    expect(batches.mostAtOnce).toBe(1); // another org waits at D1 behind one of them at most
    expect(batches.count).toBeLessThan(60);
  });

  it('beyond 900 of a source that wait are told to come again, and the administrator is told whose they were', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: (statements: D1PreparedStatement[]) => held.then(() => env.DB.batch(statements)),
    } as unknown as D1Database;
    const set = await setOf(transmitter, uri, {}, about('00uAda'));
    await rebind(idp.orgId, { DB: slow });
    const waiting = Array.from({ length: MAX_OF_SOURCE + 1 }, () =>
      coordinatorOf(idp.orgId).receive({
        source: { id: transmitter.id, issuer: transmitter.issuer },
        once: { hash: crypto.randomUUID(), validUntil: Date.now() + 60_000 },
        acts: [{ event: 'account-disabled', ends: true, lookups: [['externalId', 'nobody']] }],
        actor: { name: `signal:${transmitter.issuer}`, requestId: crypto.randomUUID() },
      }),
    );
    const answer = await push(transmitter.endpoint, set);
    release();
    await Promise.all(waiting);
    await rebind(idp.orgId, {});
    expect(answer.status).toBe(429);
    expect(answer.headers.get('Retry-After')).toBe('2');
    expect(await refusedSignals(idp)).toEqual({ rate_limited: 1 });
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(body[0].detail).toContain(transmitter.issuer);
    expect((await push(transmitter.endpoint, set)).status).toBe(202); // nothing was used up
    expect(await signedOut()).toHaveLength(1);
  });

  it('of two transmitters and of all kinds keep their own actors and consequences', async () => {
    const other = await newTransmitter(idp);
    const set = (of: TestTransmitter, event: string, members: object) =>
      setOf(of, event, members, { sub_id: { format: 'iss_sub', iss: of.issuer, sub: '00uAda' } });
    const sent = await Promise.all([
      ...Array.from({ length: 3 }, () => set(transmitter, uri, {})),
      set(transmitter, `${CAEP}session-revoked`, byAdmin),
      set(transmitter, `${RISC}account-enabled`, {}),
      ...Array.from({ length: 3 }, () => set(other, uri, {})),
    ]);
    const answers = await Promise.all(sent.map((one, i) => push(i < 5 ? transmitter.endpoint : other.endpoint, one)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    const events = await signedOut();
    const count = (issuer: string, event: string) =>
      events.filter(({ actor, details }) => actor === `signal:${issuer}` && details.event === event).length;
    expect(count(transmitter.issuer, 'account-disabled')).toBe(3);
    expect(count(transmitter.issuer, 'session-revoked')).toBe(1);
    expect(count(other.issuer, 'account-disabled')).toBe(3);
    const noted = (await journal(idp.orgId)).filter(({ type }) => type === 'user.signal_received');
    expect(noted).toHaveLength(1);
  });
});

describe('a token that is not good', () => {
  const uri = `${RISC}account-disabled`;
  const about = () => ({ sub_id: { format: 'iss_sub', iss: transmitter.issuer, sub: '00uAda' } });
  it.each<[string, string, string, () => Promise<string>]>([
    ['empty', 'invalid_request', 'missing', async () => ' '],
    ['no token', 'invalid_request', 'malformed', async () => 'let-me-in'],
    ['of another type', 'invalid_request', 'type', () => setOf(transmitter, uri, {}, about(), { typ: 'JWT' })],
    ['without an id', 'invalid_request', 'jti', () => setOf(transmitter, uri, {}, { ...about(), jti: undefined })],
    ['without its time', 'invalid_request', 'time', () => setOf(transmitter, uri, {}, { ...about(), iat: undefined })],
    [
      'from ten minutes ahead',
      'invalid_request',
      'clock',
      () => setOf(transmitter, uri, {}, { ...about(), iat: seconds() + 600 }),
    ],
    ['expired', 'invalid_request', 'expired', () => setOf(transmitter, uri, {}, { ...about(), exp: seconds() - 600 })],
    [
      'for another receiver',
      'invalid_audience',
      'audience',
      () => setOf(transmitter, uri, {}, { ...about(), aud: 'https://x.test' }),
    ],
    [
      'of an unknown issuer',
      'authentication_failed',
      'issuer',
      () => setOf(transmitter, uri, {}, { ...about(), iss: 'https://evil.test' }),
    ],
    [
      'signed with another key',
      'authentication_failed',
      'signature',
      async () =>
        setOf({ ...transmitter, pair: await newPair('RS256', transmitter.pair.publicJwk.kid) }, uri, {}, about()),
    ],
    [
      'signed with an unknown key',
      'authentication_failed',
      'key',
      async () => setOf({ ...transmitter, pair: await newPair('RS256', 'unknown') }, uri, {}, about()),
    ],
    ['without an event', 'invalid_request', 'event', () => setOf(transmitter, uri, {}, { ...about(), events: {} })],
    [
      'with a list of events',
      'invalid_request',
      'event',
      () => setOf(transmitter, uri, {}, { ...about(), events: [] }),
    ],
    [
      'with an event that is a text',
      'invalid_request',
      'event',
      () => setOf(transmitter, uri, {}, { ...about(), events: { [uri]: 'x' } }),
    ],
    ['without a subject', 'invalid_request', 'event', () => setOf(transmitter, uri, {})],
    [
      'with half a subject',
      'invalid_request',
      'event',
      () => setOf(transmitter, uri, {}, { sub_id: { format: 'email' } }),
    ],
  ])('is 400 when it is %s: %s, and the administrator reads why', async (_, err, hint, set) => {
    const answer = await push(transmitter.endpoint, await set());
    expect([answer.status, answer.body]).toEqual([400, { err, description: expect.stringMatching(/\S.{8,}/) }]);
    expect(await notBefore(ada)).toBeNull();
    expect(await refusedSignals(idp)).toEqual({ [hint]: 1 });
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    const isNamed = !['missing', 'malformed', 'issuer'].includes(hint);
    expect(body[0].source).toEqual(isNamed ? { type: 'ssf', issuer: transmitter.issuer } : null);
  });

  it('is the same to a stranger, whether the org, its source or its key is wrong', async () => {
    const forged = await setOf(
      { ...transmitter, pair: await newPair('RS256', transmitter.pair.publicJwk.kid) },
      uri,
      {},
      about(),
    );
    const expected = await push(transmitter.endpoint, forged);
    const other = await newIdp(`events-strange-${n}`);
    for (const org of [other.orgId, '000000000000', 'x', idp.slug]) {
      for (const set of [forged, await setOf(transmitter, uri, {}, about())]) {
        const answer = await push(`${BASE}/signals/${org}/events`, set);
        expect([org, answer.status, answer.text]).toEqual([org, 400, expected.text]);
      }
    }
  });

  it('is 400 when it is enormous or of another media type', async () => {
    const more = 'x'.repeat(40_000);
    expect((await push(transmitter.endpoint, await setOf(transmitter, uri, { more }, about()))).body.err).toBe(
      'invalid_request',
    );
    const json = { headers: { 'Content-Type': 'application/json' } };
    expect((await push(transmitter.endpoint, await setOf(transmitter, uri, {}, about()), json)).body.err).toBe(
      'invalid_request',
    );
    expect(await notBefore(ada)).toBeNull();
    expect(await refusedSignals(idp)).toEqual({ body: 2 });
  });

  it('of Universal Logout is none here, and the reverse', async () => {
    const okta = await newSender(idp);
    const token = await logoutToken({ ...okta, endpoint: transmitter.endpoint });
    expect((await push(transmitter.endpoint, token)).status).toBe(400);
    const set = await setOf(transmitter, uri, {}, about());
    const answer = await ask('POST', okta.endpoint, { raw: '{}', headers: { Authorization: `Bearer ${set}` } });
    expect(answer.status).toBe(401);
  });
});

describe('a stream', () => {
  it('made by hand has our address as its audience, or the one that was said', async () => {
    expect(await source()).toMatchObject({
      type: 'ssf',
      issuer: transmitter.issuer,
      endpoint: `${BASE}/signals/${idp.orgId}/events`,
      audience: `${BASE}/signals/${idp.orgId}/events`,
      endsOn: ['session-revoked', 'account-disabled', 'account-purged'],
      ...{ anyInitiator: false, streamId: null, verifiedAt: null, lastSignalAt: null },
    });
    expect(transmitter.heard.map(({ request }) => request)).toEqual(['GET /.well-known/ssf-configuration']);
    const named = await newTransmitter(idp, { audience: 'acme' });
    expect(named.audience).toBe('acme');
    expect((await tell(named, `${RISC}account-disabled`, '00uAda')).status).toBe(202);
  });

  it('is made with a token, verified by its event, and deleted with a token; the token is nowhere kept', async () => {
    const auth = 'token-of-the-transmitter';
    transmitter = await newTransmitter(idp, { auth });
    const [, created, verify] = transmitter.heard;
    expect(created).toMatchObject({
      request: 'POST /streams',
      authorization: `Bearer ${auth}`,
      body: { delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: transmitter.endpoint } },
    });
    const { state } = verify!.body as { state: string };
    expect(verify).toMatchObject({ request: 'POST /verify', body: { stream_id: 'stream-1', state } });
    const verification = (said: string) =>
      setOf(transmitter, `${SSF}verification`, { state: said }, { sub_id: { format: 'opaque', id: 'stream-1' } });
    expect(transmitter.audience).toBe('https://receiver.test');
    expect((await push(transmitter.endpoint, await verification('wrong'))).status).toBe(400);
    expect(await source()).toMatchObject({ streamId: 'stream-1', status: 'enabled', verifiedAt: null });
    expect((await push(transmitter.endpoint, await verification(state))).status).toBe(202);
    expect((await source()).verifiedAt).toEqual(expect.any(String));
    expect(await refusedSignals(idp)).toEqual({ state: 1 });
    expect(JSON.stringify(await rows('SELECT * FROM signal_sources'))).not.toContain(auth);
    expect(JSON.stringify(await rows('SELECT * FROM events'))).not.toContain(auth);
    const removed = await admin('DELETE', `/orgs/${idp.slug}/signals/${transmitter.id}`, { body: { auth } });
    expect(removed.body).toMatchObject({ removed: transmitter.id, streamDeleted: true });
    expect(transmitter.heard.at(-1)).toMatchObject({
      request: 'DELETE /streams?stream_id=stream-1',
      authorization: `Bearer ${auth}`,
    });
    expect((await tell(transmitter, `${RISC}account-disabled`, '00uAda')).status).toBe(400);
  });

  it('refuses a verification with another state or of another stream, and is verified by the right one', async () => {
    const stream = await newTransmitter(idp, { auth: 'token' });
    const asked = stream.heard.find(({ request }) => request === 'POST /verify')!.body as { state: string };
    const verify = async (members: object, id = 'stream-1') =>
      push(stream.endpoint, await setOf(stream, `${SSF}verification`, members, { sub_id: { format: 'opaque', id } }));
    const isVerified = async () =>
      (await admin('GET', `/orgs/${idp.slug}/signals/${stream.id}`)).body.verifiedAt !== null;
    const wrong = await verify({ state: 'made-up' });
    expect(wrong).toMatchObject({ status: 400, body: { err: 'invalid_state' } });
    expect(wrong.headers.get('Content-Language')).toBe('en');
    expect(await verify({ state: asked.state }, 'stream-2')).toMatchObject({
      status: 400,
      body: { err: 'invalid_request' },
    });
    expect(await isVerified()).toBe(false);
    expect(await refusedSignals(idp)).toMatchObject({ state: 1, event: 1 });
    expect((await verify({ state: asked.state })).status).toBe(202);
    expect(await isVerified()).toBe(true);
  });

  it('shows what the transmitter says of it', async () => {
    const set = await setOf(
      transmitter,
      `${SSF}stream-updated`,
      { status: 'paused' },
      { sub_id: { format: 'opaque', id: 'x' } },
    );
    expect((await push(transmitter.endpoint, set)).status).toBe(202);
    expect(await source()).toMatchObject({ status: 'paused', lastSignalAt: expect.any(String) });
  });

  it.each<[string, number, (request: string, issuer: string) => Response | undefined]>([
    ['is not there', 409, () => new Response(null, { status: 404 })],
    ['leads elsewhere', 409, () => Response.redirect('https://inside.test', 302)],
    ['is no JSON', 409, () => new Response('<html>')],
    ['is huge', 409, () => new Response(`{"x":"${'x'.repeat(70_000)}"}`)],
    [
      'has another issuer',
      409,
      () => Response.json({ issuer: 'https://evil.test', jwks_uri: 'https://evil.test/keys' }),
    ],
    ['has no keys', 409, (_, issuer) => Response.json({ issuer })],
    ['has its keys inside', 400, (_, issuer) => Response.json({ issuer, jwks_uri: 'https://10.0.0.1/keys' })],
    [
      'has its API inside',
      400,
      (_, issuer) =>
        Response.json({ issuer, jwks_uri: `${issuer}/keys`, configuration_endpoint: 'https://db.internal/' }),
    ],
    [
      'refuses the stream',
      409,
      (request) => (request === 'POST /streams' ? new Response(null, { status: 403 }) : undefined),
    ],
    [
      'makes a stream without an id',
      409,
      (request) => (request === 'POST /streams' ? Response.json({ aud: 'x' }) : undefined),
    ],
    [
      'makes a stream of another issuer',
      409,
      (request) =>
        request === 'POST /streams'
          ? Response.json({ stream_id: 'stream-1', aud: 'x', iss: 'https://evil.test' })
          : undefined,
    ],
    [
      'makes a stream without an audience',
      409,
      (request) => (request === 'POST /streams' ? Response.json({ stream_id: 'stream-1' }) : undefined),
    ],
  ])('is not added where the transmitter %s', async (what, status, answer) => {
    const made = await startTransmitter();
    made.answer = (request) => answer(request, made.issuer);
    const body = { type: 'ssf', transmitter: made.issuer, auth: 'token' };
    const added = await admin('POST', `/orgs/${idp.slug}/signals`, { body });
    expect([added.status, added.body.detail]).toEqual([status, expect.stringMatching(/\S.{8,}/)]);
    expect(await rows('SELECT id FROM signal_sources WHERE org_id = ?', idp.orgId)).toHaveLength(1);
    // A stream that is not used does not stay behind.
    const isLeft = /of another issuer|without an audience/.test(what);
    const last = made.heard.at(-1)!.request;
    if (isLeft) expect(last).toBe('DELETE /streams?stream_id=stream-1');
  });

  it.each(['https://127.0.0.1', 'https://db.internal', 'http://transmitter.test', 'transmitter.test'])(
    'is not added of %s, which is not asked',
    async (address) => {
      const asked = vi.mocked(globalThis.fetch).mock.calls.length;
      const body = { type: 'ssf', transmitter: address };
      expect((await admin('POST', `/orgs/${idp.slug}/signals`, { body })).status).toBe(400);
      expect(vi.mocked(globalThis.fetch).mock.calls.length).toBe(asked);
    },
  );
});
