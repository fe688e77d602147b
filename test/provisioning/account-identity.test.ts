/**
 * Who an account belongs to: what each message does to an account that is there, by its externalId and its userName. The
 * tables are the promise (docs/existing-accounts.md, «Whose account it is»); a cell is what a product manager would say happens.
 */
import { describe, expect, it } from 'vitest';
import { foldCase } from '../../src/scim/fold';
import { BULK_REQUEST, PATCH_OP } from '../../src/scim/urns';
import { unlinked } from '../support/accounts';
import { admin, type Idp, newIdp } from '../support/client';
import { counters, journal, type Row, rows } from '../support/database';

// What the message says, beside what the account has: `straße1@x.test` is there, `strasse1@x.test` folds to the same.
const EXTERNAL_IDS = ['same externalId', 'other externalId', 'empty externalId', 'no externalId'] as const;
const NAMES = ['same userName', 'folded-same userName', 'other userName'] as const;

/** The account that is there. */
const STATES = [
  'live',
  'deactivated',
  'deleted',
  'deleted, it had no externalId',
  'imported',
  'imported without externalId',
  'protected',
  'protected, imported',
  'erased',
] as const;
type State = (typeof STATES)[number];

// «back» is the same account, updated and active again. «restored» and «linked» are the same account, too. «409», «403», «404»:
// refused, and nothing changed. «-»: there is no such thing, for the account has no externalId that could be the same.
const POSTED = `
                                                     | same externalId | other externalId | empty externalId | no externalId
live, same userName                                  | 409             | 409              | 409              | 409
live, folded-same userName                           | 409             | 409              | 409              | 409
live, other userName                                 | new account     | new account      | new account      | new account
deactivated, same userName                           | back            | 409              | 409              | 409
deactivated, folded-same userName                    | back            | 409              | 409              | 409
deactivated, other userName                          | back            | new account      | new account      | new account
deleted, same userName                               | restored        | new account      | restored         | restored
deleted, folded-same userName                        | restored        | new account      | new account      | new account
deleted, other userName                              | restored        | new account      | new account      | new account
deleted, it had no externalId, same userName         | -               | restored         | restored         | restored
deleted, it had no externalId, folded-same userName  | -               | new account      | new account      | new account
deleted, it had no externalId, other userName        | -               | new account      | new account      | new account
imported, same userName                              | linked          | 409              | linked           | linked
imported, folded-same userName                       | linked          | 409              | 409              | 409
imported, other userName                             | linked          | new account      | new account      | new account
imported without externalId, same userName           | -               | linked           | linked           | linked
imported without externalId, folded-same userName    | -               | 409              | 409              | 409
imported without externalId, other userName          | -               | new account      | new account      | new account
protected, same userName                             | 409             | 409              | 409              | 409
protected, folded-same userName                      | 409             | 409              | 409              | 409
protected, other userName                            | new account     | new account      | new account      | new account
protected, imported, same userName                   | linked          | 409              | linked           | linked
protected, imported, folded-same userName            | 403             | 409              | 409              | 409
protected, imported, other userName                  | 403             | new account      | new account      | new account
erased, same userName                                | new account     | new account      | new account      | new account
erased, folded-same userName                         | new account     | new account      | new account      | new account
erased, other userName                               | new account     | new account      | new account      | new account
`;

