// Webhooks on the wire: a real receiver that fails in each way, verified by our package and by the reference library.
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { verifyWebhook } from '../../src/webhooks/client/index.ts';
import { type Server, startServer, type TestOrg } from '../support/server.ts';
import { startWebhookHost, type Taken, type WebhookHost } from '../support/webhook-host.ts';

let server: Server;
let receiver: WebhookHost;
beforeAll(async () => {
  [server, receiver] = await Promise.all([startServer(), startWebhookHost()]);
});
afterAll(async () => {
  await Promise.all([server?.stop(), receiver?.stop()]);
});

const until = (condition: () => void | Promise<void>) => vi.waitFor(condition, { timeout: 60_000, interval: 200 });

const add = async (org: TestOrg, path: string) => {
  const url = `${receiver.url}${path}?${org.slug}`;
  const made = await server.admin<{ id: string; secret: string }>('POST', '/webhooks', {
    url,
    org: org.slug,
    types: ['user.*'],
  });
  return { ...made, taken: () => receiver.taken(`${path}?${org.slug}`) };
};

async function user(org: TestOrg, userName: string): Promise<void> {
  const answer = await fetch(`${org.baseUrl}/Users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${org.token}`, 'content-type': 'application/scim+json' },
    body: JSON.stringify({ schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName }),
  });
  if (answer.status !== 201) throw new Error(await answer.text());
}

const lineOf = async (id: string) =>
  (await server.admin<{ delivery: Record<string, unknown> }>('GET', `/webhooks/${id}`)).delivery;
const userNameIn = ({ body }: Taken) => JSON.parse(body).data.user.userName;

it.concurrent('our package and the reference library read the same message', async () => {
  const org = await server.newOrg('agreed');
  const { secret, taken } = await add(org, '/good');
  await user(org, 'zoë@example.com');
  await until(() => expect(taken()).toHaveLength(1));
  const [{ headers, body }] = taken() as [Taken];
  const ours = await verifyWebhook({ secret, headers, body });
  expect(new Webhook(secret).verify(body, headers)).toEqual(ours);
  expect(ours.data.user).toMatchObject({ userName: 'zoë@example.com' });
});

// A machine that is busy with something else may take longer for once.
it.concurrent('99 of 100 messages arrive within two seconds of their commit', { retry: 2 }, async ({ task }) => {
  const org = await server.newOrg(`quick-${task.result?.retryCount ?? 0}`);
  const { taken } = await add(org, '/good');
  const answered: number[] = [];
  for (let i = 0; i < 100; i++) {
    await user(org, `user-${i}`);
    answered.push(Date.now());
  }
  await until(() => expect(taken()).toHaveLength(100));
  expect(taken().map(userNameIn)).toEqual(answered.map((_, i) => `user-${i}`));
  const delays = taken()
    .map(({ at }, i) => Math.max(0, at - answered[i]!))
    .sort((a, b) => a - b);
  console.info(`webhooks: ${delays[50]} ms in the middle, ${delays[98]} ms for 99 of 100, after the answer`);
  expect(delays[98]).toBeLessThan(2_000);
});

it.concurrent('a redirect, an error, a closed connection and silence are failures, and only their own endpoint waits', async () => {
  const org = await server.newOrg('failing');
  const bad = await Promise.all(['/redirect', '/broken', '/nothing', '/silent'].map((path) => add(org, path)));
  const good = await add(org, '/good');
  await user(org, 'ada');
  await until(() => expect(good.taken()).toHaveLength(1));
  await until(async () => {
    for (const { id } of bad) expect(await lineOf(id)).toMatchObject({ failures: expect.any(Number), behind: 1 });
    for (const { id } of bad) expect((await lineOf(id))['failures']).toBeGreaterThan(0);
  });
  const errors = await Promise.all(bad.map(async ({ id }) => (await lineOf(id))['lastError']));
  // The harness stands between the Worker and the network, and answers 500 for what it cannot pass on.
  expect(errors).toEqual([
    expect.stringMatching(/it answered (302, and redirects are not followed|500)/),
    expect.stringContaining('it answered 500'),
    expect.stringMatching(/no connection, or it ended without an answer|it answered 500/),
    expect.stringContaining('no answer within 10 s'),
  ]);
  expect(receiver.taken('/stolen')).toEqual([]);
  // The same message again, with the same id.
  await until(() => expect(bad[1]!.taken().length).toBeGreaterThan(1));
  expect(new Set(bad[1]!.taken().map(({ headers }) => headers['webhook-id'])).size).toBe(1);
});

it.concurrent('an answer after 9.9 seconds is an answer; a megabyte and a body without an end do no harm', async () => {
  const org = await server.newOrg('strange');
  const late = await add(org, '/late');
  const large = [await add(org, '/megabyte'), await add(org, '/endless')];
  await user(org, 'ada');
  for (const { id } of large) {
    await until(async () => expect(await lineOf(id)).toMatchObject({ failures: 0, behind: 0 }));
  }
  await until(async () => expect(await lineOf(late.id)).toMatchObject({ failures: 0, behind: 0 }));
});
