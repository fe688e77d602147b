/** Shared signals by poll (RFC 8936): each event acts once and is acknowledged after its commit, whatever goes wrong. */

import { abortAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { remindOfPolls } from '../../../src/cron/signals';
import { admin, type Idp, newIdp } from '../../support/client';
import { coordinatorOf } from '../../support/coordinator';
import { journal, rows } from '../../support/database';
import { newPair } from '../../support/oauth';
import {
  CAEP,
  newPolled,
  RISC,
  refusedSignals,
  SSF,
  seconds,
  setOf,
  startTransmitter,
  type TestTransmitter,
  type Waiting,
} from '../../support/signals';

let idp: Idp;
let transmitter: TestTransmitter;
let waiting: Waiting;
let ada: string;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`poll-${++n}`);
  ({ transmitter, waiting } = await newPolled(idp));
  ada = (await idp.user('ada@example.com', { externalId: '00uAda' })).id;
  await until(async () => (await stored())['polled_at'] !== null);
});
afterEach(async () => {
  await env.DB.prepare('UPDATE signal_sources SET paused_at = 1, poll_due_at = NULL').run();
  vi.restoreAllMocks();
});

const purged = `${RISC}account-purged`;
const about = (sub = '00uAda') => ({ sub_id: { format: 'iss_sub', iss: transmitter.issuer, sub } });

/** An event waits. @returns its id. */
async function queue(uri = purged, claims: object = about(), jti = crypto.randomUUID(), members = {}): Promise<string> {
  waiting.sets.set(jti, await setOf(transmitter, uri, members, { jti, ...claims }));
  return jti;
}

/** As after the pause between two polls, or after a restart. */
async function pollNow(): Promise<void> {
  await abortAllDurableObjects();
  await env.DB.prepare('UPDATE signal_sources SET poll_due_at = 0 WHERE org_id = ?').bind(idp.orgId).run();
  await remindOfPolls(env);
}

const stored = async () => (await rows('SELECT * FROM signal_sources WHERE org_id = ?', idp.orgId))[0]!;
const shown = async () => (await admin('GET', `/orgs/${idp.slug}/signals/${transmitter.id}`)).body;
const signedOut = async (id = ada) =>
  (await journal(idp.orgId)).filter(({ type, target_id }) => type === 'user.signed_out' && target_id === id).length;
const until = (condition: () => unknown) =>
  vi.waitFor(async () => expect(await condition()).toBeTruthy(), { timeout: 8_000, interval: 30 });

