/** The revocation endpoint (RFC 7009): a client gives back what it was given. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { hashOf, recognise } from '../../credentials/secret';
import { takeBack } from '../../store/credentials/issued-tokens';
import { type App, actorOf } from '../context';
import { allowOnly } from '../method';
import { asClient, authenticateClient } from './client';
import { readForm, readParams } from './form';

const asked = z.object({ token: z.string('token is required') });

export const revoke = new Hono<App>();

/** §2.2: 200 for a token that is unknown, dead or of another client, too. `token_type_hint` is not needed: a token says it. */
revoke.post('/', async (c) => {
  const params = await readForm(c);
  const { token } = readParams(asked, params);
  const client = await authenticateClient(c, params);
  await asClient(c, client, async () => {
    const { ok: isToken } = await recognise(token);
    if (isToken) await takeBack(client.store, client.id, await hashOf(token), actorOf(c, `client:${client.id}`));
    else await client.store.verify();
  });
  return c.json({});
});

revoke.all('/', allowOnly('POST'));
