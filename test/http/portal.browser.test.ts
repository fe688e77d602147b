// The portal in a real browser: three sizes, with and without script, beside an identity provider, in frames, and for everybody.

/// <reference types="vite/types/importMeta.d.ts" />
import axe from 'axe-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { play, readConversation } from '../conversations/play.ts';
import { executablePath, isInstalled, launchBrowser } from '../support/browser.ts';
import { environment, type LocalServer, startLocal } from '../support/node.ts';
import { type Server, startServerWith, type TestOrg } from '../support/server.ts';

const conversations = import.meta.glob<unknown>('../conversations/okta-oin.json', { eager: true, import: 'default' });

if (!isInstalled) {
  it.skip(`the portal in a browser: there is no Chromium at ${executablePath} (CHROMIUM says where it is)`);
  console.warn(`SKIPPED: the portal in a browser, for there is no Chromium at ${executablePath}`);
}
/** Where pictures for docs/portal.md are written; unset: none are. */
const pictures = environment['PORTAL_PICTURES'];

describe.runIf(isInstalled)('the portal in a browser', { timeout: 240_000 }, () => {
  let server: Server;
  /** A page of the one may frame the portal, and of the other not. */
  let vendor: LocalServer;
  let stranger: LocalServer;
  /** What is in their frames. */
  let framed = '';
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  /** What the console says: errors, and violations of the policy. */
  let complaints: string[];
  let slug: string;
  let n = 0;

  beforeAll(async () => {
    [vendor, stranger] = await Promise.all([
      startLocal(() => undefined, framePage),
      startLocal(() => undefined, framePage),
    ]);
    [server, browser] = await Promise.all([
      startServerWith({ PORTAL_NAME: 'Ledgerly', PORTAL_SUPPORT: 'help@ledgerly.example', PORTAL_ORIGINS: vendor.url }),
      launchBrowser(),
    ]);
  });
  afterAll(async () => {
    await Promise.all([server?.stop(), browser?.close(), vendor?.stop(), stranger?.stop()]);
  });
  beforeEach(async () => {
    slug = `portal-${++n}`;
    await server.admin('POST', '/orgs', { slug, name: 'Acme Corporation' });
  });
  afterEach(() => context?.close());

  /** A page with the portal in a frame, which keeps what it is told. */
  const framePage = () => `<!doctype html><title>Vendor</title><script>
      window.told = []; addEventListener('message', ({ origin, data }) => told.push([origin, data.event]));
    </script><iframe src="${framed}" width="900" height="700"></iframe>`;

  const newLink = async (body: Record<string, unknown> = {}) =>
    (await server.admin<{ url: string }>('POST', `/orgs/${slug}/portal-links`, { contact: 'it@acme.com', ...body }))
      .url;

  async function open(options: Parameters<Browser['newContext']>[0] = {}, link?: string): Promise<void> {
    context = await browser.newContext({ locale: 'en', ...options });
    page = await context.newPage();
    complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      // Chromium's word on each answer of 400 and above.
      if (!/the server responded with a status of/.test(message.text())) complaints.push(message.text());
    });
    await page.goto(link ?? (await newLink()));
    await page.getByRole('button', { name: 'Open' }).click();
  }

  const go = (path: string) => page.goto(`${server.url}/portal/orgs/${slug}${path}`);
  const secret = () => page.locator('#secret');
  const picture = async (name: string) => {
    if (pictures) await page.screenshot({ path: `${pictures}/${name}.png` });
  };
  const state = (name: string) => page.locator('.steps li', { has: page.locator(`a[href$="/set-up/${name}"]`) });

  /** Rules of axe. VISUAL: what the size and the colours decide. No size hides anything (src/routes/portal/style.ts). */
  const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const VISUAL = ['color-contrast', 'link-in-text-block', 'scrollable-region-focusable', 'target-size'];

  /** @param rules of axe; absent: all. @returns violations, and whether the page scrolls sideways. */
  async function faults(rules?: readonly string[]): Promise<string[]> {
    // It is still there where nothing but the size and the colours have changed.
    if (!(await page.evaluate('"axe" in window'))) await page.evaluate(axe.source);
    const { violations } = (await page.evaluate(
      `axe.run(document, { runOnly: ${JSON.stringify(rules ?? RULES)}, resultTypes: ['violations'] })`,
    )) as { violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] };
    return [
      ...violations.map(({ id, nodes }) => `${page.url()}: ${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`),
      ...(await sideways()),
    ];
  }

  async function sideways(): Promise<string[]> {
    const wide = (await page.evaluate('document.documentElement.scrollWidth - innerWidth')) as number;
    return wide > 0 ? [`${page.url()} scrolls sideways by ${wide}`] : [];
  }

  describe.each([
    [360, true],
    [768, false],
    [1440, true],
  ])('at %i px, with script: %s', (width, javaScriptEnabled) => {
    it('sets up Okta: choose, generate, copy, done, and the token does not come back', async () => {
      await open({ viewport: { width, height: 800 }, javaScriptEnabled });
      await page.getByLabel('Identity provider', { exact: true }).selectOption('Okta');
      await page.getByRole('button', { name: 'Save and go on' }).click();
      await page.getByText('SCIM base URL', { exact: true }).first().waitFor();
      expect(await page.locator('#base-url').textContent()).toBe(`${server.url}/scim/v2`);
      expect(await page.getByRole('button', { name: 'Copy' }).first().isVisible()).toBe(javaScriptEnabled);
      await page.getByRole('link', { name: 'Generate token' }).click();
      await page.getByText('It is shown only once').waitFor();
      await page.getByRole('button', { name: 'Generate token' }).click();
      const token = (await secret().textContent()) ?? '';
      expect(token).toMatch(/^scim_/);
      if (javaScriptEnabled) {
        await context.grantPermissions(['clipboard-read', 'clipboard-write']);
        await page.getByRole('button', { name: 'Copy' }).first().click();
        await page.getByRole('button', { name: 'Copied' }).waitFor();
        expect(await page.evaluate('navigator.clipboard.readText()')).toBe(token);
      }
      await page.getByRole('link', { name: 'Done' }).click();
      await page.waitForURL(/set-up\/test/);
      await page.goBack().catch(() => undefined);
      await expect.poll(() => page.content().catch(() => token)).not.toContain(token);
      await go('/credentials');
      expect(await page.content()).not.toContain(token);
      expect(complaints.filter((text) => !/ERR_CACHE_MISS/.test(text))).toEqual([]);
    });
  });

  it('asks for itself less often when nobody has touched the page for ten minutes', async () => {
    await open();
    await page.clock.install();
    let looks = 0;
    await page.route('**/*', (route) => {
      if (route.request().headers()['x-portal-live'] !== undefined) looks++;
      return route.continue();
    });
    await go('/activity');
    await page.clock.runFor(3_000);
    await expect.poll(() => looks).toBeGreaterThanOrEqual(1);
    await page.clock.fastForward(600_000);
    await page.waitForLoadState('networkidle');
    looks = 0;
    for (let seconds = 0; seconds < 60; seconds += 3) {
      await page.clock.runFor(3_000);
      await page.waitForLoadState('networkidle');
    }
    expect(looks).toBeGreaterThanOrEqual(1);
    // Real time goes on beside these sixty seconds. Every three seconds would be twenty.
    expect(looks).toBeLessThanOrEqual(5);
    looks = 0;
    await page.keyboard.press('Shift');
    await expect
      .poll(
        async () => {
          await page.clock.runFor(3_000);
          return looks;
        },
        { timeout: 10_000, interval: 300 },
      )
      .toBeGreaterThanOrEqual(3);
  });

  it('turns each step green within three seconds, while the page is open', async () => {
    await open({ viewport: { width: 1440, height: 900 } });
    await server.admin('PATCH', `/orgs/${slug}`, { settings: { idp: 'okta' } });
    await server.admin('POST', `/orgs/${slug}/scim`, { enabled: true });
    const { token } = await server.admin<{ token: string }>('POST', `/orgs/${slug}/tokens`, {});
    await go('/set-up/test');
    const ask = (path: string, init: RequestInit = {}) =>
      fetch(`${server.url}${path}`, {
        ...init,
        headers: {
          Authorization: `Bearer ${token}`,
          'User-Agent': 'Okta SCIM Client 1.0.0',
          'Content-Type': 'application/scim+json',
        },
      });
    await ask('/Users?count=2');
    await page.getByText('the base URL lacks /scim/v2').waitFor({ timeout: 6_000 });
    expect(await state('test').getAttribute('class')).toBe('failed');
    await ask('/scim/v2/Users', { method: 'POST', body: '{"displayName":"Nobody"}' });
    await state('person').locator('.dot.failed').waitFor({ timeout: 6_000 });

    const height = () => page.evaluate('document.querySelector(".steps").getBoundingClientRect().height');
    const before = await height();
    const operator = (method: string, path: string, body: unknown) =>
      server.admin(method, `/orgs/${slug}${path}`, body);
    const [[file, json]] = Object.entries(conversations) as [[string, unknown]];
    const checkSession = (userId: string, issuedAt: number) => server.checkSession(slug, userId, issuedAt);
    await play(readConversation(json, file), { baseUrl: `${server.url}/scim/v2`, token, operator, checkSession });
    for (const name of ['test', 'person', 'change', 'deactivation']) {
      await state(name).locator('.dot.works').waitFor({ timeout: 6_000 });
    }
    expect(await height()).toBe(before);
    await page.getByText('The set-up works.').waitFor({ timeout: 6_000 });
    await picture('set-up');
    await go('/set-up/connect');
    await picture('connect');
    expect(complaints).toEqual([]);
  });

  it('ends with its link, while the page is open', async () => {
    await open();
    await go('/set-up/test');
    const [{ id }] = await server.admin<[{ id: string }]>('GET', `/orgs/${slug}/portal-links`);
    await server.admin('DELETE', `/orgs/${slug}/portal-links/${id}`);
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor({ timeout: 8_000 });
  });

  it('is for everybody, on every page: wide and light, narrow and dark', async () => {
    const [org, link] = await fullOrg();
    context = await browser.newContext({ locale: 'en' });
    page = await context.newPage();
    const found: string[] = [];
    const looked = async () => {
      for (const [colorScheme, width, rules] of [
        ['dark', 360, undefined],
        ['light', 1440, VISUAL],
      ] as const) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        // Colours go over into each other.
        await page.evaluate('for (const it of document.getAnimations()) if (it instanceof CSSTransition) it.finish()');
        found.push(...(await faults(rules)).map((fault) => `${colorScheme}, ${width} px: ${fault}`));
      }
    };
    await page.goto(link);
    await looked();
    await page.getByRole('button').click();
    for (const path of await pathsOf(org)) {
      await go(path);
      await looked();
      if (['', '/credentials', '/activity'].includes(path)) await picture(path === '' ? 'overview' : path.slice(1));
    }
    await go('/credentials/token/rotate');
    await page.locator('main button[type=submit]').click();
    await secret().waitFor();
    await looked();
    await page.goto(`${server.url}/portal/nothing`);
    await looked();
    expect(found).toEqual([]);
  });

  it('is for everybody in German too, whose words are longer: no page scrolls sideways at 360 px', async () => {
    const [org, link] = await fullOrg();
    context = await browser.newContext({ locale: 'de', viewport: { width: 360, height: 900 } });
    page = await context.newPage();
    await page.goto(link);
    await page.getByRole('button').click();
    const found: unknown[] = [];
    const expected: unknown[] = [];
    for (const path of await pathsOf(org)) {
      await go(path);
      found.push([path, await page.evaluate('document.documentElement.lang'), await sideways()]);
      expected.push([path, 'de', []]);
    }
    // Once, for what axe sees of a language.
    expect([found, await faults()]).toEqual([expected, []]);
  });

  /** An org with something of everything, and a link to its portal. */
  async function fullOrg(): Promise<[TestOrg, string]> {
    const org = await server.newOrg(`${slug}-full`);
    slug = org.slug;
    await fillOrg(server, slug, org.token);
    return [org, await newLink({ returnUrl: 'https://app.ledgerly.example/settings' })];
  }

  async function pathsOf(org: TestOrg): Promise<string[]> {
    const { Resources } = await users(server, org.token);
    return [
      ...['', '/set-up/idp', '/set-up/connect', '/set-up/connect?way=oauth', '/set-up/test', '/set-up/person'],
      ...['/set-up/group', '/credentials', '/credentials/token/new', '/credentials/token/rotate'],
      ...['/credentials/token/revoke', '/people', '/people?q=nobody', `/people/${Resources[0]!.id}`, '/groups'],
      ...['/attributes', '/activity', '/domains', '/held', '/switch-off', '/nothing'],
    ];
  }

  it('is used by the keyboard alone', async () => {
    await open();
    await go('/set-up/idp');
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').textContent()).toBe('Skip to the page');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    for (let i = 0; i < 20 && (await page.locator(':focus').getAttribute('id')) !== 'idp'; i++)
      await page.keyboard.press('Tab');
    await page.keyboard.type('Okta');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForURL(/set-up\/connect/);
  });

  it('sends a form once, however often it is clicked', async () => {
    await open();
    await go('/credentials/token/new');
    await page.getByRole('button', { name: 'Generate token' }).dblclick();
    await secret().waitFor();
    const listed = await server.admin<unknown[]>('GET', `/orgs/${slug}/tokens`);
    expect(listed).toHaveLength(1);
  });

  it('does what help pages of such products say: enable, generate, copy, list, regenerate, revoke, default group, disable, remove', async () => {
    await open({ viewport: { width: 1024, height: 800 } });
    const press = (name: string) => page.getByRole('button', { name, exact: true }).click();
    const follow = (name: string) => page.locator('main').getByRole('link', { name, exact: true }).click();
    await go('/set-up/connect');
    await press('Switch on');
    await follow('Generate token');
    await press('Generate token');
    const first = (await secret().textContent())!;
    await follow('Done');
    const bearer = (token: string) => ({
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/scim+json' },
    });
    expect((await fetch(`${server.url}/scim/v2/Users`, bearer(first))).status).toBe(200);
    await go('/credentials');
    expect(await page.locator('main').textContent()).toMatch(/scim_.{4}….{4}currentMadejust now by it@acme\.com/);
    await follow('Regenerate');
    await page.getByText('It works for another 24 hours').click();
    await press('Regenerate');
    const second = (await secret().textContent())!;
    expect((await fetch(`${server.url}/scim/v2/Users`, bearer(first))).status).toBe(200);
    await go('/credentials');
    await press('Finish: invalidate the old one now');
    expect((await fetch(`${server.url}/scim/v2/Users`, bearer(first))).status).toBe(401);
    await follow('Regenerate');
    await page.getByText('Invalidate it now').click();
    await press('Regenerate');
    const third = (await secret().textContent())!;
    expect((await fetch(`${server.url}/scim/v2/Users`, bearer(second))).status).toBe(401);
    const body = JSON.stringify({ schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'], displayName: 'Everybody' });
    await fetch(`${server.url}/scim/v2/Groups`, { method: 'POST', body, ...bearer(third) });
    await go('/groups');
    await page.getByLabel('Default group').selectOption('Everybody');
    await press('Save');
    await page.getByText('Saved.').waitFor();
    await go('/credentials');
    await follow('Revoke');
    await press('Revoke');
    await page.getByText('Revoked. Your identity provider is refused from now on.').waitFor();
    await go('/switch-off');
    await press('Disable');
    await page.getByText('Provisioning is off. Users and groups stay as they are.').waitFor();
    await go('/switch-off');
    await page.getByLabel(`Enter ${slug} to confirm`).fill(slug);
    await press('Remove set-up');
    await page.getByText('The set-up was removed.').waitFor();
    expect(complaints).toEqual([]);
  });

  describe('in a frame', () => {
    async function frameAt({ url }: LocalServer, link: string): Promise<void> {
      framed = link;
      context = await browser.newContext({ locale: 'en' });
      page = await context.newPage();
      await page.goto(`${url}/settings`);
    }
    const told = () => page.evaluate('window.told') as Promise<[string, string][]>;

    it('of an allowed origin it works, and tells that origin alone what has happened', async () => {
      await frameAt(vendor, await newLink());
      const frame = page.frameLocator('iframe');
      await frame.getByRole('button', { name: 'Open' }).click();
      await frame.getByLabel('Identity provider', { exact: true }).selectOption('Okta');
      await frame.getByRole('button', { name: 'Save and go on' }).click();
      await frame.getByText('SCIM base URL', { exact: true }).first().waitFor();
      const cookies = await context.cookies(server.url);
      expect(cookies.find(({ name }) => name.endsWith('scim-portal'))).toMatchObject({
        sameSite: 'None',
        httpOnly: true,
      });
      const events = await told();
      expect(new Set(events.map(([origin]) => origin))).toEqual(new Set([server.url]));
      expect(events.map(([, event]) => event)).toContain('loaded');
      await frame.getByRole('button', { name: 'End session' }).click();
      await frame.getByRole('heading', { name: 'Your session has ended' }).waitFor();
      expect((await told()).map(([, event]) => event)).toContain('session_ended');
    });

    it('of another origin it shows nothing', async () => {
      const link = await newLink();
      await frameAt(stranger, link);
      await page.waitForTimeout(500);
      expect(await page.frames()[1]?.locator('button').count()).toBe(0);
      expect(await told()).toEqual([]);
    });
  });
});

