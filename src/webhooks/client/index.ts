/**
 * `scim-worker/webhooks`: whether a webhook is from the service, and what it says. WebCrypto alone: for Workers, Node from 20
 * and others.
 */
import { expectOptions, type OptionNames } from '../../sessions/client/options.ts';
import { isSigned, signingKey } from './signature.ts';

/** Seconds that the clocks of sender and receiver may differ, as Standard Webhooks has it. */
const TOLERANCE = 5 * 60;

export interface WebhookOrg {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  /** Whether anybody of the org may sign in. */
  readonly active: boolean;
}

/** Somebody or a group that is not there any more. */
export interface WebhookRemoved {
  readonly id: string;
  readonly removed: true;
  readonly removedAt: string | null;
}

/** What a webhook carries. `user` and `group` are as `changes` shows them: the state when the message was sent. */
export interface WebhookMessage {
  /** The event: `user.updated`. `webhook.test` and `webhook.resync` are not in the journal. */
  readonly type: string;
  /** When it happened; ISO text. */
  readonly timestamp: string;
  readonly data: {
    /** null in a test of an endpoint of all orgs. */
    readonly org: WebhookOrg | null;
    /** The number of the event in the org's journal. */
    readonly seq: number;
    /** What to ask `changes` after, to read what came since. */
    readonly next: string | null;
    // biome-ignore lint/suspicious/noExplicitAny: the receiver's own types say what it reads of it
    readonly user?: WebhookRemoved | ({ readonly id: string; readonly removed?: undefined } & Record<string, any>);
    readonly group?:
      | WebhookRemoved
      | {
          readonly id: string;
          readonly removed?: undefined;
          readonly displayName: string;
          readonly externalId: string | null;
          readonly permissions: readonly string[];
        };
  };
}

/** Why a message was refused. Answer 400 or 401, and do nothing of what it says. */
export class WebhookError extends Error {
  override readonly name = 'WebhookError';

  readonly code: 'headers' | 'timestamp' | 'signature' | 'body';

  constructor(code: WebhookError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** A request's headers, in any of the usual shapes. */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

export interface VerifyOptions {
  /** `whsec_…`; during a rotation both. */
  readonly secret: string | readonly string[];
  readonly headers: WebhookHeaders;
  /** The body as it came, not parsed and written again. */
  readonly body: string | Uint8Array;
  /** For tests. */
  readonly now?: Date;
}

const OPTIONS: OptionNames<VerifyOptions> = { secret: true, headers: true, body: true, now: true };

/**
 * The message, if the service sent it within the last five minutes. The same message may come more than once: `webhook-id`
 * tells.
 *
 * @throws WebhookError otherwise. TypeError when a secret is none, an option is missing, or there is no such option.
 */
export async function verifyWebhook(options: VerifyOptions): Promise<WebhookMessage> {
  expectOptions('verifyWebhook', options, OPTIONS);
  const { secret, headers, body, now = new Date() } = options;
  if (typeof headers !== 'object' || headers === null)
    throw new TypeError("headers: the request's headers were expected");
  if (typeof body !== 'string' && !(body instanceof Uint8Array))
    throw new TypeError('body: the text or the bytes of the request were expected, not parsed');
  const keys = await Promise.all([secret].flat().map(signingKey));
  const [id, time, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    headerOf(headers, name),
  );
  if (!id || !time || !signatures)
    throw new WebhookError('headers', 'webhook-id, -timestamp and -signature were expected');
  if (!/^\d{1,12}$/.test(time))
    throw new WebhookError('timestamp', 'webhook-timestamp: seconds since 1970 were expected');
  const timestamp = Number(time);
  // A message that was recorded may be sent again by anybody: for five minutes, and no longer.
  if (Math.abs(Math.floor(now.getTime() / 1_000) - timestamp) > TOLERANCE) {
    throw new WebhookError(
      'timestamp',
      'webhook-timestamp is more than five minutes away from the clock of this machine',
    );
  }
  const text =
    typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(body);
  if (!(await isSigned(keys, { id, timestamp, body: text }, signatures))) {
    throw new WebhookError('signature', 'webhook-signature is by none of the secrets');
  }
  try {
    return JSON.parse(text) as WebhookMessage;
  } catch {
    throw new WebhookError('body', 'the body is no JSON');
  }
}

function headerOf(headers: WebhookHeaders, name: string): string | undefined {
  if (typeof headers.get === 'function')
    return (headers as { get(name: string): string | null }).get(name) ?? undefined;
  const found = Object.entries(headers as Record<string, unknown>).find(([key]) => key.toLowerCase() === name)?.[1];
  const value: unknown = Array.isArray(found) ? found[0] : found;
  return typeof value === 'string' ? value : undefined;
}
