/** Erasure by the operator: nothing is left of a person but ids, wherever it may have got. */

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ENTERPRISE_USER } from '../../src/scim/urns';
import { admin, host, type Idp, newIdp } from '../support/client';
import { coordinatorOf, flagOf, userRow } from '../support/coordinator';
import { counters, dump, dumpAll, journal, rows } from '../support/database';
import { FaultyDb } from '../support/faults';
import { unreachable } from '../support/outbox';
import { HostStream } from '../support/stream';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

let idp: Idp;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`erase-${++n}`);
});

const org = (path = '') => `/orgs/${idp.slug}${path}`;
const erase = (user: string, more: object = {}, confirm = user) =>
  admin('POST', org(`/users/${encodeURIComponent(user)}/erase?confirm=${encodeURIComponent(confirm)}`), {
    body: {},
    ...more,
  });
const active = (value: boolean) => [{ op: 'replace', path: 'active', value }];
const events = (query = '') => admin('GET', org(`/events?limit=500${query}`));

/** KV takes one write a second of each key: what changes often here is not published in between. */
const unheard = { env: unreachable };

/** Every text that is of Zelda and of nobody else, and of no random token: what must stand nowhere. */
const OURS = /zqvjxk[a-z0-9]*/gi;
const URN = 'urn:acme:scim:2.0:staff';
const zelda = {
  userName: 'zqvjxkname@zqvjxkmail.example',
  externalId: 'zqvjxkexternal',
  name: {
    formatted: 'Zqvjxkformatted',
    familyName: 'Zqvjxkfamily',
    givenName: 'Zqvjxkgiven',
    middleName: 'Zqvjxkmiddle',
    honorificPrefix: 'Zqvjxkdr',
    honorificSuffix: 'Zqvjxkjr',
  },
  displayName: 'Zqvjxkdisplay',
  nickName: 'Zqvjxknick',
  profileUrl: 'https://zqvjxkprofile.example/zqvjxk1',
  title: 'Zqvjxktitle',
  userType: 'Zqvjxktype',
  preferredLanguage: 'zqvjxklang',
  locale: 'zqvjxklocale',
  timezone: 'Zqvjxkzone',
  emails: [
    { value: 'zqvjxkwork@zqvjxkmail.example', type: 'work', display: 'Zqvjxkshown', primary: true },
    { value: 'zqvjxkhome@zqvjxkother.example', type: 'home' },
  ],
  phoneNumbers: [{ value: '+1 zqvjxk555', type: 'work' }],
  ims: [{ value: 'zqvjxkim', type: 'xmpp' }],
  photos: [{ value: 'https://zqvjxkphoto.example/zqvjxk2', type: 'photo' }],
  addresses: [
    {
      formatted: 'Zqvjxkstreet 1',
      streetAddress: 'Zqvjxklane',
      locality: 'Zqvjxkcity',
      region: 'Zqvjxkregion',
      postalCode: 'zqvjxk8000',
      country: 'ZQvjxk',
      type: 'work',
    },
  ],
  entitlements: [{ value: 'zqvjxkentitlement' }],
  roles: [{ value: 'zqvjxkrole' }],
  x509Certificates: [{ value: 'enFjZXJ0' }],
  [ENTERPRISE_USER]: {
    employeeNumber: 'zqvjxk42',
    costCenter: 'Zqvjxkcost',
    organization: 'Zqvjxkorg',
    division: 'Zqvjxkdivision',
    department: 'Zqvjxkdepartment',
  },
  [URN]: { badge: 'zqvjxkbadge', cars: [{ plate: 'zqvjxkplate' }] },
};

