/** The two filter evaluators, in SQL and in memory, hold of the same users, whoever they are and whatever is asked. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Attribute, ResourceType } from '../../src/scim/attribute';
import type { ScimError } from '../../src/scim/error';
import type { Condition } from '../../src/scim/filter/condition';
import { matches } from '../../src/scim/filter/match';
import { MAX_FILTER_LENGTH, MAX_FILTER_TERMS, parseFilter } from '../../src/scim/filter/parse';
import { resolveFilter } from '../../src/scim/filter/resolve';
import { OPERATORS, type Operator } from '../../src/scim/filter/syntax';
import { foldObject } from '../../src/scim/fold';
import { unassignBlank } from '../../src/scim/identifying';
import { pathName, resolveAttribute } from '../../src/scim/path';
import type { Query } from '../../src/scim/query';
import { represent, searchable } from '../../src/scim/representation';
import type { Json, JsonObject, Resource, Stored } from '../../src/scim/resource';
import { groupType, userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER as E, USER } from '../../src/scim/urns';
import { buryUser } from '../../src/store/directory/delete-user';
import { insertGroup } from '../../src/store/directory/group-changes';
import { listGroups } from '../../src/store/directory/groups';
import { insertUser } from '../../src/store/directory/user-changes';
import { listUsers, type StoredUser } from '../../src/store/directory/users';
import { OrgStore } from '../../src/store/org/open';
import { GUESS } from '../../src/store/org/profile';
import { newIdp } from '../support/client';
import { Random } from '../support/random';

const random = new Random(Number(env.PROPERTY_SEED));
const USERS = 40;
const GROUPS = 12;
const FILTERS = 300;
const GROUP_FILTERS = 100;

const BASE_URL = 'https://scim.test/scim/v2';
const actor = { name: 'test', requestId: 'test' };

/** Strings at the edges of folding, of SQL, of JSON and of UTF-16. */
// biome-ignore format: one list
const EDGES: readonly string[] = [
  '', ' ', 'a', 'A', 'ada', 'Ada', 'ADA', 'ada@example.com', 'Ada@EXAMPLE.com', '%', '_', '100%', 'a_a', '"', "'", '\\', '\\"',
  "'; DROP TABLE users; --", '?', '?1', '$[0]', '{"a":1}', '[1]', 'null', 'true', 'False', '0', '1', '-1', '1.0', '1e3', '007',
  'straße', 'STRASSE', 'STRAẞE', 'ΟΔΟΣ', 'οδος', 'οδοσ', 'İ', 'I', 'ı', 'i', 'i\u0307', 'Zoë', 'Zoe\u0308', 'zoe', '\u0308',
  '🦊', '🦊🦋', 'a🦊', '\u{10ffff}', '\uffff', '\ue000', '\ud7ff', 'עדה', 'אבג\u200f', '\u202e', 'ﬁ', 'ｆｉ', '\u212a', 'k',
  '\u0001', '\u007f', '\n', '\t a', 'a\u2028b', 'a b', '日本', 'あ', 'x'.repeat(49), 'x'.repeat(51), '%'.repeat(60),
  ];

/** Beyond what LIKE takes on D1, and far beyond what fits into a page of an index. */
const LONG: readonly string[] = ['é'.repeat(1_500), `${'long '.repeat(400)}ß`];

function text(): string {
  if (random.chance(0.01)) return random.pick(LONG);
  return random.chance(0.8) ? random.pick(EDGES) : random.pick(EDGES) + random.pick(EDGES);
}
const wellFormed = (value: string) => value.toWellFormed();

/** A value of this attribute as a resource would keep it, or nothing. */
function assigned(attribute: Attribute, density: number): Json | undefined {
  // A `$ref` that follows from value is never kept.
  const isKept = attribute.mutability !== 'readOnly' && attribute.returned !== 'never' && !attribute.endpoints;
  if (!isKept || !random.chance(density)) return undefined;
  if (attribute.multiValued) {
    const elements = random.list(3, () => singleOf(attribute)).filter((element) => element !== undefined);
    return elements.length > 0 ? elements : undefined;
  }
  return singleOf(attribute);
}

function singleOf(attribute: Attribute): Json | undefined {
  if (attribute.type === 'boolean') return random.chance(0.5);
  if (attribute.type !== 'complex') return wellFormed(text());
  const object: JsonObject = {};
  for (const sub of attribute.subAttributes ?? []) {
    const value = assigned(sub, 0.5);
    if (value !== undefined) object[sub.name] = value;
  }
  return Object.keys(object).length > 0 ? object : undefined;
}

