/** The core Group schema (RFC 7643 §4.2, §8.7.1). */

import { attribute, type Schema } from '../attribute';
import { GROUP } from '../urns';

export const groupSchema: Schema = {
  id: GROUP,
  name: 'Group',
  description: 'Group of users and of other groups',
  attributes: [
    // §8.7.1 says neither required nor unique; §4.2 says REQUIRED, and IdPs look a group up by its name.
    attribute('displayName', 'string', 'Name of the group', { required: true, uniqueness: 'server' }),
    attribute('members', 'complex', 'Members of the group', {
      multiValued: true,
      subAttributes: [
        attribute('value', 'string', 'Identifier of the member', { caseExact: true, mutability: 'immutable' }),
        // A client may send it; what is shown follows from value and type.
        attribute('$ref', 'reference', 'URI of the member', {
          mutability: 'immutable',
          referenceTypes: ['User', 'Group'],
          endpoints: ['Users', 'Groups'],
        }),
        attribute('type', 'string', 'Resource type of the member', {
          mutability: 'immutable',
          canonicalValues: ['User', 'Group'],
        }),
        attribute('display', 'string', 'Name of the member', { mutability: 'readOnly' }),
      ],
    }),
  ],
};
