/** The enterprise extension of the User schema (RFC 7643 §4.3, §8.7.1). */

import { attribute, type Schema } from '../attribute';
import { ENTERPRISE_USER } from '../urns';

export const enterpriseUserSchema: Schema = {
  id: ENTERPRISE_USER,
  name: 'EnterpriseUser',
  description: 'What an organization keeps about its people',
  attributes: [
    attribute('employeeNumber', 'string', 'Number or code given to the person, such as a payroll number'),
    attribute('costCenter', 'string', 'Cost center'),
    attribute('organization', 'string', 'Organization'),
    attribute('division', 'string', 'Division'),
    attribute('department', 'string', 'Department'),
    attribute('manager', 'complex', 'The person this user reports to', {
      subAttributes: [
        attribute('value', 'string', "Identifier of the manager's User resource", { caseExact: true }),
        // It follows from value. Written alone, it sets value, so that two ways to name a manager cannot disagree.
        attribute('$ref', 'reference', "URI of the manager's User resource", {
          referenceTypes: ['User'],
          endpoints: ['Users'],
        }),
        attribute('displayName', 'string', 'Display name of the manager', { mutability: 'readOnly' }),
      ],
    }),
  ],
};