function resource(i: number, ids: readonly string[]): Resource {
  const made: Resource = {};
  const density = random.next();
  for (const attribute of userType.attributes) {
    const value = attribute.name === 'schemas' ? undefined : assigned(attribute, density);
    if (value !== undefined) made[attribute.name] = value;
  }
  made['userName'] = `${text()}${i}`;
  if (ids.length > 0 && random.chance(0.4)) {
    made[E] = { ...(made[E] as JsonObject | undefined), manager: { value: random.pick(ids) } };
  }
  unassignBlank(made); // as whatever is stored
  return made;
}

let store: OrgStore;
interface Kept {
  readonly stored: Stored;
  readonly document: JsonObject;
}
let people: Kept[];
let teams: Kept[];

/** What `searchable` folds, and what the service supplies besides: the address, the groups, and what follows from the manager. */
function documentOf(user: StoredUser): JsonObject {
  const { meta, groups, [E]: extension } = foldObject(userType.attributes, represent(userType, user, BASE_URL));
  const document = { ...searchable(userType, user), active: user.isActive };
  return {
    ...document,
    ...(meta !== undefined && { meta }),
    ...(groups !== undefined && { groups }),
    ...(extension !== undefined && { [E]: extension }),
  };
}

async function query(type: ResourceType, query: Query): Promise<{ total: number; found: readonly Stored[] }> {
  const list = (type === userType ? listUsers : listGroups)(store, query, BASE_URL);
  const results = await store.read(...list.page, ...(list.total ? [list.total] : []));
  const { resources, total } = await list.read(results.slice(0, list.page.length));
  return { total: (list.total ? results.at(-1)![0]!['total'] : total) as number, found: resources };
}

const ask = async (type: ResourceType, filter: Condition) => {
  const { total, found } = await query(type, { filter, startIndex: 1, count: 500, projection: {} });
  expect(found).toHaveLength(total);
  return found;
};

beforeAll(async () => {
  await newIdp('property');
  store = new OrgStore(env.DB, { kind: 'slug', slug: 'property' }, Date.now()).assuming(GUESS);
  const ids: string[] = [];
  for (let i = 0; i < USERS; i++) {
    const id = crypto.randomUUID();
    const createdAt = Date.parse('2026-01-31T10:00:00Z') + random.pick([-1, 0, 1, 500, 3_600_000, 86_400_000]);
    const draft = {
      id,
      isActive: random.chance(0.5),
      resource: resource(i, ids),
      version: 1 + random.below(12),
      createdAt,
      modifiedAt: createdAt + random.below(3),
    };
    // Whatever they have in common, they are different people.
    await insertUser(store, userType, draft, actor, { type: 'user.created', targetId: id, details: {} }, ids);
    ids.push(id);
  }
  // A manager who is gone supplies nothing any more.
  for (const id of ids.slice(0, 3)) await buryUser(store, id, undefined, actor);
  const memberIds: string[] = [];
  for (let i = 0; i < GROUPS; i++) {
    const id = crypto.randomUUID();
    const members = [...new Set(random.list(12, () => random.pick([...ids.slice(3), ...memberIds])))];
    const draft = { id, resource: { displayName: `${text()}${i}` }, createdAt: 0, modifiedAt: 0 };
    await insertGroup(
      store,
      groupType,
      draft,
      members,
      actor,
      { type: 'group.created', targetId: id, details: {} },
      'none',
    );
    memberIds.push(id); // in groups that come later: nested, and without a circle
  }
  const all = { startIndex: 1, count: 500, projection: {} };
  const users = (await query(userType, all)).found as readonly StoredUser[];
  people = users.map((stored) => ({ stored, document: documentOf(stored) }));
  teams = (await query(groupType, all)).found.map((stored) => ({
    stored,
    document: foldObject(groupType.attributes, represent(groupType, stored, BASE_URL)),
  }));
});

/** Every name that can be filtered by, with the attribute it ends in. */
const namesOf = (type: ResourceType) =>
  type.attributes
    .flatMap((attribute) => [
      [attribute],
      ...(attribute.subAttributes ?? []).flatMap((sub) => [
        [attribute, sub],
        ...(sub.subAttributes ?? []).map((inner) => [attribute, sub, inner]),
      ]),
    ])
    .filter((path) => path.every(({ returned }) => returned !== 'never')) as unknown as [Attribute, ...Attribute[]][];
