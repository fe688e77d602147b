/**
 * The revocation flag in KV: the contract that host apps read. One key per user and one per org; what they say is
 * state, so writing one twice is harmless. No personal data: ids only. Imports nothing.
 */

/** `rev:v1:<org id>:<user id>`; without a user, the org's own. */
export const flagKey = (orgId: string, userId?: string) => (userId ? `rev:v1:${orgId}:${userId}` : `rev:v1:${orgId}`);

/** The value, as JSON. */
export interface Flag {
  /** The format; another number is one that this reader does not know. */
  readonly v: 1;
  /** Whether the user (the org) may be signed in at all. */
  readonly active: boolean;
  /** Sessions issued at this instant or before are dead; epoch milliseconds. Never lowered. */
  readonly notBefore: number;
}

/** @returns undefined when the text is no flag of a known format: the reader must not take it for "no flag". */
export function parseFlag(text: string): Flag | undefined {
  try {
    const flag = JSON.parse(text) as Partial<Flag> | null;
    return flag?.v === 1 && typeof flag.active === 'boolean' && typeof flag.notBefore === 'number'
      ? (flag as Flag)
      : undefined;
  } catch {
    return undefined;
  }
}
