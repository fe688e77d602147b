/** What happened, and what was refused: the journal and the counted refusals, with filters, and as CSV. */
import { Hono } from 'hono';
import { DAY } from '../../duration';
import { tell } from '../../operator/history';
import { listRefusals } from '../../store/credentials/refusals';
import { namesOfGroups } from '../../store/directory/subjects';
import { namesOfUsers } from '../../store/portal/names';
import { outcomeOf, type ShownEvent, shownEvent } from '../events';
import { latestEvents } from './events';
import { clientName, faultOf } from './faults';
import { pathOf, render } from './layout';
import { Card, Empty, Name, Select, Table, Time } from './parts';
import { orgOf, type PortalApp, type PortalContext, type Visit } from './visit';

const SHOWN = 100;
const IN_FILE = 5_000;
const KINDS = [
  'user.*',
  'group.*',
  'token.*',
  'basic.*',
  'client.*',
  'scim.*',
  'org.*',
  'portal.*',
  'domain.*',
] as const;
const SPANS = [1, 7, 30, 90] as const;

export const activity = new Hono<PortalApp>();

async function look(c: PortalContext, most: number) {
  const { store } = orgOf(c);
  const type = KINDS.find((one) => one === c.req.query('type'));
  const days = SPANS.find((one) => String(one) === c.req.query('days')) ?? 7;
  const since = Date.now() - days * DAY;
  const [{ events, isCut }, refusals] = await Promise.all([
    latestEvents(store, { types: type ? [type] : [], since }, most),
    listRefusals(orgOf(c).store, since),
  ]);
  return { store, type, days, isCut, events: events.map(shownEvent), refusals };
}

activity.get('/', async (c) => {
  if (c.req.query('format') === 'csv') return csv(c);
  const { visit } = c.var;
  const { activity: words, titles } = visit.texts;
  const { store, type, days, events, isCut, refusals } = await look(c, SHOWN);
  const { tenant } = store;
  const targets = (kind: string) =>
    events.flatMap((one) => (one.target && one.type.startsWith(kind) ? [one.target] : []));
  const [users, groups] = await Promise.all([
    namesOfUsers(store, targets('user.')),
    namesOfGroups(store, [...new Set(targets('group.'))]),
  ]);
  const query = new URLSearchParams({ ...(type && { type }), days: String(days), format: 'csv' });
  return render(
    c,
    { name: 'activity', title: titles.activity, lead: words.lead, tenant },
    <>
      <Card>
        <form method="get" class="row">
          <Select
            id="type"
            name="type"
            label={words.kind}
            chosen={type ?? ''}
            options={[{ value: '', text: words.all }, ...KINDS.map((value) => ({ value, text: words.kinds[value] }))]}
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
      <Card title={words.happened} id="happened" live>
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
                  <Subject of={one} slug={tenant.slug} users={users} groups={groups} />
                  <Sentence visit={visit} of={one} names={groups} />
                </span>
              </li>
            ))}
          </ol>
        )}
        {(isCut || events.length === SHOWN) && <p class="soft small">{words.cut(SHOWN)}</p>}
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
  users,
  groups,
}: {
  of: ShownEvent;
  slug: string;
  users: ReadonlyMap<string, string>;
  groups: ReadonlyMap<string, string>;
}) => {
  if (target === null) return null;
  const page =
    type.startsWith('user.') || type.startsWith('brake.') ? 'people' : type.startsWith('group.') ? 'groups' : '';
  if (page === '') return null;
  const name = (page === 'people' ? users : groups).get(target);
  return name === undefined ? null : (
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
  const { store, events, refusals } = await look(c, IN_FILE);
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
