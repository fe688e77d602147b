/** An org as a file: written line by line as it is read, and read line by line as it is sent. Neither is ever held whole. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { columns, jsonText } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { pathOf, writeNew } from './files.mjs';
import { AdminError } from './transport.mjs';

/** Lines and characters of one request. */
const MAX_LINES = 200;
const MAX_LENGTH = 500_000;
/** Bytes at the end of a file in which its last line is looked for. */
const MAX_END = 65_536;
const CHANGED =
  'The org was changed while it was exported: the file is not of one moment. `scim disable` before an export avoids it.';

export const archiveCommands = [
  {
    name: 'org export',
    about:
      'All of an org as NDJSON: users, groups, credentials (as hashes), settings, journal. The file is confidential.',
    args: ['slug'],
    options: {
      file: { value: 'out.ndjson', about: 'write it there, readable to you alone (default: standard output)' },
      'without-credentials': { about: 'leave out the hashes of tokens and passwords, and OAuth clients' },
    },
    stream(callAdmin, { slug, file, json, 'without-credentials': withoutCredentials }) {
      if (file !== undefined) return undefined;
      if (json) throw new AdminError('usage', '--json goes with --file: without it, the lines are the answer.');
      return warned(exported(callAdmin, slug, withoutCredentials));
    },
    async run(callAdmin, { slug, file, 'without-credentials': withoutCredentials }) {
      const began = Date.now();
      const bar = progress('exported');
      let lines = 0;
      let end;
      async function* texts() {
        for await (end of exported(callAdmin, slug, withoutCredentials)) {
          bar.at(++lines);
          yield `${jsonText(end)}\n`;
        }
      }
      await writeNew(file, texts());
      bar.done();
      if (end.changedMeanwhile) process.stderr.write(`${CHANGED}\n`);
      const { counts, eventSeq, changedMeanwhile } = end;
      return { slug, file, lines, counts, eventSeq, changedMeanwhile, seconds: since(began) };
    },
    show: ({ slug, file, lines, counts, seconds }) =>
      `${slug} is in ${file}: ${lines} lines in ${seconds} s. Whoever has it has the personal data of the org.\n\n${table(counts)}`,
  },
  {
    name: 'org import',
    about: 'Make an org of a file of org export, with the same ids. What broke off goes on with the same command.',
    args: ['slug', 'file'],
    options: { 'dry-run': { about: 'check all of the file, and write nothing' } },
    async run(callAdmin, { slug, file, 'dry-run': isDry }) {
      const began = Date.now();
      const end = await endOf(file);
      const total = Object.values(end.counts).reduce((sum, count) => sum + count, 2);
      const bar = progress(isDry ? 'checked' : 'imported', total);
      const done = await (isDry ? checked : imported)(callAdmin, slug, file, bar);
      bar.done();
      return { ...done, lines: total, dryRun: isDry === true, seconds: since(began) };
    },
    show: ({ slug, id, copy, credentials, counts, lines, seconds, dryRun, published, scimEnabled, disabledAt }) =>
      [
        dryRun
          ? `${lines} lines are in order: ${slug} would be ${copy ? 'a copy, with an id of its own' : `the org ${id}`}. Nothing was written.`
          : `${slug} is there, as ${copy ? 'a copy with the id' : 'the org'} ${id}: ${lines} lines in ${seconds} s.`,
        credentials
          ? 'Its identity provider goes on with the credentials that it has.'
          : `It has no credentials${copy ? ': those of the file are the original’s' : ''}. Make some: npm run admin -- token generate ${slug}`,
        ...(dryRun ? [] : [disabledAt ? 'The org is switched off.' : `SCIM is ${scimEnabled ? 'on' : 'off'}.`]),
        ...(published === false
          ? ['KV could not be written yet, which is tried again: hosts that ask it alone will hear of it later.']
          : []),
        '',
        table(counts),
      ].join('\n'),
  },
];

const table = (counts) => columns(Object.entries(counts).map(([kind, count]) => [['dim', kind], count]));
const since = (began) => Math.round((Date.now() - began) / 100) / 10;

async function* exported(callAdmin, slug, withoutCredentials = false) {
  let page = await callAdmin(org(slug, '/export'), post({ withoutCredentials }));
  for (;;) {
    yield* page.lines;
    if (page.next === null) return;
    page = await callAdmin(org(slug, `/export?${new URLSearchParams({ after: page.next })}`));
  }
}

async function* warned(lines) {
  let last;
  for await (last of lines) yield jsonText(last);
  if (last.changedMeanwhile) process.stderr.write(`${CHANGED}\n`);
}

