/** The configuration of streams (SSF 1.0 §8.1.1): created, read, changed, replaced, deleted. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { isWebhookAddress } from '../../credentials/public-host';
import { seal } from '../../credentials/sealed-secret';
import { randomText } from '../../credentials/secret';
import { settings } from '../../env';
import { conflict, invalidValue, notFound } from '../../scim/error';
import { Unmet } from '../../store/d1/batch';
import {
  changeStream,
  deleteStream,
  findStream,
  insertStream,
  listStreams,
  MAX_STREAMS,
  type ReceiverStore,
  type SignalStream,
  type StreamDraft,
} from '../../store/operations/signal-streams';
import { SUPPORTED } from '../../transmitter/events';
import { eventsDelivered } from '../../transmitter/page';
import { type App, actorOf } from '../context';
import { encryptionKeys } from '../encryption-keys';
import { allowOnly } from '../method';
import { pushSignalsSoon } from '../push-signals';
import { body, query } from '../validator';
import { POLL, PUSH, ssfAddresses } from './addresses';
import { storeOf } from './authenticate';

/** Seconds between two requests for a verification. */
export const MIN_VERIFICATION_INTERVAL = 30;

const MAX_EVENTS = 100;
const MAX_TEXT = 1_000;
const URI = 'the URI of a type of event was expected';
const text = (most: number) =>
  z.string('a string was expected').check(z.maxLength(most, `at most ${most} characters are accepted`));

export const streamId = text(40).check(z.minLength(1, 'the id of a stream was expected'));

const HEADER = z
  .string('a string was expected')
  .check(
    z.maxLength(4_096, 'at most 4096 characters are accepted'),
    z.regex(/^[!-~][ -~]*$/, 'printable ASCII was expected'),
  );
/** What the receiver decides. */
const MEMBERS = {
  events_requested: z.optional(
    z
      .array(text(MAX_TEXT).check(z.minLength(1, URI)), 'a list of URIs was expected')
      .check(z.maxLength(MAX_EVENTS, `at most ${MAX_EVENTS} are accepted`)),
  ),
  description: z.optional(text(MAX_TEXT)),
  delivery: z.optional(
    z.looseObject(
      {
        method: z.enum([PUSH, POLL], `${PUSH} or ${POLL} was expected`),
        endpoint_url: z.optional(text(MAX_TEXT)),
        authorization_header: z.nullish(HEADER),
      },
      'an object was expected',
    ),
  ),
};
/** In a new configuration everything else is ignored (§8.1.1.1): what the transmitter decides, and what is not known. */
const configuration = z.looseObject(MEMBERS);
type Configuration = z.output<typeof configuration>;
const uris = z.optional(z.array(z.string('a string was expected'), 'a list of URIs was expected'));
/** What the transmitter decides may come back as it is (§8.1.1.3, §8.1.1.4). */
const OURS = {
  iss: z.optional(z.string('a string was expected')),
  aud: z.optional(z.union([z.string(), z.array(z.string())], 'a string or a list of them was expected')),
  events_supported: uris,
  events_delivered: uris,
  min_verification_interval: z.optional(z.number('a number was expected')),
};
const changed = z.looseObject({ ...MEMBERS, ...OURS, stream_id: streamId });
type Change = Pick<z.output<typeof changed>, keyof typeof OURS | 'delivery'>;

const which = query(z.object({ stream_id: z.optional(streamId) }));

export const streams = new Hono<App>();

streams.post('/', body(configuration), async (c) => {
  const asked = c.req.valid('json');
  const store = storeOf(c, 'ssf.manage');
  await store.read(); // for its name in the journal
  const id = randomText(20);
  const { issuer } = ssfAddresses(c);
  const draft = await draftOf(c, id, asked);
  try {
    const stream = await insertStream(store, id, issuer, draft, actor(c, store));
    return c.json(shownStream(c, stream, store.caller.audience), 201);
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'signal_streams') throw error;
    throw conflict(`The receiver has ${MAX_STREAMS} streams: delete one`);
  }
});

streams.get('/', which, async (c) => {
  const { stream_id: id } = c.req.valid('query');
  const store = storeOf(c, 'ssf.read');
  if (id === undefined) {
    const all = await listStreams(store);
    return c.json(all.map((stream) => shownStream(c, stream, store.caller.audience)));
  }
  const stream = await found(store, id);
  return c.json(shownStream(c, stream, store.caller.audience));
});

for (const method of ['patch', 'put'] as const) {
  streams[method]('/', body(changed), async (c) => {
    const { stream_id: id, ...asked } = c.req.valid('json');
    const store = storeOf(c, 'ssf.manage');
    const before = await found(store, id);
    const draft = await draftOf(c, id, asked, before, method === 'patch');
    checkOurs(c, store, asked, before, draft);
    const after = await meaning(changeStream(store, id, draft, actor(c, store)));
    if (after.method === 'push') pushSignalsSoon(c, after.receiverId);
    return c.json(shownStream(c, after, store.caller.audience));
  });
}

