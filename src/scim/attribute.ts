/** What a schema says about one attribute (RFC 7643 §2.2, §7), as data that validation, filters, projection and discovery read. */

export type AttributeType =
  | 'string'
  | 'boolean'
  | 'decimal'
  | 'integer'
  | 'dateTime'
  | 'reference'
  | 'binary'
  | 'complex';

/** Where resources live, relative to the base URL. */
export type Endpoint = 'Users' | 'Groups';

export interface Attribute {
  readonly name: string;
  readonly type: AttributeType;
  readonly multiValued: boolean;
  readonly description: string;
  readonly required: boolean;
  readonly caseExact: boolean;
  readonly mutability: 'readOnly' | 'readWrite' | 'immutable' | 'writeOnly';
  readonly returned: 'always' | 'never' | 'default' | 'request';
  readonly uniqueness: 'none' | 'server' | 'global';
  readonly canonicalValues?: readonly string[];
  readonly referenceTypes?: readonly string[];
  /** Of a `$ref` that follows from `value`, and is never stored: the endpoints of what it can refer to. */
  readonly endpoints?: readonly Endpoint[];
  readonly subAttributes?: readonly Attribute[];
}

/** A schema: the core of a resource type, or one of its extensions. */
export interface Schema {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly attributes: readonly Attribute[];
}

/** RFC 7643 §6. `endpoint` is relative to the base URL, as `/Users`. */
export interface ResourceType {
  readonly name: string;
  readonly description: string;
  readonly endpoint: string;
  readonly schema: Schema;
  readonly extensions: readonly { readonly schema: Schema; readonly required: boolean }[];
  /**
   * Everything a resource of this type can hold: the common attributes, the core schema's, and each extension as one
   * complex attribute named by its URN. So an extension is read, patched, filtered and projected like any other.
   */
  readonly attributes: readonly Attribute[];
}

type Details = Partial<Omit<Attribute, 'name' | 'type' | 'description'>>;

/** One attribute with the defaults of RFC 7643 §2.2; binary and reference are case-exact (§2.3.6, §2.3.7). */
export function attribute(name: string, type: AttributeType, description: string, details: Details = {}): Attribute {
  return {
    name,
    type,
    multiValued: false,
    description,
    required: false,
    caseExact: type === 'binary' || type === 'reference',
    mutability: 'readWrite',
    returned: 'default',
    uniqueness: 'none',
    ...details,
  };
}

/** Attributes under their names in lower case: looked up for each member of a message, so computed once. */
const byLowerName = new WeakMap<readonly Attribute[], ReadonlyMap<string, Attribute>>();

/** The attributes by their names in lower case, in their order. Of two with one name, the first. */
export function namedAttributes(attributes: readonly Attribute[]): ReadonlyMap<string, Attribute> {
  const known = byLowerName.get(attributes);
  if (known) return known;
  const named = new Map<string, Attribute>();
  for (const one of attributes) if (!named.has(one.name.toLowerCase())) named.set(one.name.toLowerCase(), one);
  byLowerName.set(attributes, named);
  return named;
}

/** Attribute names are compared without case (RFC 7643 §2.1). */
export function findAttribute(attributes: readonly Attribute[] | undefined, name: string): Attribute | undefined {
  return attributes && namedAttributes(attributes).get(name.toLowerCase());
}
