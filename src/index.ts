/** The Worker's exports: the app, the entrypoints and the Durable Object class; nothing runs here. */
import { WorkerEntrypoint } from 'cloudflare:workers';
import { app } from './app';
import { runCron } from './cron';
import type { Env } from './env';
import { unguardedAdmin } from './routes/admin';
import { unguardedSessions } from './routes/sessions';
import type { Host } from './routes/sessions/host';
import {
  type ChangesAsked,
  changes,
  type GroupsAsked,
  groups,
  type MembershipsAsked,
  memberships,
  type UsersAsked,
  users,
} from './routes/sessions/lists';
import {
  type CheckAsked,
  check,
  type DiscoverAsked,
  discover,
  type EventsAsked,
  events,
  type MayActAsked,
  mayAct,
  NOBODY,
  NOBODY_ACTS,
  type ResolveAsked,
  resolve,
} from './routes/sessions/questions';
import { answered } from './routes/sessions/rpc';

export { OrgCoordinator } from './coordinator';

export default {
  fetch: app.fetch,
  scheduled: (_controller, env) => runCron(env),
} satisfies ExportedHandler<Env>;

/** The admin API without a public address: a service binding reaches it (docs/admin-api.md). */
export class Admin extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Response | Promise<Response> {
    return unguardedAdmin.fetch(request, this.env, this.ctx);
  }
}

/** The sessions API for Workers: a service binding stands for HOST_TOKEN (docs/sessions.md). */
export class Sessions extends WorkerEntrypoint<Env> {
  check(question: CheckAsked) {
    return answered(check(this.#host, question), NOBODY);
  }

  mayAct(question: MayActAsked) {
    return answered(mayAct(this.#host, question), NOBODY_ACTS);
  }

  resolve(question: ResolveAsked) {
    return answered(resolve(this.#host, question), { found: false as const });
  }

  discover(question: DiscoverAsked) {
    return answered(discover(this.#host, question), {});
  }

  users(question: UsersAsked) {
    return answered(users(this.#host, question), {});
  }

  groups(question: GroupsAsked) {
    return answered(groups(this.#host, question), {});
  }

  memberships(question: MembershipsAsked) {
    return answered(memberships(this.#host, question), {});
  }

  changes(question: ChangesAsked) {
    return answered(changes(this.#host, question), {});
  }

  events(question: EventsAsked) {
    return answered(events(this.#host, question), {});
  }

  /** /sessions/v1 without a token: for the stream, above all. */
  override fetch(request: Request): Response | Promise<Response> {
    return unguardedSessions.fetch(request, this.env, this.ctx);
  }

  get #host(): Host {
    return { env: this.env };
  }
}
