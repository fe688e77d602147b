/** What every SCIM route owes, whoever wrote it: asked of the app's own list of routes, so a new one cannot be forgotten. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { newSecret } from '../src/credentials/secret';
import { ENTERPRISE_USER, USER } from '../src/scim/urns';
import { type Answer, type Ask, admin, BASE, type Idp, newIdp } from './support/client';
import { dump } from './support/database';
import { expectRefusal } from './support/refusal';
import { pathOf, requestFor, routes, send, stranger, visible } from './support/scim-routes';

let idp: Idp;
let other: Idp;
let user: string;
/** Authorization headers that are no good, each for its own reason. */
let refused: Record<string, string>;

const reasons = [
  'no credential',
  'an empty header',
  'a malformed token',
  'a truncated token',
  'a mistyped token',
  'a token with a mistyped checksum',
  'an unknown token',
  'an unknown token of an unknown org',
  'a revoked token',
  'an expired token',
  'a token of an org that is gone',
  'Basic with the token as password',
  'a token said twice',
] as const;

/** The last letter is of the checksum. */
const mistyped = (token: string, at: number) => {
  const letters = [...token];
  letters.splice(at, 1, letters.at(at) === 'x' ? 'y' : 'x');
  return letters.join('');
};

beforeAll(async () => {
  idp = await newIdp('acme');
  other = await newIdp('globex');
  user = (await idp.user('ada@example.com')).id;
  const revoked = await newIdp('revoked');
  await admin('DELETE', '/orgs/revoked/tokens');
  const expired = await newIdp('expired');
  await env.DB.prepare('UPDATE credentials SET valid_until = ? WHERE org_id = ?')
    .bind(Date.now() - 1, expired.orgId)
    .run();
  const gone = await newIdp('gone');
  await admin('DELETE', '/orgs/gone?confirm=gone');
  const { token } = idp;
  refused = {
    'an empty header': '',
    'a malformed token': 'Bearer let-me-in',
    'a truncated token': `Bearer ${token.slice(0, -1)}`,
    'a mistyped token': `Bearer ${mistyped(token, 20)}`,
    'a token with a mistyped checksum': `Bearer ${mistyped(token, -1)}`,
    'an unknown token': `Bearer ${await newSecret('token', idp.orgId)}`,
    'an unknown token of an unknown org': `Bearer ${await newSecret('token', '000000000000')}`,
    'a revoked token': `Bearer ${revoked.token}`,
    'an expired token': `Bearer ${expired.token}`,
    'a token of an org that is gone': `Bearer ${gone.token}`,
    'Basic with the token as password': `Basic ${btoa(`acme:${token}`)}`,
    'a token said twice': `Bearer ${token} ${token}`,
  };
});

const path = (template: string, slug: string, id = user) => pathOf(template, slug, id, id === user);

describe('the uniform 401', () => {
  it('is a SCIM error that says how to sign in', async () => {
    const answer = await send('GET', '/scim/v2/Users', undefined);
    expectRefusal(answer, 401, undefined, /valid credential/);
    expect(answer.headers.get('WWW-Authenticate')).toMatch(/^Bearer\b/);
  });

  for (const [method, template] of routes) {
    it(`${method} ${template} gives one and the same answer to every credential that is no good`, async () => {
      const expected = await stranger();
      const before = await dump();
      for (const [i, reason] of reasons.entries()) {
        const id = i % 2 === 0 ? user : crypto.randomUUID();
        const answer = await send(method, path(template, 'acme', id), refused[reason], requestFor(method, template));
        expect({ reason, ...visible(answer) }).toEqual({ reason, ...expected });
      }
      expect(await dump()).toBe(before);
    });
  }

  for (const [method, template] of routes.filter(([, template]) => template.startsWith('/orgs'))) {
    it(`${method} ${template} refuses another org's token, and a slug that no org has, alike`, async () => {
      const expected = await stranger();
      const before = await dump();
      for (const slug of ['acme', 'nobody', 'ACME', 'acme%20', '%00', "acme'--", 'acme%2Fscim']) {
        const answer = await send(method, path(template, slug), `Bearer ${other.token}`, requestFor(method, template));
        expect({ slug, ...visible(answer) }).toEqual({ slug, ...expected });
      }
      expect(await dump()).toBe(before);
    });
  }

  it('comes before anything that is wrong with the request', async () => {
    const expected = await stranger();
    const big = 'x'.repeat(1_100_000);
    const wrong: [string, string, Ask?][] = [
      ['GET', '/Nothing'],
      ['GET', '/Users/a/b/c'],
      ['DELETE', '/Bulk'],
      ['GET', '/Me'],
      ['DELETE', '/Users'],
      ['POST', `/Users/${user}`, { body: {} }],
      ['PUT', '/Schemas', { body: {} }],
      ['GET', '/Users?filter=nonsense'],
      ['GET', '/Users?count=many'],
      ['GET', '/Schemas?filter=id%20pr'],
      ['GET', '/Schemas/urn:nothing'],
      ['GET', '/ResourceTypes/Nothing'],
      ['POST', '/Users', { raw: '{' }],
      ['POST', '/Users', { raw: big }],
      ['POST', '/Users', { raw: '{}', headers: { 'Content-Type': 'text/plain' } }],
      ['PUT', `/Users/${user}`, { raw: '[]' }],
      ['PATCH', `/Users/${user}`, { body: { Operations: 'all' } }],
      ['PATCH', `/Users/${user}`, { raw: '{}', headers: { 'If-Match': 'W/"99"' } }],
      ['GET', `/Users/${user}`, { headers: { 'If-None-Match': 'W/"1"' } }],
      ['POST', '/.search', { body: { filter: 7 } }],
    ];
    for (const [method, address, more] of wrong) {
      for (const prefix of ['/scim/v2', '/orgs/acme/scim/v2', '/orgs/nobody/scim/v2']) {
        for (const authorization of [undefined, refused['a revoked token'], refused['an unknown token']]) {
          const answer = await send(method, prefix + address, authorization, more);
          expect({ method, address, ...visible(answer) }).toEqual({ method, address, ...expected });
        }
      }
    }
  });
});

