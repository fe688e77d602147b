/**
 * `npm run trial:move`: an org with webhook goes through the cycle of an identity provider while it is moved three times
 * between four databases, and the service is killed (kill -9) in each move. At the end each person, group, session,
 * event and cursor is compared with what was acknowledged. Before, two moves without load: the archive must be the same
 * to the byte. `--users 3000`, `--groups 100`, `--seed 1`, `--json`. It ends with 1 when anything differs.
 */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { chunksOf } from './directory.mjs';
import { groupOf, newUser, randomOf } from './entra-cycle.mjs';
import { each } from './figures.mjs';
import { ADMIN_TOKEN, HOST_TOKEN, killService, ORG, report, say, startService, trialOptions, url } from './trial.mjs'; // first: it says so if this Node is too old

const BULK = 100;
const LANES = 6;
/** Milliseconds for a move, and for the last messages of the webhook. */
const PATIENCE = 240_000;
/** A kill may come too late. */
const MOST_MOVES = 8;
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

const { users, groups, seed, json } = trialOptions({ users: 3_000, groups: 100 });
const VARIABLES = { DATABASES: '4', ALLOW_LOOPBACK_WEBHOOKS: 'true' };
const random = randomOf(seed);
const differences = [];
const told = new Set();
/** Instants of writes that were refused because the org moves. */
const refused = [];
let token = '';
let orgId = '';
let kills = 0;
let retried = 0;
let service;

await report(trial, () => differences, json);

async function trial() {
  const hook = await listen();
  service = await startService(VARIABLES);
  ({ id: orgId } = await admin('POST', '/orgs', { slug: ORG, shard: 'DB' }));
  await admin('POST', `/orgs/${ORG}/scim`, { enabled: true });
  await admin('PATCH', `/orgs/${ORG}`, { settings: { rateLimit: '500' } });
  ({ token } = await admin('POST', `/orgs/${ORG}/tokens`, {}));
  await admin('POST', '/webhooks', { org: ORG, url: `http://127.0.0.1:${hook}/`, types: ['user.deactivated'] });

  say(`creating ${users} users and ${groups} groups …`);
  const people = await createAll(users, newUser, '/Users');
  const teams = await createAll(groups, (n) => groupOf(n, people, groups), '/Groups');

  say('two moves without load …');
  const quiet = [];
  for (const to of ['DB_1', 'DB']) quiet.push(await quietMove(to, people));

  const list = await scim('GET', '/Users?count=200&cursor=');
  const changes = await changesUntilNow();
  const issuedAt = new Date().toISOString();
  const model = { people: new Map(people.map((id, n) => [id, { n, active: true }])), teams: new Map() };
  for (const [n, id] of teams.entries())
    model.teams.set(id, new Set(groupOf(n, people, groups).members.map(({ value }) => value)));

  say('moves under load, with kills, until three were cut off …');
  let isOver = false;
  const cycle = runCycle(model, () => isOver);
  const moves = [];
  for (let i = 1; i <= MOST_MOVES && moves.filter(({ isCut }) => isCut).length < 3; i++) {
    moves.push(await moveWithKills(`DB_${(i % 3) + 1}`, Math.max(0.2, 1.2 * quiet[0].seconds)));
    say(JSON.stringify(moves.at(-1)));
  }
  if (moves.filter(({ isCut }) => isCut).length < 3) differences.push('fewer than three moves were cut off');
  isOver = true;
  const requests = await cycle;

  say('comparing …');
  await comparePeople(model);
  await compareTeams(model);
  await compareSessions(model, issuedAt);
  await compareCursors(list, changes, model);
  await compareJournal(model);
  return {
    users,
    groups,
    kills,
    retried,
    requests,
    quiet,
    moves,
    deactivated: [...model.people.values()].filter(({ active }) => !active).length,
    differences,
  };
}

