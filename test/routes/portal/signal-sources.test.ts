/** What the customer's administrator sees of the sources of signals: their state, the last signal, what to do. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { admin, type Idp, newIdp } from '../../support/client';
import { textOf, type Visitor, visit } from '../../support/portal';
import {
  issSub,
  logout,
  logoutToken,
  newSender,
  postLogout,
  refusedSignals,
  type Sender,
  seconds,
} from '../../support/signals';

let idp: Idp;
let okta: Sender;
let bob: Visitor;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`portal-signals-${++n}`);
  await idp.user('ada', { externalId: '00uAda' });
  okta = await newSender(idp);
  bob = await visit(idp.slug, { contact: 'it@acme.com' });
});
afterEach(() => vi.restoreAllMocks());

const show = async (path = '') => textOf((await bob.page(path)).text);
const change = (column: string, value: unknown) =>
  env.DB.prepare(`UPDATE signal_sources SET ${column} = ? WHERE id = ?`).bind(value, okta.id).run();

describe('the overview', () => {
  it('tells of each source whether it works, and when it was last heard', async () => {
    expect(await show()).toContain(`${okta.issuer} no signal yet`);
    await logout(okta, issSub(okta, '00uAda'));
    expect(await show()).toMatch(new RegExp(`${okta.issuer} works Kind Universal Logout Last signal just now`, 'i'));
    await change('paused_at', 1);
    expect(await show()).toContain(`${okta.issuer} paused`);
  });

  it('says nothing of signals where there is no source', async () => {
    await admin('DELETE', `/orgs/${idp.slug}/signals/${okta.id}`, { body: {} });
    expect(await show()).not.toContain('Sign-out signals');
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'whose clock is wrong',
      async () => postLogout(okta.endpoint, await logoutToken(okta, { iat: seconds() + 600 }), issSub(okta, '00uAda')),
      /A signal was not carried out \( just now \): its time is wrong\. Set the clock of the sender\./,
    ],
    [
      'that names a person who is not here',
      () => logout(okta, issSub(okta, 'nobody')),
      /not carried out \( just now \): it names a person who is not here\. Assign the person/,
    ],
  ])('says what to do about a signal %s, and leaves the SCIM connection out of it', async (_, send, says) => {
    await send();
    await vi.waitFor(async () => expect(Object.keys(await refusedSignals(idp))).toHaveLength(1));
    const page = await show();
    expect(page).toMatch(says);
    expect(page).not.toContain('sent a signal that was not carried out');
    expect(page).not.toContain('Everything works');
  });
});

describe('of several sources', () => {
  it('each has its own refused signals, one of each kind, until a signal of it is accepted', async () => {
    const entra = await newSender(idp);
    await logout(okta, issSub(okta, '00uAda'));
    await logout(entra, issSub(entra, '00uAda'));
    const late = (sender: Sender) => logoutToken(sender, { iat: seconds() + 600 });
    for (let i = 0; i < 2; i++) await postLogout(okta.endpoint, await late(okta), issSub(okta, '00uAda'));
    await logout(okta, issSub(okta, 'nobody'));
    await vi.waitFor(async () => expect(await refusedSignals(idp)).toEqual({ clock: 2, subject: 1 }));
    const page = await show();
    const [of, ofEntra] = [page.indexOf(okta.issuer), page.indexOf(entra.issuer)];
    expect(of).toBeLessThan(ofEntra);
    expect(page.slice(of, ofEntra)).toMatch(/names a person who is not here.*its time is wrong/);
    expect(page.slice(of, ofEntra).match(/was not carried out/g)).toHaveLength(2);
    expect(page.slice(ofEntra)).not.toContain('was not carried out');
    await logout(okta, issSub(okta, '00uAda'));
    expect(await show()).not.toContain('its time is wrong');
  });

  it('what a stranger sends is shown only while a source waits for its first signal', async () => {
    await postLogout(okta.endpoint, await logoutToken(okta, { iss: 'https://other.okta.test' }), {});
    await vi.waitFor(async () => expect(await refusedSignals(idp)).toEqual({ issuer: 1 }));
    expect(await show()).toMatch(
      /names none of these sources was not carried out \( just now \): it came from an issuer/,
    );
    await logout(okta, issSub(okta, '00uAda'));
    expect(await show()).not.toContain('was not carried out');
  });
});

it.each<[string, string, unknown, RegExp]>([
  ['cannot be polled', 'poll_failures', 3, /does not work .*The sender cannot be reached\./],
  ['is paused at its sender', 'status', 'paused', /does not work .*The sender has stopped its signals\./],
])('a stream that %s is shown with what to do', async (_, column, value, says) => {
  await env.DB.prepare(
    "UPDATE signal_sources SET type = 'ssf', poll_url = 'https://x.test', credentials = 'x' WHERE id = ?",
  )
    .bind(okta.id)
    .run();
  await change(column, value);
  expect(await show()).toMatch(says);
});

it('the activity says of each refused signal whose it was, and what to do', async () => {
  await postLogout(okta.endpoint, await logoutToken(okta, { iat: seconds() + 600 }), issSub(okta, '00uAda'));
  await vi.waitFor(async () => expect(await refusedSignals(idp)).toEqual({ clock: 1 }));
  expect(await show('/activity')).toContain(
    `${okta.issuer} sent a signal that was not carried out (just now): its time is wrong. Set the clock of the sender.`,
  );
});

it('the activity can be narrowed to sources of signals', async () => {
  expect(await show('/activity?type=signals.*')).toContain('Source of sign-out signals added');
});
