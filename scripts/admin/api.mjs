/** How the admin API is asked. */

export const org = (slug, rest = '') => `/orgs/${encodeURIComponent(slug)}${rest}`;
export const post = (body) => ({ method: 'POST', body });

/** The largest page that the API has of a list. */
const PAGE = 200;

/**
 * All of a list, page by page.
 *
 * @param keyOf of an element: what the pages are in the order of.
 */
export async function listAll(callAdmin, path, keyOf) {
  const all = [];
  for (let after = ''; ; ) {
    const page = await callAdmin(after === '' ? path : `${path}?after=${encodeURIComponent(after)}`);
    all.push(...page);
    if (page.length < PAGE) return all;
    after = page.map(keyOf).sort().at(-1);
  }
}

/** All users or groups that a filter matches, page by page: the API limits a page, not the directory. */
export async function allResources(callAdmin, slug, noun, filter) {
  const all = [];
  for (;;) {
    const query = new URLSearchParams({ startIndex: all.length + 1, count: 200, ...(filter && { filter }) });
    const page = await callAdmin(org(slug, `/${noun}?${query}`));
    all.push(...page[noun]);
    if (page[noun].length === 0 || all.length >= page.totalResults) return all;
  }
}
