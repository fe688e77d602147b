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
