/**
 * `npm run demo`: the whole story in under a minute, on the real Worker with a state folder of its own that is thrown
 * away. Every line with a tick is a thing that was asked and answered; anything else ends it with exit code 1.
 */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAdmin } from './admin/transport.mjs';
import { openHostApp } from './demo/host-app.mjs';
import { entra, okta } from './demo/idp.mjs';
import { openNodeHost } from './demo/node-host.mjs';
import { freePort, startService } from './start/service.mjs';
import { paint } from './terminal.mjs';

const began = performance.now();
const stateDir = mkdtempSync(join(tmpdir(), 'scim-worker-demo-'));
const complaints = [];
const hostToken = crypto.randomUUID();
const service = startService({
  ...{ port: await freePort(), stateDir, secrets: { HOST_TOKEN: hostToken } },
  onLog: (text) => complaints.push(text),
});
const opened = [];

let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isInterrupted = true;
    cleanUp().then(() => process.exit(1));
  });
}
try {
  await play();
  say('green', `\nEverything above really happened, in ${((performance.now() - began) / 1000).toFixed(1)} seconds.`);
} catch (error) {
  if (!isInterrupted) console.error(`\n${error.stack ?? error}`);
  if (!isInterrupted && complaints.length > 0) console.error(`\nThe Worker said:\n${complaints.join('')}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

async function play() {
  act('A service for many customers');
  await step('the Worker is up, on this machine, with an empty state', () => service.ready, service.url);
  const admin = await openAdmin({ stateDir });
  const host = await openHostApp(stateDir);
  opened.push(host);
  const acme = await newOrg(admin, 'acme', 'Acme, which uses Okta');
  const globex = await newOrg(admin, 'globex', 'Globex, which uses Entra ID');

  act('Okta provisions Ada at Acme');
  const fromOkta = okta(acme);
  await step('Okta tests the credentials', async () => strictEqual((await fromOkta.test()).body.totalResults, 0));
  const ada = { userName: 'ada@acme.example', givenName: 'Ada', familyName: 'Byron', externalId: '00u1ada' };
  const adaId = await provision(fromOkta, ada);
  await step('Okta sends her married name, as the whole object by PUT', async () => {
    const { body: user } = await fromOkta.get(adaId);
    const { status, body } = await fromOkta.replace({ ...user, name: { ...user.name, familyName: 'Lovelace' } });
    deepStrictEqual([status, body.name.familyName, body.id], [200, 'Lovelace', adaId]);
  });
  await leaveAndReturn(host, fromOkta, acme, { name: 'Ada', id: adaId }, 'a PATCH without a path');

  await loseLive(fromOkta, 'acme', { userName: ada.userName, id: adaId });

  act('Entra ID provisions Grace at Globex');
  const fromEntra = entra(globex);
  await step('Entra tests the connection with a name nobody has: no match, and no 404', async () => {
    const { status, body } = await fromEntra.test();
    deepStrictEqual([status, body.totalResults], [200, 0]);
  });
  const grace = { userName: 'grace@globex.example', givenName: 'Grace', familyName: 'Hopper', externalId: 'ghopper' };
  const graceId = await provision(fromEntra, grace);
  await step('Entra adds a mobile number and a department that were not there', async () => {
    const change = { displayName: 'Rear Admiral Hopper', mobile: '+1 555 0100', department: 'R&D' };
    const { status } = await fromEntra.update(graceId, change);
    strictEqual(status === 200 || status === 204, true);
    const { body: user } = await fromEntra.get(graceId);
    const mobile = user.phoneNumbers.find(({ type }) => type === 'mobile').value;
    deepStrictEqual({ displayName: user.displayName, mobile, department: fromEntra.departmentOf(user) }, change);
  });
  const session = await leaveAndReturn(host, fromEntra, globex, { name: 'Grace', id: graceId }, '"False", a string');
  await step('Entra deletes her for good: SCIM knows her no more', async () => {
    strictEqual((await fromEntra.delete(graceId)).status, 204);
    strictEqual((await fromEntra.get(graceId)).status, 404);
  });
  await step('and the session of her return is dead, too', () => expectSession(host, session, false));

  act('One customer never sees another');
  await step("Globex's token finds nobody of Acme, by id or by name", async () => {
    strictEqual((await fromEntra.get(adaId)).status, 404);
    strictEqual((await fromEntra.find(ada.userName)).body.totalResults, 0);
  });
  await step("Acme's token, revoked, is refused by the very next request", async () => {
    strictEqual((await fromOkta.get(adaId)).status, 200);
    await admin.callAdmin('/orgs/acme/tokens', { method: 'DELETE' });
    strictEqual((await fromOkta.get(adaId)).status, 401);
  });
}

async function newOrg({ callAdmin }, slug, name) {
  let token;
  let made;
  await step(`org "${slug}" is made, SCIM enabled, a token generated`, async () => {
    await callAdmin('/orgs', { method: 'POST', body: { slug, name } });
    made = await callAdmin(`/orgs/${slug}/scim`, { method: 'POST', body: { enabled: true } });
    token = await callAdmin(`/orgs/${slug}/tokens`, { method: 'POST', body: { by: 'demo' } });
    return `${made.scimBaseUrl}  ${token.mask}`;
  });
  return { id: made.id, baseUrl: made.scimBaseUrl, token: token.token };
}

/** Looks first, then creates: what both do, and why a filter must never answer with somebody else. */
async function provision(idp, person) {
  let id;
  await step(`looks for ${person.userName}, finds nobody, creates ${person.givenName}`, async () => {
    strictEqual((await idp.find(person.userName)).body.totalResults, 0);
    const { status, body } = await idp.create(person);
    deepStrictEqual([status, body.userName, body.active], [201, person.userName, true]);
    const found = await idp.find(person.userName);
    deepStrictEqual([found.body.totalResults, found.body.Resources[0].id], [1, body.id]);
    id = body.id;
    return id;
  });
  return id;
}

/** The promise of the product: deactivated means out, and coming back does not revive what was out. */
async function leaveAndReturn(host, idp, org, { name, id }, how) {
  const before = await signIn(org, id);
  await step(`${name} signs in to the product: the host app takes the session`, () =>
    expectSession(host, before, true),
  );
  await step(`${name} leaves: the IdP deactivates with ${how}`, async () => {
    const { status } = await idp.setActive(id, false);
    strictEqual(status === 200 || status === 204, true);
    const { status: stillThere, body } = await idp.get(id);
    deepStrictEqual([stillThere, body.active], [200, false]);
  });
  await step('the flag stands in KV as soon as the IdP has its answer', async () => {
    const { key, value } = await host.flag(org.id, id);
    strictEqual(value?.active, false);
    strictEqual(new Date(value.notBefore).getTime() >= before.issuedAt, true);
    return `${key} = ${JSON.stringify(value)}`;
  });
  await step(`the host app lets ${name}'s session go`, () => expectSession(host, before, false));
  await step(`${name} returns: the IdP activates the same id`, async () => {
    const { status } = await idp.setActive(id, true);
    strictEqual(status === 200 || status === 204, true);
    strictEqual((await idp.get(id)).body.active, true);
  });
  await step('the old session stays dead', () => expectSession(host, before, false));
  const after = await signIn(org, id);
  await step('a new one is good', () => expectSession(host, after, true));
  return after;
}

/** The same promise, pushed: who has a page open hears of it at once. */
async function loseLive(idp, org, { userName, id }) {
  act('A host app on Node holds the stream of revocations: Ada has a page open there');
  const nodeHost = await openNodeHost({ SCIM_URL: service.url, HOST_TOKEN: hostToken });
  opened.push(nodeHost);
  const browser = nodeHost.browser();
  await step('Ada signs in with her user name: the host app asks who that is', async () => {
    strictEqual((await browser.post('/sign-in', { org, name: userName })).status, 303);
    return `${nodeHost.url}  examples/node-host`;
  });
  await step('her page asks nobody any more: the stream has told all there is to know', async () => {
    const isFromStream = async () => /<dd>stream<\/dd>/.test((await browser.get('/')).text);
    for (let attempt = 1; !(await isFromStream()); attempt++) {
      if (attempt === 100) throw new Error('the stream has not come up');
      await sleep(50);
    }
  });
  const page = await browser.listen();
  let sent;
  let answered;
  await step('the IdP deactivates her once more, while the page is open', async () => {
    sent = performance.now();
    const { status } = await idp.setActive(id, false);
    answered = performance.now();
    strictEqual(status === 200 || status === 204, true);
  });
  await step('the open page hears that it is over, and nobody has reloaded it', async () => {
    const { reason, at } = await Promise.race([page.ended, sleep(10_000, { reason: 'nothing within 10 seconds' })]);
    strictEqual(reason, 'inactive');
    const milliseconds = (until) => `${Math.max(1, Math.round(until - sent))} ms`;
    return `${milliseconds(at)} after the PATCH was sent; the IdP had its answer after ${milliseconds(answered)}`;
  });
  await step('the host app has let the session go', async () => {
    const { status, text } = await browser.get('/');
    deepStrictEqual([status, /You are signed out/.test(text)], [401, true]);
  });
}

async function signIn(org, user) {
  // Two instants that cannot be told apart are taken for the unsafe order; people are slower than that.
  await sleep(5);
  const issuedAt = Date.now();
  await sleep(5);
  return { org: org.id, user, issuedAt };
}

async function expectSession(host, session, isGood) {
  const { valid, reason } = await host.check(session);
  strictEqual(valid, isGood, `expected a ${isGood ? 'good' : 'dead'} session, the check says: ${reason}`);
  return `${valid ? 'good' : 'dead'}${valid ? '' : ` (${reason})`}`;
}

/** One line of the story: told when it has come true. What the deed returns, or `detail`, is shown beside it. */
async function step(what, deed, detail) {
  try {
    const result = await deed();
    const shown = detail ?? (typeof result === 'string' ? result : '');
    console.log(`  ${paint('green', '✓')} ${what}${shown && `\n    ${paint('dim', shown)}`}`);
  } catch (error) {
    console.log(`  ${paint('red', '✗')} ${what}`);
    throw error;
  }
}

function act(title) {
  say('cyan', `\n${title}`);
}

function say(colour, text) {
  console.log(paint(['bold', colour], text));
}

async function cleanUp() {
  for (const thing of opened.splice(0)) await thing.close();
  await service.stop();
  rmSync(stateDir, { recursive: true, force: true });
}
