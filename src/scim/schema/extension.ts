/**
 * A schema file -> an extension of an org's users or groups (RFC 7643 §7). What it says is enforced later on, so what this
 * service would not enforce is refused here, and so is a member that it does not know: it may be a slip of the pen.
 */
import {
  type Attribute,
  type AttributeType,
  attribute,
  findAttribute,
  type ResourceType,
  type Schema,
} from '../attribute';
import { invalidValue, printable } from '../error';
import { isObject, member } from '../resource';
import type { Extension } from './types';

/** Extensions of one org. */
export const MAX_EXTENSIONS = 20;
/** Attributes of one schema, sub-attributes counted. */
const MAX_ATTRIBUTES = 200;
/** Characters of one schema as JSON, with all defaults. */
const MAX_SCHEMA_LENGTH = 65_536;
/** Characters of a URN and of an attribute's name: both stand in SQL for each time that a filter names them. */
const MAX_URN_LENGTH = 128;
const MAX_NAME_LENGTH = 64;
const MAX_TEXT_LENGTH = 1_000;
const MAX_CANONICAL_VALUES = 100;

/** `meta` and `addedAt` are passed over: what is shown of a schema can be added again. */
const SCHEMA_MEMBERS = ['schemas', 'id', 'name', 'description', 'attributes', 'meta', 'resourceType', 'addedAt'];
const CHARACTERISTICS = [
  'name',
  'type',
  'multiValued',
  'description',
  'required',
  'caseExact',
  'mutability',
  'returned',
  'uniqueness',
  'canonicalValues',
  'referenceTypes',
  'subAttributes',
];
const TYPES: readonly AttributeType[] = [
  'string',
  'boolean',
  'decimal',
  'integer',
  'dateTime',
  'reference',
  'binary',
  'complex',
];

/** RFC 8141, without what would have to be escaped in a path, a filter or a list of attributes. */
const URN = /^urn:[A-Za-z0-9][A-Za-z0-9-]{1,31}(?::[A-Za-z0-9._-]+)+$/;
/** The RFCs' own, and the legacy spellings that clients use for them. */
const RESERVED_URNS = [
  'urn:ietf:params:scim:schemas:core:',
  'urn:ietf:params:scim:schemas:extension:enterprise:',
  'urn:ietf:params:scim:api:',
  'urn:scim:schemas:',
];
/** RFC 7643 §2.1. */
const NAME = /^[A-Za-z][A-Za-z0-9$_-]*$/;
/** RFC 7643 §3.1: every resource has them, beside its schemas. */
const COMMON = ['schemas', 'id', 'externalid', 'meta'];

/**
 * @param resourceType what is extended, where it is said apart from the file; else the file's member `resourceType`, else
 *   User.
 * @throws ScimError 400 invalidValue naming the attribute and what was expected.
 */
export function readExtension(file: unknown, resourceType?: string): Extension {
  const given = membersOf(file, 'The schema', '', SCHEMA_MEMBERS);
  const id = readUrn(given.get('id'));
  const attributes = readAttributes(given.get('attributes'), 'attributes', '');
  const schema = { id, name: text(given, 'name', '') || id, description: text(given, 'description', ''), attributes };
  const count = attributes.reduce((sum, { subAttributes = [] }) => sum + 1 + subAttributes.length, 0);
  if (count > MAX_ATTRIBUTES) {
    throw invalidValue(`attributes: at most ${MAX_ATTRIBUTES} are accepted, sub-attributes counted`);
  }
  if (new TextEncoder().encode(JSON.stringify(schema)).byteLength > MAX_SCHEMA_LENGTH) {
    throw invalidValue(`The schema is larger than ${MAX_SCHEMA_LENGTH} bytes`);
  }
  return { resourceType: readType(given.get('resourceType'), resourceType), schema };
}

function readType(inFile: unknown, apart: string | undefined): 'User' | 'Group' {
  const [type, other] = [apart, inFile].flatMap((word): ('User' | 'Group')[] => {
    if (word === undefined) return [];
    const known = typeof word === 'string' ? word.toLowerCase() : undefined;
    if (known !== 'user' && known !== 'group') throw invalidValue('resourceType: User or Group was expected');
    return [known === 'user' ? 'User' : 'Group'];
  });
  if (other !== undefined && other !== type) throw invalidValue(`resourceType: the file says ${other}, not ${type}`);
  return type ?? 'User';
}

