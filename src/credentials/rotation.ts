/** A token's life for the org: issued and revoked, in the org's one line (coordinator.ts). */
import type { Actor } from '../events';
import { Unmet } from '../store/batch';
import { type Credential, insertToken, listTokens, revokeTokens } from '../store/credentials';
import type { OrgStore } from '../store/open';
import { hashOf, maskOf, newToken } from './secret';

export interface IssuedToken extends Credential {
  /** The secret: only here, only once. */
  readonly token: string;
}

/** An expected refusal crosses the Durable Object's border as a value: an error would lose its class there. */
export type Issue =
  | { readonly ok: true; readonly issued: IssuedToken }
  | { readonly ok: false; readonly current: Credential | undefined };

/** @returns not ok when the org has a token already: replacing one is a rotation. */
export async function issueToken(store: OrgStore, orgId: string, by: string, actor: Actor): Promise<Issue> {
  const token = await newToken(orgId);
  try {
    const draft = { id: crypto.randomUUID(), hash: await hashOf(token), mask: maskOf(token) };
    return { ok: true, issued: { ...(await insertToken(store, draft, by, actor)), token } };
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'no_token') throw error;
    const current = (await listTokens(store)).find((credential) => credential.revokedAt === undefined);
    return { ok: false, current };
  }
}

/** Every token of the org, now. */
export const revokeAll = revokeTokens;