const NAMES = namesOf(userType);
const GROUP_NAMES = namesOf(groupType);

/** One attribute, as one of the many ways to write it. */
function spelled(path: readonly Attribute[]): string {
  const name = pathName(path as unknown as [Attribute, ...Attribute[]]);
  const ways = [name, name, name.toUpperCase(), name.toLowerCase()];
  if (path[0]!.name === E) ways.push(name.slice(E.length + 1) || name);
  else ways.push(`${USER}:${name}`);
  const way = random.pick(ways);
  // An extension's short name that the core has too means the core's: still a filter, only another one.
  return resolveAttribute(userType, way) ? way : name;
}

/** A piece of what some user has there, so that filters hit; or something else entirely. */
function operandText(path: readonly Attribute[]): string {
  const kept = random.pick(GROUP_NAMES.some(([first]) => first === path[0]) ? teams : people);
  const found = random.chance(0.7) ? textsAt(path, kept.document) : [];
  const whole = found.length > 0 ? random.pick(found) : wellFormed(text());
  const characters = [...whole];
  const cut = random.below(characters.length + 1);
  const piece = random.pick([
    whole,
    whole,
    characters.slice(0, cut).join(''),
    characters.slice(cut).join(''),
    characters[cut] ?? '',
  ]);
  return random
    .pick([piece, piece, piece.toUpperCase(), piece.normalize('NFD')])
    .slice(0, 1_200)
    .toWellFormed();
}

function textsAt(path: readonly Attribute[], document: Json | undefined): string[] {
  if (document === undefined || document === null) return [];
  if (Array.isArray(document)) return document.flatMap((element) => textsAt(path, element));
  const [first, ...rest] = path;
  if (first === undefined) return typeof document === 'object' ? [] : [String(document)];
  return typeof document === 'object' ? textsAt(rest, document[first.name]) : [];
}

/** One value, as one of the ways to write a JSON string, or as the bare word that some clients send. */
function literal(value: string): string {
  if (/^[A-Za-z@.]{2,}$/.test(value) && !/^(and|or|not|null)$/i.test(value) && random.chance(0.3)) return value;
  if (random.chance(0.2)) {
    const units = Array.from({ length: value.length }, (_, i) => value.charCodeAt(i).toString(16).padStart(4, '0'));
    if (units.length < 100) return `"${units.map((unit) => `\\u${unit}`).join('')}"`;
  }
  return JSON.stringify(value);
}

// biome-ignore format: one list
const INSTANTS = [
  '2026-01-31T10:00:00Z', '2026-01-31T12:00:00+02:00', '2026-01-31T09:59:59.999Z', '2026-01-31T05:00:00.001-05:00',
  '2026-01-31T24:00:00', '2026-02-01T10:00:00.000Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z',
];

const cased = (word: string) => (random.chance(0.3) ? word.toUpperCase() : word);

/** A comparison of the attribute at the end of this path; `name` is how it is written. */
function comparison(name: string, path: readonly Attribute[]): string {
  const attribute = path.at(-1)!;
  if (random.chance(0.15)) return `${name} ${cased('pr')}`;
  if (attribute.type === 'complex') {
    const value = attribute.subAttributes?.find((sub) => sub.name === 'value');
    if (value === undefined) return `${name} pr`;
    return comparison(name, [...path, value]);
  }
  if (random.chance(0.06)) return `${name} ${random.pick(['eq', 'ne'])} null`;
  if (attribute.type === 'boolean') {
    return `${name} ${random.pick(['eq', 'ne'])} ${random.pick(['true', 'false', '"True"', '"false"', 'FALSE'])}`;
  }
  const operators = attribute.type === 'binary' ? (['eq', 'ne', 'co', 'sw', 'ew'] as const) : OPERATORS;
  const operator: Operator = random.pick(operators);
  const isText = operator === 'co' || operator === 'sw' || operator === 'ew';
  if (attribute.type === 'dateTime' && !isText) return `${name} ${cased(operator)} "${random.pick(INSTANTS)}"`;
  return `${name} ${cased(operator)} ${literal(operandText(path))}`;
}

type Leaf = () => string;

