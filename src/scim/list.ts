/** A page of resources as a ListResponse (RFC 7644 §3.4.2). */
import type { JsonObject } from './resource';
import { LIST_RESPONSE } from './urns';

/** `Resources` is there even when empty: Entra ID takes its absence for a broken service. */
export function listResponse(resources: JsonObject[], totalResults: number, startIndex: number): JsonObject {
  return {
    schemas: [LIST_RESPONSE],
    totalResults,
    startIndex,
    itemsPerPage: resources.length,
    Resources: resources,
  };
}
