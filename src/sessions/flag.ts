/**
 * The revocation flag in KV: the contract that applications read. One key per user and one per org; what they say is
 * state, so writing one twice is harmless. No personal data: ids only. Imports nothing.
 */

/** `rev:v1:<org id>:<user id>`; without a user, the org's own. */
export const flagKey = (orgId: string, userId?: string) => (userId ? `rev:v1:${orgId}:${userId}` : `rev:v1:${orgId}`);

/** The value, as JSON, as every reader gets it. */
export interface Flag {
  /** The format; another number is one that this reader does not know. */
  readonly v: 1 | 2;
  /** Whether the user (the org) may be signed in at all. */
  readonly active: boolean;
  /** Sessions are valid if they were issued after this instant; epoch milliseconds. Never lowered. */
  readonly validAfter: number;
  /**
   * The same number under its first name, which means the opposite of a JWT's `nbf`.
   *
   * @deprecated Read `validAfter`.
   */
  readonly notBefore: number;
}

/**
 * What the service writes: format 1 with both names, so that applications of every version read the same flag. Format 2 has
 * `validAfter` alone. It is read already, and can be written once no application is left that knows only the first name.
 */
export const flagText = (active: boolean, validAfter: number): string =>
  JSON.stringify({ v: 1, active, validAfter, notBefore: validAfter } satisfies Flag);

/** @returns undefined when the text is no flag of a known format: the reader must not take it for "no flag". */
export function parseFlag(text: string): Flag | undefined {
  try {
    const { v, active, ...instants } = (JSON.parse(text) ?? {}) as Partial<Record<keyof Flag, unknown>>;
    const validAfter = v === 1 ? ofFormat1(instants) : v === 2 ? instants.validAfter : undefined;
    if (typeof active !== 'boolean' || typeof validAfter !== 'number') return undefined;
    return { v: v as 1 | 2, active, validAfter, notBefore: validAfter };
  } catch {
    return undefined;
  }
}

/** If the two names differ, the later instant counts, for it never accepts a session that the other refuses. */
function ofFormat1({ validAfter, notBefore }: Partial<Record<keyof Flag, unknown>>): number | undefined {
  if (typeof notBefore !== 'number') return undefined;
  if (validAfter === undefined) return notBefore;
  return typeof validAfter === 'number' ? Math.max(validAfter, notBefore) : undefined;
}
