/**
 * The isolation of signals, in and out, route by route: each route of the app by each kind of caller. The routes are those
 * of the app's own table, so a new one without a row here fails.
 */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { app } from '../src/app';
import { type Answer, type Ask, admin, ask, BASE, type Idp, newIdp } from './support/client';
import { dump, journal, rows } from './support/database';
import { Meter } from './support/meter';
import { cookieIn, newLink, openLink, textOf, visitorOf } from './support/portal';
import { send, visible } from './support/scim-routes';
import {
  CAEP,
  issSub,
  logoutToken,
  newSender,
  newTransmitter,
  postLogout,
  push,
  type Sender,
  setOf,
  type TestTransmitter,
} from './support/signals';
import { newReceiver, type TestReceiver, tokenFor, withToken } from './support/ssf';

/** Those of signals, in and out. */
const routes = [
  ...new Set(
    app.routes
      .filter(
        ({ method, path }) => method !== 'ALL' && /^\/(?:signals|ssf|\.well-known)\/|\/signals(?:\/|$)/.test(path),
      )
      .map(({ method, path }) => `${method} ${path}`),
  ),
];

/** What everybody may read: the same for everybody, and the same for an org that is not there. */
const PUBLIC = [
  'GET /.well-known/oauth-authorization-server',
  'GET /.well-known/oauth-authorization-server/signals/:org',
  'GET /.well-known/oauth-authorization-server/ssf',
  'GET /.well-known/oauth-protected-resource',
  'GET /.well-known/oauth-protected-resource/ssf',
  'GET /.well-known/ssf-configuration',
  'GET /ssf/jwks.json',
] as const;

/** What a signed token of a registered issuer opens, and nothing else. */
const SIGNED = ['POST /signals/:org/global-token-revocation', 'POST /signals/:org/events'] as const;

/** A client with its secret. */
const CLIENT = ['POST /ssf/token'] as const;

interface OfReceiver {
  readonly needs: 'ssf.read' | 'ssf.manage';
  /** Of the answer for a stream that is the caller's. */
  readonly good: number;
  /** The stream is named by its id in the query, in the body or in the path, or there is none to name. */
  readonly names: 'query' | 'body' | 'path' | 'none';
  readonly body?: (user: string) => object;
}

const subject = (id: string) => ({ subject: { format: 'opaque', id } });

/** What the access token of a receiver opens. */
const RECEIVER: Readonly<Record<string, OfReceiver>> = {
  'GET /ssf/streams': { needs: 'ssf.read', good: 200, names: 'query' },
  'POST /ssf/streams': { needs: 'ssf.manage', good: 201, names: 'none', body: () => ({ description: 'another' }) },
  'PATCH /ssf/streams': { needs: 'ssf.manage', good: 200, names: 'body', body: () => ({ description: 'mine' }) },
  'PUT /ssf/streams': { needs: 'ssf.manage', good: 200, names: 'body', body: () => ({}) },
  'GET /ssf/status': { needs: 'ssf.read', good: 200, names: 'query' },
  'POST /ssf/status': { needs: 'ssf.manage', good: 200, names: 'body', body: () => ({ status: 'paused' }) },
  'POST /ssf/verification': { needs: 'ssf.manage', good: 204, names: 'body', body: () => ({ state: 'x' }) },
  'POST /ssf/subjects/add': { needs: 'ssf.manage', good: 200, names: 'body', body: subject },
  'POST /ssf/subjects/remove': { needs: 'ssf.manage', good: 204, names: 'body', body: subject },
  'POST /ssf/poll/:stream': {
    ...{ needs: 'ssf.read', good: 200, names: 'path' },
    body: () => ({ returnImmediately: true, ack: ['x'], setErrs: { y: { err: 'invalid_key' } } }),
  },
  // The last one, for it is gone then.
  'DELETE /ssf/streams': { needs: 'ssf.manage', good: 204, names: 'query' },
};

