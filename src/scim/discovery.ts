/** What the service says of itself (RFC 7643 §5, §6, §7; RFC 7644 §4). Claims nothing that is not there. */
import type { Attribute, ResourceType, Schema } from './attribute';
import { MAX_BULK_OPERATIONS } from './bulk';
import { CURSOR_TIMEOUT } from './cursor';
import { DEFAULT_PAGE, MAX_PAGE } from './query';
import type { JsonObject } from './resource';
import { RESOURCE_TYPE, SCHEMA, SERVICE_PROVIDER_CONFIG } from './urns';

/** Bytes of a request body. */
export const MAX_BODY = 1_048_576;

/** How a client of the org may prove itself (RFC 7643 §5). The first of what an org has is its primary one. */
const SCHEMES = {
  oauthbearertoken: {
    name: 'Bearer token',
    description: 'The token of the org in the Authorization header, after "Bearer" or alone',
    specUri: 'https://www.rfc-editor.org/info/rfc6750',
  },
  oauth2: {
    name: 'OAuth 2',
    description: 'An access token in the Authorization header, issued to an OAuth client of the org',
    specUri: 'https://www.rfc-editor.org/info/rfc6749',
  },
  httpbasic: {
    name: 'HTTP Basic',
    description: 'The slug of the org as user name, with its password',
    specUri: 'https://www.rfc-editor.org/info/rfc7617',
  },
} as const;

export type SchemeType = keyof typeof SCHEMES;

/**
 * @param schemes what the org has set up; exactly one of them is marked as primary.
 * @param documentationUri address of a page for people.
 * @param eventUris what receivers of signals are told of this org (RFC 9967); none: it has no receiver.
 */
export function serviceProviderConfig(
  baseUrl: string,
  schemes: ReadonlySet<SchemeType>,
  documentationUri: string,
  eventUris: readonly string[] = [],
): JsonObject {
  const types = (Object.keys(SCHEMES) as SchemeType[]).filter((type) => schemes.has(type));
  return {
    schemas: [SERVICE_PROVIDER_CONFIG],
    documentationUri,
    patch: { supported: true },
    // authentik sends as many PATCH operations as maxOperations says, too.
    bulk: { supported: true, maxOperations: MAX_BULK_OPERATIONS, maxPayloadSize: MAX_BODY },
    filter: { supported: true, maxResults: MAX_PAGE },
    changePassword: { supported: false },
    sort: { supported: true },
    etag: { supported: true },
    // RFC 9865 §4.
    pagination: {
      cursor: true,
      index: true,
      defaultPaginationMethod: 'index',
      defaultPageSize: DEFAULT_PAGE,
      maxPageSize: MAX_PAGE,
      cursorTimeout: CURSOR_TIMEOUT,
    },
    // RFC 9967: only where somebody receives them. No request is carried out later than it is answered.
    ...(eventUris.length > 0 && { securityEvents: { asyncRequest: 'none', eventUris: [...eventUris] } }),
    authenticationSchemes: types.map((type, i) => ({ type, ...SCHEMES[type], ...(i === 0 && { primary: true }) })),
    meta: { resourceType: 'ServiceProviderConfig', location: `${baseUrl}/ServiceProviderConfig` },
  };
}

export function resourceType(
  { name, description, endpoint, schema, extensions }: ResourceType,
  baseUrl: string,
): JsonObject {
  return {
    schemas: [RESOURCE_TYPE],
    id: name,
    name,
    description,
    endpoint,
    schema: schema.id,
    schemaExtensions: extensions.map((extension) => ({ schema: extension.schema.id, required: extension.required })),
    meta: { resourceType: 'ResourceType', location: `${baseUrl}/ResourceTypes/${name}` },
  };
}

export function schemaResource({ id, name, description, attributes }: Schema, baseUrl: string): JsonObject {
  return {
    schemas: [SCHEMA],
    id,
    name,
    description,
    attributes: attributes.map(attributeResource),
    meta: { resourceType: 'Schema', location: `${baseUrl}/Schemas/${id}` },
  };
}

/** Without nulls: Entra ID's discovery does not take them. */
function attributeResource(attribute: Attribute): JsonObject {
  const { canonicalValues, referenceTypes, subAttributes, endpoints: _, ...characteristics } = attribute;
  return {
    ...characteristics,
    ...(canonicalValues && { canonicalValues: [...canonicalValues] }),
    ...(referenceTypes && { referenceTypes: [...referenceTypes] }),
    ...(subAttributes && { subAttributes: subAttributes.map(attributeResource) }),
  };
}
