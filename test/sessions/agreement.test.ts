/** One session, asked about in every way: KV, the strict check, both together, and the stream give the same reason. */
import { createExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterAll, describe, expect, it } from 'vitest';
import { app } from '../../src/app';
import type { Env } from '../../src/env';
import { checkSession, type Mode, sessionChecker } from '../../src/sessions/client';
import type { WebSocketLike } from '../../src/sessions/client/connection';
import { openRevocationStream, type RevocationStream } from '../../src/sessions/client/stream';
import { admin, BASE, type Idp, newIdp } from '../support/client';

const ask = (url: string, init: RequestInit) =>
  Promise.resolve(app.fetch(new Request(url, init), env as Env, createExecutionContext()));

/** The WebSocket of a host, to the door in this process. */
class DoorSocket implements WebSocketLike {
  readonly #listeners = new Map<string, ((event: never) => void)[]>();
  #socket: WebSocket | null = null;

  constructor(url: string, { headers }: { headers: Record<string, string> }) {
    void ask(url, { headers: { ...headers, Upgrade: 'websocket' } }).then(({ webSocket }) => {
      this.#socket = webSocket;
      if (webSocket === null) return this.#tell('close', { code: 1006 });
      webSocket.addEventListener('message', ({ data }) => this.#tell('message', { data }));
      webSocket.addEventListener('close', ({ code, reason }) => this.#tell('close', { code, reason }));
      webSocket.accept();
      this.#tell('open', {});
    });
  }
  addEventListener(type: string, listener: (event: never) => void) {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }
  send(text: string) {
    this.#socket?.send(text);
  }
  close(code?: number) {
    this.#socket?.close(code);
  }
  #tell(type: string, event: object) {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}

const opened: RevocationStream[] = [];
afterAll(() => Promise.all(opened.map((stream) => stream.close())));

function follow(org: string): RevocationStream {
  const stream = openRevocationStream({
    ...{ url: BASE, token: env.HOST_TOKEN!, orgs: [org], onUnavailable: 'deny', backoff: { base: 5, max: 50 } },
    WebSocket: DoorSocket,
    fetch: (url, init) => ask(url, init as RequestInit),
  });
  opened.push(stream);
  return stream;
}

const strict = { check: (session: { org: string; user: string; issuedAt: number }) => exports.Sessions.check(session) };

/** What each way says, once the stream has said anything. */
async function reasons(org: string, user: string, issuedAt: number, stream: RevocationStream) {
  const checker = sessionChecker({ flags: env.REVOCATIONS, strict, mode: 'auto', onUnavailable: 'allow' });
  const by = async (mode: Mode, isSensitive = false) =>
    (await checker.check({ org, user, issuedAt }, { mode, isSensitive })).reason;
  const streamed = async () => (await stream.check({ org, user, issuedAt })).reason;
  while ((await streamed()) === 'unavailable') await scheduler.wait(5);
  return {
    plain: (await checkSession(env.REVOCATIONS, { org, user, issuedAt })).reason,
    fast: await by('fast'),
    auto: await by('auto'),
    sensitive: await by('auto', true),
    strict: await by('strict'),
    stream: await streamed(),
  };
}

/** The same of what outlives sessions. */
async function mayAct(org: string, user: string, stream: RevocationStream) {
  const checker = sessionChecker({ flags: env.REVOCATIONS, strict, mode: 'auto', onUnavailable: 'allow' });
  const by = async (mode: Mode, isSensitive = false) =>
    (await checker.mayAct({ org, user }, { mode, isSensitive })).reason;
  return {
    plain: (await exports.Sessions.mayAct({ org, user })).reason,
    fast: await by('fast'),
    auto: await by('auto'),
    sensitive: await by('auto', true),
    strict: await by('strict'),
    stream: (await stream.mayAct({ org, user })).reason,
  };
}

const everywhere = (reason: string) => ({
  ...{ plain: reason, fast: reason, auto: reason, sensitive: reason, strict: reason, stream: reason },
});

const setActive = (idp: Idp, id: string, value: boolean) =>
  idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value }]);
const ofOrg = (idp: Idp, verb: string) => admin('POST', `/orgs/${idp.slug}/${verb}`, { body: {} });

interface Case {
  readonly what: string;
  readonly act: (idp: Idp, id: string) => Promise<unknown>;
  readonly before: string;
  readonly after: string;
  /** What a key of theirs is, whenever it was made. */
  readonly key: 'good' | 'inactive';
}

