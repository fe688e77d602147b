/** The org that a request is about, with what its work needs: the store, the coordinator, who acts. */
import type { Context } from 'hono';
import { coordinatorOf } from '../coordinator-stub';
import { settings } from '../env';
import type { Actor } from '../events';
import type { Org } from '../provisioning/org';
import type { Caller } from '../store/org/caller';
import { type OrgStore, openStore } from '../store/org/open';
import { type App, inBackground } from './context';

/** What this caller may read and write, at this host. */
export const storeFor = (c: Context<App>, caller: Caller, now = Date.now()): OrgStore =>
  openStore(c.env, caller, now, {
    region: settings(c.env).region,
    // Off the answer's path. If it is lost, the cron finds what is due.
    written: (orgId) => inBackground(c, coordinatorOf(c.env, orgId).deliverSoon()),
  });

/**
 * The org that this caller is of, for this request. Nothing is checked yet: the store's first batch does.
 *
 * @param noteRefusal absent: refusals by a policy are not counted, as in the admin API.
 */
export function orgFor(
  c: Context<App>,
  caller: Caller,
  actor: Actor,
  baseUrl: string,
  noteRefusal: Org['noteRefusal'] = () => undefined,
): Org {
  const store = storeFor(c, caller);
  const confirmed = async (publication: () => Promise<unknown>): Promise<unknown> => {
    try {
      return await within(PUBLISH_PATIENCE, publication());
    } catch (error) {
      // The outbox row is committed: the coordinator goes on with it, or the sweep will find it.
      console.error(
        JSON.stringify({
          message: 'the coordinator has not confirmed a publication',
          requestId: actor.requestId,
          error: String(error),
        }),
      );
      return false;
    }
  };
  const coordinator = () => coordinatorOf(c.env, store.tenant.id);
  return {
    store,
    actor,
    baseUrl,
    publish: async (subject) => (await confirmed(() => coordinator().publish(subject))) === true,
    publishPending: async () => void (await confirmed(() => coordinator().drain())),
    publishSoon: async () => void (await confirmed(() => coordinator().publishSoon())),
    noteRefusal,
  };
}

/** Milliseconds. An identity provider gives up after a minute, and then repeats what has long been done. */
const PUBLISH_PATIENCE = 10_000;

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: number | null = null;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}
