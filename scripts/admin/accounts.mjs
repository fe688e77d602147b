/** The accounts that the application has already: imported from a file, and protected from the identity provider. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { columns, heading, paint, progressBar, wrap } from '../terminal.mjs';
import { accountsIn, FORMATS, formatOf } from './accounts-file.mjs';
import { org, post } from './api.mjs';
import { pathOf } from './files.mjs';
import { by, reason } from './options.mjs';
import { person } from './show.mjs';
import { AdminError } from './transport.mjs';

/** Accounts, and bytes of them, that travel together: below the API's 500 and 1 MiB. */
const MAX_TOGETHER = 250;
const MAX_BYTES = 900_000;
/** Problems that are listed one by one. */
const MAX_LISTED = 1_000;
/** How often a service that is busy is asked again, and milliseconds before the first time. */
const ATTEMPTS = 5;
const PATIENCE = 500;

export const peopleCommands = [
  {
    name: 'user import',
    about: 'Import the accounts that your application has already, from a CSV or NDJSON file.',
    more: 'Running it again changes nothing. Exit code 2: some lines were refused.',
    args: ['slug', 'file'],
    options: {
      'dry-run': { about: 'write nothing, and report what would become of each account' },
      after: { value: 'line', about: 'go on after this line of the file' },
      format: { value: FORMATS.join('|'), about: 'the format of the file (default: by its name)' },
    },
    example: ['user import acme accounts.csv --dry-run', 'user import acme accounts.csv'],
    run: importFile,
    show: showImport,
    exitCode: (report) => (report.problemCount === 0 ? 0 : doneOf(report) > 0 ? 2 : 1),
  },
  ...['protect', 'unprotect'].map((verb) => ({
    name: `user ${verb}`,
    about:
      verb === 'protect'
        ? 'Protect an account: SCIM cannot deactivate, delete or rename it. For owners and emergency accounts.'
        : 'Let the identity provider manage a protected account again.',
    args: ['slug', 'id|userName'],
    options: { by, reason },
    example: `user ${verb} acme owner@example.com`,
    run: (callAdmin, { slug, 'id|userName': user, by, reason }) =>
      callAdmin(org(slug, `/users/${encodeURIComponent(user)}/${verb}`), post({ by, reason })),
    show: ({ id, userName, protected: isProtected }) =>
      `${person(userName, id)} is ${isProtected ? '' : 'not '}protected.`,
  })),
];

const COUNTS = ['created', 'updated', 'unchanged', 'kept', 'protected', 'unprotected'];
/** Accounts that are as the file has them, or are the identity provider's. */
const doneOf = (report) => COUNTS.slice(0, 4).reduce((sum, name) => sum + report[name], 0);

async function importFile(callAdmin, { slug, file, format: asked, after, 'dry-run': isDryRun = false }) {
  const format = formatOf(file, asked);
  const start = lineOf(after);
  await callAdmin(org(slug)); // an unknown org is told before the file is read
  const report = {
    dryRun: isDryRun,
    ...Object.fromEntries(COUNTS.map((name) => [name, 0])),
    withExternalId: 0,
    problems: [],
    problemCount: 0,
  };
  const { size, accounts, isRead, close } = await opened(file, format);
  const tooLarge = ({ line, userName = null }) =>
    note(report, { line, userName, detail: `larger than ${MAX_BYTES} bytes` });
  const bar = progressBar(size, 'accounts');
  const state = { done: start, activated: 0, isInterrupted: false };
  const interrupt = () => {
    state.isInterrupted = true;
  };
  process.once('SIGINT', interrupt);
  try {
    for await (const chunk of together(novel(accounts, start, report), tooLarge)) {
      await send(callAdmin, slug, chunk, isDryRun, state, report);
      state.done = chunk.at(-1).line;
      report.withExternalId += chunk.filter(({ externalId }) => externalId).length;
      bar.show(isRead(), doneOf(report) + report.problemCount);
      if (state.isInterrupted) throw new AdminError('interrupted', 'Interrupted.');
    }
  } catch (error) {
    if (!(error instanceof AdminError)) throw error;
    throw stopped(error, state.done, report);
  } finally {
    process.off('SIGINT', interrupt);
    bar.clear();
    await close();
  }
  report.problems.sort((a, b) => a.line - b.line);
  return report;
}

function lineOf(after = '0') {
  if (!/^\d{1,12}$/.test(after))
    throw new AdminError('usage', '--after: the number of a line was expected, such as 250.');
  return Number(after);
}

/** A file's accounts and, once they are gone through, the problems of those that are none. */
export async function accountsOf(file, format) {
  const report = { problems: [], problemCount: 0 };
  const { accounts, close } = await opened(file, formatOf(file, format));
  return { accounts: novel(accounts, 0, report), problems: report.problems, close };
}

async function opened(file, format) {
  const unreadable = (why) => new AdminError('usage', `${file} could not be read: ${why}.`);
  const path = pathOf(file);
  const found = await stat(path).catch(({ message }) => {
    throw unreadable(message);
  });
  if (!found.isFile()) throw unreadable('it is not a file');
  const stream = createReadStream(path);
  async function* chunks() {
    try {
      yield* stream;
    } catch ({ message }) {
      throw unreadable(message);
    }
  }
  return {
    size: found.size,
    accounts: accountsIn(format, chunks()),
    isRead: () => stream.bytesRead,
    close: () => stream.destroy(),
  };
}

