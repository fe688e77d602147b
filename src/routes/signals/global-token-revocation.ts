/**
 * Universal Logout, as Okta calls it: an issuer asks that all sessions of a person end
 * (draft-parecki-oauth-global-token-revocation).
 */
import { type Context, Hono } from 'hono';
import { REVOCATION } from '../../credentials/signal-token';
import { invalidSyntax, invalidValue, notFound, ScimError, tooManyRequests, unavailable } from '../../scim/error';
import { parseJson } from '../../scim/json';
import { mediaTypesOf } from '../../scim/quirks';
import { doneOf, NotNow } from '../../signals/receive-events';
import { type Subject, subjectOf } from '../../signals/subject-identifier';
import { type SignalSource, SourceGone } from '../../store/credentials/signal-sources';
import { expectUtf8, JSON_TYPES, readBytes } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { authenticateSignal, forgetSource, noteSignal, onceMoreIfGone, orgIdOf, type Signal } from './authenticate';
import { carryOut, toBeRepeated } from './carry-out';

/** Bytes. */
const MAX_BODY = 16_384;

/** What became of one. `hint`: nobody, or too many, are meant. */
interface Outcome {
  readonly hint: 'subject' | 'ambiguous' | undefined;
  readonly isPublished: boolean;
}

export const revocation = new Hono<App>();

revocation.post('/', async (c) => {
  const token = /^\s*Bearer\s+(\S+)\s*$/i.exec(c.req.header('Authorization') ?? '')?.[1];
  let body: Promise<unknown> | undefined;
  let source: SignalSource | undefined;
  const work = async () => {
    const authentication = await authenticateSignal(c, token, REVOCATION);
    if (!authentication.ok) {
      const { fault, wait } = authentication;
      if (fault === 'unavailable')
        throw unavailable('The keys of the issuer could not be fetched, or do not have this key yet: try again', wait);
      if (fault === 'paused') throw unavailable('Signals of this issuer are paused: try again later', wait);
      if (wait !== undefined) throw tooManyRequests('Too many requests: try again later', wait);
      throw unauthorized();
    }
    const { signal } = authentication;
    source = signal.source;
    body ??= readBody(c, source); // the same one for a second source
    return carriedOut(c, signal, subjectIn(c, await body, signal));
  };
  const outcome = await onceMoreIfGone(c, work, unauthorized);
  const { hint, isPublished } = outcome;
  if (hint === undefined) return c.body(null, isPublished ? 204 : 202);
  noteSignal(c, hint, source);
  if (hint === 'ambiguous') throw new ScimError(422, undefined, 'The subject means too many users');
  throw notFound('User');
});

revocation.all('/', allowOnly('POST'));

/** One answer for every token that is not good, whatever the reason. */
const unauthorized = () =>
  new ScimError(401, undefined, 'A valid token of a registered issuer is required', {
    'WWW-Authenticate': 'Bearer realm="signals"',
  });

/** @throws ScimError 400, 413, 415. */
async function readBody(c: Context<App>, source: SignalSource): Promise<unknown> {
  try {
    if (!mediaTypesOf(c.req.header('Content-Type')).every((type) => JSON_TYPES.has(type))) {
      throw new ScimError(415, undefined, 'Content-Type: application/json was expected');
    }
    expectUtf8(c.req.header('Content-Type'));
    const body = parseJson(await readBytes(c.req.raw, MAX_BODY));
    if (typeof body !== 'object' || body === null) throw invalidSyntax('The body: an object was expected');
    return body;
  } catch (error) {
    noteSignal(c, 'body', source);
    throw error;
  }
}

/** @throws ScimError 400, and 404 for a person of another issuer, as for nobody. */
function subjectIn(c: Context<App>, body: unknown, { source }: Signal): Extract<Subject, { lookups: unknown }> {
  // Okta's guide writes `subject`, the draft `sub_id`.
  const { sub_id: named, subject: asOkta } = body as { sub_id?: unknown; subject?: unknown };
  const subject = subjectOf(named ?? asOkta, source);
  if ('lookups' in subject) return subject;
  noteSignal(c, subject.fault === 'malformed' ? 'body' : subject.fault, source);
  if (subject.fault === 'foreign') throw notFound('User');
  throw invalidValue('sub_id: the format iss_sub, email or opaque was expected, with its members (RFC 9493)');
}

async function carriedOut(
  c: Context<App>,
  { org, source, once }: Signal,
  { lookups }: Extract<Subject, { lookups: unknown }>,
): Promise<Outcome> {
  const { id, type, issuer } = source;
  const acts = [{ event: type, ends: true, lookups }];
  try {
    const answer = await carryOut(c)({ source: { id, issuer }, once, acts, actor: org.actor });
    const { became, hints, isPublished } = doneOf(answer);
    if (became === 'used') {
      noteSignal(c, 'replayed', source);
      throw unauthorized();
    }
    return { hint: hints[0], isPublished };
  } catch (error) {
    if (error instanceof SourceGone) forgetSource(orgIdOf(c)!, source);
    throw error instanceof NotNow ? toBeRepeated(error) : error;
  }
}