/** The last line counts the others: without it the file is none. */
async function endOf(file) {
  try {
    const handle = await open(pathOf(file));
    try {
      const { size } = await handle.stat();
      const length = Math.min(size, MAX_END);
      const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
      const last = parsed(buffer.toString('utf8').trimEnd().split('\n').at(-1));
      if (last?.kind === 'end' && typeof last.counts === 'object' && last.counts !== null) return last;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new AdminError('usage', `${file} could not be read: ${error.message}`);
  }
  throw new AdminError(
    'usage',
    `${file} does not end as a file of org export does: it is none, or its export broke off.`,
  );
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The lines with their numbers, which begin with 1. @throws AdminError naming one that is no JSON. */
async function* linesOf(file) {
  let number = 0;
  for await (const text of createInterface({
    input: createReadStream(pathOf(file)),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    number++;
    const line = parsed(text);
    if (line === undefined) throw new AdminError('usage', `line ${number}: JSON was expected.`);
    yield { number, line, length: text.length };
  }
}

/** Portions of the lines between the first and the last one, and then that one alone. @param from the first that is wanted. */
async function* portionsOf(lines, from) {
  let portion = [];
  let length = 0;
  let end;
  for await (const one of lines) {
    if (end) throw new AdminError('usage', `line ${one.number}: nothing was expected after the last line.`);
    if (one.line?.kind === 'end') end = one;
    if (end || one.number < from) continue;
    if (portion.length === MAX_LINES || (portion.length > 0 && length + one.length > MAX_LENGTH)) {
      yield portion;
      portion = [];
      length = 0;
    }
    portion.push(one);
    length += one.length;
  }
  if (portion.length > 0) yield portion;
  if (end) yield [end];
}

/** The first line and an iterator over the others. */
async function firstOf(file) {
  const lines = linesOf(file);
  const { value } = await lines.next();
  return { first: value?.line, lines };
}

async function imported(callAdmin, slug, file, bar) {
  const { first, lines } = await firstOf(file);
  const begun = await callAdmin(org(slug, '/import'), post({ org: first }));
  if (begun.through > 1)
    process.stderr.write(`${begun.through} lines are there already: going on with the next one.\n`);
  bar.at(begun.through);
  for await (let portion of portionsOf(lines, begun.through + 1)) {
    if (portion[0].line?.kind === 'end') {
      const finished = await callAdmin(org(slug, '/import/finish'), post({ end: portion[0].line }));
      const { id, counts, published, scimEnabled, disabledAt } = finished;
      const { copy, credentials } = begun;
      return { slug, id, copy, credentials, counts, scimEnabled, disabledAt, published };
    }
    while (portion.length > 0) {
      const after = portion[0].number - 1;
      const body = { after, lines: portion.map(({ line }) => line) };
      const { through } = await callAdmin(org(slug, '/import/lines'), post(body));
      bar.at(through);
      portion = portion.filter(({ number }) => number > through);
    }
  }
  throw new AdminError('usage', `${file} has no last line.`);
}

/** What lines have to do with one another is held against all of them: names and ids are kept, nothing else. */
async function checked(callAdmin, slug, file, bar) {
  const { first, lines } = await firstOf(file);
  const begun = await callAdmin(org(slug, '/import'), post({ org: first, dryRun: true }));
  const seen = new Set();
  const schemas = [];
  const counts = {};
  let place = { line: 1, kind: 0, seq: 0 };
  for await (const portion of portionsOf(lines, 2)) {
    const [{ line: one, number }] = portion;
    if (one?.kind === 'end') {
      for (const kind of new Set([...Object.keys(one.counts), ...Object.keys(counts)])) {
        if (one.counts[kind] !== counts[kind]) {
          const said = `${one.counts[kind] ?? 0} lines of ${kind}, and there are ${counts[kind] ?? 0}`;
          throw new AdminError('conflict', `line ${number}: The file counts ${said}.`);
        }
      }
      const { id, copy, credentials, through } = begun;
      return { slug, id, copy, credentials, counts, through };
    }
    const body = { place, schemas, lines: portion.map(({ line }) => line) };
    const answer = await callAdmin(org(slug, '/import/check'), post(body));
    for (const [i, { unique, needs }] of answer.named.entries()) {
      const { line, number } = portion[i];
      const twice = unique.find((name) => seen.has(name));
      if (twice !== undefined) throw new AdminError('invalidValue', `line ${number}: ${twice} is there twice.`);
      for (const name of unique) seen.add(name);
      const missing = needs.find((name) => !seen.has(name));
      if (missing !== undefined) throw new AdminError('invalidValue', `line ${number}: there is no ${missing}.`);
      if (line.kind === 'schema') schemas.push(line);
      counts[line.kind] = (counts[line.kind] ?? 0) + 1;
    }
    place = answer.place;
    bar.at(place.line);
  }
  throw new AdminError('usage', `${file} has no last line.`);
}

/** Where somebody looks on: how far it is. */
function progress(verb, total) {
  if (!process.stderr.isTTY) return { at() {}, done() {} };
  let shown = 0;
  return {
    at(count) {
      if (Date.now() - shown < 100) return;
      shown = Date.now();
      const of = total === undefined ? '' : ` of ${total}  ${Math.floor((100 * count) / total)} %`;
      process.stderr.write(`\r\u001b[K${count}${of} lines ${verb}`);
    },
    done: () => void process.stderr.write('\r\u001b[K'),
  };
}
