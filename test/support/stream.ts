/** A host's stream of one org, as a host sees it: the frames that came, and how it was closed. */
import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { app } from '../../src/app';
import type { Env } from '../../src/env';
import { BASE } from './client';

export interface Frame {
  readonly type: 'hello' | 'state' | 'synced';
  readonly seq: number;
  readonly org?: string;
  readonly v?: number;
  readonly user?: string | null;
  readonly active?: boolean;
  readonly notBefore?: number;
  readonly endedBy?: object;
}

export interface Connecting {
  readonly after?: number | string;
  readonly token?: string;
  readonly env?: Partial<Env>;
}

/** The answer to the upgrade, whatever it is. */
export function connect(
  org: string,
  { after, token = 'test-host-token-0123456789abcdef', env: other }: Connecting = {},
): Promise<Response> {
  const query = new URLSearchParams({ org, ...(after !== undefined && { after: String(after) }) });
  const request = new Request(`${BASE}/sessions/v1/stream?${query}`, {
    headers: { Upgrade: 'websocket', Authorization: `Bearer ${token}` },
  });
  return Promise.resolve(app.fetch(request, { ...env, ...other } as Env, createExecutionContext()));
}

export class HostStream {
  readonly frames: Frame[] = [];
  /** Texts that are no JSON: `pong`. */
  readonly words: string[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  /** Every synced frame is acknowledged at once, as hosts do. */
  isPolite = true;

  constructor(private readonly socket: WebSocket) {
    socket.addEventListener('message', ({ data }) => this.#hear(data as string));
    socket.addEventListener('close', ({ code, reason }) => {
      this.closed = { code, reason };
    });
    socket.accept();
  }

  static async open(org: string, connecting: Connecting = {}): Promise<HostStream> {
    const answer = await connect(org, connecting);
    if (answer.webSocket === null) throw new Error(`no stream: ${answer.status} ${await answer.text()}`);
    return new HostStream(answer.webSocket);
  }

  /** One that never acknowledges anything. */
  static async openSilent(org: string, connecting: Connecting = {}): Promise<HostStream> {
    const stream = await HostStream.open(org, connecting);
    stream.isPolite = false;
    return stream;
  }

  get states(): Frame[] {
    return this.frames.filter(({ type }) => type === 'state');
  }

  /** Where it would go on after a reconnect; undefined: it has not heard where it stands. */
  get synced(): number | undefined {
    return this.frames.findLast(({ type }) => type === 'synced')?.seq;
  }

  /** What a host that has believed every frame knows: the latest state of each. */
  get known(): Map<string | null, { active: boolean | undefined; notBefore: number | undefined }> {
    return new Map(this.states.map(({ user, active, notBefore }) => [user ?? null, { active, notBefore }]));
  }

  say(what: string | ArrayBuffer | object): void {
    this.socket.send(typeof what === 'string' || what instanceof ArrayBuffer ? what : JSON.stringify(what));
  }

  ack(seq: number): void {
    this.say({ type: 'ack', seq });
  }

  close(): void {
    this.socket.close(1000);
  }

  /** @throws Error with what was there when the patience ended. */
  async until(condition: (stream: this) => boolean, patience = 10_000): Promise<void> {
    const deadline = Date.now() + patience;
    while (!condition(this)) {
      if (Date.now() > deadline) {
        const last = JSON.stringify(this.frames.slice(-5));
        throw new Error(
          `not within ${patience} ms: ${condition}; ${this.frames.length} frames, the last ${last}, closed ${JSON.stringify(this.closed)}`,
        );
      }
      await scheduler.wait(5);
    }
  }

  #hear(data: string): void {
    if (!data.startsWith('{')) {
      this.words.push(data);
      return;
    }
    const frame = JSON.parse(data) as Frame;
    this.frames.push(frame);
    if (this.isPolite && frame.type === 'synced' && this.closed === undefined) this.ack(frame.seq);
  }
}
