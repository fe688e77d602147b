/** Accounts that the host app had before its customer's identity provider came (docs/existing-accounts.md). */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { BULK_REQUEST, PATCH_OP } from '../../src/scim/urns';
import { protect, unlinked } from '../support/accounts';
import { admin, host, type Idp, newIdp } from '../support/client';
import { counters, dump, journal, rows } from '../support/database';
import { Meter } from '../support/meter';
import { expectRefusal } from '../support/refusal';

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`linking-${++n}`);
});

const set = async (settings: Record<string, string>) => {
  const answer = await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
  expect(answer.status, answer.text).toBe(200);
};
const work = (value: string) => [{ value, type: 'work', primary: true }];
const post = (body: Record<string, unknown>) => idp.post('/Users', body);
const last = async (id: string) => (await journal(idp.orgId, id)).at(-1)!;
const linkedAt = async (id: string) =>
  (await rows('SELECT linked_at FROM users WHERE org_id = ? AND id = ?', idp.orgId, id))[0]!['linked_at'];
const total = async () => (await idp.get('/Users?count=0')).body.totalResults;
async function expectConsistent() {
  const { kept, real } = await counters(idp.orgId);
  expect(kept).toEqual(real);
}

describe('a POST with the userName of an account that was there', () => {
  it('links it under its id, and the event says so', async () => {
    const before = await unlinked(idp, 'Ada@Example.com', { title: 'Owner' });
    const answer = await post({ userName: 'ada@example.com', externalId: '00u1', active: true });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ id: before.id, userName: 'ada@example.com', externalId: '00u1', active: true });
    expect(answer.headers.get('Location')).toContain(before.id);
    expect(await last(before.id)).toMatchObject({
      type: 'user.linked',
      actor: 'idp',
      details: { linked: { by: 'userName' }, changed: { externalId: { before: null, after: '00u1' } } },
    });
    expect(await linkedAt(before.id)).toEqual(expect.any(Number));
    expect(await total()).toBe(1);
    await expectConsistent();
  });

  it('keeps what the identity provider does not say, and takes what it says', async () => {
    const { id } = await unlinked(idp, 'ada', { title: 'Owner', name: { givenName: 'Ada', familyName: 'B' } });
    const { body } = await post({ userName: 'ada', name: { givenName: 'Ada', familyName: 'King' } });
    expect(body).toMatchObject({ id, title: 'Owner', name: { familyName: 'King' } });
  });

  it('never changes its e-mail address on first contact, and does afterwards', async () => {
    const { id } = await unlinked(idp, 'ada', { emails: work('ada@acme.com') });
    const { body } = await post({ userName: 'ada', emails: work('mallory@evil.test') });
    expect(body.emails).toMatchObject([{ value: 'ada@acme.com' }]);
    expect((await last(id)).details.linked).toEqual({ by: 'userName', keptEmails: true });
    const put = await idp.put(`/Users/${id}`, { userName: 'ada', emails: work('ada@acme.org') });
    expect(put.body.emails).toMatchObject([{ value: 'ada@acme.org' }]);
  });

  it('gives an account without an address the one it says', async () => {
    await unlinked(idp, 'ada');
    expect((await post({ userName: 'ada', emails: work('ada@acme.com') })).body.emails).toMatchObject([
      { value: 'ada@acme.com' },
    ]);
  });

  it('leaves whether somebody may sign in as it is, unless it says so', async () => {
    const { id } = await unlinked(idp, 'ada', { active: false });
    expect((await post({ userName: 'ada' })).body.active).toBe(false);
    expect(await last(id)).toMatchObject({ type: 'user.linked' });
    const bob = await unlinked(idp, 'bob', { active: false });
    expect((await post({ userName: 'bob', active: true })).body).toMatchObject({ id: bob.id, active: true });
    expect(await last(bob.id)).toMatchObject({ type: 'user.reactivated', details: { linked: { by: 'userName' } } });
    await expectConsistent();
  });

  it('ends the sessions of whom it links as deactivated', async () => {
    const { id } = await unlinked(idp, 'ada');
    const issuedAt = Date.now();
    expect((await post({ userName: 'ada', active: false })).status).toBe(201);
    expect((await host('POST', '/check', { body: { org: idp.slug, user: id, issuedAt } })).body.valid).toBe(false);
    expect(await last(id)).toMatchObject({ type: 'user.deactivated', details: { linked: { by: 'userName' } } });
  });

  it('needs a seat only for who was inactive', async () => {
    await unlinked(idp, 'ada');
    await unlinked(idp, 'bob', { active: false });
    await set({ 'plan.seats': '1' });
    expect((await post({ userName: 'ada', active: true })).status).toBe(201);
    expectRefusal(await post({ userName: 'bob', active: true }), 403, undefined, /plan\.seats/);
  });

  it('is a conflict the second time: the account is the identity provider’s now', async () => {
    await unlinked(idp, 'ada');
    expect((await post({ userName: 'ada', externalId: 'one' })).status).toBe(201);
    expectRefusal(await post({ userName: 'ada', externalId: 'two' }), 409, 'uniqueness');
  });

  it('links once when it comes many times at once', async () => {
    const { id } = await unlinked(idp, 'ada');
    const answers = await Promise.all(Array.from({ length: 8 }, () => post({ userName: 'ada', externalId: 'x' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409, 409, 409]);
    expect((await journal(idp.orgId, id)).filter(({ type }) => type === 'user.linked')).toHaveLength(1);
    expect(await total()).toBe(1);
  });

  it('never links a foreign one: an account with another externalId', async () => {
    await unlinked(idp, 'ada', { externalId: 'hers' });
    const before = await dump();
    expectRefusal(await post({ userName: 'ada', externalId: 'another' }), 409, 'uniqueness');
    expect(await dump()).toBe(before);
    expect((await post({ userName: 'ada', externalId: 'hers' })).status).toBe(201);
  });

  it('never links across orgs', async () => {
    const other = await newIdp(`${idp.slug}-other`);
    const { id } = await unlinked(other, 'ada', { emails: work('ada@acme.com') });
    await set({ verifiedDomains: 'acme.com' });
    const { body } = await post({ userName: 'ada', emails: work('ada@acme.com') });
    expect(body.id).not.toBe(id);
    expect((await other.get(`/Users/${id}`)).status).toBe(200);
  });

  it('links rather than restores, where both a live account and a deleted one have the name', async () => {
    const gone = await idp.user('ada', { externalId: 'gone' });
    await idp.delete(`/Users/${gone.id}`);
    const { id } = await unlinked(idp, 'eve');
    // As if the host app had made its own since.
    await env.DB.prepare(
      "UPDATE users SET user_name_key = 'ada', resource = json_set(resource, '$.userName', 'ada') WHERE org_id = ? AND id = ?",
    )
      .bind(idp.orgId, id)
      .run();
    await set({ linking: 'off' });
    expectRefusal(await post({ userName: 'ada' }), 409, 'uniqueness');
    await set({ linking: 'userName' });
    expect((await post({ userName: 'ada' })).body.id).toBe(id);
  });

  it('does the same within a bulk request', async () => {
    const { id } = await unlinked(idp, 'ada');
    const { body } = await idp.post('/Bulk', {
      schemas: [BULK_REQUEST],
      Operations: [{ method: 'POST', path: '/Users', bulkId: 'a', data: { userName: 'ada' } }],
    });
    expect(body.Operations[0]).toMatchObject({ status: '201', location: expect.stringContaining(id) });
  });
});

