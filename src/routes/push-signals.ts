/** After a stream goes on: the coordinators that have something to push are told. */
import type { Context } from 'hono';
import { coordinatorOf } from '../coordinator-stub';
import { orgsToPush } from '../store/operations/signal-lines';
import { type App, inBackground } from './context';

/** Of a receiver with more orgs the cron tells the rest. */
const MAX_TOLD = 20;

/** Off the answer's path. */
export function pushSignalsSoon(c: Context<App>, receiverId: string): void {
  const tell = async () => {
    const orgs = await orgsToPush(c.env, receiverId, MAX_TOLD);
    await Promise.all(orgs.map((orgId) => coordinatorOf(c.env, orgId).deliverSoon()));
  };
  inBackground(c, tell());
}
