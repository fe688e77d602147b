/** Who receives our signals: added, listed, their secrets rotated, switched, removed. And the keys that sign. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { hashOf, maskOf, newSecret, randomText } from '../../credentials/secret';
import { parseDuration } from '../../duration';
import { conflict, notFound } from '../../scim/error';
import { Taken, Unmet } from '../../store/d1/batch';
import {
  type Algorithm,
  changeSubject,
  findReceiver,
  insertReceiver,
  listReceivers,
  MAX_RECEIVERS,
  removeReceiver,
  rotateReceiver,
  type SignalReceiver,
  SUBJECT_FORMATS,
  switchReceiver,
} from '../../store/operations/signal-receivers';
import { insertFirstKeys, publishedKeys, rotateKeys, type SigningKey } from '../../store/operations/signing-keys';
import { listStreamsOfReceiver, type WatchedStream } from '../../store/operations/watched-streams';
import { newSigningKey } from '../../transmitter/keys';
import { publicUrl } from '../addresses';
import { type App, actorOf } from '../context';
import { encryptionKeys } from '../encryption-keys';
import { iso } from '../instants';
import { pushSignalsSoon } from '../push-signals';
import { body, query } from '../validator';
import { by, noSuchOrg, tellIncomplete } from './respond';

const NAME = 'a name of small letters a-z, digits and single hyphens was expected, in at most 63 characters';
const MAX_ORGS = 100;
const ALGORITHMS = ['RS256', 'ES256'] as const;
const GRACE = 'a duration of at most 24h was expected: 0, 90s, 15m, 24h';
const DAY = parseDuration('24h')!;
/** Milliseconds for which the key before stays published: what it has signed is under way. */
const RETIRED_FOR = DAY;

const subject = z.enum(SUBJECT_FORMATS, `one of ${SUBJECT_FORMATS.join(', ')} was expected`);
const algorithm = z.enum(ALGORITHMS, `one of ${ALGORITHMS.join(', ')} was expected`);
const addBody = z.strictObject({
  name: z.string(NAME).check(z.maxLength(63, NAME), z.regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, NAME)),
  /** Ids or slugs; absent: every org, also those to come. */
  orgs: z.optional(
    z
      .array(z.string().check(z.minLength(1), z.maxLength(100)), 'a list of orgs was expected')
      .check(z.minLength(1, 'at least one was expected'), z.maxLength(MAX_ORGS, `at most ${MAX_ORGS} are accepted`)),
  ),
  /** The `aud` of what it is sent; absent: its client id. */
  audience: z.optional(
    z
      .string('a string was expected')
      .check(
        z.minLength(1, 'a value was expected'),
        z.maxLength(1_000, 'at most 1000 characters are accepted'),
        z.regex(/^[!-~]+$/, 'printable ASCII without blanks was expected'),
      ),
  ),
  algorithm: z._default(algorithm, 'RS256'),
  subject: z._default(subject, 'scim'),
  by,
});
const changeBody = z.strictObject({ subject, by });
const rotateBody = z.strictObject({
  by,
  grace: z._default(
    z.pipe(
      z.string(GRACE).check(z.refine((text) => (parseDuration(text) ?? Number.POSITIVE_INFINITY) <= DAY, GRACE)),
      z.transform((text) => parseDuration(text)!),
    ),
    DAY,
  ),
});

export const signalReceivers = new Hono<App>();

signalReceivers.get('/', async (c) => {
  const { receivers, incomplete } = await listReceivers(c.env);
  tellIncomplete(c, incomplete);
  return c.json(receivers.map((one) => shownReceiver(c, one)));
});

