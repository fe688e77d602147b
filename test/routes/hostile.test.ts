/** Input that nobody sends by mistake, and some that many do: always a SCIM error with a detail, never a 5xx, nothing changed. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Attribute } from '../../src/scim/attribute';
import { userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER, PATCH_OP, USER } from '../../src/scim/urns';
import { type Answer, type Ask, admin, ask, BASE, host, type Idp, newIdp } from '../support/client';
import { dump } from '../support/database';
import { expectRefusal, expectScimError } from '../support/refusal';

/** Stands in every hostile value: no detail may repeat it. */
const SECRET = 'Zq7vK2secret';
const INTERNALS =
  /\b(SELECT|INSERT|UPDATE|DELETE FROM|WHERE|sqlite|json_extract|json_each|D1_|drizzle|TypeError|undefined|NaN)\b|users\.|credentials|\[object/;

let idp: Idp;
let user: string;
beforeAll(async () => {
  idp = await newIdp('hostile');
  user = (await idp.user('ada@example.com', { emails: [{ value: 'ada@example.com', type: 'work' }] })).id;
  await idp.patch(`/Users/${user}`, [{ op: 'replace', path: 'title', value: 'Dr' }]); // version 2
});

interface Case extends Ask {
  readonly method: string;
  readonly path: string;
}

const send = ({ method, path, ...rest }: Case) => idp.ask(method, path, rest);

function expectDiscreet(answer: Answer, sent: unknown): void {
  const detail: string = answer.body.detail;
  expect(detail, JSON.stringify(sent)?.slice(0, 300)).not.toContain(SECRET);
  expect(detail).not.toContain(idp.token);
  expect(detail).not.toMatch(INTERNALS);
  expect(detail.length).toBeLessThan(400);
}

/** All of them refused with one of these, and no row of any table is another one afterwards. */
async function allRefused(cases: Case[], status: number | readonly number[], scimTypes?: readonly string[]) {
  expect(cases.length).toBeGreaterThan(0);
  const before = await dump();
  for (const [i, hostile] of cases.entries()) {
    const answer = await send(hostile);
    const label = `#${i} ${hostile.method} ${hostile.path.slice(0, 200)} ${String(JSON.stringify(hostile.body ?? hostile.raw)).slice(0, 300)} -> ${answer.status} ${answer.text.slice(0, 200)}`;
    expect([status].flat(), label).toContain(answer.status);
    expectScimError(answer);
    if (scimTypes) expect(scimTypes, label).toContain(answer.body.scimType);
    expectDiscreet(answer, hostile);
  }
  expect(await dump()).toBe(before);
}

/** All of them answered as if nothing had been asked for, and no row of any table is another one afterwards. */
async function allIgnored(cases: Case[]) {
  const before = await dump();
  for (const hostile of cases) {
    const answer = await send(hostile);
    expect(answer.status, JSON.stringify(hostile.body).slice(0, 300)).toBe(200);
    expect(answer.text).not.toContain(SECRET);
  }
  expect(await dump()).toBe(before);
}

/** Whether they are taken or refused: neither a failure of the service nor an answer without a form. */
async function noneFails(cases: Case[]) {
  for (const hostile of cases) {
    const answer = await send(hostile);
    const label = `${hostile.method} ${hostile.path.slice(0, 300)} ${String(JSON.stringify(hostile.body)).slice(0, 500)} -> ${answer.text.slice(0, 200)}`;
    expect(answer.status, label).toBeLessThan(500);
    if (answer.status < 400) continue;
    expectScimError(answer);
    expectDiscreet(answer, hostile);
  }
}

const patchBody = (...operations: unknown[]) => ({ schemas: [PATCH_OP], Operations: operations });

/** The same members by POST, by PUT, and by PATCH without a path. */
const everyWay = (members: Record<string, unknown>): Case[] => [
  { method: 'POST', path: '/Users', body: { schemas: [USER], userName: 'eve@example.com', ...members } },
  { method: 'PUT', path: `/Users/${user}`, body: { schemas: [USER], userName: 'eve@example.com', ...members } },
  { method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op: 'replace', value: members }) },
  { method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op: 'add', value: members }) },
];

const byPath = (path: string, value: unknown): Case[] =>
  ['add', 'replace'].map((op) => ({ method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op, path, value }) }));

/** Values that no attribute of this kind can have. */
function wrongValues({ type, multiValued, name, subAttributes }: Attribute): unknown[] {
  const object = { [SECRET]: SECRET, inner: { deep: [SECRET] } };
  // A text is a value where elements have one.
  const texts = subAttributes?.some((sub) => sub.name === 'value') ? [] : [SECRET, [SECRET]];
  if (multiValued) return [...texts, 7, true, [7], [[object]], [[SECRET]], [true]];
  switch (type) {
    case 'complex':
      return [...(name === 'manager' ? [[{}, {}]] : [SECRET, [SECRET], [object, object]]), 7, true, [7]];
    case 'boolean':
      return [SECRET, 7, 1, 0, 'yes', object, [true, true], [[true]], [object]];
    case 'binary':
      return [`${SECRET}!`, 7, true, object, ['TQ==', 'TQ==']];
    default:
      return [7, 0, 1.5, true, false, object, [SECRET, SECRET], [[SECRET]], [7], [object]];
  }
}

const writable = (attributes: readonly Attribute[] | undefined) =>
  (attributes ?? []).filter(({ mutability, name }) => mutability !== 'readOnly' && name !== 'schemas');

