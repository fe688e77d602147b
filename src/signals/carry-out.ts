/**
 * What signals do to the org that they are for: sessions end, or the journal says that somebody was named. Two round trips, one
 * where nobody is meant, and as many for twenty signals of one source as for one of them.
 */
import type { Actor } from '../events';
import type { Once } from '../store/credentials/oauth-clients';
import { type Noted, receiving, type SignalSource } from '../store/credentials/signal-sources';
import { Taken } from '../store/d1/batch';
import { type Lookups, MAX_MEANT, noteSignals, selectMeant, selectUsed } from '../store/directory/signal-subjects';
import { type SignedOut, signOutUsers } from '../store/directory/user-changes';
import type { Publication } from '../store/journal/outbox';
import type { OrgStore } from '../store/org/open';

/** One event of a signal: what is to be done, and for which users. */
export interface Act {
  /** Its name, for the journal. */
  readonly event: string;
  /** The sessions of the person end; else the journal says that the person was named. */
  readonly ends: boolean;
  /** The same object for the same person. */
  readonly lookups: Lookups;
}

/** A signal whose signature is right, and what follows from it. */
export interface Ordered {
  readonly source: Pick<SignalSource, 'id' | 'issuer'>;
  readonly once: Once;
  /** At least one. */
  readonly acts: readonly Act[];
  /** Of one that comes late: only sessions from before it end. Epoch milliseconds. */
  readonly until?: number;
  /** What it says of its stream. */
  readonly stream?: Noted;
  readonly actor: Actor;
}

/** What became of one. Committed, or nothing was to be done, or it was carried out before. */
export interface Done {
  readonly became: 'done' | 'used';
  /** Of each person that an event named and that was not found, or not for certain. */
  readonly hints: readonly ('subject' | 'ambiguous')[];
  /** Whose sessions ended. */
  readonly userIds: readonly string[];
}

/** Whether it may share its batch with others of its source: everything that it asks for ends sessions, now. */
export const isPlain = ({ acts, until, stream }: Ordered): boolean =>
  until === undefined && stream === undefined && acts.every(({ ends }) => ends);

/**
 * Carries out these signals in one write: all of them or none.
 *
 * @param signals of one source and one client; more than one if each of them `isPlain`.
 * @returns what became of each, and what is to be published.
 * @throws SourceGone; Unmet `signal_source`; Taken: one of them was used up meanwhile.
 */
export async function carryOut(
  store: OrgStore,
  signals: readonly Ordered[],
): Promise<{ done: Done[]; publications: Publication[] }> {
  const [{ source, actor, until, stream }] = signals as [Ordered];
  const hashes = signals.map(({ once }) => once.hash);
  const meant = selectMeant(
    store,
    signals.flatMap(({ acts }) => acts.map(({ lookups }) => lookups)),
  );
  const [usedRows, ...rows] = await receiving(store, source, []).read(selectUsed(store, hashes), ...meant.statements);
  const known = new Set(usedRows!.map(({ hash }) => hash));
  const usersOf = meant.read(rows);
  const found = signals.map((signal) => {
    const { hash } = signal.once;
    if (known.has(hash)) return undefined;
    known.add(hash); // the same one twice acts once
    return { signal, acts: signal.acts.map((act) => ({ ...act, users: usersOf.get(act.lookups)! })) };
  });
  const done = found.map((one): Done => {
    if (one === undefined) return { became: 'used', hints: [], userIds: [] };
    const each = [...new Set(one.acts.map(({ users }) => users))];
    return {
      became: 'done',
      hints: each.flatMap((users) =>
        users.length === 0 ? ['subject'] : users.length > MAX_MEANT ? ['ambiguous'] : [],
      ),
      userIds: [...new Set(one.acts.flatMap(({ ends, users }) => (ends && users.length <= MAX_MEANT ? users : [])))],
    };
  });
  const acting = found.filter((one) => one !== undefined);
  const ended = told(acting, true);
  const noted = told(acting, false);
  const isEnding = new Set(ended.flatMap(({ userIds }) => userIds));
  const others = noted.map((one) => ({ ...one, userIds: one.userIds.filter((id) => !isEnding.has(id)) }));
  if (ended.length + noted.length === 0 && (stream === undefined || acting.length === 0)) {
    return { done, publications: [] };
  }
  const using = acting.filter(({ acts }) => stream || acts.some(({ users }) => isFound(users)));
  const receiver = receiving(
    store,
    source,
    using.map(({ signal }) => signal.once),
    stream,
  );
  const also = noteSignals(receiver, actor, others);
  if (ended.length > 0) return { done, publications: await signOutUsers(receiver, ended, actor, until, also) };
  await receiver.write(...also);
  return { done, publications: [] };
}

/** Whether the signal was used up: by a repetition, or by one of a batch. */
export const isUsed = (error: unknown): boolean => error instanceof Taken && error.columns.startsWith('assertions.');

const isFound = (users: readonly string[]) => users.length > 0 && users.length <= MAX_MEANT;

/** A signal, and each of its acts with the users that it means. */
interface Found {
  readonly signal: Ordered;
  readonly acts: readonly (Act & { readonly users: readonly string[] })[];
}

/** Of each signal each person once, by the first event that names the person. Those of one event's name together. */
function told(found: readonly Found[], ends: boolean): SignedOut[] {
  const byEvent = new Map<string, { userIds: string[]; requestIds: string[]; issuer: string }>();
  for (const { signal, acts } of found) {
    const seen = new Set<string>();
    const { requestId } = signal.actor;
    for (const { event, users } of acts.filter((act) => act.ends === ends && isFound(act.users))) {
      const list = byEvent.get(event) ?? { userIds: [], requestIds: [], issuer: signal.source.issuer };
      byEvent.set(event, list);
      for (const id of users) {
        if (seen.has(id)) continue;
        seen.add(id);
        list.userIds.push(id);
        list.requestIds.push(requestId);
      }
    }
  }
  return [...byEvent]
    .filter(([, { userIds }]) => userIds.length > 0)
    .map(([event, { issuer, ...users }]) => ({ ...users, details: { cause: 'signal', event, issuer } }));
}
