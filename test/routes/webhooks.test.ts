/** Webhooks: what is sent to whom, in which order, whatever receivers do; and the commands around them. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { remindOfWebhooks } from '../../src/cron/webhooks';
import { pauseAfter } from '../../src/webhooks/deliveries';
import { admin, host, type Idp, newIdp } from '../support/client';
import { coordinatorOf, flagOf } from '../support/coordinator';
import { dump, journal, rows } from '../support/database';
import { catchWebhooks, Receiver } from '../support/receiver';

catchWebhooks();
const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`hooks-${++n}`);
});

async function add(more: Record<string, unknown> = {}) {
  const receiver = new Receiver(`https://hooks.example.com/${crypto.randomUUID()}`);
  const { status, body, text } = await admin('POST', '/webhooks', {
    body: { url: receiver.url, org: idp.slug, ...more },
  });
  if (status !== 201) throw new Error(text);
  receiver.secret = body.secret;
  return { receiver, id: body.id as string };
}

const until = (condition: () => void | Promise<void>) => vi.waitFor(condition, { timeout: 20_000, interval: 20 });
const told = (receiver: Receiver, ...events: string[]) => until(() => expect(receiver.told).toEqual(events));
const shown = async (id: string) => (await admin('GET', `/webhooks/${id}`)).body;
const lineOf = async (id: string) =>
  (await rows('SELECT * FROM webhook_lines WHERE webhook_id = ? AND org_id = ?', id, idp.orgId))[0];
const setLine = (id: string, set: string) =>
  env.DB.prepare(`UPDATE webhook_lines SET ${set} WHERE webhook_id = ? AND org_id = ?`).bind(id, idp.orgId).run();
/** The alarm, as if the pause were over. */
const afterPause = async (id: string) => {
  await setLine(id, 'due_at = 1');
  await coordinatorOf(idp.orgId).deliverSoon();
};
const changesAfter = (after: string | number) => host('GET', `/changes?org=${idp.slug}&after=${after}`);
const quiet = async (id: string) => until(async () => expect(await lineOf(id)).toMatchObject({ due_at: null }));

describe('a message', () => {
  it('has the event and the present state of the user, as changes shows it', async () => {
    const { receiver } = await add();
    const ada = await idp.user('ada@example.com', { displayName: 'Ada' });
    await until(() => expect(receiver.got).toHaveLength(1));
    const [{ message, id }] = receiver.got as [(typeof receiver.got)[0]];
    const { seq, next, user } = message.data;
    const changes = await changesAfter(seq - 1);
    expect(message.type).toBe('user.created');
    expect(id).toBe(`msg_${idp.orgId}_${seq}`);
    expect(user).toEqual(changes.body.users[0]);
    expect(user).toMatchObject({ id: ada.id, userName: 'ada@example.com', displayName: 'Ada', active: true });
    expect(message.data.org).toEqual({ id: idp.orgId, slug: idp.slug, name: idp.slug, active: true });
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: false }]);
    const since = await changesAfter(next!);
    expect(since.body.users).toEqual([expect.objectContaining({ id: ada.id, active: false })]);
  });

  it('of a group has the group, and of what is deleted that it is removed', async () => {
    const { receiver } = await add({ types: ['user.deleted', 'group.*'] });
    const ada = await idp.user('ada');
    const { body: group } = await idp.post('/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: 'Team',
      members: [{ value: ada.id }],
    });
    await until(() => expect(receiver.got).toHaveLength(1));
    expect(receiver.got[0]!.message.data.group).toEqual({
      id: group.id,
      displayName: 'Team',
      externalId: null,
      permissions: [],
    });
    await idp.delete(`/Groups/${group.id}`);
    await idp.delete(`/Users/${ada.id}`);
    await until(() => expect(receiver.got).toHaveLength(3));
    expect(receiver.got[1]!.message.data.group).toEqual({ id: group.id, removed: true, removedAt: null });
    expect(receiver.got[2]!.message.data.user).toEqual({ id: ada.id, removed: true, removedAt: expect.any(String) });
  });

  it('is sent in order, each event once, under the load of many changes at once', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    await Promise.all(Array.from({ length: 60 }, (_, i) => idp.user(`user-${i}`)));
    await until(() => expect(receiver.got).toHaveLength(60));
    const seqs = receiver.got.map(({ message }) => message.data.seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    expect(new Set(seqs).size).toBe(60);
    await quiet(id);
  });

  it('is sent of everything, whichever API or program wrote it', async () => {
    const { receiver } = await add({ types: ['org.*', 'token.*', 'scim.*'] });
    await admin('POST', `/orgs/${idp.slug}/disable`, { body: {} });
    await admin('POST', `/orgs/${idp.slug}/enable`, { body: {} });
    await admin('POST', `/orgs/${idp.slug}/tokens/rotate`, { body: {} });
    await until(() =>
      expect(receiver.told.map((it) => it.split(' ')[0])).toEqual(['org.disabled', 'org.enabled', 'token.rotated']),
    );
    expect(receiver.got[2]!.message.data).not.toHaveProperty('user');
  });

  it('of another org is never sent', async () => {
    const { receiver } = await add();
    const other = await newIdp(`other-${n}`);
    await other.user('eve');
    await idp.user('ada');
    await until(() => expect(receiver.got).toHaveLength(1));
    expect(receiver.got[0]!.message.data.org!.id).toBe(idp.orgId);
  });

  it('goes to an endpoint of all orgs from each of them, later ones included', async () => {
    const { receiver, id } = await add({ org: undefined, types: ['user.created'] });
    const later = await newIdp(`later-${n}`);
    await idp.user('ada');
    await later.user('bob');
    await until(() =>
      expect(receiver.got.map(({ message }) => message.data.org!.slug).sort()).toEqual([idp.slug, later.slug].sort()),
    );
    expect(await shown(id)).toMatchObject({ org: null, disabled: 0, failing: 0, delivery: null });
    await admin('DELETE', `/webhooks/${id}`);
    expect(await lineOf(id)).toBeUndefined();
  });
});

