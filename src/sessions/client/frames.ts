/** What the service says on a stream, as JSON in text frames. What comes is checked: a garbled frame must not pass for news. */
import { isSeq, parseChange, type StateChange } from './org-states.ts';

/** First. `seq` is the org's latest: who has synced up to it has caught up. */
export interface Hello {
  readonly type: 'hello';
  /** The org's id. */
  readonly org: string;
  readonly seq: number;
}

export type Frame =
  | Hello
  /** Who may be signed in, true when it was sent. In the order of `seq`, which has gaps. */
  | (StateChange & { readonly type: 'state' })
  /** Everything up to `seq` has been sent. */
  | { readonly type: 'synced'; readonly seq: number }
  /** A later service may say more; what a client has to know would come with another `v` in its hello. */
  | { readonly type: 'other' };

const LARGEST = 65_536;

/** @returns undefined when it is none. */
export function parseFrame(data: unknown): Frame | undefined {
  if (typeof data !== 'string' || data.length > LARGEST) return undefined;
  let frame: Record<string, unknown> | null;
  try {
    frame = JSON.parse(data);
  } catch {
    return undefined;
  }
  const { type, v, org, seq } = frame ?? {};
  if (type === 'hello') return v === 1 && typeof org === 'string' && isSeq(seq) ? { type, org, seq } : undefined;
  if (type === 'synced') return isSeq(seq) ? { type, seq } : undefined;
  if (type !== 'state') return typeof type === 'string' ? { type: 'other' } : undefined;
  const change = parseChange(frame);
  return change && { type, ...change };
}
