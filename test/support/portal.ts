/** A customer's administrator in the portal: a link, its session, pages that are read and forms that are sent. */
import { type Answer, type Ask, admin, ask, BASE } from './client';

/** What is on a page is looked for in its text, as a reader would. */
export const textOf = (html: string): string =>
  html
    .replace(/<(style|script)>[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&amp;', '&')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replace(/\s+/g, ' ');

export interface Visitor {
  readonly slug: string;
  readonly linkId: string;
  readonly cookie: string;
  /** A page, by its path behind the org: `page('/people')`. */
  page(path?: string, more?: Ask): Promise<Answer>;
  /** Any path. */
  get(path: string, more?: Ask): Promise<Answer>;
  /** Sends a form as a page of this session has it. */
  send(path: string, fields?: Record<string, string>, more?: Ask): Promise<Answer>;
  /** What a form of this session proves itself with. */
  csrf(): Promise<string>;
}

export const FORM = { 'Content-Type': 'application/x-www-form-urlencoded', Origin: BASE };

export async function newLink(slug: string, body: Record<string, unknown> = {}): Promise<{ id: string; path: string }> {
  const answer = await admin('POST', `/orgs/${slug}/portal-links`, { body });
  if (answer.status !== 201) throw new Error(`a link: ${answer.status} ${answer.text}`);
  return { id: answer.body.id, path: answer.body.url.replace(BASE, '') };
}

export const openLink = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  ask('POST', `${BASE}${path}`, { raw: '', headers: { ...FORM, ...headers } });

export const cookieIn = (answer: Answer): string => answer.headers.get('Set-Cookie')?.split(';')[0] ?? '';

export async function visit(slug: string, body: Record<string, unknown> = {}): Promise<Visitor> {
  const { id, path } = await newLink(slug, body);
  return visitorOf(slug, id, cookieIn(await openLink(path)));
}

export function visitorOf(slug: string, linkId: string, cookie: string): Visitor {
  const get = (path: string, more: Ask = {}) =>
    ask('GET', `${BASE}${path}`, { ...more, headers: { Cookie: cookie, ...more.headers } });
  const csrf = async () =>
    /name="csrf" value="(\w+)"/.exec((await get(`/portal/orgs/${slug}/credentials`)).text)?.[1] ?? '';
  return {
    slug,
    linkId,
    cookie,
    get,
    csrf,
    page: (path = '/credentials', more) => get(`/portal/orgs/${slug}${path}`, more),
    send: async (path, fields = {}, more = {}) =>
      ask('POST', `${BASE}/portal/orgs/${slug}${path}`, {
        ...more,
        raw: new URLSearchParams({ csrf: await csrf(), ...fields }).toString(),
        headers: { ...FORM, Cookie: cookie, ...more.headers },
      }),
  };
}
