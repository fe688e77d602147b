/** The org's sources of signals: who may ask that sessions of its people end, and where. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { coordinatorOf } from '../../coordinator-stub';
import { isJwksAddress } from '../../credentials/public-host';
import { Unreadable } from '../../credentials/sealed-secret';
import { randomText } from '../../credentials/secret';
import { settings } from '../../env';
import { conflict, invalidValue, notFound, ScimError } from '../../scim/error';
import { discoverIssuer } from '../../signals/discovery';
import { ENDING, USUAL } from '../../signals/security-event';
import { askForVerification, createStream, deleteStream, readTransmitter } from '../../signals/transmitter';
import {
  accessTokenOf,
  openCredentials,
  sealCredentials,
  type TransmitterCredentials,
} from '../../signals/transmitter-credentials';
import {
  deleteSource,
  insertSource,
  listSources,
  MAX_SOURCES,
  type NewSource,
  type SignalSource,
  type SourceType,
  type Stream,
  switchSource,
} from '../../store/credentials/signal-sources';
import { Taken, Unmet } from '../../store/d1/batch';
import { signalUrl } from '../addresses';
import { readJson } from '../body';
import { type App, inBackground } from '../context';
import { encryptionKeys } from '../encryption-keys';
import { iso } from '../instants';
import { forgetSource } from '../signals/authenticate';
import { body, readAs } from '../validator';
import { address } from './oauth';
import { by, orgOf } from './respond';

const subject = z._default(
  z.enum(['externalId', 'userName', 'email'], 'externalId, userName or email was expected'),
  'externalId',
);

const token = z
  .string()
  .check(
    z.minLength(1, 'a token was expected'),
    z.maxLength(8_192),
    z.regex(/^[!-~]+$/, 'a bearer token was expected'),
  );
const TEXT = 'a text of at most 1000 characters was expected';
const text = z.string(TEXT).check(z.minLength(1, TEXT), z.maxLength(1_000, TEXT));
const client = z.optional(z.strictObject({ id: text, secret: text, tokenUrl: z.optional(address) }));

/** What opens the API of a transmitter: a token, or a client that gets one. */
const auth = { auth: z.optional(token), client };

const addBody = z.discriminatedUnion(
  'type',
  [
    z.strictObject({
      type: z.literal('global-token-revocation'),
      issuer: address,
      jwksUrl: z.optional(address),
      subject,
      by,
    }),
    z.strictObject({
      type: z.literal('ssf'),
      transmitter: address,
      /** Of the transmitter's API. They are kept, encrypted, where the stream is polled. */
      ...auth,
      delivery: z._default(z.enum(['push', 'poll'], 'push or poll was expected'), 'push'),
      /** Of a stream that was made there by hand: where it is polled. */
      pollUrl: z.optional(address),
      audience: z.optional(
        z
          .string()
          .check(z.minLength(1, 'a value was expected'), z.maxLength(2_000, 'at most 2000 characters are accepted')),
      ),
      endsOn: z.optional(
        z.array(z.enum(ENDING, `one of ${ENDING.join(', ')} was expected`)).check(z.maxLength(ENDING.length)),
      ),
      anyInitiator: z.optional(z.boolean()),
      subject,
      by,
    }),
  ],
  'global-token-revocation or ssf was expected',
);

const removeBody = z.strictObject(auth);
const pauseBody = z.strictObject({ by });
const resumeBody = z.strictObject({ ...auth, by });

export const signals = new Hono<App>();

signals.get('/', async (c) => {
  const { store } = orgOf(c);
  const sources = await listSources(store);
  return c.json(sources.map((source) => shownSource(c, store.tenant.id, source)));
});

