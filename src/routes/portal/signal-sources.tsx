/** Who may end sessions by signals, how that goes, and what to do about the last one that was refused. */
import type { FC } from 'hono/jsx';
import type { Refusal } from '../../store/credentials/refusals';
import type { SignalSource } from '../../store/credentials/signal-sources';
import type { OrgSettings } from '../../store/org/settings';
import { contactOf } from './faults';
import { Badge, Card, Facts, type Mark, Name, Note, Time } from './parts';
import type { Visit } from './visit';

/** From which nothing follows for the customer's administrator: an ordinary sign-out, a repetition. */
const ORDINARY = ['initiator', 'replayed', 'rate_limited', 'paused'];

/** What kind of help a refusal needs (operator/refusal-sentences.ts has the hints). */
const HELP = {
  clock: ['clock', 'expired'],
  keys: ['key', 'signature', 'jwks', 'unavailable'],
  address: ['audience', 'missing'],
  person: ['subject'],
  naming: ['format', 'foreign', 'ambiguous', 'body'],
  issuer: ['issuer'],
} as const;

/** About one person each. The others are over once a signal of the source is accepted. */
const OF_PERSONS: readonly string[] = ['person', 'naming'];

const helpOf = (hint: string) =>
  (Object.keys(HELP) as (keyof typeof HELP)[]).find((kind) => HELP[kind].some((one) => one === hint)) ?? 'other';

function stateOf({ status, stream, verifiedAt, lastSignalAt, pausedAt, poll }: SignalSource) {
  if (pausedAt !== undefined) return 'paused';
  if ((poll?.failures ?? 0) > 0 || (status !== undefined && status !== 'enabled')) return 'failed';
  if (stream !== undefined && verifiedAt === undefined) return 'unverified';
  return lastSignalAt === undefined ? 'waiting' : 'works';
}

const MARKS: Readonly<Record<ReturnType<typeof stateOf>, Mark>> = {
  ...{ works: 'works', waiting: 'waiting', unverified: 'warn', paused: 'warn', failed: 'failed' },
};

const isWorthALook = ({ reason, hint }: Refusal) => reason === 'signal' && !ORDINARY.includes(hint);

/** The last one of each kind of help. @param refusals the latest first. */
function refusedOf({ type, issuer, lastSignalAt = 0 }: SignalSource, refusals: readonly Refusal[]): Refusal[] {
  const kinds = new Map<string, Refusal>();
  for (const refusal of refusals.filter(isWorthALook)) {
    const kind = helpOf(refusal.hint);
    const isOver = lastSignalAt > refusal.lastAt && !OF_PERSONS.includes(kind);
    const isIts = refusal.source?.type === type && refusal.source.issuer === issuer;
    if (isIts && !isOver && !kinds.has(kind)) kinds.set(kind, refusal);
  }
  return [...kinds.values()];
}

/**
 * The last one that names no source. Anybody can send these, so they are shown only while a source waits for its first signal: it may
 * be entered wrongly.
 *
 * @param refusals the latest first.
 */
const refusedOfNobody = (sources: readonly SignalSource[], refusals: readonly Refusal[]): Refusal[] =>
  sources.some(({ lastSignalAt }) => lastSignalAt === undefined)
    ? refusals.filter((one) => isWorthALook(one) && one.source === undefined).slice(0, 1)
    : [];

/** Whether something is to be done about signals. */
export const needCare = (sources: readonly SignalSource[], refusals: readonly Refusal[]): boolean =>
  refusedOfNobody(sources, refusals).length > 0 ||
  sources.some((source) => refusedOf(source, refusals).length > 0) ||
  sources.some((source) => MARKS[stateOf(source)] === 'warn' || MARKS[stateOf(source)] === 'failed');

/** Nothing, where the org has no sources. @param refusals the latest first. */
export const SignalSources: FC<{
  visit: Visit;
  sources: readonly SignalSource[];
  refusals: readonly Refusal[];
  settings: OrgSettings;
}> = ({ visit, sources, refusals, settings }) => {
  const { signals: words } = visit.texts;
  if (sources.length === 0) return null;
  const Refused: FC<{ of: readonly Refusal[] }> = ({ of }) => (
    <>
      {of.map(({ hint, lastAt }) => (
        <Note mark="warn">
          <span>
            {words.refused} <Time visit={visit} at={lastAt} />: {words.help[helpOf(hint)](contactOf(visit, settings))}
          </span>
        </Note>
      ))}
    </>
  );
  return (
    <Card id="signals" live title={words.title}>
      {sources.map((source) => (
        <>
          <p>
            <Name of={source.issuer} /> <Badge mark={MARKS[stateOf(source)]}>{words.states[stateOf(source)]}</Badge>
          </p>
          <Facts
            of={[
              [words.kind, words.kinds[source.type]],
              source.type === 'ssf' && [words.verified, <Time visit={visit} at={source.verifiedAt} />],
              [words.last, <Time visit={visit} at={source.lastSignalAt} />],
            ]}
          />
          <Refused of={refusedOf(source, refusals)} />
        </>
      ))}
      <Refused of={refusedOfNobody(sources, refusals)} />
    </Card>
  );
};
