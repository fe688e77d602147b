/** Delivery by poll (RFC 8936): tokens are handed out until they are acknowledged, in order for each org. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type Idp, newIdp } from '../../support/client';
import { rows } from '../../support/database';
import { newReceiver, POLL, PROV, removeReceivers, SSF, shortOf, type TestReceiver, verified } from '../../support/ssf';

vi.spyOn(console, 'error').mockImplementation(() => undefined);

let n = 0;
let idp: Idp;
let receiver: TestReceiver;
let id: string;
beforeEach(async () => {
  await removeReceivers();
  idp = await newIdp(`polled-${++n}`);
  receiver = await newReceiver([idp.slug]);
  const { body } = await receiver.api('POST', '/streams', { body: { delivery: { method: POLL } } });
  id = body.stream_id;
});

const poll = (body: object = {}) => receiver.api('POST', `/poll/${id}`, { body: { returnImmediately: true, ...body } });
const jtis = ({ body }: Awaited<ReturnType<typeof poll>>) => Object.keys(body.sets);
const told = async ({ body }: Awaited<ReturnType<typeof poll>>) =>
  Promise.all(Object.values(body.sets as Record<string, string>).map((set) => verified(set, receiver.audience)));
const users = async (answer: Awaited<ReturnType<typeof poll>>) =>
  (await told(answer)).map(({ claims }) => claims.sub_id['externalId']);
const user = (name: string) => idp.user(`${name}@example.com`, { externalId: name });

/** Everything that is there, acknowledged as it comes. */
async function drain(most = 100): Promise<unknown[]> {
  const all: unknown[] = [];
  let ack: string[] = [];
  for (let i = 0; i < 50; i++) {
    const answer = await poll({ ack, maxEvents: most });
    if (jtis(answer).length === 0) return all;
    all.push(...(await users(answer)));
    ack = jtis(answer);
  }
  throw new Error('it does not end');
}

