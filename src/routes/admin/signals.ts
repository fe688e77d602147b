/** The org's sources of signals: who may ask that sessions of its people end, and where. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { isJwksAddress } from '../../credentials/public-host';
import { randomText } from '../../credentials/secret';
import { settings } from '../../env';
import { conflict, invalidValue, notFound } from '../../scim/error';
import { ENDING, USUAL } from '../../signals/security-event';
import { askForVerification, createStream, deleteStream, readTransmitter } from '../../signals/transmitter';
import {
  deleteSource,
  insertSource,
  listSources,
  MAX_SOURCES,
  type NewSource,
  type SignalSource,
  type SourceType,
} from '../../store/credentials/signal-sources';
import { Taken, Unmet } from '../../store/d1/batch';
import { signalUrl } from '../addresses';
import { readJson } from '../body';
import type { App } from '../context';
import { iso } from '../instants';
import { forgetSource } from '../signals/authenticate';
import { body, readAs } from '../validator';
import { address } from './oauth';
import { by, orgOf } from './respond';

/** Where Okta publishes the keys of an org. Not verified against a live org: `jwksUrl` overrides it. */
const OKTA_KEYS = '/oauth2/v1/keys';

const subject = z._default(
  z.enum(['externalId', 'userName', 'email'], 'externalId, userName or email was expected'),
  'externalId',
);

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
      /** Of the transmitter's API; used now, and not kept. */
      auth: z.optional(
        z
          .string()
          .check(
            z.minLength(1, 'a token was expected'),
            z.maxLength(8_192),
            z.regex(/^[!-~]+$/, 'a bearer token was expected'),
          ),
      ),
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

const removeBody = z.strictObject({
  auth: z.optional(
    z.string().check(z.minLength(1), z.maxLength(8_192), z.regex(/^[!-~]+$/, 'a bearer token was expected')),
  ),
});

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
  const { source, finish } = asked.type === 'ssf' ? await streamOf(c, orgId, asked) : revocationOf(c, asked);
  const { actor, store: now } = orgOf(c);
  try {
    await insertSource(now, source, actor);
  } catch (error) {
    await finish?.('undo');
    throw meaning(error);
  }
  const verification = await finish?.('verify');
  const added = { ...source, verifiedAt: undefined, lastSignalAt: undefined, createdAt: now.now };
  return c.json({ ...shownSource(c, orgId, added), ...(verification !== undefined && { verification }) }, 201);
});

type SourceBody<T extends SourceType> = Extract<z.output<typeof addBody>, { type: T }>;

interface Made {
  readonly source: NewSource;
  /** What follows once it is stored, or could not be: with the transmitter. @returns whether it will do it. */
  readonly finish?: (step: 'verify' | 'undo') => Promise<boolean>;
}

function revocationOf(
  c: Context<App>,
  { type, issuer, jwksUrl, subject, by: createdBy = c.var.by }: SourceBody<'global-token-revocation'>,
): Made {
  const keys = publicKeys(c, jwksUrl ?? `${issuer.replace(/\/+$/, '')}${OKTA_KEYS}`);
  return {
    source: {
      ...{ id: randomText(12), type, issuer, jwksUrl: keys, subject, createdBy },
      ...{ audience: undefined, policy: {}, stream: undefined, status: undefined },
    },
  };
}

/** Reads the transmitter, and with a token for its API makes a stream there. */
async function streamOf(c: Context<App>, orgId: string, asked: SourceBody<'ssf'>): Promise<Made> {
  const { type, transmitter: issuer, auth, audience, endsOn, anyInitiator, subject, by: createdBy = c.var.by } = asked;
  const sources = await listSources(orgOf(c).store);
  if (sources.some((one) => one.type === type && one.issuer === issuer)) throw taken();
  if (sources.length >= MAX_SOURCES) throw tooManySources();
  const transmitter = await readTransmitter(issuer, settings(c.env).allowsLoopbackJwks);
  const policy = { ...(endsOn && { endsOn }), ...(anyInitiator !== undefined && { anyInitiator }) };
  const id = randomText(12);
  const made = { id, type, issuer, jwksUrl: transmitter.jwksUrl, subject, policy, createdBy };
  if (auth === undefined) return { source: { ...made, audience, stream: undefined, status: undefined } };
  const created = await createStream(transmitter, signalUrl(c, orgId, type), auth);
  const stream = { id: created.id, configurationUrl: transmitter.configurationUrl!, state: randomText(24) };
  return {
    source: { ...made, audience: audience ?? created.audience, stream, status: created.status },
    finish: (step) => (step === 'verify' ? askForVerification(transmitter, stream, auth) : deleteStream(stream, auth)),
  };
}

signals.delete('/:source', async (c) => {
  const { store, actor } = orgOf(c);
  const { auth } = readAs(removeBody, await readJson(c, {}), 'body');
  try {
    const source = await deleteSource(store, c.req.param('source'), c.var.by, actor);
    forgetSource(store.tenant.id, source);
    const { id: removed, type, issuer, stream } = source;
    const hasEnded = stream && auth !== undefined ? await deleteStream(stream, auth) : undefined;
    return c.json({ removed, type, issuer, ...(stream && { streamDeleted: hasEnded ?? false }) });
  } catch (error) {
    throw meaning(error);
  }
});

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
    streamId: source.stream?.id ?? null,
    status: source.status ?? null,
    verifiedAt: iso(source.verifiedAt),
  }),
  lastSignalAt: iso(source.lastSignalAt),
  createdAt: iso(source.createdAt),
  createdBy: source.createdBy,
});
