/** The storage of a plan: how much an org may store, whatever asks for it and however many ask at once. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { retain } from '../../src/cron/retention';
import { BULK_REQUEST, GROUP } from '../../src/scim/urns';
import { SETTINGS } from '../../src/store/org/settings';
import { parseSize, sizeText } from '../../src/store/org/size';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { dump, journal, rows } from '../support/database';
import { expectRefusal } from '../support/refusal';

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`storage-${++n}`);
});

const set = (settings: Record<string, string>) => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
const show = async () => (await admin('GET', `/orgs/${idp.slug}`)).body;
const used = async (): Promise<number> => (await show()).storage.used;
const full = (answer: Answer) => expectRefusal(answer, 403, undefined, /\(plan\.storage: 100KB\) is full/);
const certificates = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ value: btoa(`${i}-${'x'.repeat(900)}`) }));
/** About so many bytes, twice: as it is and folded. */
const big = (userName: string, bytes: number, more = {}) =>
  idp.post('/Users', { userName, x509Certificates: certificates(Math.ceil(bytes / 1_230)), ...more });
const group = (displayName: string, members: string[] = []) =>
  idp.post('/Groups', { schemas: [GROUP], displayName, members: members.map((value) => ({ value })) });
const update = (id: string, path: string, value: unknown) =>
  idp.patch(`/Users/${id}`, [{ op: 'replace', path, value }]);

/** What is counted is what is there. */
async function expectCounted(): Promise<void> {
  const [real] = await rows(
    `SELECT (SELECT ifnull(sum(500 + octet_length(resource) + octet_length(folded)), 0) FROM users WHERE org_id = ?1)
      + (SELECT ifnull(sum(300 + octet_length(resource) + octet_length(folded) + 60 * member_count), 0) FROM groups WHERE org_id = ?1)
      + (SELECT ifnull(sum(250 + octet_length(details)), 0) FROM events WHERE org_id = ?1) AS bytes`,
    idp.orgId,
  );
  expect(await used()).toBe(real!['bytes']);
}

/** Up to the limit of 100 KB, or nearly. */
async function fill(): Promise<string> {
  await set({ 'plan.storage': '100KB', supportContact: 'sales@vendor.test' });
  const { body } = await big('large@example.com', 30_000);
  for (let i = 0; (await used()) < 99_000; i++) expect((await big(`u${i}@example.com`, 0)).status).toBeLessThan(404);
  return body.id;
}

describe('what an org stores', () => {
  it('is counted in the batch of each change: users, groups, members, events, and what goes', async () => {
    const [ada, bob] = await Promise.all([idp.user('ada@example.com'), idp.user('bob@example.com')]);
    await expectCounted();
    const team = await group('Team', [ada.id, bob.id]);
    await expectCounted();
    await update(ada.id, 'displayName', 'Ada Lovelace, Countess');
    await update(ada.id, 'x509Certificates', certificates(20));
    await expectCounted();
    const before = await used();
    await update(ada.id, 'x509Certificates', []);
    expect(await used()).toBeLessThan(before - 20_000);
    await idp.patch(`/Groups/${team.body.id}`, [{ op: 'remove', path: `members[value eq "${bob.id}"]` }]);
    await update(bob.id, 'active', false);
    await idp.delete(`/Users/${ada.id}`);
    await expectCounted();
    await idp.post('/Users', { userName: 'ada@example.com' });
    await idp.delete(`/Groups/${team.body.id}`);
    await expectCounted();
    const erased = await admin('POST', `/orgs/${idp.slug}/users/${bob.id}/erase?confirm=${bob.id}`, { body: {} });
    expect(erased.status, erased.text).toBe(200);
    await expectCounted();
  });

  it('becomes less when the journal is cut by age', async () => {
    await idp.user('ada@example.com', { displayName: 'x'.repeat(3_000) });
    await rows('UPDATE events SET at = at - 401 * 86400000 WHERE org_id = ?', idp.orgId);
    const before = await used();
    await retain(env);
    expect((await journal(idp.orgId)).length).toBe(0);
    expect(await used()).toBeLessThan(before - 3_000);
    await expectCounted();
  });

  it('is told by org show and org health, with advice from nine tenths on', async () => {
    await idp.user('ada@example.com');
    expect((await show()).storage).toEqual({ used: expect.any(Number), limit: SETTINGS['plan.storage'].default });
    const advice = async () => {
      const { body } = await admin('GET', `/orgs/${idp.slug}/health`);
      expect(body.storage).toEqual((await show()).storage);
      return body.advice.map(({ says }: { says: string }) => says).filter((says: string) => says.includes('stored'));
    };
    expect(await advice()).toEqual([]);
    await rows('UPDATE orgs SET stored_bytes = 950000000 WHERE id = ?', idp.orgId);
    expect(await advice()).toEqual(['950MB of 1GB are stored.']);
    await rows('UPDATE orgs SET stored_bytes = 1000000001 WHERE id = ?', idp.orgId);
    expect(await advice()).toEqual(['1GB of 1GB are stored: the identity provider can add nothing.']);
    expect((await show()).notices).toEqual([expect.stringContaining('plan.storage: 1GB are stored')]);
    expectRefusal(await idp.post('/Users', { userName: 'late@example.com' }), 403, undefined, /plan\.storage: 1GB/);
  });
});

