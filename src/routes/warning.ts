/** Lines in the log about what strangers can repeat: once a minute, and so many different ones, in each isolate. */

const MINUTE = 60_000;
const MAX_LINES = 200;
const warned = { minute: 0, keys: new Set<string>() };

/** @param key of which one line a minute is enough. */
export function warnOnce(key: string, line: Readonly<Record<string, unknown>>): void {
  const minute = Math.floor(Date.now() / MINUTE);
  if (minute !== warned.minute) {
    warned.minute = minute;
    warned.keys.clear();
  }
  if (warned.keys.has(key) || warned.keys.size >= MAX_LINES) return;
  warned.keys.add(key);
  console.warn(JSON.stringify(line));
}
