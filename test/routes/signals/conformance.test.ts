/**
 * What the OpenID conformance suite does to a receiver, as far as it can be replayed: each test is named after its module. The modules for
 * transmitters are in routes/ssf.
 */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { remindOfPolls } from '../../../src/cron/signals';
import { type Idp, newIdp } from '../../support/client';
import { journal } from '../../support/database';
import { type Claims, newPair } from '../../support/oauth';
import {
  CAEP,
  newPolled,
  newTransmitter,
  push,
  SSF,
  setOf,
  type TestTransmitter,
  type Waiting,
} from '../../support/signals';

const REVOKED = `${CAEP}session-revoked`;
const MEMBERS = { initiating_entity: 'admin', event_timestamp: 1_700_000_000, reason_admin: { en: 'Test' } };

let idp: Idp;
let transmitter: TestTransmitter;
let n = 0;
const signOuts = async () => (await journal(idp.orgId)).filter(({ type }) => type === 'user.signed_out').length;
const about = () => ({ sub_id: { format: 'iss_sub', iss: transmitter.issuer, sub: '00uAda' } });
const stream = { sub_id: { format: 'opaque', id: 'stream-1' } };
afterEach(() => void vi.restoreAllMocks());

/** The four that the suite makes, with the error that we answer. Of a stranger's token we say one thing alone. */
async function tampered(): Promise<[what: string, set: string, jti: string, pushed: string, polled: string][]> {
  const stranger = await newPair('RS256', 'not-published');
  const jtis = [1, 2, 3, 4].map(() => crypto.randomUUID());
  const made = (claims: object, more: Partial<TestTransmitter> = {}, header: object = {}) =>
    setOf({ ...transmitter, ...more }, REVOKED, MEMBERS, { ...about(), ...claims }, header);
  const good = await made({ jti: jtis[0] });
  const cut = good.lastIndexOf('.') + 1;
  const broken = `${good.slice(0, cut)}${[...good.slice(cut)].reverse().join('')}`;
  const foreign = { issuer: `${transmitter.issuer}/not-this-transmitter` };
  return [
    ['a corrupted signature', broken, jtis[0]!, 'authentication_failed', 'authentication_failed'],
    ['a wrong iss', await made({ jti: jtis[1] }, foreign), jtis[1]!, 'authentication_failed', 'invalid_issuer'],
    [
      'a wrong aud',
      await made({ jti: jtis[2], aud: 'https://other.test' }),
      jtis[2]!,
      'invalid_audience',
      'invalid_audience',
    ],
    ['an unknown key', await made({ jti: jtis[3] }, { pair: stranger }), jtis[3]!, 'authentication_failed', ''],
  ];
}

