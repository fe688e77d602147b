/**
 * A file of accounts, as it is read: one after the other, with the line in which each begins, however large the file is.
 * CSV and NDJSON both become SCIM Users. The service checks them.
 */
import { pipeline } from 'node:stream';
import { AdminError } from './transport.mjs';

/** Bytes of one account in the file: the API takes no more. */
const MAX_ACCOUNT = 1_000_000;
const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';

export const FORMATS = ['csv', 'ndjson'];

/** By the option, else by the extension. @throws AdminError `usage`. */
export function formatOf(file, asked) {
  const format = asked ?? { csv: 'csv', ndjson: 'ndjson', jsonl: 'ndjson' }[/\.(\w+)$/.exec(file)?.[1]?.toLowerCase()];
  if (FORMATS.includes(format)) return format;
  throw new AdminError('usage', `The name of ${file} does not tell its format. Add --format csv or --format ndjson.`);
}

/**
 * The accounts in a file, in order: `{ line, account }`, or `{ line, userName, problem }` for a line that is not an account.
 *
 * @param bytes chunks of the file.
 * @throws AdminError when the rest cannot be read.
 */
export function accountsIn(format, bytes) {
  const text = textOf(bytes);
  return format === 'csv' ? csvAccounts(text) : ndjsonAccounts(text);
}

/** UTF-8 without a byte order mark, its lines ended by `\n` whatever they were ended by. */
export async function* textOf(bytes) {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let read = 0;
  let held = '';
  const decoded = (chunk) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch {
      throw new AdminError('usage', `The file is not UTF-8, at byte ${read} or after it. Save it as UTF-8.`);
    }
  };
  for await (const chunk of bytes) {
    const text = held + decoded(chunk);
    read += chunk.length;
    // Whether a carriage return at the end is half of a line's end, the next chunk says.
    held = text.endsWith('\r') ? '\r' : '';
    yield text.slice(0, text.length - held.length).replace(/\r\n?/g, '\n');
  }
  yield (held + decoded()).replace(/\r\n?/g, '\n');
}

/** @yields `{ line, text }`; a line that is too long without its text. */
export async function* linesOf(chunks, longest = MAX_ACCOUNT) {
  let line = 1;
  let rest = '';
  let isTooLong = false;
  const add = (text) => {
    isTooLong ||= rest.length + text.length > longest;
    rest = isTooLong ? '' : rest + text;
  };
  const taken = () => {
    const found = isTooLong ? { line } : { line, text: rest };
    rest = '';
    isTooLong = false;
    line++;
    return found;
  };
  for await (const chunk of chunks) {
    const [first, ...others] = chunk.split('\n');
    add(first);
    for (const other of others) {
      yield taken();
      add(other);
    }
  }
  if (rest !== '' || isTooLong) yield taken();
}

async function* ndjsonAccounts(chunks) {
  for await (const { line, text } of linesOf(chunks)) {
    if (text === undefined) yield { line, problem: `longer than ${MAX_ACCOUNT} characters` };
    else if (text.trim() !== '') yield { line, ...objectIn(text) };
  }
}

function objectIn(text) {
  let account;
  try {
    account = JSON.parse(text);
  } catch {
    return { problem: 'a JSON object in one line was expected' };
  }
  const isObject = typeof account === 'object' && account !== null && !Array.isArray(account);
  return isObject ? { account } : { problem: 'a JSON object was expected' };
}

