/** Endpoints that events are posted to: added, listed, tested, their secrets rotated, switched, begun again, removed. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { coordinatorOf } from '../../coordinator-stub';
import { isWebhookAddress } from '../../credentials/public-host';
import { seal } from '../../credentials/sealed-secret';
import { randomText } from '../../credentials/secret';
import { parseDuration } from '../../duration';
import { settings } from '../../env';
import { conflict, invalidValue, notFound, unavailable } from '../../scim/error';
import { Unmet } from '../../store/d1/batch';
import {
  addWebhook,
  addWebhookOfAll,
  findWebhook,
  type ListedWebhook,
  listWebhooks,
  listWebhooksOf,
  MAX_WEBHOOKS,
  type Reach,
  readBounds,
  removeWebhook,
  replayWebhook,
  rotateWebhook,
  switchWebhook,
} from '../../store/operations/webhooks';
import { testMessage } from '../../webhooks/message';
import { maskOfWebhookSecret, newWebhookSecret } from '../../webhooks/secret';
import { send } from '../../webhooks/send';
import { type App, actorOf, inBackground } from '../context';
import { encryptionKeys } from '../encryption-keys';
import { iso } from '../instants';
import { storeFor } from '../org';
import { body, query } from '../validator';
import { by, pageAsked, pageOf, tellIncomplete } from './respond';

/** Without others: what a person is and what their groups are, and whether the org is on. */
const DEFAULT_TYPES = ['user.*', 'group.*', 'org.*'];
const MAX_TYPES = 20;
const MAX_URL = 1_000;
const TYPE = 'the name of an event, such as user.deleted or user.*, was expected';
const GRACE = 'a duration of at most 24h was expected: 0, 90s, 15m, 24h';
const DEFAULT_GRACE = parseDuration('24h')!;
const FROM = 'the number of an event, from 1, was expected';
const ORG = 'the slug of an org was expected';

const org = z.string(ORG).check(z.minLength(1, ORG), z.maxLength(63, ORG));
const addBody = z.strictObject({
  url: z
    .string('an https address was expected')
    .check(z.maxLength(MAX_URL, `at most ${MAX_URL} characters are accepted`)),
  /** Absent: of all orgs. */
  org: z.optional(org),
  types: z._default(
    z.pipe(
      z
        .array(
          z.string(TYPE).check(z.maxLength(40, TYPE), z.regex(/^[a-z]+\.(?:[a-z_]+|\*)$/, TYPE)),
          'a list was expected',
        )
        .check(
          z.minLength(1, 'at least one was expected'),
          z.maxLength(MAX_TYPES, `at most ${MAX_TYPES} are accepted`),
        ),
      z.transform((types) => [...new Set(types)]),
    ),
    DEFAULT_TYPES,
  ),
  by,
});
const rotateBody = z.strictObject({
  by,
  grace: z._default(
    z.pipe(
      z
        .string(GRACE)
        .check(z.refine((text) => (parseDuration(text) ?? Number.POSITIVE_INFINITY) <= DEFAULT_GRACE, GRACE)),
      z.transform((text) => parseDuration(text)!),
    ),
    DEFAULT_GRACE,
  ),
});
const replayBody = z.strictObject({ by, org: z.optional(org), from: z.int(FROM).check(z.gte(1, FROM)) });
const listQuery = z.extend(pageAsked(z.string().check(z.maxLength(40))), { org: z.optional(org) });

export const webhooks = new Hono<App>();

webhooks.get('/', query(listQuery), async (c) => {
  const { org, ...page } = c.req.valid('query');
  if (org !== undefined) {
    const found = await listWebhooksOf(storeFor(c, { kind: 'slug', slug: org }));
    return pageOf(c, page, found.map(shownWebhook), undefined);
  }
  const { webhooks, incomplete } = await listWebhooks(c.env, page.after, page.limit);
  tellIncomplete(c, incomplete);
  return pageOf(c, page, webhooks.map(shownWebhook), webhooks.at(-1)?.id);
});

webhooks.post('/', body(addBody), async (c) => {
  const { url, org, types, by = c.var.by } = c.req.valid('json');
  const { allowsLoopbackWebhooks } = settings(c.env);
  if (!isWebhookAddress(url, allowsLoopbackWebhooks)) {
    throw invalidValue(
      'url: an https address with a name of the public Internet was expected, without user and fragment',
    );
  }
  const id = `wh_${randomText(16)}`;
  const made = await newSecret(c, id);
  const draft = { id, url, types, createdBy: by, ...made.kept };
  try {
    if (org === undefined) await addWebhookOfAll(c.env, draft, Date.now());
    else await addWebhook(storeFor(c, { kind: 'slug', slug: org }), draft, actor(c));
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'webhooks') throw error;
    throw conflict(`There are ${MAX_WEBHOOKS} webhooks already ${org === undefined ? 'of all orgs' : 'of this org'}`);
  }
  return c.json({ ...shownWebhook(await found(c, id)), secret: made.secret }, 201);
});

webhooks.get('/:id', async (c) => c.json(shownWebhook(await found(c))));

/** One message, now: what came of it is the answer. */
webhooks.post('/:id/test', async (c) => {
  const webhook = await found(c);
  const { allowsLoopbackWebhooks } = settings(c.env);
  const tenant = webhook.org && (await storeFor(c, { kind: 'id', id: webhook.org.id }).verify());
  const begun = Date.now();
  const message = testMessage(tenant, begun);
  const attempt = await send({ keys: keysOf(c), allowsLoopback: allowsLoopbackWebhooks }, webhook, message);
  return c.json({
    id: webhook.id,
    messageId: message.id,
    delivered: attempt.ok,
    status: attempt.status ?? null,
    error: attempt.ok ? null : attempt.error,
    milliseconds: Date.now() - begun,
  });
});