describe('a receiver by push', () => {
  beforeEach(async () => {
    idp = await newIdp(`conformance-push-${++n}`);
    transmitter = await newTransmitter(idp, { auth: 'token' });
    await idp.user('ada@example.com', { externalId: '00uAda' });
  });
  const tell = async (uri: string, members: object, claims: Claims = about()) =>
    push(transmitter.endpoint, await setOf(transmitter, uri, members, claims));

  it('invalid-set-rejection: answers 400 with err and description, and nobody is signed out', async () => {
    for (const [what, set, , err] of await tampered()) {
      const { status, body, headers } = await push(transmitter.endpoint, set);
      expect([status, body.err], what).toEqual([400, err]);
      expect(body.description).toMatch(/\S/);
      expect(headers.get('Content-Type')).toContain('application/json');
      expect(headers.get('Content-Language')).toBe('en');
    }
    expect(await signOuts()).toBe(0);
  });

  it('redelivered-set: accepts the same token again, and it acts once', async () => {
    const set = await setOf(transmitter, REVOKED, MEMBERS, about());
    for (let i = 0; i < 3; i++) {
      const { status, text } = await push(transmitter.endpoint, set);
      expect([status, text]).toEqual([202, '']);
    }
    expect(await signOuts()).toBe(1);
  });

  it('unsolicited-stream-verification, transmitter-initiated-status-change: accepts both', async () => {
    expect((await tell(`${SSF}verification`, {}, stream)).status).toBe(202);
    for (const status of ['paused', 'enabled']) {
      expect((await tell(`${SSF}stream-updated`, { status, reason: 'maintenance' }, stream)).status).toBe(202);
    }
    expect((await tell(REVOKED, MEMBERS)).status).toBe(202);
    expect(await signOuts()).toBe(1);
  });

  it('stream-caep-interop: accepts each event of the profile with each format of subject', async () => {
    const subjects = [about().sub_id, { format: 'email', email: 'ada@example.com' }];
    const complex = { format: 'complex', user: about().sub_id, tenant: { format: 'opaque', id: 'acme' } };
    for (const sub_id of [...subjects, complex]) {
      for (const name of ['session-revoked', 'credential-change', 'device-compliance-change', 'risk-level-change']) {
        expect((await tell(`${CAEP}${name}`, MEMBERS, { sub_id })).status, `${name} ${sub_id.format}`).toBe(202);
      }
    }
    expect(await signOuts()).toBe(3);
  });

  it('removed-subject-event: accepts an event about nobody here', async () => {
    const sub_id = { format: 'email', email: 'nobody@example.com' };
    expect((await tell(REVOKED, MEMBERS, { sub_id })).status).toBe(202);
    expect(await signOuts()).toBe(0);
  });
});

describe('a receiver by poll', () => {
  let waiting: Waiting;
  beforeEach(async () => {
    idp = await newIdp(`conformance-poll-${++n}`);
    ({ transmitter, waiting } = await newPolled(idp));
    await idp.user('ada@example.com', { externalId: '00uAda' });
  });
  afterEach(async () => {
    await env.DB.prepare('UPDATE signal_sources SET paused_at = 1, poll_due_at = NULL').run();
  });
  const polled = async (condition: () => void) => {
    await env.DB.prepare('UPDATE signal_sources SET poll_due_at = 0 WHERE org_id = ?').bind(idp.orgId).run();
    await remindOfPolls(env);
    await vi.waitFor(condition, { timeout: 20_000, interval: 30 });
  };

  it('invalid-set-rejection, verification-wrong-state: reports each by setErrs, and acknowledges none', async () => {
    const all = await tampered();
    const expected: Record<string, string> = { state: 'invalid_state', subject: 'invalid_request' };
    // A key that is not published yet may be published in a moment: that one waits.
    for (const [, set, jti, , err] of all.slice(0, 3)) {
      waiting.sets.set(jti, set);
      expected[jti] = err;
    }
    const verification = (jti: string, members: object, id: string) =>
      setOf(transmitter, `${SSF}verification`, members, { jti, sub_id: { format: 'opaque', id } });
    waiting.sets.set('state', await verification('state', { state: 'made-up' }, 'stream-1'));
    waiting.sets.set('subject', await verification('subject', {}, 'stream-2'));
    await polled(() => expect(Object.keys(waiting.errors)).toHaveLength(5));
    const said = Object.entries(waiting.errors).map(([jti, { err }]) => [jti, err]);
    expect(Object.fromEntries(said)).toEqual(expected);
    expect(waiting.acked).toEqual([]);
    expect(await signOuts()).toBe(0);
  });

  it('redelivered-set: acknowledges the same token again, and it acts once', async () => {
    const set = await setOf(transmitter, REVOKED, MEMBERS, { jti: 'again', ...about() });
    waiting.sets.set('again', set);
    await polled(() => expect(waiting.acked).toEqual(['again']));
    waiting.sets.set('again', set);
    await polled(() => expect(waiting.acked).toEqual(['again', 'again']));
    expect(await signOuts()).toBe(1);
  });
});
