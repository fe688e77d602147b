/** One request of a poll (RFC 8936): events that wait, and what became of those before. */
import { isJwksAddress } from '../credentials/public-host';
import { ask } from './http';

/** Milliseconds, to the last byte. */
const PATIENCE = 10_000;
/** Bytes of an answer: as many events of the largest size as are asked for. */
const MOST = 1_048_576;
/** What the transmitter may say beyond what was asked for is left for the next poll. */
export const MAX_EVENTS = 25;

/** RFC 8936 §2.6. */
export interface SetError {
  readonly err: string;
  readonly description: string;
}

/** What became of events that were polled before. */
export interface Settled {
  readonly acks: readonly string[];
  readonly errors: Readonly<Record<string, SetError>>;
}

export type Page =
  | {
      readonly ok: true;
      /** Id -> token. What is no text is empty. */
      readonly sets: ReadonlyMap<string, string>;
      readonly moreAvailable: boolean;
    }
  | {
      readonly ok: false;
      readonly status: number;
      /** A sentence of ours. */
      readonly error: string;
      /** Milliseconds that the transmitter asks for. */
      readonly pause: number;
    };

/** Never throws. @param most events; 0: to acknowledge only. */
export async function poll(
  url: string,
  token: string,
  { acks, errors }: Settled,
  most: number,
  allowsLoopback: boolean,
): Promise<Page> {
  const failed = (error: string, status = 0, pause = 0): Page => ({ ok: false, status, error, pause });
  // Checked each time: what was allowed when it was added may not be any more.
  if (!isJwksAddress(url, allowsLoopback)) return failed('the address is not one of the public Internet');
  const { status, body, pause } = await ask('POST', url, {
    auth: token,
    patience: PATIENCE,
    most: MOST,
    body: {
      maxEvents: most,
      returnImmediately: true,
      ...(acks.length > 0 && { ack: acks }),
      ...(Object.keys(errors).length > 0 && { setErrs: errors }),
    },
  });
  if (status === 0) return failed(`no answer within ${PATIENCE / 1_000} s, or no connection`);
  if (status >= 300 && status < 400) return failed(`it answered ${status}, and redirects are not followed`, status);
  if (status === 401 || status === 403) return failed(`it answered ${status}: enter new credentials`, status, pause);
  // 202 and 204 are answers to what only acknowledges.
  if (most === 0 && status >= 200 && status < 300) return { ok: true, sets: new Map(), moreAvailable: false };
  if (status !== 200) return failed(`it answered ${status}`, status, pause);
  const sets = body?.['sets'] ?? {};
  if (body === undefined) return failed('its answer is no JSON object, or larger than 1 MiB', status);
  if (typeof sets !== 'object' || Array.isArray(sets)) return failed('its answer has no object «sets»', status);
  const all = Object.entries(sets as Record<string, unknown>);
  return {
    ok: true,
    sets: new Map(all.slice(0, most).map(([id, set]) => [id, typeof set === 'string' ? set : ''])),
    moreAvailable: body['moreAvailable'] === true || all.length > most,
  };
}
