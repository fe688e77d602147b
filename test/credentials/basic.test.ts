/** Basic (RFC 7617) at the SCIM door: the slug and the password of the org work for every route, and nothing near them does. */
import { beforeAll, describe, expect, it } from 'vitest';
import { newSecret } from '../../src/credentials/secret';
import { admin, type Idp, newIdp } from '../support/client';
import { dump, rows } from '../support/database';
import { expectRefusal } from '../support/refusal';
import { pathOf, requestFor, routes, send, stranger, visible } from '../support/scim-routes';

/** A password for the org. */
async function newPassword(slug: string): Promise<string> {
  const { status, body, text } = await admin('POST', `/orgs/${slug}/basic`, { body: {} });
  if (status !== 201) throw new Error(`${status} ${text}`);
  expect(body.userName).toBe(slug);
  return body.password;
}

const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
/** UTF-8, as the challenge says (RFC 7617 §2.1). */
const basic = (userName: string, password: string) =>
  `Basic ${base64(new TextEncoder().encode(`${userName}:${password}`))}`;

let idp: Idp;
let user: string;
let password: string;
let others: string;
beforeAll(async () => {
  idp = await newIdp('acme');
  await newIdp('globex');
  user = (await idp.user('ada@example.com')).id;
  password = await newPassword('acme');
  others = await newPassword('globex');
});

describe('the slug and the password of an org', () => {
  for (const [method, template] of routes) {
    it(`work for ${method} ${template}`, async () => {
      const isOfGroup = template.includes('/Groups');
      const name = crypto.randomUUID();
      const made = isOfGroup ? idp.post('/Groups', { displayName: name }) : idp.post('/Users', { userName: name });
      const address = pathOf(template, 'acme', (await made).body.id, true);
      const answer = await send(method, address, basic('acme', password), requestFor(method, template));
      expect([200, 201, 204], answer.text).toContain(answer.status);
    });
  }

  it('work behind the name of the scheme in any letter case, and more than one space', async () => {
    const pair = basic('acme', password).slice('Basic '.length);
    for (const scheme of ['Basic', 'basic', 'BASIC', 'bAsIc', 'Basic  ']) {
      expect((await send('GET', '/scim/v2/Users', `${scheme} ${pair}`)).status).toBe(200);
    }
  });

  it('are refused with a reason while SCIM is off', async () => {
    await newIdp('paused');
    const pair = basic('paused', await newPassword('paused'));
    await admin('POST', '/orgs/paused/scim', { body: { enabled: false } });
    expectRefusal(await send('GET', '/scim/v2/Users', pair), 403, undefined, /not enabled/);
  });

  it('stand in the journal beside what was done with them', async () => {
    const { body } = await send('POST', '/scim/v2/Users', basic('acme', password), { body: { userName: 'grace' } });
    const [credential] = await rows(
      'SELECT kind, generation FROM credentials JOIN events ON credential_id = credentials.id WHERE target_id = ?',
      body.id,
    );
    expect(credential).toEqual({ kind: 'basic', generation: 1 });
  });
});

