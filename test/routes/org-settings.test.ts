import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { GROUP } from '../../src/scim/urns';
import { admin, type Idp, newIdp } from '../support/client';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('settings');
});

const set = (settings: Record<string, unknown>) => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
const shown = async () => (await admin('GET', `/orgs/${idp.slug}`)).body;

describe('the settings of an org', () => {
  it('change one by one, and what is not named stays', async () => {
    await set({ idp: 'okta' });
    expect((await set({ supportContact: 'help@example.com' })).body.settings).toEqual({
      idp: 'okta',
      supportContact: 'help@example.com',
    });
  });

  it('all have their way when they are set at once', async () => {
    await Promise.all([set({ idp: 'entra' }), set({ supportContact: 'desk@example.com' }), set({ name: 'Acme' })]);
    expect(await shown()).toMatchObject({
      name: 'Acme',
      settings: { idp: 'entra', supportContact: 'desk@example.com' },
    });
  });

  it('return to their defaults with "none"', async () => {
    const answer = await set({ idp: 'none', supportContact: 'none', name: 'none' });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ name: 'settings', settings: {} });
    expect(Object.keys((await shown()).settings)).toEqual([]);
  });

  it('stay as they are when one of several is refused', async () => {
    const answer = await set({ idp: 'okta', unknownMembers: 'perhaps' });
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toBe('unknownMembers: skip or reject was expected');
    expect((await shown()).settings).toEqual({});
  });

  it('have a graceDefault of at most a day, shown as it was written', async () => {
    for (const graceDefault of ['0', '90s', '15m', '24h', '1d']) {
      expect((await set({ graceDefault })).body.settings).toEqual({ graceDefault });
    }
    for (const graceDefault of ['', '25h', '2d', '1440', '-1h', '1 h', 'never', 'NONE']) {
      const answer = await set({ graceDefault });
      expect([answer.status, answer.body.detail]).toEqual([
        400,
        'graceDefault: a duration of at most 24h was expected: 0, 90s, 15m, 24h',
      ]);
    }
    expect((await shown()).settings).toEqual({ graceDefault: '1d' });
    expect((await set({ graceDefault: 'none' })).body.settings).toEqual({});
  });

  it('refuse a key that is none of them, and say which there are', async () => {
    const answer = await set({ colour: 'none' });
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toMatch(/^There is no setting colour; there are name, idp, .*unknownMembers/);
  });

  it('leave an event when they change', async () => {
    await set({ idp: 'okta', name: 'none' });
    const row = await env.DB.prepare(
      "SELECT type, actor, details FROM events WHERE org_id = ? AND type = 'org.changed' ORDER BY seq DESC LIMIT 1",
    )
      .bind(idp.orgId)
      .first<{ actor: string; details: string }>();
    expect(row!.actor).toBe('admin:admin');
    expect(JSON.parse(row!.details).settings).toEqual({ idp: 'okta', name: null });
  });
});

describe('ids of nobody in a group', () => {
  const body = (displayName: string) => ({ displayName, members: [{ value: crypto.randomUUID() }] });

  it('are left out unless the org says otherwise', async () => {
    expect((await idp.post('/Groups', body('Lenient'))).status).toBe(201);
  });

  it('are refused where unknownMembers is reject, from the next request on', async () => {
    await set({ unknownMembers: 'reject' });
    const answer = await idp.post('/Groups', body('Strict'));
    expect(answer.status).toBe(400);
    expect(answer.body.scimType).toBe('invalidValue');
    await set({ unknownMembers: 'skip' });
    expect((await idp.post('/Groups', body('Strict'))).status).toBe(201);
  });
});

describe('paths to attributes that are not here', () => {
  const operations = [
    { op: 'replace', path: 'shoeSize', value: 44 },
    { op: 'replace', path: 'title', value: 'Boss' },
  ];

  it('are passed over as long as nothing is set, and are refused where unknownAttributes is reject', async () => {
    const { id } = await idp.user('paths@example.com');
    expect((await idp.patch(`/Users/${id}`, operations)).body.title).toBe('Boss');
    const group = (await idp.post('/Groups', { schemas: [GROUP], displayName: 'Paths' })).body.id;
    await set({ unknownAttributes: 'reject' });
    for (const path of [`/Users/${id}`, `/Groups/${group}`]) {
      const answer = await idp.patch(path, [operations[0]]);
      expect([answer.status, answer.body.scimType], path).toEqual([400, 'invalidPath']);
      expect(answer.body.detail).toContain('shoeSize');
    }
    // A body is no path: RFC 7644 §3.3 lets a service ignore what it does not know.
    expect((await idp.post('/Users', { userName: 'body@example.com', shoeSize: 44 })).status).toBe(201);
    expect((await idp.patch(`/Users/${id}`, [{ op: 'replace', value: { shoeSize: 44 } }])).status).toBe(200);
    await set({ unknownAttributes: 'none' });
    expect((await idp.patch(`/Users/${id}`, operations)).status).toBe(200);
  });
});
