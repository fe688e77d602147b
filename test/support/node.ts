// What the tests that run in plain Node need of it. Typed here, because the other tests run in Workers and must not see
// Node's types.

interface Request {
  readonly url: string;
  readonly headers: Record<string, string | undefined>;
}

interface Response {
  writeHead(status: number, headers?: Record<string, string>): Response;
  end(body?: string): void;
}

interface HttpServer {
  listen(port: number, host: string, done: () => void): void;
  address(): { readonly port: number };
  close(done: () => void): void;
  closeAllConnections(): void;
}

interface Modules {
  'node:http': { createServer(answer: (request: Request, response: Response) => void): HttpServer };
  'node:fs': {
    existsSync(path: string): boolean;
    mkdtempSync(prefix: string): string;
    rmSync(path: string, options: { recursive: boolean; force: boolean }): void;
  };
  'node:os': { tmpdir(): string };
}

const { process } = globalThis as unknown as {
  process: {
    readonly env: Record<string, string | undefined>;
    getBuiltinModule<N extends keyof Modules>(name: N): Modules[N];
  };
};

export const environment = process.env;
export const doesExist = (path: string): boolean => process.getBuiltinModule('node:fs').existsSync(path);

/** A folder of the test's own, and how it goes. @param prefix of its name. */
export function newFolder(prefix: string): { readonly path: string; remove(): void } {
  const { mkdtempSync, rmSync } = process.getBuiltinModule('node:fs');
  const path = mkdtempSync(`${process.getBuiltinModule('node:os').tmpdir()}/${prefix}`);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A server of the test's own, on a port that is free. */
export interface LocalServer {
  /** Without a slash at the end. */
  readonly url: string;
  /** Path and query of each request, in order. */
  readonly requests: string[];
  /** The header Referer of each. */
  readonly referrers: (string | undefined)[];
  stop(): Promise<void>;
}

/**
 * @param answer where a request is sent on to, or undefined: it has arrived.
 * @param page what has arrived gets.
 */
export async function startLocal(
  answer: (url: string) => string | undefined,
  page = () => '<!doctype html><title>arrived</title>',
): Promise<LocalServer> {
  const requests: string[] = [];
  const referrers: (string | undefined)[] = [];
  const server = process.getBuiltinModule('node:http').createServer(({ url, headers }, response) => {
    if (url === '/favicon.ico') return response.writeHead(204).end();
    requests.push(url);
    referrers.push(headers['referer']);
    const onward = answer(url);
    if (onward !== undefined) return response.writeHead(302, { Location: onward }).end();
    response.writeHead(200, { 'Content-Type': 'text/html' }).end(page());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    referrers,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}