describe('a polled stream', () => {
  it('is made with a token, which is kept encrypted and shown to nobody', async () => {
    expect(transmitter.heard.find(({ request }) => request === 'POST /streams')).toMatchObject({
      authorization: 'Bearer transmitter-token',
      body: { delivery: { method: 'urn:ietf:rfc:8936' } },
    });
    expect(await shown()).toMatchObject({
      ...{ delivery: 'poll', streamId: 'stream-1', audience: 'https://receiver.test', pausedAt: null },
      poll: { url: `${transmitter.issuer}/poll`, failures: 0, lastError: null },
    });
    expect((await stored())['credentials']).toMatch(/^v1\./);
    const everything = JSON.stringify([await stored(), await journal(idp.orgId), await shown()]);
    expect(everything).not.toContain('transmitter-token');
    await until(() => waiting.polls.length > 0);
    expect(waiting.polls[0]).toEqual({ maxEvents: 25, returnImmediately: true });
  });

  it('acts on each event, and acknowledges it after its commit', async () => {
    const id = await queue();
    const order: string[] = [];
    waiting.answer = (init) => {
      const { ack } = JSON.parse(init!.body as string) as { ack?: string[] };
      if (ack) order.push(...ack);
      return undefined;
    };
    await pollNow();
    await until(() => waiting.acked.includes(id));
    expect(order).toEqual([id]);
    expect(await signedOut()).toBe(1);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({ actor: `signal:${transmitter.issuer}` });
    expect(await env.REVOCATIONS.get(`rev:v1:${idp.orgId}:${ada}`, 'json')).toMatchObject({ active: true });
    await until(async () => (await stored())['polled_at'] !== null);
    expect((await shown()).lastSignalAt).toEqual(expect.any(String));
  });

  it('is verified by its event, and shows what the transmitter says of it', async () => {
    const { body } = transmitter.heard.find(({ request }) => request === 'POST /verify')! as never as {
      body: { state: string };
    };
    await queue(`${SSF}verification`, { sub_id: { format: 'opaque', id: 'stream-1' } }, 'v-1', { state: body.state });
    await queue(`${SSF}stream-updated`, { sub_id: { format: 'opaque', id: 'stream-1' } }, 'v-2', { status: 'paused' });
    await pollNow();
    await until(() => waiting.acked.length === 2);
    expect(await shown()).toMatchObject({ verifiedAt: expect.any(String), status: 'paused' });
  });

  it('takes more than fit into one answer and into one run, each once', async () => {
    const ids = await Promise.all(Array.from({ length: 70 }, () => queue()));
    await pollNow();
    await until(() => waiting.acked.length === 70);
    expect(new Set(waiting.acked)).toEqual(new Set(ids));
    expect(await signedOut()).toBe(70);
    expect(waiting.polls.every(({ maxEvents }) => maxEvents! <= 25)).toBe(true);
  });

  it.each<[string, string, string, () => Promise<string>]>([
    [
      'forged',
      'authentication_failed',
      'signature',
      async () =>
        setOf({ ...transmitter, pair: await newPair('RS256', transmitter.pair.publicJwk.kid) }, purged, {}, about()),
    ],
    [
      'for another receiver',
      'invalid_audience',
      'audience',
      () => setOf({ ...transmitter, audience: 'x' }, purged, {}, about()),
    ],
    [
      'of another issuer',
      'invalid_issuer',
      'issuer',
      () => setOf({ ...transmitter, issuer: 'https://x.test' }, purged, {}, about()),
    ],
    ['no token', 'invalid_request', 'malformed', async () => 'abc'],
    [
      'enormous',
      'invalid_request',
      'malformed',
      () => setOf(transmitter, purged, { more: 'x'.repeat(40_000) }, about()),
    ],
    [
      'dated ten minutes ahead',
      'invalid_request',
      'clock',
      () => setOf(transmitter, purged, {}, { ...about(), iat: seconds() + 600 }),
    ],
    ['without a subject', 'invalid_request', 'event', () => setOf(transmitter, purged, {})],
  ])('tells the transmitter of an event that is %s, once, and goes on with the others', async (_, err, hint, set) => {
    waiting.sets.set('bad', await set());
    const good = await queue();
    await pollNow();
    await until(() => waiting.acked.includes(good) && waiting.errors['bad']);
    expect(waiting.errors['bad']).toEqual({ err, description: expect.any(String) });
    expect(await signedOut()).toBe(1);
    await until(async () => (await refusedSignals(idp))[hint] === 1);
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(body[0].source).toEqual({ type: 'ssf', issuer: transmitter.issuer });
  });

  it('leaves an event that could not be committed, and takes it the next time', async () => {
    const id = await queue();
    await env.DB.prepare(
      "CREATE TRIGGER no_assertions BEFORE INSERT ON assertions BEGIN SELECT raise(ABORT, 'D1 is overloaded'); END",
    ).run();
    try {
      await pollNow();
      await until(async () => (await stored())['poll_failures'] !== 0);
      expect(waiting.acked).toEqual([]);
      expect((await shown()).poll.lastError).toBe('an event could not be carried out yet');
    } finally {
      await env.DB.prepare('DROP TRIGGER no_assertions').run();
    }
    await pollNow();
    await until(() => waiting.acked.includes(id));
    expect(await signedOut()).toBe(1);
    await until(async () => (await stored())['poll_failures'] === 0);
  });

  it('acts once on an event whose acknowledgement was lost by a restart', async () => {
    await queue();
    let isDown = true;
    waiting.answer = (init) =>
      isDown && 'ack' in JSON.parse(init!.body as string) ? new Response(null, { status: 500 }) : undefined;
    await pollNow();
    await until(async () => (await stored())['poll_failures'] !== 0);
    expect(waiting.sets.size).toBe(1);
    isDown = false;
    await pollNow();
    await until(() => waiting.acked.length === 1);
    expect(await signedOut()).toBe(1);
  });
});

