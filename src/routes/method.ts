/** A known path, asked with a method it does not have. */
import { ScimError } from '../scim/error';

/** To stand after the handlers of a path: 405 with Allow (RFC 9110 §15.5.6). */
export function allowOnly(...methods: string[]): () => never {
  return () => {
    const allowed = methods.join(', ');
    throw new ScimError(405, undefined, `This endpoint takes ${allowed} only`, { Allow: allowed });
  };
}
