/** The API for signals: who sends them proves it by a signed token, and the path names the org. */
import { Hono } from 'hono';
import { notFound } from '../../scim/error';
import { refuse } from '../access/guard';
import type { App } from '../context';
import { events } from './events';
import { revocation } from './global-token-revocation';

export const signals = new Hono<App>();

signals.use(async (c, next) => {
  await next();
  c.res.headers.set('Cache-Control', 'no-store');
});
signals.route('/:org/global-token-revocation', revocation);
signals.route('/:org/events', events);
signals.all('*', () => {
  throw notFound('Endpoint');
});
signals.onError(refuse);
