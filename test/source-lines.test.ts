// A failing test says where: in the file as it is written, not as the runtime was given it.
import { expect, it } from 'vitest';

/** Types are gone in the runtime, and lines with them. */
interface Gone {
  readonly first: number;
  readonly second: number;
}

it('an error points to the line and column that threw it', () => {
  const error: Error & Partial<Gone> = new Error('line 11');
  expect(error.stack).toContain('source-lines.test.ts:11:40');
});