/** Zelda with all that can happen to somebody; her id. */
async function live(): Promise<string> {
  await admin('POST', org('/schemas'), {
    body: {
      id: URN,
      name: 'Staff',
      attributes: [
        { name: 'badge' },
        { name: 'cars', type: 'complex', multiValued: true, subAttributes: [{ name: 'plate' }] },
      ],
    },
  });
  const { body: team } = await idp.post('/Groups', { displayName: 'Everybody' });
  const settings = { defaultGroup: team.id, signOutOnRename: 'true', 'plan.seats': '6' };
  expect((await admin('PATCH', org(), { body: { settings } })).status).toBe(200);
  const { id } = await idp.user(zelda.userName, zelda);
  const bob = await idp.user('bob@x', { [ENTERPRISE_USER]: { manager: { value: id } } });
  await idp.patch(`/Users/${id}`, [
    { op: 'replace', value: { title: 'Zqvjxkhead', 'name.familyName': 'Zqvjxkmarried' } },
  ]);
  await idp.patch(
    `/Users/${id}`,
    [{ op: 'replace', path: 'userName', value: 'zqvjxkrenamed@zqvjxkmail.example' }],
    unheard,
  );
  await idp.put(
    `/Users/${id}`,
    { ...zelda, userName: 'zqvjxkagain@zqvjxkmail.example', externalId: 'zqvjxkother' },
    unheard,
  );
  await idp.patch(`/Users/${id}`, active(false), unheard);
  await idp.patch(`/Users/${id}`, active(true), unheard);
  const { body: sales } = await idp.post('/Groups', {
    displayName: 'Sales',
    members: [{ value: id, display: 'Zqvjxkdisplay', $ref: 'https://x/zqvjxkref' }, { value: bob.id }],
  });
  await idp.patch(`/Groups/${sales.id}`, [{ op: 'remove', path: `members[value eq "${id}"]` }]);
  await idp.patch(`/Groups/${sales.id}`, [
    { op: 'add', path: 'members', value: [{ value: id, display: 'Zqvjxknow' }] },
  ]);
  await admin('POST', org(`/users/${id}/sign-out`), { body: {}, ...unheard });
  const bulk = await idp.post('/Bulk', {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'],
    Operations: [
      {
        method: 'PATCH',
        path: `/Users/${id}`,
        data: { Operations: [{ op: 'add', path: 'nickName', value: 'Zqvjxkbulk' }] },
      },
    ],
  });
  expect(bulk.body.Operations[0].status).toBe('200');
  // Refused, and it names her.
  expect((await idp.post('/Users', { userName: 'zqvjxkagain@zqvjxkmail.example' })).status).toBe(409);
  await idp.get(`/Users?filter=${encodeURIComponent('userName eq "zqvjxkagain@zqvjxkmail.example"')}`, {
    headers: { Authorization: `Bearer ${idp.token.slice(0, -2)}` },
  });
  await idp.delete(`/Users/${id}`, unheard);
  const back = await idp.post(
    '/Users',
    { ...zelda, userName: 'zqvjxkback@zqvjxkmail.example', externalId: 'zqvjxkother' },
    unheard,
  );
  expect(back.body.id).toBe(id);
  await idp.patch(`/Groups/${sales.id}`, [{ op: 'add', path: 'members', value: [{ value: id }] }]);
  await env.DB.prepare(
    `INSERT INTO brake_held (org_id, user_id, operation, since, last_at, attempts) VALUES (?, ?, 'delete', 1, 1, 1)`,
  )
    .bind(idp.orgId, id)
    .run();
  return id;
}

/** All that is kept anywhere: D1, KV, and what the org's object stores. */
async function everything(): Promise<string> {
  const { keys } = await env.REVOCATIONS.list();
  const flags = await Promise.all(keys.map(async ({ name }) => [name, await env.REVOCATIONS.get(name)]));
  const stored = await runInDurableObject(coordinatorOf(idp.orgId), async (_, { storage }) => [
    ...(await storage.list()),
  ]);
  return (await dumpAll()) + JSON.stringify([flags, stored]);
}