streams.delete('/', which, async (c) => {
  const { stream_id: id } = c.req.valid('query');
  const store = storeOf(c, 'ssf.manage');
  if (id === undefined) throw invalidValue('stream_id: the id of a stream was expected');
  await store.read(); // for its name in the journal
  await meaning(deleteStream(store, id, actor(c, store)));
  return c.body(null, 204);
});

streams.all('/', allowOnly('GET', 'POST', 'PATCH', 'PUT', 'DELETE'));

export const actor = (c: Context<App>, store: ReceiverStore) => actorOf(c, `receiver:${store.caller.name}`);

/** @throws ScimError 404, also for another receiver's. */
export async function found(store: ReceiverStore, id: string): Promise<SignalStream> {
  const stream = await findStream(store, id);
  if (stream === undefined) throw notFound('Stream');
  return stream;
}

/** @throws ScimError 404. */
export async function meaning<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof Unmet && error.expectation === 'signal_stream' ? notFound('Stream') : error;
  }
}

/** What we decide, and the receiver may only repeat. @throws ScimError 400. */
function checkOurs(
  c: Context<App>,
  { caller }: ReceiverStore,
  asked: Change,
  before: SignalStream,
  after: StreamDraft,
) {
  const wrong = (name: string) => invalidValue(`${name}: the transmitter decides it: send what it is, or leave it out`);
  const { iss, aud, min_verification_interval: interval, delivery } = asked;
  if (iss !== undefined && iss !== before.issuer) throw wrong('iss');
  if (aud !== undefined && !isSet([aud].flat(), [caller.audience])) throw wrong('aud');
  if (interval !== undefined && interval !== MIN_VERIFICATION_INTERVAL) throw wrong('min_verification_interval');
  const { events_supported: supported, events_delivered: delivered } = asked;
  if (supported !== undefined && !isSet(supported, SUPPORTED)) throw wrong('events_supported');
  // As it was read, or as it becomes by this request.
  if (delivered !== undefined && ![before, after].some((stream) => isSet(delivered, eventsDelivered(stream))))
    throw wrong('events_delivered');
  if (delivery?.method === POLL && delivery.endpoint_url !== undefined) {
    if (delivery.endpoint_url !== ssfAddresses(c).poll(before.id)) throw wrong('delivery.endpoint_url');
  }
}

/** The same ones, in any order. */
const isSet = (some: readonly string[], others: readonly string[]) =>
  others.every((one) => some.includes(one)) && some.every((one) => others.includes(one));

/**
 * @param before absent: it is a new one. A header that is not said stays, where the address stays: it is not shown either.
 * @param isPartial what is absent stays as it is.
 */
async function draftOf(
  c: Context<App>,
  id: string,
  asked: Configuration,
  before?: SignalStream,
  isPartial = false,
): Promise<StreamDraft> {
  const others = {
    eventsRequested: asked.events_requested ?? (isPartial ? before?.eventsRequested : undefined),
    description: asked.description ?? (isPartial ? before?.description : undefined),
  };
  if (asked.delivery === undefined && isPartial && before) {
    return { ...others, method: before.method, endpointUrl: before.endpointUrl, authorization: before.authorization };
  }
  const { method = POLL, endpoint_url: url, authorization_header: header } = asked.delivery ?? {};
  if (method === POLL) return { ...others, method: 'poll', endpointUrl: undefined, authorization: undefined };
  if (url === undefined || !isWebhookAddress(url, settings(c.env).allowsLoopbackWebhooks)) {
    throw invalidValue(
      'delivery.endpoint_url: an https address with a name of the public Internet was expected, without user and fragment',
    );
  }
  const kept = url === before?.endpointUrl && header === undefined ? before.authorization : undefined;
  const keys = encryptionKeys(c, 'the headers of streams');
  const sealed = header ? await seal(keys, 'receiver credentials', id, header) : kept;
  return { ...others, method: 'push', endpointUrl: url, authorization: sealed };
}

const shownStream = (c: Context<App>, stream: SignalStream, audience: string) => ({
  stream_id: stream.id,
  iss: stream.issuer,
  aud: audience,
  events_supported: SUPPORTED,
  ...(stream.eventsRequested && { events_requested: stream.eventsRequested }),
  events_delivered: eventsDelivered(stream),
  delivery:
    stream.method === 'push'
      ? { method: PUSH, endpoint_url: stream.endpointUrl }
      : { method: POLL, endpoint_url: ssfAddresses(c).poll(stream.id) },
  min_verification_interval: MIN_VERIFICATION_INTERVAL,
  ...(stream.description !== undefined && { description: stream.description }),
});
