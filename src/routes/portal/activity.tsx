/** What happened, and what was refused: the journal and the counted refusals, with filters, and as CSV. */
import { Hono } from 'hono';
import { DAY } from '../../duration';
import type { EventType } from '../../events';
import { tell } from '../../operator/history';
import { listRefusals } from '../../store/credentials/refusals';
import { readLatest } from '../../store/journal/latest';
import { hasNews, type Shown } from '../../store/portal/news';
import { outcomeOf, type ShownEvent, shownEvent } from '../events';
import { latestEvents } from './events';
import { clientName, faultOf } from './faults';
import { pathOf, render } from './layout';
import { Card, Empty, Name, Select, Table, Time } from './parts';
import { isLive, orgOf, type PortalApp, type PortalContext, type Visit } from './visit';

const SHOWN = 100;
const IN_FILE = 5_000;
const SPANS = [1, 7, 30, 90] as const;

type KindOf<T> = T extends `${infer K}.${string}` ? K : never;
/** Under which choice of the filter the events of a kind are: each has one. */
const FILTER_OF = {
  user: 'user.*',
  brake: 'brake.*',
  group: 'group.*',
  token: 'token.*',
  basic: 'basic.*',
  client: 'client.*',
  approval: 'client.*',
  signals: 'signals.*',
  webhook: 'webhook.*',
  schema: 'schema.*',
  scim: 'scim.*',
  org: 'org.*',
  seats: 'org.*',
  portal: 'portal.*',
  domain: 'domain.*',
} as const satisfies Record<KindOf<EventType>, string>;
const FILTERS = [...new Set(Object.values(FILTER_OF))];
/** The types of events that a choice stands for. */
const typesOf = (filter: string) =>
  Object.entries(FILTER_OF).flatMap(([kind, its]) => (its === filter ? [`${kind}.*`] : []));

export const activity = new Hono<PortalApp>();

/** What the query asks for. */
function askedBy(c: PortalContext) {
  const type = FILTERS.find((one) => one === c.req.query('type'));
  const days = SPANS.find((one) => String(one) === c.req.query('days')) ?? 7;
  const [before] = /^\d{1,15}$/.exec(c.req.query('before') ?? '') ?? [];
  return {
    type,
    types: type ? typesOf(type) : [],
    days,
    since: Date.now() - days * DAY,
    before: before ? Number(before) : undefined,
  };
}

/** What a page shows, as text: it comes back with each look for something newer. */
const versionOf = ({ seq, rejectedAt }: Shown) => `${seq}.${rejectedAt}`;

function shownBefore(c: PortalContext): Shown | undefined {
  const [, seq, rejectedAt] = /^(\d{1,15})\.(\d{1,15})$/.exec(c.req.header('X-Portal-Version') ?? '') ?? [];
  return seq === undefined ? undefined : { seq: Number(seq), rejectedAt: Number(rejectedAt) };
}