describe('a value of the wrong type', () => {
  for (const attribute of writable(userType.attributes)) {
    it(`is refused at ${attribute.name}, and at each of its sub-attributes`, async () => {
      const cases = wrongValues(attribute).flatMap((value) => [
        ...everyWay({ [attribute.name]: value }),
        byPath(attribute.name, value)[0]!,
      ]);
      for (const [s, sub] of writable(attribute.subAttributes).entries()) {
        const inside = (value: unknown) => {
          const object = { [sub.name]: value };
          return { [attribute.name]: attribute.multiValued ? [object] : object };
        };
        const separator = attribute.name.startsWith('urn:') ? ':' : '.';
        // A third of them at each: at the next one it is another third.
        for (const [i, value] of [...wrongValues(sub).entries()].filter((_, i) => (i + s) % 3 === 0)) {
          cases.push(everyWay(inside(value))[i % 4]!);
          if (!attribute.multiValued) cases.push(byPath(attribute.name + separator + sub.name, value)[0]!);
          else cases.push(byPath(`${attribute.name}[display eq "x"].${sub.name}`, value)[1]!);
        }
        for (const inner of writable(sub.subAttributes)) {
          for (const [i, value] of wrongValues(inner).entries()) {
            cases.push(everyWay(inside({ [inner.name]: value }))[i % 4]!);
          }
        }
      }
      // An address has no `display` to be selected by.
      const asked = cases.filter(({ body }) => !JSON.stringify(body).includes('addresses[display'));
      await allRefused(asked, 400, ['invalidValue']);
    });
  }

  it('is refused with the name of the attribute and what was expected', async () => {
    const expected: [Record<string, unknown>, RegExp][] = [
      [{ userName: 12345 }, /^userName: a string was expected$/],
      [{ active: 'perhaps' }, /^active: true or false was expected$/],
      [{ addresses: 'a@example.com' }, /^addresses: a list of objects was expected$/],
      [{ emails: [{ value: [SECRET, SECRET] }] }, /^emails\.value: a string was expected$/],
      [{ name: [] as unknown, displayName: 7 }, /: (an object|a string) was expected$/],
      [{ name: { givenName: {} } }, /^name\.givenName: a string was expected$/],
      [{ [ENTERPRISE_USER]: { department: 7 } }, /department: a string was expected$/],
      [{ [ENTERPRISE_USER]: { manager: { value: 7 } } }, /manager\.value: a string was expected$/],
      [{ x509Certificates: [{ value: '***' }] }, /^x509Certificates\.value: base64 text was expected$/],
      [{ emails: [{ value: 'a', primary: true }, { value: 'b', primary: true }] }, /^emails: at most one .*primary/], // biome-ignore format: one case a line
    ];
    for (const [members, detail] of expected) {
      const [post] = everyWay(members);
      expectRefusal(await send(post!), 400, 'invalidValue', detail);
    }
  });
});

describe('text that is no text', () => {
  const bad: [string, string][] = [
    ['a lone surrogate', `${SECRET}\ud800`],
    ['surrogates in the wrong order', `\udc00\ud800${SECRET}`],
    ['U+0000', `${SECRET}\0`],
    ['more characters than are accepted', SECRET.repeat(2000)],
    ['a million characters', 'x'.repeat(1_000_000)],
  ];
  for (const [name, text] of bad) {
    it(`${name} is refused wherever it stands`, async () => {
      await allRefused(
        [
          ...everyWay({ userName: text }),
          ...everyWay({ displayName: text }),
          ...everyWay({ externalId: text }),
          ...everyWay({ emails: [{ value: text }] }),
          ...everyWay({ name: { familyName: text } }),
          ...everyWay({ [ENTERPRISE_USER]: { department: text, manager: { value: 'x' } } }),
          ...everyWay({ [ENTERPRISE_USER]: { manager: { value: text } } }),
          ...byPath('title', text),
          ...byPath('emails[type eq "home"].value', text),
        ],
        400,
        ['invalidValue'],
      );
    });
  }

  it('a userName that is nothing but space is refused', async () => {
    const names = ['', ' ', '\t\n', '\u3000'];
    await allRefused(
      names.flatMap((userName) => everyWay({ userName })),
      400,
      ['invalidValue'],
    );
  });
});

