// The host app's door on the wire: Node's own WebSocket against the whole Worker behind a real port.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostToken, startServer, type TestOrg } from '../support/server.ts';

let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(async () => {
  await server?.stop();
}, 30_000);

interface Frame {
  type: string;
  seq: number;
  user?: string | null;
  active?: boolean;
}

interface Stream {
  frames: Frame[];
  words: string[];
  closed: { code: number; reason: string } | undefined;
  say(text: string): void;
  close(): void;
}

function stream(org: string, after?: number, token = hostToken): Stream {
  const query = new URLSearchParams({ org, ...(after !== undefined && { after: String(after) }) });
  // Node's takes headers, which the standard has not thought of.
  const Client = WebSocket as unknown as new (url: string, options: { headers: object }) => WebSocket;
  const socket = new Client(`${server.url.replace('http', 'ws')}/sessions/v1/stream?${query}`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const heard: Stream = {
    frames: [],
    words: [],
    closed: undefined,
    say: (text) => socket.send(text),
    close: () => socket.close(1000),
  };
  socket.addEventListener('message', ({ data }) => {
    const text = data as string;
    if (!text.startsWith('{')) {
      heard.words.push(text);
      return;
    }
    const frame = JSON.parse(text) as Frame;
    heard.frames.push(frame);
    if (frame.type === 'synced') heard.say(JSON.stringify({ type: 'ack', seq: frame.seq }));
  });
  socket.addEventListener('close', ({ code, reason }) => {
    heard.closed = { code, reason };
  });
  return heard;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within 10 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const states = ({ frames }: Stream) => frames.filter(({ type }) => type === 'state');
const syncedOf = ({ frames }: Stream) => frames.findLast(({ type }) => type === 'synced')?.seq;
const opened = async (org: string, after?: number) => {
  const it = stream(org, after);
  await until(() => syncedOf(it) !== undefined);
  return it;
};

async function scim(org: TestOrg, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${org.baseUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${org.token}`, 'content-type': 'application/scim+json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

const newUser = async (org: TestOrg, userName: string): Promise<string> =>
  (await scim(org, 'POST', '/Users', { userName, emails: [{ value: `${userName}@x.example` }] })).body.id;
const set = (org: TestOrg, id: string, value: boolean) =>
  scim(org, 'PATCH', `/Users/${id}`, { Operations: [{ op: 'replace', path: 'active', value }] });

async function ask(path: string, question: object, token = hostToken) {
  const answer = await fetch(`${server.url}/sessions/v1${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(question),
  });
  return { status: answer.status, body: await answer.json() };
}

describe('a host in plain Node', { concurrent: true }, () => {
  it('is told of a revocation, and asks strictly and at the login gate what is true', async () => {
    const org = await server.newOrg('told');
    const ada = await newUser(org, 'ada');
    const host = await opened('told');
    const issuedAt = Date.now();
    const question = { org: 'told', user: ada, issuedAt };
    expect((await ask('/check', question)).body).toEqual({
      valid: true,
      reason: 'good',
      validAfter: null,
      notBefore: null,
    });
    await set(org, ada, false);
    expect((await ask('/check', question)).body).toMatchObject({ valid: false, reason: 'inactive' });
    await until(() => states(host).length === 1);
    expect(states(host)[0]).toMatchObject({ user: ada, active: false });
    const gate = await ask('/resolve', { org: org.id, email: 'ADA@x.example' });
    expect(gate.body).toMatchObject({ found: true, id: ada, active: false, org: { id: org.id, slug: 'told' } });
    host.close();
  });

  it('goes on after a broken connection with what it has missed', async () => {
    const org = await server.newOrg('missed');
    const [ada, bob] = [await newUser(org, 'ada'), await newUser(org, 'bob')];
    const host = await opened('missed');
    await set(org, ada, false);
    await until(() => states(host).length === 1 && syncedOf(host)! >= states(host)[0]!.seq);
    host.close();
    await until(() => host.closed !== undefined);
    await set(org, bob, false);
    const again = await opened('missed', syncedOf(host));
    await until(() => states(again).length === 1);
    expect(states(again)[0]).toMatchObject({ user: bob, active: false });
    await set(org, ada, true);
    await until(() => states(again).length === 2);
    again.close();
  });

  it('beats, and is closed for what it must not say', async () => {
    await server.newOrg('beats');
    const host = await opened('beats');
    host.say('ping');
    await until(() => host.words.length === 1);
    expect(host.words).toEqual(['pong']);
    host.say('x'.repeat(1_025));
    await until(() => host.closed !== undefined);
    expect(host.closed).toEqual({ code: 1009, reason: 'at most 1024 bytes are accepted' });
    const other = await opened('beats');
    other.say('{"type":"ack","seq":99}');
    await until(() => other.closed !== undefined);
    expect(other.closed).toEqual({ code: 1008, reason: 'ack: so much has not been sent' });
  });

  it('hears that an org is gone, and need not come back', async () => {
    await server.newOrg('gone');
    const host = await opened('gone');
    await server.deleteOrg('gone');
    await until(() => host.closed !== undefined);
    expect(states(host)).toEqual([expect.objectContaining({ user: null, active: false })]);
    expect(host.closed?.code).toBe(4004);
  });

  it('is let in with the host token alone', async () => {
    const org = await server.newOrg('alone');
    for (const token of ['test-host-token-0123456789abcde', org.token, 'test-admin-token-0123456789abcdef']) {
      const refused = await fetch(`${server.url}/sessions/v1/stream?org=alone`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([401, 'unauthorized']);
      expect((await ask('/check', { org: 'alone', user: 'x', issuedAt: Date.now() }, token)).status).toBe(401);
      const host = stream('alone', undefined, token);
      await until(() => host.closed !== undefined);
      expect([host.closed?.code, host.frames]).toEqual([1006, []]);
    }
  });
});