signals.post('/', body(addBody), async (c) => {
  const asked = c.req.valid('json');
  const { store } = orgOf(c);
  const { id: orgId } = await store.verify();
  const { source, finish } = asked.type === 'ssf' ? await streamOf(c, orgId, asked) : await revocationOf(c, asked);
  const { actor, store: now } = orgOf(c);
  try {
    await insertSource(now, source, actor);
  } catch (error) {
    await finish?.('undo');
    throw meaning(error);
  }
  const verification = await finish?.('verify');
  if (source.poll) inBackground(c, coordinatorOf(c.env, orgId).pollSoon());
  const added = (await listSources(now)).find(({ id }) => id === source.id);
  if (added === undefined) throw notFound('Source'); // removed meanwhile
  return c.json({ ...shownSource(c, orgId, added), ...(verification !== undefined && { verification }) }, 201);
});

type SourceBody<T extends SourceType> = Extract<z.output<typeof addBody>, { type: T }>;

interface Made {
  readonly source: NewSource;
  /** What follows once it is stored, or could not be: with the transmitter. @returns whether it will do it. */
  readonly finish?: (step: 'verify' | 'undo') => Promise<boolean>;
}

async function revocationOf(
  c: Context<App>,
  { type, issuer, jwksUrl, subject, by: createdBy = c.var.by }: SourceBody<'global-token-revocation'>,
): Promise<Made> {
  const keys = publicKeys(c, jwksUrl ?? (await keysOf(c, issuer)));
  return {
    source: {
      ...{ id: randomText(12), type, issuer, jwksUrl: keys, subject, createdBy },
      ...{ audience: undefined, policy: {}, stream: undefined, status: undefined, poll: undefined },
    },
  };
}

/** Where the issuer says that its keys are. @throws ScimError 409. */
async function keysOf(c: Context<App>, issuer: string): Promise<string> {
  const found = await discoverIssuer(issuer, settings(c.env).allowsLoopbackJwks);
  if ('jwksUrl' in found && found.jwksUrl !== undefined) return found.jwksUrl;
  throw conflict(
    `issuer: ${'fault' in found ? found.fault : 'its metadata names no public jwks_uri'}` +
      ' (/.well-known/openid-configuration and /.well-known/oauth-authorization-server were asked). Or enter jwksUrl',
  );
}

const oneOfBoth = () => invalidValue('auth, client: one of both was expected');

/** What opens the API of a transmitter, if it is said. @throws ScimError 400, 409. */
async function credentialsOf(
  c: Context<App>,
  issuer: string,
  { auth: accessToken, client: asked }: { auth?: string | undefined; client?: z.output<typeof client> },
): Promise<TransmitterCredentials | undefined> {
  if (accessToken !== undefined && asked !== undefined) throw oneOfBoth();
  if (asked === undefined) return accessToken === undefined ? undefined : { token: accessToken };
  const { allowsLoopbackJwks } = settings(c.env);
  const found = asked.tokenUrl === undefined ? await discoverIssuer(issuer, allowsLoopbackJwks) : asked;
  if ('fault' in found) throw conflict(`client.tokenUrl: ${found.fault}. Enter the address`);
  const { tokenUrl } = found;
  if (tokenUrl === undefined) {
    throw conflict('client.tokenUrl: the transmitter publishes no token_endpoint: enter its address');
  }
  if (!isJwksAddress(tokenUrl, allowsLoopbackJwks)) {
    throw invalidValue('client.tokenUrl: an https address with a public host name was expected');
  }
  return { clientId: asked.id, clientSecret: asked.secret, tokenUrl };
}

/** @throws ScimError 409: no token can be had. */
async function tokenBy(c: Context<App>, credentials: TransmitterCredentials): Promise<string> {
  const got = await accessTokenOf(credentials, settings(c.env).allowsLoopbackJwks);
  if ('fault' in got) throw conflict(`client: no access token can be had: ${got.fault}`);
  return got.token;
}

const keys = (c: Context<App>) => encryptionKeys(c, 'the credentials of transmitters that are polled');