describe('a POST with the e-mail address of an account that was there', () => {
  beforeEach(() => set({ verifiedDomains: 'acme.com,acme.org' }));

  it('links it where the domain is verified, and gives it the userName of the identity provider', async () => {
    const { id } = await unlinked(idp, 'ada.owner', { emails: work('Ada@Acme.com') });
    const { status, body } = await post({ userName: 'ada@corp.test', emails: work('ada@ACME.com') });
    expect([status, body.id, body.userName]).toEqual([201, id, 'ada@corp.test']);
    // The same address, in other letters.
    expect((await last(id)).details.linked).toEqual({ by: 'email' });
    expect((await last(id)).details).toMatchObject({
      changed: { userName: { before: 'ada.owner', after: 'ada@corp.test' } },
    });
  });

  it('makes a new account where the domain is not verified, or addresses do not link', async () => {
    await unlinked(idp, 'ada', { emails: work('ada@gmail.test') });
    await unlinked(idp, 'bob', { emails: work('bob@acme.com') });
    expect((await post({ userName: 'a', emails: work('ada@gmail.test') })).status).toBe(201);
    await set({ linking: 'userName' });
    expect((await post({ userName: 'b', emails: work('bob@acme.com') })).status).toBe(201);
    await set({ linking: 'email', verifiedDomains: 'none' });
    expect((await post({ userName: 'c', emails: work('bob@acme.com') })).status).toBe(201);
    expect(await total()).toBe(5);
  });

  it('never links one of two, and says in the event whom it might have been', async () => {
    await set({ linking: 'userName' });
    const one = await unlinked(idp, 'one', { emails: work('team@acme.com') });
    const two = await unlinked(idp, 'two', { emails: work('team@acme.com') });
    await set({ linking: 'email' });
    const { status, body } = await post({ userName: 'three', emails: work('team@acme.com') });
    expect(status).toBe(201);
    expect((await last(body.id)).details.notLinked.sort()).toEqual([one.id, two.id].sort());
    expect([await linkedAt(one.id), await linkedAt(two.id)]).toEqual([null, null]);
  });

  it('never links one whose address somebody of the identity provider has, too, nor a foreign one', async () => {
    await idp.user('hers', { emails: work('x@acme.com') });
    const { id } = await unlinked(idp, 'own', { emails: work('x@acme.com') });
    const foreign = await unlinked(idp, 'foreign', { emails: work('y@acme.com'), externalId: 'hers' });
    const first = await post({ userName: 'n1', emails: work('x@acme.com') });
    const second = await post({ userName: 'n2', emails: work('y@acme.com'), externalId: 'mine' });
    expect([first.status, second.status]).toEqual([201, 201]);
    expect([first.body.id, second.body.id]).not.toContain(id);
    expect((await last(second.body.id)).details.notLinked).toEqual([foreign.id]);
    expect(await linkedAt(foreign.id)).toBe(null);
  });

  it('takes the primary address alone, or the only one, of the message and of the account', async () => {
    const ceo = await unlinked(idp, 'ceo', { emails: work('ceo@acme.com') });
    const own = { value: 'mallory@acme.com', type: 'work', primary: true };
    const besides = { value: 'ceo@acme.com', type: 'home' };
    const mallory = await post({ userName: 'mallory', emails: [own, besides] });
    expect([mallory.status, mallory.body.id === ceo.id]).toEqual([201, false]);
    const nobody = await post({ userName: 'n', emails: [{ value: 'x@acme.com' }, besides] });
    expect(nobody.body.id).not.toBe(ceo.id);
    const two = await unlinked(idp, 'two', { emails: [...work('first@acme.org'), { value: 'second@acme.org' }] });
    const second = await post({ userName: 's', emails: work('second@acme.org') });
    expect(second.body.id).not.toBe(two.id);
    expect((await last(second.body.id)).details.notLinked).toEqual([two.id]);
    expect((await linkedAt(ceo.id)) ?? (await linkedAt(two.id))).toBe(null);
  });

  it('never links an account that is protected, and the event names it', async () => {
    const { id } = await unlinked(idp, 'owner', { emails: work('owner@acme.com') });
    await protect(idp, id);
    const { status, body } = await post({ userName: 'owner@corp.test', emails: work('owner@acme.com') });
    expect([status, body.id === id]).toEqual([201, false]);
    expect((await last(body.id)).details.notLinked).toEqual([id]);
    expect(await linkedAt(id)).toBe(null);
  });

  it('compares domains as DNS does, and what stands before them by case alone', async () => {
    await set({ verifiedDomains: 'straße.example, MÜLLER.example, acme.com' });
    const show = await admin('GET', `/orgs/${idp.slug}`);
    const kept = ['xn--strae-oqa.example', 'xn--mller-kva.example', 'acme.com'];
    expect(show.body.settings.verifiedDomains).toEqual(kept);
    const pairs: [theirs: string, said: string, isOne: boolean][] = [
      ['ceo@straße.example', 'ceo@strasse.example', false],
      ['cfo@strasse.example', 'cfo@straße.example', false],
      ['cto@straße.example', 'CTO@xn--strae-oqa.EXAMPLE', true],
      ['coo@xn--mller-kva.example', 'coo@müller.example', true],
      ['boß@acme.com', 'boss@acme.com', false],
      ['cio@acme.com', 'cio＠acme.com', false],
      ['ciso＠acme.com', 'ciso@acme.com', false],
    ];
    for (const [theirs, said, isOne] of pairs) {
      const { id } = await unlinked(idp, `name of ${theirs}`, { emails: work(theirs) });
      const { body } = await post({ userName: `new name of ${theirs}`, emails: work(said) });
      expect([said, body.id === id]).toEqual([said, isOne]);
      const email = async (asked: string) =>
        (await host('POST', '/resolve', { body: { org: idp.slug, email: asked } })).body.id;
      if (!isOne) expect([await email(theirs), await email(said)]).toEqual([id, body.id]);
      else expect([await email(theirs), await email(said)]).toEqual([id, id]);
    }
  });

  it('finds nobody by an empty address', async () => {
    const ids = [];
    for (const value of ['', ' ']) {
      ids.push((await unlinked(idp, `u${ids.length}`, { emails: [{ value, type: 'work' }] })).id);
      ids.push((await post({ userName: `v${ids.length}`, emails: [{ value, type: 'work' }] })).body.id);
    }
    expect(new Set(ids).size).toBe(4);
    expect(await rows("SELECT * FROM user_emails WHERE org_id = ? AND trim(value_key) = ''", idp.orgId)).toEqual([]);
    expect((await host('POST', '/resolve', { body: { org: idp.slug, email: ' ' } })).body).toEqual({ found: false });
    expect((await host('POST', '/resolve', { body: { org: idp.slug, externalId: ' ' } })).body).toEqual({
      found: false,
    });
  });

  it('goes by the userName first', async () => {
    const named = await unlinked(idp, 'ada');
    await unlinked(idp, 'other', { emails: work('ada@acme.com') });
    expect((await post({ userName: 'ada', emails: work('ada@acme.com') })).body.id).toBe(named.id);
  });

  it('takes one round trip where nobody is meant', async () => {
    await unlinked(idp, 'other', { emails: work('other@acme.com') });
    const meter = new Meter();
    const body = { userName: 'new', emails: work('new@acme.com') };
    expect((await idp.post('/Users', body, { env: { DB: meter.binding } })).status).toBe(201);
    expect(meter.roundTrips).toBe(1);
  });
});