/** A move while nobody else writes: how long writes are refused, and whether the archive is the same. */
async function quietMove(to, people) {
  const plan = await admin('POST', `/orgs/${ORG}/move`, { to, dryRun: true });
  const before = await archive();
  const tags = await etagsOf(people);
  const started = performance.now();
  await admin('POST', `/orgs/${ORG}/move`, { to });
  await untilThere(to);
  const seconds = round((performance.now() - started) / 1_000);
  const after = await archive();
  if (after.length !== before.length)
    differences.push(`the archive has ${after.length} lines after the move to ${to}, and had ${before.length}`);
  for (const [i, line] of before.entries())
    if (line !== after[i])
      differences.push(`line ${i} of the archive: ${line.slice(0, 200)} / ${after[i]?.slice(0, 200)}`);
  if (JSON.stringify(tags) !== JSON.stringify(await etagsOf(people))) differences.push('ETags differ after a move');
  return { to, seconds, foretold: plan.writesRefusedFor, bytes: plan.bytes, lines: before.length };
}

/**
 * A move during which the service is killed twice: at a random moment, and after it has started again.
 *
 * @param span seconds that a move takes without kills.
 * @returns whether the first kill cut the move off, and the states in which the move was found after each start. By then it
 *   may have gone on.
 */
async function moveWithKills(to, span) {
  const { writesRefusedFor: foretold } = await persistAdmin('POST', `/orgs/${ORG}/move`, { to, dryRun: true });
  const started = performance.now();
  const refusals = refused.length;
  const asked = persistAdmin('POST', `/orgs/${ORG}/move`, { to });
  const foundIn = [];
  await sleep(random() * span * 1_000);
  const killedAt = Date.now();
  await kill();
  await asked;
  foundIn.push(await stateOf());
  if (foundIn[0] !== `done ${to}`) {
    await untilItGoesOn(foundIn[0]);
    await sleep(random() * span * 500);
    await kill();
    foundIn.push(await stateOf());
  }
  await untilThere(to);
  const seconds = round((performance.now() - started) / 1_000);
  const mine = refused.slice(refusals);
  const { move } = await admin('GET', `/orgs/${ORG}/move`);
  const isCut = Date.parse(move.switchedAt) > killedAt && Date.parse(move.startedAt) < killedAt;
  return { to, isCut, foundIn, seconds, foretold, refusedWrites: mine.length, refusedFor: longest(mine) };
}

/** Seconds of the longest row of refusals, of those that are less than a second apart. */
function longest(instants) {
  let [most, since] = [0, instants[0]];
  for (const [i, at] of instants.entries()) {
    if (i > 0 && at - instants[i - 1] > 1_000) since = at;
    most = Math.max(most, at - since);
  }
  return round(most / 1_000);
}

/**
 * Each lane has its own people and groups, so that what was acknowledged last is known. It goes through them all once at
 * least, and until the moves are done.
 */
async function runCycle({ people, teams }, isOver) {
  const all = [...people.keys()];
  const ofTeams = [...teams.keys()];
  let requests = 0;
  const patch = (path, ...Operations) => persist('PATCH', path, { schemas: [PATCH], Operations });
  const lane = async (mine, groupsOfMine, k) => {
    for (let round = 0; round === 0 || !isOver(); round++) {
      for (const [i, id] of mine.entries()) {
        if (round > 0 && isOver()) return;
        const person = people.get(id);
        const title = `Title ${round}.${i}`;
        const isActive = (i + round) % 3 !== 0;
        await patch(
          `/Users/${id}`,
          { op: 'Replace', path: 'title', value: title },
          { op: 'Replace', path: 'active', value: isActive ? 'True' : 'False' },
        );
        Object.assign(person, { title, active: isActive, wasEnded: person.wasEnded || !isActive });
        requests++;
        if (i % 5 === 0 && groupsOfMine.length > 0) {
          const team = groupsOfMine[(i / 5) % groupsOfMine.length];
          const members = teams.get(team);
          if (members.has(id)) {
            await patch(`/Groups/${team}`, { op: 'Remove', path: 'members', value: [{ value: id }] });
            members.delete(id);
          } else {
            await patch(`/Groups/${team}`, { op: 'Add', path: 'members', value: [{ value: id }] });
            members.add(id);
          }
          requests++;
        }
        if (i % 50 === 49) {
          const body = newUser(`${k}-${round}-${i}`);
          const made = await persist('POST', '/Users', body);
          const newId =
            made?.id ??
            (await scim('GET', `/Users?filter=${encodeURIComponent(`userName eq "${body.userName}"`)}`)).Resources[0]
              .id;
          people.set(newId, { n: body.externalId, active: true, isNew: true });
          requests++;
        }
      }
    }
  };
  const lanes = Array.from({ length: LANES }, (_, k) =>
    lane(
      all.filter((_, i) => i % LANES === k),
      ofTeams.filter((_, i) => i % LANES === k),
      k,
    ),
  );
  await Promise.all(lanes);
  return requests;
}

