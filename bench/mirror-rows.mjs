/** The rows of an application's SQLite beside the lists of the sessions API, one by one. */
import { DatabaseSync } from 'node:sqlite';

/** Differences that are named; more are only counted. */
const MOST = 20;

/** @returns `differences`: a sentence for each row that is not as the directory has it; `rows`: how many there are. */
export async function differencesOf({ url, token, org, database }) {
  const sqlite = new DatabaseSync(database, { readOnly: true });
  try {
    const [users, groups] = [await listed('users'), await listed('groups')];
    const people = sqlite.prepare('SELECT id, org, user_name, active, user FROM people').all();
    const roles = sqlite.prepare('SELECT id, org, "group" AS role FROM roles').all();
    const differences = [
      ...compared(
        'user',
        people,
        users,
        ({ user, ...row }, there) =>
          same(JSON.parse(user), there) &&
          same(row, { id: there.id, org, user_name: there.userName, active: there.active ? 1 : 0 }),
      ),
      ...compared('group', roles, groups, ({ role, org: its }, there) => its === org && same(JSON.parse(role), there)),
    ];
    const rest = differences.length - MOST;
    if (rest > 0) differences.splice(MOST, rest, `and ${rest} more`);
    return { differences, rows: { users: users.size, groups: groups.size } };
  } finally {
    sqlite.close();
  }

  async function listed(list) {
    const found = new Map();
    for (let cursor = ''; cursor !== null; ) {
      const query = new URLSearchParams({ org, ...(cursor && { cursor }) });
      const answer = await fetch(`${url}/sessions/v1/${list}?${query}`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      if (!answer.ok) throw new Error(`${list} was answered ${answer.status}`);
      const page = await answer.json();
      for (const entry of page[list]) found.set(entry.id, entry);
      cursor = page.cursor;
    }
    return found;
  }
}

function compared(kind, rows, there, isEqual) {
  const rest = new Map(there);
  const found = [];
  for (const row of rows) {
    const entry = rest.get(row.id);
    rest.delete(row.id);
    if (!entry) found.push(`${kind} ${row.id} is only in the database`);
    else if (!isEqual(row, entry)) found.push(`${kind} ${row.id} differs`);
  }
  return [...found, ...[...rest.keys()].map((id) => `${kind} ${id} is only in the directory`)];
}

const same = (a, b) => canonical(a) === canonical(b);

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)}}`;
}
