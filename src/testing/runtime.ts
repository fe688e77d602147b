/** The Workers runtime in the test's own process: miniflare, with the packed Worker behind a port of this machine. */
/// <reference path="./node.d.ts" />
import { createServer } from 'node:net';
import { applyMigrations, type Database, type PackedWorker } from './packed-worker.ts';

export interface RuntimeOptions {
  /** 0: a free one. */
  readonly port: number;
  /** Absent: storage is in memory, and ends with the runtime. */
  readonly folder: string | undefined;
  readonly variables: Readonly<Record<string, string>>;
  readonly rateLimits: boolean;
  /** Warnings and errors of the Worker. */
  readonly onLog: (message: string) => void;
}

export interface Runtime {
  /** Without a slash at the end. */
  readonly url: string;
  /** What Cloudflare runs each minute. */
  runCron(): Promise<void>;
  stop(): Promise<void>;
}

/** What is used of miniflare 5, and of 4. */
interface MiniflareModule {
  readonly Miniflare: new (options: object) => MiniflareLike;
  readonly convertV4MiniflareOptions?: (options: object) => object;
}
interface MiniflareLike {
  readonly ready: Promise<URL>;
  getD1Database(binding: string, worker: string): Promise<Database>;
  getWorker(name: string): Promise<{ scheduled(event: { cron: string }): Promise<unknown> }>;
  dispose(): Promise<void>;
}

const NAME = 'scim-worker';
const HOST = '127.0.0.1';

/** Adds the address of the client, as Cloudflare's edge does, and leads to the Worker's requests alone. */
const ENTRANCE = `export default {
  fetch(request, { WORKER }) {
    const headers = new Headers(request.headers);
    if (!headers.has('CF-Connecting-IP')) headers.set('CF-Connecting-IP', '${HOST}');
    return WORKER.fetch(new Request(request, { headers }));
  },
};`;

/** @throws Error, also when miniflare is not installed. */
export async function openRuntime(worker: PackedWorker, options: RuntimeOptions): Promise<Runtime> {
  const { Miniflare, convertV4MiniflareOptions } = await loadMiniflare();
  const port = options.port || (await freePort());
  const url = `http://${HOST}:${port}`;
  const { script, migrations, ratelimits, bindings, ...settings } = worker;
  const { compatibilityDate } = worker;
  const module = (path: string, contents: string) => ({ modules: [{ type: 'ESModule', path, contents }] });
  const entrance = { name: 'entrance', ...module('entrance.js', ENTRANCE), compatibilityDate };
  const runtime = new Miniflare(
    (convertV4MiniflareOptions ?? unchanged)({
      ...{ host: HOST, port, cf: false },
      ...(options.folder !== undefined && {
        [convertV4MiniflareOptions ? 'resourcePersistencePath' : 'defaultPersistRoot']: options.folder,
      }),
      handleStructuredLogs({ level, message }: { readonly level: string; readonly message: string }) {
        if (level === 'warn' || level === 'error') options.onLog(message);
      },
      workers: [
        { ...entrance, serviceBindings: { WORKER: NAME } },
        {
          ...settings,
          name: NAME,
          ...module('index.js', script),
          bindings: { ...bindings, PUBLIC_URL: url, ...options.variables },
          ...(options.rateLimits && { ratelimits }),
        },
      ],
    }),
  );
  try {
    await runtime.ready;
    const [database = ''] = Object.keys(worker.d1Databases);
    await applyMigrations(await runtime.getD1Database(database, NAME), migrations);
  } catch (error) {
    await runtime.dispose().catch(() => {}); // what failed is told, not what failed after it
    throw error;
  }
  return {
    url,
    async runCron() {
      await (await runtime.getWorker(NAME)).scheduled({ cron: '* * * * *' });
    },
    stop: () => runtime.dispose(),
  };
}

const unchanged = (options: object) => options;

async function loadMiniflare(): Promise<MiniflareModule> {
  const name: string = 'miniflare'; // not a literal: a host without it checks its types, too
  try {
    return await import(name);
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new Error(
      'scim-worker/testing: startScim needs the package miniflare. Install it: npm install --save-dev miniflare',
      { cause },
    );
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(resolve));
  return port;
}
