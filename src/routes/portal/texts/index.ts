/** The portal's languages: one file each, with the same texts. English is the one that the others are compared with. */
import type { Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { de } from './de';
import { en, type Texts } from './en';

export type { Texts };

const LANGUAGES = { en, de } satisfies Record<string, Texts>;
export type Language = keyof typeof LANGUAGES;
export const NAMES: Record<Language, string> = { en: 'English', de: 'Deutsch' };

const COOKIE = 'scim-portal-lang';

export const textsIn = (lang: Language): Texts => LANGUAGES[lang];

const isKnown = (text: string): text is Language => Object.hasOwn(LANGUAGES, text);

/** `?lang` once, which is kept; else what the browser would rather read. */
export function languageOf(c: Context): Language {
  const asked = c.req.query('lang') ?? '';
  if (isKnown(asked)) {
    setCookie(c, COOKIE, asked, { path: '/portal', sameSite: 'Lax', httpOnly: true, maxAge: 365 * 86_400 });
    return asked;
  }
  const kept = getCookie(c, COOKIE) ?? '';
  if (isKnown(kept)) return kept;
  const wanted = (c.req.header('Accept-Language') ?? '')
    .slice(0, 200)
    .split(',')
    .map((part) => {
      const [tag = '', q] = part.split(';q=');
      return { lang: tag.trim().slice(0, 2).toLowerCase(), q: Number(q ?? 1) };
    })
    .filter(({ lang, q }) => isKnown(lang) && q > 0)
    .sort((a, b) => b.q - a.q);
  return (wanted[0]?.lang as Language | undefined) ?? 'en';
}
