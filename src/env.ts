/** The Worker's bindings, and its variables checked and typed once. */
import type { Region } from './region';
import { BINDING, type Databases } from './store/d1/databases';
import type { CountedQueries } from './store/d1/query-budget';
import { REGION_LABEL } from './store/org/settings';

export interface Env extends Databases {
  readonly REVOCATIONS: KVNamespace;
  /** Its objects are found by coordinator-stub.ts, which knows their class. */
  readonly ORG_COORDINATOR: DurableObjectNamespace;
  /** What an org may send, in units of 25 a second (routes/access/rate-limits.ts); one that is missing limits nothing. */
  readonly RATE_25?: RateLimit;
  /** Signals of an org. */
  readonly RATE_500?: RateLimit;
  /** Requests of callers that have not proved who they are, by address. */
  readonly FAILED_AUTH?: RateLimit;
  /** Seconds. */
  readonly SESSION_MAX_AGE?: string;
  /** Where the service is reached from outside; absent: the address of the request. */
  readonly PUBLIC_URL?: string;
  /** A page for people about SCIM in the vendor's product; absent: the service's own page, /help. */
  readonly DOCUMENTATION_URL?: string;
  /** The label of the region that this host serves; unset: any org's. */
  readonly REGION?: string;
  /** JSON: where each region is served, `{"us":"https://us.scim.example.com", …}`. */
  readonly REGION_URLS?: string;
  /** JSON: where databases are that are not in REGION, `{"DB_3":"eu"}`. */
  readonly DATABASE_RESIDENCY?: string;
  /** Where Durable Objects run and store (`eu`, `us`, …); unset: anywhere. Another one means other objects. */
  readonly DO_JURISDICTION?: string;
  /** What counts towards D1's 1,000 queries of a request: `batches` (unset) or `statements`. */
  readonly D1_QUERY_LIMIT_COUNTS?: string;
  /** Unset: /admin/v1 does not exist. At least 32 characters, and not HOST_TOKEN. */
  readonly ADMIN_TOKEN?: string;
  /** Unset: only tokens of `hosts add` open /sessions/v1. At least 32 characters, and not ADMIN_TOKEN. */
  readonly HOST_TOKEN?: string;
  /** What the portal calls the vendor's product. */
  readonly PORTAL_NAME?: string;
  /** An image, at an https address. */
  readonly PORTAL_LOGO_URL?: string;
  /** The one colour of the portal's buttons and links: `#0b57d0`. */
  readonly PORTAL_COLOR?: string;
  /** Where the customer's administrator gets help: an address of e-mail or of a page. */
  readonly PORTAL_SUPPORT?: string;
  /** Pages of these origins may show the portal in a frame, with commas between them; unset: none may. */
  readonly PORTAL_ORIGINS?: string;
  /** What answers questions about DNS over HTTPS in JSON; unset: Cloudflare's. */
  readonly DNS_RESOLVER_URL?: string;
  /** `true`: an issuer's keys may be at a loopback address, over http too. For tests and local development only. */
  readonly ALLOW_LOOPBACK_JWKS?: string;
  /**
   * At least 32 characters: what encrypts the secrets of webhooks, of transmitters and of signing keys in the database
   * (credentials/sealed-secret.ts). Unset: there are none of these.
   */
  readonly WEBHOOK_KEY?: string;
  /** The WEBHOOK_KEY before it: still opens what was encrypted under it. */
  readonly WEBHOOK_KEY_PREVIOUS?: string;
  /** `true`: webhooks may go to a loopback address, over http too. For tests and local development only. */
  readonly ALLOW_LOOPBACK_WEBHOOKS?: string;
}

/** A variable has a value that the service cannot work with. The message names it and what was expected, no value. */
export class Misconfigured extends Error {
  override readonly name = 'Misconfigured';

  constructor(
    readonly variable: keyof Env,
    expected: string,
  ) {
    super(`${variable}: ${expected}`);
  }
}

/** The secret of an API of the vendor's own programs. `fault`: it is set, and must not open anything. */
export type ApiToken = { readonly secret: string } | { readonly fault: Misconfigured };

export interface Settings {
  /** The longest life of a host-app session, in seconds. */
  readonly sessionMaxAge: number;
  /** Without a slash at the end. */
  readonly publicUrl: string | undefined;
  readonly documentationUrl: string | undefined;
  /** Absent: orgs of every region are served. */
  readonly region: Region | undefined;
  /** Where databases are that are not in `region`: labels by the names of their bindings. */
  readonly databaseRegions: ReadonlyMap<string, string>;
  /** Absent: the API does not exist. */
  readonly adminToken: ApiToken | undefined;
  readonly hostToken: ApiToken | undefined;
  readonly allowsLoopbackJwks: boolean;
  /** What opens the secrets that the database keeps encrypted; the first one encrypts. Absent: there are none. */
  readonly encryptionKeys: { readonly keys: readonly string[] } | { readonly fault: Misconfigured } | undefined;
  readonly allowsLoopbackWebhooks: boolean;
  readonly countedQueries: CountedQueries;
  readonly portal: PortalLook;
  readonly dnsResolver: string;
}