describe('an account that was there', () => {
  it('is in the identity provider’s list, which can match it and then write to it: that links it, too', async () => {
    const { id } = await unlinked(idp, 'ada');
    const bob = await unlinked(idp, 'bob');
    const list = await idp.get('/Users?filter=userName eq "ADA"&startIndex=1&count=100');
    expect(list.body.Resources[0].id).toBe(id);
    expect(await linkedAt(id)).toBe(null);
    expect((await idp.put(`/Users/${id}`, { userName: 'ada', externalId: '00u1', active: true })).status).toBe(200);
    expect(await last(id)).toMatchObject({ type: 'user.linked', details: { linked: { by: 'id' } } });
    const patched = await idp.patch(`/Users/${bob.id}`, [{ op: 'replace', path: 'active', value: 'False' }]);
    expect(patched.status).toBe(200);
    expect(await last(bob.id)).toMatchObject({ type: 'user.deactivated', details: { linked: { by: 'id' } } });
  });

  it('is linked by a message that changes nothing, and moves no version by it', async () => {
    const { id, meta } = await unlinked(idp, 'ada');
    const { body } = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: true }]);
    expect(body.meta).toEqual(meta);
    expect(await last(id)).toMatchObject({ type: 'user.linked', details: { changed: {}, linked: { by: 'id' } } });
    const events = (await journal(idp.orgId)).length;
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: true }]);
    expect((await journal(idp.orgId)).length).toBe(events);
  });

  it('stays the host app’s own where the org does not link', async () => {
    const { id } = await unlinked(idp, 'ada', { emails: work('ada@acme.com') });
    await set({ linking: 'off', verifiedDomains: 'acme.com', supportContact: 'help@vendor.test' });
    const before = await dump();
    const off = [{ op: 'replace', path: 'active', value: false }];
    expectRefusal(await post({ userName: 'ada' }), 409, 'uniqueness');
    for (const answer of [
      await idp.put(`/Users/${id}`, { userName: 'ada', active: false }),
      await idp.patch(`/Users/${id}`, off),
      await idp.delete(`/Users/${id}`),
    ]) {
      expectRefusal(answer, 403, undefined, /\blinking\b.*help@vendor\.test/);
    }
    expect(await dump()).toBe(before);
    expect((await idp.get(`/Users/${id}`)).status).toBe(200);
  });

  it('that is deleted by the identity provider is its own from then on', async () => {
    const { id } = await unlinked(idp, 'ada');
    expect((await idp.delete(`/Users/${id}`)).status).toBe(204);
    expect((await post({ userName: 'ada' })).body.id).toBe(id);
    expect(await last(id)).toMatchObject({ type: 'user.restored' });
    expectRefusal(await post({ userName: 'ada' }), 409, 'uniqueness');
  });
});

