/** A stream at its transmitter, compared with what this service asked for. Nothing is changed, on either side. */
import { isJwksAddress } from '../credentials/public-host';
import { conflict } from '../scim/error';
import type { SignalSource } from '../store/credentials/signal-sources';
import { ask, isGood, type Said } from './http';
import { USUAL } from './security-event';
import { EVENTS, POLL, PUSH, type Transmitter } from './transmitter';

/** What the transmitter says of the stream, as far as it can be read. */
export interface FoundStream {
  readonly id: string | undefined;
  readonly issuer: string | undefined;
  readonly audience: readonly string[];
  readonly method: string | undefined;
  readonly endpointUrl: string | undefined;
  /** Undefined: it does not say. */
  readonly eventsRequested: readonly string[] | undefined;
  readonly eventsDelivered: readonly string[] | undefined;
}

/** What is not as this service asked for it, with what follows from it. */
export interface Difference {
  readonly about: string;
  readonly expected: string;
  readonly found: string;
  readonly meaning: string;
}

export interface CheckedStream {
  readonly stream: FoundStream | undefined;
  /** Undefined: the transmitter does not say. */
  readonly status: string | undefined;
  readonly reason: string | undefined;
  readonly differences: readonly Difference[];
}

/** Texts that are shown are cut, and lists too: they are the transmitter's. */
const LONGEST = 1_000;
const MAX_LISTED = 100;

const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value.slice(0, LONGEST) : undefined);
const textsOf = (value: unknown) =>
  Array.isArray(value) ? value.slice(0, MAX_LISTED).flatMap((one) => textOf(one) ?? []) : undefined;

/**
 * At most two requests, to public addresses.
 *
 * @param endpoint ours, where signals are pushed.
 * @throws ScimError 409: the transmitter does not answer, or refuses the token.
 */
export async function checkStream(
  source: SignalSource,
  transmitter: Transmitter,
  endpoint: string,
  auth: string,
  allowsLoopback: boolean,
): Promise<CheckedStream> {
  const url = source.stream?.configurationUrl ?? transmitter.configurationUrl;
  if (url === undefined) throw unusable('its metadata names no configuration_endpoint');
  if (!isJwksAddress(url, allowsLoopback)) throw unusable('its configuration_endpoint is at no public address');
  const stream = await findStream(source, url, endpoint, auth);
  const id = stream?.id ?? source.stream?.id;
  const { status, reason } = stream && id !== undefined ? await statusOf(transmitter, id, auth) : NO_STATUS;
  return {
    stream,
    status,
    reason,
    differences: differencesOf(source, transmitter, endpoint, stream, { status, reason }),
  };
}

/** By its id; of a stream that was made by hand, by where it delivers. */
async function findStream(source: SignalSource, url: string, endpoint: string, auth: string) {
  const id = source.stream?.id;
  const said = await ask('GET', id === undefined ? url : withStream(url, id), { auth });
  if (said.status === 404) return undefined;
  if (!isGood(said) || (said.body ?? said.list) === undefined)
    throw unusable(`${described(said)} for its configuration`);
  const all = [said.list ?? said.body].flat().flatMap((one) => streamIn(one) ?? []);
  // What was asked for by its id need not repeat the id.
  if (id !== undefined)
    return all.find((one) => one.id === id) ?? (said.list ? undefined : all.find((one) => one.id === undefined));
  return all.find(({ endpointUrl }) => endpointUrl === (source.poll?.url ?? endpoint));
}

const NO_STATUS = { status: undefined, reason: undefined };

async function statusOf({ statusUrl }: Transmitter, id: string, auth: string) {
  if (statusUrl === undefined) return NO_STATUS;
  const said = await ask('GET', withStream(statusUrl, id), { auth });
  if (!isGood(said)) throw unusable(`${described(said)} for the status`);
  return { status: textOf(said.body?.['status']), reason: textOf(said.body?.['reason']) };
}

