// What commands print and write: nothing that a directory holds moves a cursor, becomes a formula or lands in another's file.

import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parse } from 'csv-parse/sync';
import { afterAll, describe, expect, it } from 'vitest';
import { csvRow } from '../../scripts/admin/csv.mjs';
import { wasWritten, writeNew } from '../../scripts/admin/files.mjs';
import { AdminError } from '../../scripts/admin/transport.mjs';
import { columns, harmless, harmlessText, jsonText, progressBar } from '../../scripts/terminal.mjs';

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => String.fromCharCode(from + at));
const CONTROLS = [...range(0, 0x1f), ...range(0x7f, 0x9f)];
const DIRECTIONS = ['\u061c', '\u200e', '\u200f', ...range(0x202a, 0x202e), ...range(0x2066, 0x2069)];
const ALL = [...CONTROLS, ...DIRECTIONS];
const SEEN = /[\p{Cc}\p{Bidi_Control}]/u;

describe('JSON', () => {
  it('has each control character as an escape, and reads as the same value', () => {
    for (const character of ALL) {
      const value = { [`key ${character}`]: [`a${character}b`, 'ü 名 😀'] };
      expect(jsonText(value)).not.toMatch(SEEN);
      expect(JSON.parse(jsonText(value))).toEqual(value);
    }
  });

  it('has a backslash before such a character as it is', () => {
    const value = '\\\u0085 \\\\u0085';
    expect(JSON.parse(jsonText(value))).toBe(value);
  });
});

describe('a text for people', () => {
  it('keeps lines and colours of ours, and no character that moves the cursor', () => {
    expect(harmlessText('\u001b[1mbold\u001b[22m\n\tnext')).toBe('\u001b[1mbold\u001b[22m\n\tnext');
    for (const character of ALL) {
      expect(harmless(`a${character}b`)).toBe('a\u{fffd}b');
      if (character !== '\n' && character !== '\t') expect(harmlessText(`a${character}b`)).toBe('a\u{fffd}b');
    }
    expect(harmlessText('\u001b[2J\u001b]0;title\u0007')).not.toContain('\u001b');
  });
});