/** What the token of the admin API opens. Where a source is named, one of another org is as one that never existed. */
const ADMIN: Readonly<Record<string, object | undefined>> = {
  'GET /admin/v1/orgs/:slug/signals': undefined,
  'POST /admin/v1/orgs/:slug/signals': { type: 'ssf', transmitter: 'https://ssf.test' },
  'GET /admin/v1/orgs/:slug/signals/:source': undefined,
  'DELETE /admin/v1/orgs/:slug/signals/:source': undefined,
  'POST /admin/v1/orgs/:slug/signals/:source/pause': {},
  'POST /admin/v1/orgs/:slug/signals/:source/resume': {},
  'POST /admin/v1/orgs/:slug/signals/:source/check': {},
  'GET /admin/v1/signals/receivers': undefined,
  'POST /admin/v1/signals/receivers': { name: 'stranger' },
  'GET /admin/v1/signals/receivers/:name': undefined,
  'PATCH /admin/v1/signals/receivers/:name': { subject: 'email' },
  'DELETE /admin/v1/signals/receivers/:name': undefined,
  'POST /admin/v1/signals/receivers/:name/rotate-secret': {},
  'POST /admin/v1/signals/receivers/:name/disable': {},
  'POST /admin/v1/signals/receivers/:name/enable': {},
  'GET /admin/v1/signals/keys': undefined,
  'POST /admin/v1/signals/keys/rotate': {},
};

const split = (route: string) => route.split(' ') as [method: string, path: string];

let ours: Idp;
let theirs: Idp;
let ada: { id: string };
/** Only the other org has her. */
let grace: { id: string };
let okta: Sender;
let theirOkta: Sender;
let stream: TestTransmitter;
let theirStream: TestTransmitter;
let receiver: TestReceiver;
/** Credentials by what they are. */
let credentials: Record<string, string>;
/** Access tokens of receivers that are good no longer. */
let dead: Record<string, string>;

const NEVER = 'neverThere0000000000';
const madeBy = async (one: TestReceiver): Promise<string> => {
  const made = await one.api('POST', '/streams', { body: {} });
  if (made.status !== 201) throw new Error(made.text);
  return made.body.stream_id;
};
const accessToken = async ({ clientId, secret }: TestReceiver, scope?: string): Promise<string> =>
  (await tokenFor(clientId, secret, scope === undefined ? {} : { scope })).body.access_token;

beforeAll(async () => {
  ours = await newIdp('ours');
  theirs = await newIdp('theirs');
  ada = await ours.user('ada@example.com', { externalId: '00uAda' });
  const emails = [{ value: 'grace@mail.example', primary: true }];
  grace = await theirs.user('grace@example.com', { externalId: '00uGrace', emails });
  okta = await newSender(ours);
  theirOkta = await newSender(theirs);
  stream = await newTransmitter(ours);
  theirStream = await newTransmitter(theirs);
  receiver = await newReceiver([ours.slug]);

  const link = await newLink('ours');
  const { body: basic } = await admin('POST', '/orgs/ours/basic', { body: {} });
  const { body: application } = await admin('POST', '/hosts', { body: { name: 'application' } });
  credentials = {
    'the SCIM token': `Bearer ${ours.token}`,
    Basic: `Basic ${btoa(`ours:${basic.password}`)}`,
    'the admin token': 'Bearer test-admin-token-0123456789abcdef',
    'the token of all applications': 'Bearer test-host-token-0123456789abcdef',
    'the token of one application': `Bearer ${application.token}`,
    'the link to the portal': `Bearer ${link.path.split('/').at(-1)}`,
    'the session of the portal': `Bearer ${cookieIn(await openLink(link.path))
      .split('=')
      .at(-1)}`,
    'the secret of a receiver': `Bearer ${receiver.secret}`,
    'the client of a receiver': `Basic ${btoa(`${receiver.clientId}:${receiver.secret}`)}`,
    'a token of Universal Logout': `Bearer ${await logoutToken(okta)}`,
    'a security event token': `Bearer ${await setOf(stream, `${CAEP}session-revoked`, {})}`,
    'an access token of a receiver': `Bearer ${await accessToken(receiver)}`,
  };

  const [expired, disabled, removed] = [
    await newReceiver(['ours']),
    await newReceiver(['ours']),
    await newReceiver(['ours']),
  ];
  dead = {
    'an expired token': await accessToken(expired),
    'a token of a receiver that is switched off': await accessToken(disabled),
    'a token of a receiver that was removed': await accessToken(removed),
    'a token that was never given': `${(await accessToken(expired)).slice(0, -1)}x`,
  };
  const hash = (text: string) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  const hex = [...new Uint8Array(await hash(dead['an expired token']!))].map((it) => it.toString(16).padStart(2, '0'));
  await env.DB.prepare('UPDATE signal_receiver_tokens SET valid_until = ? WHERE hash = ?')
    .bind(Date.now() - 1, hex.join(''))
    .run();
  await admin('POST', `/signals/receivers/${disabled.name}/disable`, { body: {} });
  await admin('DELETE', `/signals/receivers/${removed.name}`);
});

