/** The org's sources of signals: who may ask that sessions of its people end, and where. */
import { type Context, Hono } from 'hono';
import * as z from 'zod';
import { isJwksAddress } from '../../credentials/public-host';
import { randomText } from '../../credentials/secret';
import { settings } from '../../env';
import { conflict, invalidValue, notFound } from '../../scim/error';
import {
  deleteSource,
  insertSource,
  listSources,
  MAX_SOURCES,
  type SignalSource,
} from '../../store/credentials/signal-sources';
import { Taken, Unmet } from '../../store/d1/batch';
import type { App } from '../context';
import { iso } from '../instants';
import { forgetSource, signalUrl } from '../signals/authenticate';
import { body } from '../validator';
import { address } from './oauth';
import { by, orgOf } from './respond';

/** Where Okta has the keys of an org. Source: Okta, «Build Universal Logout for your app», read in November 2026. */
const OKTA_KEYS = '/oauth2/v1/keys';

const addBody = z.strictObject({
  type: z.enum(['global-token-revocation'], 'global-token-revocation was expected'),
  issuer: address,
  jwksUrl: address.optional(),
  subject: z
    .enum(['externalId', 'userName', 'email'], 'externalId, userName or email was expected')
    .default('externalId'),
  by,
});

export const signals = new Hono<App>();

signals.get('/', async (c) => {
  const { store } = orgOf(c);
  const sources = await listSources(store);
  return c.json(sources.map((source) => shownSource(c, store.tenant.id, source)));
});

signals.post('/', body(addBody), async (c) => {
  const { by: createdBy = c.var.by, jwksUrl, ...asked } = c.req.valid('json');
  const { store, actor } = orgOf(c);
  const { id: orgId } = await store.verify();
  const source = {
    ...{
      id: randomText(12),
      ...asked,
      createdBy,
      audience: undefined,
      policy: {},
      stream: undefined,
      status: undefined,
    },
    jwksUrl: publicKeys(c, jwksUrl ?? `${asked.issuer.replace(/\/+$/, '')}${OKTA_KEYS}`),
  };
  try {
    await insertSource(store, source, actor);
  } catch (error) {
    throw meaning(error);
  }
  const added = { ...source, verifiedAt: undefined, lastSignalAt: undefined, createdAt: store.now };
  return c.json(shownSource(c, orgId, added), 201);
});

signals.delete('/:source', async (c) => {
  const { store, actor } = orgOf(c);
  try {
    const source = await deleteSource(store, c.req.param('source'), c.var.by, actor);
    forgetSource(store.tenant.id, source);
    return c.json({ removed: source.id, type: source.type, issuer: source.issuer });
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
  if (error instanceof Taken) return conflict('issuer: the org has a source of this type and issuer');
  if (!(error instanceof Unmet)) return error;
  if (error.expectation === 'signal_source') return notFound('Source');
  if (error.expectation === 'signal_sources') return conflict(`The org has ${MAX_SOURCES} sources: remove one`);
  return error;
}

const shownSource = (c: Context<App>, orgId: string, source: SignalSource) => ({
  id: source.id,
  type: source.type,
  issuer: source.issuer,
  jwksUrl: source.jwksUrl,
  subject: source.subject,
  /** What is entered in the identity provider. */
  endpoint: signalUrl(c, orgId, source.type),
  lastSignalAt: iso(source.lastSignalAt),
  createdAt: iso(source.createdAt),
  createdBy: source.createdBy,
});
