/** The two tokens of a grant, made at once: one for an hour, and one for the next two. */
import { hashOf, maskOf, newSecret } from '../../credentials/secret';
import { DAY } from '../../duration';
import { ACCESS_LIFE, type IssuedToken } from '../../store/credentials/issued-tokens';
import type { Client, TokenAnswer } from './grant';

/** Milliseconds from each exchange on: a client that is not used for a year must be approved again. */
const REFRESH_LIFE = 365 * DAY;

export interface Tokens {
  /** What is kept of them. */
  readonly given: readonly IssuedToken[];
  /** The secrets. */
  readonly answer: TokenAnswer;
}

export async function newTokens(client: Client, grantId: string): Promise<Tokens> {
  const [access, refresh] = await Promise.all(
    (['oauth_access', 'oauth_refresh'] as const).map(async (kind) => {
      const secret = await newSecret(kind, client.orgId);
      const life = kind === 'oauth_access' ? ACCESS_LIFE : REFRESH_LIFE;
      const given: IssuedToken = {
        id: crypto.randomUUID(),
        kind,
        hash: await hashOf(secret),
        mask: maskOf(secret),
        validUntil: client.store.now + life,
        clientId: client.id,
        grantId,
      };
      return { secret, given };
    }),
  );
  return {
    given: [access!.given, refresh!.given],
    answer: {
      access_token: access!.secret,
      token_type: 'Bearer',
      expires_in: ACCESS_LIFE / 1_000,
      scope: 'scim',
      refresh_token: refresh!.secret,
    },
  };
}
