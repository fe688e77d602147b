/** Who gets in at all: the plan, SSO before SCIM, and SCIM on and off. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Answer, admin, ask, BASE, host, type Idp, newIdp } from '../support/client';
import { dump, journal, rows } from '../support/database';
import { Meter } from '../support/meter';
import { newClient, tokenOf } from '../support/oauth';
import { expectRefusal } from '../support/refusal';

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`gates-${++n}`);
});

const set = (settings: Record<string, string>) => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
const switchScim = (enabled: boolean) => admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled } });
const shown = async () => (await admin('GET', `/orgs/${idp.slug}`)).body;
const NOT_IN_PLAN = /^SCIM is not included in the plan\b/;
const group = { displayName: 'Team' };

/** One request of each kind, by the org's own credential. */
const everything = (id: string): Promise<Answer>[] => [
  idp.get('/Users'),
  idp.get(`/Users/${id}`),
  idp.get('/Groups?cursor'),
  idp.get('/ServiceProviderConfig'),
  idp.get('/Nothing'),
  idp.ask('POST', '/Users', { raw: '{' }),
  idp.post('/Users', { userName: 'late@example.com' }),
  idp.put(`/Users/${id}`, { userName: 'renamed@example.com' }),
  idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]),
  idp.delete(`/Users/${id}`),
  idp.post('/Groups', group),
  idp.post('/Bulk', { Operations: [{ method: 'DELETE', path: `/Users/${id}` }] }),
];

describe('an org whose plan has no SCIM', () => {
  it('has every request of its IdP refused, which reads and changes nothing, and is told whom to ask', async () => {
    const { id } = await idp.user('ada@example.com');
    expect((await set({ 'plan.scim': 'false', supportContact: 'sales@vendor.test' })).status).toBe(200);
    await idp.get('/Users'); // the first use of a credential is noted
    const before = await dump();
    for (const answer of await Promise.all(everything(id))) {
      expectRefusal(answer, 403, undefined, NOT_IN_PLAN);
      expect(answer.body.detail).toContain('Contact sales@vendor.test.');
      expect(answer.text).not.toContain('ada@example.com');
    }
    expect(await dump()).toBe(before);
  });

  it('is refused with one round trip where it reads, and goes on where it was when the plan has it again', async () => {
    const { id } = await idp.user('ada@example.com');
    await set({ 'plan.scim': 'false' });
    const meter = new Meter();
    await idp.get('/Users', { env: { DB: meter.binding }, onAnswer: () => expect(meter.roundTrips).toBe(1) });
    await set({ 'plan.scim': 'true' });
    expect((await idp.get(`/Users/${id}`)).body.userName).toBe('ada@example.com');
    await set({ 'plan.scim': 'false' });
    await set({ 'plan.scim': 'none' });
    expect((await idp.get(`/Users/${id}`)).status).toBe(200);
  });

  it('is refused in the middle of a request: no write that is under way gets past it', async () => {
    const { id } = await idp.user('ada@example.com');
    let batches = 0;
    const between = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        if (++batches === 2) await set({ 'plan.scim': 'false' }); // after the read of a PATCH, before its write
        return env.DB.batch(statements);
      },
    } as unknown as D1Database;
    const answer = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'Late' }], {
      env: { DB: between },
    });
    expectRefusal(answer, 403, undefined, NOT_IN_PLAN);
    expect((await journal(idp.orgId, id)).map(({ type }) => type)).toEqual(['user.created']);
  });

  it('cannot have SCIM enabled, in the same words, also where it is on already', async () => {
    await set({ 'plan.scim': 'false', supportContact: 'sales@vendor.test' });
    const refused = (answer: Answer) => {
      expect(answer.status).toBe(409);
      expect(answer.body.detail).toMatch(NOT_IN_PLAN);
      expect(answer.body.detail).toContain('sales@vendor.test');
    };
    refused(await switchScim(true));
    expect((await switchScim(false)).body.scimEnabled).toBe(false);
    const before = await dump();
    refused(await switchScim(true));
    expect(await dump()).toBe(before);
    await set({ 'plan.scim': 'true' });
    expect((await switchScim(true)).body.scimEnabled).toBe(true);
  });

  it('gives its OAuth clients no token, and says why', async () => {
    const client = await newClient({ slug: idp.slug });
    const { body } = await tokenOf(client);
    await set({ 'plan.scim': 'false' });
    const answer = await tokenOf(client);
    expect([answer.status, answer.body.error]).toEqual([400, 'unauthorized_client']);
    expect(answer.body.error_description).toMatch(NOT_IN_PLAN);
    const given = await ask('GET', `${BASE}/scim/v2/Users`, {
      headers: { Authorization: `Bearer ${body.access_token}` },
    });
    expectRefusal(given, 403, undefined, NOT_IN_PLAN);
    const { body: refusals } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(refusals.map(({ reason }: { reason: string }) => reason)).toEqual(['plan', 'plan']);
  });

  it('finds each refusal among the refusals, with what to do', async () => {
    await set({ 'plan.scim': 'false' });
    await idp.get('/Users');
    await idp.get('/Users');
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(body).toEqual([expect.objectContaining({ reason: 'plan', count: 2, generation: 1 })]);
    expect(body[0].detail).toContain('plan.scim=true');
  });

  it('keeps its secrets from strangers: they hear 401 as ever', async () => {
    await set({ 'plan.scim': 'false' });
    const answer = await ask('GET', `${BASE}/orgs/${idp.slug}/scim/v2/Users`, {
      headers: { Authorization: `Bearer ${(await newIdp(`other-${n}`)).token}` },
    });
    expectRefusal(answer, 401);
  });

  it('lets its people stay signed in', async () => {
    const { id } = await idp.user('ada@example.com');
    await set({ 'plan.scim': 'false' });
    expect((await host('POST', '/resolve', { body: { org: idp.slug, id } })).body.active).toBe(true);
  });
});

