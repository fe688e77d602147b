// The approval page in a real browser: a keyboard, no script, one code, and the way to where the answer belongs.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { executablePath, isInstalled, launchBrowser } from '../support/browser.ts';
import { type LocalServer, startLocal } from '../support/node.ts';
import { newServedClient, type ServedClient } from '../support/oauth-server.ts';
import { type Server, startServer } from '../support/server.ts';

if (!isInstalled) {
  it.skip(`the approval page in a browser: there is no Chromium at ${executablePath} (CHROMIUM says where it is)`);
}

/** Longer than any line at 320 px, without a place to break. */
const NAME = `Okta${'ForAcme'.repeat(12)}`;

describe.runIf(isInstalled)('the approval page in a browser', () => {
  let server: Server;
  let browser: Browser;
  /** Where the client waits for its answer, and where it sends people from there: another origin, as Okta's are. */
  let callback: LocalServer;
  let home: LocalServer;
  let client: ServedClient;
  let page: Page;
  /** What the console says that is not ours to say: errors, and violations of the policy. */
  let complaints: string[];
  let requested: string[];
  let n = 0;

  beforeAll(async () => {
    [server, browser, home] = await Promise.all([startServer(), launchBrowser(), startLocal(() => undefined)]);
    callback = await startLocal(() => `${home.url}/connected`);
  });
  afterAll(async () => {
    await Promise.all([server?.stop(), browser?.close(), callback?.stop(), home?.stop()]);
  });

  beforeEach(async () => {
    const org = await server.newOrg(`browser-${++n}`);
    client = await newServedClient(server, org, { name: NAME, redirectUri: `${callback.url}/callback?app=acme` });
    callback.requests.length = 0;
  });
  afterEach(() => page?.context().close());

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<void> {
    page = await (await browser.newContext(options)).newPage();
    complaints = [];
    requested = [];
    page.on('request', (request) => requested.push(request.url()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      // Chromium's word on each answer of 400 and above.
      if (!/status of 403/.test(message.text())) complaints.push(message.text());
    });
    await page.goto(client.authorizeUrl('a b&c="<€'));
  }

  const focused = () => page.locator(':focus');
  const alert = () => page.getByRole('alert');
  const arrivedWith = () => Object.fromEntries(new URL(callback.requests[0]!, callback.url).searchParams);

  it('is answered with the keyboard alone, without scripts: a wrong code is told, the right one leads back', async () => {
    await open({ javaScriptEnabled: false });
    await page.keyboard.press('Tab');
    expect(await focused().getAttribute('id')).toBe('approval-code');
    await page.keyboard.type('AAAA-AAAA-AAAA-AAAA');
    await page.keyboard.press('Enter');
    await alert().waitFor();
    expect(await alert().textContent()).toContain('That code is not good');
    expect(await page.title()).toMatch(/^Error: /);
    expect(callback.requests).toEqual([]);

    // Back in the field, without a Tab.
    expect(await focused().getAttribute('id')).toBe('approval-code');
    const approval = await client.newApproval();
    await page.keyboard.type(approval.toLowerCase().replaceAll('-', ' '));
    await page.keyboard.press('Enter');
    await page.waitForURL(`${home.url}/connected`);
    const { code, ...rest } = arrivedWith();
    expect(rest).toEqual({ app: 'acme', state: 'a b&c="<€' });
    expect(callback.requests).toHaveLength(1);
    expect(callback.referrers.at(-1)).toBeUndefined();

    const redirect_uri = `${callback.url}/callback?app=acme`;
    const { status, body } = await client.token({ grant_type: 'authorization_code', code: code!, redirect_uri });
    expect(status).toBe(200);
    const headers = { Authorization: `Bearer ${body.access_token}` };
    expect((await fetch(`${server.url}/scim/v2/Users`, { headers })).status).toBe(200);
    expect(complaints).toEqual([]);
  });

  it('is denied with the keyboard alone, without a code', async () => {
    await open();
    for (const name of ['Approval code', 'Approve', 'Deny']) {
      await page.keyboard.press('Tab');
      expect(await focused().evaluate(nameOf)).toBe(name);
    }
    await page.keyboard.press('Enter');
    await page.waitForURL(`${home.url}/connected`);
    expect(arrivedWith()).toEqual({
      app: 'acme',
      error: 'access_denied',
      error_description: 'The request was denied',
      state: 'a b&c="<€',
    });
    expect(complaints).toEqual([]);
  });

  it('keeps an empty answer back, and says why', async () => {
    await open();
    await page.getByRole('button', { name: 'Approve' }).click();
    expect(await page.getByLabel('Approval code').evaluate((it: Field) => it.validity.valueMissing)).toBe(true);
    expect(await focused().getAttribute('id')).toBe('approval-code');
    expect(requested).toHaveLength(1);
  });

  it('asks nobody else for anything, and runs no script, even one that found its way into it', async () => {
    await open();
    expect(requested).toEqual([client.authorizeUrl('a b&c="<€')]);
    await expect(page.addScriptTag({ content: 'globalThis.isRun = true' })).rejects.toThrow();
    expect(await page.evaluate('globalThis.isRun')).toBeUndefined();
    expect(complaints.join()).toMatch(/Content Security Policy/);
  });

  describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
    it.each(['as it is opened', 'after a wrong code'])('can be read and used by everybody, %s', async (when) => {
      await open({ colorScheme, viewport: { width: 320, height: 640 } });
      if (when === 'after a wrong code') {
        await page.getByLabel('Approval code').fill('AAAA-AAAA-AAAA-AAAA');
        await page.getByRole('button', { name: 'Approve' }).click();
        await alert().waitFor();
      }
      expect(await page.evaluate(`(${faults})()`)).toEqual([]);
      expect(await page.getByRole('main').count()).toBe(1);
      expect(await page.getByRole('heading').count()).toBe(1);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toContain(NAME);
      expect(await page.getByRole('button').allTextContents()).toEqual(['Approve', 'Deny']);
      const description = when === 'as it is opened' ? /^16 letters/ : /^That code is not good.*16 letters/;
      expect(await page.getByRole('textbox', { name: 'Approval code' }).evaluate(described)).toMatch(description);
      expect(complaints).toEqual([]);
    });
  });
});

