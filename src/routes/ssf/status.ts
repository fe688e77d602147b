/** The status of a stream (SSF 1.0 §8.1.2), and its verification (§8.1.4). */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { settings } from '../../env';
import { invalidValue, tooManyRequests } from '../../scim/error';
import { askVerification, type SignalStream, setStatus } from '../../store/operations/signal-streams';
import { pushControl } from '../../transmitter/deliveries';
import { VERIFICATION } from '../../transmitter/events';
import { type App, inBackground } from '../context';
import { allowOnly } from '../method';
import { pushSignalsSoon } from '../push-signals';
import { body, query } from '../validator';
import { storeOf } from './authenticate';
import { actor, found, MIN_VERIFICATION_INTERVAL, meaning, streamId } from './streams';

const STATUSES = ['enabled', 'paused', 'disabled'] as const;
const MAX_REASON = 1_000;
const MAX_STATE = 1_000;

const statusBody = z.looseObject({
  stream_id: streamId,
  status: z.enum(STATUSES, `one of ${STATUSES.join(', ')} was expected`),
  reason: z.optional(
    z.string('a string was expected').check(z.maxLength(MAX_REASON, `at most ${MAX_REASON} characters are accepted`)),
  ),
});
const verificationBody = z.looseObject({
  stream_id: streamId,
  state: z.optional(
    z.string('a string was expected').check(z.maxLength(MAX_STATE, `at most ${MAX_STATE} characters are accepted`)),
  ),
});

export const status = new Hono<App>();

status.get('/', query(z.object({ stream_id: streamId })), async (c) =>
  c.json(shownStatus(await found(storeOf(c, 'ssf.read'), c.req.valid('query').stream_id))),
);

status.post('/', body(statusBody), async (c) => {
  const { stream_id: id, status: next, reason } = c.req.valid('json');
  const store = storeOf(c, 'ssf.manage');
  const before = await found(store, id);
  if (before.status === next && before.reason === reason) return c.json(shownStatus(before));
  const after = await meaning(setStatus(store, id, next, reason, actor(c, store)));
  if (next === 'enabled') {
    tellSoon(c, after); // of what was asked for while it was paused
    pushSignalsSoon(c, after.receiverId);
  }
  return c.json(shownStatus(after));
});

status.all('/', allowOnly('GET', 'POST'));

const shownStatus = ({ id, status, reason }: SignalStream) => ({
  stream_id: id,
  status,
  ...(reason !== undefined && { reason }),
});

export const verification = new Hono<App>();

verification.post('/', body(verificationBody), async (c) => {
  const { stream_id: id, state } = c.req.valid('json');
  const store = storeOf(c, 'ssf.manage');
  const event = {
    n: `v${store.now.toString(36)}${crypto.randomUUID().slice(0, 8)}`,
    uri: VERIFICATION,
    members: state === undefined ? {} : { state },
    at: store.now,
    txn: c.var.requestId,
  };
  const interval = MIN_VERIFICATION_INTERVAL * 1_000;
  const last = await meaning(askVerification(store, id, event, store.now - interval));
  // §8.1.4.2: 204 says that the event will be sent.
  if (last === 'disabled') throw invalidValue('stream_id: the stream is disabled and sends nothing: enable it first');
  if (last !== 'queued') {
    const seconds = Math.max(1, Math.ceil((last + interval - store.now) / 1_000));
    throw tooManyRequests(`A verification was asked for less than ${MIN_VERIFICATION_INTERVAL} seconds ago`, seconds);
  }
  tellSoon(c, { id });
  return c.body(null, 204);
});

verification.all('/', allowOnly('POST'));

/** Off the answer's path; what fails is tried again by the cron. */
function tellSoon(c: Context<App>, { id }: Pick<SignalStream, 'id'>): void {
  const { encryptionKeys, allowsLoopbackWebhooks } = settings(c.env);
  const keys = encryptionKeys && 'keys' in encryptionKeys ? encryptionKeys.keys : [];
  inBackground(c, pushControl(c.env, { keys, allowsLoopback: allowsLoopbackWebhooks }, id));
}
