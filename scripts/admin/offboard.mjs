/**
 * `org offboard`: removes the SCIM set-up of an org step by step. Each step is done once: after an interruption, the same
 * command goes on. It knows no more than the admin API says.
 */
import { randomUUID } from 'node:crypto';
import { link, rm } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { columns, heading, jsonText, paint, progressBar, wrap } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { pathOf, wasWritten, writeNew } from './files.mjs';
import { by as BY } from './options.mjs';
import { instant } from './show.mjs';
import { AdminError } from './transport.mjs';

export const STEPS = ['disable', 'deactivate', 'sessions', 'credentials', 'delete'];
const DEFAULT = 'credentials';

/** Milliseconds between two looks at what waits to be published, and without any progress until it is left to the service. */
const PATIENCE = 500;
const STUCK = 60_000;

export const offboardCommand = {
  name: 'org offboard',
  about: 'Remove the SCIM set-up of an org, step by step. Without --confirm, only say what would be done.',
  more: 'After an interruption, the same command goes on.',
  args: ['slug'],
  options: {
    confirm: { value: 'slug', about: 'repeat the slug to do it (default: only say what would be done)' },
    until: {
      value: 'step',
      about: [
        `the last step to do (default: ${DEFAULT}):`,
        'disable: switch SCIM off',
        'deactivate: deactivate the users from SCIM, except protected ones',
        'sessions: sign everyone out, and publish that',
        'credentials: revoke tokens, passwords and OAuth clients',
        'delete: delete the org with all its data (run org export first)',
      ].join('\n'),
    },
    list: { value: 'file.ndjson', about: 'first write the users from SCIM to this file, one on each line' },
    by: BY,
  },
  example: ['org offboard acme', 'org offboard acme --confirm acme --list acme-users.ndjson'],
  run,
  show,
};

async function run(callAdmin, { slug, confirm, until = DEFAULT, list, by }) {
  if (!STEPS.includes(until)) throw new AdminError('usage', `--until: one of ${STEPS.join(', ')} was expected.`);
  if (confirm !== undefined && confirm !== slug) {
    throw new AdminError('usage', `--confirm: ${slug} was expected: repeat the slug.`);
  }
  const found = await callAdmin(org(slug, '/offboarding'));
  const isDry = confirm === undefined;
  const asked = STEPS.slice(0, STEPS.indexOf(until) + 1);
  const isDone = Object.fromEntries(found.steps.map(({ step, done }) => [step, done]));
  const written = list === undefined ? undefined : await writeList(callAdmin, slug, list);
  const steps = [];
  for (const step of STEPS) {
    if (!asked.includes(step)) steps.push({ step, state: 'not asked', what: plan(step, found) });
    else if (isDry) steps.push({ step, state: isDone[step] ? 'was done' : 'would', what: plan(step, found) });
    else {
      // Sessions are due again if users were deactivated just now.
      const isDue =
        !isDone[step] ||
        (step === 'sessions' && steps.some(({ state, step }) => step === 'deactivate' && state !== 'was done'));
      tell(`${slug}: ${step} …`);
      steps.push({
        step,
        ...(isDue ? await DO[step](callAdmin, found, by) : { state: 'was done', what: plan(step, found) }),
      });
    }
  }
  const { protected: kept, unlinked } = found.users;
  return {
    slug,
    dryRun: isDry,
    until,
    ...(written && { list: written }),
    steps,
    stays: { protected: kept, unlinked: unlinked.active },
    next: nextOf({ slug, until, list, isDry: isDry && steps.some(isToDo) }),
  };
}

/** What a step would do. */
function plan(step, { users, groups, sessions, credentials: { tokens, passwords, oauthClients }, scimEnabled }) {
  const kept = users.protected > 0 ? ` but ${users.protected} protected` : '';
  const good = tokens + passwords + oauthClients.length;
  switch (step) {
    case 'disable':
      return scimEnabled ? 'switch SCIM off' : 'SCIM is off';
    case 'deactivate':
      return users.left === 0
        ? `none of ${users.attached.total} users from SCIM is active${kept}`
        : `deactivate ${users.left} of ${users.attached.total} users from SCIM`;
    case 'sessions':
      return sessions.pending === 0
        ? 'sign everyone out'
        : `sign everyone out; ${sessions.pending} wait to be published`;
    case 'credentials':
      return good === 0
        ? 'no valid credential'
        : `revoke ${tokens} tokens, ${passwords} passwords and ${oauthClients.length} OAuth clients`;
    default:
      return `delete ${users.total} users and those deleted before, ${groups} groups, credentials, settings and the journal`;
  }
}