describe('a session of somebody', () => {
  const cases: Case[] = [
    { what: 'who is active', act: async () => undefined, before: 'good', after: 'good', key: 'good' },
    {
      what: 'who was deactivated',
      act: (idp, id) => setActive(idp, id, false),
      before: 'inactive',
      after: 'inactive',
      key: 'inactive',
    },
    {
      ...{ what: 'who was deactivated and came back', before: 'revoked', after: 'good', key: 'good' },
      act: async (idp, id) => {
        await setActive(idp, id, false);
        await setActive(idp, id, true);
      },
    },
    {
      ...{ what: 'who was erased', before: 'inactive', after: 'inactive', key: 'inactive' },
      act: (idp, id) => admin('POST', `/orgs/${idp.slug}/users/${id}/erase?confirm=${id}`, { body: {} }),
    },
    {
      what: 'who was deleted',
      act: (idp, id) => idp.delete(`/Users/${id}`),
      before: 'inactive',
      after: 'inactive',
      key: 'inactive',
    },
    {
      ...{ what: 'who was signed out', before: 'revoked', after: 'good', key: 'good' },
      act: (idp, id) => admin('POST', `/orgs/${idp.slug}/users/${id}/sign-out`, { body: {} }),
    },
    {
      what: 'whose org was signed out',
      act: (idp) => ofOrg(idp, 'sign-out'),
      before: 'revoked',
      after: 'good',
      key: 'good',
    },
    {
      what: 'whose org is switched off',
      act: (idp) => ofOrg(idp, 'disable'),
      before: 'inactive',
      after: 'inactive',
      key: 'inactive',
    },
    {
      ...{ what: 'whose org was switched off and on', before: 'revoked', after: 'good', key: 'good' },
      act: async (idp) => {
        await ofOrg(idp, 'disable');
        await ofOrg(idp, 'enable');
      },
    },
  ];

  it.each(cases)('$what is $before if it began before, else $after; a key is $key', async (it) => {
    const { what, act, before, after, key } = it;
    const idp = await newIdp(what.replaceAll(/[^a-z]+/g, '-'));
    const { id } = await idp.user('ada');
    const old = Date.now();
    await scheduler.wait(5);
    await act(idp, id);
    await scheduler.wait(5);
    const young = Date.now();
    const stream = follow(idp.orgId);
    expect(await reasons(idp.orgId, id, old, stream)).toEqual(everywhere(before));
    expect(await reasons(idp.orgId, id, young, stream)).toEqual(everywhere(after));
    expect(await mayAct(idp.orgId, id, stream)).toEqual(everywhere(key));
  });
});

describe('a session that no source lets in by not knowing:', () => {
  it('an org that never was is unknown to each of them, also where an outage would let everybody in', async () => {
    const org = 'neverWasHere';
    expect(await reasons(org, 'ada', Date.now() - 1, follow(org))).toEqual(everywhere('unknown'));
  });

  it('a deleted org is inactive by its flag and the stream, and unknown to the directory', async () => {
    const idp = await newIdp('deleted-org');
    const { id } = await idp.user('ada');
    const [before, stream] = [Date.now(), follow(idp.orgId)];
    while (!stream.isSynced(idp.orgId)) await scheduler.wait(5);
    await scheduler.wait(5);
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    const said = await reasons(idp.orgId, id, before, stream);
    // The flag of an org that is gone is a refusal for good for sessions until then: the service is not asked.
    expect(said).toEqual({ ...everywhere('inactive'), strict: 'unknown' });
    const young = await reasons(idp.orgId, id, Date.now() + 1_000, stream);
    expect(young).toEqual({ ...everywhere('inactive'), strict: 'unknown', sensitive: 'unknown' });
  });

  it('an org that was deleted while the stream was out of touch is told by the reconnect', async () => {
    const idp = await newIdp('deleted-meanwhile');
    const { id } = await idp.user('ada');
    const first = follow(idp.slug);
    while (!first.isSynced(idp.slug)) await scheduler.wait(5);
    const snapshot = first.snapshot(idp.slug)!;
    await first.close();
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    const stream = openRevocationStream({
      ...{ url: BASE, token: env.HOST_TOKEN!, orgs: [idp.slug], after: { [idp.slug]: snapshot } },
      // Without the word of the service, everybody of a deleted org would be let in for ever.
      ...{ onUnavailable: 'allow', maxSilence: 20, heartbeat: 10, backoff: { base: 5, max: 50 } },
      WebSocket: DoorSocket,
      fetch: (url, init) => ask(url, init as RequestInit),
    });
    opened.push(stream);
    const check = async () => (await stream.check({ org: idp.orgId, user: id, issuedAt: Date.now() - 1 })).valid;
    while (await check()) await scheduler.wait(5);
  });

  it('an org that a stream does not follow is no outage: no policy lets anybody in', async () => {
    const idp = await newIdp('followed');
    const stream = openRevocationStream({
      ...{ url: BASE, token: env.HOST_TOKEN!, orgs: [idp.orgId], onUnavailable: 'allow' },
      WebSocket: DoorSocket,
    });
    opened.push(stream);
    while (!stream.isSynced(idp.orgId)) await scheduler.wait(5);
    const session = { org: 'otherOrgHere', user: 'ada', issuedAt: Date.now() };
    expect(await stream.check(session)).toMatchObject({ valid: false, reason: 'unavailable' });
    const { check } = sessionChecker({ flags: stream, strict, mode: 'auto', onUnavailable: 'allow' });
    expect(await check(session)).toMatchObject({ valid: false, reason: 'unknown', from: 'strict' });
  });

  it('a user who never was is unknown to the strict check alone: KV and streams name only who was ever out', async () => {
    const idp = await newIdp('no-such-user');
    const said = await reasons(idp.orgId, crypto.randomUUID(), Date.now() - 1, follow(idp.orgId));
    expect(said).toEqual({ ...everywhere('good'), sensitive: 'unknown', strict: 'unknown' });
  });

  it('a slug is refused where KV is asked, and understood by the service and the stream', async () => {
    const idp = await newIdp('acme-by-slug');
    const { id } = await idp.user('ada');
    const session = { org: idp.slug, user: id, issuedAt: Date.now() };
    const { check } = sessionChecker({ flags: env.REVOCATIONS, strict, mode: 'auto', onUnavailable: 'allow' });
    for (const mode of ['fast', 'auto'] as const) {
      await expect(check(session, { mode })).rejects.toThrow("org: the org's id was expected");
    }
    expect(await check(session, { mode: 'strict' })).toMatchObject({ valid: true, from: 'strict' });
    const stream = follow(idp.slug);
    while (!stream.isSynced(idp.slug)) await scheduler.wait(5);
    expect(await stream.check(session)).toMatchObject({ valid: true, from: 'stream' });
  });
});
