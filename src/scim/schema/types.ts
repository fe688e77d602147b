/** The resource types that the service offers (RFC 7643 §6), each with all that a resource of it can hold. */
import { attribute, type ResourceType, type Schema } from '../attribute';
import { commonAttributes } from './common';
import { enterpriseUserSchema } from './enterprise-user';
import { groupSchema } from './group';
import { userSchema } from './user';

function resourceType(
  name: string,
  endpoint: string,
  description: string,
  schema: Schema,
  extensions: readonly Schema[] = [],
): ResourceType {
  return {
    name,
    endpoint,
    description,
    schema,
    extensions: extensions.map((extension) => ({ schema: extension, required: false })),
    attributes: [
      ...commonAttributes,
      ...schema.attributes,
      ...extensions.map(({ id, description, attributes }) =>
        attribute(id, 'complex', description, { subAttributes: attributes }),
      ),
    ],
  };
}

export const userType = resourceType('User', '/Users', 'A person who may sign in to the product', userSchema, [
  enterpriseUserSchema,
]);

export const groupType = resourceType('Group', '/Groups', 'A set of users and of other groups', groupSchema);

export const resourceTypes: readonly ResourceType[] = [userType, groupType];