describe('somebody whom the vendor protects', () => {
  const off = [{ op: 'Replace', path: 'active', value: 'False' }];

  it('can neither be deactivated nor deleted by the identity provider: 403, and an event for each', async () => {
    await set({ supportContact: 'help@vendor.test' });
    const { id } = await idp.user('owner');
    await protect(idp, id);
    const issuedAt = Date.now() + 1;
    const state = () => rows('SELECT * FROM users WHERE org_id = ?', idp.orgId);
    const before = await state();
    const bulk = { method: 'DELETE', path: `/Users/${id}` };
    const refusals = [
      await idp.patch(`/Users/${id}`, off),
      await idp.put(`/Users/${id}`, { userName: 'owner', active: false }),
      await idp.delete(`/Users/${id}`),
    ];
    for (const answer of refusals) expectRefusal(answer, 403, undefined, /protected.*help@vendor\.test/);
    const { body } = await idp.post('/Bulk', { schemas: [BULK_REQUEST], Operations: [bulk] });
    expect(body.Operations[0].status).toBe('403');
    expect(await state()).toEqual(before);
    expect(
      (await journal(idp.orgId, id)).slice(1).map(({ type, actor, details }) => [type, actor, details.operation]),
    ).toEqual([
      ['user.deactivation_refused', 'idp', 'deactivate'],
      ['user.deactivation_refused', 'idp', 'deactivate'],
      ['user.deletion_refused', 'idp', 'delete'],
      ['user.deletion_refused', 'idp', 'delete'],
    ]);
    expect((await host('POST', '/check', { body: { org: idp.slug, user: id, issuedAt } })).body.valid).toBe(true);
    const listed = await admin('GET', `/orgs/${idp.slug}/events?type=user.*`);
    expect(listed.body.events.at(-1).outcome).toBe('refused');
    const counted = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(counted.body.filter(({ reason }: { reason: string }) => reason === 'protected')[0].count).toBe(4);
  });

  it('keeps userName, externalId and addresses, in whatever way the identity provider changes them', async () => {
    await set({ supportContact: 'help@vendor.test' });
    const has = { userName: 'owner', externalId: 'x', emails: work('owner@acme.com') };
    const { id } = await idp.user('owner', has);
    await protect(idp, id);
    const url = `/Users/${id}`;
    const replace = (path: string, value: unknown) => [{ op: 'replace', path, value }];
    const core = 'urn:ietf:params:scim:schemas:core:2.0:User';
    const state = () => rows('SELECT * FROM users WHERE org_id = ?', idp.orgId);
    const before = await state();
    const operations = [
      replace('userName', 'mallory'),
      replace(`${core}:userName`, 'mallory'),
      replace('externalId', 'y'),
      replace('externalId', ''),
      replace('emails', work('m@evil.test')),
      replace('emails[type eq "work"].value', 'm@evil.test'),
      replace('emails.value', 'm@evil.test'),
      [{ op: 'add', path: 'emails', value: [{ value: 'm@evil.test', type: 'home' }] }],
      [{ op: 'add', path: 'emails[type eq "home"].value', value: 'm@evil.test' }],
      [{ op: 'remove', path: 'emails' }],
      [{ op: 'remove', path: 'externalId' }],
      [{ op: 'remove', path: 'emails[value eq "owner@acme.com"]' }],
      [{ op: 'replace', value: { userName: 'mallory' } }],
      [{ op: 'Add', value: { 'emails[type eq "work"].value': 'm@evil.test' } }],
      [{ op: 'replace', value: { [`${core}:externalId`]: 'y', title: 'x' } }],
    ];
    const messages = [
      ...operations.map((Operations) => ({ method: 'PATCH', data: { Operations } })),
      { method: 'PUT', data: { ...has, userName: 'mallory' } },
      { method: 'PUT', data: { userName: 'owner', externalId: 'x' } },
      { method: 'PUT', data: { ...has, emails: [...has.emails, { value: 'm@evil.test' }] } },
    ];
    for (const { method, data } of messages) {
      const body = { schemas: [method === 'PUT' ? core : PATCH_OP], ...data };
      expectRefusal(
        await idp.ask(method, url, { body }),
        403,
        undefined,
        /protected.*cannot change.*help@vendor\.test/,
      );
    }
    const Operations = messages.map(({ method, data }) => ({
      method,
      path: url,
      data: { schemas: [method === 'PUT' ? core : PATCH_OP], ...data },
    }));
    const { body } = await idp.post('/Bulk', { schemas: [BULK_REQUEST], Operations });
    expect(new Set(body.Operations.map(({ status }: { status: string }) => status))).toEqual(new Set(['403']));
    expect(await state()).toEqual(before);
    const told = (await journal(idp.orgId, id)).slice(1);
    expect(told).toHaveLength(2 * messages.length);
    expect(told[0]).toMatchObject({ type: 'user.change_refused', actor: 'idp', details: { refused: ['userName'] } });
    const counted = await admin('GET', `/orgs/${idp.slug}/refusals`);
    const noted = counted.body.filter(({ reason }: { reason: string }) => reason === 'protected');
    expect(noted.reduce((sum: number, { count }: { count: number }) => sum + count, 0)).toBe(told.length);
    const history = await admin('GET', `/orgs/${idp.slug}/users/${id}/history`);
    expect(history.text).toContain('Change by the identity provider of userName was refused');
  });

  /** The database, in which the user becomes protected right after the first batch. */
  const protectedMeanwhile = (id: string): D1Database => {
    let isFirst = true;
    return {
      prepare: (text: string) => env.DB.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        const results = await env.DB.batch(statements);
        if (isFirst) await protect(idp, id);
        isFirst = false;
        return results;
      },
    } as unknown as D1Database;
  };

  it('may be told what it has already, in other letters and another order', async () => {
    const emails = [...work('owner@acme.com'), { value: 'o@acme.com', type: 'home' }];
    const { id } = await idp.user('owner', { externalId: 'x', emails });
    await protect(idp, id);
    const again = [{ value: 'O@ACME.com' }, { value: 'Owner@acme.COM', primary: true }];
    const put = await idp.put(`/Users/${id}`, { userName: 'OWNER', externalId: 'x', emails: again, title: 'Boss' });
    expect([put.status, put.body.title]).toEqual([200, 'Boss']);
    expect((await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'externalId', value: 'x' }])).status).toBe(200);
  });

  it('keeps them when the protection comes between the reading and the writing', async () => {
    const { id } = await idp.user('owner');
    const rename = [{ op: 'replace', path: 'userName', value: 'mallory' }];
    expectRefusal(
      await idp.patch(`/Users/${id}`, rename, { env: { DB: protectedMeanwhile(id) } }),
      403,
      undefined,
      /userName/,
    );
    expect((await idp.get(`/Users/${id}`)).body.userName).toBe('owner');
  });

  it('is not given an externalId by the POST that would link it', async () => {
    const { id } = await unlinked(idp, 'owner');
    await protect(idp, id);
    expectRefusal(await post({ userName: 'owner', externalId: 'x' }), 403, undefined, /externalId\./);
    expect(await linkedAt(id)).toBe(null);
    expect((await post({ userName: 'owner', emails: work('m@evil.test') })).body).toMatchObject({ id });
    expect((await last(id)).details.linked).toEqual({ by: 'userName', keptEmails: true });
    expect((await idp.get(`/Users/${id}`)).body.emails).toBeUndefined();
  });

  it('can be changed in every other way, linked too', async () => {
    const { id } = await unlinked(idp, 'owner');
    await protect(idp, id);
    expectRefusal(await post({ userName: 'owner', active: false }), 403, undefined, /protected/);
    expect(await linkedAt(id)).toBe(null);
    expect((await post({ userName: 'owner', title: 'Boss' })).body).toMatchObject({ id, title: 'Boss' });
    expect((await idp.patch(`/Users/${id}`, [{ op: 'add', path: 'title', value: 'Chief' }])).status).toBe(200);
  });

  it('stays when the protection comes between the reading and the writing', async () => {
    const { id } = await idp.user('owner');
    expectRefusal(
      await idp.patch(`/Users/${id}`, off, { env: { DB: protectedMeanwhile(id) } }),
      403,
      undefined,
      /protected/,
    );
    expect((await idp.get(`/Users/${id}`)).body.active).toBe(true);
  });
});