it('each route of signals has its row here', () => {
  const known = [...PUBLIC, ...SIGNED, ...CLIENT, ...Object.keys(RECEIVER), ...Object.keys(ADMIN)];
  expect(routes.sort()).toEqual(known.sort());
});

/** All but what opens it. @param opening names of credentials. */
const strangers = (...opening: string[]): [string, string | undefined][] => [
  ['no credential', undefined],
  ['an empty header', ''],
  ['a word', 'Bearer let-me-in'],
  ...Object.entries(credentials).filter(([name]) => !opening.includes(name)),
];

/** What must not differ between two answers. */
const seen = (answer: Answer) => JSON.stringify(visible(answer));

describe('what everybody may read', () => {
  it.each(PUBLIC)('%s is the same for every caller, and for an org that does not exist', async (route) => {
    const [method, path] = split(route);
    const at = (org: string) => path.replace(':org', org);
    const expected = await send(method, at(ours.orgId), undefined);
    expect(expected.status).toBe(200);
    for (const [name, authorization] of strangers()) {
      expect(seen(await send(method, at(ours.orgId), authorization)), name).toBe(seen(expected));
    }
    const nobody = await send(method, at('000000000000'), undefined);
    expect(nobody.text.replaceAll('000000000000', ours.orgId)).toBe(expected.text);
    for (const trace of ['ours', 'theirs', 'okta', 'ssf-']) expect(expected.text).not.toContain(`${trace}.`);
  });
});

