/**
 * The open streams of one org (docs/stream.md is the protocol). Hosts hold a WebSocket each; what changes is pushed to
 * them by state, from the journal.
 *
 * All that is needed stands in the journal and with each socket: the object may hibernate, be evicted or be aborted at
 * any moment, and no state is missed.
 */
import type { Database } from '../store/d1/database';
import { CHUNK, type Chunk, readPublished, type State } from '../store/journal/revocation-feed';

/** Streams of one org at once. */
export const MAX_STREAMS = 100;
/** State frames that a host has not acknowledged; it is sent no more until it does. */
const MAX_UNACKED = CHUNK;
/** It is sent more when no more than these are left: an ack for each frame must not cost a look into the journal. */
const RESUME_AT = MAX_UNACKED / 2;
/** Bytes of a frame from the host. */
const MAX_FRAME = 1_024;

/** What closes a stream, and why (RFC 6455 §7.4). */
const POLICY = 1008;
const TOO_BIG = 1009;
const TOKEN_CHANGED = 4001;
const ORG_GONE = 4004;

/** How far a stream is: kept with its socket, whose room is 16 KiB. */
interface StreamPosition {
  /** The hash of the host token that opened it; empty: a service binding did. */
  readonly openedBy: string;
  /** The org's latest event when it was opened: what the host has to be told of before it knows all. */
  readonly hello: number;
  /** Everything up to this event has been sent. */
  readonly sent: number;
  /** What the host was told of that last. */
  readonly synced: number;
  /** State frames that wait for an ack, by seq. */
  readonly unacked: readonly number[];
  /** There were too many of them: nothing more is sent before they are fewer. */
  readonly isWaiting: boolean;
}

/** What the streams need of the object that holds them. */
export interface Holder {
  readonly orgId: string;
  readonly db: Database;
  /** Which of these tokens, by their hashes, may still be told who is out. */
  stillGood(tokens: readonly string[]): Promise<ReadonlySet<string>>;
  /** The journal could not be read: to call `pump` again, later. */
  tryLater(): Promise<void>;
}

export class Streams {
  #isAsked = false;
  #isPumping = false;

  constructor(
    private readonly ctx: DurableObjectState,
    private readonly holder: () => Holder,
  ) {
    // Answered by the runtime: a heartbeat does not wake the object.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
  }

