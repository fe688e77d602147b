/** What a refusal says, for tests of functions that throw ScimError. */
import { ScimError } from '../../src/scim/error';

export interface Refusal {
  readonly status: number;
  readonly scimType: string | undefined;
  readonly detail: string;
}

/** @throws whatever is no ScimError: a TypeError would be a 500. */
export function refusalOf(attempt: () => unknown): Refusal {
  try {
    attempt();
  } catch (error) {
    if (!(error instanceof ScimError)) throw error;
    return { status: error.status, scimType: error.scimType, detail: error.detail };
  }
  throw new Error('a refusal was expected, and nothing was refused');
}
