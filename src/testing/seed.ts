/** The seed: what the service holds when a test begins. Checked as a whole before anything is started. */
/// <reference path="./node.d.ts" />
import { readFile } from 'node:fs/promises';

export interface Seed {
  /** By slug: small letters, digits and single hyphens. */
  readonly orgs: Readonly<Record<string, SeedOrg>>;
}

export interface SeedOrg {
  /** The slug unless told. */
  readonly name?: string;
  /** As `org set` takes them (docs/settings.md). They are set last. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** How long its token lives, such as `90d`. For ever unless told. */
  readonly tokenExpires?: string;
  readonly users?: readonly SeedUser[];
  readonly groups?: readonly SeedGroup[];
  readonly webhooks?: readonly SeedWebhook[];
}

/** A SCIM user, without `schemas`. Active unless told. */
export interface SeedUser {
  readonly userName: string;
  readonly [attribute: string]: unknown;
}

export interface SeedGroup {
  readonly displayName: string;
  readonly externalId?: string;
  /** User names of this org's users. */
  readonly members?: readonly string[];
  /** What the group allows in the application. */
  readonly permissions?: readonly string[];
}

export interface SeedWebhook {
  readonly url: string;
  /** Such as `user.*`. Of users, groups and the org unless told. */
  readonly types?: readonly string[];
}

/** The seed cannot be used. Each line of the message names one place. */
export class SeedError extends Error {
  override readonly name = 'SeedError';
  readonly faults: readonly string[];

  constructor(source: string, faults: readonly string[], options?: { readonly cause?: unknown }) {
    super([`${source} is wrong:`, ...faults.map((fault) => `  ${fault}`)].join('\n'), options);
    this.faults = faults;
  }
}

/** @param given a path, or what such a file holds. @throws SeedError. */
export async function readSeed(given: string | Seed | undefined): Promise<Seed> {
  if (given === undefined) return { orgs: {} };
  if (typeof given !== 'string') return checkedSeed(given, 'The seed');
  const source = `The seed file ${given}`;
  let text: string;
  try {
    text = await readFile(given, 'utf8');
  } catch (cause) {
    throw new SeedError(source, [`it cannot be read: ${(cause as Error).message}`], { cause });
  }
  try {
    return checkedSeed(JSON.parse(text), source);
  } catch (cause) {
    if (cause instanceof SeedError) throw cause;
    throw new SeedError(source, [`it is not JSON: ${(cause as Error).message}`], { cause });
  }
}

/** @throws SeedError with every fault, not only the first. */
export function checkedSeed(seed: unknown, source: string): Seed {
  const faults: string[] = [];
  const seen = objectAt(seed, 'the seed', ['orgs'], faults);
  const orgs = seen && (seen['orgs'] === undefined ? faultOf('orgs: it is missing', faults) : seen['orgs']);
  for (const [slug, org] of Object.entries(anyObject(orgs, 'orgs', faults) ?? {}))
    checkOrg(slug, org, `orgs.${slug}`, faults);
  if (faults.length > 0) throw new SeedError(source, faults);
  return seed as Seed;
}

/** @throws SeedError. */
export function checkedOrg(slug: string, org: unknown): SeedOrg {
  const faults: string[] = [];
  checkOrg(slug, org, slug, faults);
  if (faults.length > 0) throw new SeedError(`The org ${slug}`, faults);
  return org as SeedOrg;
}

type Fields = Readonly<Record<string, unknown>>;