// To the account itself, by its id. PUT without an externalId takes it away, PATCH leaves it.
const PUT = `
                                                     | same externalId | other externalId | empty externalId | no externalId
live, same userName                                  | unchanged       | updated          | updated          | updated
live, folded-same userName                           | updated         | updated          | updated          | updated
live, other userName                                 | updated         | updated          | updated          | updated
deactivated, same userName                           | unchanged       | updated          | updated          | updated
deactivated, folded-same userName                    | updated         | updated          | updated          | updated
deactivated, other userName                          | updated         | updated          | updated          | updated
deleted, same userName                               | 404             | 404              | 404              | 404
deleted, folded-same userName                        | 404             | 404              | 404              | 404
deleted, other userName                              | 404             | 404              | 404              | 404
deleted, it had no externalId, same userName         | -               | 404              | 404              | 404
deleted, it had no externalId, folded-same userName  | -               | 404              | 404              | 404
deleted, it had no externalId, other userName        | -               | 404              | 404              | 404
imported, same userName                              | linked          | linked           | linked           | linked
imported, folded-same userName                       | linked          | linked           | linked           | linked
imported, other userName                             | linked          | linked           | linked           | linked
imported without externalId, same userName           | -               | linked           | linked           | linked
imported without externalId, folded-same userName    | -               | linked           | linked           | linked
imported without externalId, other userName          | -               | linked           | linked           | linked
protected, same userName                             | unchanged       | 403              | 403              | 403
protected, folded-same userName                      | 403             | 403              | 403              | 403
protected, other userName                            | 403             | 403              | 403              | 403
protected, imported, same userName                   | linked          | 403              | 403              | 403
protected, imported, folded-same userName            | 403             | 403              | 403              | 403
protected, imported, other userName                  | 403             | 403              | 403              | 403
erased, same userName                                | 404             | 404              | 404              | 404
erased, folded-same userName                         | 404             | 404              | 404              | 404
erased, other userName                               | 404             | 404              | 404              | 404
`;

const PATCH = PUT.replace(/^(live|deactivated|protected), same userName.*$/gm, (line) =>
  line.replace(/\w+\s*$/, 'unchanged'),
).replace(/^(protected, imported), same userName.*$/gm, (line) => line.replace(/\w+\s*$/, 'linked'));

// By the operator. «kept»: it is the identity provider's, and the file does not write over it. «problem»: said by the line.
const IMPORTED = `
                                                     | same externalId | other externalId | empty externalId | no externalId
live, same userName                                  | kept            | kept             | kept             | kept
live, folded-same userName                           | problem         | problem          | problem          | problem
live, other userName                                 | new account     | new account      | new account      | new account
deactivated, same userName                           | kept            | kept             | kept             | kept
deactivated, folded-same userName                    | problem         | problem          | problem          | problem
deactivated, other userName                          | new account     | new account      | new account      | new account
deleted, same userName                               | problem         | new account      | problem          | problem
deleted, folded-same userName                        | problem         | new account      | new account      | new account
deleted, other userName                              | problem         | new account      | new account      | new account
deleted, it had no externalId, same userName         | -               | problem          | problem          | problem
deleted, it had no externalId, folded-same userName  | -               | new account      | new account      | new account
deleted, it had no externalId, other userName        | -               | new account      | new account      | new account
imported, same userName                              | unchanged       | updated          | updated          | updated
imported, folded-same userName                       | problem         | problem          | problem          | problem
imported, other userName                             | new account     | new account      | new account      | new account
imported without externalId, same userName           | -               | updated          | unchanged        | unchanged
imported without externalId, folded-same userName    | -               | problem          | problem          | problem
imported without externalId, other userName          | -               | new account      | new account      | new account
protected, same userName                             | kept            | kept             | kept             | kept
protected, folded-same userName                      | problem         | problem          | problem          | problem
protected, other userName                            | new account     | new account      | new account      | new account
protected, imported, same userName                   | unchanged       | updated          | updated          | updated
protected, imported, folded-same userName            | problem         | problem          | problem          | problem
protected, imported, other userName                  | new account     | new account      | new account      | new account
erased, same userName                                | new account     | new account      | new account      | new account
erased, folded-same userName                         | new account     | new account      | new account      | new account
erased, other userName                               | new account     | new account      | new account      | new account
`;

