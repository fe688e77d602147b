// An issuer's keys on a port of this machine, for tests that speak HTTP from plain Node: a good host, and bad ones.

interface Outgoing {
  writeHead(status: number, headers?: Record<string, string>): Outgoing;
  write(text: string): void;
  end(text?: string): void;
}
interface Listening {
  listen(port: number, host: string, ready: () => void): void;
  address(): { port: number };
  closeAllConnections(): void;
  close(closed: () => void): void;
}
// Typed here, because the other tests run in Workers and must not see Node's types.
const { createServer } = (await import('node:http' as string)) as {
  createServer(answer: (request: { url: string }, response: Outgoing) => void): Listening;
};

export interface JwksHost {
  /** Without a slash at the end. */
  readonly url: string;
  /** How often each path was asked for. */
  readonly asked: Record<string, number>;
  stop(): Promise<void>;
}

/** `/keys` has them, `/later` after half a second. `/slow` says nothing, `/stuck` begins and never ends, `/page` is HTML, `/endless` is a megabyte. */
export async function startJwksHost(keys: readonly object[]): Promise<JwksHost> {
  const asked: Record<string, number> = {};
  const set = JSON.stringify({ keys });
  const answers: Record<string, (response: Outgoing) => void> = {
    '/keys': (response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(set),
    '/later': (response) => setTimeout(() => answers['/keys']!(response), 500),
    '/slow': () => undefined,
    '/stuck': (response) => response.writeHead(200, { 'Content-Type': 'application/json' }).write(set.slice(0, 20)),
    '/page': (response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>'),
    '/endless': (response) => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      for (let i = 0; i < 1_000; i++) response.write(' '.repeat(1_024));
    },
  };
  const server = createServer(({ url }, response) => {
    asked[url] = (asked[url] ?? 0) + 1;
    (answers[url] ?? ((it: Outgoing) => it.writeHead(404).end()))(response);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    asked,
    stop: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
