/** Attributes that say who a user is. A blank one says nothing. */
import { addressesOf, addressKey } from './address';
import { foldCaseAndWidth, isBlank } from './fold';
import { isObject, type Json, type JsonObject, type Resource } from './resource';

/** The identity provider's own name for the resource, where it has given one. */
export function externalIdOf(resource: Resource): string | undefined {
  const externalId = resource['externalId'];
  return typeof externalId === 'string' && !isBlank(externalId) ? externalId : undefined;
}

/**
 * Takes out of a resource, in place, what would identify nobody: a blank `externalId`, and the blank value of an e-mail
 * address. To be called for whatever is about to be stored.
 */
export function unassignBlank(resource: Resource): void {
  if (resource['externalId'] !== undefined && externalIdOf(resource) === undefined) delete resource['externalId'];
  const { emails } = resource;
  if (!Array.isArray(emails) || !emails.some(hasBlankValue)) return;
  const left = emails.map((email) => (hasBlankValue(email) ? withoutValue(email) : email)).filter(hasMembers);
  if (left.length > 0) resource['emails'] = left;
  else delete resource['emails'];
}

const hasBlankValue = (email: Json): email is JsonObject =>
  isObject(email) && typeof email['value'] === 'string' && isBlank(email['value']);

const withoutValue = ({ value: _, ...email }: JsonObject): JsonObject => email;

const hasMembers = (email: Json) => !isObject(email) || Object.keys(email).length > 0;

/** The userNames are one, but for case and width. */
export const isSameName = (a: Named, b: Named): boolean =>
  foldCaseAndWidth(a.userName as string) === foldCaseAndWidth(b.userName as string);

type Named = Resource | { readonly userName: string };

/** Which of the attributes that say who a user is would be others. Order, type and primary of addresses do not count. */
export function identityChanges(before: Resource, after: Resource): string[] {
  const addresses = (resource: Resource) => JSON.stringify([...new Set(addressesOf(resource).map(addressKey))].sort());
  return [
    ...(isSameName(before, after) ? [] : ['userName']),
    ...(externalIdOf(before) === externalIdOf(after) ? [] : ['externalId']),
    ...(addresses(before) === addresses(after) ? [] : ['emails']),
  ];
}
