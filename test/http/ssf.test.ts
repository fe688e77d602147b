// Signals out on the wire: a receiver in plain Node, and a service that is killed in the middle and started again on its data.
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

interface Incoming extends AsyncIterable<Uint8Array> {
  readonly headers: Record<string, string>;
}
interface Outgoing {
  writeHead(status: number): { end(): void };
}
interface Child {
  readonly pid: number;
  readonly stdout: { on(event: 'data', heard: (text: Uint8Array) => void): void };
  readonly stderr: { on(event: 'data', heard: (text: Uint8Array) => void): void };
  once(event: 'close', ended: () => void): void;
}
// Typed here, because the other tests run in Workers and must not see Node's types.
const { createServer } = (await import('node:http' as string)) as {
  createServer(answer: (request: Incoming, response: Outgoing) => void): {
    listen(port: number, host: string, ready: () => void): void;
    address(): { port: number };
    closeAllConnections(): void;
    close(closed: () => void): void;
  };
};
const { spawn } = (await import('node:child_process' as string)) as {
  spawn(command: string, args: string[], options: object): Child;
};
const { mkdtempSync, rmSync } = (await import('node:fs' as string)) as {
  mkdtempSync(prefix: string): string;
  rmSync(path: string, options: object): void;
};
const { default: process } = (await import('node:process' as string)) as {
  default: { execPath: string; env: Record<string, string>; kill(pid: number, signal: string): void };
};
const { freePort } = (await import('../../scripts/start/service.mjs' as string)) as { freePort(): Promise<number> };

const ADMIN = 'a'.repeat(40);
const stateDir = mkdtempSync('/tmp/scim-worker-ssf-');
const got: string[] = [];
let isTaking = true;
const receiver = createServer(async (request, response) => {
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part);
  if (isTaking) got.push(await new Blob(parts as Uint8Array<ArrayBuffer>[]).text());
  response.writeHead(isTaking ? 202 : 503).end();
});

let port: number;
let service: { kill(): Promise<void> };

async function start() {
  const child = spawn(process.execPath, ['scripts/start.mjs'], {
    cwd: new URL('../..', import.meta.url),
    detached: true, // a group of its own, which is killed as a whole
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      PORT: String(port),
      STATE_DIR: stateDir,
      ADMIN_TOKEN: ADMIN,
      ALLOW_LOOPBACK_WEBHOOKS: 'true',
      SWEEP_INTERVAL: '1',
    },
  });
  let said = '';
  const ended = new Promise<void>((resolve) => child.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => {
        said += new TextDecoder().decode(text);
        if (/shows all commands/.test(said)) resolve();
      });
    }
    ended.then(() => reject(new Error(said)));
  });
  return {
    async kill() {
      process.kill(-child.pid, 'SIGKILL');
      await ended;
    },
  };
}

beforeAll(async () => {
  await new Promise<void>((ready) => receiver.listen(0, '127.0.0.1', ready));
  port = await freePort();
  service = await start();
});
afterAll(async () => {
  await service?.kill();
  await new Promise<void>((closed) => {
    receiver.close(closed);
    receiver.closeAllConnections();
  });
  rmSync(stateDir, { recursive: true, force: true });
});

const base = () => `http://127.0.0.1:${port}`;
// biome-ignore lint/suspicious/noExplicitAny: an answer is looked into freely
async function call(method: string, path: string, token: string, body?: unknown): Promise<any> {
  const answer = await fetch(`${base()}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}
const until = (condition: () => void | Promise<void>) => vi.waitFor(condition, { timeout: 90_000, interval: 50 });

async function accessToken({ clientId, clientSecret }: { clientId: string; clientSecret: string }): Promise<string> {
  const answer = await fetch(`${base()}/ssf/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  return ((await answer.json()) as { access_token: string }).access_token;
}

it('a whole conversation, and nothing is lost when the service is killed while tokens are under way', async () => {
  const admin = (method: string, path: string, body?: unknown) => call(method, `/admin/v1${path}`, ADMIN, body);
  await admin('POST', '/orgs', { slug: 'killed' });
  await admin('POST', '/orgs/killed/scim', { enabled: true });
  const { token } = await admin('POST', '/orgs/killed/tokens', {});
  const client = await admin('POST', '/signals/receivers', { name: 'soc', orgs: ['killed'] });
  const access = await accessToken(client);

  const metadata = await call('GET', '/.well-known/ssf-configuration', '');
  const path = (url: string) => new URL(url).pathname;
  const delivery = {
    method: 'urn:ietf:rfc:8935',
    endpoint_url: `http://127.0.0.1:${receiver.address().port}/events`,
  };
  const pushed = await call('POST', path(metadata.configuration_endpoint), access, { delivery });
  const polled = await call('POST', path(metadata.configuration_endpoint), access, {});
  await call('POST', path(metadata.verification_endpoint), access, { stream_id: pushed.stream_id, state: 'wire' });
  await until(() => expect(got).toHaveLength(1));

  const user = async (userName: string) =>
    (await call('POST', '/scim/v2/Users', token, { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName }))
      .id;
  const names: string[] = [];
  for (let i = 0; i < 10; i++) names.push(`/Users/${await user(`before-${i}`)}`);
  // The receiver takes nothing, and the service dies with everything under way.
  isTaking = false;
  const out = await user('leaver@example.com');
  names.push(`/Users/${out}`);
  await call('PATCH', `/scim/v2/Users/${out}`, token, {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
    Operations: [{ op: 'replace', path: 'active', value: false }],
  });
  const first = await call('POST', `/ssf/poll/${polled.stream_id}`, access, { returnImmediately: true, maxEvents: 3 });
  await service.kill();
  isTaking = true;
  service = await start();

  const keys = createRemoteJWKSet(new URL(`${base()}/ssf/jwks.json`));
  const read = async (set: string) => {
    const { payload } = await jwtVerify(set, keys, {
      issuer: metadata.issuer,
      audience: client.audience,
      typ: 'secevent+jwt',
    });
    return payload as typeof payload & { events: object; sub_id: { uri?: string } };
  };
  const told = async (sets: readonly string[]) => {
    const all = new Map<string, string>();
    for (const set of sets) {
      const { jti, events, sub_id } = await read(set);
      if (sub_id.uri) all.set(jti!, `${sub_id.uri} ${Object.keys(events)[0]}`);
    }
    return [...all.values()]; // what came twice has the same jti
  };
  const expected = [
    ...names.map((uri) => `${uri} urn:ietf:params:scim:event:prov:create:notice`),
    `/Users/${out} https://schemas.openid.net/secevent/caep/event-type/session-revoked`,
    `/Users/${out} https://schemas.openid.net/secevent/risc/event-type/account-disabled`,
    `/Users/${out} urn:ietf:params:scim:event:prov:deactivate`,
  ];
  await until(async () => expect(await told(got)).toEqual(expected));

  // What was handed out before and not acknowledged is handed out again.
  const sets: string[] = [];
  let ack: string[] = [];
  for (let i = 0; i < 20; i++) {
    const answer = await call('POST', `/ssf/poll/${polled.stream_id}`, access, { returnImmediately: true, ack });
    ack = Object.keys(answer.sets);
    if (i === 0) expect(ack).toEqual(expect.arrayContaining(Object.keys(first.sets)));
    if (ack.length === 0) break;
    sets.push(...(Object.values(answer.sets) as string[]));
  }
  expect(await told(sets)).toEqual(expected);
});
