/** What goes wrong where the host has given nothing to tell it to: console.error says it, and does not flood the log. */
import type { Clock } from './clock.ts';

const MINUTE = 60_000;

/** @returns what writes a warning, at most once a minute for each `kind`. It holds no token and no person. */
export function warner(name: string, clock: Clock): (message: string, kind: string) => void {
  const warnedAt = new Map<string, number>();
  return (message, kind) => {
    const now = clock.monotonic();
    if (now - (warnedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < MINUTE) return;
    warnedAt.set(kind, now);
    console.error(`${name}: ${message}`);
  };
}

/** What an error says, without its stack. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