describe('a transmitter that', () => {
  it('repeats what was acknowledged is asked twice, and then waits', async () => {
    const set = await setOf(transmitter, purged, {}, { jti: 'again', ...about() });
    waiting.answer = () => Response.json({ sets: { again: set }, moreAvailable: true });
    await pollNow();
    await until(async () => (await stored())['poll_failures'] !== 0);
    expect((await shown()).poll.lastError).toBe('it sends what was acknowledged again');
    const polls = waiting.polls.length;
    expect(await signedOut()).toBe(1);
    await remindOfPolls(env);
    expect(waiting.polls.length).toBe(polls);
  });

  it('always says that there is more is asked once in a while', async () => {
    waiting.answer = () => Response.json({ sets: {}, moreAvailable: true });
    const before = waiting.polls.length;
    await pollNow();
    await until(() => waiting.polls.length > before);
    await until(async () => (await stored())['polled_at'] !== null);
    expect(waiting.polls.length).toBe(before + 1);
  });

  it.each<[string, () => Response, RegExp]>([
    ['redirects', () => new Response(null, { status: 302, headers: { Location: 'https://10.0.0.1' } }), /redirects/],
    ['fails', () => new Response(null, { status: 500 }), /answered 500/],
    ['refuses the token', () => new Response(null, { status: 401 }), /enter new credentials/],
    ['answers something else', () => new Response('<html>'), /no JSON object/],
    ['answers an enormous text', () => new Response(`{"sets":{"a":"${'x'.repeat(2_000_000)}"}}`), /larger than 1 MiB/],
    ['answers a list', () => Response.json({ sets: ['x'] }), /no object «sets»/],
  ])('%s is asked again after a pause, and org health says so', async (_, answer, why) => {
    waiting.answer = answer;
    await pollNow();
    await until(async () => (await stored())['poll_failures'] === 1);
    expect((await shown()).poll.lastError).toMatch(why);
    await env.DB.prepare('UPDATE signal_sources SET poll_failing_since = 1 WHERE org_id = ?').bind(idp.orgId).run();
    const { body } = await admin('GET', `/orgs/${idp.slug}/health`);
    expect(body.signals[0].poll).toMatchObject({ failures: 1, lastError: expect.stringMatching(why) });
    expect(body.advice).toContainEqual({
      says: expect.stringMatching(/cannot be polled since 1970/),
      command: expect.stringMatching(/^signals (show|resume)/),
    });
  });

  it('hangs delays neither a deactivation nor the stream of another org', async () => {
    const other = await newIdp(`poll-other-${n}`);
    const { waiting: theirs, transmitter: their } = await newPolled(other);
    const grace = (await other.user('grace', { externalId: '00uGrace' })).id;
    let isReleased = false;
    waiting.answer = async () => {
      // Not a promise of the test's: it would go on in the test's own context.
      while (!isReleased) await new Promise((resolve) => setTimeout(resolve, 20));
      return new Response(null, { status: 500 });
    };
    const before = waiting.polls.length;
    await pollNow();
    await until(() => waiting.polls.length > before);
    const begun = Date.now();
    expect((await idp.patch(`/Users/${ada}`, [{ op: 'replace', path: 'active', value: false }])).status).toBe(200);
    expect(await env.REVOCATIONS.get(`rev:v1:${idp.orgId}:${ada}`, 'json')).toMatchObject({ active: false });
    const sub_id = { format: 'iss_sub', iss: their.issuer, sub: '00uGrace' };
    theirs.sets.set('theirs', await setOf(their, purged, {}, { jti: 'theirs', sub_id }));
    await coordinatorOf(other.orgId).pollSoon();
    await until(() => theirs.acked.length === 1);
    expect(Date.now() - begun).toBeLessThan(5_000);
    expect((await journal(other.orgId)).at(-1)).toMatchObject({ type: 'user.signed_out', target_id: grace });
    isReleased = true;
    await until(async () => (await stored())['poll_failures'] === 1);
  });
});

