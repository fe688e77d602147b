/** The org's sources of signals: who may ask that sessions of its people end, and where. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { coordinatorOf } from '../../coordinator-stub';
import { Unreadable } from '../../credentials/sealed-secret';
import { settings } from '../../env';
import { conflict, invalidValue, notFound, ScimError } from '../../scim/error';
import { type CheckedStream, checkStream } from '../../signals/check';
import { deleteStream, readTransmitter } from '../../signals/transmitter';
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
  type SignalSource,
  type Stream,
  switchSource,
} from '../../store/credentials/signal-sources';
import { Taken, Unmet } from '../../store/d1/batch';
import { signalUrl } from '../addresses';
import { readJson } from '../body';
import { type App, inBackground } from '../context';
import { iso } from '../instants';
import { forgetSource } from '../signals/authenticate';
import { body, readAs } from '../validator';
import { addBody, revocationOf, streamOf, taken, tooManySources } from './new-signal-source';
import { by, orgOf } from './respond';
import { shownSource } from './shown-signal-source';
import { auth, credentialKeys, credentialsOf, tokenBy } from './signal-credentials';

const removeBody = z.strictObject(auth);
const checkBody = z.strictObject(auth);
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

/** What the transmitter says of the stream, and what of it is not as it was asked for. */
signals.post('/:source/check', body(checkBody), async (c) => {
  const { orgId, source } = await found(c);
  const { type, id, issuer } = source;
  if (type !== 'ssf') throw conflict('The source is one of Universal Logout: it has no stream to check');
  const credentials = (await credentialsOf(c, issuer, c.req.valid('json'))) ?? (await keptCredentials(c, source));
  if (credentials === undefined) {
    throw invalidValue(
      'auth, client: the source keeps no credentials: a token or a client of the transmitter was expected',
    );
  }
  const { allowsLoopbackJwks } = settings(c.env);
  const transmitter = await readTransmitter(issuer, allowsLoopbackJwks);
  const access = await tokenBy(c, credentials);
  const checked = await checkStream(source, transmitter, signalUrl(c, orgId, type), access, allowsLoopbackJwks);
  return c.json(shownCheck(id, issuer, checked));
});

/** @throws ScimError 409: they cannot be read. */
async function keptCredentials(c: Context<App>, { id, poll }: SignalSource) {
  try {
    return poll && (await openCredentials(credentialKeys(c), id, poll.credentials));
  } catch (error) {
    if (error instanceof Unreadable) throw conflict(`The credentials that are kept cannot be read: ${error.message}`);
    throw error;
  }
}

const shownCheck = (id: string, issuer: string, { stream, status, reason, differences }: CheckedStream) => ({
  ...{ id, issuer, checkedAt: iso(Date.now()), isAsAsked: differences.length === 0 },
  stream: stream
    ? {
        id: stream.id ?? null,
        audience: stream.audience,
        delivery: { method: stream.method ?? null, endpointUrl: stream.endpointUrl ?? null },
        eventsRequested: stream.eventsRequested ?? null,
        eventsDelivered: stream.eventsDelivered ?? null,
      }
    : null,
  status: status ?? null,
  reason: reason ?? null,
  differences,
});

/** At the transmitter, with what was given or kept. @returns whether it is gone there. */
async function endStream(
  c: Context<App>,
  { id, poll }: SignalSource,
  stream: Stream,
  given: TransmitterCredentials | undefined,
): Promise<boolean> {
  try {
    const credentials = given ?? (poll && (await openCredentials(credentialKeys(c), id, poll.credentials)));
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
  const sealed = credentials && (await sealCredentials(credentialKeys(c), id, credentials));
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

function meaning(error: unknown): unknown {
  if (error instanceof Taken) return taken();
  if (!(error instanceof Unmet)) return error;
  if (error.expectation === 'signal_source') return notFound('Source');
  if (error.expectation === 'signal_sources') return tooManySources();
  return error;
}
