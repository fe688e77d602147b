/** Deactivations beyond the limit, which wait for a decision: carried out, or refused for a day. */
import { Hono } from 'hono';
import { DAY } from '../../duration';
import { releaseUser } from '../../provisioning/release-held';
import { underTypes } from '../../provisioning/schemas';
import { heldFor, listHeld, reject } from '../../store/directory/deactivation-limit';
import { readForm } from './form';
import { type Page, pathOf, render } from './layout';
import { Act, Badge, Card, Empty, Name, Table, Time } from './parts';
import { expectMay, may, orgOf, type PortalApp } from './visit';

const SHOWN = 200;
/** Of one click: each takes a few round trips. */
const CHUNK = 20;

export const held = new Hono<PortalApp>();

held.get('/', async (c) => {
  const { visit } = c.var;
  const { held: words, titles } = visit.texts;
  const { store } = orgOf(c);
  const found = await listHeld(store, '', SHOWN);
  const { tenant, now } = store;
  expectMay(visit, tenant, 'held');
  const done: Record<string, Page['notice']> = {
    released: { mark: 'works', text: words.released },
    kept: { mark: 'warn', text: words.kept },
    rejected: { mark: 'works', text: words.rejected },
  };
  const page: Page = {
    name: 'held',
    title: titles.held,
    lead: found.usage.isSet ? words.lead(found.usage.used, found.usage.limit) : words.noLimit,
    tenant,
    notice: done[c.req.query('done') ?? ''],
  };
  const at = (verb: string) => pathOf(tenant.slug, `held/${verb}`);
  return render(
    c,
    page,
    <Card>
      {found.held.length === 0 ? (
        <Empty title={words.none}>{words.noneText}</Empty>
      ) : (
        <>
          <Table label={titles.held} head={[words.person, words.would, words.since, words.state, words.decision]}>
            {found.held.map((one) => (
              <tr>
                <td>
                  <a class="name" href={pathOf(tenant.slug, `people/${one.user}`)}>
                    <Name of={one.userName || one.user} />
                  </a>
                </td>
                <td>{words.operations[one.operation]}</td>
                <td>
                  <Time visit={visit} at={one.since} />
                </td>
                <td>
                  {(one.rejectedUntil ?? 0) > now ? (
                    <>
                      {words.rejectedUntil} <Time visit={visit} at={one.rejectedUntil} />
                    </>
                  ) : (
                    <Badge mark="warn">{words.waits}</Badge>
                  )}
                </td>
                <td>
                  {may(visit, tenant, 'held') && (
                    <div class="row">
                      <Act visit={visit} action={at('release')} fields={{ user: one.user }}>
                        {words.release}
                      </Act>
                      <Act visit={visit} action={at('reject')} fields={{ user: one.user }}>
                        {words.reject}
                      </Act>
                    </div>
                  )}
                </td>
              </tr>
            ))}
          </Table>
          {found.open > 1 && (
            <div class="row">
              <Act visit={visit} action={at('release')}>
                {words.releaseAll(Math.min(found.open, CHUNK))}
              </Act>
              <Act visit={visit} action={at('reject')}>
                {words.rejectAll}
              </Act>
            </div>
          )}
        </>
      )}
    </Card>,
  );
});

held.post('/release', async (c) => {
  const { visit } = c.var;
  const form = await readForm(c);
  const user = form('user') || undefined;
  const { slug, kept } = await underTypes(orgOf(c), async (org) => {
    expectMay(visit, org.store.profile, 'held');
    const found = await heldFor(org.store, { user, limit: CHUNK });
    let kept = 0;
    for (const one of found.held) {
      if ((await releaseUser(org, one.user, one.operation, visit.contact)).why !== undefined) kept++;
    }
    return { slug: org.store.tenant.slug, kept };
  });
  return c.redirect(`${pathOf(slug, 'held')}?done=${kept > 0 ? 'kept' : 'released'}`, 303);
});

held.post('/reject', async (c) => {
  const { visit } = c.var;
  const form = await readForm(c);
  const { store, actor } = orgOf(c);
  const tenant = await store.verify();
  expectMay(visit, tenant, 'held');
  await reject(store, { user: form('user') || undefined, until: store.now + DAY, by: visit.contact }, actor);
  return c.redirect(`${pathOf(tenant.slug, 'held')}?done=rejected`, 303);
});