/** Reads the transmitter, and with a token for its API makes a stream there. */
async function streamOf(c: Context<App>, orgId: string, asked: SourceBody<'ssf'>): Promise<Made> {
  const { type, transmitter: issuer, delivery, pollUrl, audience, endsOn, anyInitiator, subject } = asked;
  const { by: createdBy = c.var.by } = asked;
  const isPolled = delivery === 'poll';
  if (pollUrl !== undefined && !isPolled) throw invalidValue('pollUrl: it belongs to delivery poll');
  if (isPolled && asked.auth === undefined && asked.client === undefined) {
    throw invalidValue('auth, client: a stream is polled with a token or a client of the transmitter');
  }
  if (asked.auth !== undefined && asked.client !== undefined) throw oneOfBoth();
  const { allowsLoopbackJwks } = settings(c.env);
  if (pollUrl !== undefined && !isJwksAddress(pollUrl, allowsLoopbackJwks)) {
    throw invalidValue('pollUrl: an https address with a public host name was expected');
  }
  if (pollUrl !== undefined && audience === undefined) {
    throw invalidValue('audience: the aud of a stream that was made by hand was expected');
  }
  const sealing = isPolled ? keys(c) : [];
  const sources = await listSources(orgOf(c).store);
  if (sources.some((one) => one.type === type && one.issuer === issuer)) throw taken();
  if (sources.length >= MAX_SOURCES) throw tooManySources();
  const transmitter = await readTransmitter(issuer, allowsLoopbackJwks);
  const credentials = await credentialsOf(c, issuer, asked);
  const policy = { ...(endsOn && { endsOn }), ...(anyInitiator !== undefined && { anyInitiator }) };
  const id = randomText(12);
  const made = { id, type, issuer, jwksUrl: transmitter.jwksUrl, subject, policy, createdBy };
  const byHand = { ...made, audience, stream: undefined, status: undefined };
  if (credentials === undefined) return { source: { ...byHand, poll: undefined } };
  const sealed = isPolled ? await sealCredentials(sealing, id, credentials) : '';
  if (pollUrl !== undefined) return { source: { ...byHand, poll: { url: pollUrl, credentials: sealed } } };
  const access = await tokenBy(c, credentials);
  const endpoint = isPolled ? undefined : signalUrl(c, orgId, type);
  const created = await createStream(transmitter, endpoint, access, allowsLoopbackJwks);
  const poll = created.pollUrl === undefined ? undefined : { url: created.pollUrl, credentials: sealed };
  const stream = { id: created.id, configurationUrl: transmitter.configurationUrl!, state: randomText(24) };
  return {
    source: { ...made, audience: audience ?? created.audience, stream, status: created.status, poll },
    finish: (step) =>
      step === 'verify' ? askForVerification(transmitter, stream, access) : deleteStream(stream, access),
  };
}

signals.delete('/:source', async (c) => {
  const { store, actor } = orgOf(c);
  const asked = readAs(removeBody, await readJson(c, {}), 'body');
  const { issuer } = (await found(c)).source;
  const given = await credentialsOf(c, issuer, asked);
  try {
    const source = await deleteSource(store, c.req.param('source'), c.var.by, actor);
    forgetSource(store.tenant.id, source);
    const { id: removed, type, stream } = source;
    const hasEnded = stream && (await endStream(c, source, stream, given));
    return c.json({ removed, type, issuer, ...(stream && { streamDeleted: hasEnded }) });
  } catch (error) {
    throw meaning(error);
  }
});

/** At the transmitter, with what was given or kept. @returns whether it is gone there. */
async function endStream(
  c: Context<App>,
  { id, poll }: SignalSource,
  stream: Stream,
  given: TransmitterCredentials | undefined,
): Promise<boolean> {
  try {
    const credentials = given ?? (poll && (await openCredentials(keys(c), id, poll.credentials)));
    if (credentials === undefined) return false;
    const access = await accessTokenOf(credentials, settings(c.env).allowsLoopbackJwks);
    return 'token' in access && (await deleteStream(stream, access.token));
  } catch (error) {
    if (error instanceof Unreadable || error instanceof ScimError) return false;
    throw error;
  }
}