describe('a signal', () => {
  /** Sends a token to the endpoint of an org, with a subject. */
  const WAYS: Record<(typeof SIGNED)[number], (token: string, orgId: string, more?: Ask) => Promise<Answer>> = {
    'POST /signals/:org/global-token-revocation': (token, orgId, more) =>
      postLogout(`${BASE}/signals/${orgId}/global-token-revocation`, token, issSub(okta, '00uAda'), more),
    'POST /signals/:org/events': (token, orgId, more) => push(`${BASE}/signals/${orgId}/events`, token, more),
  };

  it.each(SIGNED)('to %s is refused as that of a stranger, whatever else is presented', async (route) => {
    const before = await dump();
    const [method, path] = split(route);
    const media = route.endsWith('/events') ? 'application/secevent+jwt' : 'application/json';
    const body = JSON.stringify(issSub(okta, '00uAda'));
    const post = (orgId: string, authorization: string | undefined, raw: string) =>
      send(method, path.replace(':org', orgId), authorization, { raw, headers: { 'Content-Type': media } });
    const expected = await post('000000000000', 'Bearer let-me-in', body);
    expect(expected.status).toBe(route.endsWith('/events') ? 400 : 401);
    // A signed token for the endpoint of the other kind is none here.
    for (const [name, authorization] of strangers('a token of Universal Logout')) {
      expect(seen(await post(ours.orgId, authorization, body)), name).toBe(seen(expected));
      if (!route.endsWith('/events')) continue;
      // As the body, where the token belongs.
      const secret = authorization?.split(' ')[1] ?? 'let-me-in';
      if (name.includes('security event')) continue;
      expect((await post(ours.orgId, undefined, secret)).body.err, name).toBe('invalid_request');
    }
    expect(await dump()).toBe(before);
  });

  it.each(SIGNED)('to %s of another org’s source is refused as that of an issuer nobody registered', async (route) => {
    const before = await dump();
    const way = WAYS[route];
    const made = (from: 'ours' | 'theirs' | 'nobody', aud: string) => {
      const [sender, transmitter] = from === 'ours' ? [okta, stream] : [theirOkta, theirStream];
      const issuer = from === 'nobody' ? { iss: 'https://nobody.test' } : {};
      return route.endsWith('/events')
        ? setOf({ ...transmitter, audience: aud }, `${CAEP}session-revoked`, { initiating_entity: 'admin' }, issuer)
        : logoutToken(sender, { aud, ...issuer });
    };
    const address = (orgId: string) => `${BASE}${split(route)[1].replace(':org', orgId)}`;
    const expected = await way(await made('nobody', address('000000000000')), '000000000000');
    for (const [from, to] of [
      ['theirs', ours],
      ['ours', theirs],
      ['nobody', ours],
    ] as const) {
      for (const aud of [address(ours.orgId), address(theirs.orgId)]) {
        expect(seen(await way(await made(from, aud), to.orgId)), `${from} to ${to.slug}`).toBe(seen(expected));
      }
    }
    expect(await dump()).toBe(before);
  });

  it.each(SIGNED)('to %s about a person of another org is as one about nobody, and costs the same', async (route) => {
    const theirRows = () => rows('SELECT * FROM users WHERE org_id = ?', theirs.orgId);
    const before = await theirRows();
    const events = (await journal(ours.orgId)).length;
    const tellOf = async (subject: object) => {
      const meter = new Meter();
      const metered = { env: { DB: meter.binding } };
      let cost: unknown;
      const more = {
        ...metered,
        onAnswer: () => {
          cost = [meter.roundTrips, [...meter.batches]];
        },
      };
      const answer = route.endsWith('/events')
        ? await push(
            stream.endpoint,
            await setOf(stream, `${CAEP}session-revoked`, { initiating_entity: 'admin' }, { sub_id: subject }),
            more,
          )
        : await postLogout(okta.endpoint, await logoutToken(okta), { sub_id: subject }, more);
      return { answer: seen(answer), status: answer.status, cost };
    };
    const { issuer } = route.endsWith('/events') ? stream : okta;
    await tellOf({ format: 'opaque', id: crypto.randomUUID() }); // the first one of its source costs more
    const forms = (id: string, externalId: string, name: string) => [
      { format: 'opaque', id },
      { format: 'opaque', id: externalId },
      { format: 'iss_sub', iss: issuer, sub: externalId },
      { format: 'iss_sub', iss: issuer, sub: id },
      { format: 'email', email: `${name}@mail.example` },
      { format: 'email', email: `${name}@example.com` },
      { format: 'scim', uri: `/Users/${id}` },
      { format: 'scim', uri: `/orgs/theirs/scim/v2/Users/${id}`, externalId },
      { format: 'account', uri: `acct:${name}@example.com` },
      { format: 'aliases', identifiers: [{ format: 'email', email: `${name}@mail.example` }] },
      { format: 'complex', user: { format: 'opaque', id }, tenant: { format: 'opaque', id: theirs.orgId } },
    ];
    const nobodys = forms(crypto.randomUUID(), '00uNobody', 'nobody');
    for (const [i, subject] of forms(grace.id, '00uGrace', 'grace').entries()) {
      const unknown = await tellOf(nobodys[i]!);
      expect(unknown.status).toBe(route.endsWith('/events') ? 202 : 404);
      expect(await tellOf(subject), JSON.stringify(subject)).toEqual(unknown);
    }
    expect(await theirRows()).toEqual(before);
    expect((await journal(ours.orgId)).length).toBe(events);
  });
});