describe('a body that is no JSON object', () => {
  const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
  const bodies: (string | Uint8Array)[] = [
    '',
    ' ',
    '{',
    '}',
    '[',
    ']',
    '"',
    'null',
    'true',
    '17',
    `"${SECRET}"`,
    '[]',
    '[{}]',
    'undefined',
    'NaN',
    '{"userName":}',
    '{"userName":"x",}',
    "{'userName':'x'}",
    '{userName:"x"}',
    '{"userName":"x"',
    '{"userName":"x"}}',
    '{"userName":"x"} {"userName":"y"}',
    '{"userName":"x"} // a comment',
    '{"userName":"\\x"}',
    '{"userName":"a\nb"}',
    '{"userName":01}',
    '{"userName":"x\0"}',
    `${SECRET}=1&b=2`,
    '<Envelope/>',
    '{"userName":"x","userName":"y"}',
    '{"userName":"x","user\\u004eame":"y"}',
    '{"schemas":[],"schemas":[]}',
    '{"name":{"givenName":"x","givenName":"y"}}',
    '{"emails":[{"value":"x","value":"y"}]}',
    '{"Operations":[{"op":"remove","op":"replace","path":"title"}]}',
    '{"__proto__":{"active":true},"userName":"x"}',
    '{"name":{"__proto__":{}},"userName":"x"}',
    '{"\\u005f_proto__":1}',
    `{"a":${nested('[', ']', 33)}}`,
    `{"a":${nested('[', ']', 10_000)}}`,
    nested('{"a":', '}', 10_000).replace('}', '1}'),
    nested('[', ']', 100_000),
    '{"a":'.repeat(10_000),
    '['.repeat(500_000),
    '{"'.repeat(100_000),
    '\\'.repeat(100_000),
    new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    new Uint8Array([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d]),
    new Uint8Array([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]),
    new Uint8Array([0x7b, 0x22, 0xf0, 0x9f, 0x98]),
    new Uint8Array([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
    new Uint8Array(1000),
  ];
  const places = [
    ['POST', '/Users'],
    ['PUT', '/Users/:id'],
    ['PATCH', '/Users/:id'],
    ['POST', '/Users/.search'],
    ['POST', '/.search'],
  ] as const;
  for (const [method, path] of places) {
    it(`is refused at ${method} ${path}`, async () => {
      await allRefused(
        // An empty search is one without conditions.
        bodies
          .filter((raw) => raw !== '' || !path.endsWith('.search'))
          .map((raw) => ({ method, path: path.replace(':id', user), raw })),
        400,
        ['invalidSyntax'],
      );
    });
  }

  it('is refused with the member that is there twice', async () => {
    const answer = await idp.ask('POST', '/Users', { raw: '{"userName":"x","title":"a","title":"b"}' });
    expectRefusal(answer, 400, 'invalidSyntax', /title twice/);
  });

  it('is refused when two names differ in letter case only', async () => {
    await allRefused(
      [
        ...everyWay({ title: 'a', TITLE: 'b' }).slice(0, 2),
        ...everyWay({ emails: [{ value: 'a', Value: 'b' }] }).slice(0, 2),
        { method: 'POST', path: '/Users', body: { userName: 'x', schemas: [USER], Schemas: [USER] } },
      ],
      400,
    );
  });

  const schemas = [USER, {}, 7, true, [null], [7], [[USER]], ['urn:x'], [PATCH_OP], [SECRET]];
  for (const value of schemas) {
    it(`is refused when schemas is ${JSON.stringify(value)}`, async () => {
      const cases = everyWay({}).slice(0, 2);
      await allRefused(
        cases.map((one) => ({ ...one, body: { ...(one.body as object), schemas: value } })),
        400,
        ['invalidSyntax'],
      );
    });
  }
});

describe('names that every JavaScript object has', () => {
  const names = [
    'constructor',
    'toString',
    'valueOf',
    'hasOwnProperty',
    'prototype',
    '__defineGetter__',
    'length',
    'name.constructor',
    'emails.toString',
    `${USER}:constructor`,
    `${ENTERPRISE_USER}:constructor`,
    `${ENTERPRISE_USER}:toString`,
  ];
  for (const name of names) {
    it(`${name} is no attribute in a body, a path, a filter, a sort order, a projection or an id`, async () => {
      const before = await dump();
      const [, , replace, add] = everyWay({ [name]: SECRET, name: { [name]: SECRET }, emails: [{ [name]: SECRET }] });
      const { emails: _, ...members } = { [name]: SECRET, name: { [name]: SECRET }, emails: 0 };
      for (const one of everyWay(members).slice(2)) expect((await send(one)).status).toBe(200);
      for (const path of [`/Users?attributes=${name}`, `/Users?excludedAttributes=${name}`]) {
        expect((await idp.get(path)).status).toBe(200);
      }
      expect(await dump()).toBe(before);
      await noneFails([replace!, add!]);

      const created = await idp.post('/Users', { userName: `${name}@example.com`, [name]: { a: SECRET } });
      expect(created.status).toBe(201);
      expect(created.text).not.toContain(SECRET);
      await idp.delete(`/Users/${created.body.id}`);

      const paths = [name, `emails[type eq "x"].${name}`, `emails[${name} eq "x"].value`];
      const cases = paths.flatMap((path) => byPath(path, 'x'));
      // RFC 7643 §2.1: a name begins with a letter.
      if (name.startsWith('_')) await allRefused(cases, 400, ['invalidPath']);
      else await allIgnored(cases);
      await allRefused(
        [`${name} eq "x"`, `${name} pr`, `emails[${name} pr]`].map((filter) => ({
          method: 'GET',
          path: `/Users?filter=${encodeURIComponent(filter)}`,
        })),
        400,
        ['invalidFilter'],
      );
      await allRefused([{ method: 'GET', path: `/Users?sortBy=${name}` }], 400, ['invalidValue']);
      await allRefused(
        ['/Users/', '/Schemas/', '/ResourceTypes/', '/'].map((place) => ({ method: 'GET', path: place + name })),
        404,
      );
    });
  }
});

describe('a PATCH that is none', () => {
  const prose = [
    'the display name',
    'emails where type is work',
    'please set the title',
    'emails[',
    'emails[]',
    'emails[type]',
    'emails[type eq]',
    'emails[type eq "work"',
    'emails[type eq "work"].',
    'emails[type eq "work"]value',
    'emails[type eq "work"][value eq "x"]',
    'emails[value eq "x" or]',
    'emails[value zz "x"]',
    "emails[value eq 'x']",
    'userName[value eq "x"]',
    '.',
    '/',
    '/userName',
    '[',
    ']',
    '"',
    '*',
    '%',
    'name..givenName',
    'name.',
    '.name',
    'name.givenName.more',
    'userName;DROP TABLE users',
    "userName' OR '1'='1",
    '#{userName}',
    'ämter',
    'title\0',
    '\ud800',
    '😀',
    'urn:',
    `${USER}:`,
    'x'.repeat(10_000),
    `emails[type eq "${'x'.repeat(10_000)}"].value`,
    '('.repeat(1_000),
    `emails${'['.repeat(1_000)}`,
    `emails[${'('.repeat(1_000)}type eq "x"${')'.repeat(1_000)}]`,
    `emails[${'not ('.repeat(1_000)}type eq "x"${')'.repeat(1_000)}]`,
    `emails[${Array(300).fill('type eq "x"').join(' or ')}]`,
  ];
  it('is refused for a path that is prose, garbage or too long', async () => {
    const cases = prose.flatMap((path) => [
      ...byPath(path, SECRET),
      { method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op: 'remove', path }) },
    ]);
    await allRefused(cases, 400, ['invalidPath', 'invalidFilter']);
  });

  it('changes nothing by a path to what is not there', async () => {
    const unknown = [
      'emails[type eq "work"].nothing',
      'emails[type eq "work"].value.more',
      'emails[nothing eq "x"]',
      'name[givenName eq "x"].emails',
      '$',
      'urn:x:y',
      `${USER}:nothing`,
      `${ENTERPRISE_USER}:nothing`,
      `${ENTERPRISE_USER}.nothing`,
    ];
    await allIgnored(
      unknown.flatMap((path) => [
        ...byPath(path, SECRET),
        { method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op: 'remove', path }) },
      ]),
    );
  });

  it('is refused for operations that are none', async () => {
    const operations: unknown[] = [
      undefined,
      null,
      {},
      SECRET,
      7,
      [null],
      [7],
      [SECRET],
      [[]],
      [{}],
      [{ op: 'move', path: 'title', value: 'x' }],
      [{ op: SECRET.replace(SECRET, 'DROP'), path: 'title', value: 'x' }],
      [{ op: 7, path: 'title', value: 'x' }],
      [{ op: ['add'], path: 'title', value: 'x' }],
      [{ op: { toString: 'add' }, path: 'title', value: 'x' }],
      [{ op: 'constructor', path: 'title', value: 'x' }],
      [{ op: 'add', path: 7, value: SECRET }],
      [{ op: 'add', path: ['title'], value: SECRET }],
      [{ op: 'add', path: {}, value: SECRET }],
      [{ op: 'add', path: true, value: SECRET }],
      [{ op: 'replace', path: 'title', value: 'Prof' }, { op: 'replace' }],
    ];
    await allRefused(
      operations.map((Operations) => ({
        method: 'PATCH',
        path: `/Users/${user}`,
        body: { schemas: [PATCH_OP], Operations },
      })),
      400,
    );
  });

  it('is refused for a value that is none', async () => {
    const values: unknown[] = [SECRET, 7, true, null, [], [SECRET], [{}, {}], [[{ title: SECRET }]]];
    await allRefused(
      values.flatMap((value) => [
        { method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op: 'replace', value }) },
        { method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op: 'add', value }) },
      ]),
      400,
      ['invalidValue'],
    );
    await allRefused(
      [
        { method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op: 'remove' }) },
        { method: 'PATCH', path: `/Users/${user}`, body: patchBody({ op: 'remove', value: { title: SECRET } }) },
      ],
      400,
      ['noTarget'],
    );
  });

  it('changes nothing when the last of many operations is wrong', async () => {
    const good = Array.from({ length: 99 }, (_, i) => ({ op: 'replace', path: 'title', value: `T${i}` }));
    await allRefused(
      [
        {
          method: 'PATCH',
          path: `/Users/${user}`,
          body: patchBody(...good, { op: 'replace', path: 'active', value: SECRET }),
        },
        { method: 'PATCH', path: `/Users/${user}`, body: patchBody(...good, { op: 'remove', path: 'userName' }) },
        {
          method: 'PATCH',
          path: `/Users/${user}`,
          body: patchBody(...good, { op: 'replace', path: 'id', value: SECRET }),
        },
        {
          method: 'PATCH',
          path: `/Users/${user}`,
          body: patchBody(...good, { op: 'replace', path: 'meta.version', value: SECRET }),
        },
        {
          method: 'PATCH',
          path: `/Users/${user}`,
          body: patchBody(...good, { op: 'add', path: 'groups', value: [{ value: SECRET }] }),
        },
      ],
      400,
      ['invalidValue', 'mutability'],
    );
  });

  it('is refused with more operations than are accepted', async () => {
    const operations = Array.from({ length: 1_001 }, () => ({ op: 'replace', path: 'title', value: SECRET }));
    await allRefused([{ method: 'PATCH', path: `/Users/${user}`, body: patchBody(...operations) }], 400, ['tooMany']);
  });
});