describe('a person who is erased', () => {
  it('has left nothing anywhere but the id, in the journal too', async () => {
    const id = await live();
    const before = await everything();
    expect(before).toMatch(OURS);
    expect(before).toContain('enFjZXJ0');
    const was = (await events()).body.events;

    const { status, body } = await erase('ZQvjxkback@zqvjxkmail.example', {
      body: { by: 'olga', reason: 'a request' },
    });
    expect([status, body]).toEqual([200, { id, erased: true, published: true }]);

    const left = await everything();
    expect(left.match(OURS)).toBeNull();
    expect(left).not.toContain('enFjZXJ0');
    expect(await counters(idp.orgId)).toEqual({ kept: { users: 1, active: 1 }, real: { users: 1, active: 1 } });
    expect(await rows('SELECT * FROM memberships WHERE member_seq = (SELECT seq FROM users WHERE id = ?)', id)).toEqual(
      [],
    );
    expect(await rows('SELECT member_count AS n FROM groups ORDER BY seq')).toEqual([{ n: 1 }, { n: 1 }]);
    expect(await rows('SELECT * FROM brake_held')).toEqual([]);

    // The journal is as long as it was, and tells what happened to whom.
    const now = (await events()).body.events;
    expect(now).toHaveLength(was.length + 1);
    const told = (all: { seq: number; type: string; target: string; at: string }[]) =>
      all.map(({ seq, type, target, at }) => [seq, type, target, at]);
    expect(told(now.slice(0, -1))).toEqual(told(was));
    expect(now.at(-1)).toMatchObject({
      type: 'user.erased',
      actor: 'admin:admin',
      target: id,
      details: { erased: true, cause: 'operator', by: 'olga', reason: 'a request' },
    });
    expect(now.at(-1).details.leftGroups).toHaveLength(1);
    const its = now.filter(({ target }: { target: string }) => target === id);
    expect(its.every(({ details }: { details: { erased: boolean } }) => details.erased)).toBe(true);
    expect(its[0].details.changed).toEqual({ active: { before: null, after: true } });
    expect(its[0].details.attributes).toEqual(expect.arrayContaining(['userName', 'emails', URN]));
  });

  it('keeps of old events the names of their quirks, without what the client wrote', async () => {
    const { id } = await idp.user('ada@x');
    await env.DB.prepare(
      `UPDATE events SET details = json_set(details, '$.bends', json('["capital-op", "unknown-path:zqvjxk"]')) WHERE target_id = ?`,
    )
      .bind(id)
      .run();
    await erase(id);
    const [event] = (await events()).body.events.filter(({ target }: { target: string }) => target === id);
    expect(event.details.quirks).toEqual(['capital-op', 'unknown-path']);
    expect(JSON.stringify(event)).not.toContain('zqvjxk');
  });

  it('can still be asked about: history, health, the host’s events and stream', async () => {
    const id = await live();
    await erase(id);
    const { status, body, text } = await admin('GET', org(`/users/${id}/history?limit=500`));
    expect(status, text).toBe(200);
    expect(text.match(OURS)).toBeNull();
    expect(body.user).toMatchObject({ id, active: false, erasedAt: expect.any(String), groups: [] });
    const created = body.events.find(({ type }: { type: string }) => type === 'user.created');
    expect(created.told).toMatch(
      /^Created by the identity provider.*; active true, externalId \(erased\), userName \(erased\)/,
    );
    expect(body.events.at(-1).told).toBe(
      'Erased by the administrator admin: all sessions until then are over, and only the id remains',
    );
    expect((await admin('GET', org('/health'))).status).toBe(200);
    const feed = await host('GET', `/events?org=${idp.slug}&limit=500`);
    expect(feed.status).toBe(200);
    expect(feed.body.events.at(-1)).toMatchObject({ type: 'user.erased', target: id });
    const stream = await HostStream.open(idp.slug, { after: 0 });
    await stream.until(({ synced }) => synced === feed.body.current);
    expect(stream.known.get(id)?.active).toBe(false);
    stream.close();
  });

  it('is out before the answer: the flag, the strict check, the gate', async () => {
    const { id } = await idp.user('ada@x', { emails: [{ value: 'ada@x' }] });
    const issuedAt = Date.now();
    expect((await erase('ADA@x')).body).toEqual({ id, erased: true, published: true });
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    expect((await host('POST', '/check', { body: { org: idp.slug, user: id, issuedAt } })).body).toMatchObject({
      valid: false,
      reason: 'inactive',
    });
    for (const key of [{ id }, { userName: 'ada@x' }, { email: 'ada@x' }]) {
      const { removedAt: _, ...said } = (await host('POST', '/resolve', { body: { org: idp.slug, ...key } })).body;
      // The id alone is left.
      expect(said).toEqual('id' in key ? { found: false, removed: true } : { found: false });
    }
  });

  it('is nobody to SCIM, and never comes back: the userName and externalId are a new person’s', async () => {
    const { id } = await idp.user('ada@x', { externalId: 'e1' });
    await erase(id);
    for (const answer of [
      await idp.get(`/Users/${id}`),
      await idp.put(`/Users/${id}`, { userName: 'ada@x' }),
      await idp.patch(`/Users/${id}`, active(true)),
      await idp.delete(`/Users/${id}`),
    ]) {
      expect(answer.status).toBe(404);
    }
    const found = await idp.get(
      `/Users?filter=${encodeURIComponent('externalId eq "e1" or userName eq "ada@x" or userName eq ""')}`,
    );
    expect(found.body.totalResults).toBe(0);
    expect((await idp.post('/Users', { userName: '' })).status).toBe(400);
    for (const more of [{ externalId: 'e1' }, {}]) {
      const { body } = await idp.post('/Users', { userName: 'ada@x', ...more });
      expect(body.id).not.toBe(id);
      await erase(body.id);
    }
    expect((await userRow(idp.orgId, id)).active).toBe(0);
  });

  it('may be deactivated, or deleted long ago and found by the userName', async () => {
    const ada = await idp.user('ada@x');
    await idp.patch(`/Users/${ada.id}`, active(false), unheard);
    expect((await erase('ada@x')).body).toMatchObject({ id: ada.id, erased: true });
    const zoe = await idp.user('zqvjxk-zoe@x', { nickName: 'Zqvjxkz' });
    await idp.delete(`/Users/${zoe.id}`, unheard);
    const { deleted_at } = await userRow(idp.orgId, zoe.id);
    expect((await erase('zqvjxk-zoe@x')).body).toMatchObject({ id: zoe.id, erased: true });
    expect((await everything()).match(OURS)).toBeNull();
    expect((await userRow(idp.orgId, zoe.id)).deleted_at).toBe(deleted_at);
    expect(await counters(idp.orgId)).toEqual({ kept: { users: 0, active: 0 }, real: { users: 0, active: 0 } });
  });

  it('takes no part of another org’s person with the same names', async () => {
    const other = await newIdp(`erase-other-${n}`);
    const theirs = await other.user('ada@x', { externalId: 'e1' });
    const { id } = await idp.user('ada@x', { externalId: 'e1' });
    expect((await erase(theirs.id)).status).toBe(404);
    await erase(id);
    expect((await other.get(`/Users/${theirs.id}`)).body).toMatchObject({ userName: 'ada@x', externalId: 'e1' });
    expect((await journal(other.orgId, theirs.id))[0]?.details.changed.userName.after).toBe('ada@x');
  });
});

