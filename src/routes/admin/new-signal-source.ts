/** A source of signals that is to be added: read from its issuer, or made at its transmitter. */
import type { Context } from 'hono';
import * as z from 'zod/mini';
import { isJwksAddress } from '../../credentials/public-host';
import { randomText } from '../../credentials/secret';
import { settings } from '../../env';
import { conflict, invalidValue } from '../../scim/error';
import { discoverIssuer } from '../../signals/discovery';
import { ENDING } from '../../signals/security-event';
import { askForVerification, createStream, deleteStream, readTransmitter } from '../../signals/transmitter';
import { sealCredentials } from '../../signals/transmitter-credentials';
import { listSources, MAX_SOURCES, type NewSource, type SourceType } from '../../store/credentials/signal-sources';
import { signalUrl } from '../addresses';
import type { App } from '../context';
import { address } from './oauth';
import { by, orgOf } from './respond';
import { auth, credentialKeys, credentialsOf, oneOfBoth, tokenBy } from './signal-credentials';

const subject = z._default(
  z.enum(['externalId', 'userName', 'email'], 'externalId, userName or email was expected'),
  'externalId',
);

export const addBody = z.discriminatedUnion(
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

type SourceBody<T extends SourceType> = Extract<z.output<typeof addBody>, { type: T }>;

interface Made {
  readonly source: NewSource;
  /** What follows once it is stored, or could not be: with the transmitter. @returns whether it will do it. */
  readonly finish?: (step: 'verify' | 'undo') => Promise<boolean>;
}

export async function revocationOf(
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

/** Reads the transmitter, and with a token for its API makes a stream there. */
export async function streamOf(c: Context<App>, orgId: string, asked: SourceBody<'ssf'>): Promise<Made> {
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
  const sealing = isPolled ? credentialKeys(c) : [];
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

/** @throws ScimError 400: no keys are fetched from there. */
export function publicKeys(c: Context<App>, jwksUrl: string): string {
  if (isJwksAddress(jwksUrl, settings(c.env).allowsLoopbackJwks)) return jwksUrl;
  throw invalidValue(
    'jwksUrl: an https address with a public host name was expected, no IP address and no name of a private network' +
      ' (for tests on one machine, the variable ALLOW_LOOPBACK_JWKS=true allows its loopback addresses)',
  );
}

export const taken = () => conflict('issuer: the org has a source of this type and issuer');
export const tooManySources = () => conflict(`The org has ${MAX_SOURCES} sources: remove one`);
