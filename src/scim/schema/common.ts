/** The attributes every resource has whatever its schemas say (RFC 7643 §3, §3.1); no schema lists them. */

import { type Attribute, attribute } from '../attribute';

export const commonAttributes: readonly Attribute[] = [
  attribute('schemas', 'reference', 'URNs of the schemas this resource uses', {
    multiValued: true,
    required: true,
    returned: 'always',
    referenceTypes: ['uri'],
  }),
  attribute('id', 'string', 'Identifier given by the service provider', {
    caseExact: true,
    mutability: 'readOnly',
    returned: 'always',
    uniqueness: 'server',
  }),
  attribute('externalId', 'string', 'Identifier given by the provisioning client', { caseExact: true }),
  attribute('meta', 'complex', 'Metadata kept by the service provider', {
    mutability: 'readOnly',
    subAttributes: [
      attribute('resourceType', 'string', 'Name of the resource type', { caseExact: true, mutability: 'readOnly' }),
      attribute('created', 'dateTime', 'When the resource was created', { mutability: 'readOnly' }),
      attribute('lastModified', 'dateTime', 'When the resource last changed', { mutability: 'readOnly' }),
      attribute('location', 'reference', 'URI of the resource', { mutability: 'readOnly', referenceTypes: ['uri'] }),
      attribute('version', 'string', 'Entity tag of the resource', { caseExact: true, mutability: 'readOnly' }),
    ],
  }),
];
