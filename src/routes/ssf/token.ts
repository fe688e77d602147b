/** The token endpoint of receivers (RFC 6749 §4.4): client credentials -> an access token for the API of their streams. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { hashOf, newSecret, randomText, recognise } from '../../credentials/secret';
import { giveToken } from '../../store/operations/signal-receivers';
import { SCOPES, type Scope } from '../../store/operations/signal-streams';
import { basicPair } from '../access/authenticate';
import { strangerTooOften } from '../access/rate-limits';
import type { App } from '../context';
import { allowOnly } from '../method';
import { invalidClient, oauthError } from '../oauth/error';
import { readForm, readParams } from '../oauth/form';
import { OAuthError, type Params } from '../oauth/grant';

/** Milliseconds. */
export const TOKEN_LIFE = 900_000;

const asked = z.object({ grant_type: z.string('grant_type is required'), scope: z.optional(z.string()) });

export const token = new Hono<App>();

token.post('/', async (c) => {
  const params = await readForm(c);
  const { grant_type: type, scope } = readParams(asked, params);
  const { id, secret } = clientIn(c.req.header('Authorization'), params);
  if (type !== 'client_credentials') {
    throw new OAuthError('unsupported_grant_type', 'grant_type: client_credentials was expected');
  }
  const scopes = scopesIn(scope);
  const recognised = await recognise(secret);
  const hash = await hashOf(secret);
  const wait = await strangerTooOften(c, hash);
  if (wait !== undefined) throw tooMany(wait);
  if (!recognised.ok || recognised.kind !== 'receiver') throw invalidClient();
  const text = await newSecret('receiver_access', randomText(12));
  const now = Date.now();
  const made = { hash: await hashOf(text), scopes, validUntil: now + TOKEN_LIFE };
  if (!(await giveToken(c.env, { id, hash }, made, now))) throw invalidClient();
  return c.json({
    access_token: text,
    token_type: 'Bearer',
    expires_in: TOKEN_LIFE / 1_000,
    scope: scopes.join(' '),
  });
});

token.all('/', allowOnly('POST'));
token.onError((error, c) => oauthError(c, error));

/** RFC 6749 §2.3.1: in the header, form-encoded, or in the body; not in both. @throws OAuthError. */
function clientIn(header: string | undefined, params: Params): { readonly id: string; readonly secret: string } {
  if (header === undefined) return { id: params.get('client_id') ?? '', secret: params.get('client_secret') ?? '' };
  const pair = basicPair(/^Basic\s+(\S+)$/i.exec(header)?.[1] ?? '');
  if (pair === undefined || params.has('client_secret')) throw invalidClient();
  return { id: pair.userName, secret: pair.password };
}

/** None asked for: both (§3.3). @throws OAuthError. */
function scopesIn(text: string | undefined): readonly Scope[] {
  if (text === undefined) return SCOPES;
  const words = new Set(text.split(' ').filter((word) => word !== ''));
  const scopes = SCOPES.filter((scope) => words.has(scope));
  if (scopes.length === 0 || scopes.length < words.size)
    throw new OAuthError('invalid_scope', `scope: of ${SCOPES.join(', ')} one or both were expected`);
  return scopes;
}

const tooMany = (seconds: number) =>
  new OAuthError('temporarily_unavailable', 'Too many requests without a valid client: try again later', 429, {
    'Retry-After': String(seconds),
  });