describe('a receiver that', () => {
  const failing: Record<string, [answer: Receiver['answer'], error: RegExp]> = {
    'answers 302': [
      () => new Response(null, { status: 302, headers: { Location: 'http://169.254.169.254/' } }),
      /answered 302, and redirects are not followed/,
    ],
    'answers 500': [() => new Response('broken', { status: 500 }), /answered 500/],
    'answers nothing': [() => Promise.reject(new TypeError('Network connection lost.')), /no connection/],
    'never answers': [
      (signal) =>
        new Promise((_, reject) => {
          signal!.addEventListener('abort', () => reject(signal!.reason));
        }),
      /no answer within 10 s/,
    ],
  };
  for (const [name, [answer, error]] of Object.entries(failing)) {
    it(`${name} is sent the same message again, and the next one after it`, async () => {
      const { receiver, id } = await add({ types: ['user.*'] });
      const good = receiver.answer;
      receiver.answer = answer;
      await idp.user('ada');
      await until(async () => expect(await lineOf(id)).toMatchObject({ failures: 1 }));
      await idp.user('bob');
      const { delivery } = await shown(id);
      expect(delivery.lastError).toMatch(error);
      expect(delivery).toMatchObject({ failures: 1, disabledAt: null, behind: 2 });
      expect(Date.parse(delivery.nextAttemptAt)).toBeGreaterThan(Date.now() - 1_000);
      expect(receiver.attempts).toBe(1);
      receiver.answer = good;
      await afterPause(id);
      await until(() => expect(receiver.got).toHaveLength(2));
      expect(receiver.got[0]!.message.data.user).toMatchObject({ userName: 'ada' });
      await quiet(id);
      expect((await shown(id)).delivery).toMatchObject({ failures: 0, behind: 0, lastError: null });
    });
  }

  it('answers a megabyte has its message delivered, and the answer is not read', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    let pulled = 0;
    receiver.answer = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            pulled++;
            controller.enqueue(new Uint8Array(65_536));
          },
        }),
      );
    await idp.user('ada');
    await until(() => expect(receiver.got).toHaveLength(1));
    await quiet(id);
    expect(pulled).toBeLessThan(4);
  });

  it('is slow delays no other receiver and no revocation', async () => {
    const slow = await add({ types: ['user.*'] });
    const quick = await add({ types: ['user.*'] });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    slow.receiver.answer = async () => {
      await held;
      return new Response(null, { status: 200 });
    };
    const ada = await idp.user('ada');
    await until(() => expect(slow.receiver.attempts).toBe(1));
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: false }]);
    expect(await flagOf(idp.orgId, ada.id)).toMatchObject({ active: false });
    await until(() => expect(quick.receiver.got).toHaveLength(2));
    // The alarm is not held up, either.
    await coordinatorOf(idp.orgId).publishSoon();
    await runDurableObjectAlarm(coordinatorOf(idp.orgId));
    expect(slow.receiver.got).toHaveLength(0);
    release();
    await until(() => expect(slow.receiver.got).toHaveLength(2));
  });

  it('is one of many slow ones: four of an org are waited for at once, which leaves room for the revocations', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = await Promise.all(Array.from({ length: 6 }, () => add({ types: ['user.*'] })));
    let [waiting, most] = [0, 0];
    for (const { receiver } of slow) {
      receiver.answer = async () => {
        most = Math.max(most, ++waiting);
        await held;
        waiting--;
        return new Response(null, { status: 200 });
      };
    }
    const ada = await idp.user('ada');
    await until(() => expect(waiting).toBe(4));
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: false }]);
    expect(await flagOf(idp.orgId, ada.id)).toMatchObject({ active: false });
    release();
    for (const { receiver } of slow) await until(() => expect(receiver.got).toHaveLength(2));
    expect(most).toBe(4);
  });

  it('fails for 24 hours is disabled: the journal and the health of the org say so, and nothing is lost', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    const good = receiver.answer;
    receiver.answer = () => new Response(null, { status: 500 });
    await idp.user('ada');
    await until(async () => expect(await lineOf(id)).toMatchObject({ failures: 1 }));
    await setLine(id, `failing_since = ${Date.now() - 23 * 3_600_000}`);
    await afterPause(id);
    await until(async () => expect(await lineOf(id)).toMatchObject({ failures: 2, disabled_at: null }));
    await setLine(id, `failing_since = ${Date.now() - 24 * 3_600_000 - 1}`);
    await afterPause(id);
    await until(async () => expect((await shown(id)).delivery).toMatchObject({ disabledWhy: 'failing' }));
    const event = (await journal(idp.orgId)).at(-1)!;
    expect(event).toMatchObject({ type: 'webhook.disabled', target_id: id, actor: 'service' });
    const health = await admin('GET', `/orgs/${idp.slug}/health`);
    expect(health.body.webhooks).toEqual([expect.objectContaining({ id, disabledWhy: 'failing' })]);
    expect(JSON.stringify(health.body.advice)).toContain(`webhook enable ${id}`);
    await idp.user('bob');
    expect(receiver.got).toHaveLength(0);
    receiver.answer = good;
    await admin('POST', `/webhooks/${id}/enable`, { body: {} });
    await until(() => expect(receiver.got).toHaveLength(2));
    expect(receiver.got[0]!.message.data.user).toMatchObject({ userName: 'ada' });
  });

  it('answers 410 is disabled at once', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    receiver.answer = () => new Response(null, { status: 410 });
    await idp.user('ada');
    await until(async () => expect((await shown(id)).delivery).toMatchObject({ disabledWhy: 'gone' }));
  });

  it('is given a message again when the object ends before it could note the delivery', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    await idp.user('ada');
    await until(() => expect(receiver.got).toHaveLength(1));
    await quiet(id);
    await setLine(id, 'seq = seq - 1, due_at = 0'); // as a crash leaves it
    await remindOfWebhooks(env);
    await until(() => expect(receiver.got).toHaveLength(2));
    expect(receiver.got[1]!.id).toBe(receiver.got[0]!.id);
  });
});

