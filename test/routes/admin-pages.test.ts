/** Lists of the administrator's door: a page at a time, each element once, and where to go on. */

import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { listAll } from '../../scripts/admin/api.mjs';
import { type Answer, admin, newIdp } from '../support/client';

const ORGS = 450;

beforeAll(async () => {
  await env.DB.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ORGS})
     INSERT INTO orgs (id, slug, name, created_at) SELECT printf('org%09d', i), printf('org-%d', i), 'Org', 1 FROM n`,
  ).run();
});

/** As the command line asks. */
const callAdmin = async (path: string) => (await admin('GET', path)).body;
const slugs = ({ body }: Answer) => body.map(({ slug }: { slug: string }) => slug);

describe('orgs', () => {
  it('come in pages of 200 at most, each with a link to the next one but the last', async () => {
    const seen: string[] = [];
    let path: string | undefined = '/orgs';
    for (let pages = 1; path !== undefined; pages++) {
      const page: Answer = await admin('GET', path);
      seen.push(...slugs(page));
      expect(slugs(page).length).toBe(pages <= 2 ? 200 : 50);
      const link: string | undefined = /^<(\?.*)>; rel="next"$/.exec(page.headers.get('Link') ?? '')?.[1];
      path = link && `/orgs${link}`;
    }
    expect(seen).toEqual(Array.from({ length: ORGS }, (_, i) => `org-${i + 1}`).sort());
  });

  it('come in pages as large as asked for, and what is no page is refused', async () => {
    expect(slugs(await admin('GET', '/orgs?limit=2&after=org-1'))).toEqual(['org-10', 'org-100']);
    for (const query of ['limit=0', 'limit=201', 'limit=x', 'after=%00', 'after=A%20B']) {
      expect((await admin('GET', `/orgs?${query}`)).status, query).toBe(400);
    }
  });

  it('are one list on the command line', async () => {
    const all = await listAll(callAdmin, '/orgs', ({ slug }: { slug: string }) => slug);
    expect(all.map(({ slug }) => slug)).toEqual(Array.from({ length: ORGS }, (_, i) => `org-${i + 1}`).sort());
  });
});

it('OAuth clients of an org come in pages too, each with its secrets, and no other org’s', async () => {
  const [idp] = [await newIdp('with-clients'), await newIdp('beside')];
  const path = '/orgs/with-clients/oauth/clients';
  for (let i = 0; i < 5; i++) await admin('POST', path, { body: { name: `client-${i}` } });
  await admin('POST', '/orgs/beside/oauth/clients', { body: {} });
  const seen: { clientId: string; secrets: unknown[] }[] = [];
  for (let query: string | undefined = '?limit=2'; query !== undefined; ) {
    const page: Answer = await admin('GET', `${path}${query}`);
    seen.push(...page.body);
    query = /^<(\?.*)>/.exec(page.headers.get('Link') ?? '')?.[1];
  }
  expect(new Set(seen.map(({ clientId }) => clientId)).size).toBe(5);
  expect(seen.every(({ clientId, secrets }) => clientId.startsWith(idp.orgId) && secrets.length === 1)).toBe(true);
});
