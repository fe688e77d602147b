/** The middlewares for Express and Fastify: the same answers as the one for Hono (hono.test.ts). */
import { describe, expect, it } from 'vitest';
import type { CheckedVerdict, SessionChecker } from '../../src/sessions/client/checker';
import { sessionGuard as express } from '../../src/sessions/client/express';
import { sessionGuard as fastify } from '../../src/sessions/client/fastify';

interface Req {
  readonly user?: string;
  sessionVerdict?: CheckedVerdict;
}
const session = { org: 'o', user: 'u', issuedAt: new Date(0) };
const sessionOf = ({ user }: Req) => (user === undefined ? undefined : session);
const checkerOf = (verdict: object) =>
  ({ check: async () => verdict }) as unknown as Pick<SessionChecker<Req>, 'check'>;
const GOOD = { valid: true, reason: 'valid' };
const cases = [
  ['lets a good session through', GOOD, { user: 'ada' }, 'next'],
  ['refuses a request without a session', GOOD, {}, [401, 'Bearer', 'unauthorized']],
  [
    'refuses a session that is over',
    { valid: false, reason: 'signed_out' },
    { user: 'ada' },
    [401, 'Bearer error="invalid_token"', 'unauthorized'],
  ],
  [
    'asks to come again when nobody can say',
    { valid: false, reason: 'unavailable' },
    { user: 'ada' },
    [503, undefined, 'temporarily_unavailable'],
  ],
] as const;

/** What a framework's response was told. */
class Told {
  readonly locals: Record<string, unknown> = {};
  readonly answer: (string | number | undefined)[] = [];
  status = (code: number) => this.answer.push(code);
  code = this.status;
  set = (headers: Record<string, string>) => this.answer.push(headers['WWW-Authenticate']);
  headers = this.set;
  json = (body: object) => this.answer.push((body as { error: string }).error);
  send = this.json;
}

describe.each(cases)('a guard %s', (_, verdict, request, expected) => {
  it('of Express', async () => {
    const told = new Told();
    const went: string[] = [];
    const guard = express<Req>({ checker: checkerOf(verdict), sessionOf });
    await guard(request, told, () => went.push('next'));
    expect(went[0] ?? told.answer).toEqual(expected);
    expect(told.locals['sessionVerdict']).toEqual('user' in request ? verdict : undefined);
  });

  it('of Fastify', async () => {
    const told = new Told();
    const req: Req = { ...request };
    const guard = fastify<Req>({ checker: checkerOf(verdict), sessionOf });
    const returned = await guard(req, told);
    expect(returned === undefined ? 'next' : told.answer).toEqual(expected);
    expect(req.sessionVerdict).toEqual('user' in request ? verdict : undefined);
  });
});

it('a guard of Express hands on what is thrown, and both leave the answer to onDead', async () => {
  const errors: unknown[] = [];
  const failing = () => Promise.reject(new Error('no cookie store'));
  await express<Req>({ checker: checkerOf(GOOD), sessionOf: failing })({}, new Told(), (error) => errors.push(error));
  expect(errors).toEqual([expect.objectContaining({ message: 'no cookie store' })]);
  const seen: unknown[] = [];
  const onDead = (...told: unknown[]) => void seen.push(told.at(-1));
  await express<Req>({ checker: checkerOf(GOOD), sessionOf, onDead })({}, new Told(), () => seen.push('next'));
  await fastify<Req>({ checker: checkerOf(GOOD), sessionOf, onDead })({}, new Told());
  expect(seen).toEqual([undefined, undefined]);
});
