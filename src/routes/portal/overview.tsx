/** How the org's provisioning is doing, and what to do about it. */
import { Hono } from 'hono';
import type { Child } from 'hono/jsx';
import { DAY } from '../../duration';
import { NEARLY_FULL, silence, WARN_EXPIRY } from '../../operator/advice';
import { obstacleOf, stepOfRefusal } from '../../operator/set-up';
import { listRefusals } from '../../store/credentials/refusals';
import { readHealth } from '../../store/operations/health';
import { clientName, contactOf, Fault, providerOf } from './faults';
import { type Page, pathOf, render } from './layout';
import { Badge, Card, Facts, Note, Time } from './parts';
import { Obstacle } from './set-up';
import { needCare, SignalSources } from './signal-sources';
import { may, orgOf, type PortalApp } from './visit';

/** Refused requests of the last days that are told here. */
const TOLD = 3;

export const overview = new Hono<PortalApp>();

overview.get('/', async (c) => {
  const { visit } = c.var;
  const { texts } = visit;
  const { overview: words } = texts;
  const org = orgOf(c);
  const [health, refusals] = await Promise.all([
    readHealth(org.store),
    listRefusals(orgOf(c).store, Date.now() - 7 * DAY),
  ]);
  const { tenant, now } = org.store;
  const { settings, slug } = tenant;
  const asked = c.req.query('done') ?? '';
  // A link that was just opened leads to where something is to be done.
  const latest = health.clients[0];
  const hasBegun = latest !== undefined || tenant.userCount > 0;
  if (!hasBegun && settings.idp === undefined && asked === '' && visit.scope === 'setup') {
    return c.redirect(pathOf(slug, 'set-up'), 302);
  }
  const quiet = silence(health, now);
  const isSilent = quiet !== undefined && quiet.now > quiet.usual;
  const isOn = obstacleOf(tenant) === undefined;
  const seats = settings['plan.seats'];
  const done: Record<string, Page['notice']> = {
    on: { mark: 'works', text: texts.setup.scim.enabled },
    off: { mark: 'works', text: texts.setup.scim.disabled },
    plan: { mark: 'failed', text: texts.setup.scim.plan(contactOf(visit, settings)) },
    sso: { mark: 'failed', text: texts.setup.scim.sso },
  };
  const warnings: Child[] = [];
  for (const one of health.credentials) {
    const left = one.validUntil === undefined ? undefined : Math.ceil((one.validUntil - now) / DAY);
    if (one.replacedAt !== undefined || left === undefined || left > WARN_EXPIRY || left <= 0) continue;
    warnings.push(
      <>
        <span>{words.expires(one.mask, left)}</span>
        <a href={pathOf(slug, 'credentials')}>{texts.titles.credentials}</a>
      </>,
    );
  }
  for (const one of health.credentials) {
    if (one.replacedAt === undefined || (one.graceUntil ?? 0) <= now || (one.lastUsedAt ?? 0) <= one.replacedAt)
      continue;
    warnings.push(
      <>
        <span>{words.oldUsed(one.mask)}</span>
        <a href={pathOf(slug, 'credentials')}>{texts.titles.credentials}</a>
      </>,
    );
  }
  if (seats !== undefined && tenant.activeUserCount >= NEARLY_FULL * seats) {
    warnings.push(words.seatsFull(tenant.activeUserCount, seats, contactOf(visit, settings)));
  }
  if (health.held.users > 0) {
    warnings.push(
      <>
        <span>{words.held(health.held.users)}</span>
        {may(visit, tenant, 'held') && <a href={pathOf(slug, 'held')}>{texts.titles.held}</a>}
      </>,
    );
  }
  if (isSilent) warnings.push(words.silent(quiet.now, quiet.usual));
  const faults = refusals
    .filter((one) => stepOfRefusal(one) !== undefined && one.reason !== 'missing' && now - one.lastAt < DAY)
    .slice(0, TOLD);
  const page: Page = {
    name: 'overview',
    title: texts.titles.overview,
    tenant,
    notice: done[asked],
    events: asked === 'on' ? ['scim_enabled'] : asked === 'off' ? ['scim_disabled'] : [],
  };
  const lastChange = health.changes.at(-1)?.lastAt;
  const state = !isOn ? 'failed' : latest === undefined ? 'waiting' : isSilent ? 'warn' : 'works';
  return render(
    c,
    page,
    <>
      <Obstacle visit={visit} tenant={tenant} back="" />
      <Card
        id="state"
        live
        title={settings.idp ? providerOf(settings.idp) || texts.yourProvider : texts.yourProvider}
        end={
          <Badge mark={state}>{words.states[state === 'waiting' && lastChange !== undefined ? 'ended' : state]}</Badge>
        }
      >
        <Facts
          of={[
            // The credential that was used last may be revoked: then nothing says when the last request was.
            (latest !== undefined || lastChange === undefined) && [
              words.lastRequest,
              latest ? (
                <>
                  <Time visit={visit} at={latest.at} />{' '}
                  <span class="soft">
                    <bdi>{clientName(visit, latest.client, settings)}</bdi>
                  </span>
                </>
              ) : (
                texts.never
              ),
            ],
            [words.lastChange, <Time visit={visit} at={lastChange} />],
            quiet && [words.usual, words.days(quiet.usual)],
          ]}
        />
      </Card>
      <div class="grid">
        <Figure n={String(tenant.activeUserCount)} text={words.active} href={pathOf(slug, 'people')} />
        <Figure n={String(tenant.userCount)} text={words.people} href={pathOf(slug, 'people')} />
        <Figure n={String(tenant.groupCount)} text={words.groups} href={pathOf(slug, 'groups')} />
        {seats !== undefined && <Figure n={`${tenant.activeUserCount} / ${seats}`} text={words.seats} />}
      </div>
      <SignalSources visit={visit} sources={health.signals} refusals={refusals} settings={settings} />
      <div class="stack tight" id="warnings" data-live>
        {warnings.map((warning) => (
          <Note mark="warn">{warning}</Note>
        ))}
        {faults.map((refusal) => (
          <Note mark="failed">
            <Fault visit={visit} refusal={refusal} settings={settings} />
          </Note>
        ))}
        {isOn && latest && warnings.length + faults.length === 0 && !needCare(health.signals, refusals) && (
          <Note mark="works">{words.fine}</Note>
        )}
      </div>
    </>,
  );
});

const Figure = ({ n, text, href }: { n: string; text: string; href?: string }) => (
  <section class="card">
    <div class="figure">
      <b>{n}</b>
      <span class="soft small">{href ? <a href={href}>{text}</a> : text}</span>
    </div>
  </section>
);
