/** The sentences and errors with which an org refuses a caller. */
import { conflict, forbidden, misdirected, type ScimError } from '../../scim/error';
import { withContact } from './plan';
import type { Tenant } from './tenant';

/** Said to an operator who would use it. */
export const halfImported = (slug: string): ScimError =>
  conflict(
    `The import of ${slug} is not finished. Go on with org import and the same file, or remove it with org delete`,
  );

/** Said to an operator who would import into it. */
export const notUnderWay = (slug: string): ScimError =>
  conflict(`The org ${slug} exists already, and no import of it is under way`);

/** Said to a caller who proved to be the org's own IdP. */
export const disabled = ({ settings }: Tenant) =>
  forbidden(withContact('SCIM is not enabled for this organization. Its users stay as they are.', settings));

/** The same. @param url of the service that is right, where it is known. */
export function elsewhere({ settings }: Tenant, url: string | undefined) {
  const instead = url === undefined ? 'not here' : `use the base URL ${url}/scim/v2`;
  return misdirected(
    withContact(`This organization is served in the region ${settings.residency}: ${instead}.`, settings),
  );
}

/** Said to an application whose token is good for other questions. */
export const outOfScope = (scope: string): ScimError =>
  forbidden(`This token may not ask questions of the scope ${scope}`);