describe('a row of CSV', () => {
  /** What a spreadsheet would show, by what it takes for the end of a cell. */
  const cells = (row, delimiter) =>
    parse(row, { delimiter, relax_quotes: true, relax_column_count: true })[0].map((cell) => cell.replace(/^"+/, ''));
  const isFormula = (cell) => /^\s*[=+\-@＝＋－＠]/.test(cell);
  const HOSTILE = [
    '=1+1',
    '+1',
    '-1',
    '@A1',
    '＝1',
    '\t=1',
    '\r=1',
    ' =1',
    '"=1',
    '"";=1',
    'a;=1',
    'a; =1',
    'a;\t@x',
    'a;"=1"',
    ';;+x',
    'a\n=1',
  ];

  it.each(HOSTILE)('with %j begins no formula, at commas, semicolons or tabs, also within JSON', (text) => {
    for (const row of [csvRow([1, text, 'end']), csvRow([1, { text, [text]: [text] }, 'end'])]) {
      for (const delimiter of [',', ';', '\t']) expect(cells(row, delimiter).filter(isFormula), row).toEqual([]);
      expect(row.split(/\r|\n/)).toHaveLength(1);
    }
  });

  it('has JSON of the same value, and other texts as they are', () => {
    const details = { a: 'x;y,"z"\u0085\u202e', 'k;': ['=1'] };
    const [[seq, type, cell, nothing]] = parse(csvRow([7, 'user.created', details, null]));
    expect([seq, type, JSON.parse(cell), nothing]).toEqual(['7', 'user.created', details, '']);
    expect(csvRow(['ada@example.com', 'a,b', 'a "b"'])).toBe('ada@example.com,"a,b","a ""b"""');
  });

  it('has control characters as escapes', () => {
    for (const character of ALL) expect(csvRow([`a${character}b`, { [character]: character }])).not.toMatch(SEEN);
  });
});

describe('a file that a command writes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scim-worker-files-'));
  const at = (name) => join(folder, name);
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is new, and its owner’s alone', async () => {
    await writeNew(at('new'), ['a\n', 'b\n']);
    expect(readFileSync(at('new'), 'utf8')).toBe('a\nb\n');
    if (process.platform !== 'win32') expect(statSync(at('new')).mode & 0o777).toBe(0o600);
  });

  it('is no file that is there, and no link, wherever that leads', async () => {
    writeFileSync(at('mine'), 'mine');
    symlinkSync(at('mine'), at('link'));
    symlinkSync(at('target'), at('dangling'));
    for (const name of ['mine', 'link', 'dangling']) {
      await expect(writeNew(at(name), ['x'])).rejects.toThrow('exists already');
    }
    expect(readFileSync(at('mine'), 'utf8')).toBe('mine');
    expect(readdirSync(folder)).not.toContain('target');
  });

  it('is not left half-way', async () => {
    async function* broken() {
      yield 'half';
      throw new AdminError('unreachable', 'gone');
    }
    await expect(writeNew(at('half'), broken())).rejects.toMatchObject({ code: 'unreachable' });
    expect(readdirSync(folder)).not.toContain('half');
  });

  it('was written before if it is a file, and is refused if it is a link', async () => {
    expect(await wasWritten(at('none'))).toBe(false);
    expect(await wasWritten(at('mine'))).toBe(true);
    expect(lstatSync(at('dangling')).isSymbolicLink()).toBe(true);
    for (const name of ['link', 'dangling']) {
      await expect(wasWritten(at(name))).rejects.toThrow('is not a file of yours');
    }
    await expect(wasWritten(folder)).rejects.toThrow('is not a file of yours');
  });
});

describe('a table', () => {
  const id = '2819c223-7f76-453a-919d-413861904646';

  it('that fits is one line a row', () => {
    expect(
      columns([
        ['a', 'bb'],
        ['ccc', null],
      ]),
    ).toBe('a    bb\nccc  -');
  });

  it('that is too wide goes on in the next line, and cuts no word', () => {
    const text = columns([['ada@example.com', id, 'one two three four five six seven eight nine ten']], 80);
    const lines = text.split('\n');
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.every((line) => line.length <= 80)).toBe(true);
    expect(text.replace(/\s+/g, ' ')).toContain(`ada@example.com ${id} one two three`);
    expect(columns([['x'.repeat(100), 'y z']], 80)).toContain('x'.repeat(100));
  });
});

describe('a progress bar', () => {
  function drawn(whole, steps, isTTY = true) {
    let time = 0;
    const said = [];
    const stream = { isTTY, columns: 80, write: (text) => said.push(text) };
    const bar = progressBar(whole, 'lines', { stream, now: () => time });
    for (const [at, ...done] of steps) {
      time = at;
      bar.show(...done);
    }
    return said.at(-1)?.replace('\r\u001b[2K', '');
  }

  it('shows the share, the count, the rate and the time that is left', () => {
    expect(
      drawn(1_000, [
        [0, 0],
        [1_000, 250],
      ]),
    ).toBe(`${'█'.repeat(5)}${'░'.repeat(15)}  25 %  250 lines  250/s  3 s left`);
  });

  it('that began half-way counts only what it has done itself', () => {
    expect(
      drawn(1_000, [
        [0, 500],
        [1_000, 600],
      ]),
    ).toMatch(/60 % {2}600 lines {2}100\/s {2}4 s left$/);
  });

  it('without a known whole shows the count and the rate', () => {
    expect(
      drawn(undefined, [
        [0, 0],
        [2_000, 50],
      ]),
    ).toBe('50 lines  25/s');
  });

  it('is not there where nobody looks on', () => {
    expect(drawn(10, [[0, 5]], false)).toBeUndefined();
  });
});