describe('an org whose storage is full', () => {
  it('refuses what would add to it, names the limit and the contact, counts the refusal, and changes nothing', async () => {
    const id = await fill();
    const team = await rows('SELECT 1 FROM groups WHERE org_id = ?', idp.orgId);
    expect(team).toEqual([]);
    const before = await dump();
    const added = { userName: 'late@example.com', x509Certificates: certificates(20) };
    for (const answer of [
      await big('late@example.com', 20_000),
      await update(id, 'x509Certificates', certificates(60)),
      await idp.put(`/Users/${id}`, { ...added, x509Certificates: certificates(60) }),
      await idp.post('/Groups', { schemas: [GROUP], displayName: 'x'.repeat(2_000) }),
    ]) {
      full(answer);
      expect(answer.body.detail).toContain('sales@vendor.test');
    }
    const operation = { method: 'POST', path: '/Users', bulkId: 'a', data: added };
    const { body } = await idp.post('/Bulk', { schemas: [BULK_REQUEST], Operations: [operation] });
    expect(body.Operations[0].response.detail).toContain('plan.storage');
    expectRefusal(await idp.post('/Users', { ...added, userName: 'LARGE@example.com' }), 409, 'uniqueness');
    expect(await dump()).toBe(before);
    const { body: refusals } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(JSON.stringify(refusals)).toContain('"storage"');
  });

  it('lets everybody be deactivated, leave a group and be deleted, and takes more when there is room again', async () => {
    const ada = await idp.user('ada@example.com');
    const bob = await idp.user('bob@example.com');
    const team = (await group('Team', [ada.id, bob.id])).body;
    const large = await fill();
    await rows('UPDATE orgs SET stored_bytes = 200000 WHERE id = ?', idp.orgId);
    full(await big('late@example.com', 0));
    full(await update(ada.id, 'title', 'Head'));
    full(await idp.patch(`/Groups/${team.id}`, [{ op: 'replace', path: 'displayName', value: 'Other' }]));
    const answers = [
      await idp.patch(`/Groups/${team.id}`, [{ op: 'remove', path: `members[value eq "${bob.id}"]` }]),
      await update(ada.id, 'active', false),
      await idp.put(`/Users/${bob.id}`, { userName: 'bob@example.com', active: false, title: 'x'.repeat(500) }),
      await idp.delete(`/Groups/${team.id}`),
      await idp.delete(`/Users/${bob.id}`),
      await idp.delete(`/Users/${large}`),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 204, 204, 204]);
    await set({ 'plan.storage': '1MB' });
    expect((await update(ada.id, 'active', true)).status).toBe(200);
  });

  it('takes no more than there is room for when twenty ask at once', async () => {
    await set({ 'plan.storage': '100KB' });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => big(`u${i}@example.com`, 5_000)));
    const created = answers.filter(({ status }) => status === 201);
    expect(created.length).toBeGreaterThan(2);
    expect(created.length).toBeLessThan(12);
    for (const answer of answers) if (answer.status !== 201) full(answer);
    // The event of the last one may stand beyond.
    expect(await used()).toBeLessThan(100_000 + 20_000);
    await expectCounted();
  });
});

it('the event of a small change of a large user is small', async () => {
  const { body } = await big('large@example.com', 200_000);
  const before = await used();
  const answer = await idp.patch(`/Users/${body.id}`, [
    { op: 'remove', path: `x509Certificates[value eq "${certificates(1)[0]!.value}"]` },
  ]);
  expect(answer.status).toBe(200);
  const event = (await journal(idp.orgId, body.id)).at(-1)!;
  expect(event.details.changed).toEqual({ x509Certificates: { added: [], removed: certificates(1) } });
  const created = (await journal(idp.orgId, body.id)).at(0)!;
  expect(created.details.leftOut).toEqual({ x509Certificates: expect.any(Number) });
  expect(JSON.stringify(created.details).length).toBeLessThan(20_000);
  await idp.delete(`/Users/${body.id}`);
  const deleted = (await journal(idp.orgId, body.id)).at(-1)!;
  expect(deleted.details).toMatchObject({
    before: { userName: 'large@example.com' },
    leftOut: { before: expect.any(Number) },
  });
  expect(await used()).toBeLessThan(before + 5_000);
});

describe('the setting plan.storage', () => {
  it.each(['5', '10GB1', '99KB', '11GB', '-1GB', 'much', '1e9', ''])('is not %j', async (size) => {
    const { status, body } = await set({ 'plan.storage': size });
    expect([status, body.detail]).toEqual([400, 'plan.storage: a size from 100KB to 10GB was expected: 500MB, 5GB']);
  });

  it('is kept in bytes, and none is the default', async () => {
    expect((await set({ 'plan.storage': '2.5 gb' })).body.settings).toEqual({ 'plan.storage': 2_500_000_000 });
    expect((await show()).storage.limit).toBe(2_500_000_000);
    expect((await set({ 'plan.storage': '5000000' })).body.settings).toEqual({ 'plan.storage': 5_000_000 });
    expect((await set({ 'plan.storage': 'none' })).body.storage.limit).toBe(SETTINGS['plan.storage'].default);
  });

  it.each([
    ['500MB', 500_000_000, '500MB'],
    ['1KB', 1_000, '1KB'],
    ['1234567', 1_234_567, '1.2MB'],
    ['7B', 7, '7B'],
    ['0', 0, '0B'],
  ])('reads %s as %i bytes, and writes %s', (text, bytes, written) => {
    expect(parseSize(text)).toBe(bytes);
    expect(sizeText(bytes)).toBe(written);
  });
});
