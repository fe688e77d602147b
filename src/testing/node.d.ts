// What this room needs of Node. Typed here, because the Worker's rooms must not see Node's types.

declare module 'node:fs/promises' {
  export function readFile(path: string | URL, encoding: 'utf8'): Promise<string>;
}

declare module 'node:net' {
  interface Server {
    once(event: 'error', listener: (error: Error) => void): this;
    listen(port: number, host: string, done: () => void): this;
    address(): unknown;
    close(done: () => void): this;
  }
  export function createServer(): Server;
}
