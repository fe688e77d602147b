import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { findPeople } from '../../src/store/directory/sign-in';
import { OrgStore } from '../../src/store/org/open';
import { admin, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';

let idp: Idp;
let other: Idp;
beforeAll(async () => {
  [idp, other] = [await newIdp('groups'), await newIdp('groups-other')];
});

async function newGroup(displayName: string, members: string[] = [], of = idp): Promise<string> {
  const answer = await of.post('/Groups', { displayName, members: members.map((value) => ({ value })) });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body.id;
}

const path = (group: string, of = idp) => `/orgs/${of.slug}/groups/${encodeURIComponent(group)}`;
const show = async (group: string, of = idp) => (await admin('GET', path(group, of))).body;
const permit = (group: string, permissions: unknown, of = idp) =>
  admin('PUT', `${path(group, of)}/permissions`, { body: { permissions } });

async function journal(targetId: string): Promise<{ type: string; actor: string; details: unknown }[]> {
  const { results } = await env.DB.prepare('SELECT type, actor, details FROM events WHERE target_id = ? ORDER BY seq')
    .bind(targetId)
    .all<{ type: string; actor: string; details: string }>();
  return results.map((row) => ({ ...row, details: JSON.parse(row.details) }));
}

describe('the administrator sees groups', () => {
  it('in a list with what counts, and without their members', async () => {
    const ada = await idp.user('ada@example.com');
    const id = await newGroup('Listed', [ada.id]);
    await permit(id, ['b', 'a']);
    const { body } = await admin('GET', `/orgs/${idp.slug}/groups?filter=displayName eq "listed"`);
    expect(body).toMatchObject({ totalResults: 1, startIndex: 1, itemsPerPage: 1 });
    expect(body.groups).toEqual([
      {
        id,
        displayName: 'Listed',
        externalId: null,
        memberCount: 1,
        permissions: ['a', 'b'],
        created: expect.stringMatching(/Z$/),
        lastModified: expect.stringMatching(/Z$/),
      },
    ]);
  });

  it('in pages, each group with its own permissions, in one round trip that does not touch the memberships', async () => {
    const paged = await newIdp('groups-paged');
    for (const name of ['A', 'B', 'C']) await permit(await newGroup(name, [], paged), [`is-${name}`], paged);
    const meter = new Meter();
    const ask = { env: { DB: meter.binding } };
    const { body } = await admin('GET', `/orgs/${paged.slug}/groups?startIndex=2&count=1&sortBy=displayName`, ask);
    expect(body.groups).toHaveLength(1);
    expect(body).toMatchObject({ totalResults: 3, groups: [{ displayName: 'B', permissions: ['is-B'] }] });
    expect(meter.roundTrips).toBe(1);
    expect(meter.statements.join()).not.toContain('memberships');
  });

  it('one by one, by id or displayName, with the first hundred members', async () => {
    const values = await Promise.all(Array.from({ length: 101 }, async (_, i) => (await idp.user(`many${i}`)).id));
    const id = await newGroup('Many', values);
    const group = await show('mANY');
    expect(group).toMatchObject({ id, displayName: 'Many', memberCount: 101, permissions: [] });
    expect(group.members).toHaveLength(100);
    expect(group.members[0]).toEqual({ id: expect.any(String), type: 'User', display: expect.stringMatching(/^many/) });
    expect(await show(id)).toEqual(group);
  });

  it.each(['Sales/EMEA', '100% Club', 'a%2Fb', 'Ärzte & Co?', 'permissions', '#1 "quoted"', 'plus+minus'])(
    'under the name %s, as it is written',
    async (name) => {
      const id = await newGroup(name);
      expect((await show(name)).id).toBe(id);
      expect((await permit(name, ['p'])).body).toMatchObject({ id, permissions: ['p'] });
    },
  );

  it('by its id even where another group bears that id as its name', async () => {
    const id = await newGroup('Original');
    const impostor = await newGroup(id);
    expect((await show(id)).displayName).toBe('Original');
    expect((await show(impostor)).displayName).toBe(id);
  });

  it('at the cost of that group, however many there are', async () => {
    await newGroup('Cheap');
    const meter = new Meter();
    const read = async () => {
      meter.reset();
      expect((await admin('GET', path('cheap'), { env: { DB: meter.binding } })).status).toBe(200);
      expect(meter.roundTrips).toBe(1);
      return meter.rowsRead;
    };
    const before = await read();
    for (let i = 0; i < 20; i++) await newGroup(`Costly ${i}`);
    expect(await read()).toBe(before);
  });

  it('and hears 404 for a group of another org as for one that never was', async () => {
    const theirs = await newGroup('Theirs', [], other);
    for (const group of [theirs, 'Theirs', crypto.randomUUID()]) {
      const answers = [await admin('GET', path(group)), await permit(group, ['x'])];
      for (const answer of answers) {
        expect(answer.status).toBe(404);
        expect(answer.body).toEqual({ error: 'not_found', detail: 'Group not found' });
      }
    }
    expect((await show(theirs, other)).permissions).toEqual([]);
    expect((await admin('GET', '/orgs/nowhere/groups')).body.detail).toBe('Org not found');
  });

  it('and hears what is wrong with a filter', async () => {
    const answer = await admin('GET', `/orgs/${idp.slug}/groups?filter=colour eq "red"`);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toBe('invalidFilter');
  });
});

describe('permissions of a group', () => {
  it('are set as a whole, each once and in order', async () => {
    const id = await newGroup('Set');
    expect((await permit(id, ['b:write', 'a', 'b:write'])).body.permissions).toEqual(['a', 'b:write']);
    expect((await permit('Set', ['c', 'a'])).body.permissions).toEqual(['a', 'c']);
    expect((await permit('Set', [])).body.permissions).toEqual([]);
    expect((await show(id)).permissions).toEqual([]);
  });

  it('are the same word in one case only', async () => {
    await newGroup('Case');
    expect((await permit('Case', ['read', 'Read'])).body.permissions).toEqual(['Read', 'read']);
  });

  it('survive every push: PUT, PATCH, a new name, members who come and go', async () => {
    const { id: member } = await idp.user('pushed@example.com');
    const id = await newGroup('Pushed');
    await permit(id, ['deploy', 'read']);
    const pushes = [
      idp.put(`/Groups/${id}`, { displayName: 'Pushed again', members: [{ value: member }] }),
      idp.patch(`/Groups/${id}`, [{ op: 'replace', path: 'displayName', value: 'Renamed' }]),
      idp.patch(`/Groups/${id}`, [{ op: 'remove', path: 'members' }]),
      idp.patch(`/Groups/${id}`, [{ op: 'add', value: { permissions: ['root'] } }]),
    ];
    for (const push of pushes) expect((await push).status).toBe(200);
    expect((await show('Renamed')).permissions).toEqual(['deploy', 'read']);
  });

  it('are nothing that the identity provider sees, nor moves its version', async () => {
    const id = await newGroup('Quiet');
    const before = await idp.get(`/Groups/${id}`);
    await permit(id, ['secret.word']);
    const after = await idp.get(`/Groups/${id}`);
    expect(after.text).toBe(before.text);
    expect(after.headers.get('ETag')).toBe(before.headers.get('ETag'));
    expect((await idp.get('/Groups')).text).not.toContain('secret.word');
  });

  it('go with the group, and a new one of the same name starts without', async () => {
    const id = await newGroup('Gone');
    await permit(id, ['gone']);
    await idp.delete(`/Groups/${id}`);
    expect((await permit(id, ['y'])).status).toBe(404);
    const left = env.DB.prepare("SELECT count(*) AS n FROM group_permissions WHERE permission = 'gone'");
    expect((await left.first<{ n: number }>())!.n).toBe(0);
    expect((await journal(id)).at(-1)).toMatchObject({ type: 'group.deleted', details: { permissions: ['gone'] } });
    await newGroup('Gone');
    expect((await show('Gone')).permissions).toEqual([]);
  });

  it('go with the org, and those of others stay', async () => {
    const doomed = await newIdp('groups-doomed');
    await permit(await newGroup('Doomed', [], doomed), ['x'], doomed);
    const kept = await newGroup('Kept');
    await permit(kept, ['x']);
    await admin('DELETE', `/orgs/${doomed.slug}?confirm=${doomed.slug}`);
    const left = env.DB.prepare('SELECT count(*) AS n FROM group_permissions WHERE org_id = ?').bind(doomed.orgId);
    expect((await left.first<{ n: number }>())!.n).toBe(0);
    expect((await show(kept)).permissions).toEqual(['x']);
  });

  it('leave an event with before and after when they change, and none when they do not', async () => {
    const id = await newGroup('Told');
    await permit(id, ['a', 'b']);
    await admin('PUT', `${path(id)}/permissions`, {
      body: { permissions: ['b', 'c'] },
      headers: { 'X-Admin-By': 'grace' },
    });
    await permit(id, ['c', 'b']);
    const told = (await journal(id)).slice(1);
    expect(told).toMatchObject([
      { type: 'group.permissions', details: { changed: { permissions: { before: [], after: ['a', 'b'] } } } },
      {
        type: 'group.permissions',
        actor: 'admin:grace',
        details: { changed: { permissions: { before: ['a', 'b'], after: ['b', 'c'] } } },
      },
    ]);
    expect(told).toHaveLength(2);
  });

  it('set by many at once are those of one of them, whole, and the journal tells which', async () => {
    const id = await newGroup('Contested');
    const sets = Array.from({ length: 8 }, (_, i) => [`x${i}`, `y${i}`]);
    const answers = await Promise.all(sets.map((permissions) => permit(id, permissions)));
    expect(answers.map(({ status }) => status)).toEqual(sets.map(() => 200));
    const { permissions } = await show(id);
    expect(sets).toContainEqual(permissions);
    const told = await journal(id);
    expect(told).toHaveLength(9);
    expect(told.at(-1)).toMatchObject({ details: { changed: { permissions: { after: permissions } } } });
  });

  it.each([
    ['a list', 'read', 'permissions: a list of strings was expected'],
    ['given', undefined, 'permissions: a list of strings was expected'],
    ['strings', ['a', 7], 'permissions.1: a string was expected'],
    ['not empty words', [''], 'permissions.0: letters a-z, digits and . _ : / * - were expected'],
    ['without commas', ['a,b'], 'permissions.0: letters a-z, digits and . _ : / * - were expected'],
    ['without line ends', ['a\n'], 'permissions.0: letters a-z, digits and . _ : / * - were expected'],
    ['of a hundred characters at most', ['x'.repeat(101)], 'permissions.0: at most 100 characters are accepted'],
    ['a hundred at most', Array.from({ length: 101 }, (_, i) => `p${i}`), 'permissions: at most 100 are accepted'],
  ])('must be %s, else nothing changes', async (_, permissions, detail) => {
    const name = `Strict ${crypto.randomUUID()}`;
    const id = await newGroup(name);
    await permit(id, ['kept']);
    const answer = await permit(id, permissions);
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({ error: 'invalidValue', detail });
    expect((await show(id)).permissions).toEqual(['kept']);
  });
});

describe('what a user may do', () => {
  const of = async (userId: string, slug = idp.slug) => {
    const {
      people: [person],
    } = await findPeople(new OrgStore(env.DB, { kind: 'host', org: slug }, Date.now()), 'id', userId);
    return person?.permissions ?? [];
  };

  it('is what the groups permit that it is in, directly or through others, each word once', async () => {
    const { id } = await idp.user('nested@example.com');
    const team = await newGroup('Team', [id]);
    const squad = await newGroup('Squad', [id]);
    const all = await newGroup('Everyone', [team, squad]);
    const apart = await newGroup('Apart');
    await permit(team, ['team', 'read']);
    await permit(squad, ['squad', 'read']);
    await permit(all, ['enter']);
    await permit(apart, ['never']);
    expect(await of(id)).toEqual(['enter', 'read', 'squad', 'team']);
    await idp.patch(`/Groups/${all}`, [{ op: 'remove', path: `members[value eq "${team}"]` }]);
    await idp.patch(`/Groups/${squad}`, [{ op: 'remove', path: 'members' }]);
    expect(await of(id)).toEqual(['read', 'team']);
  });

  it('is not what a group may do that bears the same number within the database', async () => {
    const { id } = await idp.user('numbered@example.com');
    const inner = await newGroup('Inner');
    await env.DB.prepare('UPDATE groups SET seq = (SELECT seq FROM users WHERE id = ?) WHERE id = ?')
      .bind(id, inner)
      .run();
    await permit(await newGroup('Outer', [inner]), ['x']);
    expect(await of(id)).toEqual([]);
  });

  it('is nothing for who was deleted, is of another org, or never was', async () => {
    const { id } = await idp.user('leaver@example.com');
    await permit(await newGroup('Leavers', [id]), ['x']);
    expect(await of(id)).toEqual(['x']);
    expect(await of(id, other.slug)).toEqual([]);
    await idp.delete(`/Users/${id}`);
    expect(await of(id)).toEqual([]);
    expect(await of(crypto.randomUUID())).toEqual([]);
  });
});