function nested(depth: number, leaf: Leaf): string {
  if (depth === 0 || random.chance(0.35)) return leaf();
  const inner = () => nested(depth - 1, leaf);
  const join = (word: string) => [inner(), inner(), ...random.list(2, inner)].join(` ${cased(word)} `);
  switch (random.below(5)) {
    case 0:
      return `${cased('not')} (${inner()})`;
    case 1:
      return join('and');
    case 2:
      return join('or');
    case 3:
      return `(${join('or')}) and ${inner()}`;
    default:
      return `(${inner()})`;
  }
}

/** Now and then one that an index answers, beside which costly terms are asked of single rows. */
const unique = () => {
  const { document } = random.pick(people);
  return `userName eq ${JSON.stringify(document['userName'])}`;
};

/** What an index is gone through for before the documents are read, and all that stands beside it in an address. */
const BESIDE = NAMES.filter(([first]) => ['userName', 'displayName', 'externalId', 'emails'].includes(first.name));
const ADDRESSES = BESIDE.filter(([first]) => first.name === 'emails');

function term(): string {
  if (random.chance(0.1)) return unique();
  if (random.chance(0.3)) return termOf(random.chance(0.6) ? ADDRESSES : BESIDE, spelled);
  return termOf(random.chance(0.2) ? NAMES.filter(([first]) => first.name === 'groups') : NAMES, spelled);
}

function groupTerm(): string {
  if (random.chance(0.1)) return `id eq ${JSON.stringify(random.pick(teams).document['id'])}`;
  const names = random.chance(0.5) ? GROUP_NAMES.filter(([first]) => first.name === 'members') : GROUP_NAMES;
  return termOf(names, (path) => pathName(path as unknown as [Attribute, ...Attribute[]]));
}

function termOf(
  names: readonly [Attribute, ...Attribute[]][],
  spelled: (path: readonly Attribute[]) => string,
): string {
  const path = random.pick(names);
  const attribute = path.at(-1)!;
  if (attribute.type !== 'complex' || random.chance(0.3)) return comparison(spelled(path), path);
  const inside: Leaf = () => {
    const sub = random.pick(attribute.subAttributes!);
    return comparison(random.pick([sub.name, sub.name.toUpperCase()]), [...path, sub]);
  };
  const element = `${spelled(path)}[${nested(2, inside)}]`;
  if (random.chance(0.7)) return element;
  const sub = random.pick(attribute.subAttributes!);
  return `${element}.${comparison(sub.name, [...path, sub])}`;
}

/** Fails with the filter and the seed when the two do not agree on everyone. */
async function expectAgreement(filter: string, type: ResourceType = userType): Promise<number> {
  const condition = resolveFilter(type, parseFilter(filter));
  const kept = type === userType ? people : teams;
  const inMemory = kept.filter(({ document }) => matches(condition, document)).map(({ stored }) => stored.id);
  const inSql = await ask(type, condition).then(
    (found) => found.map(({ id }) => id),
    (error) => String(error),
  );
  expect(inSql, `seed ${random.seed}, filter ${filter}`).toEqual(inMemory);
  return inMemory.length;
}

