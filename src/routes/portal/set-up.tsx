/** The set-up, step by step: what to do in the identity provider, and whether it has done it. */
import { Hono } from 'hono';
import { raw } from 'hono/html';
import type { Child, FC } from 'hono/jsx';
import { DAY } from '../../duration';
import { isFinished, obstacleOf, type Step, type StepName, stepsOf } from '../../operator/set-up';
import { previewLinks } from '../../provisioning/link-preview';
import type { Org } from '../../provisioning/org';
import { listCredentials, PASSWORDS, TOKENS } from '../../store/credentials/credentials';
import { listClients } from '../../store/credentials/oauth-clients';
import { listRefusals } from '../../store/credentials/refusals';
import { IDPS, settingOf } from '../../store/org/settings';
import type { Tenant } from '../../store/org/tenant';
import { type Evidence, readEvidence } from '../../store/portal/evidence';
import { scimBaseUrl } from '../admin/respond';
import { changeSettings, switchScim } from './changes';
import { CredentialsOf, OauthClients } from './credentials';
import { clientName, contactOf, Fault, providerOf } from './faults';
import { readForm } from './form';
import GUIDES from './guides.json';
import { type Page, pathOf, render } from './layout';
import { Act, Badge, Card, Choice, Copy, Form, Icon, Name, Note, Select, Time } from './parts';
import { expectMay, may, notHere, orgOf, type PortalApp, type PortalContext, type Visit } from './visit';

const NAMES: readonly StepName[] = [
  'idp',
  'sso',
  'connect',
  'test',
  'person',
  'change',
  'deactivation',
  'group',
  'accounts',
];
/** Unlinked accounts that are previewed. */
const PREVIEWED = 500;
type Way = 'token' | 'basic' | 'oauth';

export const setUp = new Hono<PortalApp>();

setUp.get('/', async (c) => {
  const { tenant, steps } = await lookAt(c);
  const first = steps.find(({ state }) => state !== 'works') ?? steps[0]!;
  return c.redirect(stepPath(tenant.slug, first.name), 302);
});

setUp.get('/:step', (c) => stepPage(c));

setUp.post('/idp', async (c) => {
  const form = await readForm(c);
  const org = orgOf(c);
  const tenant = await org.store.verify();
  expectMay(c.var.visit, tenant, 'idp');
  const idp = IDPS.find((one) => one === form('idp'));
  if (idp === undefined) {
    return stepPage(c, { mark: 'failed', text: c.var.visit.texts.setup.idp.wrong }, 'idp');
  }
  if (tenant.settings.idp !== idp) await changeSettings(org, { idp });
  // Choosing is beginning: nothing of this is in the way of the first request any more, where it may be.
  if (may(c.var.visit, tenant, 'scim')) await switchScim(org, true);
  return c.redirect(stepPath(tenant.slug, tenant.settings.ssoRequired ? 'sso' : 'connect'), 303);
});

setUp.post('/accounts', async (c) => {
  const form = await readForm(c);
  const org = orgOf(c);
  const tenant = await org.store.verify();
  expectMay(c.var.visit, tenant, 'linking');
  const linking = (['email', 'userName', 'off'] as const).find((one) => one === form('linking'));
  if (linking !== undefined && linking !== settingOf(tenant.settings, 'linking'))
    await changeSettings(org, { linking });
  return c.redirect(`${stepPath(tenant.slug, 'accounts')}?done=saved`, 303);
});

const stepPath = (slug: string, name: StepName) => pathOf(slug, `set-up/${name}`);

interface Found {
  readonly org: Org;
  readonly tenant: Tenant;
  readonly evidence: Evidence;
  readonly steps: readonly Step[];
}

