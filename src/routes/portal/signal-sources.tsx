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
} as const;

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

/** The last one that is worth a look, of an org that has sources. @param refusals the latest first. */
const refusedSignal = (sources: readonly SignalSource[], refusals: readonly Refusal[]) =>
  sources.length === 0
    ? undefined
    : refusals.find(({ reason, hint }) => reason === 'signal' && !ORDINARY.includes(hint));

/** Whether something is to be done about signals. */
export const needCare = (sources: readonly SignalSource[], refusals: readonly Refusal[]): boolean =>
  refusedSignal(sources, refusals) !== undefined ||
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
  const refused = refusedSignal(sources, refusals);
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
        </>
      ))}
      {refused && (
        <Note mark="warn">
          <span>
            {words.refused} <Time visit={visit} at={refused.lastAt} />:{' '}
            {words.help[helpOf(refused.hint)](contactOf(visit, settings))}
          </span>
        </Note>
      )}
    </Card>
  );
};