function checkOrg(slug: string, org: unknown, at: string, faults: string[]): void {
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(slug) || slug.length > 63)
    faults.push(`${at}: a slug of small letters, digits and single hyphens was expected`);
  const keys = ['name', 'settings', 'tokenExpires', 'users', 'groups', 'webhooks'];
  const fields = objectAt(org, at, keys, faults);
  if (!fields) return;
  for (const key of ['name', 'tokenExpires']) optional(fields[key], `${at}.${key}`, textAt, faults);
  for (const [key, value] of Object.entries(anyObject(fields['settings'] ?? {}, `${at}.settings`, faults) ?? {}))
    if (!['string', 'number', 'boolean'].includes(typeof value))
      faults.push(`${at}.settings.${key}: a text, a number or a boolean was expected`);
  const users = listAt(fields['users'], `${at}.users`, faults);
  const names = new Set<string>();
  for (const [index, user] of users.entries()) checkUser(user, `${at}.users[${index}]`, names, faults);
  for (const [index, group] of listAt(fields['groups'], `${at}.groups`, faults).entries())
    checkGroup(group, `${at}.groups[${index}]`, names, faults);
  for (const [index, webhook] of listAt(fields['webhooks'], `${at}.webhooks`, faults).entries()) {
    const place = `${at}.webhooks[${index}]`;
    const seen = objectAt(webhook, place, ['url', 'types'], faults);
    if (!seen) continue;
    textAt(seen['url'], `${place}.url`, faults);
    textsAt(seen['types'], `${place}.types`, faults);
  }
}

function checkUser(user: unknown, at: string, names: Set<string>, faults: string[]): void {
  const fields = anyObject(user, at, faults);
  if (!fields || !textAt(fields['userName'], `${at}.userName`, faults)) return;
  const name = String(fields['userName']).toLowerCase();
  if (names.has(name)) faults.push(`${at}.userName: "${fields['userName']}" is there twice`);
  names.add(name);
  optional(fields['active'], `${at}.active`, booleanAt, faults);
  optional(fields['externalId'], `${at}.externalId`, textAt, faults);
}

function checkGroup(group: unknown, at: string, names: ReadonlySet<string>, faults: string[]): void {
  const fields = objectAt(group, at, ['displayName', 'externalId', 'members', 'permissions'], faults);
  if (!fields) return;
  textAt(fields['displayName'], `${at}.displayName`, faults);
  optional(fields['externalId'], `${at}.externalId`, textAt, faults);
  textsAt(fields['permissions'], `${at}.permissions`, faults);
  for (const [index, member] of textsAt(fields['members'], `${at}.members`, faults).entries())
    if (!names.has(member.toLowerCase()))
      faults.push(`${at}.members[${index}]: no user of the org has the userName "${member}"`);
}

function anyObject(value: unknown, at: string, faults: string[]): Fields | undefined {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  if (value !== undefined) faults.push(`${at}: an object was expected`);
  return undefined;
}

function objectAt(value: unknown, at: string, keys: readonly string[], faults: string[]): Fields | undefined {
  const fields = value === undefined ? faultOf(`${at}: an object was expected`, faults) : anyObject(value, at, faults);
  for (const key of Object.keys(fields ?? {}))
    if (!keys.includes(key)) faults.push(`${at}: "${key}" is unknown; there are ${keys.join(', ')}`);
  return fields;
}

function listAt(value: unknown, at: string, faults: string[]): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (value !== undefined) faults.push(`${at}: a list was expected`);
  return [];
}

function textsAt(value: unknown, at: string, faults: string[]): readonly string[] {
  const list = listAt(value, at, faults);
  return list.filter((one, index) => textAt(one, `${at}[${index}]`, faults)) as string[];
}

function textAt(value: unknown, at: string, faults: string[]): boolean {
  if (typeof value === 'string' && value !== '') return true;
  faults.push(`${at}: a text was expected`);
  return false;
}

function booleanAt(value: unknown, at: string, faults: string[]): boolean {
  if (typeof value === 'boolean') return true;
  faults.push(`${at}: true or false was expected`);
  return false;
}

function optional(value: unknown, at: string, check: typeof textAt, faults: string[]): void {
  if (value !== undefined) check(value, at, faults);
}

function faultOf(fault: string, faults: string[]): undefined {
  faults.push(fault);
  return undefined;
}