describe('a poll', () => {
  it('is empty where nothing happened; then it has the tokens, each under its jti', async () => {
    expect((await poll()).body).toEqual({ sets: {}, moreAvailable: false });
    await user('ada');
    const answer = await poll();
    expect(answer.status).toBe(200);
    const [one] = await told(answer);
    expect(one).toMatchObject({ uri: `${PROV}create:notice`, claims: { jti: jtis(answer)[0] } });
  });

  it('without an acknowledgement hands out the same again, with the same jti', async () => {
    await user('ada');
    await user('grace');
    const [first, second] = [await poll(), await poll()];
    expect(jtis(first)).toHaveLength(2);
    expect(jtis(second)).toEqual(jtis(first));
    const third = await poll({ ack: [jtis(first)[0]] });
    expect(jtis(third)).toEqual([jtis(first)[1]]);
    await user('edsger');
    // Order holds: what is behind waits for what was handed out.
    expect(jtis(await poll())).toEqual([jtis(first)[1]]);
    expect(await users(await poll({ ack: [jtis(first)[1]] }))).toEqual(['edsger']);
  });

  it('acknowledged in any order, twice, or with strange jtis loses and doubles nothing', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await user(name);
    const all = jtis(await poll());
    await poll({ ack: [all[3], all[1], all[1], 'x', `${id}.x`, `other.${idp.orgId}.1`], maxEvents: 0 });
    expect(jtis(await poll())).toEqual([all[0], all[2]]);
    expect(jtis(await poll({ ack: [all[0], all[2]] }))).toEqual([]);
    await user('e');
    expect(await users(await poll({ ack: all }))).toEqual(['e']);
  });

  it('hands out as many as are asked for, and says whether there are more', async () => {
    for (let i = 0; i < 30; i++) await user(`user-${i}`);
    const first = await poll({ maxEvents: 7 });
    expect(jtis(first)).toHaveLength(7);
    expect(first.body.moreAvailable).toBe(true);
    expect(jtis(await poll({ maxEvents: 3 }))).toEqual(jtis(first).slice(0, 3));
    expect(jtis(await poll({ maxEvents: 0 }))).toEqual([]);
    expect(await drain(7)).toEqual(Array.from({ length: 30 }, (_, i) => `user-${i}`));
    expect((await poll()).body).toEqual({ sets: {}, moreAvailable: false });
  });

  it('finds the one event that was asked for behind many others, in one look', async () => {
    const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';
    await receiver.api('PATCH', '/streams', { body: { stream_id: id, events_requested: [SESSION_REVOKED] } });
    for (let i = 0; i < 45; i++) await user(`other-${i}`);
    const ada = await user('ada');
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: false }]);
    const answer = await poll();
    expect(await told(answer)).toMatchObject([{ uri: SESSION_REVOKED }]);
    expect(answer.body.moreAvailable).toBe(false);
    expect((await poll({ ack: jtis(answer) })).body).toEqual({ sets: {}, moreAvailable: false });
  });

  it('says that there are more while a page of the journal is not the last one', async () => {
    for (let i = 0; i < 45; i++) await user(`user-${i}`);
    const seen: [number, boolean][] = [];
    let ack: string[] = [];
    for (let more = true; more; ) {
      const answer = await poll({ ack });
      ack = jtis(answer);
      more = answer.body.moreAvailable;
      seen.push([ack.length, more]);
    }
    expect(seen.at(-1)![1]).toBe(false);
    expect(seen.reduce((sum, [size]) => sum + size, 0)).toBe(45);
  });

  it('goes on after a token that the receiver cannot read, and operators see it', async () => {
    await user('ada');
    await user('grace');
    const [first, second] = jtis(await poll());
    const setErrs = { [first!]: { err: 'invalid_request', description: 'a value that is not kept: <script>' } };
    expect(jtis(await poll({ setErrs }))).toEqual([second]);
    const [stream] = await rows('SELECT refused, last_refusal FROM signal_streams WHERE id = ?', id);
    expect(stream).toEqual({ refused: 1, last_refusal: `${first}: the receiver said invalid_request` });
  });

  it('has the verification, until it is acknowledged', async () => {
    await receiver.api('POST', '/verification', { body: { stream_id: id, state: 'abc' } });
    const [first, second] = [await poll(), await poll()];
    expect(await told(first)).toMatchObject([{ uri: `${SSF}verification`, event: { state: 'abc' } }]);
    expect(jtis(second)).toEqual(jtis(first));
    expect(jtis(await poll({ ack: jtis(first) }))).toEqual([]);
    const [stream] = await rows('SELECT verified_at FROM signal_streams WHERE id = ?', id);
    expect(stream!['verified_at']).toEqual(expect.any(Number));
  });

  it('does not wait where many events without a token lie before the end of the journal: the receiver asks again', async () => {
    await rows(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
        INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details)
        SELECT ?1, (SELECT event_seq FROM orgs WHERE id = ?1) + i, 1, 'user.updated', 'a', 't', 'r', '{}' FROM n`,
      idp.orgId,
    );
    await rows('UPDATE orgs SET event_seq = event_seq + 900 WHERE id = ?', idp.orgId);
    const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';
    await receiver.api('PATCH', '/streams', { body: { stream_id: id, events_requested: [SESSION_REVOKED] } });
    const ada = await user('ada');
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: false }]);
    const first = await poll({ returnImmediately: false });
    expect(first.body).toEqual({ sets: {}, moreAvailable: true });
    const found: object[] = [];
    for (let more = true; more && found.length === 0; ) {
      const answer = await poll({ returnImmediately: false });
      found.push(...(await told(answer)));
      more = answer.body.moreAvailable;
    }
    expect(found).toMatchObject([{ uri: SESSION_REVOKED }]);
  });

  it('waits for something to happen, if the receiver wants it', async () => {
    const waiting = receiver.api('POST', `/poll/${id}`, { body: {} });
    await user('ada');
    expect(await users(await waiting)).toEqual(['ada']);
  });

  it('is empty while the stream is paused, and has what happened meanwhile afterwards', async () => {
    const set = (status: string) => receiver.api('POST', '/status', { body: { stream_id: id, status } });
    await set('paused');
    await user('ada');
    const kinds = async () => (await told(await poll())).map(({ uri }) => shortOf(uri));
    expect(await kinds()).toEqual([]);
    await set('enabled');
    expect(await kinds()).toEqual(['prov:create:notice']);
  });

  it('that acknowledges tokens of a paused stream gets no others, and what follows once it is enabled', async () => {
    const set = (status: string) => receiver.api('POST', '/status', { body: { stream_id: id, status } });
    for (const name of ['ada', 'bob', 'eve']) await user(name);
    const first = await poll({ maxEvents: 2 });
    await set('paused');
    expect(jtis(await poll({ ack: jtis(first) }))).toEqual([]);
    await set('enabled');
    expect(await users(await poll())).toEqual(['eve']);
  });

  it('of a receiver of several orgs has all of them, each in its order', async () => {
    const everyone = await newReceiver();
    const { body } = await everyone.api('POST', '/streams', { body: {} });
    const orgs = [idp, await newIdp(`polled-b-${n}`), await newIdp(`polled-c-${n}`)];
    for (let i = 0; i < 25; i++) for (const one of orgs) await one.user(`u${i}@example.com`, { externalId: `${i}` });
    const got = new Map<string, string[]>();
    let ack: string[] = [];
    for (let i = 0; i < 20; i++) {
      const answer = await everyone.api('POST', `/poll/${body.stream_id}`, { body: { returnImmediately: true, ack } });
      ack = Object.keys(answer.body.sets);
      if (ack.length === 0) break;
      for (const set of Object.values(answer.body.sets as Record<string, string>)) {
        const { claims } = await verified(set, everyone.audience);
        const org = (claims['org'] as { slug: string }).slug;
        got.set(org, [...(got.get(org) ?? []), claims.sub_id['externalId'] as string]);
      }
    }
    const expected = Array.from({ length: 25 }, (_, i) => `${i}`);
    for (const { slug } of orgs) expect(got.get(slug)).toEqual(expected);
  });

  it('of a stream that asks for other events meanwhile loses nothing', async () => {
    const patched = (events_requested: string[]) =>
      receiver.api('PATCH', '/streams', { body: { stream_id: id, events_requested } });
    await patched([`${PROV}create:notice`]);
    for (let i = 0; i < 15; i++) {
      const { id: user } = await idp.user(`u${i}@example.com`, { externalId: `u${i}` });
      await idp.patch(`/Users/${user}`, [{ op: 'replace', path: 'title', value: 'x' }]);
    }
    const handed = jtis(await poll());
    expect(handed.length).toBeGreaterThan(7);
    await patched([`${PROV}create:notice`, `${PROV}patch:notice`]);
    await poll({ ack: handed.slice(0, 7), maxEvents: 0 });
    expect(new Set(await drain())).toEqual(new Set(Array.from({ length: 15 }, (_, i) => `u${i}`)));
  });

  it('by two clients at the same time hands out everything at least once', async () => {
    for (let i = 0; i < 10; i++) await user(`user-${i}`);
    const [a, b] = await Promise.all([poll(), poll()]);
    expect(jtis(a)).toEqual(jtis(b));
    await Promise.all([poll({ ack: jtis(a).slice(0, 6) }), poll({ ack: jtis(a).slice(4) })]);
    await drain();
    expect(await rows('SELECT handed_out, due_at FROM signal_lines WHERE stream_id = ?', id)).toEqual([
      { handed_out: null, due_at: null },
    ]);
  });

  it.each([
    ['maxEvents: -1', { maxEvents: -1 }],
    ['maxEvents: text', { maxEvents: 'all' }],
    ['returnImmediately: text', { returnImmediately: 'yes' }],
    ['ack: text', { ack: 'all' }],
    ['ack: too many', { ack: Array.from({ length: 501 }, (_, i) => `${i}`) }],
    ['ack: numbers', { ack: [1] }],
    ['setErrs: a list', { setErrs: [] }],
    ['setErrs: text', { setErrs: { x: 'bad' } }],
  ])('refuses what is wrong: %s', async (_, body) => {
    expect((await poll(body)).status).toBe(400);
  });
});
