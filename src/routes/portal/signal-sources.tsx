/** Who may end sessions by signals, how that goes, and what to do about those that were refused. */
import type { FC } from 'hono/jsx';
import type { Refusal } from '../../store/credentials/refusals';
import type { SignalSource } from '../../store/credentials/signal-sources';
import type { OrgSettings } from '../../store/org/settings';
import { contactOf } from './faults';
import { Badge, Card, Facts, type Mark, Name, Note, Time } from './parts';
import { isForAdministrator, isOfPerson, signalHelpOf } from './signal-help';
import type { Visit } from './visit';

function stateOf({ status, stream, verifiedAt, lastSignalAt, pausedAt, poll }: SignalSource) {
  if (pausedAt !== undefined) return 'paused';
  if ((poll?.failures ?? 0) > 0 || (status !== undefined && status !== 'enabled')) return 'failed';
  if (stream !== undefined && verifiedAt === undefined) return 'unverified';
  return lastSignalAt === undefined ? 'waiting' : 'works';
}

const MARKS: Readonly<Record<ReturnType<typeof stateOf>, Mark>> = {
  ...{ works: 'works', waiting: 'waiting', unverified: 'warn', paused: 'warn', failed: 'failed' },
};

const isWorthALook = ({ reason, hint }: Refusal) => reason === 'signal' && isForAdministrator(signalHelpOf(hint));

/** The last one of each kind of help. @param refusals the latest first. */
function refusedOf({ type, issuer, lastSignalAt = 0 }: SignalSource, refusals: readonly Refusal[]): Refusal[] {
  const kinds = new Map<string, Refusal>();
  for (const refusal of refusals.filter(isWorthALook)) {
    const kind = signalHelpOf(refusal.hint);
    const isOver = lastSignalAt > refusal.lastAt && !isOfPerson(kind);
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
  const contact = contactOf(visit, settings);
  const Refused: FC<{ of: readonly Refusal[]; what: string }> = ({ of, what }) => (
    <>
      {of.map(({ hint, lastAt }) => (
        <Note mark="warn">
          <span>
            {what} (<Time visit={visit} at={lastAt} />
            ): {words.help[signalHelpOf(hint)](contact)}
          </span>
        </Note>
      ))}
    </>
  );
  return (
    <Card id="signals" live title={words.title}>
      <Refused of={refusedOfNobody(sources, refusals)} what={words.refusedOfNobody} />
      {sources.map((source) => (
        <>
          <h3>
            <Name of={source.issuer} /> <Badge mark={MARKS[stateOf(source)]}>{words.states[stateOf(source)]}</Badge>
          </h3>
          <Facts
            of={[
              [words.kind, words.kinds[source.type]],
              source.type === 'ssf' && [words.verified, <Time visit={visit} at={source.verifiedAt} />],
              [words.last, <Time visit={visit} at={source.lastSignalAt} />],
            ]}
          />
          {stateOf(source) === 'failed' && (
            <Note mark="failed">
              {(source.poll?.failures ?? 0) > 0 ? words.unreachable(contact) : words.stopped(contact)}
            </Note>
          )}
          <Refused of={refusedOf(source, refusals)} what={words.refused} />
        </>
      ))}
    </Card>
  );
};
