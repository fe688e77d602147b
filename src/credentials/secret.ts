/**
 * A secret's life as text: made, recognised, hashed, masked. `<prefix>_<org id>_<secret and checksum>`: fixed prefixes that
 * secret scanners can look for, `\bscim(?:pw|cs|ac|at|rt|pl|ps|ht|rs|ra)?_[0-9A-Za-z]{12}_[0-9A-Za-z]{39}\b`.
 */

/** What each kind begins with. `oauth_code` is the authorization code of RFC 6749 §4.1.2. */
const PREFIXES = {
  token: 'scim',
  basic: 'scimpw',
  oauth_client: 'scimcs',
  oauth_code: 'scimac',
  oauth_access: 'scimat',
  oauth_refresh: 'scimrt',
  portal_link: 'scimpl',
  portal_session: 'scimps',
  // An application's: of no org, so that random letters stand in the place of an org's id.
  host: 'scimht',
  // Of a receiver of signals: of no org, too.
  receiver: 'scimrs',
  receiver_access: 'scimra',
} as const;

export type SecretKind = keyof typeof PREFIXES;

/** The org that a text names is what it says, not what is known. */
export type Recognised =
  | { readonly ok: true; readonly kind: SecretKind; readonly orgId: string }
  | { readonly ok: false; readonly fault: Fault; readonly orgId: string | undefined };

/** Why a text cannot be a secret of ours. `form`: it is nothing like one. */
export type Fault = 'form' | 'whitespace' | 'truncated' | 'checksum';

/** In the place of an org's id: of the vendor's own operators. No org has it, for it is not random. */
export const OPERATOR = '000000000000';

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ORG_ID_LENGTH = 12;
/** 33 of 62 letters: 196 bits. */
const SECRET_LENGTH = 33;
const CHECKSUM_LENGTH = 6;
const ENDING = SECRET_LENGTH + CHECKSUM_LENGTH;
const ANY_PREFIX = Object.values(PREFIXES).join('|');
const BEGINNING = new RegExp(`^(${ANY_PREFIX})_([0-9A-Za-z]{${ORG_ID_LENGTH}})(?:_([0-9A-Za-z]*))?$`);
/** Cut before its org was said. */
const STUMP = new RegExp(`^(?:${ANY_PREFIX})_[0-9A-Za-z]{0,${ORG_ID_LENGTH - 1}}$`);

/** Letters with equal chances: bytes beyond the last whole multiple of 62 are thrown away. */
export function randomText(length: number): string {
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

/** Not for security: tells a mistyped or cut secret from a wrong one, without asking D1. */
async function checksum(text: string): Promise<string> {
  const bytes = await digest(`checksum:${text}`);
  return [...bytes.subarray(0, CHECKSUM_LENGTH)].map((byte) => LETTERS[byte % 62]).join('');
}

/** Shown once, in the answer that made it. */
export async function newSecret(kind: SecretKind, orgId: string): Promise<string> {
  const text = `${PREFIXES[kind]}_${orgId}_${randomText(SECRET_LENGTH)}`;
  return text + (await checksum(text));
}

/** What is kept. SHA-256 without salt or stretching is enough for 196 random bits, and lets an index find it. */
export async function hashOf(secret: string): Promise<string> {
  return [...(await digest(secret))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What is displayed: enough to tell two of a kind apart. */
export function maskOf(secret: string): string {
  return `${secret.slice(0, secret.indexOf('_') + 5)}…${secret.slice(-4)}`;
}

/** How many characters a secret has that begins like this one. */
export const lengthMeant = (text: string): number => text.indexOf('_') + 1 + ORG_ID_LENGTH + 1 + ENDING;

/** Whether the text can be a secret of ours at all, and of which kind and org it says it is. */
export async function recognise(text: string): Promise<Recognised> {
  const form = formOf(text);
  if (!form.ok || (await checksum(text.slice(0, -CHECKSUM_LENGTH))) === text.slice(-CHECKSUM_LENGTH)) return form;
  return { ok: false, fault: 'checksum', orgId: form.orgId };
}

/** The same without the checksum. */
export function formOf(text: string): Recognised {
  const [, prefix, orgId, ending] = BEGINNING.exec(text) ?? [];
  if (prefix === undefined) {
    // Copied with a line break, or with blanks around it.
    const [, , org] = BEGINNING.exec(text.replace(/\s+/g, '')) ?? [];
    if (org !== undefined) return { ok: false, fault: 'whitespace', orgId: org };
    return { ok: false, fault: STUMP.test(text) ? 'truncated' : 'form', orgId: undefined };
  }
  const refuse = (fault: Fault): Recognised => ({ ok: false, fault, orgId });
  if (ending === undefined || ending.length < ENDING) return refuse('truncated');
  if (ending.length > ENDING) return refuse('form');
  const kind = (Object.keys(PREFIXES) as SecretKind[]).find((it) => PREFIXES[it] === prefix)!;
  return { ok: true, kind, orgId: orgId! };
}
