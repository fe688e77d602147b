/** The vendor's own console: all orgs, those with something to do first; and each of their pages, with everything allowed. */
import { Hono } from 'hono';
import { NEARLY_FULL } from '../../operator/advice';
import { obstacleOf } from '../../operator/set-up';
import { listOrgs } from '../../store/operations/orgs';
import { glances } from '../../store/portal/console';
import { pathOf, render } from './layout';
import { Badge, Card, Empty, type Mark, Name, Note, Table, Time } from './parts';
import { notHere, type PortalApp } from './visit';

const SHOWN = 200;

export const vendorConsole = new Hono<PortalApp>();

vendorConsole.get('/', async (c) => {
  const { visit } = c.var;
  if (visit.scope !== 'operator') throw notHere();
  const { console: words, titles } = visit.texts;
  const after = (c.req.query('after') ?? '').slice(0, 63);
  const { orgs, incomplete } = await listOrgs(c.env, after, SHOWN);
  const ids = orgs.map(({ id }) => id);
  const found = await glances(c.env, ids, Date.now());
  const rows = orgs
    .map((org) => {
      const { settings, activeUserCount } = org;
      const seats = settings['plan.seats'];
      const last = found.get(org.id);
      const obstacle = obstacleOf(org);
      const warnings: [Mark, string][] = [
        ...(last?.held ? [['failed', words.held(last.held)] as [Mark, string]] : []),
        ...(last?.refused ? [['failed', words.refused(last.refused)] as [Mark, string]] : []),
        ...(seats !== undefined && activeUserCount >= NEARLY_FULL * seats
          ? [['warn', words.seats(activeUserCount, seats)] as [Mark, string]]
          : []),
        ...(obstacle ? [['waiting', words.obstacles[obstacle]] as [Mark, string]] : []),
      ];
      return { org, last, warnings };
    })
    .sort((a, b) => weight(b.warnings) - weight(a.warnings));
  return render(
    c,
    { name: 'orgs', title: titles.orgs, lead: words.lead },
    <Card>
      {incomplete.length > 0 && <Note mark="failed">{words.incomplete(incomplete.join(', '))}</Note>}
      {rows.length === 0 ? (
        <Empty title={words.none}>{words.noneText}</Empty>
      ) : (
        <Table label={titles.orgs} head={[words.org, words.warning, words.people, words.lastUsed]}>
          {rows.map(({ org, last, warnings }) => (
            <tr>
              <td>
                <a class="name" href={pathOf(org.slug)}>
                  <Name of={org.name} />
                </a>
                <span class="soft small mono">{org.slug}</span>
              </td>
              <td>
                <span class="row">
                  {warnings.length === 0 ? (
                    <Badge mark="works">{words.fine}</Badge>
                  ) : (
                    warnings.map(([mark, text]) => <Badge mark={mark}>{text}</Badge>)
                  )}
                </span>
              </td>
              <td class="n">
                {org.activeUserCount} / {org.userCount}
              </td>
              <td>
                <Time visit={visit} at={last?.usedAt} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      {orgs.length === SHOWN && (
        <a class="button" href={`?${new URLSearchParams({ after: orgs.at(-1)!.slug })}`}>
          {visit.texts.people.after}
        </a>
      )}
    </Card>,
  );
});

const WEIGHT: Readonly<Record<Mark, number>> = { failed: 100, warn: 10, waiting: 1, works: 0 };
const weight = (warnings: readonly [Mark, string][]): number => warnings.reduce((sum, [mark]) => sum + WEIGHT[mark], 0);
