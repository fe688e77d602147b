/** What tokens of signals are made of: events of the journal, and the users and groups that they name. */
import { sql } from 'drizzle-orm';
import type { Resource } from '../../scim/resource';
import { type Databases, isSpread } from '../d1/databases';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { events } from '../d1/tables';
import { type Person, selectPeople } from '../directory/people';
import { openStore } from '../org/open';
import type { Tenant } from '../org/tenant';
import { endOf, seqOf } from './signal-lines';
import {
  type NameChange,
  nameChangesIn,
  type SubjectIssuer,
  selectNameChanges,
  selectSubjectIssuer,
  subjectIssuerIn,
} from './signal-names';
import type { PushedStream } from './signal-streams';
import { currentKey, type SigningKey, selectSigner, signingKeyOf } from './signing-keys';

/** An event of the journal, as signals are made of it. */
export interface JournalEvent {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  readonly target: string | undefined;
  readonly requestId: string;
  readonly details: Readonly<Record<string, unknown>>;
}

const rowOfEvent = rowOf(events, 'seq', 'at', 'type', 'actor', 'targetId', 'requestId', 'details');

function eventOf(row: Row): JournalEvent {
  const { targetId, details, ...event } = rowOfEvent(row);
  return { ...event, target: orAbsent(targetId), details: JSON.parse(details) };
}

export interface EventPage {
  readonly tenant: Tenant;
  readonly events: readonly JournalEvent[];
  /** Once all of it is delivered, everything up to here is. */
  readonly through: number;
  /** Nothing follows in the journal. */
  readonly isEnd: boolean;
  /** Events up to this one may be gone, and some of them were not delivered. */
  readonly lostThrough: number | undefined;
}

/** Events that are looked through at once for those of the right types, and those of them that are read. */
const SCANNED = 500;
const READ = 20;

/**
 * The events behind a place. One round trip.
 *
 * @param types of the journal that signals are made of.
 * @throws ScimError 404: the org is gone.
 */
export async function readEventsFrom(
  databases: Databases,
  orgId: string,
  place: number,
  types: readonly string[],
): Promise<EventPage> {
  const store = openStore(databases, { kind: 'id', id: orgId }, Date.now());
  const from = place === endOf(seqOf(place)) ? seqOf(place) + 1 : seqOf(place);
  const recent = sql`SELECT seq, type FROM events WHERE org_id = ${store.org} AND seq >= ${from} ORDER BY seq LIMIT ${SCANNED}`;
  const [heads, ends, rows] = await store.read(
    sql<{
      pruned_through: number;
      event_seq: number;
    }>`SELECT pruned_through, event_seq FROM orgs WHERE id = ${store.org}`,
    sql<{ through: number; n: number }>`SELECT max(seq) AS through, count(*) AS n FROM (${recent})`,
    sql`SELECT e.* FROM (SELECT seq FROM (${recent}) WHERE type IN (SELECT value FROM json_each(${JSON.stringify(types)}))
        ORDER BY seq LIMIT ${READ + 1}) AS it
      CROSS JOIN events AS e ON e.org_id = ${store.org} AND e.seq = it.seq ORDER BY e.seq`,
  );
  const { pruned_through: pruned, event_seq: current } = heads[0]!;
  const isCut = rows.length > READ;
  const looked = ends[0]!.n === SCANNED ? ends[0]!.through : current;
  const found = rows.slice(0, READ).map(eventOf);
  return {
    tenant: store.tenant,
    events: found,
    through: endOf(isCut ? found.at(-1)!.seq : Math.max(looked, from - 1)),
    isEnd: !isCut && looked >= current,
    lostThrough: from <= pruned ? pruned : undefined,
  };
}

/** The users and groups that tokens name: their present state, and the names that users had before. */
export interface Subjects {
  readonly users: ReadonlyMap<string, Person>;
  /** The externalIds of groups that are there. */
  readonly groups: ReadonlyMap<string, string | undefined>;
  /** Users that the receiver has removed from the stream. */
  readonly excluded: ReadonlySet<string>;
  /** What changed of the names of users since the first event that tells of them. Empty where they are named by `scim`. */
  readonly names: ReadonlyMap<string, readonly NameChange[]>;
  /** Undefined also where nobody is named by `iss_sub`. */
  readonly subjectIssuer: SubjectIssuer | undefined;
  /** What signs; undefined: there is no key. */
  readonly signer: SigningKey | undefined;
}

/**
 * One round trip. Users and groups that are not there are left out.
 *
 * @param since by the ids of users: the first event that tells of them.
 * @param groups ids.
 */
export async function readSubjects(
  databases: Databases,
  orgId: string,
  { id: streamId, algorithm, subject }: Pick<PushedStream, 'id' | 'algorithm' | 'subject'>,
  since: ReadonlyMap<string, number>,
  groups: readonly string[],
): Promise<Subjects> {
  const store = openStore(databases, { kind: 'id', id: orgId }, Date.now());
  const asked = sql`SELECT value FROM json_each(${JSON.stringify([...since.keys()])})`;
  const people = selectPeople(store, sql`SELECT seq FROM users WHERE org_id = ${store.org} AND id IN (${asked})`);
  const isSplit = isSpread(databases);
  const reading = store.read(
    isSplit ? sql`SELECT 1 WHERE false` : selectSigner(algorithm),
    sql`SELECT user_id AS id FROM signal_exclusions WHERE org_id = ${store.org} AND stream_id = ${streamId} AND user_id IN (${asked})`,
    sql`SELECT id, external_id FROM groups WHERE org_id = ${store.org}
      AND id IN (SELECT value FROM json_each(${JSON.stringify(groups)}))`,
    ...people.statements,
    ...(subject === 'scim' ? [] : [selectNameChanges(store, since)]),
    ...(subject === 'iss_sub' ? [selectSubjectIssuer(sql`${store.org}`)] : []),
  );
  const [[signers, left, found, ...rows], key] = await Promise.all([
    reading,
    isSplit ? currentKey(databases, algorithm) : undefined,
  ]);
  const [changes = [], issuers = []] = rows.splice(people.statements.length);
  return {
    users: new Map(people.read(rows).map(({ person }) => [person.id, person])),
    groups: new Map(found!.map((row) => [row['id'] as string, orAbsent(row['external_id'] as string | null)])),
    excluded: new Set(left!.map((row) => row['id'] as string)),
    names: nameChangesIn(changes),
    subjectIssuer: subjectIssuerIn(issuers),
    signer: key ?? (signers![0] && signingKeyOf(signers![0])),
  };
}

/** A user's externalId, if there is one. */
export const externalIdOf = (resource: Resource | undefined): string | undefined =>
  resource?.['externalId'] as string | undefined;
