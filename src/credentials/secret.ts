/**
 * A token's life as text: made, recognised, hashed, masked. `scim_<org id>_<secret and checksum>`: a fixed prefix that
 * secret scanners can look for, `\bscim_[0-9A-Za-z]{12}_[0-9A-Za-z]{39}\b`.
 */

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ORG_ID_LENGTH = 12;
/** 33 of 62 letters: 196 bits. */
const SECRET_LENGTH = 33;
const CHECKSUM_LENGTH = 6;
const PATTERN = new RegExp(`^scim_([0-9A-Za-z]{${ORG_ID_LENGTH}})_[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`);

/** Letters with equal chances: bytes beyond the last whole multiple of 62 are thrown away. */
function randomText(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      if (byte < 248 && text.length < length) text += LETTERS[byte % 62];
    }
  }
  return text;
}

/** An org's id: 71 random bits that say nothing of the org, so that it may stand in a token and in a KV key. */
export const newOrgId = () => randomText(ORG_ID_LENGTH);

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

/** Not for security: tells a mistyped or cut token from a wrong one, without asking D1. */
async function checksum(text: string): Promise<string> {
  const bytes = await digest(`checksum:${text}`);
  return [...bytes.subarray(0, CHECKSUM_LENGTH)].map((byte) => LETTERS[byte % 62]).join('');
}

/** Shown once, to whoever asked for it. */
export async function newToken(orgId: string): Promise<string> {
  const text = `scim_${orgId}_${randomText(SECRET_LENGTH)}`;
  return text + (await checksum(text));
}

/** What is kept. SHA-256 without salt or stretching is enough for 196 random bits, and lets an index find it. */
export async function hashOf(token: string): Promise<string> {
  return [...(await digest(token))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What is displayed: enough to tell two tokens apart. */
export function maskOf(token: string): string {
  return `${token.slice(0, 'scim_'.length + 4)}…${token.slice(-4)}`;
}

/** Whether the text can be a token of ours at all. */
export async function isWellFormed(token: string): Promise<boolean> {
  if (!PATTERN.test(token)) return false;
  return (await checksum(token.slice(0, -CHECKSUM_LENGTH))) === token.slice(-CHECKSUM_LENGTH);
}
