// The example host apps as people meet them: beside the whole service, over HTTP, with a cookie and forms.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Browser, type NodeHost, openBrowser, openNodeHost, type Page } from '../../scripts/demo/node-host.mjs';
import { executablePath, isInstalled, launchBrowser } from '../support/browser.ts';
import { hostToken, type Server, startServer, type TestOrg } from '../support/server.ts';
import { soon } from '../support/stream-scenarios.ts';
import { startWire, type Wire } from '../support/web-socket.mjs';

const workerHost = new URL('../../examples/worker-host/wrangler.toml', import.meta.url);
const cookieSecret = 'a secret of this test, longer than 32 characters';
if (!isInstalled) {
  it.skip(`an open page in a browser: there is no Chromium at ${executablePath} (CHROMIUM says where it is)`);
}

let server: Server;
let acme: TestOrg;
beforeAll(async () => {
  server = await startServer({
    configPath: workerHost,
    secrets: { COOKIE_SECRET: cookieSecret, MIRROR_ORGS: 'acme' },
  });
  acme = await server.newOrg('acme');
}, 60_000);
afterAll(() => server?.stop());

async function scim(method: string, path: string, body: object): Promise<{ id: string }> {
  const answer = await fetch(`${acme.baseUrl}${path}`, {
    ...{ method, body: JSON.stringify(body) },
    headers: { authorization: `Bearer ${acme.token}`, 'content-type': 'application/scim+json' },
  });
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as { id: string };
}

let people = 0;
async function newPerson(more: object = {}) {
  const userName = `person-${++people}@acme.example`;
  return { userName, ...(await scim('POST', '/Users', { userName, active: true, ...more })) };
}

const setActive = (id: string, active: boolean) =>
  scim('PATCH', `/Users/${id}`, {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
    Operations: [{ op: 'replace', path: 'active', value: active }],
  });
const signOut = (id: string) => server.admin('POST', `/orgs/acme/users/${id}/sign-out`, {});

/** What a page says of a fact. */
const said = ({ text }: Page, name: string) => new RegExp(`<dt>${name}</dt><dd>(.*?)</dd>`).exec(text)?.[1];
const titleOf = ({ text }: Page) => /<title>(.*?)<\/title>/.exec(text)?.[1];

async function signedIn(browser: Browser, name: string): Promise<Browser> {
  const answer = await browser.post('/sign-in', { org: 'acme', name });
  expect([answer.status, answer.headers.get('location')]).toEqual([303, '/']);
  return browser;
}

function expectSignedOut(page: Page, reason: string) {
  expect([page.status, titleOf(page), said(page, 'Reason')]).toEqual([401, 'You are signed out', reason]);
}