describe('the uniform 401', () => {
  /** Each no good for its own reason. */
  const reasons: Record<string, () => string | Promise<string>> = {
    'another slug, that no org has': () => basic('nobody', password),
    'another org’s slug': () => basic('globex', password),
    'another org’s password': () => basic('acme', others),
    'the slug in capitals': () => basic('ACME', password),
    'a blank after the slug': () => basic('acme ', password),
    'letters beyond ASCII in the slug': () => basic('acmé', password),
    'no slug': () => basic('', password),
    'a password that never was': async () => basic('acme', await newSecret('basic', idp.orgId)),
    'a mistyped password': () => basic('acme', `${password.slice(0, -1)}${password.endsWith('x') ? 'y' : 'x'}`),
    'letters beyond ASCII in the password': () => basic('acme', 'пароль🔑'),
    'a colon in the password': () => basic('acme', `${password}:`),
    'a colon before the password': () => basic('acme', `:${password}`),
    'a line break after the password': () => basic('acme', `${password}\n`),
    'an empty password': () => basic('acme', ''),
    'the token as password': () => basic('acme', idp.token),
    'no colon': () => `Basic ${btoa(`acme${password}`)}`,
    'nothing in it': () => `Basic ${btoa('')}`,
    'the scheme alone': () => 'Basic',
    'what is not base64': () => 'Basic ?!?',
    'what is not encoded at all': () => `Basic acme:${password}`,
    'bytes that are not UTF-8': () => `Basic ${base64(new Uint8Array([0xff, 0xfe, 0x3a, 0xc3]))}`,
    'the pair twice': () => `${basic('acme', password)} ${basic('acme', password)}`,
    'the password as bearer': () => `Bearer ${password}`,
    'the password without a scheme': () => password,
    'the token behind Basic': () => `Basic ${idp.token}`,
    'the pair as bearer': () => basic('acme', password).replace('Basic', 'Bearer'),
  };

  for (const [reason, header] of Object.entries(reasons)) {
    it(`is the answer to ${reason}, and nothing changes`, async () => {
      const expected = await stranger();
      const before = await dump();
      const authorization = await header();
      for (const [method, template] of routes) {
        const answer = await send(
          method,
          pathOf(template, 'acme', user, true),
          authorization,
          requestFor(method, template),
        );
        expect({ route: `${method} ${template}`, ...visible(answer) }).toEqual({
          route: `${method} ${template}`,
          ...expected,
        });
      }
      expect(await dump()).toBe(before);
    });
  }

  it('is the answer where the path names another org than the pair', async () => {
    const expected = await stranger();
    for (const slug of ['globex', 'nobody', 'ACME', 'acme%20']) {
      const answer = await send('GET', `/orgs/${slug}/scim/v2/Users`, basic('acme', password));
      expect({ slug, ...visible(answer) }).toEqual({ slug, ...expected });
    }
    // The pair says who it is, whatever the path says.
    expect(visible(await send('GET', '/orgs/globex/scim/v2/Users', basic('globex', password)))).toEqual(expected);
  });

  it('offers Basic, and says that it is read as UTF-8 (RFC 7617 §2.1)', async () => {
    const { headers } = await send('GET', '/scim/v2/Users', undefined);
    expect(headers.get('WWW-Authenticate')).toMatch(/\bBasic realm="[^"]+", charset="UTF-8"/);
  });
});

describe('a password that is rotated', () => {
  const status = async (slug: string, password: string) =>
    (await send('GET', '/scim/v2/Users', basic(slug, password))).status;
  const rotate = async (slug: string, grace: string) =>
    (await admin('POST', `/orgs/${slug}/basic/rotate`, { body: { grace } })).body;

  it('is good beside its successor while the grace lasts, and the token does not notice', async () => {
    const turning = await newIdp('turning');
    const old = await newPassword('turning');
    const { password: next, userName } = await rotate('turning', '1h');
    expect(userName).toBe('turning');
    expect([await status('turning', old), await status('turning', next)]).toEqual([200, 200]);
    await admin('POST', '/orgs/turning/basic/complete', { body: {} });
    expect([await status('turning', old), await status('turning', next)]).toEqual([401, 200]);
    expect((await turning.get('/Users')).status).toBe(200);
    expect((await admin('GET', '/orgs/turning/tokens')).body).toMatchObject([{ generation: 1, state: 'current' }]);
  });

  it('is dead at once without a grace', async () => {
    await newIdp('abrupt');
    const old = await newPassword('abrupt');
    const { password: next } = await rotate('abrupt', '0');
    expect([await status('abrupt', old), await status('abrupt', next)]).toEqual([401, 200]);
  });

  it('comes back when the rotation is cancelled, and the new one is dead', async () => {
    await newIdp('undecided');
    const old = await newPassword('undecided');
    const { password: next } = await rotate('undecided', '24h');
    await admin('POST', '/orgs/undecided/basic/cancel', { body: {} });
    expect([await status('undecided', old), await status('undecided', next)]).toEqual([200, 401]);
  });

  it('is dead at once when it is revoked, with its predecessor; the token lives on', async () => {
    const leaked = await newIdp('leaked');
    const old = await newPassword('leaked');
    const { password: next } = await rotate('leaked', '24h');
    expect((await admin('DELETE', '/orgs/leaked/basic')).body.revoked).toBe(2);
    const expected = await stranger();
    for (const dead of [old, next]) {
      for (const [method, template] of routes) {
        const address = pathOf(template, 'leaked', user, true);
        const answer = await send(method, address, basic('leaked', dead), requestFor(method, template));
        expect({ template, ...visible(answer) }).toEqual({ template, ...expected });
      }
    }
    expect((await leaked.get('/Users')).body.totalResults).toBe(0);
  });
});