signalReceivers.post('/', body(addBody), async (c) => {
  const { name, orgs, audience, algorithm, subject, by = c.var.by } = c.req.valid('json');
  await ensureKeys(c, algorithm, by);
  const id = `rcv_${randomText(16)}`;
  const { secret, kept } = await newReceiverSecret();
  const draft = { id, name, audience: audience ?? id, algorithm, subject, createdBy: by, ...kept };
  try {
    await insertReceiver(c.env, draft, orgs, actor(c), Date.now());
  } catch (error) {
    if (error instanceof Taken) throw conflict(`There is a receiver ${name} already`);
    if (!(error instanceof Unmet)) throw error;
    if (error.expectation === 'found') throw await noSuchOrg(c, orgs);
    if (error.expectation === 'signal_receivers') throw conflict(`There are ${MAX_RECEIVERS} receivers already`);
    throw error;
  }
  return c.json({ ...shownReceiver(c, await found(c, name)), clientSecret: secret }, 201);
});

signalReceivers.get('/:name', async (c) => {
  const receiver = await found(c);
  const { streams, incomplete } = await listStreamsOfReceiver(c.env, receiver.id);
  if (streams.length > 0) tellIncomplete(c, incomplete);
  return c.json({ ...shownReceiver(c, receiver), streams: streams.map(shownStream) });
});

signalReceivers.patch('/:name', body(changeBody), async (c) => {
  const { subject, by = c.var.by } = c.req.valid('json');
  const receiver = await found(c);
  if (receiver.subject !== subject) await changeSubject(c.env, receiver, subject, actor(c), by, Date.now());
  return c.json(shownReceiver(c, await found(c)));
});

signalReceivers.post('/:name/rotate-secret', body(rotateBody), async (c) => {
  const { grace, by = c.var.by } = c.req.valid('json');
  const receiver = await found(c);
  const { secret, kept } = await newReceiverSecret();
  const now = Date.now();
  await rotateReceiver(c.env, receiver, kept, now + grace, actor(c), by, now);
  return c.json({ ...shownReceiver(c, await found(c)), clientSecret: secret });
});

for (const verb of ['disable', 'enable'] as const) {
  signalReceivers.post(`/:name/${verb}`, body(z.strictObject({ by })), async (c) => {
    const { by = c.var.by } = c.req.valid('json');
    const receiver = await found(c);
    await switchReceiver(c.env, receiver, verb === 'enable', actor(c), by, Date.now());
    if (verb === 'enable') pushSignalsSoon(c, receiver.id);
    return c.json(shownReceiver(c, await found(c)));
  });
}

signalReceivers.delete('/:name', query(z.strictObject({ by })), async (c) => {
  const { by = c.var.by } = c.req.valid('query');
  const receiver = await found(c);
  await removeReceiver(c.env, receiver, actor(c), by, Date.now());
  return c.json({ removed: receiver.name });
});

export const signingKeys = new Hono<App>();

signingKeys.get('/', async (c) => c.json((await publishedKeys(c.env, Date.now())).map(shownKey)));

const rotateKeysBody = z.strictObject({
  algorithm: z.optional(algorithm),
  /** Also while the key before is published: it is withdrawn, as after a leak. */
  force: z._default(z.boolean('true or false was expected'), false),
  by,
});

/** The next key signs from now on. Of each algorithm that is in use. */
signingKeys.post('/rotate', body(rotateKeysBody), async (c) => {
  const { algorithm: asked, force, by = c.var.by } = c.req.valid('json');
  const keys = encryptionKeys(c, 'the keys that sign signals');
  const now = Date.now();
  const meant = (await publishedKeys(c.env, now)).filter((key) => asked === undefined || key.algorithm === asked);
  const signing = meant.filter(({ state }) => state === 'current');
  if (signing.length === 0) throw conflict('There is no key to rotate: the first receiver makes them');
  if (!force) checkCaches(meant);
  const rotations = await Promise.all(
    signing.map(async (current) => ({ current, next: await newSigningKey(keys, current.algorithm) })),
  );
  try {
    await rotateKeys(c.env, rotations, { until: now + RETIRED_FOR, by, now, isForced: force });
  } catch (error) {
    if (!(error instanceof Unmet)) throw error;
    throw conflict('The keys were rotated by another request just now');
  }
  return c.json((await publishedKeys(c.env, Date.now())).map(shownKey));
});

/**
 * Receivers may know the key before, and not yet the next one: what it signs they could not verify, and what the one before has
 * signed would be lost with it. @throws ScimError 409.
 */
