/** An org as lines, through the administrator's door: the calls that `org export` and `org import` make. */
import { type Answer, type Ask, admin } from './client';

// biome-ignore lint/suspicious/noExplicitAny: a line is looked into and spoilt freely
export type Line = Record<string, any>;

/** All lines of an org. @throws Error unless each page is there. */
export async function exported(slug: string, body: object = {}, more: Ask = {}): Promise<Line[]> {
  const lines: Line[] = [];
  let page = good(await admin('POST', `/orgs/${slug}/export`, { ...more, body }));
  for (;;) {
    lines.push(...page.lines);
    if (page.next === null) return lines;
    page = good(await admin('GET', `/orgs/${slug}/export?${new URLSearchParams({ after: page.next })}`, more));
  }
}

function good({ status, text, body }: Answer) {
  if (status >= 300) throw new Error(`${status} ${text}`);
  return body;
}

export const begin = (slug: string, org: unknown, more: object = {}) =>
  admin('POST', `/orgs/${slug}/import`, { body: { org, ...more } });
export const send = (slug: string, after: number, lines: unknown[], more: Ask = {}) =>
  admin('POST', `/orgs/${slug}/import/lines`, { ...more, body: { after, lines } });
export const finish = (slug: string, end: unknown, more: Ask = {}) =>
  admin('POST', `/orgs/${slug}/import/finish`, { ...more, body: { end } });

/** @returns the answer to the last request, or to the first one that was refused. */
export async function imported(
  slug: string,
  lines: readonly unknown[],
  portion = 200,
  more: Ask = {},
): Promise<Answer> {
  const begun = await begin(slug, lines[0]);
  if (begun.status >= 300) return begun;
  const end = lines.length - 1;
  for (let at = begun.body.through; at < end; ) {
    const sent = await send(slug, at, lines.slice(at, Math.min(at + portion, end)));
    if (sent.status >= 300) return sent;
    at = sent.body.through;
  }
  return finish(slug, lines[end], more);
}

/** What stays of a file from one export to the next. */
export const lasting = (lines: readonly Line[]): Line[] => lines.map(({ exportedAt: _, ...line }) => line);