/** Two round trips, at once. */
export async function lookAt(c: PortalContext): Promise<Found> {
  const org = orgOf(c);
  const [evidence, refusals] = await Promise.all([
    readEvidence(org.store),
    listRefusals(orgOf(c).store, Date.now() - 7 * DAY),
  ]);
  const { tenant } = org.store;
  return { org, tenant, evidence, steps: stepsOf(tenant, evidence, refusals) };
}

async function stepPage(c: PortalContext, notice?: Page['notice'], name = c.req.param('step') as StepName) {
  if (!NAMES.includes(name)) throw notHere();
  const { visit } = c.var;
  const { texts } = visit;
  const found = await lookAt(c);
  const { tenant, steps } = found;
  const step = steps.find((one) => one.name === name) ?? ({ name, state: 'waiting' } as const);
  const asked = c.req.query('done') ?? '';
  const done: Record<string, Page['notice']> = {
    saved: { mark: 'works', text: texts.saved },
    on: { mark: 'works', text: texts.setup.scim.enabled },
    plan: { mark: 'failed', text: texts.setup.scim.plan(contactOf(visit, tenant.settings)) },
    sso: { mark: 'failed', text: texts.setup.scim.sso },
  };
  const finished = isFinished(steps);
  const page: Page = {
    name: 'setup',
    title: texts.titles.setup,
    lead: texts.setup.lead,
    tenant,
    notice: notice ?? done[asked],
    events: [...(finished ? ['setup_finished'] : []), ...(asked === 'on' ? ['scim_enabled'] : [])],
  };
  const next = steps[steps.indexOf(step as Step) + 1];
  return render(
    c,
    page,
    <>
      <div id="finished" class="live" data-live>
        {finished && <Note mark="works">{texts.setup.finished}</Note>}
      </div>
      <div class="two">
        <nav class="card" aria-label={texts.setup.stepsLabel}>
          <ol class="steps" id="steps" data-live>
            {steps.map((one, i) => (
              <li class={one.state}>
                <a href={stepPath(tenant.slug, one.name)} aria-current={one.name === name ? 'step' : undefined}>
                  <Dot step={one} number={i + 1} />
                  <span class="name">{texts.setup.steps[one.name]}</span>
                  <span class="state">
                    {texts.states[one.state]}
                    {one.at !== undefined && (
                      <>
                        {' · '}
                        <Time visit={visit} at={one.at} />
                      </>
                    )}
                  </span>
                </a>
              </li>
            ))}
          </ol>
        </nav>
        <div class="stack">
          <Card title={texts.setup.steps[name]} id="step-head">
            {await body(c, found, step)}
          </Card>
          {name === 'connect' && (
            <Guide visit={visit} tenant={tenant} service={scimBaseUrl(c, tenant.settings).replace(/\/scim\/v2$/, '')} />
          )}
          {next && (
            <div class="row">
              <a class="button end" href={stepPath(tenant.slug, next.name)}>
                {texts.setup.next}: {texts.setup.steps[next.name]}
              </a>
            </div>
          )}
        </div>
      </div>
    </>,
  );
}

const Dot: FC<{ step: Step; number?: number }> = ({ step: { state }, number }) => (
  <span class={`dot ${state}`} aria-hidden="true">
    {state === 'waiting' ? number : <Icon mark={state} />}
  </span>
);

