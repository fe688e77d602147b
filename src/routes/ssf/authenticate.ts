/**
 * Which receiver asks? The access token is checked in the batch of the work, so no moment lies between; an answer that needed no
 * batch leaves after a check of its own. Whatever is wrong with a token, the answer is the same.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { hashOf, recognise } from '../../credentials/secret';
import { ScimError, tooManyRequests } from '../../scim/error';
import { ReceiverStore, type Scope } from '../../store/operations/signal-streams';
import { refuse } from '../access/guard';
import {
  becomeSeen,
  becomeUnknown,
  failedTooOften,
  Recent,
  receiverTooFast,
  strangerTooOften,
} from '../access/rate-limits';
import type { App } from '../context';

/** Tokens that were good in this isolate: they do not wait for strangers of the same address. */
const known = new Recent<true>(1_000);

/** The stores of requests under way. */
const stores = new WeakMap<Request, ReceiverStore>();

/** Before the handlers of the API: who presents nothing that could be a token gets no further. */
export const presented: MiddlewareHandler<App> = async (c, next) => {
  const text = /^Bearer\s+(\S+)$/i.exec(c.req.header('Authorization') ?? '')?.[1] ?? '';
  const secret = await recognise(text);
  if (!secret.ok || secret.kind !== 'receiver_access') {
    const wait = c.req.header('Authorization') ? await failedTooOften(c) : undefined;
    throw wait === undefined ? badToken(c) : tooMany(wait);
  }
  const hash = await hashOf(text);
  const isKnown = known.get(hash) !== undefined;
  const wait = isKnown ? await receiverTooFast(c, hash) : await strangerTooOften(c, hash);
  if (wait !== undefined) throw tooMany(wait);
  c.set('limitedToken', hash);
  await next();
  const store = stores.get(c.req.raw);
  const isRefused = c.res.status >= 400 && c.res.status < 500;
  if (isRefused && c.res.status !== 401 && !store?.isChecked) {
    const error = await faultOf(c);
    if (error !== undefined) {
      // In the place of what there is already, headers included: an answer that is returned now would be passed over.
      c.res = undefined;
      c.res = refuse(error, c);
    }
  }
  if (c.res.status === 401) {
    known.forget(hash);
    becomeUnknown(c, hash);
  } else if (!isKnown && c.res.status < 500) {
    known.keep(hash, true);
    becomeSeen(c, hash);
  }
};

async function faultOf(c: Context<App>): Promise<Error | undefined> {
  try {
    await storeOf(c, 'ssf.read').read();
    return undefined;
  } catch (error) {
    return error instanceof ScimError && error.status === 401 ? badToken(c) : undefined;
  }
}

/** What the request may read and write, within this scope. */
export function storeOf(c: Context<App>, scope: Scope): ReceiverStore {
  const store = new ReceiverStore(c.env, c.var.limitedToken!, scope, Date.now());
  stores.set(c.req.raw, store);
  return store;
}

/** RFC 6750 §3.1: the challenge has an error code where the request had credentials. Which fault they have, it does not say. */
export const badToken = (c: Context<App>) =>
  new ScimError(401, undefined, 'A valid access token is required as a bearer token', {
    'WWW-Authenticate': `Bearer realm="ssf"${c.req.header('Authorization') ? ', error="invalid_token"' : ''}`,
  });

/** RFC 6750 §3.1: the token is good, and its scope is too small. */
export const insufficientScope = ({ detail }: ScimError) =>
  new ScimError(403, undefined, detail, { 'WWW-Authenticate': 'Bearer realm="ssf", error="insufficient_scope"' });

const tooMany = (seconds: number) => tooManyRequests('Too many requests: try again later', seconds);