describe('what becomes of who leaves', () => {
  const off = [{ op: 'replace', path: 'active', value: false }];
  let secret = '';
  let everything = {};
  beforeEach(() => {
    secret = `Augusta-${n}-Byron`;
    everything = { name: { givenName: secret }, emails: work(`${secret}@acme.com`), externalId: `${secret}-id` };
  });
  const traces = async () => (await dump()).toLowerCase().split(secret.toLowerCase()).length - 1;

  it('is a tombstone that keeps the account, and a deactivated account, unless the org says otherwise', async () => {
    const { id } = await idp.user(secret, everything);
    await idp.patch(`/Users/${id}`, off);
    expect((await idp.get(`/Users/${id}`)).body.active).toBe(false);
    await idp.delete(`/Users/${id}`);
    expect(await traces()).toBeGreaterThan(3);
    expect((await post({ userName: secret })).body.id).toBe(id);
  });

  it('is erased on deletion where the org says so: no trace but the id, in one round trip', async () => {
    await set({ onDelete: 'erase' });
    const { id } = await idp.user(secret, everything);
    await idp.patch(`/Users/${id}`, [{ op: 'add', path: 'title', value: `${secret}’s` }]);
    const team = await idp.post('/Groups', { displayName: 'Team', members: [{ value: id }] });
    const issuedAt = Date.now();
    const meter = new Meter();
    expect((await idp.delete(`/Users/${id}`, { env: { DB: meter.binding } })).status).toBe(204);
    expect(meter.roundTrips).toBe(1);
    expect(await traces()).toBe(0);
    expect(await last(id)).toMatchObject({
      type: 'user.erased',
      details: { cause: 'deleted', leftGroups: [team.body.id] },
    });
    expect((await idp.get(`/Users/${id}`)).status).toBe(404);
    expectRefusal(await idp.delete(`/Users/${id}`), 404);
    expect((await host('POST', '/check', { body: { org: idp.slug, user: id, issuedAt } })).body.valid).toBe(false);
    const again = await post({ userName: secret, ...everything });
    expect([again.status, again.body.id === id]).toEqual([201, false]);
    await expectConsistent();
  });

  it('is erased on deactivation where the org says so; the answer is the last that is seen of them', async () => {
    await set({ onDeactivate: 'erase' });
    const { id } = await idp.user(secret, everything);
    const answer = await idp.patch(`/Users/${id}`, off);
    expect([answer.status, answer.body.active, answer.body.id]).toEqual([200, false, id]);
    expect(await traces()).toBe(0);
    expect(await last(id)).toMatchObject({ type: 'user.erased', details: { cause: 'deactivated' } });
    expect((await idp.get(`/Users/${id}`)).status).toBe(404);
    // Somebody created as inactive was never in.
    expect((await post({ userName: 'idle', active: false })).status).toBe(201);
    await expectConsistent();
  });

  it('is not erased by a deletion of another version', async () => {
    await set({ onDelete: 'erase' });
    const { id } = await idp.user(secret);
    const before = await dump();
    expectRefusal(await idp.delete(`/Users/${id}`, { headers: { 'If-Match': 'W/"7"' } }), 412);
    expect(await dump()).toBe(before);
  });
});
