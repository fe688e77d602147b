/**
 * The quirks: what real clients send against the letter of the RFCs, and is accepted. This file is the list. Each quirk has
 * its entry in `Quirk`: what is sent, by whom, the clause, the source. Most are brought into their RFC form by a function
 * below, before the strict code sees them; an entry names the file where its code stands elsewhere. The name of a quirk is
 * in the event of the change that needed it. All observed or documented as of 2026-11.
 *
 * Tolerances without a name, because nothing of a message is rewritten:
 *
 * - Filters take booleans as text, and values without quotes (`booleanOf`, `bareWord` below).
 * - An attribute of an extension is found without its URN (path.ts): Entra ID asks `manager eq "…"`. RFC 7644 §3.10.
 * - An instant without a zone is UTC (datetime.ts): Microsoft's reference code leaves it out. RFC 7643 §2.3.5.
 * - Attributes that are unknown or readOnly are ignored in a body and in a PATCH without a path: Okta repeats `id`.
 * - The audience of an assertion may name Entra ID's application in four spellings (credentials/assertion.ts).
 */
import { type Attribute, findAttribute, type ResourceType } from './attribute';
import { invalidValue } from './error';
import type { Literal } from './filter/syntax';
import { isBlank } from './fold';
import { derivedReference, referenced } from './reference';
import { isObject, type Json, member } from './resource';
import { ENTERPRISE_USER } from './urns';

export type Quirk =
  /** A boolean as text (`booleanOf`). */
  | 'boolean-string'
  /** One value where a list belongs (`normalizeValue`). */
  | 'single-value'
  /** A text where an element with a `value` belongs (`normalizeValue`). */
  | 'bare-string'
  /** A list of one where a single value belongs (`unwrapListOfOne`). */
  | 'list-of-one'
  /** `{"value": x}` around a simple value (`normalizeValue`). */
  | 'wrapped-value'
  /** An element that is emptied to remove it (`isEmptied`; applied in validate.ts and patch/apply.ts). */
  | 'empty-value'
  /** A reference that is emptied to remove it (`normalizeValue`). */
  | 'empty-reference'
  /** `$ref` without `value` (`idIn`). */
  | 'reference-alone'
  /** The core attributes nested under the core URN (`normalizeMembers`). */
  | 'core-urn-object'
  /** A URN of SCIM 1.1 or of a draft (`hasLegacyUrn`). */
  | 'legacy-schema'
  /**
   * No `schemas` in a body, or an empty list (validate.ts). RFC 7643 §3, RFC 7644 §3.5.2, §3.7 want it; three real clients leave
   * it out.
   */
  | 'missing-schemas'
  /**
   * "Add", "Replace", "Remove" (patch/parse.ts). RFC 7644 §3.5.2 spells them in small letters. Entra ID. Microsoft Learn,
   * «Known issues and resolutions with SCIM 2.0 protocol compliance».
   */
  | 'capital-op'
  /**
   * A PATCH without a path whose members are named by paths (patch/apply.ts): `name.givenName` is `dotted-key`,
   * `emails[type eq "work"].value` is `path-key`, a name with its URN is `qualified-key`. RFC 7644 §3.5.2.1 wants attributes.
   * Entra ID and its validator. Microsoft Learn, «Known issues»; aadOptscim062020.
   */
  | 'dotted-key'
  | 'path-key'
  | 'qualified-key'
  /**
   * A dot in the place of the colon behind a URN (path.ts, patch/apply.ts). RFC 7644 §3.10 wants a colon. Mappings in
   * Entra ID: test/conversations/entra-mappings.json.
   */
  | 'dotted-urn'
  /** Blanks around a PATCH path or its brackets (filter/parse.ts, patch/apply.ts). RFC 7644 §3.5.2 has none. */
  | 'blank-in-path'
  /** A PATCH path to an attribute that is not there (`noteUnknownPath`). */
  | `unknown-path:${string}`
  /**
   * `remove` with a list as its value: only those values leave (patch/apply.ts, patch/membership.ts). RFC 7644 §3.5.2.2 knows
   * no value. Entra ID, JumpCloud and authentik: test/conversations has what they send.
   */
  | 'remove-value-list'
  /**
   * A filter without a match creates the element (patch/apply.ts). RFC 7644 §3.5.2.3 answers noTarget. Entra ID.
   * wireapp/wire-server issue 5419.
   */
  | 'created-by-filter'
  /** `/users`, `//Users` (`canonicalPath`; applied in routes/scim/path.ts). */
  | 'path-spelling'
  /** Content-Type twice (`mediaTypesOf`; applied in routes/scim/index.ts). */
  | 'repeated-media-type';