signals.get('/:source', async (c) => {
  const { orgId, source } = await found(c);
  return c.json(shownSource(c, orgId, source));
});

signals.post('/:source/pause', body(pauseBody), async (c) => {
  const { by: asker = c.var.by } = c.req.valid('json');
  return c.json(await switched(c, true, asker));
});

/** With other credentials, if they are said. */
signals.post('/:source/resume', body(resumeBody), async (c) => {
  const { by: asker = c.var.by, ...asked } = c.req.valid('json');
  const { id, issuer, poll } = (await found(c)).source;
  const credentials = await credentialsOf(c, issuer, asked);
  if (credentials !== undefined && poll === undefined) {
    throw invalidValue('auth, client: the source is not polled, so it keeps no credentials');
  }
  const sealed = credentials && (await sealCredentials(keys(c), id, credentials));
  return c.json(await switched(c, false, asker, sealed));
});

async function switched(c: Context<App>, isPaused: boolean, asker: string, credentials?: string) {
  const { store, actor } = orgOf(c);
  try {
    const source = await switchSource(store, c.req.param('source')!, { isPaused, credentials }, asker, actor);
    forgetSource(store.tenant.id, source);
    if (source.poll && !isPaused) inBackground(c, coordinatorOf(c.env, store.tenant.id).pollSoon());
    return shownSource(c, store.tenant.id, source);
  } catch (error) {
    throw meaning(error);
  }
}

/** @throws ScimError 404. */
async function found(c: Context<App>): Promise<{ orgId: string; source: SignalSource }> {
  const { store } = orgOf(c);
  const source = (await listSources(store)).find(({ id }) => id === c.req.param('source'));
  if (source === undefined) throw notFound('Source');
  return { orgId: store.tenant.id, source };
}

/** @throws ScimError 400: no keys are fetched from there. */
export function publicKeys(c: Context<App>, jwksUrl: string): string {
  if (isJwksAddress(jwksUrl, settings(c.env).allowsLoopbackJwks)) return jwksUrl;
  throw invalidValue(
    'jwksUrl: an https address with a public host name was expected, no IP address and no name of a private network' +
      ' (for tests on one machine, the variable ALLOW_LOOPBACK_JWKS=true allows its loopback addresses)',
  );
}

function meaning(error: unknown): unknown {
  if (error instanceof Taken) return taken();
  if (!(error instanceof Unmet)) return error;
  if (error.expectation === 'signal_source') return notFound('Source');
  if (error.expectation === 'signal_sources') return tooManySources();
  return error;
}

const taken = () => conflict('issuer: the org has a source of this type and issuer');
const tooManySources = () => conflict(`The org has ${MAX_SOURCES} sources: remove one`);

const shownSource = (c: Context<App>, orgId: string, source: SignalSource) => ({
  id: source.id,
  type: source.type,
  issuer: source.issuer,
  jwksUrl: source.jwksUrl,
  subject: source.subject,
  /** What is entered in the identity provider. */
  endpoint: signalUrl(c, orgId, source.type),
  ...(source.type === 'ssf' && {
    audience: source.audience ?? signalUrl(c, orgId, source.type),
    endsOn: source.policy.endsOn ?? USUAL,
    anyInitiator: source.policy.anyInitiator ?? false,
    delivery: source.poll ? 'poll' : 'push',
    streamId: source.stream?.id ?? null,
    status: source.status ?? null,
    verifiedAt: iso(source.verifiedAt),
  }),
  ...(source.poll && {
    poll: {
      url: source.poll.url,
      polledAt: iso(source.poll.polledAt),
      failures: source.poll.failures,
      failingSince: iso(source.poll.failingSince),
      lastError: source.poll.error ?? null,
    },
  }),
  pausedAt: iso(source.pausedAt),
  lastSignalAt: iso(source.lastSignalAt),
  createdAt: iso(source.createdAt),
  createdBy: source.createdBy,
});
