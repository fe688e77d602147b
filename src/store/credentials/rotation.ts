/** A credential is replaced, given back, or ends: each is one batch, so that no state lies between two (promise 4). */
import { sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { Unmet } from '../d1/batch';
import { expect } from '../d1/expect';
import { isoText } from '../d1/instants';
import { count, recordAs } from '../journal/record';
import { isGood } from '../org/caller';
import type { OrgStore } from '../org/open';
import {
  brief,
  type Credential,
  type CredentialDraft,
  credentialOf,
  detailsOfLine,
  type Expected,
  eventOf,
  expectGeneration,
  insertion,
  isAlive,
  isCurrent,
  isReplaced,
  type Line,
  nextGeneration,
  ofLine,
  selectAlive,
} from './credentials';

export interface Rotation extends CredentialDraft {
  /** Milliseconds for which the old one stays good. */
  readonly grace: number;
  /** The first use of the new one ends the grace early. */
  readonly retireOnUse: boolean;
}

/** What a rotation came to. */
export interface Rotated {
  readonly current: Credential;
  /** The one before, and until when it is good. */
  readonly predecessor: Credential;
  /** The one before that, if its own grace was cut short by this. */
  readonly killed: Credential | undefined;
}

/**
 * A new one takes the place of the current one, which stays good for its grace; the one that was in its grace is dead.
 * Whoever is dead by it is marked as revoked, so that no clock that is behind ours lets it in for another moment.
 *
 * @throws Unmet `token`: there is none to replace. `generation`: it is another one than expected.
 */
export async function rotateCredential(
  store: OrgStore,
  line: Line,
  rotation: Rotation,
  expected: Expected,
  by: string,
  actor: Actor,
): Promise<Rotated> {
  const { now } = store;
  const graceUntil = now + rotation.grace;
  const mine = ofLine(store, line);
  const inGrace = sql`credentials WHERE ${mine} AND ${isReplaced} AND ${isGood(now)}`;
  const kill = sql`revoked_at = ${now}, revoked_by = ${by}`;
  const results = await store.write(
    expect('token', sql`EXISTS (SELECT 1 FROM credentials WHERE ${mine} AND ${isCurrent})`),
    expectGeneration(store, line, expected),
    sql`SELECT * FROM ${inGrace}`,
    // The event is told while the rows still say what was.
    count(store),
    recordAs(
      store,
      actor,
      { type: eventOf(line, 'rotated'), targetId: rotation.id },
      sql`(SELECT json_object('mask', ${rotation.mask}, 'generation', ${nextGeneration(store, line)},
        'replaced', ${brief}, 'graceUntil', ${isoText(graceUntil)},
        'killed', (SELECT ${brief} FROM ${inGrace}), ${detailsOfLine(line, by, actor)})
        FROM credentials WHERE ${mine} AND ${isCurrent})`,
    ),
    sql`UPDATE credentials SET ${kill}, grace_until = min(grace_until, ${now}) WHERE ${mine} AND ${isReplaced}`,
    sql`UPDATE credentials SET replaced_at = ${now}, replaced_by = ${by}, grace_until = ${graceUntil}, retire_on_use = 0
      ${rotation.grace > 0 ? sql`` : sql`, ${kill}`} WHERE ${mine} AND ${isCurrent} RETURNING *`,
    insertion(store, line, rotation, by, rotation.retireOnUse),
    sql`SELECT * FROM credentials WHERE id = ${rotation.id}`,
  );
  const [killed] = results[2]!.map(credentialOf);
  return {
    current: credentialOf(results[8]![0]!),
    predecessor: credentialOf(results[6]![0]!),
    killed: killed && { ...killed, graceUntil: now, revokedAt: now, revokedBy: by },
  };
}

/** The end of a rotation's grace, one way or the other. */
export interface Ended {
  readonly current: Credential;
  /** The one that is dead by it. */
  readonly dead: Credential;
}

/**
 * The predecessor is the current one again, and the new one dead.
 *
 * @throws Unmet `generation`; `predecessor`: there is none whose grace lasts.
 */
export async function cancelRotation(
  store: OrgStore,
  line: Line,
  expected: Expected,
  by: string,
  actor: Actor,
): Promise<Ended> {
  const { now } = store;
  const mine = ofLine(store, line);
  const [, , before] = await store.write(
    expectGeneration(store, line, expected),
    expect('predecessor', sql`EXISTS (SELECT 1 FROM credentials WHERE ${mine} AND ${isReplaced} AND ${isGood(now)})`),
    selectAlive(store, line),
    count(store),
    recordAs(
      store,
      actor,
      { type: eventOf(line, 'cancelled') },
      sql`(SELECT json_object('dead', ${brief}, 'current',
        (SELECT ${brief} FROM credentials WHERE ${mine} AND ${isReplaced}), ${detailsOfLine(line, by, actor)})
        FROM credentials WHERE ${mine} AND ${isCurrent})`,
    ),
    sql`UPDATE credentials SET revoked_at = ${now}, revoked_by = ${by} WHERE ${mine} AND ${isCurrent}`,
    sql`UPDATE credentials SET replaced_at = NULL, replaced_by = NULL, grace_until = NULL, current_since = ${now},
      current_by = ${by} WHERE ${mine} AND ${isReplaced}`,
  );
  const [dead, again] = before!.map(credentialOf);
  return {
    current: {
      ...again!,
      ...{ replacedAt: undefined, replacedBy: undefined, graceUntil: undefined, currentSince: now, currentBy: by },
    },
    dead: { ...dead!, revokedAt: now, revokedBy: by },
  };
}

/**
 * The predecessor is dead from now on.
 *
 * @throws Unmet `generation`; `predecessor`: there is none whose grace lasts.
 */
export async function completeRotation(
  store: OrgStore,
  line: Line,
  expected: Expected,
  by: string,
  actor: Actor,
): Promise<Ended> {
  const { now } = store;
  const mine = ofLine(store, line);
  const good = sql`${mine} AND ${isReplaced} AND ${isGood(now)}`;
  const [, , before] = await store.write(
    expectGeneration(store, line, expected),
    expect('predecessor', sql`EXISTS (SELECT 1 FROM credentials WHERE ${good})`),
    selectAlive(store, line),
    count(store),
    recordAs(
      store,
      actor,
      { type: eventOf(line, 'completed') },
      sql`(SELECT json_object('dead', ${brief}, ${detailsOfLine(line, by, actor)}) FROM credentials WHERE ${good})`,
    ),
    sql`UPDATE credentials SET grace_until = ${now}, revoked_at = ${now}, revoked_by = ${by}
      WHERE ${mine} AND ${isReplaced}`,
  );
  const [current, dead] = before!.map(credentialOf);
  return { current: current!, dead: { ...dead!, graceUntil: now, revokedAt: now, revokedBy: by } };
}

/**
 * The credential that was to end its predecessor's grace has been used: what is left of the grace is the overlap, for
 * requests that are under way.
 *
 * @param overlap milliseconds.
 */
export async function retirePredecessor(
  store: OrgStore,
  line: Line,
  id: string,
  overlap: number,
  actor: Actor,
): Promise<void> {
  const until = store.now + overlap;
  const mine = ofLine(store, line);
  const late = sql`${mine} AND ${isReplaced} AND grace_until > ${until}`;
  const done = sql`UPDATE credentials SET retire_on_use = 0 WHERE id = ${id} AND ${mine}`;
  try {
    await store.write(
      expect(
        'predecessor',
        sql`EXISTS (SELECT 1 FROM credentials WHERE id = ${id} AND ${mine} AND ${isCurrent} AND retire_on_use = 1)
          AND EXISTS (SELECT 1 FROM credentials WHERE ${late})`,
      ),
      count(store),
      recordAs(
        store,
        actor,
        { type: eventOf(line, 'retired') },
        sql`(SELECT json_object('retired', ${brief}, 'graceUntil', ${isoText(until)},
          ${detailsOfLine(line, 'the first use of its successor', actor)}) FROM credentials WHERE ${late})`,
      ),
      sql`UPDATE credentials SET grace_until = ${until} WHERE ${late}`,
      done,
    );
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'predecessor') throw error;
    // Its grace is over already, or will be sooner than that.
    await store.write(done);
  }
}

/**
 * All of a line, at once: refused from the next request on. What is dead by the clock alone is marked, too, for another
 * machine's clock may be behind.
 *
 * @returns those that died by it.
 */
export async function revokeCredentials(store: OrgStore, line: Line, by: string, actor: Actor): Promise<Credential[]> {
  const { now } = store;
  const mine = sql`${ofLine(store, line)} AND ${isAlive}`;
  try {
    const [, good] = await store.write(
      expect('token', sql`EXISTS (SELECT 1 FROM credentials WHERE ${mine})`),
      sql`SELECT * FROM credentials WHERE ${mine} AND ${isGood(now)} ORDER BY generation DESC`,
      count(store),
      recordAs(
        store,
        actor,
        { type: eventOf(line, 'revoked') },
        sql`(SELECT json_object('masks', json_group_array(mask), ${detailsOfLine(line, by, actor)})
          FROM credentials WHERE ${mine})`,
      ),
      sql`UPDATE credentials SET revoked_at = ${now}, revoked_by = ${by} WHERE ${mine}`,
    );
    return good!.map((row) => ({ ...credentialOf(row), revokedAt: now, revokedBy: by }));
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'token') throw error;
    return []; // nothing has changed, so there is nothing to record
  }
}
