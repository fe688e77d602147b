/** Instants in what the APIs are asked and what they answer; asked ones by the rule of sessions/client/instant.ts. */
import { invalidValue } from '../scim/error';
import { instant } from '../sessions/check';

/** In a JSON body. @returns epoch milliseconds. @throws ScimError 400 naming the member. */
export function readInstant(name: string, value: Date | number | string): number {
  try {
    return instant(value, name);
  } catch (error) {
    throw invalidValue((error as Error).message);
  }
}

/** In a query, where epoch milliseconds are digits. @returns epoch milliseconds. @throws ScimError 400. */
export const queriedInstant = (name: string, text: string): number =>
  readInstant(name, /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text);

/** In an answer. */
export const iso = (at: number | undefined) => (at === undefined ? null : new Date(at).toISOString());

export interface ShownValidAfter {
  /** Sessions issued until then are over. ISO text; null: none were ended. */
  readonly validAfter: string | null;
  /** @deprecated The first name of `validAfter`, answered for one more release. */
  readonly notBefore: string | null;
}

/** In an answer, under both of its names. */
export function shownValidAfter(at: number | undefined): ShownValidAfter {
  const validAfter = iso(at);
  return { validAfter, notBefore: validAfter };
}