/** An element, as far as it is looked into. Node does not know the types of a browser. */
interface Field {
  readonly textContent: string;
  readonly labels?: ArrayLike<Field>;
  readonly validity: { readonly valueMissing: boolean };
  readonly ownerDocument: { getElementById(id: string): Field };
  getAttribute(name: string): string;
}

const nameOf = (it: Field) => it.labels?.[0]?.textContent || it.textContent;

/** What a screen reader says of a field after its name. */
const described = (it: Field) =>
  it
    .getAttribute('aria-describedby')
    .split(' ')
    .map((id) => it.ownerDocument.getElementById(id).textContent.trim())
    .join(' ');

/** What keeps people out of a page, looked for by hand. Runs in the browser. @returns what is wrong, as text. */
const faults = `() => {
  const wrong = [];
  const say = (isRight, what) => isRight || wrong.push(what);
  const all = [...document.body.querySelectorAll('*')];
  say(document.documentElement.lang === 'en', 'the language is not said');
  say(document.title.trim() !== '', 'there is no title');
  const ids = all.map((it) => it.id).filter(Boolean);
  say(new Set(ids).size === ids.length, 'an id is there twice');
  for (const it of document.querySelectorAll('input:not([type=hidden])')) say(it.labels.length === 1, it.id + ' has no label');
  for (const it of document.querySelectorAll('[aria-describedby]')) {
    for (const id of it.getAttribute('aria-describedby').split(' ')) say(ids.includes(id), 'no description ' + id);
  }
  for (const it of document.querySelectorAll('[role=alert]')) say(it.tabIndex === -1, 'the error takes no focus');
  say(document.documentElement.scrollWidth <= innerWidth, 'the page scrolls sideways: ' + document.documentElement.scrollWidth);
  for (const it of document.querySelectorAll('input:not([type=hidden]), button')) {
    const box = it.getBoundingClientRect();
    say(box.height >= 24 && box.width >= 24, 'a target is too small (WCAG 2.5.8)');
    it.focus({ focusVisible: true });
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(it);
    say(outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2, 'the focus is not seen on ' + it.name);
    say(contrast(outlineColor, 'rgb' + getComputedStyle(document.body).backgroundColor.slice(3)) >= 3, 'the focus is faint');
  }
  for (const it of all.filter((it) => [...it.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))) {
    const ratio = contrast(getComputedStyle(it).color, backOf(it));
    say(ratio >= 4.5, 'contrast ' + ratio.toFixed(2) + ' of ' + it.tagName + ' (WCAG 1.4.3)');
  }
  return wrong;

  function backOf(it) {
    const own = getComputedStyle(it).backgroundColor;
    return own === 'rgba(0, 0, 0, 0)' ? backOf(it.parentElement) : own;
  }
  function contrast(a, b) {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  }
  function luminance(color) {
    const parts = color.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
}`;