describe('a filter that is none', () => {
  const many = (n: number, term: string, joint = ' or ') => Array(n).fill(term).join(joint);
  const wrong = [
    '',
    ' ',
    'userName',
    'userName eq',
    'userName "x"',
    'userName eq "x',
    'userName eq x"',
    `userName eq '${SECRET}'`,
    `userName = "${SECRET}"`,
    `userName == "${SECRET}"`,
    `userName like "${SECRET}"`,
    `userName eqq "${SECRET}"`,
    'userName eq "x" and',
    'and userName pr',
    'userName pr or or userName pr',
    'not userName pr',
    '(userName pr',
    'userName pr)',
    '()',
    'emails[]',
    'emails[type eq "work"',
    'emails[type eq "work"]]',
    'emails[emails[type eq "work"]]',
    'nothing eq "x"',
    'emails.nothing eq "x"',
    'name.givenName.more eq "x"',
    'urn:nothing:User:userName eq "x"',
    'password eq "x"',
    'password pr',
    'active gt true',
    'active eq "perhaps"',
    'active co "t"',
    'name eq "x"',
    'addresses eq "x"',
    'meta.created eq "yesterday"',
    'meta.created gt 7',
    'userName gt null',
    'userName eq "\\ud800"',
    'userName eq "\\u0000"',
    'userName eq "\\q"',
    "' OR 1=1 --",
    '"; DROP TABLE users; --',
    'userName eq "x"; DROP TABLE users',
    '#{userName} eq "x"',
    'userName eq "x" UNION SELECT * FROM credentials',
    '\ud800 eq "x"',
    'üser eq "x"',
    '😀 pr',
    '('.repeat(1_000),
    `${'('.repeat(1_000)}userName pr${')'.repeat(1_000)}`,
    `${'not ('.repeat(1_000)}userName pr${')'.repeat(1_000)}`,
    `${'emails['.repeat(1_000)}`,
    `userName eq "${'x'.repeat(10_000)}"`,
    ' '.repeat(10_000),
    many(251, 'title pr'),
    many(2_000, 'a'),
  ];
  it('is refused in a query string', async () => {
    const cases = wrong.map((filter) => ({
      method: 'GET',
      path: `/Users?filter=${encodeURIComponent(filter.toWellFormed())}`,
    }));
    await allRefused(cases, 400, ['invalidFilter']);
  });

  it('is refused in both searches', async () => {
    const cases = wrong.flatMap((filter) =>
      ['/.search', '/Users/.search'].map((path) => ({ method: 'POST', path, body: { filter } })),
    );
    await allRefused(cases, 400, ['invalidFilter']);
  });

  it('of every attribute, operator and value is answered or refused', async () => {
    const paths = userType.attributes.flatMap(({ name, subAttributes }) => [
      name,
      ...(subAttributes ?? []).map((sub) => `${name}${name.startsWith('urn:') ? ':' : '.'}${sub.name}`),
    ]);
    paths.push(`${ENTERPRISE_USER}:manager.value`, `${ENTERPRISE_USER}:manager.$ref`, 'manager.displayName');
    const values = ['"x"', '""', 'true', '7', '-1.5e300', 'null', 'word', '"2026-01-01T00:00:00Z"', '"%_*?"'];
    const operators = ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'];
    const filters = paths.flatMap((path, p) => [
      `${path} pr`,
      `not (${path} pr)`,
      ...operators
        .filter((_, o) => (p + o) % 2 === 0)
        .map((operator, o) => `${path} ${operator} ${values[(p + o * 2 + 1) % values.length]}`),
    ]);
    await noneFails(
      filters.map((filter) => ({ method: 'GET', path: `/Users?count=2&filter=${encodeURIComponent(filter)}` })),
    );
  });

  it('as large as is accepted is answered, however dear it is', async () => {
    const dear = [
      many(250, 'title pr'),
      many(250, 'emails.value eq "x"'),
      many(250, 'emails[value eq "x"]'),
      many(200, 'manager.displayName ew "x"'),
      many(250, 'manager.displayName sw "x"'),
      many(250, 'manager.$ref ew "x"'),
      many(250, 'meta.location ew "x"'),
      many(250, 'addresses.region ew "x"'),
      many(120, 'addresses[not (region ew "x")]', ' and '),
      many(125, 'not (emails pr and title pr)', ' and '),
      `${'('.repeat(49)}userName pr${')'.repeat(49)}`,
      `${'not ('.repeat(30)}userName pr${')'.repeat(30)}`,
      `${'(title pr and '.repeat(45)}userName pr${')'.repeat(45)}`,
      `${'(title pr or '.repeat(20)}${'not ('.repeat(20)}emails[type eq "work"]${')'.repeat(40)}`,
      ...[5, 10, 15, 17, 18, 19, 20, 25].map(
        (n) => `${'(title pr and not ('.repeat(n)}manager.displayName ew "x"${'))'.repeat(n)}`,
      ),
      ...[20, 30, 35, 36, 37, 38, 39, 40].map((n) => `${'not ('.repeat(n)}manager.displayName ew "x"${')'.repeat(n)}`),
      ...[15, 16, 17, 20, 21, 22, 30].map((n) => `emails[${'not ('.repeat(n)}type ew "x"${')'.repeat(n)}]`),
      ...[10, 11, 12, 14, 15].map((n) => `emails[${'(value pr and not ('.repeat(n)}type ew "x"${'))'.repeat(n)}]`),
      `emails[${many(249, 'type ew "x"')}]`,
    ];
    await noneFails(
      dear.flatMap((filter) => [
        { method: 'POST', path: '/Users/.search', body: { filter } },
        { method: 'POST', path: '/Users/.search', body: { filter, sortBy: 'manager.displayName' } },
      ]),
    );
    for (const filter of dear) {
      const answer = await ask('POST', `${BASE}/orgs/hostile/scim/v2/Users/.search`, {
        body: { filter },
        headers: { Authorization: `Bearer ${idp.token}` },
      });
      expect(answer.status, filter.slice(0, 80)).toBeLessThan(500);
    }
  });

  it('in a value says what it looks for and nothing else', async () => {
    const values = [
      "x' OR '1'='1",
      '"; DROP TABLE users; --',
      "'); DELETE FROM users; --",
      '%',
      '_',
      '?1',
      '\\',
      '\u202e',
    ];
    const before = await dump();
    for (const value of values) {
      for (const path of ['userName', 'title', 'emails.value', 'externalId']) {
        for (const operator of ['eq', 'co', 'sw', 'ew']) {
          const filter = `${path} ${operator} ${JSON.stringify(value)}`;
          const answer = await idp.get(`/Users?filter=${encodeURIComponent(filter)}`);
          expect(answer.body, filter).toMatchObject({ totalResults: 0, Resources: [] });
        }
      }
    }
    expect(await dump()).toBe(before);
  });
});

