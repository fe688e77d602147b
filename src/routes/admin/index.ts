/**
 * The admin API: one Hono sub-app behind the entrypoint `Admin`, which only a service binding reaches, and
 * behind /admin/v1 when ADMIN_TOKEN is set.
 */
import { Hono } from 'hono';
import { notFound, unavailable } from '../../scim/error';
import { PASSWORDS, TOKENS } from '../../store/credentials/credentials';
import { Busy } from '../../store/d1/batch';
import { guardedBy, refuse, unguardedForBindings } from '../access/guard';
import type { App } from '../context';
import { people } from './accounts';
import { approvals } from './approvals';
import { exports, imports } from './archive';
import { credentials } from './credentials';
import { deactivationLimit } from './deactivation-limit';
import { erase } from './erase';
import { events, history } from './events';
import { groups } from './groups';
import { health } from './health';
import { hosts } from './hosts';
import { clients } from './oauth';
import { offboarding } from './offboarding';
import { orgs } from './orgs';
import { operatorLink, portalLinks } from './portal-links';
import { refusals } from './refusals';
import { restore } from './restore';
import { schemas } from './schemas';
import { sessions } from './sessions';
import { move, shards } from './shards';
import { signalReceivers, signingKeys } from './signal-receivers';
import { signals } from './signals';
import { users } from './users';
import { webhooks } from './webhooks';

const routes = new Hono<App>();

routes.use(async (c, next) => {
  // A label for the journal, not a proof of who it is: the API itself is what is guarded.
  c.set('by', (c.req.header('X-Admin-By') ?? '').slice(0, 100).replace(/[\p{Cc}\p{Cs}]/gu, '') || 'admin');
  await next();
});
routes.route('/hosts', hosts);
routes.route('/orgs', orgs);
routes.route('/orgs/:slug/tokens', credentials({ line: () => TOKENS, secret: 'token', noun: 'token' }));
routes.route('/orgs/:slug/basic', credentials({ line: () => PASSWORDS, secret: 'password', noun: 'basic' }));
routes.route('/orgs/:slug/oauth/clients', clients);
routes.route('/orgs/:slug/oauth/approvals', approvals);
routes.route('/orgs/:slug/export', exports);
routes.route('/orgs/:slug/import', imports);
routes.route('/orgs/:slug/refusals', refusals);
routes.route('/orgs/:slug/held-deactivations', deactivationLimit);
routes.route('/orgs/:slug/brake', deactivationLimit); // its former name, for one more release
routes.route('/orgs/:slug/events', events);
routes.route('/orgs/:slug/health', health);
routes.route('/orgs/:slug/users/:user/history', history);
routes.route('/orgs/:slug/users/:user/erase', erase);
routes.route('/orgs/:slug/users/:id/restore', restore);
routes.route('/orgs/:slug/users', people); // before a user of such a name
routes.route('/orgs/:slug/users', users);
routes.route('/orgs/:slug/offboarding', offboarding);
routes.route('/orgs/:slug/exit', offboarding); // its former name, for one more release
routes.route('/orgs/:slug/groups', groups);
routes.route('/orgs/:slug/schemas', schemas);
routes.route('/orgs/:slug/sessions', sessions);
routes.route('/orgs/:slug/portal-links', portalLinks);
routes.route('/portal-links', operatorLink);
routes.route('/orgs/:slug/signals', signals);
routes.route('/orgs/:slug/move', move);
routes.route('/shards', shards);
routes.route('/signals/receivers', signalReceivers);
routes.route('/signals/keys', signingKeys);
routes.route('/webhooks', webhooks);
routes.all('*', () => {
  throw notFound('Endpoint');
});

routes.onError((error, c) => refuse(forOperator(error), c));

/** Identity providers and applications are not told the names of databases. */
const forOperator = (error: Error): Error =>
  error instanceof Busy && error.toldOperator ? unavailable(error.toldOperator, error.retryAfter) : error;

/** For /admin/v1. */
export const admin = guardedBy('admin', routes);

/** For the entrypoint `Admin`: a caller with a binding to it may redeploy the Worker anyway. */
export const unguardedAdmin = unguardedForBindings('/', routes);
