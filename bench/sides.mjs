/** The sides of the bench, each with the same directory: our Worker, the floor in its two variants, the peer. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { root } from '../scripts/project.mjs';
import { chunksOf, GROUP_NAME, idOf, personOf } from './directory.mjs';
import { clientOf } from './http-client.mjs';
import { servePeer, serveWorker } from './processes.mjs';

const BULK = 'urn:ietf:params:scim:api:messages:2.0:BulkRequest';
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const peerFolder = fileURLToPath(new URL('./peer', import.meta.url));
const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/**
 * A side: `{ name, send, close, process, users, members, ids, group, create }`. `ids[n]` is the nth person's, of the
 * first `users`; the first `members` of them are in `group`;
 * `create(people)` adds some and gives their ids.
 *
 * @typedef Side
 */

/** Our Worker, with an org of each size. */
export async function openOurs(stateDir, sizes) {
  const secret = randomBytes(24).toString('hex');
  const served = await serveWorker({
    configPath: unlimitedConfig(stateDir),
    stateDir: join(stateDir, 'ours'),
    vars: { ADMIN_TOKEN: secret },
  });
  const admin = clientOf(`${served.url}/admin/v1`, { Authorization: `Bearer ${secret}` });
  const sides = [];
  for (const [name, { users, members }] of Object.entries(sizes)) {
    await sent(admin, 'POST', '/orgs', { slug: name, name });
    await sent(admin, 'POST', `/orgs/${name}/scim`, { enabled: true });
    const { token } = await sent(admin, 'POST', `/orgs/${name}/tokens`, { by: 'bench' });
    const client = clientOf(`${served.url}/scim/v2`, { Authorization: `Bearer ${token}` });
    const create = (people) => createInBulk(client, people);
    const ids = [];
    for (const part of chunksOf(numbers(0, users), 500)) ids.push(...(await create(part.map((n) => personOf(n)))));
    const group = {
      schemas: [GROUP],
      displayName: GROUP_NAME,
      members: ids.slice(0, members).map((value) => ({ value })),
    };
    const { id } = await sent(client, 'POST', '/Groups?attributes=id', group);
    sides.push({ name, ...client, process: served, users, members, ids, group: id, create });
  }
  admin.close();
  return sides;
}

/**
 * The configuration of the service, with rates that the bench does not reach: they are asked as always.
 */
function unlimitedConfig(stateDir) {
  const path = join(stateDir, 'wrangler.toml');
  const text = readFileSync(join(root, 'wrangler.toml'), 'utf8')
    .replace(/^main = "(.*)"$/m, (_, main) => `main = ${JSON.stringify(join(root, main))}`)
    .replace(/\blimit = \d+/g, 'limit = 1000000000');
  writeFileSync(path, text);
  return path;
}

async function createInBulk(client, people) {
  const operations = people.map((data, n) => ({ method: 'POST', path: '/Users', bulkId: `${n}`, data }));
  const { Operations: results } = await sent(client, 'POST', '/Bulk', { schemas: [BULK], Operations: operations });
  return results.map(({ status, location, response }) => {
    if (`${status}` !== '201') throw new Error(`A user could not be created: ${JSON.stringify(response)}`);
    return location.slice(location.lastIndexOf('/') + 1);
  });
}

/** The floor: `floor` keeps no promise, `full` keeps ours. They share a Worker and a directory. */
export async function openFloor(stateDir, { users, members }) {
  const served = await serveWorker({
    configPath: join(root, 'bench/floor/wrangler.toml'),
    stateDir: join(stateDir, 'floor'),
  });
  const ids = numbers(0, users).map(idOf);
  const group = { id: 'everyone', resource: { displayName: GROUP_NAME } };
  const filler = clientOf(served.url, {});
  for (const [at, part] of chunksOf(numbers(0, users), 1_000).entries()) {
    const people = part.map((n) => {
      const { schemas: _, ...resource } = personOf(n);
      return { id: idOf(n), resource };
    });
    await sent(filler, 'POST', '/fill', { users: people, group, members: at === 0 ? ids.slice(0, members) : [] });
  }
  filler.close();
  return ['floor', 'full'].map((name) => {
    const client = clientOf(`${served.url}/${name === 'floor' ? 'plain' : 'full'}`, {});
    return { name, ...client, process: served, users, members, ids, group: group.id, create: createEach(client) };
  });
}

/** The peer. None where it cannot be installed: the bench goes on without it. */
export async function openPeer({ users, members }) {
  if (!isPeerInstalled()) return [];
  const served = await servePeer({ users, members });
  const client = clientOf(`${served.url}/scim`, { Authorization: 'Bearer bench' });
  const ids = numbers(0, users).map(idOf);
  return {
    name: 'peer',
    ...client,
    process: served,
    users,
    members,
    ids,
    group: 'everyone',
    create: createEach(client),
  };
}

/** Installs the peer's packages beside it, unless they are there: by its own lock, and without their scripts. */
function isPeerInstalled() {
  const writtenAt = (...path) => statSync(join(peerFolder, ...path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (writtenAt('node_modules', '.package-lock.json') > writtenAt('package-lock.json')) return true;
  process.stderr.write('Installing the peer (bench/peer), once …\n');
  const npm = join(dirname(process.env.npm_execpath ?? ''), 'npm-cli.js');
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  const options = { cwd: peerFolder, env: process.env, encoding: 'utf8' };
  const { status, stderr } = existsSync(npm)
    ? spawnSync(process.execPath, [npm, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
  if (status === 0) return true;
  process.stderr.write(
    `The peer could not be installed, so the table has no column of it.\n${(stderr ?? '').trim()}\n`,
  );
  return false;
}

const createEach = (client) => async (people) => {
  const ids = [];
  for (const person of people) ids.push((await sent(client, 'POST', '/Users', person)).id);
  return ids;
};

/** @returns the body of an answer. @throws Error unless it is a 2xx. */
async function sent({ send }, method, path, body) {
  const { status, text } = await send(method, path, body);
  if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`);
  return text === '' ? undefined : JSON.parse(text);
}
