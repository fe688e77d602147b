/** What comes next for a stream in one org: tokens that are made of the journal when they are sent. */
import type { Databases } from '../store/d1/databases';
import { readEventsFrom, readSubjects } from '../store/operations/signal-journal';
import { placeOf } from '../store/operations/signal-lines';
import type { PushedStream } from '../store/operations/signal-streams';
import type { SigningKey } from '../store/operations/signing-keys';
import { draftsOf, SOURCES, SUPPORTED, userIn } from './events';
import { type Placed, tokenOf } from './tokens';

/** Tokens that are made at once. */
export const MAX_PAGE = 20;

export interface TokenPage {
  readonly tokens: readonly Placed[];
  /** Once all of them are delivered, everything up to this place is. */
  readonly through: number;
  /** Nothing follows in the journal. */
  readonly isEnd: boolean;
  /** Events up to this one were gone by their age before all of them were delivered. */
  readonly lostThrough: number | undefined;
  readonly signer: SigningKey | undefined;
}

/** What the stream is sent: of what it has asked for, what there is. */
export const eventsDelivered = ({ eventsRequested }: Pick<PushedStream, 'eventsRequested'>): string[] =>
  SUPPORTED.filter((uri) => eventsRequested === undefined || eventsRequested.includes(uri));

/**
 * Two round trips, one where there is nothing to tell.
 *
 * @param place the tokens behind it.
 * @throws ScimError 404: the org is gone.
 */
export async function readPage(
  databases: Databases,
  orgId: string,
  stream: PushedStream,
  place: number,
): Promise<TokenPage> {
  const found = await readEventsFrom(databases, orgId, place, SOURCES);
  const { tenant, events, lostThrough, isEnd } = found;
  const isAsked = new Set(eventsDelivered(stream));
  const all = events.flatMap((event) =>
    draftsOf(event)
      .filter(({ uri, token }) => isAsked.has(uri) && placeOf(event.seq, token) > place)
      .filter(({ about }) => about.kind !== 'address' || stream.subject === 'email')
      .map((draft) => ({ event, draft })),
  );
  if (all.length === 0) return { tokens: [], through: found.through, isEnd, lostThrough, signer: undefined };
  const next = all.slice(0, MAX_PAGE);
  const last = next.at(-1)!;
  const isCut = all.length > next.length;
  const since = new Map<string, number>();
  for (const { event, draft } of next) {
    const id = userIn(draft.about);
    if (id !== undefined && !since.has(id)) since.set(id, event.seq);
  }
  const groups = next.flatMap(({ draft: { about } }) => (about.kind === 'group' ? about.id : []));
  const subjects = await readSubjects(databases, orgId, stream, since, [...new Set(groups)]);
  return {
    tokens: next.flatMap(({ event, draft }) => tokenOf(stream, tenant, event, draft, subjects) ?? []),
    through: isCut ? placeOf(last.event.seq, last.draft.token) : found.through,
    isEnd: isEnd && !isCut,
    lostThrough,
    signer: subjects.signer,
  };
}
