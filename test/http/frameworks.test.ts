// The middlewares in the real Express and Fastify, over HTTP. Which verdict gets which answer is in sessions/guards.test.ts.
import { afterEach, describe, expect, it } from 'vitest';
import type { Session } from '../../src/sessions/check';
import { sessionGuard as expressGuard } from '../../src/sessions/client/express';
import { sessionGuard as fastifyGuard } from '../../src/sessions/client/fastify';
import { type FrameworkRequest, type FrameworkServer, startExpress, startFastify } from '../support/frameworks.mjs';

const session: Session = { org: 'o', user: 'u', issuedAt: new Date(0) };
const verdicts: Record<string, object> = {
  good: { valid: true, reason: 'valid' },
  over: { valid: false, reason: 'signed_out' },
  unknown: { valid: false, reason: 'unavailable' },
};
const cookieOf = ({ headers }: FrameworkRequest) => headers['cookie'];
const sessionOf = (request: FrameworkRequest) => {
  if (cookieOf(request) === 'broken') throw new Error('the cookie store is down');
  return cookieOf(request) === undefined ? undefined : session;
};
const checker = {
  check: async (_: Session, more?: { request?: FrameworkRequest }) =>
    verdicts[String(cookieOf(more!.request!))] as never,
};

const frameworks = [
  ['Express', startExpress, expressGuard<FrameworkRequest>({ checker, sessionOf })],
  ['Fastify', startFastify, fastifyGuard<FrameworkRequest>({ checker, sessionOf })],
] as const;

let server: FrameworkServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function ask(cookie?: string) {
  const answer = await fetch(server!.url, { headers: cookie === undefined ? {} : { cookie } });
  const body = (await answer.json()) as { verdict?: object; error?: string; caught?: string };
  return { status: answer.status, challenge: answer.headers.get('www-authenticate'), body };
}

describe.each(frameworks)('in %s', (_, start, guard) => {
  it('a good session reaches the handler, which sees the verdict', async () => {
    server = await start(guard);
    expect(await ask('good')).toEqual({ status: 200, challenge: null, body: { verdict: verdicts['good'] } });
  });

  it('a request without a session and a session that is over get 401 with a challenge', async () => {
    server = await start(guard);
    expect(await ask()).toMatchObject({ status: 401, challenge: 'Bearer', body: { error: 'unauthorized' } });
    expect(await ask('over')).toMatchObject({ status: 401, challenge: 'Bearer error="invalid_token"' });
  });

  it('a session that cannot be checked gets 503', async () => {
    server = await start(guard);
    expect(await ask('unknown')).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
  });

  it('an error of the application goes to its own error handler', async () => {
    server = await start(guard);
    expect(await ask('broken')).toMatchObject({ status: 500, body: { caught: 'the cookie store is down' } });
  });
});

const CLOSED = { error: 'signed out', caught: 'nothing' };

it('onDead answers in the way of each framework', async () => {
  const options = { checker, sessionOf };
  const express = expressGuard<FrameworkRequest, never>({
    ...options,
    onDead: (_, res: { status(code: number): { json(body: object): void } }) => res.status(403).json(CLOSED),
  });
  const fastify = fastifyGuard<FrameworkRequest, never>({
    ...options,
    onDead: (_, reply: { code(status: number): { send(body: object): unknown } }) => reply.code(403).send(CLOSED),
  });
  for (const start of [() => startExpress(express), () => startFastify(fastify)]) {
    server = await start();
    expect(await ask('over')).toMatchObject({ status: 403, body: CLOSED });
    await server.stop();
  }
  server = undefined;
});
