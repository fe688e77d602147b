/** What is large: answers are bounded, and say so; nothing that D1 could not store is a 500. */

import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { removeWaiting } from '../../src/provisioning/removal';
import { knownProfiles } from '../../src/store/org/profile';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { rows } from '../support/database';
import { fillGroup, fillUsers, groupId, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { Invocation } from '../support/platform';

const GROUP = 60_000;
/** As many characters together; of one value 262,144 are accepted. */
const photo = (length: number) =>
  Array.from({ length: Math.ceil(length / 200_000) }, (_, i) => ({
    value: `https://x.test/${length}/${i}/${'A'.repeat(Math.min(200_000, length - i * 200_000))}`,
  }));

describe('a resource', () => {
  it('that is large ends a page early, and pages by index and by cursor show each of them once', async () => {
    const other = await newIdp('pages');
    for (let i = 0; i < 13; i++) await other.user(`user-${String(i).padStart(2, '0')}`, { photos: photo(500_000) });
    const meter = new Meter();
    const first = await other.get('/Users?count=100', { env: { DB: meter.binding } });
    expect(first.body).toMatchObject({ totalResults: 13, itemsPerPage: 9, startIndex: 1 });
    expect(meter.roundTrips).toBe(2);
    const second = await other.get('/Users?count=100&startIndex=10');
    const names = [...first.body.Resources, ...second.body.Resources].map(({ userName }) => userName);
    expect(names).toEqual(Array.from({ length: 13 }, (_, i) => `user-${String(i).padStart(2, '0')}`));
    const walked: string[] = [];
    await other.post('/Groups', { displayName: 'last' });
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      const answer: Answer = await other.get(`?count=100&cursor=${encodeURIComponent(cursor)}`);
      const { Resources, nextCursor } = answer.body;
      walked.push(...Resources.map((it: Record<string, string>) => it['userName'] ?? it['displayName']));
      cursor = nextCursor;
    }
    expect(walked).toEqual([...names, 'last']);
  });
});

describe('a group', () => {
  let idp: Idp;
  beforeAll(async () => {
    idp = await newIdp('crowd');
    await fillUsers(idp, GROUP + 500);
    await fillGroup(idp, 'first', 6_000);
    await fillGroup(idp, 'second', 6_000);
    await fillGroup(idp, 'most', GROUP);
    await fillGroup(idp, 'huge', GROUP + 1);
  }, 60_000);
  const huge = `/Groups/${groupId('huge')}`;

  it('shows 60,000 members, and with one more says how else to ask', async () => {
    const { status, body } = await idp.get(`/Groups/${groupId('most')}`);
    expect([status, body.members.length]).toEqual([200, GROUP]);
    const refused = await idp.get(huge);
    expect([refused.status, refused.body.scimType]).toEqual([400, 'tooMany']);
    expect(refused.body.detail).toContain('excludedAttributes=members');
    expect((await idp.get(`${huge}?excludedAttributes=members`)).status).toBe(200);
    const asked = `?attributes=id&filter=${encodeURIComponent(`id eq "${groupId('huge')}" and members eq "${userId(9)}"`)}`;
    expect((await idp.get(`/Groups${asked}`)).body.totalResults).toBe(1);
  });

  it('ends a page early when its members are many, and each group is on one page', async () => {
    const pages: string[][] = [];
    for (let startIndex = 1; startIndex <= 3; ) {
      const { body } = await idp.get(`/Groups?startIndex=${startIndex}&count=50`);
      expect(body).toMatchObject({ totalResults: 4, itemsPerPage: body.Resources.length });
      pages.push(body.Resources.map(({ displayName }: { displayName: string }) => displayName));
      startIndex += body.itemsPerPage;
    }
    expect(pages).toEqual([['first'], ['second'], ['most']]);
    const last = await idp.get('/Groups?startIndex=4&count=50');
    expect([last.status, last.body.scimType]).toEqual([400, 'tooMany']);
    expect((await idp.get('/Groups?excludedAttributes=members')).body.itemsPerPage).toBe(4);
  });

  it('of more than 60,000 members is changed by what a request names, and not replaced as a whole', async () => {
    const added = await idp.patch(`${huge}?attributes=members`, [
      { op: 'add', path: 'members', value: [{ value: userId(GROUP + 300) }] },
    ]);
    expect(added.status).toBe(204);
    for (const answer of [
      await idp.put(huge, { displayName: 'huge', members: [{ value: userId(1) }] }),
      await idp.patch(huge, [{ op: 'remove', path: 'members' }]),
      await idp.patch(huge, [{ op: 'replace', path: 'members', value: [{ value: userId(1) }] }]),
    ]) {
      expect([answer.status, answer.body.scimType]).toEqual([400, 'tooMany']);
    }
    const [group] = await rows('SELECT member_count FROM groups WHERE id = ?', groupId('huge'));
    expect(group!['member_count']).toBe(GROUP + 2);
  });

  it('that signs out who leaves it is deleted when those are no more than 60,000', async () => {
    await admin('PATCH', '/orgs/crowd', { body: { settings: { signOutGroups: 'huge' } } });
    const refused = await idp.delete(huge);
    expect([refused.status, refused.body.scimType]).toEqual([400, 'tooMany']);
    await admin('PATCH', '/orgs/crowd', { body: { settings: { signOutGroups: 'none' } } });
  });

  it('of 60,000 members is emptied at once', async () => {
    const emptied = await idp.patch(`/Groups/${groupId('most')}`, [{ op: 'remove', path: 'members' }]);
    expect(emptied.status).toBe(200);
    expect(emptied.body.members).toEqual([]);
  });

  it('is gone at once when it is deleted, and its memberships follow in portions', async () => {
    const invocation = new Invocation();
    expect((await idp.delete(huge, { invocation })).status).toBe(204);
    const left = async () =>
      (await rows('SELECT count(*) AS n FROM memberships WHERE org_id = ?', idp.orgId))[0]!['n'] as number;
    expect(await left()).toBe(12_000 + GROUP + 2 - 10_000);
    expect((await idp.get(huge)).status).toBe(404);
    const { body } = await idp.get(`/Users/${userId(GROUP)}`);
    expect(body.groups ?? []).toEqual([]);
    await removeWaiting(env);
    expect(await left()).toBe(12_000);
    expect(await rows('SELECT * FROM removals WHERE org_id = ?', idp.orgId)).toEqual([]);
  });
});

