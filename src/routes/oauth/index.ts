/** The OAuth API: one Hono sub-app with its own errors; the authorization endpoint, which talks to people, has others. Whatever it answers is for one client, once. */
import { Hono } from 'hono';
import type { App } from '../context';
import { authorize } from './authorize';
import { oauthError } from './error';
import { revoke } from './revoke';
import { token } from './token';

export const oauth = new Hono<App>();

oauth.use(async (c, next) => {
  await next();
  // RFC 6749 §5.1: secrets stay out of every cache; errors, too.
  c.res.headers.set('Cache-Control', 'no-store');
  c.res.headers.set('Pragma', 'no-cache');
});
oauth.route('/authorize', authorize);
oauth.route('/token', token);
oauth.route('/revoke', revoke);
oauth.onError((error, c) => oauthError(c, error));
