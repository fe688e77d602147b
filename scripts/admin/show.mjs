/** How answers look to people: what several commands show in the same way. */
import { columns, harmless } from '../terminal.mjs';

/** To the second, as ISO 8601: it can be typed back. */
export const instant = (iso) => iso?.replace(/\.\d+Z$/, 'Z');

/** To the minute, where a table has little room. */
export const minute = (iso) => iso?.replace(/:\d\d(?:\.\d+)?Z$/, 'Z');

export const onOff = (is) => (is ? ['green', 'on'] : ['yellow', 'off']);
export const yesNo = (is) => (is ? ['green', 'yes'] : ['yellow', 'no']);

/** A sentence for a revocation that KV does not have yet; nothing otherwise. */
export const pending = (published) =>
  published
    ? ''
    : '\nKV cannot be written at the moment. The service tries again; `fast` session checks lag until then.';

/** What an answer calls an instant up to which sessions are over. */
const SESSIONS = 'sessions';
export const endedSessions = (validAfter) =>
  validAfter ? `those issued until ${instant(validAfter)} are over` : 'none has been ended';

/** An answer of any shape as rows `path, value`: a field that the API adds is shown without a change here. */
export function leaves(value) {
  const rows = [];
  const walk = (path, it) => {
    if (path === 'validAfter') return rows.push([['dim', SESSIONS], endedSessions(it)]);
    if (path === 'notBefore') return; // the former name of validAfter, answered beside it
    if (it === null || typeof it !== 'object') return rows.push([['dim', path], it]);
    for (const [key, inner] of Object.entries(it)) {
      walk(Array.isArray(it) ? `${path}[${key}]` : path ? `${path}.${key}` : key, inner);
    }
  };
  walk('', value);
  return rows;
}

/** A user by userName and id. */
export const person = (userName, id) => `${harmless(userName)} (${harmless(id)})`;

/** Names on the left, values on the right. */
export const facts = (rows) => columns(rows.map(([name, value]) => [['dim', name], value]));