function streamIn(value: unknown): FoundStream | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const members = value as Record<string, unknown>;
  const { method, endpoint_url: endpointUrl } = (members['delivery'] ?? {}) as Record<string, unknown>;
  return {
    id: textOf(members['stream_id']),
    issuer: textOf(members['iss']),
    audience: textsOf([members['aud']].flat()) ?? [],
    method: textOf(method),
    endpointUrl: textOf(endpointUrl),
    eventsRequested: textsOf(members['events_requested']),
    eventsDelivered: textsOf(members['events_delivered']),
  };
}

function differencesOf(
  source: SignalSource,
  transmitter: Transmitter,
  endpoint: string,
  stream: FoundStream | undefined,
  { status, reason }: Pick<CheckedStream, 'status' | 'reason'>,
): Difference[] {
  const all: Difference[] = [];
  const compare = (about: string, expected: string | undefined, found: string | undefined, meaning: string) => {
    if (expected !== undefined && found !== undefined && found !== expected)
      all.push({ about, expected, found, meaning });
  };
  compare(
    'jwks_uri',
    source.jwksUrl,
    transmitter.jwksUrl,
    'Signals signed by keys of the new address are refused: add the source anew',
  );
  compare(
    'configuration_endpoint',
    source.stream?.configurationUrl,
    transmitter.configurationUrl,
    'The stream is looked for at the old address: add the source anew',
  );
  if (stream === undefined) {
    const meaning = 'No signals come: remove the source, and add it anew';
    return [...all, { about: 'stream', expected: source.stream?.id ?? 'one to this service', found: 'none', meaning }];
  }
  const audience = source.audience ?? endpoint;
  compare('iss', source.issuer, stream.issuer, 'Signals of another issuer are refused');
  if (!stream.audience.includes(audience)) {
    const found = stream.audience.join(', ') || 'none';
    all.push({ about: 'aud', expected: audience, found, meaning: 'Signals for another audience are refused' });
  }
  compare('delivery.method', source.poll ? POLL : PUSH, stream.method ?? 'none', 'Signals are not delivered here');
  compare(
    'delivery.endpoint_url',
    source.poll?.url ?? endpoint,
    stream.endpointUrl ?? 'none',
    'Signals are delivered elsewhere',
  );
  const { eventsRequested: requested, eventsDelivered: delivered } = stream;
  const unasked = source.stream && requested ? EVENTS.filter((uri) => !requested.includes(uri)) : [];
  if (unasked.length > 0) {
    const found = `without ${unasked.map(nameOf).join(', ')}`;
    all.push({
      about: 'events_requested',
      expected: 'all that were asked for',
      found,
      meaning: 'Somebody changed the stream at the transmitter',
    });
  }
  const names = delivered?.map(nameOf);
  const missing = (source.policy.endsOn ?? USUAL).filter((name) => names !== undefined && !names.includes(name));
  if (missing.length > 0) {
    const meaning = 'The transmitter does not send these events, so they end no sessions';
    all.push({
      about: 'events_delivered',
      expected: (source.policy.endsOn ?? USUAL).join(', '),
      found: `without ${missing.join(', ')}`,
      meaning,
    });
  }
  if (status !== undefined && status !== 'enabled') {
    const found = [status, reason].filter((text) => text !== undefined).join(': ');
    const meaning = status === 'paused' ? 'Signals wait at the transmitter' : 'Signals are dropped at the transmitter';
    all.push({ about: 'status', expected: 'enabled', found, meaning });
  }
  return all;
}

const nameOf = (uri: string) => uri.slice(uri.lastIndexOf('/') + 1);

function withStream(address: string, id: string): string {
  const url = new URL(address);
  url.searchParams.set('stream_id', id);
  return url.href;
}

const described = ({ status }: Said) =>
  status === 0 ? 'it gives no answer' : `it gives the answer ${status}, or one that is no JSON,`;
const unusable = (why: string) => conflict(`The stream cannot be checked: ${why}`);