describe('query parameters', () => {
  const odd = ['x', '1.5', '1e3', '0x10', '--1', '1;2', "1' OR 1", '½', '١', 'NaN', 'Infinity', 'null', '[1]', '1,2'];
  it('that should be integers and are not are refused by name', async () => {
    for (const name of ['startIndex', 'count']) {
      await allRefused(
        odd.map((value) => ({ method: 'GET', path: `/Users?${name}=${encodeURIComponent(value)}` })),
        400,
        ['invalidValue'],
      );
      const values: unknown[] = ['x', '1.5', '0x1', 1.5, true, [1], {}, { valueOf: 1 }];
      await allRefused(
        values.flatMap((value) =>
          ['/.search', '/Users/.search'].map((path) => ({ method: 'POST', path, body: { [name]: value } })),
        ),
        400,
        ['invalidValue'],
      );
    }
  });

  it('as large as can be written are answered', async () => {
    for (const huge of ['9007199254740991', '9223372036854775807', '9223372036854775808', '9'.repeat(400)]) {
      for (const sign of ['', '+', '-']) {
        for (const name of ['startIndex', 'count']) {
          const answer = await idp.get(`/Users?${name}=${encodeURIComponent(sign + huge)}`);
          expect(answer.status, `${name}=${sign}${huge}`).toBe(200);
        }
      }
    }
    for (const huge of [9007199254740991, 1e300, -1e300, 1.7976931348623157e308]) {
      for (const name of ['startIndex', 'count']) {
        expect((await idp.post('/Users/.search', { [name]: huge })).status).toBe(200);
      }
    }
  });

  it('of every odd kind are answered or refused', async () => {
    const texts = [
      '%',
      '%zz',
      '%ff%fe',
      '%ed%a0%80',
      '%00',
      '%F0%9F%98%80',
      '[]',
      '{}',
      '.',
      ',',
      ',,,,',
      'a.b.c.d',
      '[[[[',
      '$',
      encodeURIComponent("'; DROP TABLE users; --"),
      '<script>',
      'x'.repeat(8_000),
      '['.repeat(8_000),
      ','.repeat(8_000),
      `urn:${':'.repeat(3_000)}`,
    ];
    const names = [
      'filter',
      'sortBy',
      'sortOrder',
      'attributes',
      'excludedAttributes',
      'startIndex',
      'count',
      '__proto__',
      'constructor',
    ];
    await noneFails(
      names.flatMap((name, n) =>
        texts.map((text, t) => ({
          method: 'GET',
          path: `${['/Users', `/Users/${user}`, '/Schemas', '/Users'][(n + t) % 4]}?${name}=${text}`,
        })),
      ),
    );
  });

  it('in a search of the wrong type are refused by name', async () => {
    const wrong = [7, true, {}, [7], [[]], [null], { length: 1 }];
    const cases = ['filter', 'sortBy', 'sortOrder', 'attributes', 'excludedAttributes'].flatMap((name) =>
      wrong.flatMap((value) =>
        ['/.search', '/Users/.search'].map((path) => ({ method: 'POST', path, body: { [name]: value } })),
      ),
    );
    await allRefused(cases, 400, ['invalidValue']);
  });

  it('with a hundred thousand brackets or names are answered in no time', async () => {
    const started = Date.now();
    for (const name of ['attributes', 'excludedAttributes']) {
      for (const value of ['['.repeat(200_000), [`emails${'['.repeat(200_000)}`], Array(500).fill('emails.value')]) {
        expect((await idp.post('/Users/.search', { [name]: value })).status).toBe(200);
      }
      expectRefusal(await idp.post('/Users/.search', { [name]: Array(20_000).fill('emails') }), 400, 'invalidValue');
    }
    expect(Date.now() - started).toBeLessThan(5_000);
  });
});

