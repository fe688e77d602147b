/** How the admin API is asked. */

export const org = (slug, rest = '') => `/orgs/${encodeURIComponent(slug)}${rest}`;
export const post = (body) => ({ method: 'POST', body });