describe('an org that requires SSO', () => {
  const refuses = async (answer: Answer, what: RegExp) => {
    expect([answer.status, answer.body.detail]).toEqual([409, expect.stringMatching(what)]);
  };

  it('has SCIM enabled only when SSO is set up', async () => {
    await switchScim(false);
    await set({ ssoRequired: 'true', supportContact: 'help@vendor.test' });
    await refuses(await switchScim(true), /^SCIM needs SSO .* not set up\. .*help@vendor\.test/);
    expect((await shown()).scimEnabled).toBe(false);
    await set({ sso: 'false' });
    await refuses(await switchScim(true), /^SCIM needs SSO/);
    for (const sso of ['true', 'okta-saml', 'TRUE']) {
      await set({ sso });
      expect((await switchScim(true)).body.scimEnabled).toBe(true);
      await switchScim(false);
    }
  });

  it('cannot lose its SSO, nor begin to require one that it lacks, while SCIM is on: nothing changes', async () => {
    const isOn = /^SCIM is on, but SSO is required for that/;
    const before = await dump();
    await refuses(await set({ ssoRequired: 'true', name: 'Half' }), isOn);
    expect(await dump()).toBe(before);
    expect((await set({ ssoRequired: 'true', sso: 'okta' })).status).toBe(200);
    for (const sso of ['none', 'false']) await refuses(await set({ sso }), isOn);
    expect((await shown()).settings).toEqual({ ssoRequired: true, sso: 'okta' });
    expect((await idp.get('/Users')).status).toBe(200);
    expect((await set({ sso: 'none', ssoRequired: 'none' })).status).toBe(200);
  });

  it('never has SCIM on without SSO, whoever sets and switches at once', async () => {
    await switchScim(false);
    await set({ ssoRequired: 'true', sso: 'true' });
    for (let round = 0; round < 10; round++) {
      await Promise.all([switchScim(true), set({ sso: 'none' })]);
      const { scimEnabled, settings } = await shown();
      expect(scimEnabled && settings.sso === undefined).toBe(false);
      await switchScim(false);
      await set({ sso: 'true' });
    }
  });

  it('tells its hosts how its people sign in: by SSO, or by a password that they set up', async () => {
    const { id } = await idp.user('ada@example.com');
    const how = async () => (await host('POST', '/resolve', { body: { org: idp.slug, id } })).body.authentication;
    expect(await how()).toBe('sso');
    await set({ authentication: 'password-setup' });
    expect(await how()).toBe('password-setup');
    expect((await set({ authentication: 'password' })).body.detail).toBe(
      'authentication: sso or password-setup was expected',
    );
  });
});

describe('SCIM switched off', () => {
  /** Every table, without what the switch itself is: its flag, the revision, the number of its event, and the event. */
  const directory = async () => {
    const [, ...tables] = JSON.parse(await dump()) as [string, Record<string, unknown>[]][];
    const [org] = await rows('SELECT * FROM orgs WHERE id = ?', idp.orgId);
    // The events of the switch have a number and take room.
    const { scim_enabled: _, event_seq: __, stored_bytes: ___, revision: ____, ...kept } = org!;
    return [kept, tables.filter(([name]) => name !== 'events')];
  };

  it('leaves users, groups, memberships and tokens as they are, refuses the IdP, and goes on when switched on', async () => {
    const { id } = await idp.user('ada@example.com', { emails: [{ value: 'ada@example.com' }] });
    const gone = await idp.user('gone@example.com');
    await idp.delete(`/Users/${gone.id}`);
    const { body } = await idp.post('/Groups', { ...group, members: [{ value: id }] });
    await newClient({ slug: idp.slug });
    const before = await directory();
    const versions = [(await idp.get(`/Users/${id}`)).text, (await idp.get(`/Groups/${body.id}`)).text];

    await switchScim(false);
    expect(await directory()).toEqual(before);
    for (const answer of await Promise.all(everything(id))) {
      expectRefusal(answer, 403, undefined, /^SCIM is not enabled for this organization. Its users stay as they are/);
    }
    expect(await directory()).toEqual(before);

    await switchScim(true);
    expect(await directory()).toEqual(before);
    expect([(await idp.get(`/Users/${id}`)).text, (await idp.get(`/Groups/${body.id}`)).text]).toEqual(versions);
    expect((await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'Countess' }])).status).toBe(200);
  });

  it('is told as itself and as nothing else: no event of a user', async () => {
    await idp.user('ada@example.com');
    const { length } = await journal(idp.orgId);
    await switchScim(false);
    await switchScim(true);
    const events = (await journal(idp.orgId)).slice(length);
    expect(events.map(({ type }) => type)).toEqual(['scim.disabled', 'scim.enabled']);
  });
});