describe('a good token', () => {
  const schemes: [string, (token: string) => string][] = [
    ['Bearer', (token) => `Bearer ${token}`],
    ['bearer in small letters', (token) => `bearer ${token}`],
    ['BEARER in capitals', (token) => `BEARER ${token}`],
    ['bEaReR in any case', (token) => `bEaReR ${token}`],
    ['Bearer and more than one space', (token) => `Bearer   ${token}`],
    ['no scheme, as Okta sends a header', (token) => token],
    ['another word, as an administrator may type it', (token) => `Token ${token}`],
    ['a word with a hyphen', (token) => `X-Api-Key ${token}`],
  ];
  for (const [name, header] of schemes) {
    it(`is taken behind ${name}`, async () => {
      for (const prefix of ['/scim/v2', '/orgs/acme/scim/v2']) {
        expect((await send('GET', `${prefix}/Users`, header(idp.token))).status).toBe(200);
      }
    });
  }

  it('is refused from the very next request once it is revoked', async () => {
    const brief = await newIdp('brief');
    expect((await brief.get('/Users')).status).toBe(200);
    await admin('DELETE', '/orgs/brief/tokens');
    expect(visible(await brief.get('/Users'))).toEqual(await stranger());
  });

  it('is refused once its time is over, and not before', async () => {
    const brief = await newIdp('timed');
    const until = (at: number) =>
      env.DB.prepare('UPDATE credentials SET valid_until = ? WHERE org_id = ?').bind(at, brief.orgId).run();
    await until(Date.now() + 60_000);
    expect((await brief.get('/Users')).status).toBe(200);
    await until(Date.now() - 1);
    expect(visible(await brief.get('/Users'))).toEqual(await stranger());
  });
});

describe('an org with SCIM switched off', () => {
  let off: Idp;
  let id: string;
  beforeAll(async () => {
    off = await newIdp('paused');
    id = (await off.user('grace@example.com')).id;
    await admin('POST', '/orgs/paused/scim', { body: { enabled: false } });
  });

  for (const [method, template] of routes) {
    it(`is refused ${method} ${template} with a reason, and keeps its data`, async () => {
      const before = await dump();
      const answer = await send(
        method,
        path(template, 'paused', id),
        `Bearer ${off.token}`,
        requestFor(method, template),
      );
      expectRefusal(answer, 403, undefined, /not enabled/);
      expect(await dump()).toBe(before);
    });
  }

  it('is refused unknown paths, methods and bodies in the same way', async () => {
    for (const answer of [
      await off.get('/Nothing'),
      await off.delete('/Users'),
      await off.get('/Me'),
      await off.ask('POST', '/Users', { raw: '{' }),
    ]) {
      expectRefusal(answer, 403, undefined, /not enabled/);
      expect(answer.headers.get('Allow')).toBeNull();
    }
  });

  it('is not told so behind the address of another org', async () => {
    expect(visible(await send('GET', '/orgs/acme/scim/v2/Users', `Bearer ${off.token}`))).toEqual(await stranger());
  });

  it('goes on where it was when SCIM is switched on again', async () => {
    await admin('POST', '/orgs/paused/scim', { body: { enabled: true } });
    expect((await off.get(`/Users/${id}`)).body).toMatchObject({ userName: 'grace@example.com', active: true });
  });

  it('names the contact that the vendor has set', async () => {
    const answer = await admin('PATCH', '/orgs/paused', { body: { settings: { supportContact: 'help@vendor.test' } } });
    expect(answer.status).toBe(200);
    await admin('POST', '/orgs/paused/scim', { body: { enabled: false } });
    expectRefusal(await off.get('/Users'), 403, undefined, /help@vendor\.test/);
  });
});

