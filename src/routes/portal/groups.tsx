/** The org's groups: who is in them, what they permit. The default group can be chosen. */
import { Hono } from 'hono';
import { underTypes } from '../../provisioning/schemas';
import { queryOf } from '../../scim/query';
import { Unmet } from '../../store/d1/batch';
import { findGroup, listWithPermissions } from '../../store/directory/permissions';
import { changeSettings } from './changes';
import { readForm } from './form';
import { type Page, pathOf, render } from './layout';
import { Card, Empty, Facts, Form, Name, Note, Select, Table, Time } from './parts';
import { expectMay, may, notHere, orgOf, type PortalApp, type PortalContext } from './visit';

const MAX_SHOWN = 200;

export const groups = new Hono<PortalApp>();

groups.get('/', (c) => list(c));

async function list(c: PortalContext, notice?: Page['notice'], status?: 409) {
  const { visit } = c.var;
  const { groups: words, titles, none } = visit.texts;
  const {
    groups: found,
    tenant,
    total,
  } = await underTypes(orgOf(c), async ({ store, types, baseUrl }) => {
    const search = { isDescending: false, sortBy: 'displayName', startIndex: 1, count: MAX_SHOWN };
    const listed = await listWithPermissions(store, queryOf(types.group, search, [], undefined, baseUrl), baseUrl);
    return { ...listed, tenant: store.tenant };
  });
  const { slug, settings } = tenant;
  const saved = c.req.query('done') === 'saved' ? ({ mark: 'works', text: visit.texts.saved } as const) : undefined;
  const page: Page = { name: 'groups', title: titles.groups, lead: words.lead, tenant, notice: notice ?? saved };
  return render(
    c,
    { ...page, ...(status && { status }) },
    <>
      <Card title={words.defaultTitle}>
        {may(visit, tenant, 'groups') ? (
          <Form visit={visit} action={pathOf(slug, 'groups/default')}>
            <p class="soft">{words.defaultText}</p>
            <Select
              id="default-group"
              name="group"
              label={words.defaultTitle}
              chosen={settings.defaultGroup ?? ''}
              options={[
                { value: '', text: none },
                ...found.map(({ group }) => ({ value: group.id, text: String(group.resource['displayName']) })),
              ]}
            />
            <span>
              <button type="submit">{visit.texts.save}</button>
            </span>
          </Form>
        ) : (
          <p>
            <Name
              of={found.find(({ group }) => group.id === settings.defaultGroup)?.group.resource['displayName'] ?? none}
            />
          </p>
        )}
      </Card>
      <Card>
        {found.length === 0 ? (
          <Empty title={words.noGroups}>{words.noGroupsText}</Empty>
        ) : (
          <>
            <Table label={titles.groups} head={[words.name, words.members, words.permissions, words.changed]}>
              {found.map(({ group, permissions }) => (
                <tr>
                  <td>
                    <a class="name" href={pathOf(slug, `groups/${group.id}`)}>
                      <Name of={group.resource['displayName']} />
                    </a>
                  </td>
                  <td class="n">{group.memberCount}</td>
                  <td>{permissions.length > 0 ? permissions.join(', ') : '–'}</td>
                  <td>
                    <Time visit={visit} at={group.modifiedAt} />
                  </td>
                </tr>
              ))}
            </Table>
            {total > found.length && <p class="soft small">{words.more(found.length, total)}</p>}
          </>
        )}
      </Card>
    </>,
  );
}

groups.post('/default', async (c) => {
  const { visit } = c.var;
  const form = await readForm(c);
  const org = orgOf(c);
  const tenant = await org.store.verify();
  expectMay(visit, tenant, 'groups');
  try {
    await changeSettings(org, { defaultGroup: form('group') || null });
    return c.redirect(`${pathOf(tenant.slug, 'groups')}?done=saved`, 303);
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'default_group') throw error;
    return list(c, { mark: 'failed', text: visit.texts.groups.gone }, 409);
  }
});

groups.get('/:group', async (c) => {
  const { visit } = c.var;
  const { groups: words } = visit.texts;
  const { store } = orgOf(c);
  const found = await findGroup(store, c.req.param('group'));
  if (found === undefined) throw notHere();
  const { group, permissions } = found;
  const { slug } = store.tenant;
  const members = group.members ?? [];
  return render(
    c,
    { name: 'groups', title: String(group.resource['displayName']), tenant: store.tenant },
    <>
      <Card title={words.permissions}>
        {permissions.length > 0 ? (
          <p class="mono">{permissions.join(', ')}</p>
        ) : (
          <p class="soft">{words.noPermissions}</p>
        )}
        <Facts
          of={[
            [words.members, String(group.memberCount)],
            [words.changed, <Time visit={visit} at={group.modifiedAt} />],
          ]}
        />
      </Card>
      <Card title={words.members}>
        {members.length === 0 ? (
          <p class="soft">{words.empty}</p>
        ) : (
          <Table label={words.members} head={[words.name, words.kind]}>
            {members.map(({ id, type, display }) => (
              <tr>
                <td>
                  <a href={pathOf(slug, `${type === 'Group' ? 'groups' : 'people'}/${id}`)}>
                    <Name of={display ?? id} />
                  </a>
                </td>
                <td>{type === 'Group' ? words.group : words.person}</td>
              </tr>
            ))}
          </Table>
        )}
        {members.length < group.memberCount && (
          <Note mark="waiting">{words.more(members.length, group.memberCount)}</Note>
        )}
      </Card>
    </>,
  );
});