/** The names of the quirks that one message needed. */
export type Quirks = Set<Quirk>;

/** What the reader of a body is told about its request. */
export interface ReadOptions {
  /** The base address of SCIM that the client used, without a slash at the end: what our own `$ref` begin with. */
  readonly baseUrl?: string;
}

/** The same, with the place for the names of the quirks. */
export interface Reading extends ReadOptions {
  readonly quirks: Quirks;
}

/**
 * Entra ID sends `active` as "False" and `roles[].primary` as "True", Keycloak "true". RFC 7643 §2.3.2 wants booleans.
 * Microsoft Learn, «Known issues and resolutions with SCIM 2.0 protocol compliance»; mitodl/keycloak-scim source.
 */
export function booleanOf(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') return undefined;
  const word = value.toLowerCase();
  return word === 'true' ? true : word === 'false' ? false : undefined;
}

/**
 * A filter value without quotes: Microsoft's own reference shows `externalId eq jyoung`, authentik before 2025 sent
 * `userName eq akadmin`. RFC 7644 §3.4.2.2 wants a JSON value. A keyword of the grammar is a mistake, not a value.
 */
export function bareWord(word: string): Literal | undefined {
  switch (word.toLowerCase()) {
    case 'true':
    case 'false':
      return { value: word.toLowerCase() === 'true', text: word };
    case 'null':
      return { value: null, text: word };
    case 'and':
    case 'or':
    case 'not':
      return undefined;
    default:
      return word.isWellFormed() && !word.includes('\0') ? { value: word, text: word } : undefined;
  }
}

/**
 * A value of this attribute as a client sent it -> the shape that the schema asks for, if it is one of the known quirks.
 *
 * @param name as the client knows it, for a detail.
 * @throws ScimError 400 invalidValue: a `$ref` alone that is none of ours.
 */
export function normalizeValue(attribute: Attribute, value: unknown, name: string, reading: Reading): unknown {
  if (value === undefined || value === null) return value;
  if (attribute.multiValued) return normalizeList(attribute, value, name, reading);
  const reference = normalizeElement(attribute, unwrapListOfOne(value, reading.quirks), name, reading);
  return isReference(attribute) ? clearEmptyReference(reference, reading.quirks) : reference;
}

/**
 * OneLogin's JSON template lets an admin write `emails` as one object; many clients add one member without a list; Entra ID
 * replaces `emails` by a bare address.
 */
function normalizeList(attribute: Attribute, value: unknown, name: string, reading: Reading): unknown {
  const isAlone = attribute.type === 'complex' && (isObject(value) || isBare(attribute, value));
  if (isAlone) reading.quirks.add('single-value');
  const list = isAlone ? [value] : value;
  if (!Array.isArray(list)) return list;
  return list.map((element) => (element === null ? null : normalizeElement(attribute, element, name, reading)));
}

/**
 * A list of exactly one where a single value belongs. SCIM-SDK's client, on which two Keycloak plugins stand, sends it for
 * every text of a PATCH (`active: ["false"]`); Entra ID for `manager`. Captain-P-Goldfish/SCIM-SDK, `PatchRequestOperation`.
 */
export function unwrapListOfOne(value: unknown, quirks: Quirks): unknown {
  if (!Array.isArray(value) || value.length !== 1 || Array.isArray(value[0])) return value;
  quirks.add('list-of-one');
  return value[0];
}

/** One value: of a list, or where only one belongs. */
function normalizeElement(attribute: Attribute, value: unknown, name: string, reading: Reading): unknown {
  const { quirks } = reading;
  if (attribute.type === 'complex') {
    if (!isBare(attribute, value)) return completeReference(attribute, value, name, reading);
    quirks.add('bare-string');
    return { value };
  }
  const simple = unwrapValue(value, quirks);
  if (attribute.type !== 'boolean' || typeof simple !== 'string' || booleanOf(simple) === undefined) return simple;
  quirks.add('boolean-string');
  return booleanOf(simple);
}

