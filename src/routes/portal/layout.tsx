/** The frame around each page of the portal. */
import type { Context } from 'hono';
import { html, raw } from 'hono/html';
import type { Child, FC } from 'hono/jsx';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { type PortalLook, settings } from '../../env';
import type { Tenant } from '../../store/org/tenant';
import { Note } from './parts';
import { SCRIPT } from './script';
import { styleFor } from './style';
import { type Language, languageOf, NAMES, type Texts, textsIn } from './texts';
import { may, type PortalContext, type Visit } from './visit';

interface Shell {
  readonly look: PortalLook;
  readonly lang: Language;
  readonly texts: Texts;
  readonly title: string;
  /** Milliseconds until the session ends. */
  readonly left?: number;
  /** What the page around a frame is told. */
  readonly events?: readonly string[];
  readonly hasEnded?: boolean;
  /** What the page shows, for looks after something newer. */
  readonly version?: string | undefined;
}

const Shell: FC<Shell & { children?: Child }> = ({
  look,
  lang,
  texts,
  title,
  left,
  events,
  hasEnded,
  version,
  children,
}) => (
  <html lang={lang}>
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="robots" content="noindex" />
      <title>{`${title} – ${look.name}`}</title>
      <style>{raw(styleFor(look.color))}</style>
    </head>
    <body
      data-origins={look.origins.join(' ')}
      data-copied={texts.copied}
      data-left={left}
      data-events={events?.join(' ')}
      data-ended={hasEnded ? '1' : undefined}
      data-version={version}
    >
      {children}
      <script>{raw(SCRIPT)}</script>
    </body>
  </html>
);

const Brand: FC<{ look: PortalLook }> = ({ look: { logoUrl, name } }) => (
  <>
    {logoUrl ? (
      <img src={logoUrl} alt="" />
    ) : (
      <span class="mark" aria-hidden="true">
        {[...name][0]}
      </span>
    )}
    <span>{name}</span>
  </>
);

/** A page of its own, without a session: the page that opens the portal, and what stands in the place of a page. */
export function alone(
  c: Context,
  { title, status = 200, hasEnded = false }: { title: string; status?: ContentfulStatusCode; hasEnded?: boolean },
  content: Child,
): Response | Promise<Response> {
  const lang = languageOf(c);
  const look = settings(c.env).portal;
  return c.html(
    html`<!doctype html>${(
      <Shell look={look} lang={lang} texts={textsIn(lang)} title={title} hasEnded={hasEnded}>
        <main class="alone stack">
          <span class="brand">
            <Brand look={look} />
          </span>
          <section class="card">
            <h1>{title}</h1>
            {content}
          </section>
        </main>
      </Shell>
    )}`,
    status,
  );
}

/** The pages of an org, in the order of the menu. */
export type PageName =
  | 'setup'
  | 'overview'
  | 'credentials'
  | 'people'
  | 'groups'
  | 'attributes'
  | 'activity'
  | 'domains'
  | 'held'
  | 'off';

export interface Page {
  readonly name: PageName | 'orgs';
  readonly title: string;
  /** A sentence below the title. */
  readonly lead?: Child;
  /** The org that the page is about. */
  readonly tenant?: Tenant;
  readonly status?: ContentfulStatusCode;
  /** What has just been done, or was refused. */
  readonly notice?: { readonly mark: 'works' | 'failed' | 'warn'; readonly text: Child } | undefined;
  readonly events?: readonly string[];
  /** What the page shows; a look with it is answered 204 while nothing is newer. */
  readonly version?: string;
}

export const pathOf = (slug: string, page = ''): string => `/portal/orgs/${slug}${page && `/${page}`}`;

const PATHS: Readonly<Record<PageName, string>> = {
  setup: 'set-up',
  overview: '',
  credentials: 'credentials',
  people: 'people',
  groups: 'groups',
  attributes: 'attributes',
  activity: 'activity',
  domains: 'domains',
  held: 'held',
  off: 'switch-off',
};

function pagesOf(visit: Visit, tenant: Tenant): PageName[] {
  const isLimited = tenant.settings['brake.deactivations'] ?? tenant.settings['brake.percentage'];
  return (Object.keys(PATHS) as PageName[]).filter((name) => {
    if (name === 'held') return isLimited !== undefined && may(visit, tenant, 'held');
    if (name === 'off') return may(visit, tenant, 'scim') || may(visit, tenant, 'removal');
    if (name === 'domains') return may(visit, tenant, 'domains') || tenant.settings.verifiedDomains !== undefined;
    return true;
  });
}

/** A page of the session. */
export function render(c: PortalContext, page: Page, content: Child): Response | Promise<Response> {
  const { visit } = c.var;
  const { lang, texts, look, session } = visit;
  const { tenant, notice } = page;
  const home = visit.scope === 'operator' ? '/portal/orgs' : pathOf(session.slug);
  const other = (Object.keys(NAMES) as Language[]).filter((one) => one !== lang);
  return c.html(
    html`<!doctype html>${(
      <Shell
        look={look}
        lang={lang}
        texts={texts}
        title={tenant ? `${page.title} – ${tenant.name}` : page.title}
        left={session.endsAt - Date.now()}
        events={page.events ?? []}
        version={page.version}
      >
        <a class="skip" href="#main">
          {texts.skip}
        </a>
        <header class="top">
          <a class="brand" href={home}>
            <Brand look={look} />
          </a>
          {tenant && (
            <span class="org">
              <bdi>{tenant.name}</bdi>
            </span>
          )}
          <div class="me">
            <bdi title={texts.signedInAs}>{visit.contact}</bdi>
            {other.map((one) => (
              <a href={`?lang=${one}`} hreflang={one} lang={one}>
                {NAMES[one]}
              </a>
            ))}
            {session.link.returnUrl && (
              <a href={session.link.returnUrl} target="_top">
                {texts.back(look.name)}
              </a>
            )}
            <form method="post" action="/portal/end">
              <input type="hidden" name="csrf" value={visit.csrf} />
              <button class="plain" type="submit">
                {texts.end}
              </button>
            </form>
          </div>
        </header>
        <div class="frame">
          <nav class="side" aria-label={texts.pages}>
            <ul>
              {visit.scope === 'operator' && (
                <li>
                  <a href="/portal/orgs" aria-current={page.name === 'orgs' ? 'page' : undefined}>
                    {texts.titles.orgs}
                  </a>
                </li>
              )}
              {tenant &&
                pagesOf(visit, tenant).map((name) => (
                  <li>
                    <a href={pathOf(tenant.slug, PATHS[name])} aria-current={page.name === name ? 'page' : undefined}>
                      {texts.titles[name]}
                    </a>
                  </li>
                ))}
            </ul>
          </nav>
          <main id="main" class="stack" tabindex={-1}>
            <div>
              <h1>{page.title}</h1>
              {page.lead && <p class="lead">{page.lead}</p>}
            </div>
            <Note mark="warn" id="ending" hidden>
              {texts.ending}
            </Note>
            {notice && (
              <Note mark={notice.mark} alert>
                {notice.text}
              </Note>
            )}
            {tenant?.disabledAt !== undefined && <Note mark="failed">{texts.orgOff}</Note>}
            {visit.scope === 'read' && <Note mark="waiting">{texts.readOnly}</Note>}
            {content}
          </main>
        </div>
      </Shell>
    )}`,
    page.status ?? 200,
  );
}
