/** The schemas of what the service says of itself (RFC 7643 §5, §6, §7, printed in §8.7.2; pagination: RFC 9865 §4). */
import { type Attribute, type AttributeType, attribute, type Schema } from '../attribute';
import { RESOURCE_TYPE, SCHEMA, SERVICE_PROVIDER_CONFIG } from '../urns';

/** No client sets any of these. */
const shown = (
  name: string,
  type: AttributeType,
  description: string,
  details: Partial<Omit<Attribute, 'name' | 'type' | 'description'>> = {},
): Attribute => attribute(name, type, description, { mutability: 'readOnly', ...details });

const required = { required: true } as const;
const link = (name: string, description: string, details = {}) =>
  shown(name, 'reference', description, { referenceTypes: ['external'], ...details });

/** `{ supported, … }`: a feature that is there or not. */
const feature = (name: string, what: string, limits: readonly Attribute[] = []): Attribute =>
  shown(name, 'complex', `Support for ${what}`, {
    ...required,
    subAttributes: [shown('supported', 'boolean', `Whether the service supports ${what}`, required), ...limits],
  });

const limit = (name: string, description: string): Attribute => shown(name, 'integer', description, required);

export const serviceProviderConfigSchema: Schema = {
  id: SERVICE_PROVIDER_CONFIG,
  name: 'Service Provider Configuration',
  description: 'What this service supports',
  attributes: [
    link('documentationUri', 'Address of a page for people about this service'),
    feature('patch', 'PATCH'),
    feature('bulk', 'bulk operations', [
      limit('maxOperations', 'Most operations of one bulk request'),
      limit('maxPayloadSize', 'Most bytes of a request body'),
    ]),
    feature('filter', 'filters', [limit('maxResults', 'Most resources of one answer')]),
    feature('changePassword', 'changes of passwords'),
    feature('sort', 'sorting'),
    feature('etag', 'entity-tags'),
    shown('pagination', 'complex', 'How lists are paged', {
      ...required,
      subAttributes: [
        shown('cursor', 'boolean', 'Whether lists are paged by cursor', required),
        shown('index', 'boolean', 'Whether lists are paged by index', required),
        shown('defaultPaginationMethod', 'string', 'The method of a request that names none', {
          canonicalValues: ['cursor', 'index'],
        }),
        shown('defaultPageSize', 'integer', 'Resources on a page of a request that asks for no number'),
        shown('maxPageSize', 'integer', 'Most resources on a page'),
        shown('cursorTimeout', 'integer', 'Seconds that a cursor is valid for'),
      ],
    }),
    shown('authenticationSchemes', 'complex', 'How a client can authenticate', {
      ...required,
      multiValued: true,
      subAttributes: [
        shown('type', 'string', 'The kind of scheme', {
          ...required,
          canonicalValues: ['oauth', 'oauth2', 'oauthbearertoken', 'httpbasic', 'httpdigest'],
        }),
        shown('name', 'string', 'The common name of the scheme', required),
        shown('description', 'string', 'What the client sends', required),
        link('specUri', 'Address of the specification of the scheme'),
        link('documentationUri', 'Address of a page for people about the scheme'),
        shown('primary', 'boolean', 'Whether this is the preferred scheme'),
      ],
    }),
  ],
};

export const resourceTypeSchema: Schema = {
  id: RESOURCE_TYPE,
  name: 'ResourceType',
  description: 'A kind of resource that this service offers',
  attributes: [
    shown('id', 'string', 'The id of the resource type, which is its name'),
    shown('name', 'string', 'The name of the resource type', required),
    shown('description', 'string', 'What a resource of this type is'),
    shown('endpoint', 'reference', 'The path of its endpoint below the base URL', {
      ...required,
      referenceTypes: ['uri'],
    }),
    shown('schema', 'reference', 'The URN of its core schema', {
      ...required,
      caseExact: true,
      referenceTypes: ['uri'],
    }),
    shown('schemaExtensions', 'complex', 'The extensions of the core schema', {
      ...required,
      multiValued: true,
      subAttributes: [
        shown('schema', 'reference', 'The URN of the extension', {
          ...required,
          caseExact: true,
          referenceTypes: ['uri'],
        }),
        shown('required', 'boolean', 'Whether each resource must have the extension', required),
      ],
    }),
  ],
};

/** RFC 7643 §7: what describes an attribute. A sub-attribute is described by the same, but has none of its own. */
const characteristics: readonly Attribute[] = [
  shown('name', 'string', 'The name of the attribute', { ...required, caseExact: true }),
  shown('type', 'string', 'The data type', {
    ...required,
    canonicalValues: ['string', 'complex', 'boolean', 'decimal', 'integer', 'dateTime', 'reference', 'binary'],
  }),
  shown('multiValued', 'boolean', 'Whether the attribute is a list', required),
  shown('description', 'string', 'What the attribute is for', { caseExact: true }),
  shown('required', 'boolean', 'Whether each resource must have the attribute'),
  shown('canonicalValues', 'string', 'Suggested values', { multiValued: true, caseExact: true }),
  shown('caseExact', 'boolean', 'Whether letter case counts in comparisons'),
  shown('mutability', 'string', 'Whether and when a client can set the attribute', {
    caseExact: true,
    canonicalValues: ['readOnly', 'readWrite', 'immutable', 'writeOnly'],
  }),
  shown('returned', 'string', 'When an answer holds the attribute', {
    caseExact: true,
    canonicalValues: ['always', 'never', 'default', 'request'],
  }),
  shown('uniqueness', 'string', 'Among what the value is unique', {
    caseExact: true,
    canonicalValues: ['none', 'server', 'global'],
  }),
  shown('referenceTypes', 'string', 'What a reference may point to', { multiValued: true, caseExact: true }),
];

export const schemaSchema: Schema = {
  id: SCHEMA,
  name: 'Schema',
  description: 'The attributes of a kind of resource or of an extension',
  attributes: [
    shown('id', 'string', 'The URN of the schema', required),
    shown('name', 'string', 'The name of the schema'),
    shown('description', 'string', 'What the schema describes'),
    shown('attributes', 'complex', 'The attributes', {
      ...required,
      multiValued: true,
      subAttributes: [
        ...characteristics,
        shown('subAttributes', 'complex', 'The attributes of a complex attribute', {
          multiValued: true,
          subAttributes: characteristics,
        }),
      ],
    }),
  ],
};

export const discoverySchemas: readonly Schema[] = [serviceProviderConfigSchema, resourceTypeSchema, schemaSchema];