/** How the vendor presents the portal. */
export interface PortalLook {
  readonly name: string;
  readonly logoUrl: string | undefined;
  /** `#rrggbb`. */
  readonly color: string;
  readonly support: string | undefined;
  /** Those that may frame it. */
  readonly origins: readonly string[];
}

/** What was read of the variables: they are those of an isolate, which asks several times in a request. */
const read = new WeakMap<Env, Settings>();

/** @throws Misconfigured. A token that is too weak is no reason to refuse identity providers: it shuts its own API alone. */
export function settings(env: Env): Settings {
  let found = read.get(env);
  if (found === undefined) {
    found = settingsOf(env);
    read.set(env, found);
  }
  return found;
}

function settingsOf(env: Env): Settings {
  jurisdictionOf(env);
  const sessionMaxAge = Number(env.SESSION_MAX_AGE ?? 30 * 24 * 3600);
  if (!Number.isInteger(sessionMaxAge) || sessionMaxAge < 60) {
    throw new Misconfigured('SESSION_MAX_AGE', 'a number of seconds, at least 60, was expected');
  }
  return {
    sessionMaxAge,
    documentationUrl: env.DOCUMENTATION_URL ? pageOf(env.DOCUMENTATION_URL) : undefined,
    publicUrl: env.PUBLIC_URL ? publicUrlOf(env.PUBLIC_URL) : undefined,
    region: regionOf(env),
    adminToken: tokenOf(env, 'ADMIN_TOKEN'),
    hostToken: tokenOf(env, 'HOST_TOKEN'),
    allowsLoopbackJwks: isAllowed(env, 'ALLOW_LOOPBACK_JWKS'),
    encryptionKeys: encryptionKeysOf(env),
    allowsLoopbackWebhooks: isAllowed(env, 'ALLOW_LOOPBACK_WEBHOOKS'),
    countedQueries: countedQueriesOf(env),
    // Read only where it is needed: a wrong colour of the portal is no reason to refuse identity providers.
    get databaseRegions() {
      return databaseRegionsOf(env);
    },
    get portal() {
      return portalOf(env);
    },
    get dnsResolver() {
      return resolverOf(env);
    },
  };
}

