/** The Worker's exports: the app, the entrypoints and the Durable Object class; nothing runs here. */
import { WorkerEntrypoint } from 'cloudflare:workers';
import { app } from './app';
import type { Env } from './env';
import { adminEntrypoint } from './routes/admin';
import { writeCanary } from './sessions/canary';
import { sweep } from './sessions/sweep';

export { OrgCoordinator } from './coordinator';

export default {
  fetch: app.fetch,
  async scheduled(_controller, env) {
    // One that fails does not keep the others from being done; the cron hears of it all the same.
    const done = await Promise.allSettled([sweep(env), writeCanary(env.REVOCATIONS, Date.now())]);
    const failed = done.filter((result) => result.status === 'rejected');
    if (failed.length > 0)
      throw new AggregateError(
        failed.map(({ reason }) => reason),
        'the cron left something undone',
      );
  },
} satisfies ExportedHandler<Env>;

/** The administrator's door without a public address: a service binding reaches it (README, «Administration»). */
export class Admin extends WorkerEntrypoint<Env, { actor?: string }> {
  override fetch(request: Request): Response | Promise<Response> {
    return adminEntrypoint.fetch(request, this.env, this.ctx);
  }
}
