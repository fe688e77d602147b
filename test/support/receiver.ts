/** Receivers of webhooks, in place of the network: each verifies what it gets, and answers as the test wants. */
import { afterAll, beforeAll, vi } from 'vitest';
import { verifyWebhook, type WebhookMessage } from '../../src/webhooks/client';

export interface Received {
  readonly id: string;
  readonly at: number;
  readonly message: WebhookMessage;
  readonly signatures: readonly string[];
}

type Answer = (signal: AbortSignal | null | undefined) => Response | Promise<Response>;

export class Receiver {
  readonly got: Received[] = [];
  /** How often it was asked, answered or not. */
  attempts = 0;
  secret = '';
  answer: Answer = () => new Response(null, { status: 204 });

  constructor(readonly url: string) {
    receivers.set(url, this);
  }

  /** What was told: `user.created 2`. */
  get told(): string[] {
    return this.got.map(({ message }) => `${message.type} ${message.data.seq}`);
  }

  async receive(init: RequestInit): Promise<Response> {
    this.attempts++;
    const headers = new Headers(init.headers);
    const message = await verifyWebhook({ secret: this.secret, headers, body: init.body as string });
    const response = await this.answer(init.signal);
    if (response.ok) {
      const signatures = headers.get('webhook-signature')!.split(' ');
      this.got.push({ id: headers.get('webhook-id')!, at: Date.now(), message, signatures });
    }
    return response;
  }
}

const receivers = new Map<string, Receiver>();

/** For the tests of a file: whatever is sent to an address without a receiver gets no connection. */
export function catchWebhooks(): void {
  beforeAll(() => {
    vi.stubGlobal('fetch', async (url: string, init: RequestInit = {}) => {
      const receiver = receivers.get(url);
      if (receiver === undefined) throw new TypeError('no connection');
      return receiver.receive(init);
    });
  });
  afterAll(() => vi.unstubAllGlobals());
}
