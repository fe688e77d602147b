/**
 * The limits that Cloudflare enforces and the local runtime does not, on the bindings that everything here uses: the app,
 * the coordinator, the cron and the tests. The prototypes are changed, for an object with other bindings is made of them
 * too. Sources: Cloudflare, «D1 limits», «KV limits», «Workers limits».
 *
 * What is counted per invocation is counted for requests (client.ts), calls to the coordinator and runs of the cron.
 */

import { env } from 'cloudflare:workers';
import { AsyncLocalStorage } from 'node:async_hooks';
import { keyWrites, OrgCoordinator } from '../../src/coordinator';
import type { Env } from '../../src/env';
import worker from '../../src/index';
import { inMemory, resetRateLimits } from './rate-limits';

/** Bytes of a value and of a row. What a statement without a list binds stands in one row. */
export const MAX_VALUE = 2_000_000;
/** Bytes of a statement's text. */
export const MAX_SQL = 100_000;
export const MAX_PARAMETERS = 100;
/** Bytes of all rows that one call answers. */
export const MAX_RESULT = 50_000_000;
/** D1 queries of one invocation. It is not said whether a batch is one, or as many as its statements. */
export const MAX_QUERIES = 1_000;
export const MAX_KV_OPERATIONS = 1_000;
/** Milliseconds that a write of a key may come too soon, for two clocks are compared. */
const CLOCKS = 20;
/** What KV's second lasts in tests. */
export const SHORT_SECOND = 100;
/**
 * Bytes of an answer. An isolate has 128 MB for everything, and an answer is there as rows, as objects, as text and as
 * bytes: six to eight times.
 */
export const MAX_ANSWER = 16_000_000;

/** One invocation of the Worker or of the coordinator, and what it has used. */
export class Invocation {
  /** Calls to D1, and the statements in them. */
  queries = 0;
  statements = 0;
  kvOperations = 0;
  /** Calls to D1, KV and Durable Objects that were open at once. Cloudflare lets the seventh wait. */
  connections = 0;
  #open = 0;

  /**
   * @param limits statements: absent, a batch counts as one query.
   * @param name of the method, where it is the coordinator's or the cron's.
   */
  constructor(
    private readonly limits: { readonly statements?: number } = {},
    readonly name = 'request',
  ) {}

  /** The one that runs; undefined: a test does. */
  static get current(): Invocation | undefined {
    return current.getStore();
  }

  run<T>(work: () => T): T {
    return current.run(this, work);
  }

  query(statements: number): void {
    this.queries++;
    this.statements += statements;
    if (this.queries > MAX_QUERIES || this.statements > (this.limits.statements ?? Number.POSITIVE_INFINITY))
      throw new Error('D1_ERROR: Too many API requests by single worker invocation.');
  }

  kvOperation(): void {
    if (++this.kvOperations > MAX_KV_OPERATIONS)
      throw new Error('KV failed: Too many API requests by single worker invocation.');
  }

