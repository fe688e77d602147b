/** The activity page of an org with a long journal: what it shows, what a look costs, and what a look for news costs. */
import { env } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { readLatest } from '../../../src/store/journal/latest';
import { openStore } from '../../../src/store/org/open';
import { admin, type Idp, newIdp } from '../../support/client';
import { Meter } from '../../support/meter';
import { textOf, type Visitor, visit } from '../../support/portal';

const EVENTS = 6_000;
let idp: Idp;
let ada: Visitor;
let user: string;
const meter = new Meter();

beforeAll(async () => {
  idp = await newIdp('busy');
  ada = await visit('busy');
  user = (await idp.user('grace@busy.test')).id;
  await admin('POST', '/webhooks', { body: { url: 'https://hooks.example.com/old', org: 'busy' } });
  // Many small changes, a millisecond each.
  await env.DB.batch([
    env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
       INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details)
       SELECT ?1, (SELECT event_seq FROM orgs WHERE id = ?1) + i, ${Date.now()} + i, 'user.updated', 'idp', ?3, 'r', '{}' FROM n`,
    ).bind(idp.orgId, EVENTS, user),
    env.DB.prepare('UPDATE orgs SET event_seq = event_seq + ?2 WHERE id = ?1').bind(idp.orgId, EVENTS),
  ]);
  await admin('POST', '/orgs/busy/sign-out?confirm=busy', { body: {} });
});

async function look(query = '', headers: Record<string, string> = {}) {
  meter.reset();
  const answer = await ada.page(`/activity${query}`, { headers, env: { DB: meter.binding } });
  return { ...answer, trips: meter.roundTrips, rows: meter.rowsRead, page: textOf(answer.text) };
}
const olderIn = (html: string) => /href="\?([^"]*before=\d+)"/.exec(html)?.[1]?.replaceAll('&amp;', '&');
const store = () => openStore(env, { kind: 'id', id: idp.orgId }, Date.now());

it('a page shows the latest events, and costs three round trips and rows in proportion to what it shows', async () => {
  const { page, trips, rows } = await look();
  expect(page).toMatch(/What happened.*All users were signed out|What happened.*signed out/);
  expect(page).toContain('grace@busy.test');
  expect(trips).toBeLessThanOrEqual(3);
  expect(rows).toBeLessThan(2_000);
});

it('a rare kind is found by going on, and no page looks at more than 2,000 events', async () => {
  let query: string | undefined = '?type=webhook.*';
  let pages = 0;
  for (; query !== undefined; pages++) {
    const { text, page, rows, trips } = await look(query);
    expect(rows).toBeLessThan(4_000);
    expect(trips).toBeLessThanOrEqual(3);
    if (page.includes('Webhook added')) break;
    const older = olderIn(text);
    query = older && `?${older}`;
  }
  expect(query).toBeDefined();
  expect(pages).toBe(3);
});

it('going on shows each event once, the newest first', async () => {
  for (const asked of [{ types: [] }, { types: ['user.*'] }, { types: [], user }, { types: [], since: 1 }]) {
    const seqs: number[] = [];
    for (let before: number | undefined, first = true; first || before !== undefined; first = false) {
      const found = await readLatest(store(), { ...asked, before, limit: 700 });
      seqs.push(...found.events.map(({ seq }) => seq));
      before = found.before;
    }
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => b - a));
    expect(seqs.length).toBeGreaterThan(EVENTS);
  }
  const none = await readLatest(store(), { types: ['user.*'], since: Date.now() + 60_000, limit: 10 });
  expect(none).toMatchObject({ events: [], before: undefined });
});

it('a look for news is answered 204 until there is some, and costs two round trips and a few rows', async () => {
  const version = (html: string) => /data-version="([\d.]+)"/.exec(html)![1]!;
  const live = (shown: string) => look('', { 'X-Portal-Live': '1', 'X-Portal-Version': shown });
  const first = version((await look()).text);
  const nothing = await live(first);
  expect(nothing.status).toBe(204);
  expect(nothing.trips).toBe(2);
  expect(nothing.rows).toBeLessThan(20);
  await idp.user('alan@busy.test');
  const news = await live(first);
  expect(news.status).toBe(200);
  expect(news.page).toContain('alan@busy.test');
  expect((await live(version(news.text))).status).toBe(204);
  await env.DB.prepare(
    `INSERT INTO refusals (org_id, day, reason, hint, credential_id, client, address, count, first_at, last_at)
     VALUES (?1, ?2 / 86400000, 'missing', '', '', '', '', 1, ?2, ?2)`,
  )
    .bind(idp.orgId, Date.now() + 1)
    .run();
  expect((await live(version(news.text))).status).toBe(200);
  for (const wrong of ['', 'x', '1', '1.x', '9'.repeat(40)]) expect((await live(wrong)).status).toBe(200);
});

it('the page of a person with a long history shows the latest of it', async () => {
  await idp.patch(`/Users/${user}`, [{ op: 'replace', path: 'active', value: false }]);
  meter.reset();
  const { text } = await ada.page(`/people/${user}`, { env: { DB: meter.binding } });
  expect(textOf(text)).toMatch(/Deactivated by the identity provider/);
  expect(meter.rowsRead).toBeLessThan(2_000);
});