async function comparePeople({ people }) {
  const found = new Map();
  for (let cursor = ''; cursor !== undefined; ) {
    const page = await scim('GET', `/Users?count=200&cursor=${cursor}`);
    for (const user of page.Resources) found.set(user.id, user);
    cursor = page.nextCursor;
  }
  if (found.size !== people.size) differences.push(`${found.size} people are there, and ${people.size} were expected`);
  for (const [id, { active, title }] of people) {
    const user = found.get(id);
    if (user?.active !== active || user?.title !== title)
      differences.push(`${id}: ${user?.active} ${user?.title}, not ${active} ${title}`);
  }
}

async function compareTeams({ teams }) {
  for (const [id, members] of teams) {
    const team = await scim('GET', `/Groups/${id}`);
    const found = new Set((team.members ?? []).map(({ value }) => value));
    if (found.size !== members.size || [...members].some((one) => !found.has(one)))
      differences.push(`${id}: ${found.size} members, not ${members.size}`);
  }
}

/** Sessions from before the cycle: over for each person who was deactivated once, good for all others. */
async function compareSessions({ people }, issuedAt) {
  await each([...people], LANES, async ([user, { active, wasEnded, isNew }]) => {
    if (isNew) return;
    const { valid } = await host('POST', '/check', { org: orgId, user, issuedAt });
    if (valid !== (active && !wasEnded)) differences.push(`a session of ${user} is ${valid ? 'good' : 'over'}`);
  });
}

/** Cursors and positions that were given before the moves. */
async function compareCursors(list, changes, { people }) {
  const seen = new Set(list.Resources.map(({ id }) => id));
  for (let cursor = list.nextCursor; cursor !== undefined; ) {
    const page = await scim('GET', `/Users?count=200&cursor=${cursor}`);
    for (const { id } of page.Resources) {
      if (seen.has(id)) differences.push(`the list shows ${id} twice`);
      seen.add(id);
    }
    cursor = page.nextCursor;
  }
  for (const id of people.keys()) if (!seen.has(id)) differences.push(`the list leaves out ${id}`);
  const changed = new Set();
  for (let after = changes; ; ) {
    const page = await host('GET', `/changes?${new URLSearchParams({ org: orgId, after })}`);
    for (const { id } of page.users ?? []) changed.add(id);
    if (page.next === after || page.next === null || page.more === false || (page.users ?? []).length === 0) break;
    after = page.next;
  }
  for (const id of people.keys()) if (!changed.has(id)) differences.push(`the changes leave out ${id}`);
}

/** Its numbers have no gap, and the webhook was told of each deactivation. */
async function compareJournal() {
  const seqs = [];
  const deactivations = [];
  for (let after = 0; ; ) {
    const page = await host('GET', `/events?${new URLSearchParams({ org: orgId, after, limit: '200' })}`);
    if (page.events.length === 0) break;
    for (const { seq, type } of page.events) {
      seqs.push(seq);
      if (type === 'user.deactivated') deactivations.push(seq);
    }
    after = page.next ?? page.events.at(-1).seq;
  }
  for (const [i, seq] of seqs.entries())
    if (i > 0 && seq <= seqs[i - 1]) differences.push(`event ${seq} comes behind ${seqs[i - 1]}`);
  const end = Date.now() + PATIENCE;
  const missing = () => deactivations.filter((seq) => !told.has(seq));
  while (missing().length > 0 && Date.now() < end) await sleep(500);
  if (missing().length > 0)
    differences.push(`the webhook was not told of ${missing().length} of ${deactivations.length} deactivations`);
}

/** What to ask the changes after. */
async function changesUntilNow() {
  const { current } = await host('GET', `/events?${new URLSearchParams({ org: orgId, after: '0', limit: '1' })}`);
  const { next } = await host('GET', `/changes?${new URLSearchParams({ org: orgId, after: String(current) })}`);
  return next;
}