// Where the org has `uniqueExternalId`, for messages that say the externalId of the account and another userName.
const UNIQUE = `
                 | a POST    | a PUT of another user | a PATCH of another user | an import
live             | 409       | 409                   | 409                     | problem
deactivated      | back      | 409                   | 409                     | problem
deleted          | restored  | the other, updated    | the other, updated      | problem
imported         | linked    | 409                   | 409                     | problem
protected        | 409       | 409                   | 409                     | problem
erased           | new account | the other, updated  | the other, updated      | new account
`;

// What a POST makes of a deleted account, by the setting `restore`.
const RESTORED = `
                          | same userName, same externalId | same userName, no externalId | other userName, same externalId
restore=same-person       | restored                       | restored                     | restored
restore=externalId        | restored                       | new account                  | restored
restore=off               | new account                    | new account                  | new account
`;

function tableOf(text: string): { name: string; cells: string[] }[] {
  return text
    .trim()
    .split('\n')
    .slice(text.startsWith('\n') ? 1 : 0)
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([name, ...cells]) => ({ name: name!, cells }));
}

interface Cell {
  readonly state: State;
  readonly row: string;
  readonly column: string;
  readonly outcome: string;
  readonly id: string;
  readonly has: { readonly userName: string; readonly externalId?: string };
  readonly says: { readonly userName: string; readonly externalId?: string };
}

let places = 0;
/** The cells of one state, each about an account of its own. */
function cellsOf(table: string, state: State): Cell[] {
  const byName = new Map(tableOf(table).map(({ name, cells }) => [name, cells]));
  return NAMES.flatMap((name) =>
    EXTERNAL_IDS.map((column, i): Cell => {
      const n = ++places;
      const row = `${state}, ${name}`;
      const has = { userName: `straße${n}@x.test`, ...(!/ no | without /.test(state) && { externalId: `e${n}` }) };
      const userName = {
        'same userName': has.userName,
        'folded-same userName': `strasse${n}@x.test`,
        'other userName': `other${n}@x.test`,
      }[name];
      const externalId = [{ externalId: `e${n}` }, { externalId: `f${n}` }, { externalId: '' }, {}][i];
      return { state, row, column, outcome: byName.get(row)![i]!, id: `a${n}`, has, says: { userName, ...externalId } };
    }),
  ).filter(({ outcome }) => outcome !== '-');
}

let orgs = 0;
/** An org with these accounts, in their state. */
async function orgWith(cells: readonly Cell[], settings: Record<string, string> = {}): Promise<Idp> {
  const idp = await newIdp(`identity-${++orgs}`);
  const state = cells[0]!.state;
  const isErased = state === 'erased';
  const accounts = cells.map(({ id, has }, i) => ({
    line: i + 1,
    id,
    ...has,
    protected: state.startsWith('protected'),
  }));
  const { body } = await admin('POST', `/orgs/${idp.slug}/users/import`, { body: { accounts } });
  expect(body).toMatchObject({ created: cells.length });
  const all = { ...settings, ...(isErased && { onDelete: 'erase' }) };
  if (Object.keys(all).length > 0) {
    expect((await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: all } })).status).toBe(200);
  }
  if (state.includes('imported')) return idp;
  // The identity provider takes them over, and does what the state says.
  const change = (active: boolean) => ({ Operations: [{ op: 'replace', path: 'active', value: active }] });
  const isGone = isErased || state.startsWith('deleted');
  await bulk(
    idp,
    cells.map(({ id }) => ({
      path: `/Users/${id}`,
      ...(isGone
        ? { method: 'DELETE' }
        : { method: 'PATCH', data: { schemas: [PATCH_OP], ...change(state !== 'deactivated') } }),
    })),
  );
  return idp;
}

// biome-ignore lint/suspicious/noExplicitAny: an answer is looked into freely
async function bulk(idp: Idp, Operations: object[]): Promise<any[]> {
  const { status, body, text } = await idp.post('/Bulk', { schemas: [BULK_REQUEST], Operations });
  expect(status, text).toBe(200);
  return body.Operations;
}