async function* csvAccounts(chunks) {
  const { CsvError, parse } = await import('csv-parse'); // here: other commands do not wait for it
  const [header, all] = await headed(chunks);
  const parser = parse({
    info: true,
    delimiter: delimiterIn(header),
    record_delimiter: '\n',
    relax_column_count: true, // ragged rows are told by their lines
    skip_records_with_empty_values: true,
    max_record_size: MAX_ACCOUNT,
  });
  pipeline(all, parser, () => undefined); // an error is thrown where the parser is read
  let columns;
  try {
    for await (const { info, record } of parser) {
      if (columns === undefined) {
        columns = columnsOf(record);
        continue;
      }
      // The parser tells where a row ends; some of its fields may have lines of their own.
      const line = info.lines - record.reduce((sum, cell) => sum + cell.split('\n').length - 1, 0);
      yield { line, ...rowAccount(columns, record) };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new AdminError(
      'usage',
      `The file is not CSV from line ${error.lines} on: ${reasonOf(error)}. Nothing after it was read.`,
    );
  }
  if (columns === undefined) throw new AdminError('usage', `The file is empty. ${HEADER}`);
}

/** The first line, and the whole text. */
async function headed(chunks) {
  const source = chunks[Symbol.asyncIterator]();
  let text = '';
  while (!text.includes('\n') && text.length < MAX_ACCOUNT) {
    const { done, value } = await source.next();
    if (done) break;
    text += value;
  }
  async function* all() {
    yield text;
    yield* source;
  }
  return [text.split('\n', 1)[0], all()];
}

/** What spreadsheets of several languages put between columns. */
export const delimiterIn = (header) =>
  [',', ';', '\t'].reduce((best, one) => (header.split(one).length > header.split(best).length ? one : best));

function reasonOf({ code }) {
  if (code === 'CSV_QUOTE_NOT_CLOSED') return 'a quote is opened and not closed';
  if (code === 'CSV_MAX_RECORD_SIZE') return `a row is longer than ${MAX_ACCOUNT} characters, or a quote is not closed`;
  return 'a field that contains a quote must stand in quotes, and double each quote';
}

const boolean = (text) => {
  const word = text.toLowerCase();
  if (['true', '1', 'yes'].includes(word)) return true;
  if (['false', '0', 'no'].includes(word)) return false;
  throw new Error('true or false (1 or 0, yes or no) was expected');
};
const as = (name) => (account, text) => Object.assign(account, { [name]: text });
const nameAs = (part) => (account, text) => Object.assign(account, { name: { ...account.name, [part]: text } });
const asBoolean = (name) => (account, text) => Object.assign(account, { [name]: boolean(text) });
const asEmail = (account, text) => Object.assign(account, { emails: [{ value: text, type: 'work', primary: true }] });

/** Each column by its name, with the paths that SCIM has for the same. */
const COLUMNS = {
  userName: { put: as('userName') },
  email: {
    put: asEmail,
    also: ['emails', 'emails.value', 'emails[type eq "work"].value', 'emails[primary eq true].value'],
  },
  givenName: { put: nameAs('givenName'), also: ['name.givenName'] },
  familyName: { put: nameAs('familyName'), also: ['name.familyName'] },
  displayName: { put: as('displayName') },
  title: { put: as('title') },
  active: { put: asBoolean('active') },
  externalId: { put: as('externalId') },
  protected: { put: asBoolean('protected') },
  id: { put: as('id') },
};
const HEADER = `A first line with the names of columns was expected: ${Object.keys(COLUMNS).join(', ')}.`;
const byName = new Map(
  Object.entries(COLUMNS).flatMap(([name, { also = [] }]) => [name, ...also].map((one) => [one.toLowerCase(), name])),
);

/** The names of the columns in a header. @throws AdminError that says which columns there are. */
export function columnsOf(header) {
  const columns = header.map((cell) => {
    const name = byName.get(cell.trim().toLowerCase());
    if (name === undefined)
      throw new AdminError('usage', `There is no column "${cell.trim().slice(0, 80)}". ${HEADER}`);
    return name;
  });
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice) throw new AdminError('usage', `The column ${twice} stands twice in the first line.`);
  if (!columns.includes('userName') && !columns.includes('email'))
    throw new AdminError('usage', `A column userName or email is needed. ${HEADER}`);
  return columns;
}

/** A row as `{ account }`, or `{ userName, problem }`. An empty field says nothing. */
export function rowAccount(columns, cells) {
  const account = { schemas: [USER] };
  const userName = cells[columns.indexOf('userName')]?.trim() || cells[columns.indexOf('email')]?.trim() || undefined;
  if (cells.length !== columns.length)
    return { userName, problem: `${columns.length} fields were expected, but there are ${cells.length}` };
  for (const [i, name] of columns.entries()) {
    const text = cells[i].trim();
    if (text === '') continue;
    try {
      COLUMNS[name].put(account, text);
    } catch (error) {
      return { userName, problem: `${name}: ${error.message}` };
    }
  }
  account.userName ??= userName;
  return { account };
}