describe('every route', () => {
  for (const [method, template] of routes) {
    it(`${method} ${template} answers SCIM JSON with a request id of its own`, async () => {
      const ids = new Set<string>();
      for (const id of [user, crypto.randomUUID()]) {
        if (method === 'DELETE' && id === user) continue;
        const answer = await send(method, path(template, 'acme', id), `Bearer ${idp.token}`, {
          ...requestFor(method, template),
          headers: { 'X-Request-Id': 'chosen-by-the-client' },
        });
        expect(answer.status).toBeLessThan(500);
        if (answer.text) expect(answer.headers.get('Content-Type')).toBe('application/scim+json');
        if (answer.status >= 400) expectRefusal(answer, 404);
        ids.add(answer.headers.get('X-Request-Id')!);
      }
      for (const id of ids) expect(id).toMatch(/^[0-9a-f-]{36}$/);
    });
  }

  const templates = [...new Set(routes.map(([, template]) => template))];
  for (const template of templates) {
    const allowed = routes.filter(([, other]) => other === template).map(([method]) => method);
    it(`${template} takes ${allowed.join(', ')} and says so to every other method`, async () => {
      const before = await dump();
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
        if (allowed.includes(method)) continue;
        const answer = await send(method, path(template, 'acme'), `Bearer ${idp.token}`);
        expectRefusal(answer, 405);
        expect(answer.headers.get('Allow')?.split(', ').sort()).toEqual([...allowed].sort());
        expect(answer.headers.get('X-Request-Id')).toBeTruthy();
      }
      expect(await dump()).toBe(before);
    });
  }
});

describe('with PUBLIC_URL set', () => {
  const PUBLIC_URL = 'https://scim.vendor.example/';
  /** Every address in an answer that leads to the service. */
  const addressesIn = ({ headers, text }: Answer) =>
    [headers.get('Location') ?? '', ...text.matchAll(/"(?:location|\$ref)":"([^"]*)"/g)]
      .map((found) => (typeof found === 'string' ? found : found[1]!))
      .filter((found) => found !== '' && found.includes('/scim/v2'));

  let seen = 0;
  for (const [method, template] of routes) {
    it(`${method} ${template} answers with addresses of it, whatever the Host header says`, async () => {
      const there = await newIdp(`public-${crypto.randomUUID().slice(0, 8)}`);
      const manager = await there.user('grace');
      const ada = await there.user('ada', { [ENTERPRISE_USER]: { manager: { value: manager.id } } });
      const group = await there.post('/Groups', { displayName: 'all', members: [{ value: ada.id }] });
      const id = template.includes('/Groups') ? group.body.id : ada.id;
      const request = { ...requestFor(method, template), env: { PUBLIC_URL } };
      const address = pathOf(template, there.slug, id, id === ada.id).replace(
        /(ResourceTypes|Schemas)\/.*/,
        (_, kind) => (kind === 'Schemas' ? `Schemas/${USER}` : 'ResourceTypes/User'),
      );
      const answer = await send(method, address, `Bearer ${there.token}`, request);
      expect(answer.status, answer.text).toBeLessThan(300);
      const base = `https://scim.vendor.example${template.startsWith('/orgs') ? `/orgs/${there.slug}` : ''}/scim/v2/`;
      const addresses = addressesIn(answer);
      expect(addresses.filter((found) => !found.startsWith(base))).toEqual([]);
      expect(answer.text).not.toContain(BASE);
      seen += addresses.length;
    });
  }

  it('is proved on many addresses', () => {
    expect(seen).toBeGreaterThan(30);
  });
});

describe('a path that is not there', () => {
  const unknown = [
    '/Nothing',
    '/user',
    '/Users/a/b',
    '/Bulk/a',
    '/Groups/a/b',
    '/Users/.search/x',
    '/ResourceTypes/User/x',
  ];
  for (const prefix of ['/scim/v2', '/orgs/acme/scim/v2']) {
    for (const address of unknown) {
      it(`${prefix}${address} is a 404 in SCIM's form whatever the method`, async () => {
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
          const answer = await send(method, prefix + address, `Bearer ${idp.token}`);
          expectRefusal(answer, 404);
          expect(answer.headers.get('X-Request-Id')).toBeTruthy();
        }
      });
    }
  }

  it('is a 404 in the same form outside of the SCIM door, where no credential is asked for', async () => {
    for (const address of [
      '/',
      '/scim',
      '/scim/v1/Users',
      '/SCIM/v2/Users',
      '/orgs/acme',
      '/orgs/acme/scim/v3/Users',
    ]) {
      const answer = await send('GET', address, undefined);
      expectRefusal(answer, 404);
      expect(answer.headers.get('X-Request-Id')).toBeTruthy();
    }
  });

  it('/Me is answered with 501, for a token is of an org', async () => {
    for (const prefix of ['/scim/v2', '/orgs/acme/scim/v2']) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        expectRefusal(await send(method, `${prefix}/Me`, `Bearer ${idp.token}`), 501, undefined, /\/Me/);
      }
    }
  });

  it('a slash at the end of a known path makes no difference', async () => {
    for (const address of ['/Users/', `/Users/${user}/`, '/ServiceProviderConfig/', '/Schemas/']) {
      expect((await idp.get(address)).status).toBe(200);
    }
  });
});
