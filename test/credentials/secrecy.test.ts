/** A secret leaves in the answer that made it, and nowhere else: not in D1, KV, the object, the log or another answer. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, expect, it, vi } from 'vitest';
import { coordinatorOf, rebind } from '../support/coordinator';
import { dumpAll } from '../support/database';
import { FaultyDb } from '../support/faults';
import { CredentialLine, newLine } from '../support/line';

const METHODS = ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const;
const logs = METHODS.map((method) => vi.spyOn(console, method).mockImplementation(() => undefined));
afterAll(() => logs.forEach((log) => void log.mockRestore()));

async function keptInKv(): Promise<string> {
  const { keys } = await env.REVOCATIONS.list();
  return JSON.stringify(await Promise.all(keys.map(async ({ name }) => [name, await env.REVOCATIONS.get(name)])));
}

const keptInObject = (orgId: string) =>
  runInDurableObject(coordinatorOf(orgId), async (_, { storage }) => JSON.stringify([...(await storage.list())]));

it('no token and no password is anywhere but in the answer that handed it out', async () => {
  const { line: tokens, first } = await newLine('secrecy');
  const passwords = new CredentialLine('secrecy', tokens.orgId, 'basic');
  const secrets = [first];
  const otherAnswers: string[] = [];
  for (const line of [tokens, passwords]) {
    if (line === passwords) secrets.push(passwords.secretIn(await passwords.generate()));
    for (let i = 0; i < 3; i++) secrets.push(await line.rotated({ grace: '1h', retireOnUse: true, expires: '1d' }));
    for (const answer of [
      await line.generate(),
      await line.rotate({ expectGeneration: 1 }),
      await line.cancel(),
      await line.complete(),
    ]) {
      otherAnswers.push(answer.text);
    }
    secrets.push(await line.rotated({ grace: '1h', retireOnUse: true }));
    // Used, so that use and retirement are noted; a mistyped and a cut one, too.
    const last = secrets.at(-1)!;
    for (const used of [last, `${last}x`, last.slice(0, -1), secrets.at(-3)!]) {
      otherAnswers.push((await line.send(used, 'GET', '/Users')).text);
      otherAnswers.push((await line.send(used, 'POST', '/Users', { body: { userName: 5 } })).text);
    }
    for (const kind of ['before', 'after'] as const) {
      await rebind(tokens.orgId, { DB: new FaultyDb({ kind }, /INTO credentials/).binding });
      otherAnswers.push((await line.rotate()).text);
      await rebind(tokens.orgId, {});
    }
    otherAnswers.push(JSON.stringify(await line.list()), (await line.revoke()).text);
  }
  const logged = JSON.stringify(logs.map((log) => log.mock.calls));
  expect(logged).toContain('has not confirmed'); // the log was listened to
  const kept = await dumpAll();
  expect(kept).toContain('token.retired');
  const places = {
    kept,
    kv: await keptInKv(),
    object: await keptInObject(tokens.orgId),
    logged,
    answers: otherAnswers.join(),
  };
  expect(secrets).toHaveLength(10);
  for (const [place, text] of Object.entries(places)) {
    for (const secret of secrets) {
      const random = secret.split('_')[2]!;
      expect(text.includes(random.slice(0, 8)), `${place}: the beginning of a secret`).toBe(false);
      expect(text.includes(random.slice(12, 24)), `${place}: the middle of a secret`).toBe(false);
      expect(text.includes(btoa(`secrecy:${secret}`)), `${place}: an encoded secret`).toBe(false);
    }
  }
});
