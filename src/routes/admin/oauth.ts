/** OAuth clients of an org: each is an application of its identity provider, with a secret, a key or an issuer. */
import { type Context, Hono } from 'hono';
import { createMiddleware } from 'hono/factory';
import * as z from 'zod/mini';
import { isJwksAddress } from '../../credentials/public-host';
import { hashOf, maskOf, newSecret, randomText } from '../../credentials/secret';
import { readSigner } from '../../credentials/signer';
import { settings } from '../../env';
import { PLAIN_TEXT, PLAIN_TEXT_EXPECTED } from '../../plain-text';
import { invalidValue, notFound, ScimError } from '../../scim/error';
import { secretsOf } from '../../store/credentials/credentials';
import {
  deleteClient,
  findClient,
  insertClient,
  type ListedClient,
  listClients,
  type Signer,
} from '../../store/credentials/oauth-clients';
import { Unmet } from '../../store/d1/batch';
import { endpoints } from '../addresses';
import type { App } from '../context';
import { iso } from '../instants';
import { body, query } from '../validator';
import { credentials, expires, shownCredential } from './credentials';
import { by, confirmation, orgOf, pageAsked, pageOf, scimBaseUrl } from './respond';

const MAX_LENGTH = 2_000;
export const MAX_URIS = 20;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
const ADDRESS = 'an absolute https address without user, blanks and * was expected; http for this machine only';

/** Such an address is compared, or fetched, as it was entered: so nothing that a reader would take for something else. */
function isAddress(text: string): boolean {
  if (!/^[!-~]+$/.test(text) || /[\\*"<>^`{|}]/.test(text) || !URL.canParse(text)) return false;
  const { protocol, username, password, hostname } = new URL(text);
  if (!/^https?:\/\//i.test(text) || username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname));
}

const text = (longest: number) =>
  z
    .string('a string was expected')
    .check(z.minLength(1, 'a value was expected'), z.maxLength(longest, `at most ${longest} characters are accepted`));
export const address = text(MAX_LENGTH).check(z.refine(isAddress, ADDRESS));
export const redirectUri = address.check(
  z.refine((uri) => !uri.includes('#'), 'no fragment was expected (RFC 6749, section 3.1.2)'),
);

const createBody = z.strictObject({
  name: z.optional(
    text(200).check(z.trim(), z.minLength(1, 'a name was expected'), z.regex(PLAIN_TEXT, PLAIN_TEXT_EXPECTED)),
  ),
  redirectUris: z._default(
    z.pipe(
      z.array(redirectUri).check(z.maxLength(MAX_URIS, `at most ${MAX_URIS} are accepted`)),
      z.transform((uris) => [...new Set(uris)]),
    ),
    [],
  ),
  by,
  expires,
  assertion: z.optional(
    z.strictObject({
      jwk: z.optional(z.unknown()),
      jwks: z.optional(z.unknown()),
      issuer: z.optional(text(MAX_LENGTH)),
      jwksUrl: z.optional(address),
      subject: z.optional(text(MAX_LENGTH)),
      audience: z.optional(text(MAX_LENGTH)),
    }),
  ),
});

/** Where a page of clients may begin. */
const clientId = z.string().check(z.maxLength(100, 'the id of a client was expected'));

export const clients = new Hono<App>();

/** In the order of their ids from page to page, and on a page the oldest first. */
clients.get('/', query(pageAsked(clientId)), async (c) => {
  const page = c.req.valid('query');
  const found = await listClients(orgOf(c).store, page);
  const ids = found.map(({ id }) => id).sort();
  return pageOf(c, page, found.map(shownClient), ids.at(-1));
});

clients.post('/', body(createBody), async (c) => {
  const asked = c.req.valid('json');
  if (asked.assertion && asked.expires !== undefined) {
    throw invalidValue('expires: a client that signs has no secret, so nothing can expire');
  }
  const signer = asked.assertion && (await readSigner(asked.assertion));
  refusePrivateKeys(c, signer);
  const { store, actor } = orgOf(c);
  const { id: orgId } = await store.verify();
  const id = `${orgId}_${randomText(16)}`;
  const secret = signer ? undefined : await newSecret('oauth_client', orgId);
  const draft = secret === undefined ? undefined : await draftOf(secret, asked.expires);
  const { name = id, redirectUris, by: createdBy = c.var.by } = asked;
  await insertClient(store, { id, name, redirectUris, signer, createdBy }, draft, actor);
  return c.json({ clientSecret: secret ?? null, ...(await shown(c, id)) }, 201);
});

/** @throws ScimError 400: the issuer's keys are where none are fetched from. */
export function refusePrivateKeys(c: Context<App>, signer: Signer | undefined): void {
  if (signer === undefined || 'keys' in signer || isJwksAddress(signer.jwksUrl, settings(c.env).allowsLoopbackJwks)) {
    return;
  }
  throw invalidValue(
    'assertion.jwksUrl: an https address with a public host name was expected, no IP address and no name of a private network' +
      ' (for tests on one machine, the variable ALLOW_LOOPBACK_JWKS=true allows its loopback addresses)',
  );
}

const draftOf = async (secret: string, validFor: number | undefined) => ({
  id: crypto.randomUUID(),
  hash: await hashOf(secret),
  mask: maskOf(secret),
  validFor,
});

/** What is entered in the identity provider, beside the client's id and secret. */
const setUp = (c: Context<App>) => ({ scimBaseUrl: scimBaseUrl(c), ...endpoints(c) });

const clientIdOf = (c: Context<App>) => c.req.param('client') ?? '';

/** @throws ScimError 404. */
async function shown(c: Context<App>, id: string) {
  const [client] = await listClients(orgOf(c).store, { only: id });
  if (client === undefined) throw notFound('Client');
  return { ...shownClient(client), ...setUp(c) };
}

clients.get('/:client', async (c) => c.json(await shown(c, clientIdOf(c))));

clients.delete('/:client', query(confirmation), async (c) => {
  const id = clientIdOf(c);
  const { store, actor } = orgOf(c);
  if (c.req.valid('query').confirm !== id) {
    throw invalidValue('confirm: the id of the client was expected, because its access ends at once');
  }
  try {
    return c.json({ deleted: id, revoked: await deleteClient(store, id, c.var.by, actor) });
  } catch (error) {
    if (error instanceof Unmet && error.expectation === 'found') throw notFound('Client');
    throw error;
  }
});

/** Before what is done with a secret: a client that signs has none, and must not get one beside its signer. */
const withSecret = createMiddleware<App>(async (c, next) => {
  const client = await findClient(orgOf(c).store, clientIdOf(c));
  if (client === undefined) throw notFound('Client');
  if (client.signer) throw new ScimError(409, undefined, 'The client signs its requests, so it has no secret');
  await next();
});

clients.use('/:client/*', withSecret);
clients.route(
  '/:client',
  credentials({ line: (c) => secretsOf(clientIdOf(c)), secret: 'clientSecret', noun: 'oauth client' }),
);

const shownClient = ({ id, name, redirectUris, signer, secrets, createdAt, createdBy, lastUsedAt }: ListedClient) => ({
  clientId: id,
  name,
  redirectUris,
  /** Public, all of it: keys, or who signs. */
  assertion: signer ?? null,
  secrets: secrets.map((secret) => shownCredential(secret, secrets)),
  createdAt: iso(createdAt),
  createdBy,
  lastUsedAt: iso(lastUsedAt),
});