  /**
   * Takes a WebSocket for a host whose right to it has been checked.
   *
   * @param current the org's latest event. @param after what the host knows already.
   */
  open({ after, current, openedBy }: { after: number; current: number; openedBy: string }): Response {
    if (this.#sockets().length >= MAX_STREAMS) return new Response(null, { status: 503 });
    const { 0: theirs, 1: ours } = new WebSocketPair();
    this.ctx.acceptWebSocket(ours);
    keep(ours, { openedBy, hello: current, sent: after, synced: -1, unacked: [], isWaiting: false });
    send(ours, { type: 'hello', v: 1, org: this.holder().orgId, seq: current });
    this.pump();
    return new Response(null, { status: 101, webSocket: theirs });
  }

  /** A frame from a host; `ping` never comes this far. */
  hear(socket: WebSocket, frame: string | ArrayBuffer): void {
    if (socket.readyState !== WebSocket.OPEN) return; // it is being closed
    const place = positionOf(socket);
    const said = understood(frame, place.sent);
    if ('code' in said) {
      socket.close(said.code, said.reason);
      return;
    }
    // One of less than the one before it changes nothing.
    const unacked = place.unacked.filter((seq) => seq > said.ack);
    const isWaiting = place.isWaiting && unacked.length > RESUME_AT;
    keep(socket, { ...place, unacked, isWaiting });
    if (place.isWaiting && !isWaiting) this.pump();
  }

  /**
   * Sends to each stream what it has not been sent yet. One at a time: whoever asks while one runs has it go round once
   * more. Neither waits for anything nor fails.
   */
  pump(): void {
    if (this.#sockets().length === 0) return;
    this.#isAsked = true;
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.ctx.waitUntil(this.#run());
  }

  async #run(): Promise<void> {
    try {
      while ((await this.#round()) || this.#isAsked);
    } catch (error) {
      console.error(JSON.stringify({ message: 'new states could not be sent to streams', error: String(error) }));
      await this.holder().tryLater();
    } finally {
      this.#isPumping = false;
    }
  }

  /** One chunk for each stream, in one D1 round trip. @returns whether some have more to come. */
  async #round(): Promise<boolean> {
    const { db, orgId } = this.holder();
    await this.#dismissStrangers();
    this.#isAsked = false; // what was asked until now, this round sees
    const ready = this.#ready().map((socket) => positionOf(socket).sent);
    if (ready.length === 0) return false;
    // Those at the head must not wait for one who catches up, nor the other way round: a chunk for each.
    const found = await readPublished(db, orgId, [...new Set([Math.max(...ready), Math.min(...ready)])]);
    if (found === undefined) {
      this.#sayGoodbye();
      return false;
    }
    // Acks and new streams came meanwhile.
    for (const socket of this.#ready()) for (const chunk of found.chunks) serve(socket, chunk);
    return this.#ready().some((socket) => positionOf(socket).sent < found.current);
  }

  /** Their token is not good any more: they get nothing more. */
  async #dismissStrangers(): Promise<void> {
    const openers = new Set(this.#sockets().map((socket) => positionOf(socket).openedBy));
    openers.delete('');
    if (openers.size === 0) return;
    const good = await this.holder().stillGood([...openers]);
    for (const socket of this.#sockets()) {
      const { openedBy } = positionOf(socket);
      // One that was opened meanwhile was checked then.
      const isStranger = openers.has(openedBy) && !good.has(openedBy);
      if (isStranger) socket.close(TOKEN_CHANGED, 'the host token is another one now');
    }
  }

  /** The org was deleted with its journal: all its sessions are over, and a stream must not come back. */
  #sayGoodbye(): void {
    for (const socket of this.#sockets()) {
      const seq = positionOf(socket).sent + 1;
      send(socket, stateFrame({ seq, user: null, active: false, validAfter: Date.now() }));
      socket.close(ORG_GONE, 'the org is gone');
    }
  }

  #sockets(): WebSocket[] {
    return this.ctx.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  /** Those that can be sent more. */
  #ready(): WebSocket[] {
    return this.#sockets().filter((socket) => !positionOf(socket).isWaiting);
  }
}

/** What of the chunk the stream has not been sent, as far as it has room. */
function serve(socket: WebSocket, { from, through, states }: Chunk): void {
  const place = positionOf(socket);
  if (place.sent < from || place.sent > through) return;
  const news = states.filter(({ seq }) => seq > place.sent);
  const frames = news.slice(0, MAX_UNACKED - place.unacked.length);
  const sent = frames.length < news.length ? frames.at(-1)!.seq : through;
  for (const frame of frames) send(socket, stateFrame(frame));
  // Who knows all that there was is told no more of events that are none of its business.
  const isTold = frames.length > 0 || (place.synced < place.hello && place.synced < sent);
  if (isTold) send(socket, { type: 'synced', seq: sent });
  const unacked = [...place.unacked, ...frames.map(({ seq }) => seq)];
  const synced = isTold ? sent : place.synced;
  keep(socket, { ...place, sent, synced, unacked, isWaiting: unacked.length >= MAX_UNACKED });
}

/** `notBefore` is the first name of `validAfter`: clients of before 0.2 know no other. */
const stateFrame = (state: State) => ({ type: 'state', ...state, notBefore: state.validAfter });

const positionOf = (socket: WebSocket) => socket.deserializeAttachment() as StreamPosition;
const keep = (socket: WebSocket, place: StreamPosition) => socket.serializeAttachment(place);

/** A socket that is closed just now says so by itself: its host comes back, and asks for what it has missed. */
function send(socket: WebSocket, frame: object): void {
  try {
    socket.send(JSON.stringify(frame));
  } catch {
    // Closed.
  }
}

/** @param sent the most that can be acknowledged. @returns how to close the stream, if the frame is not valid. */
function understood(
  frame: string | ArrayBuffer,
  sent: number,
): { readonly ack: number } | { readonly code: number; readonly reason: string } {
  const size = typeof frame === 'string' ? new TextEncoder().encode(frame).length : frame.byteLength;
  if (size > MAX_FRAME) return { code: TOO_BIG, reason: `at most ${MAX_FRAME} bytes are accepted` };
  const ack = typeof frame === 'string' ? ackOf(frame) : undefined;
  if (ack === undefined) return { code: POLICY, reason: 'ping or {"type":"ack","seq":<number>} was expected' };
  return ack > sent ? { code: POLICY, reason: 'ack: so much has not been sent' } : { ack };
}

/** @returns undefined for anything that is no ack. */
function ackOf(frame: string): number | undefined {
  try {
    const { type, seq } = JSON.parse(frame) as { type?: unknown; seq?: unknown };
    return type === 'ack' && Number.isSafeInteger(seq) && (seq as number) >= 0 ? (seq as number) : undefined;
  } catch {
    return undefined;
  }
}
