/** The push endpoint of an org's streams (RFC 8935): a transmitter posts a security event token. */
import { type Context, Hono } from 'hono';
import { EVENT, type SignalFault } from '../../credentials/signal-token';
import { ScimError } from '../../scim/error';
import { mediaTypesOf } from '../../scim/quirks';
import { Malformed, NotNow, receiveEvents } from '../../signals/receive-events';
import { SourceGone } from '../../store/credentials/signal-sources';
import { refuse } from '../access/guard';
import { readBytes } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { authenticateSignal, forgetSource, noteSignal, onceMoreIfGone, orgIdOf, type Signal } from './authenticate';
import { carryOut, toBeRepeated } from './carry-out';

/** RFC 8935 §2.3. */
class Refused extends Error {
  constructor(
    readonly err: 'invalid_request' | 'invalid_audience' | 'invalid_state' | 'authentication_failed',
    readonly description: string,
  ) {
    super(description);
  }
}

export const events = new Hono<App>();

events.post('/', async (c) => {
  if (!mediaTypesOf(c.req.header('Content-Type')).every((type) => type === 'application/secevent+jwt')) {
    noteSignal(c, 'body');
    throw new Refused('invalid_request', 'Content-Type: application/secevent+jwt was expected');
  }
  const token = await readToken(c);
  const work = async () => {
    const authentication = await authenticateSignal(c, token, EVENT);
    if (!authentication.ok) {
      const { fault, wait } = authentication;
      if (wait !== undefined)
        return c.body(null, fault === 'rate_limited' ? 429 : 503, { 'Retry-After': String(wait) });
      throw refusalOf(fault as SignalFault);
    }
    await received(c, authentication.signal);
    return c.body(null, 202);
  };
  return onceMoreIfGone(c, work, () => refusalOf('issuer'));
});

events.all('/', allowOnly('POST'));

events.onError((error, c) => {
  if (!(error instanceof Refused)) return refuse(error, c);
  return c.json({ err: error.err, description: error.description }, 400, { 'Content-Language': 'en' });
});

async function readToken(c: Context<App>): Promise<string | undefined> {
  try {
    const text = new TextDecoder().decode(await readBytes(c.req.raw, EVENT.longest)).trim();
    return text === '' ? undefined : text;
  } catch (error) {
    if (!(error instanceof ScimError)) throw error;
    noteSignal(c, 'body');
    throw new Refused('invalid_request', error.detail);
  }
}

/**
 * Of a token whose signature nobody has checked one thing alone is said, whatever is wrong: else a stranger could learn
 * which issuers an org has.
 */
function refusalOf(fault: SignalFault): Refused {
  if (fault === 'issuer' || fault === 'key' || fault === 'signature' || fault === 'jwks') {
    return new Refused('authentication_failed', 'The token is not of a transmitter of this receiver');
  }
  if (fault === 'audience') return new Refused('invalid_audience', 'The token is not for this receiver');
  return new Refused('invalid_request', SAID[fault] ?? 'The token cannot be read');
}

const SAID: Partial<Record<SignalFault, string>> = {
  missing: 'A security event token was expected as the body',
  type: `The typ of the token has to be ${EVENT.typ}`,
  algorithm: 'The token has to be signed with a public key',
  jti: 'The token needs a jti',
  clock: 'The token is dated more than five minutes in the future',
  time: 'The token needs an iat',
  expired: 'The token has expired',
};

/** @returns once it is committed. @throws Refused, SourceGone. */
async function received(c: Context<App>, signal: Signal): Promise<void> {
  try {
    await receiveEvents(signal, (hint) => noteSignal(c, hint, signal.source), carryOut(c));
  } catch (error) {
    if (error instanceof SourceGone) forgetSource(orgIdOf(c)!, signal.source);
    if (error instanceof NotNow) throw toBeRepeated(error);
    throw error instanceof Malformed ? new Refused(error.err, error.message) : error;
  }
}
