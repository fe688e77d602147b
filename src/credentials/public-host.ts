/**
 * Where the keys of an issuer may be, and where webhooks may go: at a name of the public Internet, never at a number or within
 * a private network.
 */

/** Names of this machine and of private networks (RFC 6761, RFC 6762, RFC 8375, RFC 9476; `internal` is ICANN's). */
const PRIVATE_NAMES = [
  'localhost',
  'localdomain',
  'local',
  'svc', // of Kubernetes: beside cluster.local, its search path
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
  'alt',
];
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Whether the host is a name that a public DNS could know. What a name stands for is not asked: Workers reach public
 * addresses only, and another network's addresses are its firewall's business.
 *
 * @param url parsed: that has made dotted decimals of every spelling of an IPv4 address (decimal, hexadecimal, octal,
 * short) and has decoded escapes and full-width letters.
 */
function isPublicName({ hostname }: URL): boolean {
  const name = hostname.toLowerCase().replace(/\.+$/, '');
  if (name.startsWith('[') || !name.includes('.')) return false; // IPv6; a name of the local network
  if (name.split('.').includes('')) return false; // RFC 1035 §3.1: only the root has an empty label
  // No domain ends in a label of digits alone (RFC 3696 §2), so this is a number, however it is written.
  if (/(?:^|\.)\d+$/.test(name)) return false;
  return !PRIVATE_NAMES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
}

/** @param allowsLoopback this machine is good, too, and over http: the variable ALLOW_LOOPBACK_JWKS. */
export function isJwksAddress(text: string, allowsLoopback: boolean): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (allowsLoopback && LOOPBACK.has(url.hostname)) return /^https?:$/.test(url.protocol);
  return url.protocol === 'https:' && isPublicName(url);
}

/**
 * Where webhooks may be sent. Without credentials: an address is shown to operators.
 *
 * @param allowsLoopback this machine is good, too, and over http: the variable ALLOW_LOOPBACK_WEBHOOKS.
 */
export function isWebhookAddress(text: string, allowsLoopback: boolean): boolean {
  if (!isJwksAddress(text, allowsLoopback)) return false;
  const { username, password, hash } = new URL(text);
  return username === '' && password === '' && hash === '';
}