const keysOf = ({ has, says }: Cell) => [has.userName, says.userName].map(foldCase);
/** The account, and every other with one of the cell's names. */
const around = (idp: Idp, cell: Cell): Promise<Row[]> =>
  rows(
    'SELECT * FROM users WHERE org_id = ? AND (id = ? OR user_name_key IN (SELECT value FROM json_each(?))) ORDER BY seq',
    idp.orgId,
    cell.id,
    JSON.stringify(keysOf(cell)),
  );

/** In the words of the tables. */
function outcomeOf(cell: Cell, before: readonly Row[], after: readonly Row[], status: number | string): string {
  const account = (found: readonly Row[]) => found.find(({ id }) => id === cell.id)!;
  const [was, is] = [account(before), account(after)];
  const isSame = JSON.stringify(was) === JSON.stringify(is);
  if (after.length > before.length) return isSame ? 'new account' : 'a new account, and the old one changed';
  if (isSame) return typeof status === 'string' ? status : status >= 400 ? String(status) : 'unchanged';
  if (typeof status === 'number' && status >= 400) return `${status}, and something changed`;
  if (was['deleted_at'] !== null && is['deleted_at'] === null) return 'restored';
  if (was['linked_at'] === null && is['linked_at'] !== null) return 'linked';
  return was['active'] === 0 && is['active'] === 1 ? 'back' : 'updated';
}

/** How a message of all cells is sent: the status, or the word, of each. */
type Send = (idp: Idp, cells: readonly Cell[]) => Promise<(number | string)[]>;

const each =
  (one: (idp: Idp, cell: Cell) => Promise<{ status: number }>): Send =>
  (idp, cells) =>
    Promise.all(cells.map(async (cell) => (await one(idp, cell)).status));
const together =
  (operation: (cell: Cell) => object): Send =>
  async (idp, cells) =>
    (await bulk(idp, cells.map(operation))).map(({ status }) => Number(status));
const patchOf = ({ says }: Cell) => Object.entries(says).map(([path, value]) => ({ op: 'replace', path, value }));

const importAll: Send = async (idp, cells) => {
  const accounts = cells.map(({ says }, i) => ({ line: i + 1, ...says }));
  const { body } = await admin('POST', `/orgs/${idp.slug}/users/import`, { body: { accounts } });
  const problems = new Set(body.problems.map(({ line }: { line: number }) => line));
  const isKept = body.kept > 0;
  return cells.map((_, i) => (problems.has(i + 1) ? 'problem' : isKept ? 'kept' : 'unchanged'));
};

const MESSAGES: [message: string, table: string, send: Send][] = [
  ['POST', POSTED, each((idp, { says }) => idp.post('/Users', says))],
  ['POST in bulk', POSTED, together(({ id, says }) => ({ method: 'POST', path: '/Users', bulkId: id, data: says }))],
  ['PUT', PUT, each((idp, { id, says }) => idp.put(`/Users/${id}`, says))],
  ['PUT in bulk', PUT, together(({ id, says }) => ({ method: 'PUT', path: `/Users/${id}`, data: says }))],
  ['PATCH', PATCH, each((idp, cell) => idp.patch(`/Users/${cell.id}`, patchOf(cell)))],
  [
    'PATCH in bulk',
    PATCH,
    together((cell) => ({
      method: 'PATCH',
      path: `/Users/${cell.id}`,
      data: { schemas: [PATCH_OP], Operations: patchOf(cell) },
    })),
  ],
  ['import', IMPORTED, importAll],
];

