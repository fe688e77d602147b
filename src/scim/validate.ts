/** Unknown JSON -> resource: names, types and shapes as the schema has them (RFC 7643 §2, §3, §7). */
import { type Attribute, namedAttributes, type ResourceType } from './attribute';
import { dateTime } from './datetime';
import { invalidSyntax, invalidValue, payloadTooLarge } from './error';
import { isBlank } from './fold';
import { unassignBlank } from './identifying';
import { prefixOf } from './path';
import {
  hasLegacyUrn,
  isEmptied,
  isNothing,
  isReference,
  normalizeMembers,
  normalizeValue,
  type Quirks,
  type Reading,
  type ReadOptions,
} from './quirks';
import { isObject, type Json, type JsonObject, member, type Resource } from './resource';

/** Characters of one string; `binary` and `reference` (a photo may be a data URI) take more. */
export const MAX_STRING_LENGTH = 16_384;
export const MAX_BINARY_LENGTH = 262_144;
/** Values of one multi-valued attribute. */
export const MAX_VALUES = 1_000;
/** Bytes of a whole resource as JSON: with its folded copy it must fit into one D1 row of 2 MB, and two into an event. */
export const MAX_RESOURCE_LENGTH = 524_288;

/**
 * A resource from the body of a POST or PUT. Unknown and readOnly attributes are ignored, `null` and `[]` are
 * unassigned, a password is checked and dropped.
 *
 * @param quirks receives the names of the quirks that the body needed.
 * @throws ScimError 400 naming the attribute and what was expected.
 */
export function readResource(
  type: ResourceType,
  body: unknown,
  quirks: Quirks,
  { baseUrl }: ReadOptions = {},
): Resource {
  if (!isObject(body)) throw invalidSyntax(`A JSON object with a ${type.name} was expected as the body`);
  checkSchemas(body, type.schema.id, quirks);
  const reading: Reading = { quirks, ...(baseUrl !== undefined && { baseUrl }) };
  const resource = readMembers(type.attributes, normalizeMembers(type, body, quirks), '', reading);
  checkResource(type, resource);
  return resource;
}

/** What must hold of a resource before it is stored, whichever of POST, PUT or PATCH made it. Unassigns what is blank. */
export function checkResource(type: ResourceType, resource: Resource): void {
  unassignBlank(resource);
  for (const { name, required, mutability } of type.attributes) {
    if (!required || mutability === 'readOnly' || name === 'schemas') continue;
    const value = resource[name];
    if (value === undefined || (typeof value === 'string' && isBlank(value))) {
      throw invalidValue(`${name} is required: a value that is not empty was expected`);
    }
  }
  // Members are rows of their own: only the body limits how many there are.
  const isApart = (name: string) => type.attributes.some((a) => a.name === name && a.multiValued && isReference(a));
  const document = Object.fromEntries(Object.entries(resource).filter(([name]) => !isApart(name)));
  // Its length first: one long text set on a thousand values is no text to write out.
  const isTooLong =
    charactersIn(document) > MAX_RESOURCE_LENGTH ||
    new TextEncoder().encode(JSON.stringify(document)).byteLength > MAX_RESOURCE_LENGTH;
  if (isTooLong) throw payloadTooLarge(`The resource would be larger than ${MAX_RESOURCE_LENGTH} bytes`);
}

/** Of all texts in it together. */
function charactersIn(value: Json): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce<number>((sum, inner) => sum + charactersIn(inner), 0);
}

const CORE = 'urn:ietf:params:scim:schemas:core:2.0:';

/**
 * The `schemas` of a resource or message (RFC 7643 §3, RFC 7644 §3.5.2, §3.7). Three real clients leave it out; where
 * it stands, it must name what the body is. Further URNs beside the right one are ignored.
 */
export function checkSchemas(body: Record<string, unknown>, urn: string, quirks: Quirks): void {
  const given = Object.entries(body).filter(([name]) => name.toLowerCase() === 'schemas');
  if (given.length > 1) throw invalidSyntax('schemas is given twice');
  const schemas = given[0]?.[1];
  if (schemas === undefined || schemas === null || (Array.isArray(schemas) && schemas.length === 0)) {
    quirks.add('missing-schemas');
    return;
  }
  if (!Array.isArray(schemas) || !schemas.every((schema): schema is string => typeof schema === 'string')) {
    throw invalidSyntax(`schemas: a list of URNs with ${urn} was expected`);
  }
  if (schemas.some((schema) => schema.toLowerCase() === urn.toLowerCase())) return;
  const isResource = urn.startsWith(CORE); // only for these are there older spellings
  if (!isResource || !hasLegacyUrn(schemas, quirks)) throw invalidSyntax(`schemas: ${urn} was expected among the URNs`);
}

