/**
 * Why sessions were ended, as the application tells its people: «You were signed out because …». It follows from who
 * acted, is kept beside the `validAfter`, and is pure.
 */
import type { Actor } from './events';

/** What can end sessions. */
const CAUSES = ['scim', 'operator', 'portal', 'signal', 'service'] as const;

export interface EndCause {
  /**
   * `scim`: the identity provider changed the user. `operator`: the vendor did. `portal`: the customer's administrator
   * did. `signal`: an issuer of signals asked for it. `service`: the service did by itself, by a setting.
   */
  readonly cause: (typeof CAUSES)[number];
  /** Of a signal: who sent it. */
  readonly issuer?: string;
}

/** The actor of what a signal of this issuer does. */
export const signalActor = (issuer: string): string => `signal:${issuer}`;

const OF_ACTOR: Readonly<Record<string, EndCause['cause']>> = {
  idp: 'scim',
  client: 'scim',
  admin: 'operator',
  portal: 'portal',
  signal: 'signal',
};

/** Why the sessions are over that this actor ends. */
export function endCauseOf({ name }: Pick<Actor, 'name'>): EndCause {
  const colon = name.indexOf(':');
  const kind = colon < 0 ? name : name.slice(0, colon);
  const cause = Object.hasOwn(OF_ACTOR, kind) ? OF_ACTOR[kind]! : 'service';
  return cause === 'signal' ? { cause, issuer: name.slice(colon + 1) } : { cause };
}

/** As a column keeps it: `scim`, `signal https://acme.okta.com`. */
export const endCauseText = ({ cause, issuer }: EndCause): string =>
  issuer === undefined ? cause : `${cause} ${issuer}`;

/** @param text a column; what was ended before causes were kept has none. */
export function endCauseIn(text: unknown): EndCause | undefined {
  if (typeof text !== 'string') return undefined;
  const [word = '', issuer] = text.split(' ', 2);
  const cause = CAUSES.find((one) => one === word);
  return cause && { cause, ...(issuer !== undefined && { issuer }) };
}

/** An end of sessions: when, and why. */
export interface End {
  /** Epoch milliseconds. */
  readonly validAfter: number | undefined;
  readonly endedBy?: EndCause | undefined;
}

/** The latest of these, which is the one that counts for a session. */
export function latestEnd(...ends: readonly End[]): End {
  return ends.reduce((latest, end) => ((end.validAfter ?? -1) > (latest.validAfter ?? -1) ? end : latest), {
    validAfter: undefined,
    endedBy: undefined,
  });
}

/** Events after which sessions are over. */
const ENDING = new Set([
  'user.deactivated',
  'user.deleted',
  'user.erased',
  'user.signed_out',
  'org.disabled',
  'org.signed_out',
]);

/**
 * Of an event: why the sessions are over that it ended; undefined: it ended none. What the service erases by itself was
 * deleted long before.
 */
export const endCauseOfEvent = ({ type, actor }: { readonly type: string; readonly actor: string }) =>
  ENDING.has(type) && actor !== 'service' ? endCauseOf({ name: actor }) : undefined;
