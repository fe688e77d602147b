/** An application's own test, run in a project that has the package and miniflare. It prints what happened as JSON. */
import { createServer } from 'node:http';
import { httpSource, sessionChecker } from 'scim-worker/sessions';
import { openRevocationStream } from 'scim-worker/sessions/stream';
import { IDP_NAMES, startScim } from 'scim-worker/testing';
import { verifyWebhook } from 'scim-worker/webhooks';

const scim = await startScim({ seed: 'seed.json', folder: 'data' });
const { acme } = scim.orgs;

// The application: it checks sessions, follows the stream, and receives webhooks.
const account = { url: scim.url, token: scim.hostToken };
const checker = sessionChecker({ strict: httpSource(account), mode: 'strict', onUnavailable: 'deny' });
const ada = { org: acme.id, user: acme.userIds['ada@example.com'], issuedAt: new Date() };
const webhook = Promise.withResolvers();
const receiver = createServer(async (request, response) => {
  const body = (await request.toArray()).join('');
  response.writeHead(204).end();
  verifyWebhook({ secret, headers: request.headers, body }).then(webhook.resolve, webhook.reject);
});
await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve));
const hook = { url: `http://127.0.0.1:${receiver.address().port}/`, org: 'acme', types: ['user.*'] };
const { secret } = await scim.admin('POST', '/webhooks', hook);
const streamed = Promise.withResolvers();
const synced = Promise.withResolvers();
const stream = openRevocationStream({
  ...{ ...account, orgs: ['acme'], onUnavailable: 'deny' },
  onEnded: ({ user }) => user === ada.user && streamed.resolve(true),
  onStatus: ({ is }) => is === 'synced' && synced.resolve(),
});
await synced.promise;

const before = (await checker.check(ada)).reason;
await scim.simulate({ idp: 'entra', org: 'acme', users: [{ userName: 'ada@example.com' }], phases: ['deactivate'] });
const after = (await checker.check(ada)).reason;
const told = { webhook: (await webhook.promise).type, stream: await streamed.promise };
await stream.close();
receiver.close();

const wrongSeed = await scim.addOrg('wrong', { settings: { colour: 'red' } }).catch(({ message }) => message);
const secondAcme = await scim.addOrg('acme').catch(({ message }) => message);

const noOrg = await scim.simulate({ idp: 'okta', org: 'nobody' }).catch(({ message }) => message);

const sent = {};
const ended = {};
await Promise.all(IDP_NAMES.map(playIn));

await scim.runCron();
await Promise.all([scim.stop(), scim.stop()]);
const again = await startScim({ seed: 'seed.json', folder: 'data' });
const list = await listed(again.orgs.acme);
const reopened = { isSame: again.orgs.acme.id === acme.id, users: list.map((line) => line.split(' ')[0]) };
await again.stop();

console.log(
  JSON.stringify({ before, after, told, wrongSeed, secondAcme, noOrg, reopened, sent: inOrder(sent), ended }),
);

async function playIn(idp) {
  const org = await scim.addOrg(`org-of-${idp}`);
  sent[idp] = [];
  const recorded = (url, { method, headers, body }) => {
    const path = url.slice(org.scimUrl.length);
    const authorization = headers.Authorization.replace(org.token, '{token}');
    sent[idp].push({
      method,
      path,
      headers: { ...headers, Authorization: authorization },
      ...(body && { body: JSON.parse(body) }),
    });
    return fetch(url, { method, headers, body });
  };
  // Not read back on the way: only what the identity provider sends is recorded.
  const report = await scim.simulate({ idp, org: org.slug, users: 4, groups: 2, fetch: recorded, verify: false });
  const users = report.users.filter(({ removed }) => !removed).map(({ userName, active }) => `${userName} ${active}`);
  const groups = report.groups.filter(({ removed }) => !removed);
  const expected = [...users, ...groups.map(({ displayName, members }) => `${displayName}: ${[...members].sort()}`)];
  ended[idp] = { expected: expected.sort(), listed: [...(await listed(org)), ...(await groupsOf(org))].sort() };
}

async function resources({ scimUrl, token }, path) {
  const answer = await fetch(`${scimUrl}${path}`, { headers: { Authorization: `Bearer ${token}` } });
  return (await answer.json()).Resources;
}

async function listed(org) {
  return (await resources(org, '/Users')).map(({ userName, active }) => `${userName} ${active}`).sort();
}

async function groupsOf(org) {
  const groups = await resources(org, '/Groups');
  return groups.map(({ displayName, members = [] }) => `${displayName}: ${members.map(({ value }) => value).sort()}`);
}

function inOrder(found) {
  return Object.fromEntries(IDP_NAMES.map((idp) => [idp, found[idp]]));
}
