// Receivers of webhooks on a port of this machine, for tests that speak HTTP from plain Node: a good one, and bad ones.

interface Incoming extends AsyncIterable<Uint8Array> {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly socket: { destroy(): void };
}
interface Outgoing {
  writeHead(status: number, headers?: Record<string, string>): Outgoing;
  write(text: string): boolean;
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
  createServer(answer: (request: Incoming, response: Outgoing) => void): Listening;
};

export interface Taken {
  readonly at: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

export interface WebhookHost {
  /** Without a slash at the end. */
  readonly url: string;
  /** What came to a path, in order. */
  taken(path: string): readonly Taken[];
  stop(): Promise<void>;
}

/**
 * `/good` answers at once. `/redirect` answers 302 to `/stolen`, `/late` 200 after 9.9 seconds, `/broken` 500, `/megabyte` 200
 * and a megabyte, `/endless` 200 and a body that never ends, `/nothing` closes the connection, `/silent` never answers.
 */
export async function startWebhookHost(): Promise<WebhookHost> {
  const taken = new Map<string, Taken[]>();
  const server = createServer(async (request, response) => {
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part);
    const body = await new Blob(parts as Uint8Array<ArrayBuffer>[]).text();
    const list = taken.get(request.url) ?? [];
    taken.set(request.url, list);
    list.push({ at: Date.now(), headers: request.headers, body });
    const path = request.url.replace(/\?.*/, '');
    if (path === '/redirect') response.writeHead(302, { Location: '/stolen' }).end();
    else if (path === '/late') setTimeout(() => response.writeHead(200).end('late'), 9_900);
    else if (path === '/broken') response.writeHead(500).end('broken');
    else if (path === '/nothing') request.socket.destroy();
    else if (path === '/silent') return;
    else if (path === '/megabyte') response.writeHead(200).end(' '.repeat(1_000_000));
    else if (path === '/endless') response.writeHead(200).write('…');
    else response.writeHead(204).end();
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    taken: (path) => taken.get(path) ?? [],
    stop: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