it('pauses grow, differ and end at an hour; a receiver may ask for more, up to that', () => {
  expect(pauseAfter(0, 0, 0)).toBe(1_000);
  expect(pauseAfter(0, 0, 1)).toBe(2_000);
  expect(pauseAfter(5, 0, 1)).toBe(64_000);
  expect(pauseAfter(40, 0, 1)).toBe(3_600_000);
  expect(pauseAfter(0, 30_000, 1)).toBe(30_000);
  expect(pauseAfter(0, 1e12, 1)).toBe(3_600_000);
});

describe('the commands', () => {
  it('show a secret once, and the database holds it encrypted', async () => {
    const { receiver, id } = await add();
    expect(receiver.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const all = await dump();
    expect(all).toContain(id);
    expect(all).not.toContain(receiver.secret);
    expect(all).not.toContain(receiver.secret.slice(6));
    expect(JSON.stringify(await shown(id))).not.toContain(receiver.secret);
  });

  it('rotate a secret: both sign until the grace is over', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    const old = receiver.secret;
    const rotated = await admin('POST', `/webhooks/${id}/rotate-secret`, { body: { grace: '1h' } });
    expect(rotated.body).toMatchObject({
      secret: expect.stringMatching(/^whsec_/),
      previousSecretUntil: expect.any(String),
    });
    await idp.user('ada');
    await until(() => expect(receiver.got).toHaveLength(1)); // verified with the old one
    expect(receiver.got[0]!.signatures).toHaveLength(2);
    receiver.secret = rotated.body.secret;
    await idp.user('bob');
    await until(() => expect(receiver.got).toHaveLength(2));
    await admin('POST', `/webhooks/${id}/rotate-secret`, { body: { grace: '0' } });
    receiver.secret = old;
    await idp.user('eve');
    await until(async () => expect(await lineOf(id)).toMatchObject({ failures: 1 }));
  });

  it('test an endpoint: what came of it is the answer', async () => {
    const { receiver, id } = await add();
    const good = await admin('POST', `/webhooks/${id}/test`);
    expect(good.body).toMatchObject({ delivered: true, status: 204, error: null });
    expect(receiver.told).toEqual(['webhook.test 0']);
    receiver.answer = () => new Response(null, { status: 404 });
    const bad = await admin('POST', `/webhooks/${id}/test`);
    expect(bad.body).toMatchObject({ delivered: false, status: 404, error: 'it answered 404' });
  });

  it('disable, enable: what happened meanwhile is delivered', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    await admin('POST', `/webhooks/${id}/disable`, { body: {} });
    await idp.user('ada');
    await remindOfWebhooks(env);
    expect(receiver.attempts).toBe(0);
    await admin('POST', `/webhooks/${id}/enable`, { body: {} });
    await until(() => expect(receiver.got).toHaveLength(1));
  });

  /** Six messages wait, and the receiver holds the first one until the operator has done something. */
  async function inTheMiddle(
    act: (id: string, receiver: Receiver) => Promise<unknown>,
    { status = 204, ofAllOrgs = false } = {},
  ) {
    const { receiver, id } = await add({ types: ['user.*'], ...(ofAllOrgs && { org: undefined }) });
    await admin('POST', `/webhooks/${id}/disable`, { body: {} });
    for (let i = 0; i < 6; i++) await idp.user(`user-${i}`);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    receiver.answer = async () => {
      await held;
      return new Response(null, { status });
    };
    await admin('POST', `/webhooks/${id}/enable`, { body: {} });
    if (ofAllOrgs) await coordinatorOf(idp.orgId).deliverSoon();
    await until(() => expect(receiver.attempts).toBe(1));
    await act(id, receiver);
    release();
    return { receiver, id };
  }
  const names = ({ got }: Receiver) => got.map(({ message }) => (message.data.user as { userName?: string }).userName);

  it('disable while messages are sent: nothing more is sent, and enable goes on with the next one', async () => {
    const { receiver, id } = await inTheMiddle((id) => admin('POST', `/webhooks/${id}/disable`, { body: {} }));
    await until(async () => expect((await lineOf(id))!['delivered_at']).not.toBeNull());
    expect(receiver.attempts).toBe(1);
    await admin('POST', `/webhooks/${id}/enable`, { body: {} });
    await until(() => expect(receiver.got).toHaveLength(6));
    expect(names(receiver)).toEqual(Array.from({ length: 6 }, (_, i) => `user-${i}`));
  });

  it('disable a webhook of all orgs while messages are sent: nothing more is sent a tenth of a second later', async () => {
    const { receiver, id } = await inTheMiddle(
      async (id) => {
        await admin('POST', `/webhooks/${id}/disable`, { body: {} });
        await new Promise((resolve) => setTimeout(resolve, 100));
      },
      { ofAllOrgs: true },
    );
    await until(async () => expect((await lineOf(id))!['delivered_at']).not.toBeNull());
    expect(receiver.attempts).toBe(1);
    await admin('DELETE', `/webhooks/${id}`); // each org to come would have it
  });

  it('remove while messages are sent: nothing more is sent', async () => {
    const { receiver } = await inTheMiddle((id) => admin('DELETE', `/webhooks/${id}`));
    await until(() => expect(receiver.got).toHaveLength(1));
    const other = await add({ types: ['user.*'] });
    await idp.user('later');
    await until(() => expect(other.receiver.got).toHaveLength(1));
    expect(receiver.attempts).toBe(1);
  });

  it('rotate a secret without grace while messages are sent: the next one is signed by the new secret alone', async () => {
    let rotated = '';
    const { receiver } = await inTheMiddle(async (id, { secret }) => {
      ({ secret: rotated } = (await admin('POST', `/webhooks/${id}/rotate-secret`, { body: { grace: '0' } })).body);
      expect(rotated).not.toBe(secret);
    });
    receiver.secret = rotated;
    await until(() => expect(receiver.got).toHaveLength(6));
    for (const { signatures } of receiver.got) expect(signatures).toHaveLength(1);
  });

  it('disable while an answer is awaited that turns out to be 410: the journal does not say it a second time', async () => {
    await inTheMiddle((id) => admin('POST', `/webhooks/${id}/disable`, { body: {} }), { status: 410 });
    const other = await add({ types: ['user.*'] });
    await idp.user('later');
    await until(() => expect(other.receiver.got).toHaveLength(1));
    const told = (await journal(idp.orgId)).filter(({ type }) => type === 'webhook.disabled');
    expect(told.map(({ actor }) => actor)).toEqual(['admin:admin', 'admin:admin']);
  });

  it('replay from an event: it and all later ones are sent once more, with other ids and the present state', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    const ada = await idp.user('ada');
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'displayName', value: 'Ada' }]);
    await until(() => expect(receiver.got).toHaveLength(2));
    await quiet(id);
    const { seq } = receiver.got[0]!.message.data;
    expect((await admin('POST', `/webhooks/${id}/replay`, { body: { from: 1_000 } })).status).toBe(400);
    expect((await admin('POST', `/webhooks/${id}/replay`, { body: { from: 0 } })).status).toBe(400);
    const replayed = await admin('POST', `/webhooks/${id}/replay`, { body: { from: seq } });
    expect(replayed.body).toMatchObject({ id, org: idp.slug, from: seq });
    await until(() => expect(receiver.got).toHaveLength(4));
    expect(receiver.got[2]!.id).toBe(`${receiver.got[0]!.id}_1`);
    expect(receiver.got[2]!.message.data.user).toMatchObject({ displayName: 'Ada' });
  });

  it('of one org are not begun again in another, and not listed there', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    const other = await newIdp(`elsewhere-${n}`);
    await other.user('eve');
    const before = await dump();
    const foreign = await admin('POST', `/webhooks/${id}/replay`, { body: { org: other.slug, from: 1 } });
    const unknown = await admin('POST', '/webhooks/wh_0000000000000000/replay', { body: { org: other.slug, from: 1 } });
    expect([foreign.status, foreign.text]).toEqual([404, unknown.text]);
    expect(await dump()).toBe(before);
    const listed = await admin('GET', `/webhooks?org=${other.slug}`);
    expect(listed.body.map((webhook: { id: string }) => webhook.id)).not.toContain(id);
    expect(receiver.got).toHaveLength(0);
  });

  it('tell a receiver to read the lists, when events are gone that it was not sent', async () => {
    const { receiver, id } = await add({ types: ['user.*'] });
    receiver.answer = () => new Response(null, { status: 503 });
    await idp.user('ada');
    await until(async () => expect(await lineOf(id)).toMatchObject({ failures: 1 }));
    const { body } = await changesAfter(0);
    const pruned = body.asOfSeq as number;
    await env.DB.batch([
      env.DB.prepare('DELETE FROM events WHERE org_id = ?').bind(idp.orgId),
      env.DB.prepare('UPDATE orgs SET pruned_through = ? WHERE id = ?').bind(pruned, idp.orgId),
    ]);
    receiver.answer = () => new Response(null, { status: 200 });
    await afterPause(id);
    await told(receiver, `webhook.resync ${pruned}`);
    await quiet(id);
    await idp.user('bob');
    await told(receiver, `webhook.resync ${pruned}`, `user.created ${pruned + 1}`);
  });

  it('list the webhooks of an org with those of all orgs, and page through all of them', async () => {
    const own = await add();
    const common = await add({ org: undefined });
    const { body } = await admin('GET', `/webhooks?org=${idp.slug}`);
    expect(body.map(({ id }: { id: string }) => id).sort()).toEqual(expect.arrayContaining([own.id, common.id].sort()));
    const page = await admin('GET', '/webhooks?limit=1');
    expect(page.body).toHaveLength(1);
    expect(page.headers.get('Link')).toContain('rel="next"');
    await admin('DELETE', `/webhooks/${common.id}`);
    expect((await admin('GET', `/webhooks/${common.id}`)).status).toBe(404);
  });

  it('go with their org', async () => {
    const { id } = await add();
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    expect((await admin('GET', `/webhooks/${id}`)).status).toBe(404);
    expect(await lineOf(id)).toBeUndefined();
  });

  const refused = [
    'http://hooks.example.com/x',
    'https://10.0.0.1/x',
    'https://169.254.169.254/latest/meta-data',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://localhost/x',
    'https://hooks.internal/x',
    'https://user:secret@hooks.example.com/x',
    'https://hooks.example.com/x#y',
    'ftp://hooks.example.com/x',
    'hooks',
  ];
  it.each(refused)('refuse the address %s', async (url) => {
    const { status, body } = await admin('POST', '/webhooks', { body: { url, org: idp.slug } });
    expect([status, body.detail]).toEqual([400, expect.stringMatching(/^url: /)]);
  });

  it('take a loopback address where a variable allows it, and send nothing there where it does not', async () => {
    const url = 'http://127.0.0.1:9999/x';
    const receiver = new Receiver(url);
    const allowed = { ALLOW_LOOPBACK_WEBHOOKS: 'true' };
    const { body } = await admin('POST', '/webhooks', { body: { url, org: idp.slug }, env: allowed });
    receiver.secret = body.secret;
    expect((await admin('POST', `/webhooks/${body.id}/test`, { env: allowed })).body.delivered).toBe(true);
    expect((await admin('POST', `/webhooks/${body.id}/test`)).body).toMatchObject({ delivered: false, status: null });
    expect(receiver.attempts).toBe(1);
  });

  it('refuse a webhook without WEBHOOK_KEY, an unknown org, an eleventh one and a wrong type, and change nothing', async () => {
    const url = 'https://hooks.example.com/x';
    const post = (body: object, more = {}) =>
      admin('POST', '/webhooks', { body: { url, org: idp.slug, ...body }, env: more });
    expect((await post({}, { WEBHOOK_KEY: '' })).status).toBe(409);
    expect((await post({}, { WEBHOOK_KEY: 'short' })).status).toBe(503);
    expect((await post({ org: 'nobody' })).status).toBe(404);
    expect((await post({ types: ['user'] })).status).toBe(400);
    for (let i = 0; i < 10; i++) expect((await post({})).status).toBe(201);
    expect((await post({})).status).toBe(409);
    expect((await admin('GET', `/webhooks?org=${idp.slug}`)).body).toHaveLength(10);
  });

  it('go on with secrets from before a change of WEBHOOK_KEY, while the key before it is known', async () => {
    const { receiver, id } = await add();
    const changed = { WEBHOOK_KEY: 'another-webhook-key-0123456789abc', WEBHOOK_KEY_PREVIOUS: env.WEBHOOK_KEY! };
    expect((await admin('POST', `/webhooks/${id}/test`, { env: changed })).body.delivered).toBe(true);
    const gone = { WEBHOOK_KEY: 'another-webhook-key-0123456789abc' };
    expect((await admin('POST', `/webhooks/${id}/test`, { env: gone })).body).toMatchObject({
      delivered: false,
      error: 'the secret was encrypted under another WEBHOOK_KEY',
    });
    expect(receiver.attempts).toBe(1);
  });
});
