/**
 * A refresh token becomes new tokens (RFC 6749 §6), and is dead. Whoever presents it again has what somebody else has,
 * too, and nobody can tell which of them is the client: all that came of the approval is revoked (RFC 9700 §4.14.2). So
 * of many uses at once one succeeds at most, and what it was answered with is dead a moment later.
 */
import * as z from 'zod/mini';
import { hashOf } from '../../credentials/secret';
import { exchangeRefresh, findRefresh, revokeGrant } from '../../store/credentials/grants';
import { actorOf } from '../context';
import { readParams } from './form';
import { type Grant, OAuthError } from './grant';
import { newTokens } from './tokens';

const asked = z.object({ refresh_token: z.string('refresh_token is required') });

export const refreshToken: Grant = async (c, client, params) => {
  const { refresh_token: token } = readParams(asked, params);
  const { id, store } = client;
  const actor = actorOf(c, `client:${id}`);
  const hash = await hashOf(token);
  let found = await findRefresh(store, id, hash);
  if (found?.isGood) {
    const { given, answer } = await newTokens(client, found.grantId);
    if (await exchangeRefresh(store, found, id, given, actor)) return answer;
    found = await findRefresh(store, id, hash); // another request was faster
  }
  if (found?.isReplaced) {
    const reuse = { type: 'client.reused', targetId: id, why: 'second use of a refresh token' } as const;
    await revokeGrant(store, found.grantId, reuse, actor);
  }
  throw new OAuthError('invalid_grant', 'The refresh token is unknown, expired, used, revoked, or of another client');
};
