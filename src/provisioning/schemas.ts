/**
 * What an org has set, and what its users and groups can hold: the standard schemas and the org's own. It is not read
 * before the work. A request begins under the profile that this isolate remembers of the org; the batches of its store say
 * whether that is the org's, before anything is written or answered, and if not, the request begins again under the other.
 */
import { conflict, notFound, unavailable } from '../scim/error';
import { isSame, type Json } from '../scim/resource';
import { MAX_EXTENSIONS, obstacle, sameOrNested } from '../scim/schema/extension';
import { allTypes, type Extension } from '../scim/schema/types';
import { Unmet } from '../store/d1/batch';
import { deleteSchema, putSchema } from '../store/directory/schemas';
import { knownProfiles, ProfileChanged, type Registered } from '../store/org/profile';
import type { Org, TypedOrg } from './org';

/** How often work begins again: an org's profile does not change twice in the time that a request takes. */
const ATTEMPTS = 4;

/**
 * What depends on the org's profile, its answer included. The operation must not have written anything when its store
 * throws ProfileChanged, for then it is run again; one that asks the store nothing is checked after it.
 */
export async function underTypes<T>(org: Org, operation: (org: TypedOrg) => T | Promise<T>): Promise<T> {
  let profile = knownProfiles.get(org.store.caller);
  for (let i = 0; i < ATTEMPTS; i++) {
    const store = org.store.assuming(profile);
    try {
      try {
        return await operation({ ...org, store, types: profile.types, schemas: profile.schemas });
      } finally {
        // A refusal, too, may come of a profile that is not the org's.
        if (!store.isChecked) await store.verify();
      }
    } catch (error) {
      if (!(error instanceof ProfileChanged)) throw error;
      profile = error.profile;
    }
  }
  throw changing();
}

/** Said where it is too late to begin again. */
export const changing = () => unavailable('The settings of the organization are being changed: try again');

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
    if (why) throw conflict(`${schema.id} exists already, and may have values: ${why}. Remove it first`);
    if (isSame(before.schema as unknown as Json, schema as unknown as Json)) return before;
  } else {
    const other = sameOrNested(schema.id, allTypes(org.types));
    if (other) throw conflict(`id: a URN that does not begin like ${other.id} was expected`);
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
    throw conflict(`Values of the earlier ${schema.id} are still being removed. Try again in some minutes`);
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
