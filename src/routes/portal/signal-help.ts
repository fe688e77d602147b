/** What a refused signal needs, from its hint (operator/refusal-sentences.ts has them all). Pure. */

const HELP = {
  clock: ['clock', 'expired'],
  keys: ['key', 'signature', 'jwks', 'unavailable'],
  endpoint: ['audience', 'missing'],
  person: ['subject'],
  naming: ['format', 'foreign', 'ambiguous', 'body'],
  issuer: ['issuer'],
  nothing: ['initiator', 'replayed'],
  again: ['rate_limited', 'paused', 'address'],
} as const;

type Help = keyof typeof HELP | 'other';

export const signalHelpOf = (hint: string): Help =>
  (Object.keys(HELP) as (keyof typeof HELP)[]).find((kind) => HELP[kind].some((one) => one === hint)) ?? 'other';

/** Whether the customer's administrator can do something. */
export const isForAdministrator = (help: Help): boolean => help !== 'nothing' && help !== 'again';

/** Whether it is about one person each. The others are over once a signal of the source is accepted. */
export const isOfPerson = (help: Help): boolean => help === 'person' || help === 'naming';