webhooks.post('/:id/rotate-secret', body(rotateBody), async (c) => {
  const { grace, by = c.var.by } = c.req.valid('json');
  const webhook = await found(c);
  const made = await newSecret(c, webhook.id);
  await rotateWebhook(reach(c), webhook, made.kept, Date.now() + grace, actor(c), by);
  await tellCoordinator(c, webhook.org?.id);
  return c.json({ ...shownWebhook(await found(c)), secret: made.secret });
});

for (const verb of ['disable', 'enable'] as const) {
  webhooks.post(`/:id/${verb}`, body(z.strictObject({ by })), async (c) => {
    const { by = c.var.by } = c.req.valid('json');
    const webhook = await found(c);
    await switchWebhook(reach(c), webhook, verb === 'enable', actor(c), by, Date.now());
    await tellCoordinator(c, webhook.org?.id);
    // Those of an endpoint of all orgs are found by the cron.
    if (verb === 'enable' && webhook.org) inBackground(c, coordinatorOf(c.env, webhook.org.id).deliverSoon());
    return c.json(shownWebhook(await found(c)));
  });
}

/** From an event on once more, in one org. */
webhooks.post('/:id/replay', body(replayBody), async (c) => {
  const { org, from, by = c.var.by } = c.req.valid('json');
  const webhook = await found(c);
  const slug = org ?? webhook.org?.slug;
  if (slug === undefined) throw invalidValue('org: this webhook is of all orgs, and one was expected to begin again');
  const store = storeFor(c, { kind: 'slug', slug });
  const tenant = await store.verify();
  if (webhook.org && webhook.org.id !== tenant.id) throw notFound('Webhook');
  const events = await readBounds(store);
  if (from > events.current) throw invalidValue(`from: the latest event is ${events.current}`);
  if (from <= events.pruned) throw invalidValue(`from: events up to ${events.pruned} are gone by their age`);
  await replayWebhook(store, webhook.id, from, actor(c), by);
  await tellCoordinator(c, tenant.id);
  return c.json({ id: webhook.id, org: tenant.slug, from, through: events.current });
});

webhooks.delete('/:id', query(z.strictObject({ by })), async (c) => {
  const { by = c.var.by } = c.req.valid('query');
  const webhook = await found(c);
  await removeWebhook(reach(c), webhook, actor(c), by);
  await tellCoordinator(c, webhook.org?.id);
  return c.json({ removed: webhook.id });
});

/**
 * What an operator has changed holds from the next message on. The coordinators of other orgs are not told: they read a
 * webhook of all orgs again after a moment, and so does this one if it cannot be told.
 */
async function tellCoordinator(c: Context<App>, orgId: string | undefined): Promise<void> {
  if (orgId === undefined) return;
  try {
    await coordinatorOf(c.env, orgId).webhooksChanged();
  } catch (error) {
    console.error(JSON.stringify({ message: 'a coordinator was not told of its webhooks', error: String(error) }));
  }
}

const reach = (c: Context<App>): Reach => ({ databases: c.env, storeOf: (id) => storeFor(c, { kind: 'id', id }) });
const actor = (c: Context<App>) => actorOf(c, `admin:${c.var.by}`);

/** @throws ScimError 404; 503 where a database that may have it cannot be asked. */
async function found(c: Context<App>, id = c.req.param('id') ?? ''): Promise<ListedWebhook> {
  const { webhook, incomplete } = await findWebhook(c.env, id);
  if (webhook === undefined && incomplete.length > 0) throw mayBeIn(incomplete);
  if (webhook === undefined) throw notFound('Webhook');
  tellIncomplete(c, incomplete);
  return webhook;
}

const mayBeIn = (databases: readonly string[]) =>
  unavailable(`The webhook may be in a database that does not answer: ${databases.join(', ')} (shard list)`, 60);

/** Its own is shown once. @throws ScimError 409: WEBHOOK_KEY is not set. */
async function newSecret(c: Context<App>, id: string) {
  const secret = newWebhookSecret();
  return {
    secret,
    kept: { secret: await seal(keysOf(c), 'webhook secrets', id, secret), mask: maskOfWebhookSecret(secret) },
  };
}

const keysOf = (c: Context<App>) => encryptionKeys(c, 'the secrets of webhooks');

const shownWebhook = (webhook: ListedWebhook) => ({
  id: webhook.id,
  org: webhook.org?.slug ?? null,
  url: webhook.url,
  types: webhook.types,
  mask: webhook.mask,
  previousSecretUntil: (webhook.previousUntil ?? 0) > Date.now() ? iso(webhook.previousUntil) : null,
  createdAt: iso(webhook.createdAt),
  createdBy: webhook.createdBy,
  disabledAt: iso(webhook.disabledAt),
  /** Of how many orgs. */
  disabled: webhook.lines.disabled,
  failing: webhook.lines.failing,
  delivery: webhook.line ? shownLine(webhook.line) : null,
});

const shownLine = (line: NonNullable<ListedWebhook['line']>) => ({
  seq: line.seq,
  behind: Math.max(0, line.current - line.seq),
  deliveredAt: iso(line.deliveredAt),
  failures: line.failures,
  failingSince: iso(line.failingSince),
  lastError: line.lastError ?? null,
  nextAttemptAt: line.failures > 0 && line.dueAt ? iso(line.dueAt) : null,
  disabledAt: iso(line.disabledAt),
  disabledWhy: line.disabledWhy ?? null,
});