/** The members that the attributes describe; others are ignored. */
export function readMembers(
  attributes: readonly Attribute[],
  members: readonly [string, unknown][],
  prefix: string,
  reading: Reading,
): JsonObject {
  const known = namedAttributes(attributes);
  const given = new Map<Attribute, unknown>();
  const twice = new Set<Attribute>();
  for (const [member, value] of members) {
    const attribute = known.get(member.toLowerCase());
    if (attribute === undefined || attribute.mutability === 'readOnly' || attribute.name === 'schemas') continue;
    if (given.has(attribute)) twice.add(attribute);
    given.set(attribute, value);
  }
  const object: JsonObject = {};
  for (const attribute of known.values()) {
    if (!given.has(attribute)) continue;
    const name = prefix + attribute.name;
    // JSON's own duplicates are refused before; these differ in case only, and attribute names have none.
    if (twice.has(attribute)) throw invalidSyntax(`${name} is given twice`);
    const value = readValue(attribute, given.get(attribute), name, reading);
    const isKept = attribute.returned !== 'never' && attribute.endpoints === undefined;
    if (value !== undefined && isKept) object[attribute.name] = value;
  }
  return object;
}

/**
 * A value of this attribute.
 *
 * @param name as the client knows it, for the detail.
 * @returns undefined when it is unassigned: null, [], {} (RFC 7643 §2.5).
 */
export function readValue(attribute: Attribute, raw: unknown, name: string, reading: Reading): Json | undefined {
  const value = normalizeValue(attribute, raw, name, reading);
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return undefined;
  if (!attribute.multiValued) return readSingle(attribute, value, name, reading);
  if (!Array.isArray(value)) throw invalidValue(`${name}: a list of ${plural(attribute)} was expected`);
  // A group may have as many members as a body can carry.
  if (value.length > MAX_VALUES && !isReference(attribute))
    throw invalidValue(`${name}: at most ${MAX_VALUES} values are accepted`);
  const elements: Json[] = [];
  let primaries = 0;
  for (const given of value) {
    if (given === null) continue;
    const element = readSingle(attribute, given, name, reading);
    if (element === undefined) {
      // A member that names nobody (`{"id": …}` for `{"value": …}`) is a mistake: left out, it would empty the group.
      if (isReference(attribute)) throw invalidValue(`${name}.value: an id was expected`);
      continue;
    }
    if (isObject(element)) {
      if (isNothing(element['value']) && saysEmpty(given) && isEmptied(attribute, element as JsonObject)) {
        reading.quirks.add('empty-value');
        continue;
      }
      if (element['primary'] === true) primaries++;
    }
    elements.push(element);
  }
  // RFC 7643 §2.4: no more than one primary value.
  if (primaries > 1) throw invalidValue(`${name}: at most one value with primary true was expected`);
  return elements.length > 0 ? elements : undefined;
}

/** Whether an element as sent has a `value` that is none; without the member, its labels are all that was meant. */
const saysEmpty = (element: unknown): boolean =>
  isObject(element) && Object.entries(element).some(([name, value]) => name.toLowerCase() === 'value' && isNone(value));
const isNone = (value: unknown): boolean =>
  Array.isArray(value) ? value.every(isNone) : isObject(value) ? isNone(member(value, 'value')) : isNothing(value);

const plural = (attribute: Attribute) => (attribute.type === 'complex' ? 'objects' : `${attribute.type} values`);

function readSingle(attribute: Attribute, value: unknown, name: string, reading: Reading): Json | undefined {
  const expected = (what: string) => invalidValue(`${name}: ${what} was expected`);
  switch (attribute.type) {
    case 'complex': {
      if (!isObject(value)) throw expected('an object');
      const object = readMembers(
        attribute.subAttributes ?? [],
        Object.entries(value),
        prefixOf(attribute, name),
        reading,
      );
      return Object.keys(object).length > 0 ? object : undefined;
    }
    case 'boolean':
      if (typeof value !== 'boolean') throw expected('true or false');
      return value;
    case 'integer':
      if (!Number.isSafeInteger(value)) throw expected('an integer');
      return value as number;
    case 'decimal':
      if (typeof value !== 'number' || !Number.isFinite(value)) throw expected('a number');
      return value;
    case 'dateTime': {
      const instant = typeof value === 'string' ? dateTime(value) : undefined;
      if (instant === undefined) throw expected('a date and time such as "2026-01-31T10:00:00Z"');
      return instant;
    }
    case 'binary':
      // RFC 7643 §2.3.6: base64; both alphabets of RFC 4648, padded or not, broken into lines or not.
      if (typeof value !== 'string' || !/^[A-Za-z0-9+/_\-\s]*={0,2}$/.test(value.trimEnd()))
        throw expected('base64 text');
      return readText(value, MAX_BINARY_LENGTH, name);
    case 'reference':
      if (typeof value !== 'string') throw expected('a string with a URI');
      return readText(value, MAX_BINARY_LENGTH, name);
    case 'string':
      if (typeof value !== 'string') throw expected('a string');
      return readText(value, MAX_STRING_LENGTH, name);
  }
}

function readText(text: string, longest: number, name: string): string {
  if (text.length > longest) throw invalidValue(`${name}: at most ${longest} characters are accepted`);
  if (!text.isWellFormed()) throw invalidValue(`${name}: well-formed Unicode (no lone surrogate) was expected`);
  if (text.includes('\0')) throw invalidValue(`${name}: text without the character U+0000 was expected`);
  return text;
}
