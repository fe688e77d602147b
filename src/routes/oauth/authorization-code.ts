/** The code of a grant becomes tokens (RFC 6749 §4.1.3, §4.1.4): once, by the client that it was given to. */
import * as z from 'zod/mini';
import { isProof } from '../../credentials/pkce';
import { hashOf } from '../../credentials/secret';
import { findGrant, type Grant as Granted, redeemGrant, revokeGrant } from '../../store/credentials/grants';
import { actorOf } from '../context';
import { readParams } from './form';
import { type Grant, OAuthError } from './grant';
import { newTokens } from './tokens';

const asked = z.object({
  code: z.string('code is required'),
  redirect_uri: z.optional(z.string()),
  code_verifier: z.optional(z.string()),
});
type TokenRequest = z.output<typeof asked>;

export const authorizationCode: Grant = async (c, client, params) => {
  const question = readParams(asked, params);
  const actor = actorOf(c, `client:${client.id}`);
  const grant = await findGrant(client.store, client.id, await hashOf(question.code));
  if (grant === undefined) throw invalidGrant();
  if (!grant.isRedeemed) {
    if (grant.isRevoked || grant.codeValidUntil <= client.store.now) throw invalidGrant();
    if (!isAnsweredAt(grant, question) || !(await isProven(grant, question))) throw invalidGrant();
    const { given, answer } = await newTokens(client, grant.id);
    if (await redeemGrant(client.store, grant, given, actor)) return answer;
  }
  // §4.1.2: a code that is used twice may be in the wrong hands, and so may what the first use was answered with. The
  // loser of two uses at once has got here, too.
  const reuse = { type: 'client.reused', targetId: client.id, why: 'second use of an authorization code' } as const;
  await revokeGrant(client.store, grant.id, reuse, actor);
  throw invalidGrant();
};

/** One answer for all that is wrong with a code: a stranger who has one learns nothing. */
const invalidGrant = () =>
  new OAuthError('invalid_grant', 'The authorization code is unknown, expired, used, or not for this request');

/** §4.1.3: the same URI as in the request; where that named none, the client may name the one it has registered. */
function isAnsweredAt({ redirectUri, registeredUris }: Granted, { redirect_uri: named }: TokenRequest): boolean {
  if (redirectUri !== undefined) return named === redirectUri;
  return named === undefined || registeredUris.includes(named);
}

/**
 * RFC 7636 §4.6. A verifier without a challenge is refused: somebody may have taken the challenge out of the request
 * (RFC 9700 §4.8.2).
 */
async function isProven({ challenge }: Granted, { code_verifier: verifier }: TokenRequest): Promise<boolean> {
  if (challenge === undefined) return verifier === undefined;
  return verifier !== undefined && isProof(verifier, challenge);
}
