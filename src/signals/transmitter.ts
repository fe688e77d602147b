/** What we ask of a transmitter (SSF 1.0 §7, §8): what it is, a stream for us, that the stream is checked, its end. */
import { isJwksAddress } from '../credentials/public-host';
import { conflict, invalidValue } from '../scim/error';
import type { Stream } from '../store/credentials/signal-sources';
import { ask, isGood } from './http';

export const PUSH = 'urn:ietf:rfc:8935';
export const POLL = 'urn:ietf:rfc:8936';

/** What we ask to be told. Others come all the same, from some. */
export const EVENTS = [
  ...['session-revoked', 'credential-change', 'token-claims-change', 'assurance-level-change'].map(
    (name) => `https://schemas.openid.net/secevent/caep/event-type/${name}`,
  ),
  ...['account-disabled', 'account-enabled', 'account-purged', 'identifier-changed', 'credential-compromise'].map(
    (name) => `https://schemas.openid.net/secevent/risc/event-type/${name}`,
  ),
];

export interface Transmitter {
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly configurationUrl: string | undefined;
  readonly verificationUrl: string | undefined;
  readonly statusUrl: string | undefined;
}

/**
 * Reads what a transmitter publishes of itself.
 *
 * @throws ScimError 400, 409: it cannot be had, or names no public addresses or another issuer.
 */
export async function readTransmitter(issuer: string, allowsLoopback: boolean): Promise<Transmitter> {
  const { origin, pathname } = new URL(issuer);
  // As for OAuth (RFC 8414 §3.1): before the path of the issuer.
  const path = pathname === '/' ? '' : pathname.replace(/\/+$/, '');
  const url = publicAddress('transmitter', `${origin}/.well-known/ssf-configuration${path}`, allowsLoopback);
  const { status, body } = await ask('GET', url);
  if (status !== 200 || body === undefined) throw unusable(`${describe(status)} at /.well-known/ssf-configuration`);
  if (body['issuer'] !== issuer) throw unusable('it says that its issuer is another one: enter that one');
  const addressOf = (name: string) => {
    const value = body[name];
    return typeof value === 'string' ? publicAddress(name, value, allowsLoopback) : undefined;
  };
  const jwksUrl = addressOf('jwks_uri');
  if (jwksUrl === undefined) throw unusable('it names no jwks_uri');
  return {
    ...{ issuer, jwksUrl },
    configurationUrl: addressOf('configuration_endpoint'),
    verificationUrl: addressOf('verification_endpoint'),
    statusUrl: addressOf('status_endpoint'),
  };
}

/** A stream that was just made. */
export interface CreatedStream extends Stream {
  readonly id: string;
  readonly audience: string;
  readonly status: string | undefined;
  /** Where it is polled, if it is. */
  readonly pollUrl: string | undefined;
}

/** @param endpoint where it is to push to; undefined: it is to be polled. @throws ScimError 400, 409. */
export async function createStream(
  { issuer, configurationUrl }: Transmitter,
  endpoint: string | undefined,
  auth: string,
  allowsLoopback: boolean,
): Promise<CreatedStream> {
  if (configurationUrl === undefined) throw unusable('it makes no streams: make one there, and add it without --auth');
  const { status, body } = await ask('POST', configurationUrl, {
    auth,
    body: {
      delivery: endpoint === undefined ? { method: POLL } : { method: PUSH, endpoint_url: endpoint },
      events_requested: EVENTS,
      description: 'scim-worker',
    },
  });
  if ((status !== 200 && status !== 201) || body === undefined) throw unusable(`${describe(status)} for a new stream`);
  const id = body['stream_id'];
  if (typeof id !== 'string' || id === '' || id.length > 500) throw unusable('it names no stream_id');
  const made = { id, configurationUrl, pollUrl: undefined };
  const audience = [body['aud']].flat()[0];
  const { method, endpoint_url: url } = (body['delivery'] ?? {}) as { method?: unknown; endpoint_url?: unknown };
  const pollUrl = typeof url === 'string' && isJwksAddress(url, allowsLoopback) ? url : undefined;
  const isPolled = endpoint === undefined;
  const fault =
    typeof audience !== 'string' || audience === ''
      ? 'it names no aud for the stream'
      : body['iss'] !== undefined && body['iss'] !== issuer
        ? 'the iss of the stream is another one'
        : isPolled && (method !== POLL || pollUrl === undefined)
          ? 'it names no public address where the stream is polled'
          : undefined;
  if (fault !== undefined) {
    await deleteStream(made, auth); // it must not stay behind
    throw unusable(fault);
  }
  const state = typeof body['status'] === 'string' ? body['status'] : 'enabled';
  return { ...made, audience: audience as string, status: state, pollUrl: isPolled ? pollUrl : undefined };
}

/** Asks for the event `verification` with this state. @returns whether the transmitter will send it. */
export async function askForVerification(
  { verificationUrl }: Transmitter,
  { id, state }: Stream,
  auth: string,
): Promise<boolean> {
  if (verificationUrl === undefined) return false;
  return isGood(await ask('POST', verificationUrl, { auth, body: { stream_id: id, state } }));
}

/** @returns whether the transmitter has no such stream any more. */
export async function deleteStream({ id, configurationUrl }: Stream, auth: string): Promise<boolean> {
  if (id === undefined || configurationUrl === undefined) return false;
  const url = new URL(configurationUrl);
  url.searchParams.set('stream_id', id);
  const said = await ask('DELETE', url.href, { auth });
  return said.status === 404 || isGood(said);
}

/** @throws ScimError 400. */
function publicAddress(name: string, url: string, allowsLoopback: boolean): string {
  if (isJwksAddress(url, allowsLoopback)) return url;
  throw invalidValue(`${name}: an https address with a public host name was expected`);
}

const describe = (status: number) => (status === 0 ? 'no answer' : `the answer ${status}, or one that is no JSON,`);
const unusable = (why: string) => conflict(`The transmitter cannot be used: ${why}`);
