/** Of the runtime's `node:async_hooks`, what tests use: the types of Workers leave Node's modules out. */
declare module 'node:async_hooks' {
  export class AsyncLocalStorage<T> {
    run<R>(store: T, work: () => R): R;
    getStore(): T | undefined;
  }
}
