/** Which API is where, and the one place where errors become responses. */
import { Hono } from 'hono';
import { Misconfigured } from './env';
import { misconfigured } from './routes/access/guard';
import { noteStray } from './routes/access/refusal';
import { admin } from './routes/admin';
import { type App, everyResponse } from './routes/context';
import { health } from './routes/health';
import { help } from './routes/help';
import { oauth } from './routes/oauth';
import { metadata } from './routes/oauth/metadata';
import { portal } from './routes/portal';
import { scimError } from './routes/respond';
import { scim } from './routes/scim';
import { routedPath } from './routes/scim/path';
import { sessions } from './routes/sessions';
import { signals } from './routes/signals';
import { signalMetadata } from './routes/signals/metadata';
import { ssf } from './routes/ssf';
import { authorizationMetadata, resourceMetadata, transmitterMetadata } from './routes/ssf/addresses';
import { logUnexpected, SERVICE_FAILED } from './routes/unexpected';
import { notFound, ScimError, unavailable } from './scim/error';
import { Busy } from './store/d1/batch';

export const app = new Hono<App>({ getPath: routedPath });

app.use(everyResponse);
app.route('/health', health);
app.route('/help', help);
app.route('/scim/v2', scim);
app.route('/orgs/:slug/scim/v2', scim);
app.route('/oauth', oauth);
// RFC 8414 §3: here, for our issuer has no path.
app.get('/.well-known/oauth-authorization-server', metadata);
app.route('/admin/v1', admin);
app.route('/sessions/v1', sessions);
app.route('/portal', portal);
app.route('/signals', signals);
// RFC 8414 §3.1: each org is an issuer of its own, whose path follows.
app.get('/.well-known/oauth-authorization-server/signals/:org', signalMetadata);
app.route('/ssf', ssf);
// SSF 1.0 §7.2: here, for our issuer has no path.
app.get('/.well-known/ssf-configuration', transmitterMetadata);
app.get('/.well-known/oauth-protected-resource', resourceMetadata);
app.get('/.well-known/oauth-protected-resource/ssf', resourceMetadata);
app.get('/.well-known/oauth-authorization-server/ssf', authorizationMetadata);

app.notFound(async (c) => {
  await noteStray(c);
  return scimError(c, notFound('Endpoint'));
});

app.onError((error, c) => {
  if (error instanceof ScimError) return scimError(c, error);
  if (error instanceof Misconfigured) return scimError(c, misconfigured(error));
  if (error instanceof Busy) return scimError(c, unavailable(error.told, error.retryAfter));
  logUnexpected(c, error);
  return scimError(c, new ScimError(500, undefined, SERVICE_FAILED));
});
