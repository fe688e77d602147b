/** The Worker's exports: the app, the entrypoints and the Durable Object class; nothing runs here. */
import { WorkerEntrypoint } from 'cloudflare:workers';
import { app } from './app';
import { runCron } from './cron';
import type { Env } from './env';
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

export { OrgCoordinator } from './coordinator';

export default {
  fetch: app.fetch,
  scheduled: (_controller, env) => runCron(env),
} satisfies ExportedHandler<Env>;

/** The administrator's door without a public address: a service binding reaches it (docs/admin-api.md). */
export class Admin extends WorkerEntrypoint<Env, { actor?: string }> {
  override fetch(request: Request): Response | Promise<Response> {
    return unguardedAdmin.fetch(request, this.env, this.ctx);
  }
}

/** The host app's door for Workers: a service binding stands for HOST_TOKEN (docs/sessions.md). */
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
