/**
 * One poll (RFC 8936): what is acknowledged is done, and what is not is handed out again, until it is. Of each org a window of
 * the journal is under way; the next one begins when all of it is acknowledged, so order holds whatever a receiver does.
 */
import { LINES_PER_POLL, moveLines, type PolledLine, readPolled } from '../store/operations/polled-lines';
import type { Refusals, SignalLine } from '../store/operations/signal-lines';
import { type PushedStream, type ReceiverStore, type SignalStream, sendable } from '../store/operations/signal-streams';
import { currentKey, type SigningKey } from '../store/operations/signing-keys';
import { readPage } from './page';
import { controlTokenOf, type Placed, placeIn, sign, type Unsigned } from './tokens';

export interface Acknowledged {
  /** The `jti`s of what was taken. */
  readonly taken: readonly string[];
  /** The `jti`s of what cannot be read, each with a word of RFC 8935. */
  readonly refused: ReadonlyMap<string, string>;
}

export interface PollAnswer {
  /** Signed, by `jti`. */
  readonly sets: ReadonlyMap<string, string>;
  readonly moreAvailable: boolean;
}

/** There is no key to sign with. */
export class NoKey extends Error {}

/**
 * @param most tokens that are handed out.
 * @returns undefined: the receiver has no such stream that is polled.
 * @throws ScimError 401, 403. NoKey, Unreadable.
 */
export async function poll(
  store: ReceiverStore,
  keys: readonly string[],
  streamId: string,
  acknowledged: Acknowledged,
  most: number,
): Promise<PollAnswer | undefined> {
  const done = byOrg(streamId, acknowledged);
  const polled = await readPolled(store, streamId, [...done.places.keys()]);
  if (polled === undefined) return undefined;
  const { stream } = polled;
  const left = polled.acknowledged.map((line) => withoutDone(line, done.places.get(line.orgId)!));
  const byNow = new Map(left.map((moved) => [moved.line.orgId, moved]));
  const settled = stream.control.filter(({ n }) => done.control.has(`${streamId}.${n}`)).map(({ n }) => n);
  if (left.length > 0 || settled.length > 0 || acknowledged.refused.size > 0 || isToNote(store.now, stream)) {
    await moveLines(store, stream, left, settled, refusalsOf(acknowledged));
  }

  const tokens: Unsigned[] = sendable(stream)
    .filter(({ n }) => !settled.includes(n))
    .slice(0, most)
    .map((event) => controlTokenOf(stream, event));
  const lines: SignalLine[] = polled.due
    .slice(0, LINES_PER_POLL)
    .map((line) => ({ ...line, ...asMoved(byNow.get(line.orgId)) }));
  // What was acknowledged just now may have more behind it.
  for (const { line, ...moved } of left) {
    if (
      stream.status === 'enabled' &&
      lines.length < LINES_PER_POLL &&
      !lines.some(({ orgId }) => orgId === line.orgId)
    )
      lines.push({ ...line, ...asMoved({ line, ...moved }) });
  }
  const moved: PolledLine[] = [];
  let signer: SigningKey | undefined;
  let more = polled.due.length > LINES_PER_POLL;
  let looks = MAX_LOOKS;
  for (const line of lines) {
    if (tokens.length >= most) {
      more = true;
      break;
    }
    const found = await firstTokens(store, stream, line, looks);
    const { all, page, place, handedOut } = found;
    looks = found.looks;
    signer ??= page.signer;
    const room = most - tokens.length;
    const out = all.slice(0, room);
    if (all.length > room || (handedOut === undefined && !page.isEnd)) more = true;
    tokens.push(...out);
    if (handedOut !== undefined) continue; // the window stays as it is
    moved.push({ line, ...windowOf(place, page.through, all, out), lostThrough: found.lostThrough });
  }
  if (moved.length > 0) await moveLines(store, stream, moved, [], undefined);
  return { sets: await signed(store, keys, stream, signer, tokens), moreAvailable: more };
}

/** When a receiver last polled is noted once a minute. */
const isToNote = (now: number, { polledAt }: SignalStream) => now - (polledAt ?? 0) > 60_000;

/** Pages of the journal that one poll reads to find something to tell, beyond one for each org. */
const MAX_LOOKS = 20;

/** The first page behind the line that has something to tell; the last one that was looked at, if none has. */
async function firstTokens(store: ReceiverStore, stream: PushedStream, line: SignalLine, most: number) {
  let { place, handedOut } = line;
  let lostThrough: number | undefined;
  for (let looks = most; ; looks--) {
    const page = await readPage(store.databases, line.orgId, stream, place);
    lostThrough = page.lostThrough ?? lostThrough;
    const all = handedOut ? page.tokens.filter((token) => handedOut!.places.includes(token.place)) : page.tokens;
    const isLast = looks <= 0 || (handedOut === undefined && page.isEnd);
    if (all.length > 0 || isLast) {
      // Of a window under way nothing may be left to tell: then it is over.
      const isOver = handedOut !== undefined && all.length === 0;
      const through = isOver ? { ...page, through: handedOut!.through, isEnd: false } : page;
      return { all, page: through, place, handedOut: isOver ? undefined : handedOut, lostThrough, looks };
    }
    place = handedOut ? handedOut.through : page.through;
    handedOut = undefined;
  }
}

/** What is under way from now on. @param all of the page. @param out those of them that are handed out. */
function windowOf(place: number, through: number, all: readonly Placed[], out: readonly Placed[]): Window {
  if (all.length === 0) return { place: through, handedOut: undefined };
  const places = out.map(({ place }) => place);
  return { place, handedOut: { places, through: out.length === all.length ? through : places.at(-1)! } };
}

type Window = Pick<PolledLine, 'place' | 'handedOut'>;

const asMoved = (moved: PolledLine | undefined) =>
  moved === undefined ? {} : { place: moved.place, handedOut: moved.handedOut };

/** The line without what is done; once nothing is left, everything up to the end of the window is. */
function withoutDone(line: SignalLine, done: ReadonlySet<number>): PolledLine {
  const { places, through } = line.handedOut!;
  const rest = places.filter((place) => !done.has(place));
  return rest.length > 0
    ? { line, place: line.place, handedOut: { places: rest, through } }
    : { line, place: through, handedOut: undefined };
}

/** Of each org the places that are done; what is none of this stream's counts for nothing. */
function byOrg(streamId: string, { taken, refused }: Acknowledged) {
  const places = new Map<string, Set<number>>();
  const control = new Set<string>();
  for (const jti of [...taken, ...refused.keys()]) {
    const found = placeIn(streamId, jti);
    if (found === undefined) control.add(jti);
    else places.set(found.orgId, (places.get(found.orgId) ?? new Set()).add(found.place));
  }
  return { places, control };
}

function refusalsOf({ refused }: Acknowledged): Refusals | undefined {
  const last = [...refused].at(-1);
  return last && { count: refused.size, last: `${last[0]}: the receiver said ${last[1]}` };
}

async function signed(
  { databases, now }: ReceiverStore,
  keys: readonly string[],
  stream: SignalStream & { readonly algorithm: SigningKey['algorithm'] },
  signer: SigningKey | undefined,
  tokens: readonly Unsigned[],
): Promise<Map<string, string>> {
  if (tokens.length === 0) return new Map();
  const key = signer ?? (await currentKey(databases, stream.algorithm));
  if (key === undefined) throw new NoKey();
  const sets = tokens.map(async (token) => [token.jti, await sign(keys, key, stream.issuer, token, now)] as const);
  return new Map(await Promise.all(sets));
}
