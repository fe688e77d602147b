/** A stored resource -> what a client sees: with `schemas`, `id`, `meta` and what the service supplies (RFC 7643 §3.1). */
import type { ResourceType } from './attribute';
import { etagOf } from './etag';
import { foldObject } from './fold';
import type { JsonObject, Related, Resource, Stored } from './resource';
import { ENTERPRISE_USER } from './urns';

/** RFC 7643 §3: the core URN, and that of each extension that the resource holds. */
export function schemasOf(type: ResourceType, resource: Resource): string[] {
  return [
    type.schema.id,
    ...type.extensions.map(({ schema }) => schema.id).filter((urn) => resource[urn] !== undefined),
  ];
}

/** Without what is left of an extension that was removed: the store takes its time for that. */
function shownOf(type: ResourceType, resource: Resource): Resource {
  const isLeft = (name: string) => name.includes(':') && type.extensions.every(({ schema }) => schema.id !== name);
  if (!Object.keys(resource).some(isLeft)) return resource;
  return Object.fromEntries(Object.entries(resource).filter(([name]) => !isLeft(name))) as Resource;
}

export const locationOf = (type: ResourceType, baseUrl: string, id: string) => `${baseUrl}${type.endpoint}/${id}`;

/** @param baseUrl the base address of SCIM, without a slash at the end. */
export function represent(type: ResourceType, stored: Stored, baseUrl: string): JsonObject {
  const created = new Date(stored.createdAt).toISOString();
  const isNew = stored.modifiedAt === stored.createdAt;
  return {
    schemas: schemasOf(type, stored.resource),
    id: stored.id,
    ...shownOf(type, stored.resource),
    ...suppliedManager(type, stored, baseUrl),
    ...suppliedLists(stored, baseUrl),
    meta: {
      resourceType: type.name,
      created,
      lastModified: isNew ? created : new Date(stored.modifiedAt).toISOString(),
      location: locationOf(type, baseUrl, stored.id),
      version: etagOf(stored.version),
    },
  };
}

/** RFC 7643 §4.3: `$ref` and `displayName` follow from `value`; a manager who is not known gets neither. */
function suppliedManager(type: ResourceType, { resource, manager }: Stored, baseUrl: string): JsonObject {
  if (manager === undefined) return {};
  const extension = resource[ENTERPRISE_USER] as JsonObject;
  const supplied: JsonObject = { $ref: locationOf(type, baseUrl, manager.id) };
  if (manager.displayName !== null) supplied['displayName'] = manager.displayName;
  return { [ENTERPRISE_USER]: { ...extension, manager: { ...(extension['manager'] as JsonObject), ...supplied } } };
}

/** RFC 7643 §4.1.2, §4.2: `$ref`, `type` and `display` are the service's. */
function suppliedLists({ groups = [], members }: Stored, baseUrl: string): JsonObject {
  const element = ({ id, type, display }: Related, endpoint: string): JsonObject => ({
    value: id,
    $ref: `${baseUrl}/${endpoint}/${id}`,
    ...(display !== null && { display }),
    type,
  });
  return {
    ...(groups.length > 0 && { groups: groups.map((group) => element(group, 'Groups')) }),
    // An empty list is said: authentik fills a group only after it has seen its members (its patch_compare_users).
    ...(members && { members: members.map((member) => element(member, `${member.type}s`)) }),
  };
}

/**
 * The folded form that filters and sorting read, whole: what can be filtered by and does not depend on who asks. The
 * version is in it, so it is written anew with each change.
 */
export function searchable(type: ResourceType, stored: Stored): JsonObject {
  const { manager: _, groups: __, members: ___, ...own } = stored;
  const { meta, ...document } = represent(type, own, '');
  const { location: ____, ...lasting } = meta as JsonObject;
  return foldObject(type.attributes, { ...document, meta: lasting });
}