it.each(STATES)(
  'what becomes of an account that is %s',
  async (state) => {
    const sent = MESSAGES.map(([message, table, send]) => ({ message, send, cells: cellsOf(table, state) }));
    const idp = await orgWith(sent.flatMap(({ cells }) => cells));
    for (const { message, send, cells } of sent) {
      const before = await Promise.all(cells.map((cell) => around(idp, cell)));
      const statuses = await send(idp, cells);
      const after = await Promise.all(cells.map((cell) => around(idp, cell)));
      const told = (cell: Cell, outcome: string) => `${message}: ${cell.row}, ${cell.column}: ${outcome}`;
      expect(cells.map((cell, i) => told(cell, outcomeOf(cell, before[i]!, after[i]!, statuses[i]!)))).toEqual(
        cells.map((cell) => told(cell, cell.outcome)),
      );
    }
    const { kept, real } = await counters(idp.orgId);
    expect(kept).toEqual(real);
  },
  60_000,
);

describe('where an externalId must be unique', () => {
  const sends: Record<string, (idp: Idp, cell: Cell, other: string) => Promise<number | string>> = {
    'a POST': async (idp, { says }) => (await idp.post('/Users', says)).status,
    'a PUT of another user': async (idp, { says }, other) =>
      (await idp.put(`/Users/${other}`, { userName: other, externalId: says.externalId })).status,
    'a PATCH of another user': async (idp, { says }, other) =>
      (await idp.patch(`/Users/${other}`, [{ op: 'add', value: { externalId: says.externalId } }])).status,
    'an import': async (idp, cell) => (await importAll(idp, [cell]))[0]!,
  };

  it.each(tableOf(UNIQUE))('$name', async ({ name, cells: outcomes }) => {
    const cells = Object.keys(sends).map((message) => ({
      ...cellsOf(POSTED, name as State).find(({ row, column }) => /other userName/.test(row) && /same/.test(column))!,
      message,
    }));
    const idp = await orgWith(cells, { uniqueExternalId: 'true' });
    const found: string[] = [];
    for (const [i, cell] of cells.entries()) {
      const other = (await idp.user(`bystander${i}`)).id;
      const version = async () =>
        (await rows('SELECT version FROM users WHERE org_id = ? AND id = ?', idp.orgId, other))[0];
      const [was, before] = [await version(), await around(idp, cell)];
      const status = await sends[cell.message]!(idp, cell, other);
      const outcome = outcomeOf(cell, before, await around(idp, cell), status);
      const isOther = JSON.stringify(was) !== JSON.stringify(await version());
      found.push(isOther ? 'the other, updated' : outcome);
    }
    expect(found).toEqual(outcomes);
  });

  it('says so, and keeps what was twice before the setting: a change beside it, and a deactivation, get through', async () => {
    const idp = await newIdp(`identity-${++orgs}`);
    const [ada, eve] = [await idp.user('ada', { externalId: 'x' }), await idp.user('eve', { externalId: 'x' })];
    const refused = await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { uniqueExternalId: 'yes' } } });
    expect(refused.body.detail).toBe('uniqueExternalId: true or false was expected');
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { uniqueExternalId: 'true' } } });
    const active = (id: string, value: boolean) =>
      idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value }]);
    expect((await idp.patch(`/Users/${ada.id}`, [{ op: 'add', path: 'title', value: 'x' }])).status).toBe(200);
    expect((await active(eve.id, false)).status).toBe(200);
    const back = await active(eve.id, true);
    expect([back.status, back.body.scimType, back.body.detail]).toEqual([
      409,
      'uniqueness',
      'externalId is already taken by another resource',
    ]);
    expect((await active(ada.id, false)).status).toBe(200);
    expect((await active(eve.id, true)).status).toBe(200);
  });
});

it.each(tableOf(RESTORED))('a deleted account and a POST, where $name', async ({ name, cells: outcomes }) => {
  const wanted = ['same userName, same externalId', 'same userName, no externalId', 'other userName, same externalId'];
  const all = cellsOf(POSTED, 'deleted');
  const cells = wanted.map((want) => all.find(({ row, column }) => `${row}, ${column}` === `deleted, ${want}`)!);
  const idp = await orgWith(cells, { restore: name.slice('restore='.length) });
  const before = await Promise.all(cells.map((cell) => around(idp, cell)));
  const statuses = await Promise.all(cells.map(async ({ says }) => (await idp.post('/Users', says)).status));
  const after = await Promise.all(cells.map((cell) => around(idp, cell)));
  expect(cells.map((cell, i) => outcomeOf(cell, before[i]!, after[i]!, statuses[i]!))).toEqual(outcomes);
});

