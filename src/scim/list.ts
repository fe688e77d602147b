/** A page of resources as a ListResponse (RFC 7644 §3.4.2, RFC 9865 §2). */
import type { JsonObject } from './resource';
import { LIST_RESPONSE } from './urns';

/** Without `nextCursor` it is the last page. */
export type Paging = { readonly startIndex: number } | { readonly nextCursor?: string };

/** `Resources` is there even when empty: Entra ID takes its absence for a broken service. */
export function listResponse(resources: JsonObject[], totalResults: number, paging: Paging): JsonObject {
  return {
    schemas: [LIST_RESPONSE],
    totalResults,
    ...paging,
    itemsPerPage: resources.length,
    Resources: resources,
  };
}
