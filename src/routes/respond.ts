/** Stored resource -> SCIM JSON; ScimError -> SCIM JSON. */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ResourceType } from '../scim/attribute';
import type { ScimError } from '../scim/error';
import { etagOf, hasTag, parseTags } from '../scim/etag';
import { type Projection, project } from '../scim/projection';
import { locationOf, represent } from '../scim/representation';
import type { JsonObject, Stored } from '../scim/resource';
import { ERROR } from '../scim/urns';

/** Clients compare the media type to the letter: no charset. */
const SCIM_JSON = 'application/scim+json';

export function scimJson(c: Context, body: JsonObject, status = 200, headers: Record<string, string> = {}): Response {
  return c.body(JSON.stringify(body), status as ContentfulStatusCode, { ...headers, 'Content-Type': SCIM_JSON });
}

/** The representation with its ETag (RFC 7644 §3.14); a 201 also says where it is (§3.3). */
export function respondWith(
  c: Context,
  type: ResourceType,
  stored: Stored,
  baseUrl: string,
  projection: Projection,
  status: 200 | 201 = 200,
): Response {
  const body = project(type, represent(type, stored, baseUrl), projection);
  return scimJson(c, body, status, {
    ETag: etagOf(stored.version),
    ...(status === 201 && { Location: locationOf(type, baseUrl, stored.id) }),
  });
}

/** 304 where the client has this version already (RFC 7644 §3.14, RFC 9110 §13.1.2). */
export function respondIfChanged(c: Context, version: number, response: Response): Response {
  const known = parseTags(c.req.header('If-None-Match'));
  return known !== undefined && hasTag(known, version) ? c.body(null, 304, { ETag: etagOf(version) }) : response;
}

/** RFC 7644 §3.12: `status` is a string; nothing but these four members, for strict clients read no more. */
export function errorBody({ status, scimType, detail }: ScimError): JsonObject {
  return { schemas: [ERROR], status: String(status), ...(scimType && { scimType }), detail };
}

export function scimError(c: Context, error: ScimError): Response {
  return scimJson(c, errorBody(error), error.status, { ...error.headers });
}