describe('an erasure', () => {
  it('happens once: asked again it says so, and changes nothing', async () => {
    const { id } = await idp.user('ada@x');
    const answers = await Promise.all([erase(id), erase(id), erase(id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    const was = await dump();
    const again = await erase(id);
    expect([again.status, again.body.detail]).toEqual([409, 'The user is erased already: only the id remains']);
    expect((await erase('ada@x')).status).toBe(404);
    expect(await dump()).toBe(was);
    expect((await journal(idp.orgId, id)).filter(({ type }) => type === 'user.erased')).toHaveLength(1);
  });

  it.each([
    ['without a confirmation', (id: string) => erase(id, {}, ''), 400],
    ['with another one', (id: string) => erase(id, {}, 'ada@x'), 400],
    ['with a body that is none of it', (id: string) => erase(id, { body: { why: 'x' } }), 400],
    ['of nobody', () => erase('nobody'), 404],
    ['of a group', async () => erase((await idp.post('/Groups', { displayName: 'G' })).body.id), 404],
  ])('%s is refused', async (_, ask, status) => {
    const { id } = await idp.user('ada@x');
    expect((await ask(id)).status).toBe(status);
    expect((await idp.get(`/Users/${id}`)).status).toBe(200);
  });

  it('of a protected account waits until it is unprotected', async () => {
    const { id } = await idp.user('ada@x');
    const protect = (is: number) => env.DB.prepare('UPDATE users SET protected = ? WHERE id = ?').bind(is, id).run();
    await protect(1);
    const was = await dump();
    const { status, body } = await erase('ada@x');
    expect([status, body.detail]).toEqual([409, 'The user is protected: run user unprotect first']);
    expect(await dump()).toBe(was);
    await protect(0);
    expect((await erase('ada@x')).status).toBe(200);
  });

  it('is whole or nothing, wherever the database fails', async () => {
    const { id } = await idp.user('zqvjxkada@x', { emails: [{ value: 'zqvjxkada@x' }] });
    const was = await dump();
    let size = 1;
    for (let statement = 0; statement < size; statement++) {
      const faulty = new FaultyDb({ kind: 'at', statement }, /SET user_name_key = ''/);
      expect((await erase(id, { env: { DB: faulty.binding } })).status).toBe(500);
      ({ size } = faulty);
    }
    expect(size).toBeGreaterThan(10);
    expect(await dump()).toBe(was);
    // Committed, and the answer lost: the repetition says so, and the flag is asked for.
    const lost = new FaultyDb({ kind: 'after' }, /SET user_name_key = ''/);
    expect((await erase(id, { env: { DB: lost.binding } })).status).toBe(503);
    expect((await erase(id)).status).toBe(409);
    expect(await rows('SELECT user_id FROM outbox WHERE user_id = ?', id)).toHaveLength(1);
    expect((await everything()).match(OURS)).toBeNull();
  });

  it('stands when nobody could be told yet, and says so', async () => {
    const { id } = await idp.user('ada@x');
    expect((await erase(id, { env: unreachable })).body).toEqual({ id, erased: true, published: false });
    expect(await rows('SELECT user_id FROM outbox WHERE user_id = ?', id)).toHaveLength(1);
  });

  it('at the same time as changes, restores and group pushes leaves nothing, and loses nothing of anybody else', async () => {
    const { body: team } = await idp.post('/Groups', { displayName: 'Team' });
    const bob = await idp.user('bob@x');
    for (let round = 0; round < 8; round++) {
      const { id } = await idp.user(`zqvjxkada${round}@x`, {
        externalId: `zqvjxke${round}`,
        emails: [{ value: `zqvjxka${round}@x` }],
      });
      if (round % 2 === 1) await idp.delete(`/Users/${id}`, unheard);
      const [erased, ...others] = await Promise.all([
        erase(id, unheard),
        idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'nickName', value: 'Zqvjxknick' }], unheard),
        idp.put(`/Users/${id}`, { userName: `zqvjxkput${round}@x`, externalId: `zqvjxke${round}` }, unheard),
        idp.patch(`/Users/${id}`, active(false), unheard),
        idp.patch(`/Groups/${team.id}`, [{ op: 'add', path: 'members', value: [{ value: id }, { value: bob.id }] }]),
        ...(round % 4 === 0 ? [idp.delete(`/Users/${id}`, unheard)] : []),
        ...(round % 2 === 1
          ? [idp.post('/Users', { userName: `zqvjxkada${round}@x`, externalId: `zqvjxke${round}` }, unheard)]
          : []),
      ]);
      expect(erased!.status).toBe(200);
      expect(others.every(({ status }) => status < 500)).toBe(true);
      // A POST that came after it has made somebody new, who is none of this.
      const [fresh] = await rows(
        'SELECT id FROM users WHERE org_id = ? AND external_id = ?',
        idp.orgId,
        `zqvjxke${round}`,
      );
      if (fresh) {
        expect(fresh['id']).not.toBe(id);
        await erase(fresh['id'] as string, unheard);
      }
      expect((await idp.get(`/Users/${id}`)).status).toBe(404);
      expect((await everything()).match(OURS)).toBeNull();
    }
    const { kept, real } = await counters(idp.orgId);
    expect(kept).toEqual(real);
    expect(await rows('SELECT count(*) AS n FROM memberships WHERE org_id = ?', idp.orgId)).toEqual([{ n: 1 }]);
    expect(await rows('SELECT member_count AS n FROM groups WHERE id = ?', team.id)).toEqual([{ n: 1 }]);
    const seqs = (await journal(idp.orgId)).map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
  });
});
