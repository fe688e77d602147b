/**
 * Where we bend the RFC, for whom, and where that is written. Each function brings one thing that real clients send
 * into its RFC form before the strict code sees it, and notes its name, which the audit event keeps. All observed or
 * documented as of 2026-11.
 */
import type { Attribute, ResourceType } from './attribute';
import type { Literal } from './filter/parse';
import { isObject } from './resource';
import { ENTERPRISE_USER } from './urns';

export type Bend =
  | 'boolean-string'
  | 'single-value'
  | 'bare-string'
  | 'list-of-one'
  | 'empty-reference'
  | 'core-urn-object'
  | 'legacy-schema'
  | 'missing-schemas'
  | 'unknown-schema'
  | 'capital-op'
  | 'dotted-key'
  | 'path-key'
  | 'qualified-key'
  | 'remove-value-list'
  | 'created-by-filter'
  | 'path-spelling'
  | 'repeated-media-type';

/** The names of the bends that one message needed. */
export type Bends = Set<Bend>;

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

/** A value of this attribute as a client sent it -> the shape that the schema asks for, if it is one of the known bends. */
export function bendValue(attribute: Attribute, value: unknown, bends: Bends): unknown {
  if (attribute.multiValued) return bendList(attribute, value, bends);
  if (attribute.type === 'boolean' && typeof value === 'string' && booleanOf(value) !== undefined) {
    bends.add('boolean-string');
    return booleanOf(value);
  }
  return isReference(attribute) ? bendReference(value, bends) : value;
}

/**
 * OneLogin's JSON template lets an admin write `emails` as one object; many clients add one member without a list, and
 * some a member as its bare id.
 */
function bendList(attribute: Attribute, value: unknown, bends: Bends): unknown {
  if (isReference(attribute)) {
    const members = Array.isArray(value) ? value : value === null || value === undefined ? value : [value];
    if (!Array.isArray(members)) return members;
    if (members !== value) bends.add('single-value');
    return members.map((member) => {
      if (typeof member !== 'string') return member;
      bends.add('bare-string');
      return { value: member };
    });
  }
  if (attribute.type === 'complex' && isObject(value)) {
    bends.add('single-value');
    return [value];
  }
  return value;
}

/** `manager`, `members`: a complex attribute whose `value` is the id of another resource. */
export function isReference(attribute: Attribute): boolean {
  return attribute.type === 'complex' && attribute.subAttributes?.some((sub) => sub.name === '$ref') === true;
}

/**
 * Entra ID sends `manager` as a bare id, as `{value}`, as `[{$ref, value}]`, and clears it with `{"value": ""}` or "".
 * Captain-P-Goldfish/SCIM-SDK issue 686, Budibase issue 15369, Microsoft's SCIM validator.
 */
function bendReference(value: unknown, bends: Bends): unknown {
  let reference = value;
  if (Array.isArray(reference) && reference.length === 1) {
    bends.add('list-of-one');
    reference = reference[0];
  }
  if (typeof reference === 'string') {
    bends.add('bare-string');
    reference = { value: reference };
  }
  if (isObject(reference)) {
    const id = Object.entries(reference).find(([name]) => name.toLowerCase() === 'value')?.[1];
    if (id === '') {
      bends.add('empty-reference');
      return null;
    }
  }
  return reference;
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
export function hasLegacyUrn(schemas: readonly string[], bends: Bends): boolean {
  if (!schemas.some((urn) => LEGACY_CORE_URNS.includes(urn.toLowerCase()))) return false;
  bends.add('legacy-schema');
  return true;
}

/**
 * The members of a resource under the names that the schema knows: SCIM Verify and a few scripts nest the core
 * attributes under the core URN as if it were an extension (RFC 7643 §3.3 nests extensions only).
 */
export function bendMembers(type: ResourceType, body: Record<string, unknown>, bends: Bends): [string, unknown][] {
  return Object.entries(body).flatMap(([name, value]): [string, unknown][] => {
    const urn = name.toLowerCase();
    if (urn === type.schema.id.toLowerCase() && isObject(value)) {
      bends.add('core-urn-object');
      return Object.entries(value);
    }
    // hasOwn: a member called `constructor` is no URN.
    const extension = Object.hasOwn(LEGACY_EXTENSION_URNS, urn) ? LEGACY_EXTENSION_URNS[urn] : undefined;
    if (extension === undefined) return [[name, value]];
    bends.add('legacy-schema');
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