it('twenty schemas of an org fit into what each request may read of them', async () => {
  const idp = await newIdp('twenty');
  const schema = (i: number, length: number) => ({
    id: `urn:twenty:scim:2.0:s${i}`,
    name: 'S',
    attributes: Array.from({ length }, (_, n) => ({ name: `a${n}`, type: 'string', description: '語'.repeat(1_000) })),
  });
  const add = (i: number, length: number) =>
    admin('POST', '/orgs/twenty/schemas?type=User', { body: schema(i, length) });
  expect((await add(0, 30)).status).toBe(400);
  for (let i = 0; i < 20; i++) expect((await add(i, 19)).status).toBe(201);
  knownProfiles.clear();
  expect((await idp.get('/Users')).status).toBe(200);
});

it('a rejection of many that the brake holds takes them in portions, each with one event', async () => {
  const idp = await newIdp('held');
  await env.DB.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)
     INSERT INTO brake_held (org_id, user_id, operation, since, last_at, attempts) SELECT ?, 'u' || i, 'deactivate', 1, 1, 1 FROM n`,
  )
    .bind(idp.orgId)
    .run();
  const { body } = await admin('POST', '/orgs/held/brake/reject', { body: {} });
  expect(body.rejected).toBe(4_500);
  const [told] = await rows(
    `SELECT count(*) AS n, count(DISTINCT target_id) AS users, max(seq) - min(seq) + 1 AS numbers FROM events
      WHERE org_id = ? AND type = 'brake.rejected'`,
    idp.orgId,
  );
  expect(told).toEqual({ n: 4_500, users: 4_500, numbers: 4_500 });
});

describe('an import', () => {
  const org = {
    kind: 'org',
    v: 1,
    id: 'AAAAAAAAAAAA',
    slug: 'lines',
    name: 'lines',
    settings: {},
    scimEnabled: false,
    disabledAt: null,
    notBefore: null,
    createdAt: 1,
    exportedAt: 1,
    withoutCredentials: false,
  };
  const event = (seq: number, text: string) => ({
    kind: 'event',
    seq,
    at: 1,
    type: 'user.updated',
    actor: 'idp',
    credential: null,
    target: 'u',
    requestId: 'r',
    publishes: false,
    details: { changed: { title: { before: text, after: null } } },
  });
  const send = (after: number, lines: unknown[]) =>
    admin('POST', '/orgs/lines/import/lines', { body: { after, lines } });

  it('takes a line as large as a row can be, and refuses a larger one by its number', async () => {
    expect((await admin('POST', '/orgs/lines/import', { body: { org } })).status).toBe(201);
    expect((await send(1, [event(1, 'é'.repeat(990_000))])).body).toEqual({ through: 2 });
    for (const text of ['é'.repeat(1_100_000), 'x'.repeat(3_900_000)]) {
      const refused = await send(2, [event(2, text)]);
      expect([refused.status, refused.body.detail]).toEqual([413, expect.stringMatching(/^line 3: .*bytes/)]);
    }
  });

  it('takes a portion of 4 MiB whose characters have several bytes', async () => {
    const lines = Array.from({ length: 20 }, (_, i) => event(i + 2, '語'.repeat(60_000)));
    expect((await send(2, lines)).body).toEqual({ through: 22 });
  });
});