async function users(server: Server, token: string) {
  const answer = await fetch(`${server.url}/scim/v2/Users`, { headers: { Authorization: `Bearer ${token}` } });
  return (await answer.json()) as { Resources: { id: string }[] };
}

/** Something of everything: people with long names and of other scripts, groups, refused requests, deactivations that wait. */
async function fillOrg(server: Server, slug: string, token: string): Promise<void> {
  const settings = {
    idp: 'okta',
    'plan.seats': '4',
    'deactivationLimit.deactivations': '1',
    'portal.allow': 'idp, scim, credentials, groups, linking, domains, held, removal',
  };
  await server.admin('PATCH', `/orgs/${slug}`, { settings: { ...settings, name: `Acme ${'Corporation'.repeat(12)}` } });
  const send = async (method: string, path: string, body: unknown, as = token) =>
    (await (
      await fetch(`${server.url}/scim/v2${path}`, {
        method,
        body: JSON.stringify(body),
        headers: {
          Authorization: `Bearer ${as}`,
          'Content-Type': 'application/scim+json',
          'User-Agent': 'Okta SCIM Client 1.0.0',
        },
      })
    ).json()) as { id: string };
  const schemas = ['urn:ietf:params:scim:schemas:core:2.0:User'];
  const ids: string[] = [];
  for (const name of ['ada', 'grace', 'مريم', 'x'.repeat(200)]) {
    ids.push(
      (await send('POST', '/Users', { schemas, userName: `${name}@acme.com`, displayName: name, shoeSize: 42 })).id,
    );
  }
  await send('POST', '/Users', { schemas, displayName: 'Nobody' });
  await send('POST', '/Users', { schemas, userName: 'full@acme.com' });
  const group = { schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'], displayName: 'Engineering' };
  await send('POST', '/Groups', { ...group, members: ids.map((value) => ({ value })) });
  const patch = {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
    Operations: [{ op: 'replace', path: 'active', value: false }],
  };
  for (const id of [ids[1], ids[3]]) await send('PATCH', `/Users/${id}`, patch);
  await send('GET' as 'POST', '/Users', undefined, `${token.slice(0, -3)}`).catch(() => undefined);
}
