/** Which attributes a message names, and which of them the schemas do not have. Pure; values are not looked at. */
import { findAttribute, type ResourceType } from './attribute';
import { isObject } from './resource';

/** What a message names: at most so many names count. */
const MAX_NAMES = 200;
const MAX_LENGTH = 120;
/** Of the resource itself, whatever a client sends. */
const OWN = new Set(['schemas', 'id', 'meta', 'groups']);

export interface NamedAttribute {
  readonly name: string;
  /** The schemas do not have it, or no value of it is kept (`password`). */
  readonly isIgnored: boolean;
}

/** @param body of a POST, PUT or PATCH that is JSON. */
export function attributesIn(type: ResourceType, body: unknown): NamedAttribute[] {
  if (!isObject(body)) return [];
  const names = new Map<string, NamedAttribute>();
  const add = (name: string) => {
    const key = name.toLowerCase();
    if (names.has(key) || names.size >= MAX_NAMES || name === '' || name.length > MAX_LENGTH || !isPrintable(name))
      return;
    const known = knownOf(type, key);
    if (!OWN.has(key)) names.set(key, { name: known?.name ?? name, isIgnored: known === undefined || !known.isKept });
  };
  const operations = Object.entries(body).find(([name]) => name.toLowerCase() === 'operations')?.[1];
  if (Array.isArray(operations)) for (const operation of operations) addOperation(type, operation, add);
  else addMembers(type, body, add);
  return [...names.values()];
}

const isPrintable = (name: string) => /^[\x21-\x7e]+$/.test(name);

function addMembers(type: ResourceType, members: Record<string, unknown>, add: (name: string) => void): void {
  for (const [name, value] of Object.entries(members)) {
    if (!/^urn:/i.test(name) || !isObject(value)) add(nameOf(type, name));
    else for (const inner of Object.keys(value)) add(`${name}:${inner}`);
  }
}

function addOperation(type: ResourceType, operation: unknown, add: (name: string) => void): void {
  if (!isObject(operation)) return;
  const member = (wanted: string) => Object.entries(operation).find(([name]) => name.toLowerCase() === wanted)?.[1];
  const [path, value] = [member('path'), member('value')];
  if (typeof path === 'string' && path !== '') add(nameOf(type, path));
  else if (isObject(value)) addMembers(type, value, add);
}

/** `emails[type eq "work"].value` and `name.givenName` are of `emails` and `name`. */
function nameOf(type: ResourceType, path: string): string {
  const text = path.split('[', 1)[0]!.trim();
  const core = `${type.schema.id}:`.toLowerCase();
  const short = text.toLowerCase().startsWith(core) ? text.slice(core.length) : text;
  if (!/^urn:/i.test(short)) return short.split('.', 1)[0]!;
  // The version of a URN has a dot, too: only what follows the last colon is a path.
  const colon = short.lastIndexOf(':');
  return short.slice(0, colon + 1) + short.slice(colon + 1).split('.', 1)[0]!;
}

function knownOf({ attributes }: ResourceType, key: string): { name: string; isKept: boolean } | undefined {
  const attribute = findAttribute(attributes, key);
  if (attribute) return { name: attribute.name, isKept: attribute.returned !== 'never' };
  const colon = key.lastIndexOf(':');
  const extension = colon < 0 ? undefined : findAttribute(attributes, key.slice(0, colon));
  const inner = findAttribute(extension?.subAttributes, key.slice(colon + 1));
  if (!extension?.name.startsWith('urn:') || !inner) return undefined;
  return { name: `${extension.name}:${inner.name}`, isKept: inner.returned !== 'never' };
}