function readUrn(urn: unknown): string {
  if (typeof urn !== 'string' || !URN.test(urn) || urn.length > MAX_URN_LENGTH) {
    throw invalidValue(
      `id: a URN such as "urn:acme:scim:2.0:User", of letters, digits and - . _ : and at most ${MAX_URN_LENGTH} characters, was expected`,
    );
  }
  if (RESERVED_URNS.some((prefix) => `${urn.toLowerCase()}:`.startsWith(prefix))) {
    throw invalidValue(`id: ${urn} is reserved: a URN of your own was expected`);
  }
  return urn;
}

function readAttributes(list: unknown, where: string, parent: string): Attribute[] {
  if (!Array.isArray(list)) throw invalidValue(`${where}: a list of at least one attribute was expected`);
  const attributes = list.map((one, i) => readAttribute(one, `${where}[${i}]`, parent));
  for (const [i, { name }] of attributes.entries()) {
    // Compared without case (§2.1).
    if (findAttribute(attributes, name) !== attributes[i])
      throw invalidValue(`${parent}${name}: the name stands twice`);
  }
  return attributes;
}

function readAttribute(raw: unknown, where: string, parent: string): Attribute {
  if (!isObject(raw)) throw invalidValue(`${where}: an object was expected`);
  const name = readName(member(raw, 'name'), where, parent);
  const path = parent + name;
  const given = membersOf(raw, path, `${path}.`, CHARACTERISTICS);
  const at = `${path}.`;
  const type = word(given, 'type', TYPES, at) ?? 'string';
  const isSub = parent !== '';
  if (type === 'complex' && isSub) throw invalidValue(`${at}type: a sub-attribute cannot be complex (RFC 7643 §2.3.8)`);
  refuseUnenforced(given, at);
  const isMultiValued = flag(given, 'multiValued', at) ?? false;
  const isExact = flag(given, 'caseExact', at);
  const subAttributes = subAttributesOf(given, type, path);
  const canonicalValues = words(given, 'canonicalValues', type === 'string', 'a string', at);
  const referenceTypes = words(given, 'referenceTypes', type === 'reference', 'a reference', at);
  const unknown = referenceTypes?.find((one) => !['User', 'Group', 'external', 'uri'].includes(one));
  if (unknown !== undefined) throw invalidValue(`${at}referenceTypes: User, Group, external or uri was expected`);
  return attribute(name, type, text(given, 'description', at), {
    multiValued: isMultiValued,
    // Base64 and URIs always are (§2.3.6, §2.3.7).
    ...(isExact !== undefined && type !== 'binary' && type !== 'reference' && { caseExact: isExact }),
    returned: word(given, 'returned', ['always', 'default', 'request'], at, RETURNED) ?? 'default',
    ...(canonicalValues && { canonicalValues }),
    ...(referenceTypes && { referenceTypes }),
    ...(subAttributes && { subAttributes }),
  });
}

const RETURNED = '; a value that is never returned is not stored';

function readName(name: unknown, where: string, parent: string): string {
  const isReference = name === '$ref' && parent !== ''; // §2.4
  if (typeof name !== 'string' || !(NAME.test(name) || isReference) || name.length > MAX_NAME_LENGTH) {
    throw invalidValue(
      `${where}.name: a letter, then letters, digits, $, - and _, at most ${MAX_NAME_LENGTH} in all, were expected`,
    );
  }
  // JavaScript finds some names in every object.
  const isTaken =
    name in {} || (parent === '' ? COMMON.includes(name.toLowerCase()) : name.toLowerCase() === 'schemas');
  if (isTaken) throw invalidValue(`${parent}${name}: the name is reserved: another one was expected`);
  return name;
}

/** What a client relies on when it reads it in /Schemas, and would not get. */
function refuseUnenforced(given: ReadonlyMap<string, unknown>, at: string): void {
  if (flag(given, 'required', at)) {
    throw invalidValue(`${at}required: false was expected, because a missing value must never prevent a deactivation`);
  }
  word(given, 'mutability', ['readWrite'], at, '; the service has no values of its own for an extension');
  word(given, 'uniqueness', ['none'], at, '; uniqueness is not enforced in an extension');
}