describe('a request of a receiver', () => {
  const ROUTES = Object.entries(RECEIVER);

  function requestOf(route: string, { names, body }: OfReceiver, id: string, user = ada.id): [string, string, Ask] {
    const [method, path] = split(route);
    const address = path.slice('/ssf'.length).replace(':stream', id);
    const whole = { ...(names === 'body' && { stream_id: id }), ...body?.(user) };
    const hasBody = method !== 'GET' && method !== 'DELETE';
    return [method, names === 'query' ? `${address}?stream_id=${id}` : address, hasBody ? { body: whole } : {}];
  }

  it.each(ROUTES)('%s is refused with one and the same 401 for what is no access token', async (route, row) => {
    const id = await madeBy(receiver);
    const before = await dump();
    const [method, path, asked] = requestOf(route, row, id);
    const texts = new Set<string>();
    const all = [
      ...strangers('an access token of a receiver'),
      ...Object.entries(dead).map(([name, token]) => [name, `Bearer ${token}`] as const),
    ];
    for (const [name, authorization] of all) {
      for (const target of [path, path.replace(id, NEVER)]) {
        const answer = await send(method, `/ssf${target}`, authorization, {
          ...asked,
          headers: { 'Content-Type': 'application/json' },
        });
        expect(answer.status, name).toBe(401);
        texts.add(answer.text);
      }
    }
    expect(texts.size).toBe(1);
    expect(await dump()).toBe(before);
    await receiver.api('DELETE', `/streams?stream_id=${id}`);
  });

  it.each(ROUTES)('%s needs its scope, whether the stream is there or not', async (route, row) => {
    const one = await newReceiver([ours.slug]);
    const id = await madeBy(one);
    const reading = withToken(await accessToken(one, 'ssf.read'));
    const before = await dump();
    const [method, path, asked] = requestOf(route, row, id);
    const answer = await reading(method, path, asked);
    if (row.needs === 'ssf.read') expect(answer.status, answer.text).toBe(row.good);
    else {
      expect(answer.status).toBe(403);
      const [, elsewhere, missing] = requestOf(route, row, NEVER);
      expect(seen(await reading(method, elsewhere, missing))).toBe(seen(answer));
      expect(await dump()).toBe(before);
    }
    const managing = withToken(await accessToken(one, 'ssf.manage'));
    const done = await managing(method, path, asked);
    expect(done.status, done.text).toBe(row.good);
    await admin('DELETE', `/signals/receivers/${one.name}`);
  });

  it.each(ROUTES.filter(([, { names }]) => names !== 'none'))(
    '%s answers another receiver’s stream as one that never existed, and costs the same',
    async (route, row) => {
      const id = await madeBy(receiver);
      for (const orgs of [[ours.slug], [theirs.slug], undefined]) {
        const other = await newReceiver(orgs);
        const own = await madeBy(other); // so that it is not refused for having none
        const before = await dump();
        const asked = async (named: string) => {
          const [method, path, more] = requestOf(route, row, named);
          const meter = new Meter();
          const answer = await other.api(method, path, { ...more, env: { DB: meter.binding } });
          return { seen: seen(answer), status: answer.status, cost: meter.batches };
        };
        await asked(NEVER); // the first request with a token costs more
        const [foreign, unknown] = [await asked(id), await asked(NEVER)];
        expect(foreign.status).toBe(404);
        expect(foreign).toEqual(unknown);
        expect(await dump()).toBe(before);
        const [method, path, more] = requestOf(route, row, own, orgs?.[0] === theirs.slug ? grace.id : ada.id);
        const isOfAll = orgs === undefined && path.startsWith('/subjects/');
        // A receiver of all orgs has to name the tenant.
        expect((await other.api(method, path, more)).status).toBe(isOfAll ? 400 : row.good);
        await admin('DELETE', `/signals/receivers/${other.name}`);
      }
      await receiver.api('DELETE', `/streams?stream_id=${id}`);
    },
  );

  it('lists its own streams alone', async () => {
    const other = await newReceiver();
    const id = await madeBy(receiver);
    const own = await madeBy(other);
    const { body } = await other.api('GET', '/streams');
    expect(body.map((one: { stream_id: string }) => one.stream_id)).toEqual([own]);
    await receiver.api('DELETE', `/streams?stream_id=${id}`);
    await admin('DELETE', `/signals/receivers/${other.name}`);
  });

  it.each(['add', 'remove'])(
    'POST /ssf/subjects/%s knows a person of another org as little as nobody',
    async (verb) => {
      const forms = (id: string, externalId: string, email: string) => [
        { format: 'opaque', id },
        { format: 'iss_sub', iss: BASE, sub: id },
        { format: 'scim', uri: `/Users/${id}` },
        { format: 'scim', externalId },
        { format: 'email', email },
      ];
      const hers = forms(grace.id, '00uGrace', 'grace@mail.example');
      const nobodys = forms(crypto.randomUUID(), '00uNobody', 'nobody@mail.example');
      const inTenant = (user: object, id: string) => ({ format: 'complex', user, tenant: { format: 'opaque', id } });
      for (const everyone of [false, true]) {
        const one = await newReceiver(everyone ? undefined : [ours.slug]);
        const id = await madeBy(one);
        const before = await dump();
        const asked = async (subject: object) => {
          const meter = new Meter();
          const answer = await one.api('POST', `/subjects/${verb}`, {
            body: { stream_id: id, subject },
            env: { DB: meter.binding },
          });
          return { seen: seen(answer), status: answer.status, cost: meter.batches };
        };
        await asked(inTenant(nobodys[0]!, 'ours'));
        for (const [i, subject] of hers.entries()) {
          const pairs = everyone
            ? // Of the wrong tenant, and of none.
              [
                [inTenant(subject, 'ours'), inTenant(nobodys[i]!, 'ours')],
                [inTenant(subject, 'nowhere'), inTenant(nobodys[i]!, 'nowhere')],
              ]
            : [
                [subject, nobodys[i]!],
                [inTenant(subject, 'theirs'), inTenant(nobodys[i]!, 'theirs')],
                [inTenant(subject, theirs.orgId), inTenant(nobodys[i]!, 'nowhere')],
              ];
          for (const [foreign, unknown] of pairs) {
            const answer = await asked(foreign!);
            expect(answer.status).toBe(404);
            expect(answer, JSON.stringify(foreign)).toEqual(await asked(unknown!));
          }
        }
        expect(await dump()).toBe(before);
        await admin('DELETE', `/signals/receivers/${one.name}`);
      }
    },
  );
});

