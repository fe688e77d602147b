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

/** What an org's resources can hold. */
export interface Types {
  readonly user: ResourceType;
  readonly group: ResourceType;
}

/** Of an org without extensions of its own. */
export const standardTypes: Types = { user: userType, group: groupType };

/** In the order in which they are listed and searched. */
export const allTypes = ({ user, group }: Types): readonly ResourceType[] => [user, group];

/** A schema that extends one of the types. */
export interface Extension {
  readonly resourceType: 'User' | 'Group';
  readonly schema: Schema;
}

/** The standard types with an org's own extensions after the others: of an unqualified name the first one is meant. */
export function typesWith(extensions: readonly Extension[]): Types {
  const extended = ({ name, endpoint, description, schema, extensions: standard }: ResourceType) =>
    resourceType(name, endpoint, description, schema, [
      ...standard.map((extension) => extension.schema),
      ...extensions.filter((extension) => extension.resourceType === name).map((extension) => extension.schema),
    ]);
  return { user: extended(userType), group: extended(groupType) };
}
