/** What one PATCH may cost: the work of its operations, counted as they are carried out. */
import { tooMany } from '../error';
import { countTerms } from '../filter/parse';
import type { Syntax } from '../filter/syntax';

/** Terms in the filters of all paths of one PATCH. */
export const MAX_PATH_TERMS = 5_000;

/**
 * Steps of one PATCH. A step is one comparison of a filter term with one value, or one value read, changed or folded;
 * long texts count for several. It takes between 50 and 200 ns.
 */
export const MAX_PATH_STEPS = 1_200_000;

/** One for all operations of a PATCH. */
export class Budget {
  #terms = 0;
  #steps = 0;

  get steps(): number {
    return this.#steps;
  }

  /** @throws ScimError 400 tooMany, before the filter is tried on anything. */
  addFilter(filter: Syntax): void {
    this.#terms += countTerms(filter);
    if (this.#terms > MAX_PATH_TERMS)
      throw tooMany(`The filters of the paths have more than ${MAX_PATH_TERMS} terms together`);
  }

  /** @throws ScimError 400 tooMany. */
  readonly spend = (steps: number): void => {
    this.#steps += steps;
    if (this.#steps > MAX_PATH_STEPS)
      throw tooMany(
        `The operations compare and change values in more than ${MAX_PATH_STEPS} steps: send fewer at once`,
      );
  };
}