async function body(c: PortalContext, found: Found, step: Step): Promise<Child> {
  const { visit } = c.var;
  switch (step.name) {
    case 'idp':
      return <ChooseIdp visit={visit} tenant={found.tenant} />;
    case 'connect':
      return connect(c, found);
    case 'accounts':
      return accounts(c, found);
    case 'sso':
      return (
        <Proof visit={visit} step={step} tenant={found.tenant}>
          {step.state === 'works' ? visit.texts.setup.sso.works : visit.texts.setup.sso.waiting(visit.look.name)}
        </Proof>
      );
    case 'test': {
      const { test } = visit.texts.setup;
      return (
        <>
          <Obstacle visit={visit} tenant={found.tenant} />
          <Proof visit={visit} step={step} tenant={found.tenant}>
            {step.state === 'works' ? test.works(clientName(visit, step.client, found.tenant.settings)) : test.waiting}
          </Proof>
        </>
      );
    }
    default: {
      const texts = visit.texts.setup[step.name];
      const path = step.name === 'group' ? 'groups' : 'people';
      return (
        <>
          <p>{texts.lead}</p>
          <Proof visit={visit} step={step} tenant={found.tenant}>
            {step.proof ? (
              <>
                {step.proof.targetId ? (
                  <a href={pathOf(found.tenant.slug, `${path}/${step.proof.targetId}`)}>
                    <Name of={step.proof.subject ?? step.proof.targetId} />
                  </a>
                ) : null}{' '}
                {texts.works}
              </>
            ) : (
              texts.waiting
            )}
          </Proof>
        </>
      );
    }
  }
}

/** What the identity provider has really done: the part that turns green. */
const Proof: FC<{ visit: Visit; step: Step; tenant: Tenant; children?: Child }> = ({
  visit,
  step,
  tenant,
  children,
}) => (
  <div id="proof" data-live aria-live="polite">
    <div class="proof">
      <Dot step={step} />
      <div class="stack tight">
        <span>
          <Badge mark={step.state}>{visit.texts.states[step.state]}</Badge>{' '}
          {step.at !== undefined && (
            <span class="soft small">
              <Time visit={visit} at={step.at} />
            </span>
          )}
        </span>
        <span>{step.state !== 'failed' && children}</span>
        {step.refusal && <Fault visit={visit} refusal={step.refusal} settings={tenant.settings} />}
      </div>
    </div>
  </div>
);

/** What is in the way before any request is looked at, with what helps. */
export const Obstacle: FC<{ visit: Visit; tenant: Tenant; back?: string }> = ({ visit, tenant, back }) => {
  const obstacle = obstacleOf(tenant);
  const { scim } = visit.texts.setup;
  if (obstacle === 'plan') return <Note mark="failed">{scim.plan(contactOf(visit, tenant.settings))}</Note>;
  if (obstacle !== 'scim_off') return null;
  return (
    <Note mark="warn">
      <span>{scim.off}</span>
      {may(visit, tenant, 'scim') && (
        <Act
          visit={visit}
          action={pathOf(tenant.slug, 'scim')}
          fields={{ enabled: 'true', back: back ?? 'set-up/connect' }}
        >
          {scim.on}
        </Act>
      )}
    </Note>
  );
};

const ChooseIdp: FC<{ visit: Visit; tenant: Tenant }> = ({ visit, tenant }) => {
  const { idp: texts } = visit.texts.setup;
  const { idp } = tenant.settings;
  const options = IDPS.map((value) => ({ value, text: providerOf(value) || texts.other }));
  if (!may(visit, tenant, 'idp')) return <p>{idp ? providerOf(idp) || texts.other : visit.texts.none}</p>;
  return (
    <Form visit={visit} action={pathOf(tenant.slug, 'set-up/idp')}>
      <p>{texts.lead}</p>
      <Select
        id="idp"
        name="idp"
        label={texts.label}
        options={idp ? options : [{ value: '', text: texts.unset }, ...options]}
        chosen={idp ?? ''}
      />
      <span>
        <button class="main" type="submit">
          {texts.save}
        </button>
      </span>
    </Form>
  );
};