/**
 * Accounts after a line, without those of which an earlier line had the userName or the id: a service that sees
 * chunks would take the second one for a change of the first.
 */
async function* novel(accounts, start, report) {
  const firstLines = new Map();
  const { foldCase } = await import('../../src/scim/fold.ts');
  for await (const { line, account, userName, problem } of accounts) {
    const keys = [
      ['userName', typeof account?.userName === 'string' && foldCase(account.userName)],
      ['id', typeof account?.id === 'string' && account.id],
    ];
    const twice = keys.flatMap(([what, key]) => {
      if (!key) return [];
      const first = firstLines.get(`${what} ${key}`);
      if (first === undefined) firstLines.set(`${what} ${key}`, line);
      return first ? [`the same ${what} stands in line ${first}`] : [];
    });
    if (line <= start) continue;
    const detail = problem ?? twice[0];
    if (detail === undefined) yield { line, ...account };
    else note(report, { line, userName: userName ?? account?.userName ?? null, detail });
  }
}

function note(report, problem) {
  report.problemCount++;
  if (report.problems.length < MAX_LISTED) report.problems.push(problem);
}

/**
 * As many together as a request takes, by their number and their bytes.
 *
 * @param tooLarge is given what is too large for any.
 */
export async function* together(accounts, tooLarge = () => undefined) {
  let chunk = [];
  let size = 0;
  for await (const account of accounts) {
    const length = Buffer.byteLength(JSON.stringify(account)) + 1;
    if (length > MAX_BYTES) {
      tooLarge(account);
      continue;
    }
    if (chunk.length === MAX_TOGETHER || size + length > MAX_BYTES) {
      yield chunk;
      chunk = [];
      size = 0;
    }
    chunk.push(account);
    size += length;
  }
  if (chunk.length > 0) yield chunk;
}

/** A chunk that is refused as a whole is halved until the faulty account is found. */
async function send(callAdmin, slug, accounts, isDryRun, state, report) {
  const body = { dryRun: isDryRun, ...(isDryRun && { activated: state.activated }), accounts };
  let answer;
  try {
    answer = await patiently(() => callAdmin(org(slug, '/users/import'), post(body)));
  } catch (error) {
    if (!(error instanceof AdminError) || (error.status !== 400 && error.status !== 413)) throw error;
    if (accounts.length === 1) {
      const [{ line, userName }] = accounts;
      return note(report, { line, userName: userName ?? null, detail: error.message });
    }
    const middle = accounts.length >> 1;
    await send(callAdmin, slug, accounts.slice(0, middle), isDryRun, state, report);
    return send(callAdmin, slug, accounts.slice(middle), isDryRun, state, report);
  }
  for (const name of COUNTS) report[name] += answer[name];
  state.activated += answer.activated;
  for (const problem of answer.problems) note(report, problem);
}

async function patiently(ask) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 503 || attempt === ATTEMPTS) throw error;
      await pause(PATIENCE * 2 ** (attempt - 1));
    }
  }
}

/** What was done stays done; a run from the start would find it unchanged. */
function stopped(error, line, report) {
  const isBegun = doneOf(report) > 0;
  const message = [
    ...(isBegun ? [showImport(report), ''] : []),
    error.message,
    ...(isBegun ? [`Go on with --after ${line}, or run all of it again: accounts that are done do not change.`] : []),
  ].join('\n');
  return new AdminError(error.code, message, error.status);
}

const MEANS = {
  created: 'new accounts',
  updated: 'changed',
  unchanged: 'as they were',
  kept: 'managed by the identity provider, so not overwritten',
  protected: 'now protected',
  unprotected: 'not protected any more',
};

const EXTERNAL_IDS =
  'SCIM links such an account only if the identity provider sends the same externalId, or ' +
  'none; otherwise it gets 409. Leave the column out if it holds ids of your own.';

function showImport({ dryRun, problems, problemCount, withExternalId, ...report }) {
  const more = problemCount - problems.length;
  return [
    ...(dryRun ? [paint('yellow', 'A dry run: nothing was written.')] : []),
    columns(COUNTS.map((name) => [['dim', name], report[name], ['dim', MEANS[name]]])),
    ...(withExternalId > 0
      ? [
          '',
          ...wrap(`! Accounts with an externalId: ${withExternalId}. ${EXTERNAL_IDS}`, 80).map((line) =>
            paint('yellow', line),
          ),
        ]
      : []),
    '',
    ...(problemCount === 0
      ? [paint('green', 'No line was refused.')]
      : [
          paint('yellow', `${problemCount} lines were refused:`),
          columns([heading('LINE', 'USER NAME', 'WHY'), ...problems.map((it) => [it.line, it.userName, it.detail])]),
        ]),
    ...(more > 0 ? [`… and ${more} more`] : []),
  ].join('\n');
}
