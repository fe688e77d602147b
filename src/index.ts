/** The Worker's exports: the app, the entrypoints and the Durable Object class; nothing runs here. */
import { WorkerEntrypoint } from 'cloudflare:workers';
import { app } from './app';
import { cleanUp, warn } from './credentials/sweep';
import type { Env } from './env';
import { retain } from './operator/retention';
import { removeWaiting } from './provisioning/removal';
import { unguardedAdmin } from './routes/admin';
import { unguardedSessions } from './routes/sessions';
import {
  type CheckAsked,
  check,
  type EventsAsked,
  events,
  NOBODY,
  type ResolveAsked,
  resolve,
} from './routes/sessions/questions';
import { answered } from './routes/sessions/rpc';
import { writeCanary } from './sessions/kv-lag';
import { sweep } from './sessions/sweep';

export { OrgCoordinator } from './coordinator';

export default {
  fetch: app.fetch,
  /** @throws AggregateError of what failed, after all the rest was done; the next run tries again. */
  async scheduled(_controller, env) {
    const done = await Promise.allSettled([
      sweep(env),
      writeCanary(env, Date.now()),
      warn(env),
      cleanUp(env),
      retain(env),
      removeWaiting(env),
    ]);
    const failed = done.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    if (failed.length > 0)
      throw new AggregateError(failed, `parts of the cron's work failed: ${failed.map(String).join('; ')}`);
  },
} satisfies ExportedHandler<Env>;

/** The administrator's door without a public address: a service binding reaches it (README, «Administration»). */
export class Admin extends WorkerEntrypoint<Env, { actor?: string }> {
  override fetch(request: Request): Response | Promise<Response> {
    return unguardedAdmin.fetch(request, this.env, this.ctx);
  }
}

/** The host app's door for Workers: a service binding stands for HOST_TOKEN (README, «For the host app»). */
export class Sessions extends WorkerEntrypoint<Env> {
  check(question: CheckAsked) {
    return answered(check(this.env, question), NOBODY);
  }

  resolve(question: ResolveAsked) {
    return answered(resolve(this.env, question), { found: false as const });
  }

  events(question: EventsAsked) {
    return answered(events(this.env, question), {});
  }

  /** /sessions/v1 without a token: for the stream, above all. */
  override fetch(request: Request): Response | Promise<Response> {
    return unguardedSessions.fetch(request, this.env, this.ctx);
  }
}
