/** Which attributes arrive, which of them are kept and which are not, and how this identity provider maps them. */
import { Hono } from 'hono';
import { type Arrived, readArrivals } from '../../store/operations/attributes';
import { scimBaseUrl } from '../admin/respond';
import { pathOf, render } from './layout';
import { Badge, Card, Empty, Note, Table, Time } from './parts';
import { Guide } from './set-up';
import { orgOf, type PortalApp } from './visit';

export const attributes = new Hono<PortalApp>();

attributes.get('/', async (c) => {
  const { visit } = c.var;
  const { attributes: words, titles } = visit.texts;
  const { store } = orgOf(c);
  const arrived = await readArrivals(store);
  const { tenant } = store;
  const ignored = arrived.filter(({ isIgnored }) => isIgnored);
  const rows = (all: readonly Arrived[]) =>
    all.map(({ resourceType, name, isIgnored, today, week, lastAt }) => (
      <tr>
        <td>
          <code dir="ltr" class="name">
            {name || words.others}
          </code>
        </td>
        <td>{resourceType === 'User' ? words.person : words.group}</td>
        <td>
          <Badge mark={isIgnored ? 'warn' : 'works'}>{isIgnored ? words.ignored : words.kept}</Badge>
        </td>
        <td class="n">{today}</td>
        <td class="n">{week}</td>
        <td>
          <Time visit={visit} at={lastAt} />
        </td>
      </tr>
    ));
  return render(
    c,
    { name: 'attributes', title: titles.attributes, lead: words.lead, tenant },
    <>
      {ignored.length > 0 && (
        <Note mark="warn">
          <span>{words.someIgnored(ignored.length)}</span>
        </Note>
      )}
      <Card title={words.arrived} id="arrived" live>
        {arrived.length === 0 ? (
          <Empty title={words.nothing}>
            {words.nothingText} <a href={pathOf(tenant.slug, 'set-up')}>{titles.setup}</a>
          </Empty>
        ) : (
          <Table label={words.arrived} head={[words.name, words.of, words.state, words.today, words.week, words.last]}>
            {rows(arrived)}
          </Table>
        )}
      </Card>
      <Guide
        visit={visit}
        tenant={tenant}
        part="attributes"
        service={scimBaseUrl(c, tenant.settings).replace(/\/scim\/v2$/, '')}
      />
    </>,
  );
});