describe('the operator', () => {
  const change = (verb: string, body: object = {}) =>
    admin('POST', `/orgs/${idp.slug}/signals/${transmitter.id}/${verb}`, { body });

  it('pauses a stream, which is polled no more, and goes on with what waited', async () => {
    await until(async () => (await stored())['polled_at'] !== null);
    expect((await change('pause')).status).toBe(200);
    const id = await queue();
    const polls = waiting.polls.length;
    await abortAllDurableObjects();
    await coordinatorOf(idp.orgId).pollSoon();
    await remindOfPolls(env);
    expect([waiting.polls.length, (await stored())['poll_due_at']]).toEqual([polls, null]);
    await change('resume');
    await until(() => waiting.acked.includes(id));
  });

  it('enters new credentials, by which the stream is polled at once', async () => {
    waiting.answer = (init) =>
      new Headers(init?.headers).get('Authorization') === 'Bearer another'
        ? undefined
        : new Response(null, { status: 401 });
    const id = await queue();
    await pollNow();
    await until(async () => (await stored())['poll_failures'] !== 0);
    expect((await change('resume', { auth: 'another' })).status).toBe(200);
    await until(() => waiting.acked.includes(id));
    expect(JSON.stringify(await journal(idp.orgId))).not.toContain('another"');
  });

  it('removes a stream, which is deleted at the transmitter with the credentials that are kept', async () => {
    const { body } = await admin('DELETE', `/orgs/${idp.slug}/signals/${transmitter.id}`);
    expect(body).toMatchObject({ removed: transmitter.id, streamDeleted: true });
    expect(transmitter.heard.at(-1)).toMatchObject({
      request: 'DELETE /streams?stream_id=stream-1',
      authorization: 'Bearer transmitter-token',
    });
  });

  it('meets the source of another org as one that never existed', async () => {
    const other = await newIdp(`poll-foreign-${n}`);
    const before = await stored();
    for (const [method, rest] of [
      ['GET', ''],
      ['POST', '/pause'],
      ['POST', '/resume'],
      ['DELETE', ''],
    ] as const) {
      const body = method === 'GET' ? {} : { body: {} };
      const [theirs, nobody] = await Promise.all(
        [transmitter.id, '000000000000'].map((id) => admin(method, `/orgs/${other.slug}/signals/${id}${rest}`, body)),
      );
      expect([method, rest, theirs!.status, theirs!.text]).toEqual([method, rest, 404, nobody!.text]);
    }
    expect(await stored()).toMatchObject({ id: before['id'], paused_at: null, credentials: before['credentials'] });
  });

  it.each<[string, object, number, RegExp]>([
    ['without credentials', { auth: undefined }, 400, /^auth, client/],
    ['with both kinds of them', { client: { id: 'a', secret: 'b' } }, 400, /^auth, client/],
    ['with an address inside', { pollUrl: 'https://10.0.0.1/poll', audience: 'x' }, 400, /^pollUrl/],
    ['by hand without its audience', { pollUrl: 'https://x.test/poll' }, 400, /^audience/],
    ['with an address, and pushed', { delivery: 'push', pollUrl: 'https://x.test/poll' }, 400, /^pollUrl/],
  ])('cannot add a stream %s', async (_, more, status, detail) => {
    const body = { type: 'ssf', transmitter: 'https://new.test', delivery: 'poll', auth: 'x', ...more };
    const answer = await admin('POST', `/orgs/${idp.slug}/signals`, { body });
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringMatching(detail)]);
  });
});

describe('a client of the transmitter', () => {
  it('gets its tokens at the token endpoint, and a new one when the transmitter wants it', async () => {
    const other = await newIdp(`poll-client-${n}`);
    await other.user('ada', { externalId: '00uAda' });
    let issued = 0;
    const forms: string[] = [];
    const login = await startTransmitter();
    login.answer = (_, init) => {
      forms.push(`${new Headers(init?.headers).get('Authorization')} ${init?.body}`);
      return Response.json({ access_token: `token-${++issued}`, token_type: 'Bearer', expires_in: 3600 });
    };
    const client = { id: 'a:b', secret: 'se cret', tokenUrl: `${login.issuer}/token` };
    const made = await newPolled(other, { auth: undefined, client });
    await vi.waitFor(() => expect(made.waiting.polls.length).toBeGreaterThan(0));
    expect(forms[0]).toBe(`Basic ${btoa('a%3Ab:se+cret')} grant_type=client_credentials&scope=ssf.manage+ssf.read`);
    const before = issued;
    made.waiting.answer = (init) =>
      new Headers(init?.headers).get('Authorization') === `Bearer token-${before}`
        ? new Response(null, { status: 401 })
        : undefined;
    made.waiting.sets.set(
      'a',
      await setOf(
        made.transmitter,
        `${CAEP}session-revoked`,
        { initiating_entity: 'admin' },
        {
          jti: 'a',
          sub_id: { format: 'iss_sub', iss: made.transmitter.issuer, sub: '00uAda' },
        },
      ),
    );
    await coordinatorOf(other.orgId).pollSoon();
    await vi.waitFor(() => expect(made.waiting.acked).toEqual(['a']), { timeout: 8_000 });
    expect(issued).toBe(before + 1);
  });
});