describe('a new account beside another one', () => {
  it('that was deleted and is another person’s: the event names it, and a second POST restores its own', async () => {
    const idp = await newIdp(`identity-${++orgs}`);
    const { id } = await idp.user('ada', { externalId: 'leaver' });
    await idp.delete(`/Users/${id}`);
    const joiner = await idp.user('ada', { externalId: 'joiner' });
    expect(joiner.id).not.toBe(id);
    expect((await journal(idp.orgId, joiner.id))[0]!.details.notRestored).toEqual([id]);
    const history = await admin('GET', `/orgs/${idp.slug}/users/${joiner.id}/history`);
    expect(history.text).toContain(`created beside deleted accounts with the same name or externalId: ${id}`);
    const back = await idp.post('/Users', { userName: 'ada2', externalId: 'leaver' });
    expect([back.status, back.body.id]).toEqual([201, id]);
    expect((await journal(idp.orgId, joiner.id)).length).toBe(1);
  });

  it('with its externalId, of which there are several: none is guessed, and the event names them', async () => {
    const idp = await newIdp(`identity-${++orgs}`);
    const user = async (userName: string) => (await idp.user(userName, { externalId: 'x' })).id as string;
    const ids = [await user('ada'), await user('eve')];
    for (const id of ids) await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    const third = await user('bob');
    expect(ids).not.toContain(third);
    expect((await journal(idp.orgId, third))[0]!.details.sameExternalId.sort()).toEqual(ids.sort());
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { uniqueExternalId: 'true' } } });
    expect((await idp.post('/Users', { userName: 'cy', externalId: 'x' })).status).toBe(409);
  });

  it('whose empty externalId is no name: a joiner is not given the account of a leaver', async () => {
    const idp = await newIdp(`identity-${++orgs}`);
    for (const externalId of ['', ' ', '\u3000', '\u200b']) {
      const leaver = await idp.user('leaver', { externalId });
      expect(leaver.externalId).toBeUndefined();
      await idp.delete(`/Users/${leaver.id}`);
      const joiner = await idp.user('joiner', { externalId });
      expect(joiner.id).not.toBe(leaver.id);
      await idp.delete(`/Users/${joiner.id}`);
    }
  });

  it('the same POST many times at once brings a deactivated person back once, under the new userName', async () => {
    const idp = await newIdp(`identity-${++orgs}`);
    const { id } = await idp.user('ada', { externalId: 'x', active: false });
    const post = () => idp.post('/Users', { userName: 'ada.new', externalId: 'x' });
    const answers = await Promise.all(Array.from({ length: 6 }, post));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
    expect(answers.find(({ status }) => status === 201)!.body).toMatchObject({ id, userName: 'ada.new', active: true });
    expect((await idp.get('/Users?count=0')).body.totalResults).toBe(1);
    expect((await journal(idp.orgId, id)).at(-1)).toMatchObject({
      type: 'user.reactivated',
      details: { changed: { userName: { before: 'ada', after: 'ada.new' } } },
    });
  });

  it('a deactivated person’s new userName that is somebody else’s is refused, and changes nothing', async () => {
    const idp = await newIdp(`identity-${++orgs}`);
    await idp.user('ada', { externalId: 'x', active: false });
    await idp.user('eve', { externalId: 'y' });
    await unlinked(idp, 'bob');
    const state = () => rows('SELECT * FROM users WHERE org_id = ?', idp.orgId);
    const before = await state();
    for (const userName of ['eve', 'bob'])
      expect((await idp.post('/Users', { userName, externalId: 'x' })).status).toBe(409);
    expect(await state()).toEqual(before);
  });
});
