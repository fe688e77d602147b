/** What became of a write that can be refused: a value, which its caller cannot forget to look at. */
import { Taken, Unmet } from './batch';
import type { Expectation } from './expect';

/** `taken`: a value that must be unique is another's. */
export type Refusal = Expectation | 'taken';

/** Refused: nothing of the batch has happened. */
export type Outcome<T, R extends Refusal> = { readonly done: T } | { readonly refused: R };

/**
 * @param refusals that the statements of the batch can name.
 * @param unique the column whose unique index means `taken`.
 * @throws whatever else the write throws.
 */
export async function outcomeOf<T, const R extends Refusal>(
  write: Promise<T>,
  refusals: readonly R[],
  unique?: string,
): Promise<Outcome<T, R>> {
  try {
    return { done: await write };
  } catch (error) {
    const isTaken = error instanceof Taken && unique !== undefined && error.columns.includes(unique);
    const refused = refusals.find((one) =>
      one === 'taken' ? isTaken : error instanceof Unmet && error.expectation === one,
    );
    if (refused === undefined) throw error;
    return { refused };
  }
}