describe('an id in the path', () => {
  const ids = [
    'x',
    '0',
    '-1',
    'null',
    'undefined',
    '%20',
    '%00',
    '%0A',
    '%ff',
    '%',
    '%zz',
    '%E0%A4%A',
    '😀',
    '%F0%9F%98%80',
    'ﬁ',
    '*',
    '%25',
    '_',
    '1%20OR%201=1',
    "'%20OR%20'1'='1",
    '%27%3B%20DROP%20TABLE%20users%3B--',
    '%2e%2e%2f',
    '..%2f..%2fadmin',
    '%3Fattributes=id',
    'x'.repeat(8_000),
    '%C3%A9'.repeat(2_000),
    ':id',
    '{id}',
    '$&',
    '.search%00',
  ];
  it('that is none is a 404 to every method', async () => {
    const cases = ids.flatMap((id) => [
      { method: 'GET', path: `/Users/${id}` },
      { method: 'DELETE', path: `/Users/${id}` },
      { method: 'PUT', path: `/Users/${id}`, body: { userName: SECRET } },
      { method: 'PATCH', path: `/Users/${id}`, body: patchBody({ op: 'replace', path: 'title', value: SECRET }) },
      { method: 'GET', path: `/Schemas/${id}` },
      { method: 'GET', path: `/ResourceTypes/${id}` },
    ]);
    await allRefused(cases, 404);
  });

  it('of a user in another letter case, or with more around it, is not that user', async () => {
    const near = [
      user.toUpperCase(),
      ` ${user}`,
      `${user}%20`,
      `${user}%00`,
      `%7B${user}%7D`,
      user.replaceAll('-', ''),
    ];
    await allRefused(
      near.map((id) => ({ method: 'GET', path: `/Users/${encodeURI(id).replaceAll('%25', '%')}` })),
      404,
    );
  });

  it('says the same address whether or not the path was written with escapes', async () => {
    const plain = await idp.get(`/Users/${user}`);
    const escaped = await ask('GET', `${BASE}/%73cim/v2/Users/${user}`, {
      headers: { Authorization: `Bearer ${idp.token}` },
    });
    if (escaped.status === 200) expect(escaped.body.meta.location).toBe(plain.body.meta.location);
    else expectScimError(escaped);
  });
});

