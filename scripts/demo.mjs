/**
 * `npm run demo`: the product as a story of under a minute, on the real Worker with a state folder that is deleted
 * afterwards. Every line with a tick was asked and answered; any other answer ends the demo with exit code 1.
 */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import './project.mjs'; // first: it says so if this Node is too old
import { openAdmin } from './admin/transport.mjs';
import { openHostApp } from './demo/host-app.mjs';
import { entra, okta } from './demo/idp.mjs';
import { openNodeHost } from './demo/node-host.mjs';
import { openPortal } from './demo/portal.mjs';
import { freePort, startService } from './start/service.mjs';
import { paint } from './terminal.mjs';

if (process.argv.length > 2) {
  console.log('npm run demo: the product as a story of under a minute, on this machine. It takes no arguments.');
  process.exit(process.argv[2] === '--help' ? 0 : 1);
}

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
  say('green', `\nAll of this really happened, in ${((performance.now() - began) / 1000).toFixed(1)} seconds.`);
  console.log('To try it yourself: npm start');
} catch (error) {
  if (!isInterrupted) console.error(`\n${error.stack ?? error}`);
  if (!isInterrupted && complaints.length > 0) console.error(`\nThe Worker said:\n${complaints.join('')}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

async function play() {
  act('1. You run one service for all your customers');
  console.log('  The Worker is built and started, which takes some seconds …');
  await step('The Worker is up on this machine, and its database is empty', () => service.ready, service.url);
  const admin = await openAdmin({ stateDir });
  const host = await openHostApp(stateDir);
  opened.push(host);
  const acme = await newOrg(admin, 'acme', 'Acme', 'which uses Okta');
  const globex = await newOrg(admin, 'globex', 'Globex', 'which uses Entra ID');

  act('2. Acme hires Ada: Okta creates her account in your product');
  const fromOkta = okta(acme);
  const portal = await openPortal(admin, service.url, 'acme');
  await step('Acme’s administrator opens the portal: the steps wait', async () =>
    deepStrictEqual(await portal.states('connect', 'test', 'person'), ['works', 'waiting', 'waiting']),
  );
  await step('Acme’s administrator presses «Test»: Okta reaches the service', async () =>
    strictEqual((await fromOkta.test()).body.totalResults, 0),
  );
  const ada = { userName: 'ada@acme.example', givenName: 'Ada', familyName: 'Byron', externalId: '00u1ada' };
  const adaId = await provision(fromOkta, ada);
  await step('In the portal, «Test connection» and «First person» are green', async () =>
    deepStrictEqual(await portal.states('connect', 'test', 'person', 'change'), ['works', 'works', 'works', 'waiting']),
  );
  await step('Ada changes her name: Okta replaces the user with PUT', async () => {
    const { body: user } = await fromOkta.get(adaId);
    const { status, body } = await fromOkta.replace({ ...user, name: { ...user.name, familyName: 'Lovelace' } });
    deepStrictEqual([status, body.name.familyName, body.id], [200, 'Lovelace', adaId]);
  });
  await leaveAndReturn(
    host,
    fromOkta,
    acme,
    { name: 'Ada', id: adaId, act: '3. Ada leaves Acme: she is out before Okta has its answer' },
    'a PATCH without a path',
  );

  await loseLive(fromOkta, 'acme', { userName: ada.userName, id: adaId });

  act('5. Globex uses Entra ID, which speaks SCIM in its own way');
  const fromEntra = entra(globex);
  await step('Entra ID tests the connection with a random name: no match, and no 404', async () => {
    const { status, body } = await fromEntra.test();
    deepStrictEqual([status, body.totalResults], [200, 0]);
  });
  const grace = { userName: 'grace@globex.example', givenName: 'Grace', familyName: 'Hopper', externalId: 'ghopper' };
  const graceId = await provision(fromEntra, grace);
  await step('Entra ID adds a mobile number and a department with one PATCH', async () => {
    const change = { displayName: 'Rear Admiral Hopper', mobile: '+1 555 0100', department: 'R&D' };
    const { status } = await fromEntra.update(graceId, change);
    strictEqual(status === 200 || status === 204, true);
    const { body: user } = await fromEntra.get(graceId);
    const mobile = user.phoneNumbers.find(({ type }) => type === 'mobile').value;
    deepStrictEqual({ displayName: user.displayName, mobile, department: fromEntra.departmentOf(user) }, change);
  });
  const session = await leaveAndReturn(
    host,
    fromEntra,
    globex,
    { name: 'Grace', id: graceId, act: '6. Grace leaves Globex: Entra ID says so with the text "False"' },
    '"False"',
  );
  await step('Entra ID deletes Grace: SCIM answers 404 for her', async () => {
    strictEqual((await fromEntra.delete(graceId)).status, 204);
    strictEqual((await fromEntra.get(graceId)).status, 404);
  });
  await step('The session of her return is over, too', () => expectSession(host, session, false));

  act('7. One customer never sees another');
  await step("Globex's token does not find Ada of Acme, by id or by name", async () => {
    strictEqual((await fromEntra.get(adaId)).status, 404);
    strictEqual((await fromEntra.find(ada.userName)).body.totalResults, 0);
  });
  await step("You revoke Acme's token: its next request is refused", async () => {
    strictEqual((await fromOkta.get(adaId)).status, 200);
    await admin.callAdmin('/orgs/acme/tokens', { method: 'DELETE' });
    strictEqual((await fromOkta.get(adaId)).status, 401);
  });
}

async function newOrg({ callAdmin }, slug, name, what) {
  let token;
  let made;
  await step(`You add the customer ${name}, ${what}: an org with SCIM on, and a token`, async () => {
    await callAdmin('/orgs', { method: 'POST', body: { slug, name } });
    made = await callAdmin(`/orgs/${slug}/scim`, { method: 'POST', body: { enabled: true } });
    token = await callAdmin(`/orgs/${slug}/tokens`, { method: 'POST', body: { by: 'demo' } });
    return `${made.scimBaseUrl}  ${token.mask}`;
  });
  return { id: made.id, baseUrl: made.scimBaseUrl, token: token.token };
}

/** Both look for the user first, then create it. So a filter must never answer with another user. */
async function provision(idp, person) {
  let id;
  await step(`It looks for ${person.userName}, finds no such user, and creates ${person.givenName}`, async () => {
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

/** The promise of the product: deactivated means out, and a return does not revive old sessions. */
async function leaveAndReturn(host, idp, org, { name, id, act: title }, how) {
  act(title);
  const before = await signIn(org, id);
  await step(`${name} signs in to your product: her session is valid`, () => expectSession(host, before, true));
  await step(`The identity provider deactivates her, with ${how}`, async () => {
    const { status } = await idp.setActive(id, false);
    strictEqual(status === 200 || status === 204, true);
    const { status: stillThere, body } = await idp.get(id);
    deepStrictEqual([stillThere, body.active], [200, false]);
  });
  await step('When it has its answer, the revocation is in KV already', async () => {
    const { key, value } = await host.flag(org.id, id);
    strictEqual(value?.active, false);
    strictEqual(new Date(value.validAfter).getTime() >= before.issuedAt, true);
    return `${key} = ${JSON.stringify(value)}`;
  });
  await step(`Your product checks ${name}'s session again, and ends it`, () => expectSession(host, before, false));
  await step(`${name} returns: the identity provider activates the same user`, async () => {
    const { status } = await idp.setActive(id, true);
    strictEqual(status === 200 || status === 204, true);
    strictEqual((await idp.get(id)).body.active, true);
  });
  await step('Her old session stays over', () => expectSession(host, before, false));
  const after = await signIn(org, id);
  await step('A new session is valid', () => expectSession(host, after, true));
  return after;
}

/** The same promise, pushed: an open page ends at once. */
async function loseLive(idp, org, { userName, id }) {
  act('4. Ada has a page open: your Node server follows the stream of revocations');
  const nodeHost = await openNodeHost({ SCIM_URL: service.url, HOST_TOKEN: hostToken });
  opened.push(nodeHost);
  const browser = nodeHost.browser();
  await step('Ada signs in on the example server, and opens a page', async () => {
    strictEqual((await browser.post('/sign-in', { org, name: userName })).status, 303);
    return `${nodeHost.url}  examples/node-host`;
  });
  await step('The server follows the stream, so it checks her session without a request', async () => {
    const isFromStream = async () => /<dd>stream<\/dd>/.test((await browser.get('/')).text);
    for (let attempt = 1; !(await isFromStream()); attempt++) {
      if (attempt === 100) throw new Error('the stream has not come up');
      await sleep(50);
    }
  });
  const page = await browser.listen();
  let sent;
  let answered;
  await step('Okta deactivates her again, while the page is open', async () => {
    sent = performance.now();
    const { status } = await idp.setActive(id, false);
    answered = performance.now();
    strictEqual(status === 200 || status === 204, true);
  });
  await step('The open page says that she is signed out, without a reload', async () => {
    const { reason, at } = await Promise.race([page.ended, sleep(10_000, { reason: 'nothing within 10 seconds' })]);
    strictEqual(reason, 'inactive');
    const milliseconds = (until) => `${Math.max(1, Math.round(until - sent))} ms`;
    return `${milliseconds(at)} after Okta sent the PATCH; Okta had its answer after ${milliseconds(answered)}`;
  });
  await step('The server has ended her session', async () => {
    const { status, text } = await browser.get('/');
    deepStrictEqual([status, /You are signed out/.test(text)], [401, true]);
  });
}

async function signIn(org, user) {
  // Equal instants count as the unsafe order; people are slower than that.
  await sleep(5);
  const issuedAt = Date.now();
  await sleep(5);
  return { org: org.id, user, issuedAt };
}

async function expectSession(host, session, isGood) {
  const { valid, reason } = await host.check(session);
  strictEqual(valid, isGood, `expected a session that is ${isGood ? 'valid' : 'over'}, the check says: ${reason}`);
  return valid ? '' : `over: ${reason}`;
}

/** One line of the story, printed when it has come true. What the deed returns, or `detail`, is shown below it. */
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
