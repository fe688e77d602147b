/** One attempt: a message is signed and posted, and the answer is looked at no further than its status. */
import { isWebhookAddress } from '../credentials/public-host';
import { open, Unreadable } from '../credentials/sealed-secret';
import type { Webhook } from '../store/operations/webhooks';
import { sign, signingKey } from './client/signature';
import type { Outgoing } from './message';

/** Milliseconds that a receiver has until its answer begins, and a little for the way. */
const TIMEOUT = 10_000;
const WAY = 500;

/** What sending needs of the deployment. */
export interface Sender {
  /** WEBHOOK_KEY; empty: it is not set any more. */
  readonly keys: readonly string[];
  readonly allowsLoopback: boolean;
}

export type Attempt =
  | { readonly ok: true; readonly status: number }
  | {
      readonly ok: false;
      readonly status: number | undefined;
      /** A sentence of ours. */
      readonly error: string;
      /** The receiver wants no more (410). */
      readonly isGone: boolean;
      /** Milliseconds that the receiver asks for (Retry-After). */
      readonly pause: number;
    };

const failed = (error: string, status?: number, pause = 0): Attempt => ({
  ok: false,
  status,
  error,
  isGone: status === 410,
  pause,
});

/** Never throws. */
export async function send(sender: Sender, webhook: Webhook, { id, message }: Outgoing): Promise<Attempt> {
  // Checked each time: what was allowed when it was added may not be any more.
  if (!isWebhookAddress(webhook.url, sender.allowsLoopback))
    return failed('the address is not one of the public Internet');
  try {
    const body = JSON.stringify(message);
    const now = Date.now();
    const timestamp = Math.floor(now / 1_000);
    const signatures = await signaturesOf(sender, webhook, now, { id, timestamp, body });
    const answer = await fetch(webhook.url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'User-Agent': 'scim-worker',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': signatures,
      },
      body,
      redirect: 'manual', // it might lead into somebody's network
      signal: AbortSignal.timeout(TIMEOUT + WAY),
    });
    await answer.body?.cancel().catch(() => undefined); // it may be of any size
    return outcomeOf(answer);
  } catch (error) {
    if (error instanceof Unreadable) return failed(error.message);
    const isLate = error instanceof Error && error.name === 'TimeoutError';
    return failed(isLate ? `no answer within ${TIMEOUT / 1_000} s` : 'no connection, or it ended without an answer');
  }
}

function outcomeOf({ ok, status, headers }: Response): Attempt {
  if (ok) return { ok, status };
  if (status >= 300 && status < 400) return failed(`it answered ${status}, and redirects are not followed`, status);
  const seconds = Number(headers.get('Retry-After') ?? 0);
  return failed(`it answered ${status}`, status, Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0);
}

/** By the secret, and for a while after a rotation by the one before it, too. */
async function signaturesOf(
  { keys }: Sender,
  { id, secret, previousSecret, previousUntil }: Webhook,
  now: number,
  signed: Parameters<typeof sign>[1],
): Promise<string> {
  const sealed = previousSecret && (previousUntil ?? 0) > now ? [secret, previousSecret] : [secret];
  const signatures = sealed.map(async (one) =>
    sign(await signingKey(await open(keys, 'webhook secrets', id, one)), signed),
  );
  return (await Promise.all(signatures)).join(' ');
}
