/** What a security event token tells (RFC 8417, CAEP 1.0, RISC 1.0, SSF 1.0), and what follows from it. Pure. */
import type { Policy } from '../store/credentials/signal-sources';

const TYPE = /^https:\/\/schemas\.openid\.net\/secevent\/(caep|risc|ssf|sse)\/event-type\/([a-z-]{1,60})$/;

/** Events of one token. The standard has one. */
const MAX_EVENTS = 10;

/** Events that can end sessions, as a source's policy names them. */
export const ENDING = [
  'session-revoked',
  'credential-change',
  'account-disabled',
  'account-purged',
  'credential-compromise',
] as const;
/** Those that do unless the source says otherwise. A person who changes a password need not be signed out by it. */
export const USUAL: readonly string[] = ['session-revoked', 'account-disabled', 'account-purged'];

/** Who must have set off what CAEP tells. Okta tells of a person's ordinary sign-out as `session-revoked`, too. */
const INITIATORS: readonly unknown[] = ['admin', 'policy', 'system'];

export interface SecurityEvent {
  /** The last part of its URI. */
  readonly name: string;
  readonly isCaep: boolean;
  readonly members: Readonly<Record<string, unknown>>;
}

/** @returns undefined: it is no such token. Events that we do not know are left out. */
export function eventsOf(events: unknown): SecurityEvent[] | undefined {
  if (typeof events !== 'object' || events === null || Array.isArray(events)) return undefined;
  const all = Object.entries(events as Record<string, unknown>);
  if (all.length === 0 || all.length > MAX_EVENTS) return undefined;
  if (all.some(([, members]) => typeof members !== 'object' || members === null || Array.isArray(members))) {
    return undefined;
  }
  return all.flatMap(([uri, members]) => {
    const [, family, name] = TYPE.exec(uri) ?? [];
    return name === undefined ? [] : [{ name, isCaep: family === 'caep', members: members as Record<string, unknown> }];
  });
}

/**
 * What follows. `end`: the sessions of the person are over. `own`: the person did it without an administrator or a policy,
 * so nothing does. `note`: it goes into the journal.
 */
export type Consequence = 'end' | 'own' | 'note' | 'verification' | 'stream-updated';

export function consequenceOf({ name, isCaep, members }: SecurityEvent, policy: Policy): Consequence {
  if (name === 'verification' || name === 'stream-updated') return name;
  if (!(policy.endsOn ?? USUAL).includes(name)) return 'note';
  const isOrdered = !isCaep || policy.anyInitiator === true || INITIATORS.includes(members['initiating_entity']);
  return isOrdered ? 'end' : 'own';
}