describe('the Worker beside the service', () => {
  const origin = 'https://product.example';
  const newBrowser = () => openBrowser(origin, (url, init) => server.fetchFrom('worker-host', url, init));

  it('opens the portal for who may manage the directory, and for nobody else', async () => {
    const [admin, other] = [await newPerson(), await newPerson()];
    await scim('POST', '/Groups', { displayName: 'Admins', members: [{ value: admin.id }] });
    await server.admin('PUT', '/orgs/acme/groups/Admins/permissions', { permissions: ['directory:manage'] });
    const page = await (await signedIn(newBrowser(), admin.userName)).post('/settings/directory', {});
    expect(page.text).toMatch(/<a href="[^"]+\/portal\/scimpl_\w+"/);
    const refused = await (await signedIn(newBrowser(), other.userName)).post('/settings/directory', {});
    expect([refused.status, refused.text.includes('scimpl_')]).toEqual([403, false]);
  });

  it('shows who is signed in, with groups, roles and permissions, to nobody without a session', async () => {
    const ada = await newPerson({ displayName: 'Ada <Lovelace>', roles: [{ value: 'engineer' }] });
    await scim('POST', '/Groups', { displayName: 'Analysts', members: [{ value: ada.id }] });
    await server.admin('PUT', '/orgs/acme/groups/Analysts/permissions', { permissions: ['reports.read'] });
    const browser = newBrowser();
    expect((await browser.get('/')).headers.get('location')).toBe('/sign-in');
    await signedIn(browser, ada.userName);
    const page = await browser.get('/');
    expect(page.status).toBe(200);
    expect(page.text).toContain('<h1>Ada &lt;Lovelace&gt;</h1>');
    expect([said(page, 'Groups'), said(page, 'Roles'), said(page, 'Permissions')]).toEqual([
      ...['Analysts', 'engineer', 'reports.read'],
    ]);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.headers.get('cache-control')).toBe('no-store');
  });

  it('lists colleagues from its own database, which follows the directory', async () => {
    const [ada, bob] = [
      await newPerson({ displayName: 'Ada of acme' }),
      await newPerson({ displayName: 'Bob of acme' }),
    ];
    const browser = await signedIn(newBrowser(), ada.userName);
    const colleagues = async () => (await browser.get('/colleagues')).text;
    await vi.waitFor(async () => expect(await colleagues()).toMatch(/Ada of acme.*Bob of acme/), { timeout: 20_000 });
    await setActive(bob.id, false);
    await signedIn(newBrowser(), ada.userName); // which wakes the mirror
    await vi.waitFor(async () => expect(await colleagues()).not.toContain('Bob of acme'), { timeout: 20_000 });
    expect(await colleagues()).toContain('Ada of acme');
  });

  it('keeps the session in a cookie that no script reads, no other site sends and no subdomain sets', async () => {
    const { userName } = await newPerson();
    const { headers } = await newBrowser().post('/sign-in', { org: 'acme', name: userName });
    const cookie = headers.get('set-cookie')!;
    expect(cookie).toMatch(/^__Host-session=/);
    for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Lax', 'Path=/', 'Max-Age=43200']) {
      expect(cookie.split('; ')).toContain(attribute);
    }
  });

  it('asks KV for what is harmless, and the service through its binding for what is sensitive', async () => {
    const { userName } = await newPerson();
    const browser = await signedIn(newBrowser(), userName);
    expect(said(await browser.get('/'), 'Session checked with')).toBe('kv');
    const exported = await browser.post('/export');
    expect([exported.status, said(exported, 'Session checked with')]).toEqual([200, 'strict']);
  });

  it('lets nobody in whom the identity provider has deactivated, from the next request on', async () => {
    const { id, userName } = await newPerson();
    const browser = await signedIn(newBrowser(), userName);
    await setActive(id, false);
    const kept = browser.cookie;
    const page = await browser.get('/');
    expectSignedOut(page, 'inactive');
    expect(said(page, 'Session checked with')).toBe('kv');
    // The browser was told to forget it; one that does not is no better off.
    expect(browser.cookie).toBe('');
    browser.cookie = kept;
    expectSignedOut(await browser.post('/export'), 'inactive');
  });

  it('refuses what is sensitive also where KV has not heard of it yet', async () => {
    const { id, userName } = await newPerson();
    const browser = await signedIn(newBrowser(), userName);
    await setActive(id, false);
    await server.loseFlag(acme.id, id);
    const page = await browser.post('/export');
    expectSignedOut(page, 'inactive');
    expect(said(page, 'Session checked with')).toBe('strict');
  });

  it('does not show someone’s account either when KV is behind', async () => {
    const { id, userName } = await newPerson();
    const browser = await signedIn(newBrowser(), userName);
    await setActive(id, false);
    await server.loseFlag(acme.id, id);
    const page = await browser.get('/');
    expectSignedOut(page, 'inactive');
    expect(said(page, 'Session checked with')).toBe('strict');
  });

  it('takes an operator’s sign-out as the end of that session, and a new one as good', async () => {
    const { id, userName } = await newPerson();
    const browser = await signedIn(newBrowser(), userName);
    await signOut(id);
    expectSignedOut(await browser.get('/'), 'revoked');
    await signedIn(browser, userName);
    expect((await browser.get('/')).status).toBe(200);
  });

  it('signs in by e-mail address, and refuses who is unknown, deactivated, or one of several with that address', async () => {
    const mail = (value: string) => ({ emails: [{ value, primary: true }] });
    await newPerson(mail('shared@acme.example'));
    await newPerson(mail('shared@acme.example'));
    await newPerson(mail('ada@mail.example'));
    const { userName: inactive } = await newPerson({ active: false });
    await signedIn(newBrowser(), 'ada@mail.example');
    const refusals: [string, string, string][] = [
      ['acme', 'nobody@acme.example', 'Nobody of that organization'],
      ['acme', '', 'Nobody of that organization'],
      ['globex', 'ada@mail.example', 'Nobody of that organization'],
      ['acme', 'shared@acme.example', 'Several people have this address'],
      ['acme', inactive, 'This person may not sign in'],
    ];
    for (const [org, name, why] of refusals) {
      const browser = newBrowser();
      const page = await browser.post('/sign-in', { org, name });
      expect([page.status, browser.cookie]).toEqual([403, '']);
      expect(page.text).toMatch(new RegExp(`<p role="alert">${why}`));
    }
  });

  it('takes no cookie that somebody else has made or changed', async () => {
    const [ada, eve] = [await newPerson(), await newPerson()];
    const browser = await signedIn(newBrowser(), eve.userName);
    const genuine = browser.cookie;
    const forgeries = [
      genuine.replace(eve.id, ada.id),
      genuine.replace(/%3A(\d{13})/, (_, at) => `%3A${Number(at) + 60_000}`),
      genuine.replace(/\.[^.]+$/, ''),
      `__Host-session=${acme.id}%3A${ada.id}%3A${Date.now()}`,
      // Over http it has another name: there is no promise that this site has set it.
      genuine.replace('__Host-', ''),
    ];
    for (const forgery of forgeries) {
      expect(forgery).not.toBe(genuine);
      browser.cookie = forgery;
      const page = await browser.get('/');
      expect([page.status, page.headers.get('location')]).toEqual([303, '/sign-in']);
    }
    browser.cookie = genuine;
    expect((await browser.get('/')).status).toBe(200);
  });

  it('refuses the forms of other sites', async () => {
    const { userName } = await newPerson();
    const browser = await signedIn(newBrowser(), userName);
    for (const path of ['/export', '/sign-out', '/sign-in']) {
      const page = await browser.post(path, { org: 'acme', name: userName }, 'https://evil.example');
      expect([page.status, titleOf(page)]).toEqual([403, 'That was refused']);
    }
    expect((await browser.post('/export')).status).toBe(200);
  });

  it('signs out who wants to', async () => {
    const { userName } = await newPerson();
    const browser = await signedIn(newBrowser(), userName);
    await browser.post('/sign-out');
    expect(browser.cookie).toBe('');
  });
});

