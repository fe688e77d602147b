/** One attempt to push a token (RFC 8935): posted, and the answer looked at no further than its status and a few bytes. */
import { boundedText } from '../credentials/bounded-text';
import { isWebhookAddress } from '../credentials/public-host';
import { open, Unreadable } from '../credentials/sealed-secret';
import type { PushedStream } from '../store/operations/signal-streams';
import type { SigningKey } from '../store/operations/signing-keys';
import type { Attempt, Sender } from '../webhooks/send';
import { sign, type Unsigned } from './tokens';

/** Milliseconds that a receiver has until its answer begins. */
const TIMEOUT = 10_000;
/** Bytes of an answer that says what is wrong with a token. */
const MAX_ANSWER = 4_096;

export type PushAttempt =
  | (Extract<Attempt, { ok: true }> & {
      /** The receiver cannot read this token, and never will: a sentence of ours. */
      readonly refusal?: string;
    })
  | Extract<Attempt, { ok: false }>;

const failed = (error: string, status?: number, pause = 0): PushAttempt => ({
  ok: false,
  status,
  error,
  isGone: false,
  pause,
});

/** Never throws. @param key what signs; undefined: there is none. */
export async function push(
  { keys, allowsLoopback }: Sender,
  stream: PushedStream,
  key: SigningKey | undefined,
  token: Unsigned,
): Promise<PushAttempt> {
  const { id, endpointUrl, authorization, issuer } = stream;
  // Checked each time: what was allowed when the stream was made may not be any more.
  if (endpointUrl === undefined || !isWebhookAddress(endpointUrl, allowsLoopback))
    return failed('the address is not one of the public Internet');
  if (key === undefined) return failed('there is no key to sign with');
  try {
    const body = await sign(keys, key, issuer, token, Date.now());
    const header = authorization && (await open(keys, 'receiver credentials', id, authorization));
    const answer = await fetch(endpointUrl, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/secevent+jwt',
        Accept: 'application/json',
        'User-Agent': 'scim-worker',
        ...(header && { Authorization: header }),
      },
      body,
      redirect: 'manual', // it might lead into somebody's network, and would take the header along
      signal: AbortSignal.timeout(TIMEOUT),
    });
    return await outcomeOf(answer);
  } catch (error) {
    if (error instanceof Unreadable) return failed(error.message);
    const isLate = error instanceof Error && error.name === 'TimeoutError';
    return failed(isLate ? `no answer within ${TIMEOUT / 1_000} s` : 'no connection, or it ended without an answer');
  }
}

/** RFC 8935 §2.4. */
const ERRORS = [
  'invalid_request',
  'invalid_key',
  'invalid_issuer',
  'invalid_audience',
  'authentication_failed',
  'access_denied',
];

async function outcomeOf(answer: Response): Promise<PushAttempt> {
  const { ok, status, headers } = answer;
  if (status === 400) {
    const err = await errorIn(answer);
    if (err === undefined) return failed('it answered 400', status);
    // Of this token alone (§2.4): the ones behind it need not wait. Whatever else is wrong is wrong for all, until somebody mends it.
    if (err === 'invalid_request') return { ok: true, status, refusal: `it answered 400 ${err}` };
    return failed(`it answered 400 ${err}`, status);
  }
  await answer.body?.cancel().catch(() => undefined); // it may be of any size
  if (ok) return { ok, status };
  if (status >= 300 && status < 400) return failed(`it answered ${status}, and redirects are not followed`, status);
  const seconds = Number(headers.get('Retry-After') ?? 0);
  return failed(`it answered ${status}`, status, Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0);
}

/** One of the words of RFC 8935; nothing else of the answer leaves this place. */
async function errorIn(answer: Response): Promise<string | undefined> {
  try {
    const said = JSON.parse(await boundedText(answer, MAX_ANSWER)) as { err?: unknown } | null;
    return ERRORS.find((word) => word === said?.err);
  } catch {
    await answer.body?.cancel().catch(() => undefined);
    return undefined;
  }
}
