/**
 * E-mail addresses as far as they say who somebody is: the local part compared by case alone, the domain as DNS would
 * (IDNA, RFC 5891). Filters are more lenient (fold.ts).
 */
import { foldCase, foldCaseAlone, isBlank } from './fold';
import type { Resource } from './resource';

/** RFC 1035 §2.3.4. */
const MAX_DOMAIN_LENGTH = 253;

/** The domain in the form that DNS knows: `xn--…`, small letters. Undefined: no domain. */
export function domainKey(domain: string): string | undefined {
  // The URL parser must take all of it for a host. A number is an IPv4 address to it.
  if (domain.length > MAX_DOMAIN_LENGTH || /^$|[\s/\\?#@:%[\]]/.test(domain)) return undefined;
  const { hostname = '' } = URL.canParse(`http://${domain}`) ? new URL(`http://${domain}`) : {};
  return hostname.length > MAX_DOMAIN_LENGTH || /^[\d.]*$/.test(hostname) ? undefined : hostname;
}

interface Parts {
  readonly local: string;
  readonly domain: string;
}

/** Only U+0040 is an at sign: of `ceo＠example.com` all is a local part. */
function partsOf(address: string): Parts | undefined {
  const at = address.lastIndexOf('@');
  return at < 0 ? undefined : { local: address.slice(0, at), domain: address.slice(at + 1) };
}

/** Two addresses are one exactly when their keys are equal. */
export function addressKey(address: string): string {
  const parts = partsOf(address);
  if (parts === undefined) return foldCaseAlone(address);
  return `${foldCaseAlone(parts.local)}@${domainKey(parts.domain) ?? foldCaseAlone(parts.domain)}`;
}

/** The domain of an address, as `domainKey` has it. */
export function domainOf(address: string): string | undefined {
  const parts = partsOf(address);
  return parts && domainKey(parts.domain);
}

/**
 * The folded forms under which equal addresses may be stored (`user_emails`): more than are equal, so what is found has to
 * be compared by `addressKey`.
 */
export function storedForms(address: string): string[] {
  const parts = partsOf(address);
  const ascii = parts && domainKey(parts.domain);
  const domains = parts && ascii ? [parts.domain, ascii, unicodeOf(ascii)] : [];
  return [...new Set([foldCase(address), ...domains.map((domain) => foldCase(`${parts!.local}@${domain}`))])];
}

/** Every address of a user, as it was given. */
export const addressesOf = ({ emails }: Resource): string[] =>
  elementsOf(emails).flatMap(({ value }) => (typeof value === 'string' && !isBlank(value) ? [value] : []));

/** The address by which an account may be linked: the primary one, or the only one. */
export function linkingAddress(resource: Resource): string | undefined {
  const primary = elementsOf(resource['emails']).find((element) => element.primary === true)?.value;
  if (primary !== undefined) return typeof primary === 'string' && !isBlank(primary) ? primary : undefined;
  const addresses = new Map(addressesOf(resource).map((address) => [addressKey(address), address]));
  return addresses.size === 1 ? [...addresses.values()][0] : undefined;
}

/** By which address events call a user: the primary one, or the only one; else a userName that is one; else the first. */
export function calledBy({
  userName,
  emails,
}: {
  readonly userName?: unknown;
  readonly emails?: unknown;
}): string | undefined {
  const resource = { emails } as Resource;
  return [linkingAddress(resource), userName, ...addressesOf(resource)].find(isAddress);
}

export const isAddress = (value: unknown): value is string =>
  typeof value === 'string' && /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(value);

const elementsOf = (emails: unknown) =>
  (Array.isArray(emails) ? emails : []) as { readonly value?: unknown; readonly primary?: unknown }[];

/** `xn--strae-oqa.example` -> `straße.example`. What is not well-formed stays as it is. */
function unicodeOf(ascii: string): string {
  const labels = ascii.split('.').map((label) => (label.startsWith('xn--') ? decoded(label.slice(4)) : label));
  const domain = labels.every((label) => label !== undefined) ? labels.join('.') : ascii;
  return domainKey(domain) === ascii ? domain : ascii;
}

/** Punycode (RFC 3492 §6.2), with its parameters (§5). @returns undefined for what is none. */
function decoded(label: string): string | undefined {
  const end = label.lastIndexOf('-');
  const output = [...label.slice(0, Math.max(0, end))].map((character) => character.codePointAt(0)!);
  let [n, i, bias] = [128, 0, 72];
  for (let at = end + 1; at < label.length; ) {
    const before = i;
    for (let [weight, k] = [1, 36]; ; k += 36) {
      const digit = at < label.length ? '0123456789'.indexOf(label[at]!) + 26 : -1;
      const value = digit >= 26 ? digit : 'abcdefghijklmnopqrstuvwxyz'.indexOf(label[at] ?? '?');
      at++;
      if (value < 0) return undefined;
      i += value * weight;
      const threshold = Math.min(26, Math.max(1, k - bias));
      if (value < threshold) break;
      weight *= 36 - threshold;
    }
    const length = output.length + 1;
    let delta = Math.floor((i - before) / (before === 0 ? 700 : 2));
    delta += Math.floor(delta / length);
    let k = 0;
    for (; delta > 455; k += 36) delta = Math.floor(delta / 35);
    bias = k + Math.floor((36 * delta) / (delta + 38));
    n += Math.floor(i / length);
    if (n > 0x10ffff || (n >= 0xd800 && n < 0xe000)) return undefined;
    i %= length;
    output.splice(i++, 0, n);
  }
  return String.fromCodePoint(...output);
}
