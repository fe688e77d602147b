/** An org as a file: written line by line as it is read, and sent line by line as it is read. It is never held whole. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { columns, jsonText, progressBar, wrap } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { pathOf, writeNew } from './files.mjs';
import { pending } from './show.mjs';
import { AdminError } from './transport.mjs';

/** Lines and characters of one request. */
const MAX_LINES = 200;
const MAX_LENGTH = 500_000;
/** Bytes at the end of a file in which its last line is looked for. */
const MAX_END = 65_536;
const CHANGED =
  'The org changed during the export, so the file mixes two states. Run `scim disable` first to avoid this.';

export const archiveCommands = [
  {
    name: 'org export',
    about: 'Export an org as NDJSON: users, groups, hashes of credentials, settings, journal.',
    more: 'The file holds personal data.',
    args: ['slug'],
    options: {
      file: { value: 'out.ndjson', about: 'a new file, readable to you alone (default: standard output)' },
      'without-credentials': { about: 'leave out hashes of tokens and passwords, and OAuth clients' },
    },
    example: 'org export acme --file acme.ndjson',
    stream(callAdmin, { slug, file, json, 'without-credentials': withoutCredentials }) {
      if (file !== undefined) return undefined;
      if (json) throw new AdminError('usage', '--json goes with --file. Without --file, the lines are the answer.');
      return warned(exported(callAdmin, slug, withoutCredentials));
    },
    async run(callAdmin, { slug, file, 'without-credentials': withoutCredentials }) {
      const began = Date.now();
      const bar = progressBar(undefined, 'lines exported');
      let lines = 0;
      let end;
      async function* texts() {
        for await (end of exported(callAdmin, slug, withoutCredentials)) {
          bar.show(++lines);
          yield `${jsonText(end)}\n`;
        }
      }
      try {
        await writeNew(file, texts());
      } finally {
        bar.clear();
      }
      if (end.changedMeanwhile) process.stderr.write(`${CHANGED}\n`);
      const { counts, eventSeq, changedMeanwhile } = end;
      return { slug, file, lines, counts, eventSeq, changedMeanwhile, seconds: since(began) };
    },
    show: ({ slug, file, lines, counts, seconds }) =>
      `${slug} is in ${file}: ${lines} lines in ${seconds} s. The file holds personal data.\n\n${table(counts)}`,
  },
  {
    name: 'org import',
    about: 'Import an org from a file of org export, with the same ids.',
    more: 'If the import breaks off, the same command goes on.',
    args: ['slug', 'file'],
    options: { 'dry-run': { about: 'check the whole file, and write nothing' } },
    example: ['org import acme acme.ndjson --dry-run', 'org import acme acme.ndjson'],
    async run(callAdmin, { slug, file, 'dry-run': isDry }) {
      const began = Date.now();
      const end = await endOf(file);
      const total = Object.values(end.counts).reduce((sum, count) => sum + count, 2);
      const bar = progressBar(total, isDry ? 'lines checked' : 'lines imported');
      let done;
      try {
        done = await (isDry ? checked : imported)(callAdmin, slug, file, bar);
      } finally {
        bar.clear();
      }
      return { ...done, lines: total, dryRun: isDry === true, seconds: since(began) };
    },
    show: ({ slug, id, copy, credentials, counts, lines, seconds, dryRun, published, scimEnabled, disabledAt }) =>
      [
        dryRun
          ? `All ${lines} lines are valid: ${slug} would be ${copy ? 'a copy, with an id of its own' : `the org ${id}`}. Nothing was written.`
          : `Imported ${slug} as ${copy ? 'a copy with the id' : 'the org'} ${id}: ${lines} lines in ${seconds} s.`,
        credentials
          ? 'Its identity provider goes on with its present credentials.'
          : `It has no credentials${copy ? ', for those of the file belong to the original' : ''}. Make one: npm run admin -- token generate ${slug}`,
        ...(dryRun ? [] : [disabledAt ? 'The org is switched off.' : `SCIM is ${scimEnabled ? 'on' : 'off'}.`]),
        ...(published === false ? [pending(false).trim()] : []),
      ]
        .flatMap((sentence) => wrap(sentence, 80))
        .concat('', table(counts))
        .join('\n'),
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

/** The last line counts the others. A file without it is not a whole export. */
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
    throw new AdminError('usage', `${file} could not be read: ${error.message}.`);
  }
  throw new AdminError(
    'usage',
    `${file} does not end like a file of org export: it is another file, or its export broke off.`,
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

/** Chunks of the lines between the first and the last one, and then that one alone. @param from the first that is wanted. */
async function* chunksOf(lines, from) {
  let chunk = [];
  let length = 0;
  let end;
  for await (const one of lines) {
    if (end) throw new AdminError('usage', `line ${one.number}: nothing was expected after the line of kind end.`);
    if (one.line?.kind === 'end') end = one;
    if (end || one.number < from) continue;
    if (chunk.length === MAX_LINES || (chunk.length > 0 && length + one.length > MAX_LENGTH)) {
      yield chunk;
      chunk = [];
      length = 0;
    }
    chunk.push(one);
    length += one.length;
  }
  if (chunk.length > 0) yield chunk;
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
    process.stderr.write(`${begun.through} lines were imported before. Going on with the next one.\n`);
  bar.show(begun.through);
  for await (let chunk of chunksOf(lines, begun.through + 1)) {
    if (chunk[0].line?.kind === 'end') {
      const finished = await callAdmin(org(slug, '/import/finish'), post({ end: chunk[0].line }));
      const { id, counts, published, scimEnabled, disabledAt } = finished;
      const { copy, credentials } = begun;
      return { slug, id, copy, credentials, counts, scimEnabled, disabledAt, published };
    }
    while (chunk.length > 0) {
      const after = chunk[0].number - 1;
      const body = { after, lines: chunk.map(({ line }) => line) };
      const { through } = await callAdmin(org(slug, '/import/lines'), post(body));
      bar.show(through);
      chunk = chunk.filter(({ number }) => number > through);
    }
  }
  throw new AdminError('usage', `${file} has no last line.`);
}

/** Checks each line, and what lines need of one another. Only names and ids are kept meanwhile. */
async function checked(callAdmin, slug, file, bar) {
  const { first, lines } = await firstOf(file);
  const begun = await callAdmin(org(slug, '/import'), post({ org: first, dryRun: true }));
  const seen = new Set();
  const schemas = [];
  const counts = {};
  let place = { line: 1, kind: 0, seq: 0 };
  for await (const chunk of chunksOf(lines, 2)) {
    const [{ line: one, number }] = chunk;
    if (one?.kind === 'end') {
      for (const kind of new Set([...Object.keys(one.counts), ...Object.keys(counts)])) {
        if (one.counts[kind] !== counts[kind]) {
          const said = `${one.counts[kind] ?? 0} lines of ${kind}, but it has ${counts[kind] ?? 0}`;
          throw new AdminError('conflict', `line ${number}: the file counts ${said}.`);
        }
      }
      const { id, copy, credentials, through } = begun;
      return { slug, id, copy, credentials, counts, through };
    }
    const body = { place, schemas, lines: chunk.map(({ line }) => line) };
    const answer = await callAdmin(org(slug, '/import/check'), post(body));
    for (const [i, { unique, needs }] of answer.named.entries()) {
      const { line, number } = chunk[i];
      const twice = unique.find((name) => seen.has(name));
      if (twice !== undefined)
        throw new AdminError('invalidValue', `line ${number}: ${twice} stands twice in the file.`);
      for (const name of unique) seen.add(name);
      const missing = needs.find((name) => !seen.has(name));
      if (missing !== undefined) throw new AdminError('invalidValue', `line ${number}: there is no ${missing}.`);
      if (line.kind === 'schema') schemas.push(line);
      counts[line.kind] = (counts[line.kind] ?? 0) + 1;
    }
    place = answer.place;
    bar.show(place.line);
  }
  throw new AdminError('usage', `${file} has no last line.`);
}
