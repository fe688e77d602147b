/** What the journal of an org says of its moves. */
import type { Actor, Details } from '../../events';
import { count, record } from '../journal/record';
import type { OrgStore } from '../org/open';

export async function noteMove(
  store: OrgStore,
  actor: Actor,
  type: 'org.move_started' | 'org.move_cancelled',
  details: Details,
): Promise<void> {
  await store.write(count(store), record(store, actor, { type, details }));
}
