/**
 * What an org's users and groups can hold: the standard schemas and the org's own. Nobody asks for the latter before the
 * work. A request begins under those that this isolate knows of the org; the batches of its store say whether they are
 * the right ones, before anything is written or answered, and if not, the request begins again under those that are.
 */
import { conflict } from '../scim/bulk';
import { notFound, unavailable } from '../scim/error';
import { isSame, type Json } from '../scim/resource';
import { MAX_EXTENSIONS, obstacle, sameOrNested } from '../scim/schema/extension';
import { allTypes, type Extension, standardTypes, type Types, typesWith } from '../scim/schema/types';
import { Unmet } from '../store/d1/batch';
import { deleteSchema, putSchema } from '../store/directory/schemas';
import type { OrgStore, Registered, Schemas } from '../store/org/open';
import { SchemasChanged } from '../store/org/open';
import type { Org, TypedOrg } from './org';

interface Known extends Schemas {
  readonly types: Types;
}

const NONE: Known = { version: '', registered: [], types: standardTypes };

/** Attributes, with their sub-attributes, that an isolate keeps in mind. */
const MAX_KNOWN = 20_000;

/** Of orgs with schemas of their own, as this isolate saw them last: by caller, for who that is turns out with the work. */
class KnownSchemas {
  readonly #known = new Map<string, Known>();
  #size = 0;

  get({ caller }: OrgStore): Known {
    return this.#known.get(keyOf(caller)) ?? NONE;
  }

  /** @returns the same, ready for work. */
  keep({ caller }: OrgStore, schemas: Schemas): Known {
    this.#forget(keyOf(caller));
    if (schemas.version === NONE.version) return NONE;
    const known = { ...schemas, types: typesWith(schemas.registered) };
    this.#known.set(keyOf(caller), known);
    this.#size += sizeOf(known);
    for (const oldest of this.#known.keys()) {
      if (this.#size <= MAX_KNOWN || this.#known.size === 1) break;
      this.#forget(oldest);
    }
    return known;
  }

  clear(): void {
    this.#known.clear();
    this.#size = 0;
  }

  #forget(key: string): void {
    const known = this.#known.get(key);
    if (known) this.#size -= sizeOf(known);
    this.#known.delete(key);
  }
}

function keyOf(caller: OrgStore['caller']): string {
  if (caller.kind === 'credential') return caller.hash;
  if (caller.kind === 'slug') return `slug:${caller.slug}`;
  return caller.kind === 'host' ? `org:${caller.org}` : `id:${caller.id}`;
}

const sizeOf = ({ registered }: Schemas) =>
  registered.reduce(
    (sum, { schema }) =>
      sum + schema.attributes.reduce((n, { subAttributes }) => n + 1 + (subAttributes?.length ?? 0), 1),
    0,
  );

export const knownSchemas = new KnownSchemas();

/** How often work begins again: an org's schemas do not change twice in the time that a request takes. */
const ATTEMPTS = 4;

/**
 * What depends on the org's types, its answer included. The operation must not have written anything when its store
 * throws SchemasChanged, for then it is run again; one that asks the store nothing is checked after it.
 */
export async function underTypes<T>(org: Org, operation: (org: TypedOrg) => T | Promise<T>): Promise<T> {
  let known = knownSchemas.get(org.store);
  for (let i = 0; i < ATTEMPTS; i++) {
    const store = org.store.assuming(known.version);
    try {
      try {
        return await operation({ ...org, store, types: known.types, schemas: known.registered });
      } finally {
        // A refusal, too, may come of schemas that are not the org's.
        if (!store.isChecked) await store.verify();
      }
    } catch (error) {
      if (!(error instanceof SchemasChanged)) throw error;
      known = knownSchemas.keep(org.store, error.schemas);
    }
  }
  throw changing();
}

/** Said where it is too late to begin again. */
export const changing = () => unavailable("The organization's schemas are being changed: try again");

const find = (schemas: readonly Registered[], urn: string) =>
  schemas.find(({ schema }) => schema.id.toLowerCase() === urn.toLowerCase());

/** @throws ScimError 404. */
export function schemaOf({ schemas }: TypedOrg, urn: string): Registered {
  const found = find(schemas, urn);
  if (found === undefined) throw notFound('Schema');
  return found;
}

/**
 * From now on it is the org's. One with the same URN is replaced, if every value there may be of it still fits.
 *
 * @throws ScimError 409.
 */
export async function addSchema(org: TypedOrg, extension: Extension): Promise<Registered> {
  const { resourceType, schema } = extension;
  const before = find(org.schemas, schema.id);
  const registered = { ...extension, addedAt: before?.addedAt ?? org.store.now };
  if (before) {
    const why =
      (before.resourceType !== resourceType && `it extends ${before.resourceType}`) ||
      (before.schema.id !== schema.id && `its id is ${before.schema.id}`) ||
      obstacle(before.schema.attributes, schema.attributes);
    if (why) throw conflict(`${schema.id} is there already, and values of it may be: ${why}. Remove it first`);
    if (isSame(before.schema as unknown as Json, schema as unknown as Json)) return before;
  } else {
    const other = sameOrNested(schema.id, allTypes(org.types));
    if (other) throw conflict(`id: the URN begins as that of ${other.id} does: another one was expected`);
    if (org.schemas.length >= MAX_EXTENSIONS) throw conflict(`An org has at most ${MAX_EXTENSIONS} schemas of its own`);
  }
  try {
    await putSchema(org.store, extension, org.actor, {
      type: before ? 'schema.changed' : 'schema.added',
      targetId: schema.id,
      details: { resourceType, schema, ...(before && { before: before.schema }) },
    });
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'removal') throw error;
    throw conflict(`Values of the earlier ${schema.id} are still being removed: try again in some minutes`);
  }
  return registered;
}

/** The schema, and with it every value of it. @returns how many resources had one, so far. @throws ScimError 404. */
export async function removeSchema(
  org: TypedOrg,
  urn: string,
): Promise<{ readonly removed: Registered; readonly changed: number; readonly isRemoving: boolean }> {
  const removed = schemaOf(org, urn);
  return { removed, ...(await deleteSchema(org.store, removed, org.actor)) };
}
