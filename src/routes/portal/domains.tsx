/** Domains that the customer proves by a TXT record: a primary address in a proved domain links an account. */
import { Hono } from 'hono';
import { checkDomain, claimDomain, readDomain, recordOf } from '../../provisioning/domains';
import { Unmet } from '../../store/d1/batch';
import { listDomains, removeDomain } from '../../store/portal/domains';
import { readForm } from './form';
import { type Page, pathOf, render } from './layout';
import { Act, Badge, Card, Copy, Empty, Facts, Field, Form, Note, Time } from './parts';
import { expectMay, may, notHere, orgOf, type PortalApp, type PortalContext } from './visit';

export const domains = new Hono<PortalApp>();

domains.get('/', (c) => list(c));

async function list(c: PortalContext, notice?: Page['notice'], status?: 400 | 409) {
  const { visit } = c.var;
  const { domains: words, titles } = visit.texts;
  const { store } = orgOf(c);
  const found = await listDomains(store);
  const { tenant } = store;
  const { slug } = tenant;
  const isAllowed = may(visit, tenant, 'domains');
  const known = new Set(found.map(({ domain }) => domain));
  const others = (tenant.settings.verifiedDomains ?? []).filter((domain) => !known.has(domain));
  const done: Record<string, Page['notice']> = {
    found: { mark: 'works', text: words.found },
    missing: { mark: 'failed', text: words.missing },
    unknown: { mark: 'warn', text: words.unknown },
    removed: { mark: 'works', text: words.removed },
  };
  const page: Page = {
    name: 'domains',
    title: titles.domains,
    lead: words.lead,
    tenant,
    notice: notice ?? done[c.req.query('done') ?? ''],
  };
  return render(
    c,
    { ...page, ...(status && { status }) },
    <>
      {found.map((one) => (
        <Card
          title={<bdi>{one.domain}</bdi>}
          end={
            <Badge mark={one.missingSince !== undefined ? 'warn' : one.verifiedAt !== undefined ? 'works' : 'waiting'}>
              {one.verifiedAt === undefined
                ? words.waiting
                : one.missingSince === undefined
                  ? words.proved
                  : words.losing}
            </Badge>
          }
        >
          {one.missingSince !== undefined && <Note mark="warn">{words.losingText}</Note>}
          <Copy visit={visit} id={`name-${one.domain}`} label={words.recordName} value={recordOf(one.domain)} />
          <Copy visit={visit} id={`value-${one.domain}`} label={words.recordValue} value={one.value} />
          <Facts
            of={[
              [words.checked, <Time visit={visit} at={one.checkedAt} />],
              one.verifiedAt !== undefined && [words.provedAt, <Time visit={visit} at={one.verifiedAt} />],
            ]}
          />
          {isAllowed && (
            <div class="row">
              <Act visit={visit} action={pathOf(slug, 'domains/check')} kind="main" fields={{ domain: one.domain }}>
                {words.check}
              </Act>
              <Act visit={visit} action={pathOf(slug, 'domains/remove')} kind="danger" fields={{ domain: one.domain }}>
                {words.remove}
              </Act>
            </div>
          )}
        </Card>
      ))}
      {others.length > 0 && (
        <Card title={words.others(visit.look.name)}>
          <p>
            <bdi>{others.join(', ')}</bdi>
          </p>
        </Card>
      )}
      {found.length + others.length === 0 && (
        <Card>
          <Empty title={words.none}>{words.noneText}</Empty>
        </Card>
      )}
      {isAllowed && (
        <Card title={words.add}>
          <Form visit={visit} action={pathOf(slug, 'domains/add')}>
            <Field id="domain" name="domain" label={words.domain} hint="acme.com" max={253} required />
            <span>
              <button type="submit">{words.add}</button>
            </span>
          </Form>
        </Card>
      )}
    </>,
  );
}

/** @throws PortalRefusal 403, 404: no such domain is being proved. */
async function domainAsked(c: PortalContext) {
  const form = await readForm(c);
  const org = orgOf(c);
  const found = await listDomains(org.store);
  const { tenant } = org.store;
  expectMay(c.var.visit, tenant, 'domains');
  const domain = found.find((one) => one.domain === form('domain'));
  return { form, org, tenant, domain };
}

domains.post('/add', async (c) => {
  const { visit } = c.var;
  const { form, org, tenant } = await domainAsked(c);
  const domain = readDomain(form('domain'));
  if (domain === undefined) return list(c, { mark: 'failed', text: visit.texts.domains.wrong }, 400);
  try {
    await claimDomain(org, domain, visit.contact);
    return c.redirect(pathOf(tenant.slug, 'domains'), 303);
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'domains') throw error;
    return list(c, { mark: 'failed', text: visit.texts.domains.tooMany }, 409);
  }
});

domains.post('/check', async (c) => {
  const { org, tenant, domain } = await domainAsked(c);
  if (domain === undefined) throw notHere();
  const answer = await checkDomain(c.env, org.store, domain, org.actor);
  return c.redirect(`${pathOf(tenant.slug, 'domains')}?done=${answer}`, 303);
});

domains.post('/remove', async (c) => {
  const { org, tenant, domain } = await domainAsked(c);
  if (domain === undefined) throw notHere();
  await removeDomain(org.store, domain.domain, c.var.visit.contact, org.actor);
  return c.redirect(`${pathOf(tenant.slug, 'domains')}?done=removed`, 303);
});
