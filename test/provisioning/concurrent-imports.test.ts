/** Whatever is done to the same people at the same time: nobody is lost, nothing is counted wrong, nobody who is out gets in. */
import { beforeEach, expect, it } from 'vitest';
import { BULK_REQUEST } from '../../src/scim/urns';
import { type Answer, admin, host, type Idp, newIdp } from '../support/client';
import { counters, journal, rows } from '../support/database';

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`at-once-${++n}`);
});

const act = (method: string, path: string, body?: unknown) =>
  admin(method, `/orgs/${idp.slug}${path}`, body === undefined ? {} : { body });
const account = (i: number, more = {}) => ({
  line: i + 1,
  id: `p${i}`,
  userName: `p${i}@acme.com`,
  emails: [{ value: `p${i}@acme.com`, type: 'work' }],
  ...more,
});

async function expectConsistent(): Promise<void> {
  const { kept, real } = await counters(idp.orgId);
  expect(kept).toEqual(real);
  const events = await journal(idp.orgId);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  const held = await rows(
    `SELECT 1 FROM brake_held JOIN users ON users.org_id = brake_held.org_id AND users.id = user_id
      WHERE brake_held.org_id = ? AND operation = 'deactivate' AND active = 0`,
    idp.orgId,
  );
  expect(held).toEqual([]);
}

it('an import, an identity provider that creates, changes and deletes, an operator who protects and erases', async () => {
  const people = Array.from({ length: 12 }, (_, i) => account(i));
  await act('PATCH', '', { settings: { verifiedDomains: 'acme.com', 'brake.deactivations': '6', 'plan.seats': '14' } });
  await act('POST', '/users/import', { accounts: people });
  const began = Date.now();
  const off = [{ op: 'Replace', path: 'active', value: 'False' }];
  const work: (() => Promise<Answer>)[] = people.flatMap((one, i) => [
    () => idp.post('/Users', { userName: one.userName, externalId: `x${i}`, emails: one.emails, active: true }),
    () => idp.post('/Users', { userName: `other${i}@acme.com`, externalId: `y${i}`, emails: one.emails }),
    () => idp.patch(`/Users/p${i}`, off),
    () => (i % 3 === 0 ? idp.delete(`/Users/p${i}`) : idp.put(`/Users/p${i}`, { userName: one.userName, title: 'x' })),
    () => act('POST', '/users/import', { accounts: [account(i, { title: 'imported', active: i % 2 === 0 })] }),
    () => act('POST', `/users/p${i}/${i % 4 === 0 ? 'protect' : 'unprotect'}`, {}),
    () =>
      i % 5 === 0
        ? act('POST', `/users/p${i}/erase?confirm=p${i}`, {})
        : act('POST', '/brake/release', { user: `p${i}` }),
    () =>
      idp.post('/Bulk', {
        schemas: [BULK_REQUEST],
        Operations: [{ method: 'PATCH', path: `/Users/p${i}`, data: { Operations: off } }],
      }),
  ]);
  const answers = await Promise.all(work.map((one) => one()));
  expect(answers.filter(({ status }) => status >= 500 && status !== 503).map(({ text }) => text)).toEqual([]);
  await expectConsistent();
  expect((await counters(idp.orgId)).real['active']).toBeLessThanOrEqual(14);
  // Who is out in the directory is out for a host.
  for (const row of await rows('SELECT id, active FROM users WHERE org_id = ? AND active = 0', idp.orgId)) {
    const { body } = await host('POST', '/check', { body: { org: idp.slug, user: row['id'], issuedAt: began } });
    expect(body.valid).toBe(false);
  }
  // Nobody was linked twice, and each account is one's own.
  const linked = (await journal(idp.orgId)).filter(({ details }) => details.linked !== undefined);
  const ids = linked.map(({ target_id }) => target_id);
  expect(new Set(ids).size).toBe(ids.length);
  const erased = (await journal(idp.orgId))
    .filter(({ type }) => type === 'user.erased')
    .map(({ target_id }) => target_id);
  for (const id of erased) {
    const [user] = await rows(
      'SELECT resource, folded, user_name_key FROM users WHERE org_id = ? AND id = ?',
      idp.orgId,
      id,
    );
    expect(user).toEqual({ resource: '{}', folded: '{}', user_name_key: '' });
  }
}, 30_000);

it('an exit while the identity provider’s last requests are under way', async () => {
  const people = await Promise.all(Array.from({ length: 8 }, (_, i) => idp.user(`e${i}@acme.com`)));
  const answers = await Promise.all([
    ...people.map(({ id }, i) =>
      idp.patch(`/Users/${id}`, [{ op: 'replace', path: i % 2 ? 'title' : 'active', value: i % 2 ? 'x' : false }]),
    ),
    act('POST', '/scim', { enabled: false }),
    ...[0, 1, 2].map(() => act('POST', '/exit/deactivate', {})),
  ]);
  expect(answers.filter(({ status }) => status >= 500 && status !== 503)).toEqual([]);
  const { body } = await act('POST', '/exit/deactivate', {});
  expect(body.left).toBe(0);
  expect((await counters(idp.orgId)).real['active']).toBe(0);
  await expectConsistent();
});

const ODD = [
  null,
  7,
  'text',
  [],
  { accounts: null },
  { accounts: 'x' },
  { accounts: [null] },
  { accounts: [{}] },
  { accounts: [{ line: -1 }] },
  { accounts: [{ line: 1, userName: { $ne: 1 } }] },
  { accounts: [{ line: 1, userName: 'a', emails: 'x', id: '../..' }] },
  { accounts: [{ line: 1, userName: '\u0000\ud800', id: '__proto__' }] },
  { accounts: [{ line: 1, userName: 'x'.repeat(20_000) }] },
  { accounts: [{ line: 1, userName: 'ok', protected: 'yes' }] },
  { user: ['a'], by: 7 },
  { user: 'x'.repeat(5_000) },
  { after: 'x', by: 'o' },
  { after: { $gt: 0 } },
  { people: [{ line: 1 }] },
  { org: { kind: 'org' } },
  { end: {} },
  { lines: [{}], after: 1 },
];

it('odd bodies at the doors for people, the brake, exit and files hear what was expected, and change nothing', async () => {
  await idp.user('ada@acme.com');
  const paths = [
    '/users/import',
    '/users/link-preview',
    '/users/ada@acme.com/protect',
    '/users/ada@acme.com/erase?confirm=x',
    '/brake/release',
    '/brake/reject',
    '/exit/deactivate',
    '/import',
    '/import/lines',
    '/import/check',
    '/import/finish',
  ];
  const told: string[] = [];
  for (const path of paths)
    for (const body of ODD) {
      const { status, text } = await act('POST', path, body);
      if (status >= 500 || (status >= 400 && !JSON.parse(text).detail))
        told.push(`${path} ${JSON.stringify(body)}: ${status} ${text}`);
    }
  for (const raw of ['{', '{"a":1,"a":2}', '{"__proto__":{"x":1}}', '[[[[', '\u0000']) {
    for (const path of paths) {
      const { status, text } = await admin('POST', `/orgs/${idp.slug}${path}`, { raw });
      if (status >= 500 || status < 400) told.push(`${path} ${raw}: ${status} ${text}`);
    }
  }
  expect(told).toEqual([]);
  expect((await counters(idp.orgId)).real).toMatchObject({ users: 1, active: 1 });
  await expectConsistent();
});
