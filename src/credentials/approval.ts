/** The code by which a person of the org proves that the operator knows them: made, read as it is typed, hashed. */
import { hashOf } from './secret';

/** 32 letters, none of which looks like another in most type: no 0, 1, I, O. */
const LETTERS = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
/** 80 bits cannot be guessed in the minutes for which the code is valid. */
const LENGTH = 16;
const CODE = new RegExp(`^[${LETTERS}]{${LENGTH}}$`);
/** Nobody types as much, whatever they put between the letters. */
const MAX_TYPED = 200;

/** Milliseconds. */
export const APPROVAL_LIFE = 600_000;

/** `K7QM-2XPD-9RTA-4WNZ` */
export function newApprovalCode(): string {
  const letters = [...crypto.getRandomValues(new Uint8Array(LENGTH))].map((byte) => LETTERS[byte % LETTERS.length]);
  return letters.join('').replace(/.{4}(?=.)/g, '$&-');
}

/**
 * What is kept of a code, and looked for: of the org, so that the same letters elsewhere are another code.
 *
 * @param typed in any case, with blanks and hyphens anywhere, and those dashes that word processors make of hyphens.
 * @returns undefined for text that cannot be a code.
 */
export async function hashOfApproval(orgId: string, typed: string): Promise<string | undefined> {
  if (typed.length > MAX_TYPED) return undefined;
  const code = typed.replace(/[\s\p{Pd}]/gu, '').toUpperCase();
  return CODE.test(code) ? hashOf(`approval:${orgId}:${code}`) : undefined;
}