activity.get('/', async (c) => {
  if (c.req.query('format') === 'csv') return csv(c);
  const { visit } = c.var;
  const { activity: words, titles } = visit.texts;
  const { store } = orgOf(c);
  const shown = isLive(c) ? shownBefore(c) : undefined;
  if (shown && !(await hasNews(store, shown))) return c.body(null, 204);
  const { type, types, days, since, before } = askedBy(c);
  const [latest, refusals] = await Promise.all([
    readLatest(store, { types, since, before, limit: SHOWN, withNames: true }),
    listRefusals(orgOf(c).store, since),
  ]);
  const { tenant } = store;
  const events = latest.events.map(shownEvent);
  const names = new Map(latest.events.map(({ target, targetName }) => [target ?? '', targetName ?? '']));
  const version = versionOf({ seq: latest.current, rejectedAt: refusals[0]?.lastAt ?? since });
  const chosen = { ...(type && { type }), days: String(days) };
  const query = new URLSearchParams({ ...chosen, format: 'csv' });
  return render(
    c,
    { name: 'activity', title: titles.activity, lead: words.lead, tenant, version },
    <>
      <Card>
        <form method="get" class="row">
          <Select
            id="type"
            name="type"
            label={words.kind}
            chosen={type ?? ''}
            options={[{ value: '', text: words.all }, ...FILTERS.map((value) => ({ value, text: words.kinds[value] }))]}
          />
          <Select
            id="days"
            name="days"
            label={words.span}
            chosen={String(days)}
            options={SPANS.map((value) => ({ value: String(value), text: words.days(value) }))}
          />
          <button type="submit">{words.show}</button>
          <a class="button" href={`?${query}`} download>
            CSV
          </a>
        </form>
      </Card>
      <Card title={words.refused} id="refused" live>
        {refusals.length === 0 ? (
          <p class="soft">{words.nothingRefused}</p>
        ) : (
          <Table label={words.refused} head={[words.what, words.count, words.when, words.client]}>
            {refusals.slice(0, SHOWN).map((one) => (
              <tr>
                <td>{faultOf(visit, one, tenant.settings)}</td>
                <td class="n">{one.count}</td>
                <td>
                  <Time visit={visit} at={one.lastAt} />
                </td>
                <td>
                  <Name of={[clientName(visit, one.client, tenant.settings), one.address].filter(Boolean).join(', ')} />
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Card>
      <Card title={words.happened} id="happened" live={before === undefined}>
        {events.length === 0 ? (
          <Empty title={words.nothing}>{words.nothingText}</Empty>
        ) : (
          <ol class="log">
            {events.map((one) => (
              <li>
                <span class="soft small">
                  <Time visit={visit} at={Date.parse(one.at)} />
                </span>
                <span>
                  <Subject of={one} slug={tenant.slug} names={names} />
                  <Sentence visit={visit} of={one} names={names} />
                </span>
              </li>
            ))}
          </ol>
        )}
        {latest.before !== undefined && (
          <p>
            <a class="button" href={`?${new URLSearchParams({ ...chosen, before: String(latest.before) })}`}>
              {words.older}
            </a>
          </p>
        )}
      </Card>
    </>,
  );
});

/** Of a user's event what its history says; of others what it is called, and by whom. */
function Sentence({ visit, of: event, names }: { visit: Visit; of: ShownEvent; names: ReadonlyMap<string, string> }) {
  const { events, by, service } = visit.texts;
  const name = (events as Readonly<Record<string, string>>)[event.type];
  if (name === undefined) return <bdi lang="en">{tell(event, event.target ?? '', names)}</bdi>;
  const [kind = '', ...rest] = event.actor.split(':');
  const { details } = event;
  const who =
    (kind === 'admin' && typeof details['by'] === 'string' ? details['by'] : rest.join(':')) ||
    (kind === 'idp' ? visit.texts.yourProvider : service);
  const what = typeof details['domain'] === 'string' ? ` ${details['domain']}` : '';
  return (
    <>
      {name}
      <bdi>{what}</bdi> {by('')}
      <bdi>{who}</bdi>
    </>
  );
}

const Subject = ({
  of: { type, target },
  slug,
  names,
}: {
  of: ShownEvent;
  slug: string;
  names: ReadonlyMap<string, string>;
}) => {
  if (target === null) return null;
  const page =
    type.startsWith('user.') || type.startsWith('brake.') ? 'people' : type.startsWith('group.') ? 'groups' : '';
  if (page === '') return null;
  const name = names.get(target);
  return !name ? null : (
    <>
      <a href={pathOf(slug, `${page}/${target}`)}>
        <Name of={name} />
      </a>
      {' · '}
    </>
  );
};

/** RFC 4180; a cell that a spreadsheet would calculate is text. */
const cell = (value: unknown): string => {
  const text = String(value ?? '').replace(/^[=+\-@\t\r]/, "'$&");
  return `"${text.replaceAll('"', '""')}"`;
};

async function csv(c: PortalContext) {
  const { store } = orgOf(c);
  const { types, since } = askedBy(c);
  const [found, refusals] = await Promise.all([
    latestEvents(store, { types, since }, IN_FILE),
    listRefusals(orgOf(c).store, since),
  ]);
  const events = found.map(shownEvent);
  const head = ['at', 'kind', 'type', 'actor', 'target', 'outcome', 'count', 'detail'];
  const rows = [
    ...refusals.map((one) => [
      new Date(one.lastAt).toISOString(),
      'refused request',
      one.reason,
      one.client,
      '',
      'refused',
      one.count,
      faultOf(c.var.visit, one, store.tenant.settings),
    ]),
    ...events.map((one) => [
      one.at,
      'event',
      one.type,
      one.actor,
      one.target,
      outcomeOf(one),
      1,
      tell(one, one.target ?? '', new Map()),
    ]),
  ];
  c.header('Content-Disposition', `attachment; filename="activity-${store.tenant.slug}.csv"`);
  c.header('Content-Type', 'text/csv; charset=utf-8');
  return c.body([head, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join(''));
}
