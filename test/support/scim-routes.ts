/** Every SCIM route, asked of the app itself so that a new one cannot be forgotten, and a request that each would take. */
import { app } from '../../src/app';
import { USER } from '../../src/scim/urns';
import { type Answer, type Ask, ask, BASE } from './client';

export const routes = [
  ...new Set(
    app.routes
      .filter(({ method, path }) => method !== 'ALL' && /^(\/orgs\/:slug)?\/scim\/v2(\/|$)/.test(path))
      .map(({ method, path }) => `${method} ${path.replaceAll('?', '')}`),
  ),
].map((route) => route.split(' ') as [method: string, path: string]);

/** @param isThere whether the id is one of a user; schemas and resource types are there or not with it. */
export const pathOf = (template: string, slug: string, id: string, isThere: boolean) =>
  template
    .replace(':slug', slug)
    .replace(':id', id)
    .replace(':name', isThere ? 'User' : id)
    .replace(':urn', isThere ? USER : id);

/** A request that the route would take, so that only the credential decides. */
export function requestFor(method: string, template: string): Ask {
  if (method === 'GET' || method === 'DELETE') return {};
  if (template.endsWith('.search')) return { body: {} };
  if (method === 'PATCH') return { body: { Operations: [{ op: 'replace', path: 'externalId', value: 'x-1' }] } };
  if (template.endsWith('/Bulk')) {
    return {
      body: { Operations: [{ method: 'POST', path: '/Users', bulkId: 'a', data: { userName: crypto.randomUUID() } }] },
    };
  }
  if (template.includes('/Groups')) return { body: { displayName: crypto.randomUUID() } };
  return { body: { userName: `${crypto.randomUUID()}@example.com` } };
}

export const send = (method: string, address: string, authorization: string | undefined, more: Ask = {}) =>
  ask(method, BASE + address, {
    ...more,
    headers: { ...more.headers, ...(authorization !== undefined && { Authorization: authorization }) },
  });

/** All that a stranger can see of an answer; the request id is a new one each time. */
export function visible({ status, headers, text }: Answer) {
  return { status, text, headers: [...headers].filter(([name]) => name !== 'x-request-id').sort() };
}

export const stranger = async () => visible(await send('GET', '/scim/v2/Users', undefined));