describe('a client', () => {
  it.each(CLIENT)('%s is refused with one answer for what is no secret of this receiver', async () => {
    const other = await newReceiver([theirs.slug]);
    const removed = await newReceiver([ours.slug]);
    const disabled = await newReceiver([ours.slug]);
    await admin('DELETE', `/signals/receivers/${removed.name}`);
    await admin('POST', `/signals/receivers/${disabled.name}/disable`, { body: {} });
    const tokens = await rows('SELECT count(*) AS n FROM signal_receiver_tokens');
    const expected = await tokenFor(receiver.clientId, 'let-me-in');
    expect(expected.status).toBe(401);
    for (const [id, secret] of [
      [receiver.clientId, other.secret],
      [other.clientId, receiver.secret],
      [receiver.clientId, ''],
      ['', receiver.secret],
      [receiver.clientId, ours.token],
      ['ours', ours.token],
      [receiver.clientId, await accessToken(receiver)],
      [removed.clientId, removed.secret],
      [disabled.clientId, disabled.secret],
      ['rcv_nobody', removed.secret],
    ] as const) {
      expect(seen(await tokenFor(id, secret)), id).toBe(seen(expected));
    }
    // The one access token that was asked for in between.
    expect(await rows('SELECT count(*) - 1 AS n FROM signal_receiver_tokens')).toEqual(tokens);
  });
});

