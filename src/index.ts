/** The Worker's exports: the app, the entrypoints and the Durable Object class; nothing runs here. */
import { WorkerEntrypoint } from 'cloudflare:workers';
import { app } from './app';
import type { Env } from './env';
import { adminEntrypoint } from './routes/admin';
import { sweep } from './sessions/sweep';

export { OrgCoordinator } from './coordinator';

export default {
  fetch: app.fetch,
  scheduled: (_controller, env) => sweep(env),
} satisfies ExportedHandler<Env>;

/** The administrator's door without a public address: a service binding reaches it (README, «Administration»). */
export class Admin extends WorkerEntrypoint<Env, { actor?: string }> {
  override fetch(request: Request): Response | Promise<Response> {
    return adminEntrypoint.fetch(request, this.env, this.ctx);
  }
}