  async connection<T>(call: () => Promise<T>): Promise<T> {
    this.connections = Math.max(this.connections, ++this.#open);
    try {
      return await call();
    } finally {
      this.#open--;
    }
  }
}

/** Sees each call of an invocation of the service: a meter (cost-meter.ts). What a test does itself is not seen. */
export interface Observer {
  /** @param results one of each statement. */
  queried(statements: readonly string[], results: readonly D1Result[], invocation: Invocation): void;
  /** @param method `get`, `put`, … */
  keptInKv(method: string): void;
  objectCalled(): void;
}

export const observers = new Set<Observer>();

const current = new AsyncLocalStorage<Invocation>();
const encoder = new TextEncoder();
const tooBig = () => new Error('D1_ERROR: string or blob too big: SQLITE_TOOBIG');

/** Bytes of a value in SQLite. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string')
    return value.length * 3 < MAX_VALUE / 4 ? value.length : encoder.encode(value).byteLength;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.byteLength;
  return Array.isArray(value) ? value.length : 8;
}

/** @returns how large they are together. @throws Error as D1 does. */
function checkValues(values: readonly unknown[]): number {
  let row = 0;
  for (const value of values) {
    const size = sizeOf(value);
    if (size > MAX_VALUE) throw tooBig();
    row += size;
  }
  return row;
}

interface Statement {
  readonly statement: string;
  readonly params: readonly unknown[];
}

async function query<T>(statements: readonly Statement[], call: () => Promise<T>): Promise<T> {
  const invocation = current.getStore();
  invocation?.query(statements.length);
  for (const { statement, params } of statements) {
    if (encoder.encode(statement).byteLength > MAX_SQL) throw new Error('D1_ERROR: statement too long: SQLITE_TOOBIG');
    if (params.length > MAX_PARAMETERS) throw new Error('D1_ERROR: too many SQL variables: SQLITE_ERROR');
    if (checkValues(params) > MAX_VALUE && !/json_each/i.test(statement)) throw tooBig();
  }
  const answer = await (invocation ? invocation.connection(call) : call());
  let result = 0;
  for (const { results } of [answer].flat() as { results?: Record<string, unknown>[] }[]) {
    for (const row of results ?? []) {
      const size = checkValues(Object.values(row));
      if (size > MAX_VALUE) throw tooBig();
      result += size;
    }
  }
  if (result > MAX_RESULT) throw new Error('D1_ERROR: D1 DB query result is too large.');
  if (invocation && observers.size > 0) {
    const texts = statements.map(({ statement }) => statement);
    for (const observer of observers) observer.queried(texts, [answer].flat() as D1Result[], invocation);
  }
  return answer;
}

/** When the service wrote each key last. What tests write themselves is no business of its. */
const writtenAt = new Map<string, number>();
const now = Date.now.bind(Date); // a test may have another clock

function checkWrite(key: string): void {
  if (current.getStore() === undefined) return;
  const last = writtenAt.get(key);
  if (last !== undefined && now() - last < keyWrites.interval - CLOCKS)
    throw new Error('KV PUT failed: 429 Too Many Requests');
  writtenAt.set(key, now());
}

const changed = Symbol('changed');

/** Puts something around methods of a prototype, once: all test files share it. */
function around(prototype: object, methods: Record<string, (method: Method, name: string) => Method>): void {
  const target = prototype as Record<string | symbol, unknown>;
  if (Object.hasOwn(target, changed)) return;
  for (const [name, wrap] of Object.entries(methods)) target[name] = wrap(target[name] as Method, name);
  target[changed] = true;
}
// biome-ignore lint/suspicious/noExplicitAny: methods of all kinds
type Method = (this: any, ...parameters: any[]) => any;

/** To be called before each test file. */
export function enforceLimits(): void {
  writtenAt.clear();
  const alone = (method: Method): Method =>
    function (...parameters) {
      return query([this as Statement], () => method.apply(this, parameters));
    };
  around(Object.getPrototypeOf(env.DB) as object, {
    batch: (method) =>
      function (statements: readonly Statement[]) {
        return query(statements, () => method.call(this, statements));
      },
  });
  around(Object.getPrototypeOf(env.DB.prepare('SELECT 1')) as object, { first: alone, all: alone, run: alone });
  const counted = (method: Method, name: string): Method =>
    async function (...parameters) {
      const invocation = current.getStore();
      invocation?.kvOperation();
      if (invocation) for (const observer of observers) observer.keptInKv(name);
      const call = async () => method.apply(this, parameters);
      return invocation ? invocation.connection(call) : call();
    };
  const written = (method: Method, name: string): Method => {
    const inner = counted(method, name);
    return async function (key: string, ...rest) {
      checkWrite(key);
      return inner.call(this, key, ...rest);
    };
  };
  resetRateLimits();
  around(Object.getPrototypeOf(env.RATE_500) as object, { limit: inMemory });
  around(Object.getPrototypeOf(env.REVOCATIONS) as object, {
    get: counted,
    getWithMetadata: counted,
    list: counted,
    put: written,
    delete: written,
  });
  const invoked = (method: Method, name: string): Method =>
    function (...parameters) {
      return new Invocation({}, name).run(() => method.apply(this, parameters));
    };
  const methods = Object.getOwnPropertyNames(OrgCoordinator.prototype).filter(
    (name) =>
      name !== 'constructor' &&
      typeof Object.getOwnPropertyDescriptor(OrgCoordinator.prototype, name)?.value === 'function',
  );
  around(OrgCoordinator.prototype, Object.fromEntries(methods.map((name) => [name, invoked])));
  around(worker, {
    scheduled: (method, name) => {
      const inner = invoked(method, name);
      return function (...parameters) {
        writtenAt.clear(); // it comes once a minute
        return inner.apply(this, parameters);
      };
    },
  });
}

/** Bindings for one request: calls to Durable Objects are connections too. */
export function boundTo<B extends Pick<Env, 'ORG_COORDINATOR'>>(bindings: B, invocation: Invocation): B {
  const getByName = (name: string) => countedStub(bindings.ORG_COORDINATOR.getByName(name), invocation);
  return { ...bindings, ORG_COORDINATOR: { getByName } };
}

/** Of the real stub no property may be looked at: each is a call. */
function countedStub(stub: object, invocation: Invocation): object {
  const target = stub as Record<string, Method>;
  return new Proxy(
    {},
    {
      get: (_, name) => {
        if (typeof name === 'symbol' || name === 'then') return undefined;
        if (name === 'id' || name === 'name') return target[name];
        return (...parameters: unknown[]) => {
          for (const observer of observers) observer.objectCalled();
          return invocation.connection(async () => target[name]!(...parameters));
        };
      },
    },
  );
}