function portalOf(env: Env): PortalLook {
  const { PORTAL_NAME: name = '', PORTAL_COLOR: color = '', PORTAL_SUPPORT: support, PORTAL_LOGO_URL: logo } = env;
  if (name.length > 60) throw new Misconfigured('PORTAL_NAME', 'at most 60 characters were expected');
  if (color && !/^#[0-9a-f]{6}$/i.test(color))
    throw new Misconfigured('PORTAL_COLOR', 'a colour such as #0b57d0 was expected');
  if (logo && !isSafe(logo)) throw new Misconfigured('PORTAL_LOGO_URL', 'an https address was expected');
  return {
    name: name || 'Directory sync',
    logoUrl: logo || undefined,
    color: color || '#3b5bdb',
    support: support || undefined,
    origins: (env.PORTAL_ORIGINS ?? '').split(',').flatMap((text) => originOf(text.trim())),
  };
}

/** @throws Misconfigured. */
function originOf(text: string): string[] {
  if (text === '') return [];
  if (!isSafe(text) || new URL(text).origin !== text) {
    throw new Misconfigured('PORTAL_ORIGINS', 'origins such as https://app.example.com were expected');
  }
  return [text];
}

function resolverOf({ DNS_RESOLVER_URL: url }: Env): string {
  if (!url) return 'https://cloudflare-dns.com/dns-query';
  if (!isSafe(url)) throw new Misconfigured('DNS_RESOLVER_URL', 'an https address was expected');
  return url;
}

/** Over https, or on this machine. */
export function isSafe(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
}

export const isLoopback = (host: string): boolean => /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(host);

/** What is wrong with the variables; empty when nothing is. */
export function misconfigurations(env: Env): Misconfigured[] {
  try {
    const checked = settings(env);
    // These are read to see whether they can be.
    const { portal: _portal, dnsResolver: _resolver, databaseRegions: _regions } = checked;
    const { adminToken, hostToken, encryptionKeys } = checked;
    return [adminToken, hostToken, encryptionKeys].flatMap((one) => (one && 'fault' in one ? [one.fault] : []));
  } catch (error) {
    if (error instanceof Misconfigured) return [error];
    throw error;
  }
}

/** Characters. Nobody guesses so many, if they are random. */
const LEAST_TOKEN = 32;

function tokenOf(env: Env, variable: 'ADMIN_TOKEN' | 'HOST_TOKEN'): ApiToken | undefined {
  const secret = env[variable];
  if (!secret) return undefined;
  const fault = (expected: string) => ({ fault: new Misconfigured(variable, expected) });
  if ([...secret].length < LEAST_TOKEN) return fault(`at least ${LEAST_TOKEN} characters were expected`);
  // A bearer token with anything else in it could never be presented (RFC 9110, section 11.2).
  if (!/^[!-~]+$/.test(secret)) return fault('printable ASCII characters without blanks were expected');
  // Each opens an API that the other must not.
  const isShared = env.ADMIN_TOKEN === env.HOST_TOKEN;
  return isShared ? fault('ADMIN_TOKEN and HOST_TOKEN are equal: two different values were expected') : { secret };
}

function isAllowed(env: Env, variable: 'ALLOW_LOOPBACK_JWKS' | 'ALLOW_LOOPBACK_WEBHOOKS'): boolean {
  const text = env[variable];
  if (text && text !== 'true' && text !== 'false') {
    throw new Misconfigured(variable, 'true or false was expected');
  }
  return text === 'true';
}

function encryptionKeysOf(env: Env): Settings['encryptionKeys'] {
  const given = (['WEBHOOK_KEY', 'WEBHOOK_KEY_PREVIOUS'] as const).filter((variable) => env[variable]);
  if (!env.WEBHOOK_KEY) return undefined;
  const weak = given.find((variable) => [...env[variable]!].length < LEAST_TOKEN);
  if (weak) return { fault: new Misconfigured(weak, `at least ${LEAST_TOKEN} characters were expected`) };
  return { keys: given.map((variable) => env[variable]!) };
}

const JURISDICTIONS: readonly DurableObjectJurisdiction[] = ['eu', 'us', 'fedramp', 'fedramp-high'];

/** @throws Misconfigured. */
export function jurisdictionOf({ DO_JURISDICTION: label }: Pick<Env, 'DO_JURISDICTION'>) {
  if (!label) return undefined;
  const found = JURISDICTIONS.find((one) => one === label);
  if (!found) throw new Misconfigured('DO_JURISDICTION', `one of ${JURISDICTIONS.join(', ')} was expected`);
  return found;
}

const addressOf = (url: string) => new URL(url).href.replace(/\/+$/, '');

function countedQueriesOf({ D1_QUERY_LIMIT_COUNTS: label }: Env): CountedQueries {
  if (!label || label === 'batches') return 'batches';
  if (label === 'statements') return label;
  throw new Misconfigured('D1_QUERY_LIMIT_COUNTS', 'batches or statements was expected');
}

function pageOf(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new Misconfigured('DOCUMENTATION_URL', 'an address such as https://example.com/help/scim was expected');
}

function publicUrlOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (!url || !isPlain || !/^https?:$/.test(url.protocol)) {
    throw new Misconfigured('PUBLIC_URL', 'an address such as https://scim.example.com was expected');
  }
  return addressOf(text);
}

function regionOf({ REGION: label, REGION_URLS: urls }: Env): Region | undefined {
  if (!label) return undefined;
  if (!REGION_LABEL.test(label)) throw new Misconfigured('REGION', 'a label such as us or eu was expected');
  try {
    const pairs = Object.entries(JSON.parse(urls || '{}') as Record<string, string>);
    return { label, urls: new Map(pairs.map(([region, url]) => [region, addressOf(url)])) };
  } catch {
    throw new Misconfigured('REGION_URLS', 'JSON was expected, {"us": "https://us.scim.example.com"}');
  }
}

/** @throws Misconfigured. A wrong name would leave a database where nobody expects it: each is checked. */
function databaseRegionsOf({ DATABASE_RESIDENCY: text }: Env): ReadonlyMap<string, string> {
  const fault = () =>
    new Misconfigured('DATABASE_RESIDENCY', 'JSON of databases and labels of regions was expected, {"DB_3": "eu"}');
  let read: unknown;
  try {
    read = JSON.parse(text || '{}');
  } catch {
    throw fault();
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read)) throw fault();
  const pairs = Object.entries(read as Record<string, unknown>);
  const isGood = (pair: [string, unknown]): pair is [string, string] =>
    BINDING.test(pair[0]) && typeof pair[1] === 'string' && REGION_LABEL.test(pair[1]);
  if (!pairs.every(isGood)) throw fault();
  return new Map(pairs);
}