describe('the SQL evaluator and the one in memory agree', { timeout: 60_000 }, () => {
  it(`on ${FILTERS} generated filters over ${USERS} generated users`, async () => {
    let some = 0;
    let done = 0;
    while (done < FILTERS) {
      const filters = Array.from({ length: 20 }, () => nested(3, term)).filter(
        ({ length }) => length <= MAX_FILTER_LENGTH,
      );
      const hits = await Promise.all(filters.map((filter) => expectAgreement(filter)));
      some += hits.filter((count) => count > 0 && count < people.length).length;
      done += filters.length;
    }
    // Else everything below would be true of two evaluators that always say no.
    expect(some).toBeGreaterThan(FILTERS / 5);
  });

  it(`on ${GROUP_FILTERS} generated filters over ${GROUPS} generated groups`, async () => {
    let some = 0;
    for (let done = 0; done < GROUP_FILTERS; ) {
      const filters = Array.from({ length: 20 }, () => nested(2, groupTerm)).filter(
        ({ length }) => length <= MAX_FILTER_LENGTH,
      );
      const hits = await Promise.all(filters.map((filter) => expectAgreement(filter, groupType)));
      some += hits.filter((count) => count > 0 && count < teams.length).length;
      done += filters.length;
    }
    expect(some).toBeGreaterThan(GROUP_FILTERS / 5);
  });

  it('on every operator with every sub-attribute of an address, alone and beside the others', async () => {
    const subs = userType.attributes.find(({ name }) => name === 'emails')!.subAttributes!;
    const names = subs.filter(({ type }) => type === 'string').map(({ name }) => name);
    const paths = ADDRESSES.filter((path) => names.includes(path.at(-1)!.name));
    for (const path of paths) {
      for (const operator of OPERATORS) {
        const name = path.at(-1)!.name;
        const one = () => `${name} ${operator} ${JSON.stringify(operandText(path))}`;
        const other = () => random.pick([`value pr`, `not (value pr)`, `type eq "work"`, `primary eq true`, one()]);
        await Promise.all(
          [
            `emails[${one()}]`,
            `emails[${one()} and ${other()}]`,
            `emails[${one()} or ${other()}]`,
            `emails[not (${one()}) and ${other()}]`,
            `emails[(${one()} or ${other()}) and (${other()} or ${one()})]`,
            `not (emails.${one()}) or emails.${one()} and displayName ${operator} "a"`,
          ].map((filter) => expectAgreement(filter)),
        );
      }
    }
  });

  it('on every operator with every attribute, and an edge string each', async () => {
    for (const path of NAMES) {
      if (path.at(-1)!.type !== 'string') continue;
      const name = pathName(path);
      await Promise.all(
        OPERATORS.map((operator) => expectAgreement(`${name} ${operator} ${JSON.stringify(operandText(path))}`)),
      );
      await expectAgreement(`${name} pr`);
    }
  });

  it('on every edge string, folded by each of the operators', async () => {
    for (const value of EDGES) {
      await Promise.all(
        OPERATORS.flatMap((operator) => [
          expectAgreement(
            `displayName ${operator} ${JSON.stringify(value)} or emails[value ${operator} ${JSON.stringify(value)}]`,
          ),
        ]),
      );
    }
  });

  it.each([
    'meta.location pr',
    `meta.location sw "${BASE_URL}/Users/"`,
    `meta[location sw "${BASE_URL}/Users/" and resourceType eq "User"]`,
    'manager pr',
    'manager.$ref pr',
    'manager.displayName pr',
    'not (manager.displayName pr)',
    'manager[displayName pr]',
    'manager[value pr and not (displayName pr)]',
    `${E}[manager.displayName pr or department pr]`,
    `manager.$ref sw "${BASE_URL}"`,
    'manager.displayName ne "x"',
    'manager.displayName ge ""',
    'active pr',
    'active ne true',
    'externalId pr',
    'externalId eq ""',
    'externalId ne ""',
    'userName sw "\u{10ffff}"',
    'userName lt "\ue000" or userName gt "🦊"',
  ])('on %s, which the service answers from elsewhere than the resource', async (filter) => {
    await expectAgreement(filter);
  });
});

describe('as many terms as a filter takes are answered, or refused as invalidFilter when the database could not take them', () => {
  // One name of each kind of place that a value can stand in.
  const names = [
    'userName',
    'title',
    'emails',
    'emails.type',
    'employeeNumber',
    'meta.location',
    'manager.$ref',
    'manager.displayName',
  ];
  const widest = ['eq', 'ne', 'sw', 'ew'];
  const forms = names.flatMap((name) => [`${name} pr`, ...widest.map((operator) => `${name} ${operator} #`)]);
  const inside = widest.flatMap((operator) => [`emails[value ${operator} #]`, `manager[displayName ${operator} #]`]);
  it.each([...forms, ...inside])('%s', async (form) => {
    const terms: string[] = [];
    const most = form.includes('[') ? MAX_FILTER_TERMS / 2 : MAX_FILTER_TERMS;
    for (let length = 0; terms.length < most; length += terms.at(-1)!.length + 4) {
      const next = form.replace('#', String(terms.length));
      if (length + next.length > MAX_FILTER_LENGTH) break;
      terms.push(next);
    }
    const condition = resolveFilter(userType, parseFilter(terms.join(' or ')));
    const total = await query(userType, { filter: condition, startIndex: 1, count: 0, projection: {} }).then(
      (answer) => answer.total,
      (error: ScimError) => error.scimType,
    );
    const expected = people.filter(({ document }) => matches(condition, document)).length;
    const mayBeRefused = /^manager.*( sw | ew |\[)|^emails( |\[)/.test(form);
    expect(mayBeRefused ? [expected, 'invalidFilter'] : [expected], `seed ${random.seed}`).toContain(total);
  });
});
