/** The API for receivers of signals (SSF 1.0): the transmitter's keys, access tokens, streams. */
import { Hono } from 'hono';
import { settings } from '../../env';
import { notFound, ScimError } from '../../scim/error';
import { refuse } from '../access/guard';
import type { App } from '../context';
import { allowOnly } from '../method';
import { badToken, insufficientScope, presented } from './authenticate';
import { jwks } from './jwks';
import { poll } from './poll';
import { status, verification } from './status';
import { streams } from './streams';
import { subjects } from './subjects';
import { token } from './token';

const api = new Hono<App>();
api.use(presented);
api.route('/streams', streams);
api.route('/status', status);
api.route('/verification', verification);
api.route('/subjects', subjects);
api.route('/poll', poll);
api.all('*', () => {
  throw notFound('Endpoint');
});

export const ssf = new Hono<App>();

ssf.use(async (c, next) => {
  if (settings(c.env).encryptionKeys === undefined) throw notFound('Endpoint');
  await next();
  if (!c.res.headers.has('Cache-Control')) c.res.headers.set('Cache-Control', 'no-store');
});
ssf.get('/jwks.json', jwks);
ssf.all('/jwks.json', allowOnly('GET'));
ssf.route('/token', token);
ssf.route('/', api);
// One challenge, whichever batch found that the token is not good.
ssf.onError((error, c) => {
  if (!(error instanceof ScimError)) return refuse(error, c);
  if (error.status === 401) return refuse(badToken(c), c);
  return refuse(error.status === 403 ? insufficientScope(error) : error, c);
});
