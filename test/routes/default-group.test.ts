import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { admin, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';

let idp: Idp;
let group: string;
let count = 0;
beforeEach(async () => {
  idp = await newIdp(`default-${++count}`);
  group = await newGroup('Everyone');
});

async function newGroup(displayName: string, of = idp): Promise<string> {
  const answer = await of.post('/Groups', { displayName });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body.id;
}

const set = (defaultGroup: string, more = {}) =>
  admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { defaultGroup, ...more } } });
const setting = async () => (await admin('GET', `/orgs/${idp.slug}`)).body.settings.defaultGroup;
const members = async (id = group): Promise<string[]> =>
  ((await idp.get(`/Groups/${id}`)).body.members ?? []).map(({ value }: { value: string }) => value);
const memberCount = async (id = group) =>
  (await admin('GET', `/orgs/${idp.slug}/groups/${id}`)).body.memberCount as number;
const detailsOf = async (type: string, targetId: string) => {
  const row = await env.DB.prepare('SELECT details FROM events WHERE type = ? AND target_id = ? ORDER BY seq DESC')
    .bind(type, targetId)
    .first<{ details: string }>();
  return JSON.parse(row!.details);
};

describe('the default group', () => {
  it('is set by displayName, and stays the same group when it is renamed', async () => {
    const answer = await set('eVERYONE');
    expect(answer.status).toBe(200);
    expect(answer.body.settings).toEqual({ defaultGroup: group });
    await idp.patch(`/Groups/${group}`, [{ op: 'replace', path: 'displayName', value: 'All hands' }]);
    expect(await setting()).toBe(group);
    const ada = await idp.user('ada');
    expect(ada.groups).toMatchObject([{ value: group, display: 'All hands', type: 'direct' }]);
  });

  it('is set by id, and the journal says who set what', async () => {
    expect((await set(group, { idp: 'okta' })).body.settings).toEqual({ defaultGroup: group, idp: 'okta' });
    const row = await env.DB.prepare("SELECT details FROM events WHERE type = 'org.changed' AND org_id = ?")
      .bind(idp.orgId)
      .first<{ details: string }>();
    expect(JSON.parse(row!.details).settings).toEqual({ defaultGroup: group, idp: 'okta' });
  });

  it('is refused when it is no group of this org, and no other setting changes then', async () => {
    const other = await newIdp(`default-other-${count}`);
    const theirs = await newGroup('Theirs', other);
    await set(group);
    for (const wrong of [theirs, 'Theirs', 'Nobody', crypto.randomUUID(), '']) {
      const answer = await set(wrong, { idp: 'okta' });
      expect(answer.status).toBe(400);
      expect(answer.body.error).toBe('invalidValue');
      expect(answer.body.detail).toBe(
        'defaultGroup: the id or displayName of a group of this org was expected, or none',
      );
    }
    expect((await admin('GET', `/orgs/${idp.slug}`)).body.settings).toEqual({ defaultGroup: group });
  });

  it('does not take in who was there before it was set', async () => {
    const early = await idp.user('early');
    await set(group);
    const late = await idp.user('late');
    expect(early.groups).toBeUndefined();
    expect(await members()).toEqual([late.id]);
    await idp.patch(`/Users/${early.id}`, [{ op: 'replace', path: 'active', value: false }]);
    await idp.patch(`/Users/${early.id}`, [{ op: 'replace', path: 'active', value: true }]);
    expect(await members()).toEqual([late.id]);
  });

  it('ends with none; who has joined stays', async () => {
    await set(group);
    const ada = await idp.user('ada');
    expect((await set('none')).body.settings).toEqual({});
    await idp.user('grace');
    expect(await members()).toEqual([ada.id]);
  });

  it('may be called "none" when it is set by its id', async () => {
    const none = await newGroup('none');
    await set(none);
    const ada = await idp.user('ada');
    expect(await members(none)).toEqual([ada.id]);
  });

  it('is joined by who is created inactive, too', async () => {
    await set(group);
    const ada = await idp.user('ada', { active: false });
    expect(await members()).toEqual([ada.id]);
  });

  it('is not joined again by who is restored, or who left it', async () => {
    await set(group);
    const ada = await idp.user('ada');
    await idp.delete(`/Users/${ada.id}`);
    expect(await memberCount()).toBe(0);
    const back = await idp.user('ada');
    expect(back.id).toBe(ada.id);
    expect(back.groups).toBeUndefined();
    const grace = await idp.user('grace');
    await idp.patch(`/Groups/${group}`, [{ op: 'remove', path: `members[value eq "${grace.id}"]` }]);
    await idp.put(`/Users/${grace.id}`, { userName: 'grace', displayName: 'Grace' });
    expect(await members()).toEqual([]);
  });

  it('moves its version, its time of change and its count with each who joins; the event of the user names it', async () => {
    await set(group);
    const before = await idp.get(`/Groups/${group}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const ada = await idp.user('ada');
    const after = await idp.get(`/Groups/${group}`);
    expect(before.body.meta.version).toBe('W/"1"');
    expect(after.body.meta.version).toBe('W/"2"');
    expect(after.body.meta.lastModified > before.body.meta.lastModified).toBe(true);
    expect(await memberCount()).toBe(1);
    expect((await detailsOf('user.created', ada.id)).defaultGroup).toBe(group);
    const stale = await idp.put(
      `/Groups/${group}`,
      { displayName: 'Everyone' },
      { headers: { 'If-Match': before.headers.get('ETag')! } },
    );
    expect(stale.status).toBe(412);
  });

  it('is not spoken of in the event of a user where there is none', async () => {
    const ada = await idp.user('ada', { nickName: 'A' });
    const details = await detailsOf('user.created', ada.id);
    expect(details).not.toHaveProperty('defaultGroup');
    expect(details.changed.nickName).toEqual({ before: null, after: 'A' });
  });

  it('counts each of many who are created at once', async () => {
    await set(group);
    const users = await Promise.all(Array.from({ length: 20 }, (_, i) => idp.user(`user${i}`)));
    expect((await members()).sort()).toEqual(users.map(({ id }) => id).sort());
    expect(await memberCount()).toBe(20);
    expect((await idp.get(`/Groups/${group}`)).body.meta.version).toBe('W/"21"');
  });

  it('is joined by nobody whose POST is refused', async () => {
    await set(group);
    await idp.user('ada', { externalId: '1' });
    expect((await idp.post('/Users', { userName: 'ADA' })).status).toBe(409);
    expect((await idp.post('/Users', { userName: 'grace', active: 'perhaps' })).status).toBe(400);
    expect(await memberCount()).toBe(1);
  });

  it('costs a POST no round trip, and rows by the user, not by the group', async () => {
    const meter = new Meter();
    const post = async (userName: string) => {
      meter.reset();
      expect((await idp.post('/Users', { userName }, { env: { DB: meter.binding } })).status).toBe(201);
      expect(meter.roundTrips).toBe(1);
      return meter.rowsRead;
    };
    await post('without');
    await set(group);
    await idp.get('/Users?count=0'); // the isolate knows the new profile
    const first = await post('first');
    for (let i = 0; i < 30; i++) {
      await idp.user(`more${i}`);
      await newGroup(`More ${i}`);
    }
    expect(await post('last')).toBe(first);
  });
});

describe('deleting the default group', () => {
  it('ends the setting, and new users are created without', async () => {
    await set(group);
    await idp.user('ada');
    expect((await idp.delete(`/Groups/${group}`)).status).toBe(204);
    expect(await setting()).toBeUndefined();
    expect((await detailsOf('group.deleted', group)).wasDefaultGroup).toBe(true);
    expect((await idp.user('grace')).groups).toBeUndefined();
    await newGroup('Everyone');
    expect((await idp.user('alan')).groups).toBeUndefined();
  });

  it('does not happen, nor does the setting end, when If-Match does not match', async () => {
    await set(group);
    const answer = await idp.delete(`/Groups/${group}`, { headers: { 'If-Match': 'W/"7"' } });
    expect(answer.status).toBe(412);
    expect(await setting()).toBe(group);
  });

  it('leaves the setting when it is another group that goes, here or in another org', async () => {
    const other = await newIdp(`default-away-${count}`);
    await set(group);
    const apart = await newGroup('Apart');
    await idp.delete(`/Groups/${apart}`);
    expect((await other.delete(`/Groups/${group}`)).status).toBe(404);
    expect(await setting()).toBe(group);
    expect((await detailsOf('group.deleted', apart)).wasDefaultGroup).toBe(false);
  });

  it('while users are created refuses none of them, and leaves no trace of the group', async () => {
    await set(group);
    const [deleted, ...created] = await Promise.all([
      idp.delete(`/Groups/${group}`),
      ...Array.from({ length: 20 }, (_, i) => idp.post('/Users', { userName: `user${i}` })),
    ]);
    expect(deleted!.status).toBe(204);
    expect(created.map(({ status }) => status)).toEqual(created.map(() => 201));
    for (const { body } of created) expect((await idp.get(`/Users/${body.id}`)).body.groups).toBeUndefined();
    const left = env.DB.prepare('SELECT count(*) AS n FROM memberships WHERE org_id = ?').bind(idp.orgId);
    expect((await left.first<{ n: number }>())!.n).toBe(0);
  });

  it('while an operator sets something else does not bring it back', async () => {
    await set(group);
    await Promise.all([
      idp.delete(`/Groups/${group}`),
      ...['okta', 'entra', 'other'].map((name) =>
        admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { idp: name } } }),
      ),
    ]);
    expect(await setting()).toBeUndefined();
  });

  it('while an operator makes it the default leaves no setting without its group', async () => {
    const [answer] = await Promise.all([set(group), idp.delete(`/Groups/${group}`)]);
    expect([200, 400]).toContain(answer!.status);
    expect(await setting()).toBeUndefined();
  });
});