describe('the admin API', () => {
  const at = (path: string, slug: string, source: string) =>
    path.replace(':slug', slug).replace(':source', source).replace(':name', receiver.name);

  it.each(Object.entries(ADMIN))('%s is refused without the admin token, and changes nothing', async (route, body) => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const before = await dump();
    const [method, path] = split(route);
    const expected = await send(method, at(path, 'nowhere', NEVER), undefined);
    expect(expected.status).toBe(401);
    for (const [name, authorization] of strangers('the admin token')) {
      const answer = await send(method, at(path, 'ours', okta.id), authorization, {
        ...(body && { raw: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
      });
      expect(seen(answer), name).toBe(seen(expected));
    }
    expect(await dump()).toBe(before);
  });

  it.each(Object.entries(ADMIN).filter(([route]) => route.includes(':source')))(
    '%s answers the source of another org as one that never existed',
    async (route, body) => {
      const before = await dump();
      const [method, path] = split(route);
      const asked = (id: string) =>
        admin(method, at(path, 'ours', id).slice('/admin/v1'.length), body === undefined ? {} : { body });
      const unknown = await asked(NEVER);
      expect(unknown.status).toBe(404);
      for (const { id } of [theirOkta, theirStream]) expect(seen(await asked(id))).toBe(seen(unknown));
      expect(await dump()).toBe(before);
    },
  );

  it('lists the sources and refusals of the org alone', async () => {
    await postLogout(theirOkta.endpoint, 'let-me-in', {});
    for (const path of ['/orgs/ours/signals', '/orgs/ours/refusals', '/orgs/ours/health']) {
      const { status, text } = await admin('GET', path);
      expect(status).toBe(200);
      for (const trace of [theirOkta.issuer, theirStream.issuer, theirOkta.id, theirs.orgId])
        expect(text, path).not.toContain(trace);
    }
  });
});

describe('what signals are proved with', () => {
  it.each([
    ['SCIM', 'GET', '/scim/v2/Users'],
    ['SCIM', 'GET', '/orgs/ours/scim/v2/Users'],
    ['the sessions API', 'GET', '/sessions/v1/users?org=ours'],
    ['the admin API', 'GET', '/admin/v1/orgs'],
  ])('opens nothing of %s: %s %s', async (_, method, path) => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    for (const name of [
      'the secret of a receiver',
      'the client of a receiver',
      'an access token of a receiver',
      'a token of Universal Logout',
      'a security event token',
    ]) {
      expect((await send(method, path, credentials[name])).status, name).toBe(401);
    }
  });

  it('opens no page of the portal, and a page shows the sources of its org alone', async () => {
    const link = await newLink('ours');
    const cookie = cookieIn(await openLink(link.path));
    const page = await visitorOf('ours', link.id, cookie).page('');
    expect(page.status).toBe(200);
    expect(textOf(page.text)).toContain(okta.issuer);
    for (const trace of [theirOkta.issuer, theirStream.issuer]) expect(page.text).not.toContain(trace);
    const name = cookie.split('=')[0]!;
    for (const secret of [receiver.secret, await accessToken(receiver)]) {
      const answer = await ask('GET', `${BASE}/portal/orgs/ours`, { headers: { Cookie: `${name}=${secret}` } });
      expect(answer.status).not.toBe(200);
      expect(answer.text).not.toContain(okta.issuer);
    }
  });
});