/**
 * A bare text where an element with a `value` belongs means that value. Entra ID without its flag sends
 * `{"op": "Replace", "path": "emails", "value": "new@…"}`; many clients send members and managers as bare ids. RFC 7643 §2.4
 * lets a simple multi-valued attribute be written so, not one with sub-attributes. Microsoft Learn, «Known issues».
 */
function isBare({ name, subAttributes }: Attribute, value: unknown): boolean {
  const inner = findAttribute(subAttributes, 'value');
  if (inner === undefined || inner.multiValued || name.startsWith('urn:')) return false;
  if (typeof value === 'string') return true;
  return typeof value === 'boolean' ? inner.type === 'boolean' : typeof value === 'number' && isNumeric(inner);
}

const isNumeric = ({ type }: Attribute) => type === 'integer' || type === 'decimal';

/**
 * `{"value": x}` around a simple value: Entra ID's older form is `"value": [{"$ref": null, "value": "x"}]` for any attribute.
 * Other members must be null. Microsoft Learn, «Known issues and resolutions with SCIM 2.0 protocol compliance».
 */
function unwrapValue(value: unknown, quirks: Quirks): unknown {
  if (!isObject(value)) return value;
  const inner = member(value, 'value');
  const assigned = Object.entries(value).filter(([, other]) => other !== null);
  const isAlone = assigned.every(([key]) => key.toLowerCase() === 'value') && assigned.length <= 1;
  if (!isAlone || inner === undefined || (typeof inner === 'object' && inner !== null)) return value;
  quirks.add('wrapped-value');
  return inner;
}

/** `manager`, `members`: a complex attribute whose `value` is the id of another resource. */
export function isReference(attribute: Attribute): boolean {
  return attribute.type === 'complex' && findAttribute(attribute.subAttributes, '$ref') !== undefined;
}

/**
 * `{"$ref": "../Users/1"}` without a `value` means the id in it. RFC 7643 §4.2, §4.3 want `value` beside it. Beside one,
 * `$ref` says nothing: Entra ID sends null, Keycloak a relative URI.
 */
function completeReference(attribute: Attribute, value: unknown, name: string, reading: Reading): unknown {
  const reference = derivedReference(attribute);
  if (reference === undefined || !isObject(value)) return value;
  const uri = unwrapListOfOne(member(value, '$ref'), reading.quirks);
  const given = member(value, 'value');
  if ((given !== undefined && given !== null) || typeof uri !== 'string' || uri === '') return value;
  const others = Object.entries(value).filter(([key]) => key.toLowerCase() !== 'value');
  return { ...Object.fromEntries(others), value: idIn(reference, uri, `${name}.$ref`, reading) };
}

/** The id in a `$ref` of ours. @throws ScimError 400 invalidValue for any other. */
export function idIn({ endpoints = [] }: Attribute, uri: string, name: string, { baseUrl, quirks }: Reading): string {
  const found = referenced(uri, endpoints, baseUrl);
  if (found === undefined) throw invalidValue(`${name}: the URI of a resource of this service was expected`);
  quirks.add('reference-alone');
  return found.id;
}

/**
 * Entra ID clears `manager` with `{"value": ""}` or "". Captain-P-Goldfish/SCIM-SDK issue 686, Budibase issue 15369,
 * Microsoft's SCIM validator.
 */
function clearEmptyReference(value: unknown, quirks: Quirks): unknown {
  if (!isObject(value) || member(value, 'value') !== '') return value;
  quirks.add('empty-reference');
  return null;
}

/** What only says which value is meant, or how it is shown. */
const LABELS: readonly string[] = ['type', 'primary', 'display'];

/**
 * Entra ID clears an address by an empty `value`, or removes the `value` alone: what is left of the element is a label on
 * nothing. Microsoft Learn, «Tutorial: Develop and plan provisioning for a SCIM endpoint», and its validator.
 */
export function isEmptied(attribute: Attribute, element: Readonly<Record<string, Json>>): boolean {
  if (isReference(attribute) || findAttribute(attribute.subAttributes, 'value') === undefined) return false;
  const { value, ...others } = element;
  return isNothing(value) && Object.keys(others).every((name) => LABELS.includes(name));
}