/** The lines of the archive, without what an export and a move add themselves. */
async function archive() {
  const lines = [];
  let page = await admin('POST', `/orgs/${ORG}/export`, {});
  for (;;) {
    lines.push(...page.lines);
    if (page.next === null) break;
    page = await admin('GET', `/orgs/${ORG}/export?${new URLSearchParams({ after: page.next })}`);
  }
  return lines
    .filter(({ kind, type }) => kind !== 'end' && !/^org\.(?:move|exported)/.test(String(type)))
    .map(({ exportedAt: _, ...line }) => JSON.stringify(line));
}

function etagsOf(people) {
  return each(people.slice(0, 50), LANES, async (id) =>
    (await request(`/scim/v2/Users/${id}`, 'GET', token)).headers.get('ETag'),
  );
}

async function stateOf() {
  const answer = await request(`/admin/v1/orgs/${ORG}/move`, 'GET', ADMIN_TOKEN).catch(() => undefined);
  if (!answer?.ok) return undefined;
  const { shard, move } = await answer.json();
  return move?.state === 'done' ? `done ${shard}` : move?.state;
}

/** Until the cron has found the move that was left in this state. */
async function untilItGoesOn(state) {
  const end = Date.now() + 45_000;
  while (Date.now() < end && (await stateOf()) === state) await sleep(5);
}

async function untilThere(to) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    if ((await stateOf()) === `done ${to}`) return;
    await sleep(30);
  }
  throw new Error(`the org did not arrive in ${to}: ${await stateOf()}`);
}

function request(path, method, bearer, body) {
  return fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
}

async function good(method, path, bearer, body) {
  const answer = await request(path, method, bearer, body);
  if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`);
  return answer.status === 204 ? undefined : answer.json();
}

function scim(method, path, body) {
  return good(method, `/scim/v2${path}`, token, body);
}
function admin(method, path, body) {
  return good(method, `/admin/v1${path}`, ADMIN_TOKEN, body);
}
function host(method, path, body) {
  return good(method, `/sessions/v1${path}`, HOST_TOKEN, body);
}

/** Until the service has answered. A move that has begun already was begun by this. */
async function persistAdmin(method, path, body) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await admin(method, path, body);
    } catch (error) {
      if (error.message.includes('moved already')) return undefined;
      // The answer was lost, and by now the move is done.
      if (attempt > 0 && /the org is in DB\w* already/.test(error.message)) return undefined;
      if (attempt > 40) throw error;
      await sleep(300);
    }
  }
}

/** As identity providers do, a request is repeated until the service has answered. What was done already is done. */
async function persist(method, path, body) {
  for (let attempt = 0; ; attempt++) {
    const answer = await request(`/scim/v2${path}`, method, token, body).catch(() => undefined);
    if (answer?.ok) return answer.status === 204 ? undefined : answer.json();
    if (attempt > 0 && answer?.status === 409) return undefined;
    const text = await answer?.text();
    if (answer && answer.status < 500 && answer.status !== 429)
      throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
    if (answer?.status === 500) differences.push(`${method} ${path} was answered 500`);
    if (answer?.status === 503 && text.includes('moved')) refused.push(Date.now());
    retried++;
    await sleep(100);
  }
}

/** By bulk requests. @returns the ids, in their order. */
async function createAll(count, bodyOf, path) {
  const all = Array.from({ length: count }, (_, n) => ({ method: 'POST', path, bulkId: `b${n}`, data: bodyOf(n) }));
  const ids = await each(chunksOf(all, BULK), LANES, async (operations) => {
    const body = { schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'], Operations: operations };
    const { Operations } = await persist('POST', '/Bulk', body);
    return Operations.map(({ status, location, response }) => {
      if (status !== '201') throw new Error(`a bulk operation was answered ${status}: ${JSON.stringify(response)}`);
      return location.split('/').at(-1);
    });
  });
  return ids.flat();
}

/** The endpoint of the webhook. @returns its port. */
async function listen() {
  const server = createServer(async (asked, answer) => {
    let text = '';
    for await (const part of asked) text += part;
    told.add(JSON.parse(text).data.seq);
    answer.writeHead(204).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address().port;
}

async function kill() {
  kills++;
  service = await killService(service, VARIABLES);
}

function round(value) {
  return Math.round(value * 10) / 10;
}
