/** The databases that orgs are spread over, and the move of an org from one to another (docs/shards.md). */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { coordinatorOf } from '../../coordinator-stub';
import { cancelMove, describeMove, planMove, startMove, statusOf, statusOfMoving } from '../../operator/move-commands';
import { Busy } from '../../store/d1/batch';
import { listShards, MAX_BYTES, type Shard } from '../../store/operations/shards';
import type { App } from '../context';
import { body } from '../validator';
import { by, orgOf } from './respond';

const SHARD = 'the name of a database was expected, as "shard list" shows it';
/** Whether it is bound, the catalogue says, with the names of those that are. */
export const shardName = z.string(SHARD).check(z.regex(/^\w{1,20}$/, SHARD));

export const shards = new Hono<App>();

const shownShard = ({ name, state, orgs, people, bytes, requests, schema }: Shard) => ({
  name,
  state,
  orgs,
  people: people ?? null,
  bytes: bytes ?? null,
  share: bytes === undefined ? null : Math.round((bytes / MAX_BYTES) * 10_000) / 10_000,
  requestsToday: requests ?? null,
  schema: schema ?? null,
});

shards.get('/', async (c) => c.json((await listShards(c.env, Date.now())).map(shownShard)));

/** Beside an org's other routes. */
export const move = new Hono<App>();

const moveBody = z.strictObject({
  to: shardName,
  dryRun: z._default(z.boolean('true or false was expected'), false),
  by,
});

move.post('/', body(moveBody), async (c) => {
  const { store, actor } = orgOf(c);
  const { to, dryRun, by = c.var.by } = c.req.valid('json');
  const tenant = await store.verify();
  const plan = await planMove(c.env, tenant, to, Date.now());
  if (dryRun) return c.json(plan);
  const started = await startMove(c.env, store, plan, actor, by);
  await coordinatorOf(c.env, tenant.id).moveSoon();
  return c.json(describeMove(started), 202);
});

move.get('/', async (c) => {
  try {
    return c.json(await statusOf(c.env, await orgOf(c).store.verify()));
  } catch (error) {
    if (!(error instanceof Busy)) throw error;
    const status = await statusOfMoving(c.env, c.req.param('slug') ?? '');
    if (status === undefined) throw error;
    return c.json(status);
  }
});

move.delete('/', body(z.strictObject({ by })), async (c) => {
  const { store, actor } = orgOf(c);
  const { by = c.var.by } = c.req.valid('json');
  const tenant = await store.verify();
  const cancelled = await cancelMove(c.env, store, actor, by);
  await coordinatorOf(c.env, tenant.id).moveSoon();
  return c.json(describeMove(cancelled), 202);
});
