/** A D1 binding that fails where a test says so. Written by hand: a Proxy of the real one breaks its RPC. */
import { env } from 'cloudflare:workers';

export type Fault =
  /** The batch never arrives. */
  | { readonly kind: 'before' }
  /** It fails at its nth statement, and all of it is undone. */
  | { readonly kind: 'at'; readonly statement: number }
  /** It is committed, and only the answer is lost. */
  | { readonly kind: 'after' };

const lost = () => new Error('D1_ERROR: Network connection lost.');

export class FaultyDb {
  /** How many statements the batch had that the fault was meant for. */
  size = 0;
  hits = 0;

  /** @param meant a word in the statements of the batch that is to fail. */
  constructor(
    private readonly fault: Fault,
    private readonly meant: RegExp,
  ) {}

  get binding(): D1Database {
    const texts = new WeakMap<object, string>();
    return {
      prepare: (text: string) => ({
        bind: (...parameters: unknown[]) => {
          const statement = env.DB.prepare(text).bind(...parameters);
          texts.set(statement, text);
          return statement;
        },
      }),
      batch: async (statements: D1PreparedStatement[]) => {
        if (!statements.some((one) => this.meant.test(texts.get(one) ?? ''))) return env.DB.batch(statements);
        this.hits++;
        this.size = statements.length;
        if (this.fault.kind === 'before') throw lost();
        if (this.fault.kind === 'after') {
          await env.DB.batch(statements);
          throw lost();
        }
        const broken = env.DB.prepare("SELECT json('{')");
        const { statement } = this.fault;
        return env.DB.batch([...statements.slice(0, statement), broken, ...statements.slice(statement)]);
      },
    } as unknown as D1Database;
  }
}

/** A D1 that runs one batch and then says nothing, or says nothing at once: for ending an object in the middle. */
export class SilentDb {
  /** The batch has got where it stays. */
  isReached = false;

  constructor(private readonly when: 'before' | 'after') {}

  /** Asked for from outside: a promise that the object resolves would go on in the object, which cannot end itself. */
  async reached(): Promise<void> {
    while (!this.isReached) await scheduler.wait(1);
  }

  get binding(): D1Database {
    return {
      prepare: (text: string) => env.DB.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        if (this.when === 'after') await env.DB.batch(statements);
        this.isReached = true;
        return new Promise(() => undefined);
      },
    } as unknown as D1Database;
  }
}
