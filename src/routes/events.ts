/** The journal in both APIs that show it: what can be asked, and how an event looks. */
import * as z from 'zod/mini';
import { type EndCause, endCauseOfEvent } from '../end-cause';
import { invalidValue } from '../scim/error';
import { DEFAULT_PAGE, MAX_PAGE } from '../scim/query';
import type { Page, Recorded } from '../store/journal/read';
import { digits, pageSize } from './validator';

const SEQ = 'a whole number from 0 was expected';
export const seq = z.int(SEQ).check(z.gte(0, SEQ));

const types = z._default(
  z
    .array(
      z
        .string()
        .check(
          z.maxLength(40),
          z.regex(/^[a-z]+\.(?:[a-z_]+|\*)$/, 'the name of an event, such as user.deleted or user.*, was expected'),
        ),
      'a list was expected',
    )
    .check(z.maxLength(20, 'at most 20 are accepted')),
  [],
);

/** Members of a question. */
export const page = { after: z._default(seq, 0), limit: z._default(pageSize(MAX_PAGE), DEFAULT_PAGE), types };

/** The same in a query, where `type` may be there several times: `query(…, 'type')`. */
export const queriedPage = {
  after: z._default(z.pipe(digits, seq), 0),
  limit: z._default(z.pipe(digits, pageSize(MAX_PAGE)), DEFAULT_PAGE),
  type: types,
};

export interface ShownEvent {
  readonly seq: number;
  /** ISO text. */
  readonly at: string;
  readonly type: string;
  readonly actor: string;
  readonly target: string | null;
  readonly requestId: string;
  /** Where it has ended sessions: why. */
  readonly endedBy?: EndCause;
  readonly details: Record<string, unknown>;
}

export function shownEvent({ seq, at, type, actor, target, requestId, details }: Recorded): ShownEvent {
  const endedBy = endCauseOfEvent({ type, actor });
  return {
    seq,
    at: new Date(at).toISOString(),
    type,
    actor,
    target: target ?? null,
    requestId,
    ...(endedBy && { endedBy }),
    details: detailsOf(JSON.parse(details)),
  };
}

/** Events recorded before 0.2 name their quirks `bends`. Readers get one word. */
const detailsOf = ({ bends, ...details }: Record<string, unknown>): Record<string, unknown> =>
  bends === undefined ? details : { ...details, quirks: bends };

/**
 * What came of it. What is recorded was committed with its event, so it is `applied`; `partly` where ids of nobody were
 * left out; `refused` where the event is of a refusal that the org is told of, for good or by its deactivation limit.
 */
export function outcomeOf({ type, details }: ShownEvent): 'applied' | 'partly' | 'refused' {
  if (/[._]refused$|^brake\.held$/.test(type)) return 'refused';
  return details['unknownMembers'] === undefined ? 'applied' : 'partly';
}

/** A cursor from another org or another database would skip what is to come. @throws ScimError 400. */
export function refuseFuture(after: number, { current }: Pick<Page, 'current'>): void {
  if (after > current) throw invalidValue(`after: at most ${current} was expected, the org's latest event`);
}
