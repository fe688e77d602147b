/**
 * `org exit`: a set-up is taken down step by step. Each step is done once: the same command again, after whatever has
 * stopped it, goes on where it is due. Knows no more than the admin API says.
 */
import { randomUUID } from 'node:crypto';
import { link, rm } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { columns, heading, jsonText, paint } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { pathOf, wasWritten, writeNew } from './files.mjs';
import { AdminError } from './transport.mjs';

export const STEPS = ['disable', 'deactivate', 'sessions', 'credentials', 'delete'];
const DEFAULT = 'credentials';

/** Milliseconds between two looks at what waits to be published, and without any progress until it is left to the service. */
const PATIENCE = 500;
const STUCK = 60_000;

export const exitCommand = {
  name: 'org exit',
  about: "Take an org's set-up down, step by step; the same command again goes on. Without --confirm it only tells.",
  args: ['slug'],
  options: {
    confirm: { value: 'slug', about: 'the slug once more: do it (default: only tell what would be done)' },
    until: {
      value: STEPS.join('|'),
      about: [
        `the last step to be done (default: ${DEFAULT})`,
        'disable: SCIM off',
        'deactivate: everybody whom the identity provider has brought; protected accounts and the host app’s own stay',
        'sessions: everybody is signed out, and every flag is published',
        'credentials: tokens, passwords and OAuth clients are revoked',
        'delete: the org goes, with all its data; org export comes before',
      ].join('\n'),
    },
    list: { value: 'file.ndjson', about: 'write who is attached to this file first, a user a line' },
    by: { value: 'who', about: 'for whom it is recorded (default: your user name)' },
  },
  run,
  show,
};

