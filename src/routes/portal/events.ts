/** The latest events of the journal for a file: page after page backwards, up to a bound. */
import { type LatestQuery, readLatest } from '../../store/journal/latest';
import type { Recorded } from '../../store/journal/read';
import type { OrgStore } from '../../store/org/open';

/** Pages that one request reads: each is one round trip of bounded cost. */
const MAX_PAGES = 10;

/** The latest first. @param most events at most. */
export async function latestEvents(
  store: OrgStore,
  asked: Omit<LatestQuery, 'before' | 'limit'>,
  most: number,
): Promise<readonly Recorded[]> {
  const events: Recorded[] = [];
  let before: number | undefined;
  for (let page = 0; page < MAX_PAGES && events.length < most; page++) {
    const found = await readLatest(store, { ...asked, before, limit: most - events.length });
    events.push(...found.events);
    before = found.before;
    if (before === undefined) break;
  }
  return events;
}