/** Absent, null, or a text that shows nothing. */
export const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'string' && isBlank(value));

/** How many unknown paths of one message are named. */
const MAX_NAMED_PATHS = 20;

/**
 * A PATCH path to an attribute that we do not have is passed over, as in a body: Entra ID maps what its administrator
 * likes, and refuses nothing before it is sent. RFC 7644 §3.5.2 wants invalidPath, which loses the deactivation beside it.
 */
export function noteUnknownPath(path: string, quirks: Quirks): void {
  const named = [...quirks].filter((quirk) => quirk.startsWith('unknown-path:')).length;
  if (named < MAX_NAMED_PATHS) quirks.add(`unknown-path:${path}`);
}

/**
 * The URNs that OneLogin (`urn:scim:schemas:core:2.0`) and Google (`urn:scim:schemas:core:1.0`) put where RFC 7643 §3
 * wants the resource's own. goauthentik/authentik issue 11249, snipe/snipe-it issue 12642.
 */
const LEGACY_CORE_URNS: readonly string[] = ['urn:scim:schemas:core:2.0', 'urn:scim:schemas:core:1.0'];

/** The same for the key under which the Enterprise extension's attributes stand. */
const LEGACY_EXTENSION_URNS: Readonly<Record<string, string>> = {
  'urn:scim:schemas:extension:enterprise:2.0': ENTERPRISE_USER,
  'urn:scim:schemas:extension:enterprise:1.0': ENTERPRISE_USER,
};

/** Whether one of `schemas` is a known stand-in for a resource's own URN. */
export function hasLegacyUrn(schemas: readonly string[], quirks: Quirks): boolean {
  if (!schemas.some((urn) => LEGACY_CORE_URNS.includes(urn.toLowerCase()))) return false;
  quirks.add('legacy-schema');
  return true;
}

/**
 * The members of a resource under the names that the schema knows: SCIM Verify and a few scripts nest the core
 * attributes under the core URN as if it were an extension (RFC 7643 §3.3 nests extensions only).
 */
export function normalizeMembers(
  type: ResourceType,
  body: Record<string, unknown>,
  quirks: Quirks,
): [string, unknown][] {
  return Object.entries(body).flatMap(([name, value]): [string, unknown][] => {
    const urn = name.toLowerCase();
    if (urn === type.schema.id.toLowerCase() && isObject(value)) {
      quirks.add('core-urn-object');
      return Object.entries(value);
    }
    // hasOwn: a member called `constructor` is no URN.
    const extension = Object.hasOwn(LEGACY_EXTENSION_URNS, urn) ? LEGACY_EXTENSION_URNS[urn] : undefined;
    if (extension === undefined) return [[name, value]];
    quirks.add('legacy-schema');
    return [[extension, value]];
  });
}

const ENDPOINTS = ['Users', 'Groups', 'Bulk', 'Me', '.search', 'ServiceProviderConfig', 'ResourceTypes', 'Schemas'];

/**
 * A path below the base URL as the routes know it. RFC 7644 §3.2 spells `/Users`. Microsoft's endpoint tests ask for
 * `/users` (AzureAD/SCIMReferenceCode issue 43). A base URL that ends with a slash gives `//Users` (awslabs/ssosync pull
 * request 223).
 */
export function canonicalPath(path: string): string {
  const [, endpoint = '', rest = ''] = /^\/*([^/]*)(.*)$/s.exec(path) ?? [];
  const known = ENDPOINTS.find((name) => name.toLowerCase() === endpoint.toLowerCase());
  const slashes = rest.replace(/\/{2,}/g, '/');
  return `/${known ?? endpoint}${/^\/\.search$/i.test(slashes) ? '/.search' : slashes}`;
}

/**
 * The media types that a header names. Proxies and HTTP libraries send Content-Type twice, and it arrives as one list;
 * RFC 9110 §8.3 allows one. Without parameters, in small letters; empty: the header is absent.
 */
export const mediaTypesOf = (header: string | undefined): string[] =>
  (header ?? '')
    .split(',')
    .map((part) => part.split(';')[0]!.trim().toLowerCase())
    .filter((type) => type !== '');