describe('a body that is too large, or of another kind', () => {
  const MB = 1_048_576;
  const big = JSON.stringify({ userName: 'big@example.com', unknown: 'x'.repeat(MB) });
  const streamed = (text: string) =>
    new ReadableStream({
      start(controller) {
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length; at += 65_536) controller.enqueue(bytes.slice(at, at + 65_536));
        controller.close();
      },
    });
  const places = (): [string, string][] => [
    ['POST', '/Users'],
    ['PUT', `/Users/${user}`],
    ['PATCH', `/Users/${user}`],
    ['POST', '/.search'],
    ['POST', '/Users/.search'],
  ];

  it('is refused with 413, with a Content-Length, without one, and with a false one', async () => {
    await allRefused(
      places().flatMap(([method, path]): Case[] => [
        { method, path, raw: big },
        { method, path, raw: big, headers: { 'Content-Length': String(big.length) } },
        { method, path, raw: big, headers: { 'Content-Length': '10' } },
        { method, path, raw: '{}', headers: { 'Content-Length': String(MB + 1) } },
        { method, path, raw: streamed(big) },
        { method, path, raw: streamed(big.repeat(5)) },
      ]),
      413,
    );
  });

  it('is taken at exactly the limit, and refused one byte above it', async () => {
    const sized = (bytes: number) => {
      const frame = JSON.stringify({ count: 0, unknown: '' });
      return frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`);
    };
    expect((await idp.ask('POST', '/Users/.search', { raw: sized(MB) })).status).toBe(200);
    expectRefusal(await idp.ask('POST', '/Users/.search', { raw: sized(MB + 1) }), 413);
  });

  it('is refused with 415 unless its media type is JSON', async () => {
    const types = [
      'text/plain',
      'text/json',
      'application/xml',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/scim',
      'application/scim+json-not',
      'application/jsonp',
      'application/json, text/plain',
      'json',
      '*/*',
      'x'.repeat(5_000),
    ];
    await allRefused(
      places().flatMap(([method, path]) =>
        types.map((type) => ({ method, path, raw: '{}', headers: { 'Content-Type': type } })),
      ),
      415,
    );
  });

  it('is refused in another charset than UTF-8, by every API: it would be read as what it is not', async () => {
    for (const charset of ['utf-16', '"UTF-16LE"', 'iso-8859-1', ' windows-1252 ', '']) {
      const more = { raw: '{}', headers: { 'Content-Type': `application/json; charset=${charset}` } };
      const answers = [
        await idp.ask('POST', '/Users/.search', more),
        await admin('POST', `/orgs/${idp.slug}/tokens`, { headers: more.headers, body: {} }),
        await host('POST', '/check', { headers: more.headers, body: {} }),
      ];
      for (const { status, text } of answers) {
        expect([charset, status]).toEqual([charset, 415]);
        expect(text).toContain('the charset utf-8 was expected, or none');
      }
    }
  });

  it('of JSON is taken under every name that clients give it', async () => {
    for (const type of [
      'application/scim+json',
      'application/json',
      'application/scim+json; charset=utf-8',
      'application/scim+json;charset=UTF-8',
      'APPLICATION/JSON',
      ' application/json ; q=1',
      'application/json; charset="utf-8"',
      'application/json; q=1; charset=us-ascii',
    ]) {
      const answer = await idp.ask('POST', '/Users/.search', { raw: '{}', headers: { 'Content-Type': type } });
      expect(answer.status, type).toBe(200);
    }
  });

  /** Three bytes a character in UTF-8, and kept twice: as it is and folded. */
  const wide = (character: string) => character.repeat(250_000);
  it('of characters that take the most room is stored or refused, by every method', async () => {
    const userName = 'wide@example.com';
    const { id } = await idp.user(userName);
    const answers = [
      await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'profileUrl', value: wide('猫') }]),
      await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'photos', value: [{ value: wide('猫') }] }]),
      await idp.put(`/Users/${id}`, { userName, profileUrl: wide('狗'), title: 'ΐ'.repeat(16_000) }),
      await idp.put(`/Users/${id}`, { userName, profileUrl: 'x', photos: [{ value: wide('犬') }] }),
      await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'profileUrl', value: wide('\u0001').slice(0, 100_000) }]),
      await idp.delete(`/Users/${id}`),
      await idp.post('/Users', { userName, photos: [{ value: wide('馬') }] }),
    ];
    for (const answer of answers) {
      expect(answer.status, answer.text.slice(0, 200)).toBeLessThan(500);
      if (answer.status >= 400) expectRefusal(answer, 413);
    }
    const left = await idp.get('/Users?filter=userName eq "wide@example.com"&attributes=id');
    for (const { id } of left.body.Resources) expect((await idp.delete(`/Users/${id}`)).status).toBe(204);
  });
});

describe('odd headers', () => {
  let user: string;
  beforeAll(async () => {
    user = (await idp.user('headers@example.com')).id;
    await idp.patch(`/Users/${user}`, [{ op: 'replace', path: 'title', value: 'Dr' }]); // version 2
  });

  const writes = (tag: string) => {
    const headers = { 'If-Match': tag };
    return [
      { method: 'PUT', path: `/Users/${user}`, body: { userName: SECRET }, headers },
      {
        method: 'PATCH',
        path: `/Users/${user}`,
        body: patchBody({ op: 'replace', path: 'title', value: SECRET }),
        headers,
      },
      { method: 'DELETE', path: `/Users/${user}`, headers },
    ];
  };

  it('If-Match with the tag of another version is a 412', async () => {
    const odd = ['""', '"*"', 'W/"*"', '"02"', '"2.0"', '"2e0"', '"+2"', '" 2"', 'W/"2 "', '"1", "3"'];
    await allRefused([...odd, `"${'2'.repeat(5_000)}"`].flatMap(writes), 412);
  });

  it('If-Match that is no entity-tag is a 400 that says what was expected', async () => {
    const odd = ['', ' ', '"', 'W/', 'W/"', '2', 'W/2', 'W/1', 'null', "'2'", '"'.repeat(5_001), 'é', 'W/"2" W/"3"'];
    await allRefused(odd.flatMap(writes), 400, ['invalidValue']);
  });

  it('If-None-Match that is no tag of this version is the user', async () => {
    for (const tag of ['', '"', 'W/', '2', '"02"', '"2.0"', 'null', '"1"', '"'.repeat(5_000)]) {
      expect((await idp.get(`/Users/${user}`, { headers: { 'If-None-Match': tag } })).status, tag).toBe(200);
    }
  });

  it('Authorization of every odd kind is the uniform 401', async () => {
    const odd = [
      'Bearer',
      'Bearer ',
      'Bearer\t',
      ' ',
      ',',
      'Bearer ,',
      'Bearer null',
      'Bearer é',
      'x'.repeat(10_000),
      `Bearer ${'x '.repeat(5_000)}`,
      `Bearer ${idp.token}\t${idp.token}`,
      `Bearer "${idp.token}"`,
      `Bearer ${idp.token},`,
      `Bearer=${idp.token}`,
      `Bearer:${idp.token}`,
      `${idp.token} Bearer`,
      `Bearer ${idp.token.toUpperCase()}`,
      `Bearer ${idp.token.replace('scim_', 'SCIM_')}`,
    ];
    const texts = new Set<string>();
    for (const header of odd) {
      const answer = await ask('GET', `${BASE}/scim/v2/Users`, { headers: { Authorization: header } });
      expectRefusal(answer, 401);
      texts.add(answer.text);
    }
    expect(texts.size).toBe(1);
  });

  it('of every other kind make no difference', async () => {
    const texts = ['', '"', '\x7f', 'é', 'x'.repeat(10_000), "'; DROP TABLE users; --", '*/*;q=nonsense'];
    for (const name of [
      'Accept',
      'User-Agent',
      'X-Request-Id',
      'Prefer',
      'X-Forwarded-For',
      'X-HTTP-Method-Override',
      'Range',
    ]) {
      for (const text of texts) {
        expect((await idp.get(`/Users/${user}`, { headers: { [name]: text } })).status, `${name}: ${text}`).toBe(200);
      }
    }
    const cut = `${'x'.repeat(199)}😀`;
    for (const method of ['create', 'delete'] as const) {
      const answer =
        method === 'create'
          ? await idp.post('/Users', { userName: 'agent@example.com' }, { headers: { 'User-Agent': cut } })
          : await idp.delete(`/Users/${(await idp.user('agent2@example.com')).id}`, { headers: { 'User-Agent': cut } });
      expect(answer.status).toBeLessThan(300);
    }
  });
});

describe('chance', () => {
  /** The same numbers each time (mulberry32), so that a failure can be met again. */
  function dice(seed: number) {
    let state = seed;
    return (below: number) => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) % below;
    };
  }
  const names = [
    ...userType.attributes.flatMap(({ name, subAttributes }) => [
      name,
      ...(subAttributes ?? []).map((sub) => sub.name),
    ]),
    'op',
    'path',
    'value',
    'Operations',
    'constructor',
    '$ref',
    '',
    'x',
  ];
  const leaves = [
    null,
    true,
    false,
    0,
    -1,
    1e308,
    '',
    'x',
    'True',
    '\ud800',
    '\0',
    '2026-01-01T00:00:00Z',
    user,
    USER,
    'work',
    'TQ==',
  ];

  function value(roll: (below: number) => number, depth: number): unknown {
    const kind = roll(depth > 4 ? 2 : 5);
    if (kind < 2) return leaves[roll(leaves.length)];
    if (kind === 2) return Array.from({ length: roll(4) }, () => value(roll, depth + 1));
    return Object.fromEntries(
      Array.from({ length: roll(5) }, () => [names[roll(names.length)], value(roll, depth + 1)]),
    );
  }

  it('of bodies finds nothing that fails', async () => {
    const roll = dice(20261122);
    const id = (await idp.user('chance@example.com')).id;
    const cases = Array.from({ length: 400 }, (_, i): Case => {
      const members = value(roll, 1);
      const object = typeof members === 'object' && !Array.isArray(members) ? { ...members } : { x: members };
      const op = ['add', 'replace', 'remove'][roll(3)];
      const path = [names[roll(names.length)], names[roll(names.length)]].join(['.', ':', '', ' '][roll(4)]);
      switch (i % 4) {
        case 0:
          return { method: 'POST', path: '/Users', body: { ...object, userName: `chance${i}`, schemas: undefined } };
        case 1:
          return { method: 'PUT', path: `/Users/${id}`, body: { ...object, userName: 'chance', schemas: undefined } };
        case 2:
          return {
            method: 'PATCH',
            path: `/Users/${id}`,
            body: {
              Operations: [
                { op, value: members },
                { op, path: names[roll(names.length)], value: members },
              ],
            },
          };
        default:
          return { method: 'PATCH', path: `/Users/${id}`, body: { Operations: [{ op, path, value: members }] } };
      }
    });
    await noneFails(cases);
    expect((await idp.get('/Users?count=500')).status).toBe(200);
  });

  it('of paths and filters finds nothing that fails', async () => {
    const roll = dice(7644);
    const words = [
      'emails',
      'type',
      'value',
      'name',
      'active',
      'meta',
      'manager',
      'groups',
      'eq',
      'ne',
      'co',
      'pr',
      'and',
      'or',
      'not',
      '(',
      ')',
      '[',
      ']',
      '.',
      ' ',
      ' ',
      ' ',
      '"x"',
      '"work"',
      'true',
      'null',
      '7',
      ENTERPRISE_USER,
      ':',
      '"',
      '\\',
    ];
    const text = () => Array.from({ length: 1 + roll(12) }, () => words[roll(words.length)]).join(roll(2) ? ' ' : '');
    const before = await dump();
    const cases = Array.from(
      { length: 600 },
      (_, i): Case =>
        i % 2 === 0
          ? { method: 'POST', path: '/Users/.search', body: { filter: text(), count: 1 } }
          : {
              method: 'PATCH',
              path: `/Users/${user}`,
              body: patchBody({ op: 'remove', path: text() }, { op: 'replace', path: 'id', value: 'x' }),
            },
    );
    await noneFails(cases);
    expect(await dump()).toBe(before);
  });
});