const DO = {
  async disable(callAdmin, { slug }) {
    await callAdmin(org(slug, '/scim'), post({ enabled: false }));
    return { state: 'done', what: 'SCIM is off' };
  },

  async deactivate(callAdmin, { slug, users }, by) {
    let deactivated = 0;
    let chunk = { next: 0, left: users.left };
    const bar = progressBar(users.left, 'users deactivated');
    do {
      chunk = await callAdmin(org(slug, '/offboarding/deactivate'), post({ after: chunk.next, by }));
      deactivated += chunk.deactivated;
      bar.show(deactivated);
    } while (chunk.next !== null);
    bar.clear();
    const { left } = chunk;
    return {
      state: left === 0 ? 'done' : 'left',
      what: `${deactivated} users deactivated${left ? `, ${left} left` : ''}`,
      deactivated,
      left,
    };
  },

  async sessions(callAdmin, { slug }, by) {
    const { validAfter } = await callAdmin(org(slug, '/sign-out'), post({ by }));
    const waiting = await published(callAdmin, slug);
    const rest = waiting > 0 ? `; ${waiting} wait to be published, which the service goes on with` : '';
    return {
      state: waiting === 0 ? 'done' : 'left',
      what: `all sessions issued until ${instant(validAfter)} are over${rest}`,
      waiting,
    };
  },

  async credentials(callAdmin, { slug, credentials: { oauthClients } }, by) {
    const query = by === undefined ? '' : `?${new URLSearchParams({ by })}`;
    const tokens = await callAdmin(org(slug, `/tokens${query}`), { method: 'DELETE' });
    const passwords = await callAdmin(org(slug, `/basic${query}`), { method: 'DELETE' });
    for (const client of oauthClients) await deleteClient(callAdmin, slug, client);
    const counts = { tokens: tokens.revoked, passwords: passwords.revoked, oauthClients: oauthClients.length };
    const what = `${counts.tokens} tokens, ${counts.passwords} passwords, ${counts.oauthClients} OAuth clients revoked`;
    return { state: 'done', what, ...counts };
  },

  async delete(callAdmin, { slug, groups }) {
    const { users } = await callAdmin(org(slug, `?${new URLSearchParams({ confirm: slug })}`), { method: 'DELETE' });
    return { state: 'done', what: `${users} users, ${groups} groups and all else of the org are deleted`, users };
  },
};

async function deleteClient(callAdmin, slug, client) {
  try {
    const id = encodeURIComponent(client);
    await callAdmin(org(slug, `/oauth/clients/${id}?confirm=${id}`), { method: 'DELETE' });
  } catch (error) {
    if (error.status !== 404) throw error; // deleted meanwhile
  }
}

/** Until nothing waits, or nothing moves. @returns how many wait. */
async function published(callAdmin, slug) {
  let least = Number.POSITIVE_INFINITY;
  let first;
  let bar;
  for (let since = Date.now(); ; await pause(PATIENCE)) {
    const { total } = await callAdmin(org(slug, '/sessions/pending'));
    first ??= total;
    bar ??= progressBar(first, 'revocations published');
    bar.show(Math.max(0, first - total));
    if (total < least) [least, since] = [total, Date.now()];
    if (total === 0 || Date.now() - since > STUCK) {
      bar.clear();
      return total;
    }
  }
}

/** Once: the file of an earlier run says who was active before, so it stays. A file has its name only when it is whole. */
async function writeList(callAdmin, slug, list) {
  if (await wasWritten(list)) return { file: list, state: 'was done' };
  let users = 0;
  const bar = progressBar(undefined, 'users listed');
  async function* lines() {
    for (let after = 0; after !== null; ) {
      const page = await callAdmin(org(slug, `/offboarding/users?after=${after}`));
      for (const user of page.users) yield `${jsonText(user)}\n`;
      users += page.users.length;
      after = page.next;
      bar.show(users);
    }
  }
  const part = `${list}.${randomUUID()}.part`;
  await writeNew(part, lines(), list);
  bar.clear();
  await name(part, list);
  return { file: list, state: 'done', users };
}

/** A link fails if a file of this name exists by now; a rename would overwrite it. */
async function name(part, list) {
  try {
    await link(pathOf(part), pathOf(list));
  } catch (error) {
    throw new AdminError('usage', `${list} could not be written: ${error.message}.`);
  } finally {
    await rm(pathOf(part), { force: true });
  }
}

const isToDo = ({ state }) => state === 'would';

/** What to type next; null: nothing is left. */
function nextOf({ slug, until, list, isDry }) {
  const command = (step, more) =>
    `org offboard ${slug} --confirm ${slug}${step === DEFAULT ? '' : ` --until ${step}`}${more === undefined ? '' : ` --list ${more}`}`;
  if (isDry) return command(until, list);
  return until === 'delete' ? null : command(until === DEFAULT ? 'delete' : DEFAULT);
}

const COLOURS = { done: 'green', 'was done': 'green', would: 'yellow', left: 'red' };

function show({ slug, dryRun, until, list, steps, stays, next }) {
  const lists = list
    ? [
        [
          [COLOURS[list.state], list.state],
          'list',
          list.state === 'done' ? `${list.users} users in ${list.file}` : `${list.file} was written before`,
        ],
      ]
    : [];
  const rows = steps.map(({ step, state, what }) => [[COLOURS[state] ?? 'dim', state], step, what]);
  const own = stays.protected + stays.unlinked;
  const isDeleted = steps.at(-1).state === 'done';
  const isWarned = next !== null && (dryRun || next.includes('--until delete'));
  return [
    dryRun
      ? `This is a dry run: nothing of ${slug} has changed.`
      : `The SCIM set-up of ${slug}, removed until ${until}.`,
    '',
    columns([heading('STATE', 'STEP', 'WHAT'), ...lists, ...rows]),
    '',
    ...(own > 0
      ? wrap(
          `${stays.protected} protected and ${stays.unlinked} unlinked accounts are your application's own. They stay active${isDeleted ? ' there' : ''}.`,
          80,
        )
      : []),
    ...(next === null ? [] : [`${steps.some(isToDo) ? 'Do it' : 'Go on'}: npm run admin -- ${next}`]),
    ...(isWarned
      ? ['Only --until delete deletes data: the org with all of it. Run org export first.'].map((line) =>
          paint('dim', line),
        )
      : []),
  ].join('\n');
}

const tell = (sentence) => process.stderr.write(`${sentence}\n`);
