/** Where an application's database differs from the directory of its org. */
import type { DirectorySource, MirroredGroup, MirroredUser } from './directory.ts';
import type { MirrorStore } from './store.ts';

export interface Difference {
  readonly kind: 'user' | 'group';
  readonly id: string;
  /** In the database alone, in the directory alone, or in both and not equal. */
  readonly is: 'only-here' | 'only-there' | 'different';
  /** Of `different`: in these members. */
  readonly members: readonly string[];
}

interface Repairable extends Difference {
  repair(): Promise<unknown>;
}

type Rows = Map<string, Readonly<Record<string, unknown>>>;

/**
 * Users and groups that have changed since the database was last up to date, or while it is compared, are left out: to
 * follow them is the mirror's work.
 *
 * @param after up to where the database is; undefined: nobody knows, so it is taken to be up to date.
 * @throws TypeError when the store has no lists.
 */
export async function differences(
  source: DirectorySource,
  store: MirrorStore,
  after: string | undefined,
): Promise<Repairable[]> {
  if (!store.users || !store.groups) throw new TypeError('store: users() and groups() are needed to compare');
  const since = after ?? (await source.groups(null)).asOfSeq;
  const [users, groups] = [await rowsOf(store.users()), await rowsOf(store.groups())];
  const found: Repairable[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await source.groups(cursor ?? null);
    for (const group of page.groups) compare('group', groups, group, () => store.upsertGroup(group), found);
    cursor = page.cursor;
  }
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await source.users(cursor ?? null);
    for (const user of page.users) compare('user', users, user, () => store.upsertUser(user), found);
    cursor = page.cursor;
  }
  for (const id of users.keys()) found.push(onlyHere('user', id, () => store.removeUser(id)));
  for (const id of groups.keys()) found.push(onlyHere('group', id, () => store.removeGroup(id)));
  const touched = await touchedSince(source, since);
  return touched === 'everybody' ? found : found.filter(({ kind, id }) => !touched.has(`${kind} ${id}`));
}

const onlyHere = (kind: Difference['kind'], id: string, remove: () => unknown): Repairable => ({
  ...{ kind, id, is: 'only-here', members: [] },
  repair: async () => remove(),
});

/** What is compared is taken out of the rows, so that those of the database alone are left. */
function compare(
  kind: Difference['kind'],
  rows: Rows,
  entry: MirroredUser | MirroredGroup,
  upsert: () => unknown,
  found: Repairable[],
): void {
  const row = rows.get(entry.id);
  rows.delete(entry.id);
  const members = row ? differing(row, entry) : [];
  if (row && members.length === 0) return;
  const is = row ? 'different' : 'only-there';
  found.push({ kind, id: entry.id, is, members, repair: async () => upsert() });
}

/** Members that the database does not keep are none. */
const differing = (row: Readonly<Record<string, unknown>>, entry: object): string[] =>
  Object.entries(entry)
    .filter(([name, value]) => row[name] !== undefined && canonical(row[name], name) !== canonical(value, name))
    .map(([name]) => name);

/** Their order says nothing. */
const SETS: readonly string[] = ['groups', 'roles', 'permissions'];

function canonical(value: unknown, name = ''): string {
  if (Array.isArray(value)) {
    const elements = value.map((element) => canonical(element));
    return `[${(SETS.includes(name) ? elements.sort() : elements).join()}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`)
    .sort()
    .join()}}`;
}

async function touchedSince(source: DirectorySource, since: string | number): Promise<Set<string> | 'everybody'> {
  const touched = new Set<string>();
  for (let after: string | number = since; ; ) {
    const changes = await source.changes(after);
    if (changes.resync) return 'everybody';
    for (const { id } of changes.users) touched.add(`user ${id}`);
    for (const { id } of changes.groups) touched.add(`group ${id}`);
    if (!changes.more) return touched;
    after = changes.next;
  }
}

async function rowsOf(rows: Iterable<{ id: string }> | AsyncIterable<{ id: string }>): Promise<Rows> {
  const found: Rows = new Map();
  for await (const row of rows) found.set(row.id, row as unknown as Readonly<Record<string, unknown>>);
  return found;
}
