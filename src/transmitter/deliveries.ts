/** Streams that are pushed, as the deliveries know them (webhooks/deliveries.ts), and the events of the streams themselves. */
import { DAY } from '../duration';
import type { Databases } from '../store/d1/databases';
import {
  advanceSignalLine,
  type DueSignalLine,
  pauseSignalLine,
  pauseStream,
  type Refusals,
  readDueSignalLines,
} from '../store/operations/signal-lines';
import { type ControlEvent, readPushedStream, sendable, settleControl } from '../store/operations/signal-streams';
import { currentKey, type SigningKey } from '../store/operations/signing-keys';
import type { Kind, Line } from '../webhooks/deliveries';
import type { Sender } from '../webhooks/send';
import { STREAM_UPDATED, VERIFICATION } from './events';
import { readPage } from './page';
import { push } from './send';
import { controlTokenOf, type Placed } from './tokens';

interface StreamLine extends Line {
  readonly due: DueSignalLine;
}

interface Outgoing extends Placed {
  readonly signer: SigningKey | undefined;
}

/** Why the service paused a stream. The receiver is told, and reads it in the status. */
const GIVEN_UP = 'The endpoint has not accepted events for 24 hours';

/** The line as it is now: the deliveries move its place. */
const dueLineOf = ({ due, place, failures, failingSince }: StreamLine): DueSignalLine => ({
  ...due,
  ...{ place, failures, failingSince },
});

/** Tells the receiver of a status that the service has given the stream (SSF 1.0 §8.1.5). */
export const statusEvent = (status: string, reason: string | undefined, now: number): ControlEvent => ({
  n: `s${now.toString(36)}${crypto.randomUUID().slice(0, 8)}`,
  uri: STREAM_UPDATED,
  members: { status, ...(reason !== undefined && { reason }) },
  at: now,
  txn: crypto.randomUUID(),
});

/** @param sender asked for each token: a variable may have changed. */
export function signalKind(
  databases: Databases,
  orgId: () => string,
  sender: () => Sender,
): Kind<StreamLine, Outgoing> {
  /** Since the line of this stream was last moved. */
  const refusals = new Map<string, Refusals>();
  const lost = new Map<string, number>();
  const taken = (id: string) => {
    const found = refusals.get(id);
    refusals.delete(id);
    return found;
  };
  const due = async () =>
    (await readDueSignalLines(databases, orgId())).map((line) => ({
      ...{ id: line.stream.id, place: line.place, dueAt: line.dueAt },
      ...{ failures: line.failures, failingSince: line.failingSince, due: line },
    }));
  return {
    name: 'signals',
    goodFor: 0,
    due,
    async next(line) {
      const { due, place } = line;
      const { tokens, through, lostThrough, signer } = await readPage(databases, orgId(), due.stream, place);
      if (lostThrough !== undefined) lost.set(due.stream.id, lostThrough);
      return { line, messages: tokens.map((token) => ({ ...token, signer })), through };
    },
    // A stream that is paused or removed meanwhile is not due any more.
    reread: async ({ id }) => (await due()).find((line) => line.id === id),
    async send({ due: { stream } }, { signer, ...token }) {
      const attempt = await push(sender(), stream, signer, token);
      if (!attempt.ok || attempt.refusal === undefined) return attempt;
      refusals.set(stream.id, {
        count: (refusals.get(stream.id)?.count ?? 0) + 1,
        last: `${token.name}: ${attempt.refusal}`,
      });
      return attempt;
    },
    describe: ({ name }) => name,
    advance(line, through, deliveredAt) {
      const lostThrough = lost.get(line.id);
      lost.delete(line.id);
      return advanceSignalLine(databases, dueLineOf(line), through, deliveredAt, lostThrough, taken(line.id));
    },
    pause: (line, failed) => pauseSignalLine(databases, dueLineOf(line), failed, taken(line.id)),
    disable: (line, { through, error }) =>
      pauseStream(databases, dueLineOf(line), {
        ...{ through, error, reason: GIVEN_UP },
        event: statusEvent('paused', GIVEN_UP, Date.now()),
      }),
  };
}

/** Milliseconds between two attempts to tell a stream of itself; the cron makes them. */
const CONTROL_PAUSE = 60_000;

/** Pushes the events of the stream itself: its verification, and what became of it. What fails is tried again by the cron. */
export async function pushControl(databases: Databases, sender: Sender, streamId: string): Promise<void> {
  const stream = await readPushedStream(databases, streamId);
  const events = stream ? sendable(stream) : [];
  if (stream === undefined || events.length === 0) return;
  const key = await currentKey(databases, stream.algorithm);
  const done: string[] = [];
  const now = Date.now();
  let verifiedAt: number | undefined;
  let refusal: string | undefined;
  for (const event of events) {
    const attempt = await push(sender, stream, key, controlTokenOf(stream, event));
    const name = event.uri.slice(event.uri.lastIndexOf('/') + 1);
    if (attempt.ok && attempt.refusal === undefined && event.uri === VERIFICATION) verifiedAt = now;
    if (!attempt.ok) refusal = `${name}: ${attempt.error}`;
    else if (attempt.refusal !== undefined) refusal = `${name}: ${attempt.refusal}`;
    if (attempt.ok || now - event.at >= DAY) done.push(event.n);
  }
  await settleControl(databases, streamId, done, {
    dueAt: now + CONTROL_PAUSE,
    ...(verifiedAt !== undefined && { verifiedAt }),
    ...(refusal !== undefined && { refusal }),
  });
}
