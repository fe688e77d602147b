/** The latest events of the journal: pages of it are read in their order, and the last ones are kept. */
import { type EventQuery, type Recorded, readEvents } from '../../store/journal/read';
import type { OrgStore } from '../../store/org/open';

/** Pages that one request reads: each is bounded. */
const MAX_PAGES = 10;
const PAGE = 500;

export interface Latest {
  /** The latest first. */
  readonly events: readonly Recorded[];
  /** Not all of the time that was asked for has been looked at. */
  readonly isCut: boolean;
}

export async function latestEvents(
  store: OrgStore,
  asked: Omit<EventQuery, 'after' | 'limit'>,
  most: number,
): Promise<Latest> {
  let after = 0;
  let events: Recorded[] = [];
  for (let page = 0; page < MAX_PAGES; page++) {
    const found = await readEvents(store, { ...asked, after, limit: PAGE });
    events = [...events, ...found.events].slice(-most);
    if (found.next >= found.current || found.next <= after) return { events: events.reverse(), isCut: false };
    after = found.next;
  }
  return { events: events.reverse(), isCut: true };
}