async function connect(c: PortalContext, { tenant, org }: Found): Promise<Child> {
  const { visit } = c.var;
  const { connect: texts } = visit.texts.setup;
  const { slug, settings } = tenant;
  const base = scimBaseUrl(c, settings);
  const ways = GUIDES[settings.idp ?? 'other'].ways as readonly Way[];
  const asked = ways.find((way) => way === c.req.query('way')) ?? ways[0]!;
  return (
    <>
      <Obstacle visit={visit} tenant={tenant} />
      <p>{texts.lead}</p>
      <Copy visit={visit} id="base-url" label={texts.baseUrl} value={base} />
      <details>
        <summary class="small">{texts.orgBaseUrl}</summary>
        <Copy
          visit={visit}
          id="org-base-url"
          label={texts.orgBaseUrl}
          value={base.replace(/\/scim\/v2$/, `/orgs/${slug}/scim/v2`)}
        />
      </details>
      {ways.length > 1 && (
        <div class="stack tight">
          <strong class="small">{texts.ways}</strong>
          <nav aria-label={texts.ways}>
            <span class="tabs">
              {ways.map((way) => (
                <a href={`?way=${way}`} aria-current={way === asked ? 'true' : undefined}>
                  {texts.way[way]}
                </a>
              ))}
            </span>
          </nav>
        </div>
      )}
      {asked === 'oauth' ? (
        <OauthClients
          visit={visit}
          tenant={tenant}
          clients={await listClients(org.store, { after: '', limit: 20 })}
          from="set-up"
        />
      ) : (
        <CredentialsOf
          visit={visit}
          tenant={tenant}
          kind={asked}
          listed={await listCredentials(org.store, asked === 'token' ? TOKENS : PASSWORDS)}
        />
      )}
    </>
  );
}

/** Written for Markdown's readers by docs/idp, made by `npm run docs:portal`: only the values are filled in here. */
export const Guide: FC<{ visit: Visit; tenant: Tenant; service: string; part?: 'steps' | 'attributes' }> = ({
  visit,
  tenant: { slug, settings },
  service,
  part = 'steps',
}) => {
  const { connect: texts } = visit.texts.setup;
  const { idp } = settings;
  if (!idp) return <p class="soft">{texts.noProvider}</p>;
  const filled = GUIDES[idp][part].replaceAll('{service}', escaped(service)).replaceAll('{slug}', escaped(slug));
  if (filled === '') return null;
  return (
    <Card title={texts.guide(providerOf(idp) || visit.texts.setup.idp.other)}>
      {texts.guideLanguage && <p class="soft small">{texts.guideLanguage}</p>}
      <div class="guide" lang="en">
        {raw(filled)}
      </div>
    </Card>
  );
};

const escaped = (text: string) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

async function accounts(c: PortalContext, { org, tenant }: Found): Promise<Child> {
  const { visit } = c.var;
  const { accounts: texts } = visit.texts.setup;
  const preview = await previewLinks(org, undefined, PREVIEWED);
  const all = preview.accounts;
  const count = (is: (one: (typeof all)[number]) => boolean) => all.filter(is).length;
  const figures: [string, number][] = [
    [texts.total, all.length],
    [texts.links, count(({ userName }) => userName)],
    [texts.byEmail, count(({ emails }) => emails.length > 0)],
    [texts.conflicts, count(({ conflicts }) => conflicts.length > 0)],
    [texts.protected, count(({ account }) => account.isProtected)],
  ];
  return (
    <>
      <p>{texts.lead}</p>
      <div class="grid">
        {figures.map(([text, n]) => (
          <div class="figure">
            <b>{n}</b>
            <span class="soft small">{text}</span>
          </div>
        ))}
      </div>
      {preview.next !== null && <p class="soft small">{texts.more(PREVIEWED)}</p>}
      <p>{texts.newOnes}</p>
      {may(visit, tenant, 'linking') && (
        <Form visit={visit} action={pathOf(tenant.slug, 'set-up/accounts')}>
          <fieldset>
            <legend>{texts.choice}</legend>
            {(['email', 'userName', 'off'] as const).map((value) => (
              <Choice name="linking" value={value} checked={value === preview.linking}>
                {texts.options[value]}
              </Choice>
            ))}
          </fieldset>
          <span>
            <button type="submit">{visit.texts.save}</button>
          </span>
        </Form>
      )}
    </>
  );
}