function subAttributesOf(
  given: ReadonlyMap<string, unknown>,
  type: AttributeType,
  path: string,
): Attribute[] | undefined {
  const list = given.get('subAttributes');
  if (type !== 'complex') {
    if (list !== undefined) throw invalidValue(`${path}.subAttributes: only a complex attribute has them`);
    return undefined;
  }
  const attributes = readAttributes(list, `${path}.subAttributes`, `${path}.`);
  const reference = attributes.find(({ name }) => name === '$ref');
  if (reference && (reference.type !== 'reference' || !findAttribute(attributes, 'value'))) {
    throw invalidValue(`${path}.$ref: the type reference, and a sub-attribute value beside it, were expected`);
  }
  return attributes;
}

/**
 * The members of an object by their names as the RFC spells them; null and [] stand for an absent one, for that is how
 * other services list characteristics that do not apply.
 */
function membersOf(value: unknown, where: string, at: string, known: readonly string[]): Map<string, unknown> {
  if (!isObject(value)) throw invalidValue(`${where}: an object was expected`);
  const members = new Map<string, unknown>();
  for (const [name, inner] of Object.entries(value)) {
    const key = known.find((one) => one.toLowerCase() === name.toLowerCase());
    if (key === undefined) {
      throw invalidValue(`${at}${printable(name)}: there is no such member; known are ${known.join(', ')}`);
    }
    if (inner === null || (Array.isArray(inner) && inner.length === 0)) continue;
    if (members.has(key)) throw invalidValue(`${at}${key}: is given twice`);
    members.set(key, inner);
  }
  return members;
}

function flag(given: ReadonlyMap<string, unknown>, name: string, at: string): boolean | undefined {
  const value = given.get(name);
  if (value !== undefined && typeof value !== 'boolean') throw invalidValue(`${at}${name}: true or false was expected`);
  return value;
}

/** One of these words. @param why added to the sentence that names them. */
function word<T extends string>(
  given: ReadonlyMap<string, unknown>,
  name: string,
  words: readonly T[],
  at: string,
  why = '',
): T | undefined {
  const value = given.get(name);
  if (value === undefined) return undefined;
  if (!words.includes(value as T)) {
    const [last, ...others] = [...words].reverse();
    const list = others.length > 0 ? `${others.reverse().join(', ')} or ${last}` : last;
    throw invalidValue(`${at}${name}: ${list} was expected${why}`);
  }
  return value as T;
}

function words(
  given: ReadonlyMap<string, unknown>,
  name: string,
  isFitting: boolean,
  noun: string,
  at: string,
): string[] | undefined {
  const value = given.get(name);
  if (value === undefined) return undefined;
  if (!isFitting) throw invalidValue(`${at}${name}: only ${noun} has them`);
  const isList = Array.isArray(value) && value.length <= MAX_CANONICAL_VALUES && value.every(isText);
  if (!isList) throw invalidValue(`${at}${name}: a list of at most ${MAX_CANONICAL_VALUES} strings was expected`);
  return value;
}

function text(given: ReadonlyMap<string, unknown>, name: string, at: string): string {
  const value = given.get(name) ?? '';
  if (!isText(value)) throw invalidValue(`${at}${name}: text of at most ${MAX_TEXT_LENGTH} characters was expected`);
  return value;
}

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= MAX_TEXT_LENGTH && value.isWellFormed() && !value.includes('\0');

/** The schema whose URN is this one's, or so begins that a path could mean either; undefined: there is none. */
export function sameOrNested(urn: string, types: readonly ResourceType[]): Schema | undefined {
  const all = types.flatMap(({ schema, extensions }) => [schema, ...extensions.map((extension) => extension.schema)]);
  const mine = urn.toLowerCase();
  return all.find(({ id }) => {
    const other = id.toLowerCase();
    return other === mine || other.startsWith(`${mine}:`) || mine.startsWith(`${other}:`);
  });
}

/**
 * Why this schema cannot take the place of that one: values are kept as the old one describes them, so their attributes
 * must be there still, and of the same kind.
 */
export function obstacle(before: readonly Attribute[], after: readonly Attribute[], parent = ''): string | undefined {
  for (const was of before) {
    const is = findAttribute(after, was.name);
    const path = parent + was.name;
    if (is === undefined) return `${path} is left out`;
    for (const kind of ['name', 'type', 'multiValued', 'caseExact'] as const) {
      if (is[kind] !== was[kind]) return `${path}.${kind} was ${was[kind]}`;
    }
    const inner = obstacle(was.subAttributes ?? [], is.subAttributes ?? [], `${path}.`);
    if (inner) return inner;
  }
  return undefined;
}
