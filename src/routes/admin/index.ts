/**
 * The administrator's door: one Hono sub-app behind the entrypoint `Admin`, which only a service binding reaches, and
 * behind /admin/v1 when ADMIN_TOKEN is set.
 */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { MAX_BODY } from '../../scim/discovery';
import { notFound, payloadTooLarge } from '../../scim/error';
import { PASSWORDS, TOKENS } from '../../store/credentials';
import { type App, requestId } from '../context';
import { guard, refuse } from '../door';
import { approvals } from './approvals';
import { exports, imports } from './archive';
import { brake } from './brake';
import { credentials } from './credentials';
import { erase } from './erase';
import { events, history } from './events';
import { exit } from './exit';
import { groups } from './groups';
import { health } from './health';
import { clients } from './oauth';
import { orgs } from './orgs';
import { people } from './people';
import { refusals } from './refusals';
import { restore } from './restore';
import { schemas } from './schemas';
import { sessions } from './sessions';
import { users } from './users';

export const admin = new Hono<App>();

const refuseSize = (): never => {
  throw payloadTooLarge(`The body is larger than ${MAX_BODY} bytes`);
};

const limited = bodyLimit({ maxSize: MAX_BODY, onError: () => refuseSize() });
/** They have a limit of their own (archive.ts). */
const PORTIONS = /\/orgs\/[^/]+\/import\/(?:lines|check)$/;
admin.use((c, next) => (PORTIONS.test(c.req.path) ? next() : limited(c, next)));
admin.use(async (c, next) => {
  // A label for the journal, not a proof of who it is: the door itself is what is guarded.
  c.set('by', (c.req.header('X-Admin-By') || 'admin').slice(0, 100));
  await next();
});
admin.route('/orgs', orgs);
admin.route('/orgs/:slug/tokens', credentials({ line: () => TOKENS, secret: 'token', noun: 'token' }));
admin.route('/orgs/:slug/basic', credentials({ line: () => PASSWORDS, secret: 'password', noun: 'basic' }));
admin.route('/orgs/:slug/oauth/clients', clients);
admin.route('/orgs/:slug/oauth/approvals', approvals);
admin.route('/orgs/:slug/export', exports);
admin.route('/orgs/:slug/import', imports);
admin.route('/orgs/:slug/refusals', refusals);
admin.route('/orgs/:slug/brake', brake);
admin.route('/orgs/:slug/events', events);
admin.route('/orgs/:slug/health', health);
admin.route('/orgs/:slug/users/:user/history', history);
admin.route('/orgs/:slug/users/:user/erase', erase);
admin.route('/orgs/:slug/users/:id/restore', restore);
admin.route('/orgs/:slug/users', people); // before a user of such a name
admin.route('/orgs/:slug/users', users);
admin.route('/orgs/:slug/exit', exit);
admin.route('/orgs/:slug/groups', groups);
admin.route('/orgs/:slug/schemas', schemas);
admin.route('/orgs/:slug/sessions', sessions);
admin.all('*', () => {
  throw notFound('Endpoint');
});

admin.onError(refuse);

/** Behind the entrypoint: whoever holds a binding to it may redeploy the Worker anyway. */
export const adminEntrypoint = new Hono<App>({ strict: false }).use(requestId).route('/', admin);

/** Before /admin/v1. */
export const guarded = guard('admin', ({ adminToken }) => adminToken);