async function run(callAdmin, { slug, confirm, until = DEFAULT, list, by }) {
  if (!STEPS.includes(until)) throw new AdminError('usage', `--until: one of ${STEPS.join(', ')} was expected.`);
  if (confirm !== undefined && confirm !== slug) {
    throw new AdminError('usage', `--confirm: ${slug} was expected, the slug once more.`);
  }
  const found = await callAdmin(org(slug, '/exit'));
  const isDry = confirm === undefined;
  const asked = STEPS.slice(0, STEPS.indexOf(until) + 1);
  const isDone = Object.fromEntries(found.steps.map(({ step, done }) => [step, done]));
  const written = list === undefined ? undefined : await writeList(callAdmin, slug, list);
  const steps = [];
  for (const step of STEPS) {
    if (!asked.includes(step)) steps.push({ step, state: 'not asked', what: plan(step, found) });
    else if (isDry) steps.push({ step, state: isDone[step] ? 'was done' : 'would', what: plan(step, found) });
    else {
      // Whoever is deactivated just now makes it due again.
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

/** What a step is about, by what is there. */
function plan(step, { users, groups, sessions, credentials: { tokens, passwords, oauthClients }, scimEnabled }) {
  const kept = users.protected > 0 ? ` but ${users.protected} protected` : '';
  const good = tokens + passwords + oauthClients.length;
  switch (step) {
    case 'disable':
      return scimEnabled ? 'SCIM off' : 'SCIM is off';
    case 'deactivate':
      return users.left === 0
        ? `none of ${users.attached.total} attached users is active${kept}`
        : `${users.left} of ${users.attached.total} attached users are to be deactivated`;
    case 'sessions':
      return `everybody signed out; ${sessions.pending} wait to be published`;
    case 'credentials':
      return good === 0
        ? 'none is good'
        : `${tokens} tokens, ${passwords} passwords and ${oauthClients.length} OAuth clients are to be revoked`;
    default:
      return `${users.total} users and those deleted before, ${groups} groups, credentials, settings and the journal go`;
  }
}

const DO = {
  async disable(callAdmin, { slug }) {
    await callAdmin(org(slug, '/scim'), post({ enabled: false }));
    return { state: 'done', what: 'SCIM off' };
  },

  async deactivate(callAdmin, { slug, users }, by) {
    let deactivated = 0;
    let portion = { next: 0, left: users.left };
    do {
      portion = await callAdmin(org(slug, '/exit/deactivate'), post({ after: portion.next, by }));
      deactivated += portion.deactivated;
      progress(`${slug}: ${deactivated} deactivated, ${portion.left} left`);
    } while (portion.next !== null);
    const { left } = portion;
    return {
      state: left === 0 ? 'done' : 'left',
      what: `${deactivated} users deactivated${left ? `, ${left} left` : ''}`,
      deactivated,
      left,
    };
  },

  async sessions(callAdmin, { slug }, by) {
    const { notBefore } = await callAdmin(org(slug, '/sign-out'), post({ by }));
    const waiting = await published(callAdmin, slug);
    const rest = waiting > 0 ? `; ${waiting} wait to be published, which goes on by itself` : '';
    return {
      state: waiting === 0 ? 'done' : 'left',
      what: `every session issued until ${notBefore} is dead${rest}`,
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
    return { state: 'done', what: `${users} users and ${groups} groups are gone, with all else of the org`, users };
  },
};

async function deleteClient(callAdmin, slug, client) {
  try {
    const id = encodeURIComponent(client);
    await callAdmin(org(slug, `/oauth/clients/${id}?confirm=${id}`), { method: 'DELETE' });
  } catch (error) {
    if (error.status !== 404) throw error; // somebody else was quicker
  }
}

/** Until nothing waits, or nothing moves. @returns how many wait. */
async function published(callAdmin, slug) {
  let least = Number.POSITIVE_INFINITY;
  for (let since = Date.now(); ; await pause(PATIENCE)) {
    const { total } = await callAdmin(org(slug, '/sessions/pending'));
    progress(`${slug}: ${total} wait to be published`);
    if (total < least) [least, since] = [total, Date.now()];
    if (total === 0 || Date.now() - since > STUCK) return total;
  }
}

/** Once: the file of an earlier run tells who was active before, and stays. It has its name when it is whole. */
async function writeList(callAdmin, slug, list) {
  if (await wasWritten(list)) return { file: list, state: 'was done' };
  let users = 0;
  async function* lines() {
    for (let after = 0; after !== null; ) {
      const page = await callAdmin(org(slug, `/exit/users?after=${after}`));
      for (const user of page.users) yield `${jsonText(user)}\n`;
      users += page.users.length;
      after = page.next;
      progress(`${slug}: ${users} listed`);
    }
  }
  const part = `${list}.${randomUUID()}.part`;
  await writeNew(part, lines(), list);
  await name(part, list);
  return { file: list, state: 'done', users };
}

/** A link fails where a file has come meanwhile; a rename would write over it. */
async function name(part, list) {
  try {
    await link(pathOf(part), pathOf(list));
  } catch (error) {
    throw new AdminError('usage', `${list} could not be written: ${error.message}`);
  } finally {
    await rm(pathOf(part), { force: true });
  }
}

const isToDo = ({ state }) => state === 'would';

/** What to type next; null: nothing is left. */
function nextOf({ slug, until, list, isDry }) {
  const command = (step, more) =>
    `org exit ${slug} --confirm ${slug}${step === DEFAULT ? '' : ` --until ${step}`}${more === undefined ? '' : ` --list ${more}`}`;
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
          list.state === 'done' ? `${list.users} users in ${list.file}` : `${list.file} is there already`,
        ],
      ]
    : [];
  const rows = steps.map(({ step, state, what }) => [[COLOURS[state] ?? 'dim', state], step, what]);
  const own = stays.protected + stays.unlinked;
  return [
    dryRun ? `This is the dry run: nothing of ${slug} has changed.` : `The exit of ${slug}, until ${until}.`,
    '',
    columns([heading('STATE', 'STEP', 'WHAT'), ...lists, ...rows]),
    '',
    ...(own > 0
      ? [
          `${stays.protected} protected and ${stays.unlinked} unlinked accounts are the host app's own, and stay active${steps.at(-1).state === 'done' ? ' there' : ''}.`,
        ]
      : []),
    ...(next === null ? [] : [`${steps.some(isToDo) ? 'Do it' : 'Go on'}: npm run admin -- ${next}`]),
    ...(next !== null && (dryRun || next.includes('--until delete'))
      ? [
          paint(
            'dim',
            'Nothing is removed before --until delete, which takes the org with all its data: org export comes before.',
          ),
        ]
      : []),
  ].join('\n');
}

const tell = (sentence) => process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[2K' : ''}${sentence}\n`);

/** Where somebody looks on. */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
}
