/** How much one request may ask of D1. Cloudflare ends an invocation at 1,000 queries, whatever has been done by then. */

/** What counts as a query. Cloudflare does not say whether a batch is one query or as many as it has statements. */
export type CountedQueries = 'batches' | 'statements';

/** What a bulk request may use of the 1,000: the rest is for what is noted after its answer. */
export const MAX_QUERIES = 900;

export class QueryBudget {
  #spent = 0;

  constructor(private readonly counted: CountedQueries) {}

  /** Whether one more batch of so many statements fits. */
  hasRoomFor(statements: number): boolean {
    return this.#spent + this.#sizeOf(statements) <= MAX_QUERIES;
  }

  spend(statements: number): void {
    this.#spent += this.#sizeOf(statements);
  }

  #sizeOf(statements: number): number {
    return this.counted === 'batches' ? 1 : statements;
  }
}