function checkCaches(keys: readonly SigningKey[]): void {
  const cached = keys.filter(({ state }) => state === 'previous');
  if (cached.length === 0) return;
  const until = Math.max(...cached.map(({ retiredUntil }) => retiredUntil ?? 0));
  const algorithms = cached.map(({ algorithm }) => algorithm).join(', ');
  throw conflict(
    `The keys were rotated less than 24 hours ago (${algorithms}), and receivers still use the key before. ` +
      `The next rotation is possible from ${iso(until)}; force withdraws the key before at once`,
  );
}

/** The first receiver of an algorithm makes its keys: two, so that the next one is known before it signs. */
async function ensureKeys(c: Context<App>, algorithm: Algorithm, by: string): Promise<void> {
  const keys = encryptionKeys(c, 'the keys that sign signals');
  const now = Date.now();
  if ((await publishedKeys(c.env, now)).some((key) => key.algorithm === algorithm)) return;
  const [current, next] = await Promise.all([newSigningKey(keys, algorithm), newSigningKey(keys, algorithm)]);
  try {
    await insertFirstKeys(c.env, current, next, by, now);
  } catch (error) {
    if (!(error instanceof Taken)) throw error; // another request was quicker
  }
}

const actor = (c: Context<App>) => actorOf(c, `admin:${c.var.by}`);

/** @throws ScimError 404. */
async function found(c: Context<App>, name = c.req.param('name') ?? ''): Promise<SignalReceiver> {
  const { receivers, incomplete } = await findReceiver(c.env, name);
  const [receiver] = receivers;
  if (receiver === undefined) throw notFound('Receiver');
  tellIncomplete(c, incomplete);
  return receiver;
}

/** Shown once: only the hash is kept. A receiver is of no org, so that random letters stand in the place of an org's id. */
async function newReceiverSecret() {
  const secret = await newSecret('receiver', randomText(12));
  return { secret, kept: { hash: await hashOf(secret), mask: maskOf(secret) } };
}

const shownReceiver = (c: Context<App>, receiver: SignalReceiver) => ({
  name: receiver.name,
  clientId: receiver.id,
  mask: receiver.mask,
  /** null: every org. */
  orgs: receiver.orgs ?? null,
  audience: receiver.audience,
  algorithm: receiver.algorithm,
  /** How its CAEP and RISC events name a user. */
  subject: receiver.subject,
  /** What is entered in the receiver. */
  metadataUrl: `${publicUrl(c)}/.well-known/ssf-configuration`,
  tokenUrl: `${publicUrl(c)}/ssf/token`,
  previousSecretUntil: (receiver.previousUntil ?? 0) > Date.now() ? iso(receiver.previousUntil) : null,
  createdAt: iso(receiver.createdAt),
  createdBy: receiver.createdBy,
  disabledAt: iso(receiver.disabledAt),
});

const shownStream = (stream: WatchedStream) => ({
  id: stream.id,
  method: stream.method,
  /** Of its address. */
  host: stream.endpointUrl === undefined ? null : new URL(stream.endpointUrl).host,
  status: stream.status,
  reason: stream.reason ?? null,
  eventsRequested: stream.eventsRequested ?? null,
  verifiedAt: iso(stream.verifiedAt),
  polledAt: iso(stream.polledAt),
  /** Tokens that it said it cannot read. */
  refused: stream.refused,
  lastRefusal: stream.lastRefusal ?? null,
  /** Of how many orgs something is still to be sent, and of how many the latest attempt failed. */
  behind: stream.behind,
  failing: stream.failing,
  failingSince: iso(stream.failingSince),
  lastError: stream.lastError ?? null,
  deliveredAt: iso(stream.deliveredAt),
  createdAt: iso(stream.createdAt),
});

const shownKey = ({ kid, algorithm, state, createdAt, createdBy, retiredUntil }: SigningKey) => ({
  ...{ kid, algorithm, state, createdAt: iso(createdAt), createdBy, publishedUntil: iso(retiredUntil) },
});