describe('the Node server with the stream', () => {
  let wire: Wire;
  let host: NodeHost;
  const settings = () => ({ SCIM_URL: wire.url, HOST_TOKEN: hostToken, MAX_SILENCE: '0.6' });
  beforeAll(async () => {
    wire = await startWire(server.url);
    host = await openNodeHost(settings());
  });
  afterAll(async () => {
    await host?.close();
    await wire?.stop();
  });

  const fromStream = (browser: Browser) =>
    soon(async () => expect(said(await browser.get('/'), 'Session checked with')).toBe('stream'));

  it('shows who is signed in, checked in its own memory, and asks the service for what is sensitive', async () => {
    const { userName } = await newPerson({ displayName: 'Ada <Lovelace>' });
    const browser = await signedIn(host.browser(), userName);
    await fromStream(browser);
    const page = await browser.get('/');
    expect(page.text).toContain('<h1>Ada &lt;Lovelace&gt;</h1>');
    expect(said(page, 'Signed in as')).toBe(userName);
    expect(said(await browser.post('/export'), 'Session checked with')).toBe('strict');
    const anonymous = await host.browser().get('/');
    expect(anonymous.headers.get('location')).toBe('/sign-in');
  });

  it('an open page hears within two seconds that its person was deactivated, and others hear nothing', async () => {
    const [ada, bob] = [await newPerson(), await newPerson()];
    const browser = await signedIn(host.browser(), ada.userName);
    const other = await signedIn(host.browser(), bob.userName);
    await fromStream(browser);
    const open = [await browser.listen(), await browser.listen()];
    let hasOtherEnded = false;
    (await other.listen()).ended.then(
      () => {
        hasOtherEnded = true;
      },
      () => undefined,
    );
    const sent = performance.now();
    await setActive(ada.id, false);
    for (const { ended } of open) {
      const { reason, at } = await ended;
      expect(reason).toBe('inactive');
      expect(at - sent).toBeLessThan(2_000);
    }
    expectSignedOut(await browser.get('/'), 'inactive');
    expect((await other.get('/')).status).toBe(200);
    expect(hasOtherEnded).toBe(false);
  });

  it('so it does of an operator’s sign-out, also of the whole org, and of a line that comes back too late', async () => {
    const { id, userName } = await newPerson();
    const browser = await signedIn(host.browser(), userName);
    await fromStream(browser);
    const ended = (await browser.listen()).ended;
    await signOut(id);
    expect((await ended).reason).toBe('revoked');
    expect((await (await browser.listen()).ended).reason).toBe('revoked');
    expectSignedOut(await browser.get('/'), 'revoked');
    await signedIn(browser, userName);
    await fromStream(browser);
    const again = (await browser.listen()).ended;
    await server.signOutOrg('acme');
    expect((await again).reason).toBe('revoked');
  });

  it('refuses who is unknown or deactivated, forms of other sites, and cookies that it has not given', async () => {
    const { userName } = await newPerson({ active: false });
    for (const name of [userName, 'nobody', '', 'x'.repeat(9_000), 'x'.repeat(20_000)]) {
      const browser = host.browser();
      expect((await browser.post('/sign-in', { org: 'acme', name })).status).toBe(name.length > 10_000 ? 413 : 403);
      expect(browser.cookie).toBe('');
    }
    const { userName: good } = await newPerson();
    const browser = await signedIn(host.browser(), good);
    for (const origin of ['https://evil.example', 'null']) {
      expect((await browser.post('/export', {}, origin)).status).toBe(403);
    }
    expect((await browser.post('/export')).status).toBe(200);
    browser.cookie = `session=${'0'.repeat(64)}`;
    expectSignedOut(await browser.get('/'), 'unknown');
  });

  it('when the service is gone, lets in whom its ON_UNAVAILABLE says; and it comes back with all that it has missed', async () => {
    const lenient = await openNodeHost({ ...settings(), ON_UNAVAILABLE: 'last-known' });
    try {
      const [ada, bob] = [await newPerson(), await newPerson()];
      const denied = await signedIn(host.browser(), ada.userName);
      const [known, stays] = [
        await signedIn(lenient.browser(), ada.userName),
        await signedIn(lenient.browser(), bob.userName),
      ];
      for (const browser of [denied, known, stays]) await fromStream(browser);
      wire.isDown = true;
      wire.kill();
      // What is sensitive is refused at once; what is not, when the stream has been silent for too long.
      expect((await denied.post('/export')).status).toBe(503);
      await soon(async () => expect((await denied.get('/')).status).toBe(503));
      expect((await denied.get('/')).headers.get('retry-after')).toBe('5');
      await soon(async () => expect(said(await known.get('/'), 'Session checked with')).toBe('last-known'));
      expect((await known.post('/export')).status).toBe(200);
      expect((await host.browser().post('/sign-in', { org: 'acme', name: ada.userName })).status).toBe(503);

      const { ended } = await known.listen();
      await setActive(ada.id, false);
      wire.isDown = false;
      expect((await ended).reason).toBe('inactive');
      expectSignedOut(await known.get('/'), 'inactive');
      await soon(async () => expectSignedOut(await denied.get('/'), 'inactive'));
      await fromStream(stays);
    } finally {
      await lenient.close();
    }
  });

  it.runIf(isInstalled)('an open page in a browser says by itself that it is over, within its policy', async () => {
    const { id, userName } = await newPerson();
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(String(error)));
      await page.goto(host.url);
      await page.getByLabel('Organization').fill('acme');
      await page.getByLabel('User name or e-mail address').fill(userName);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Export everything' }).click();
      const isLive = page.waitForResponse((answer) => answer.url().endsWith('/live'));
      await page.getByRole('link', { name: 'Back to your account' }).click();
      await isLive;
      await setActive(id, false);
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor({ timeout: 5_000 });
      expect(await page.getByRole('alert').textContent()).toContain('may not be signed in any more');
      // Chromium's word on each answer of 400 and above.
      expect(complaints.filter((text) => !/status of 401/.test(text))).toEqual([]);
    } finally {
      await browser.close();
    }
  });

  it('says when it starts that the service refuses its token, and what the token lacks', async () => {
    const { token } = (await server.admin('POST', '/hosts', { name: 'checks', scopes: ['check'] })) as {
      token: string;
    };
    for (const [HOST_TOKEN, told] of [
      ['not-the-token', 'nobody can sign in: the strict check was answered with HTTP 401: the token is wrong'],
      [token, 'nobody can sign in: resolve was answered with HTTP 403: the token may not ask this question'],
    ] as const) {
      const refused = await openNodeHost({ ...settings(), HOST_TOKEN, ON_UNAVAILABLE: 'allow' });
      try {
        await soon(() => expect(refused.errors.join('\n')).toContain(told));
        expect(refused.errors.join('\n')).not.toContain(HOST_TOKEN);
      } finally {
        await refused.close();
      }
    }
    expect(host.errors.join()).not.toContain('nobody can sign in');
  });

  it('ends when it is told to, with pages open', async () => {
    const { userName } = await newPerson();
    const browser = await signedIn(host.browser(), userName);
    const broken = expect((await browser.listen()).ended).rejects.toThrow();
    expect(await host.close()).toBe(0);
    await broken;
  });
});
