/** The table of settings: what applies while nothing is set, what each takes, and what it says of a wrong value. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  entries,
  keyOf,
  nameOf,
  type OrgSettings,
  type SettingKey,
  settingOf,
  textOf,
} from '../../src/store/org/settings';
import { admin, type Idp, newIdp } from '../support/client';

interface Case {
  readonly default: unknown;
  /** A text that it takes, and what an org keeps for it. */
  readonly good: readonly [string, unknown];
  readonly bad: readonly (readonly [string, string])[];
}

const ERASE: Case = {
  default: 'deactivate',
  good: ['erase', 'erase'],
  bad: [['destroy', 'deactivate or erase was expected']],
};
const FLAG = (otherwise: boolean): Case => ({
  default: otherwise,
  good: [String(!otherwise), !otherwise],
  bad: [
    ['yes', 'true or false was expected'],
    ['', 'true or false was expected'],
  ],
});
const AGE: Case = {
  default: undefined,
  good: ['90d', '90d'],
  bad: [
    ['0', 'a duration of at most 3650d was expected: 90d, 365d'],
    ['3651d', 'a duration of at most 3650d was expected: 90d, 365d'],
  ],
};
const TOO_LONG = 'x'.repeat(201);

/** A setting without a line here does not compile. */
const CASES: Record<SettingKey, Case> = {
  idp: {
    default: undefined,
    good: ['okta', 'okta'],
    bad: [
      [
        'auth0',
        'okta, entra, onelogin, jumpcloud, google, ping, rippling, sailpoint, cyberark, keycloak, authentik or other was expected',
      ],
    ],
  },
  'plan.scim': FLAG(true),
  'plan.seats': {
    default: undefined,
    good: ['12', 12],
    bad: ['0', '-1', '1.5', '01', '1e3', '10000000', '12%', ''].map((text) => [
      text,
      'a whole number from 1 to 9999999 was expected',
    ]),
  },
  'plan.storage': {
    default: 1_000_000_000,
    good: ['5GB', 5_000_000_000],
    bad: ['0', '99KB', '11GB', 'much', ''].map((text) => [text, 'a size from 100KB to 10GB was expected: 500MB, 5GB']),
  },
  sso: {
    default: false,
    good: [' TRUE ', true],
    bad: [
      [' ', 'true, false or the name of a connection was expected'],
      ['a\u0007', 'text without control characters was expected'],
      ['x'.repeat(101), 'at most 100 characters are accepted'],
    ],
  },
  ssoRequired: FLAG(false),
  authentication: {
    default: 'sso',
    good: ['password-setup', 'password-setup'],
    bad: [['password', 'sso or password-setup was expected']],
  },
  supportContact: {
    default: undefined,
    good: [' help@example.com', 'help@example.com'],
    bad: [
      ['', 'a contact was expected'],
      [TOO_LONG, 'at most 200 characters are accepted'],
    ],
  },
  defaultGroup: {
    default: undefined,
    good: ['Everybody', 'Everybody'],
    bad: [['', 'the id or displayName of a group of this org was expected, or none']],
  },
  roles: {
    default: undefined,
    good: [
      'Admin, admin,Ünit',
      [
        { value: 'admin', key: 'admin' },
        { value: 'Ünit', key: 'ünit' },
      ],
    ],
    bad: [['Admin,', 'roles with commas between them were expected, or none']],
  },
  linking: {
    default: 'email',
    good: ['off', 'off'],
    bad: [
      ['always', 'off, userName or email was expected'],
      ['none', 'off, userName or email was expected'],
    ],
  },
  restore: {
    default: 'same-person',
    good: ['off', 'off'],
    bad: [['sometimes', 'same-person, externalId or off was expected']],
  },
  uniqueExternalId: FLAG(false),
  verifiedDomains: {
    default: undefined,
    good: ['@acme.com, müller.example,ACME.com', ['acme.com', 'xn--mller-kva.example']],
    bad: [
      ['acme', 'domains with commas between them were expected: acme.com'],
      ['ada@acme.com', 'domains with commas between them were expected: acme.com'],
    ],
  },
  onDelete: ERASE,
  onDeactivate: ERASE,
  retainDeleted: AGE,
  retainEvents: { ...AGE, default: '400d' },
  'brake.deactivations': {
    default: undefined,
    good: ['20', 20],
    bad: ['0', '1.5', '1000000'].map((text) => [text, 'a whole number from 1 to 999999 was expected']),
  },
  'brake.percentage': {
    default: undefined,
    good: ['5%', 5],
    bad: ['0', '101', '5%%', '%'].map((text) => [text, 'a whole number from 1 to 100 was expected']),
  },
  'brake.window': {
    default: '1h',
    good: ['1d', '1d'],
    bad: ['1', '10s', '31d'].map((text) => [text, 'a duration from 60s to 30d was expected: 15m, 1h, 1d']),
  },
  unknownMembers: { default: 'skip', good: ['reject', 'reject'], bad: [['drop', 'skip or reject was expected']] },
  unknownAttributes: {
    default: 'ignore',
    good: ['reject', 'reject'],
    bad: [['skip', 'ignore or reject was expected']],
  },
  residency: {
    default: undefined,
    good: ['eu', 'eu'],
    bad: [['EU', 'the label of a region was expected, such as us or eu']],
  },
  graceDefault: {
    default: '24h',
    good: ['0', '0'],
    bad: ['25h', '1440', ''].map((text) => [text, 'a duration of at most 24h was expected: 0, 90s, 15m, 24h']),
  },
  rateLimit: {
    default: 500,
    good: ['25', 25],
    bad: [['50', '25, 100 or 500 (requests a second) was expected']],
  },
  signOutOnRename: FLAG(false),
  signOutGroups: {
    default: undefined,
    good: ['Staff, Board', ['Staff', 'Board']],
    bad: [['Staff,', 'ids or displayNames of groups of this org, with commas between them, were expected, or none']],
  },
  'portal.allow': {
    default: ['idp', 'scim', 'credentials', 'groups', 'linking', 'domains', 'removal'],
    good: ['held, credentials', ['credentials', 'held']],
    bad: [
      [
        'everything',
        'parts with commas between them, or nothing, were expected: idp, scim, credentials, groups, linking, domains, held, removal',
      ],
    ],
  },
};

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('table');
});
const set = (settings: Record<string, unknown>) => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });

describe('a setting', () => {
  it.each(entries)('%s has its default until the org sets it', (key) => {
    expect(settingOf({}, key)).toEqual(CASES[key].default);
    const [, kept] = CASES[key].good;
    expect(settingOf({ [key]: kept } as OrgSettings, key)).toEqual(kept);
  });

  it.each(entries)('%s is kept as a value whose text means the same value', (key, { schema }) => {
    const [text, kept] = CASES[key].good;
    expect(schema.parse(text)).toEqual(kept);
    expect(schema.parse(textOf(kept))).toEqual(kept);
  });

  it.each(entries)('%s says what was expected in the place of a wrong value, and changes nothing', async (key) => {
    for (const [text, expected] of CASES[key].bad) {
      const { status, body } = await set({ name: 'Changed', [nameOf(key)]: text });
      expect([status, body.error], text).toEqual([400, 'invalidValue']);
      const message = body.detail.replace(/^([\w.]+?)(?:\.\d+)?: /, '$1: ');
      expect(message, text).toBe(`${nameOf(key)}: ${expected}`);
    }
    expect((await admin('GET', `/orgs/${idp.slug}`)).body.settings).toEqual({});
  });

  it.each(entries)('%s has a default that its own text sets', (_key, setting) => {
    if (setting.default !== undefined) expect(setting.schema.parse(textOf(setting.default))).toEqual(setting.default);
    else expect(setting.unset).toMatch(/\S/);
  });

  it('that wants text refuses any other JSON value', async () => {
    for (const value of [true, 7, null, ['a'], {}]) {
      expect((await set({ uniqueExternalId: value })).status).toBe(400);
    }
  });

  it('has one name and at most one former name, and no other word means it', () => {
    const names = entries.flatMap(([key]) => [...new Set([key, nameOf(key)])]);
    expect(new Set(names).size).toBe(names.length);
    for (const word of ['__proto__', 'constructor', 'toString', 'Restore', 'name']) expect(keyOf(word)).toBeUndefined();
  });
});

describe('the limit on deactivations', () => {
  const settings = async () => (await admin('GET', `/orgs/${idp.slug}`)).body.settings;

  it('is set and reset under its new and its former names, and shown under the new ones alone', async () => {
    await set({ 'brake.deactivations': '20', 'deactivationLimit.percentage': '5' });
    expect(await settings()).toEqual({ 'deactivationLimit.deactivations': 20, 'deactivationLimit.percentage': 5 });
    await set({ 'deactivationLimit.deactivations': '30', 'brake.window': '2h' });
    expect(await settings()).toEqual({
      'deactivationLimit.deactivations': 30,
      'deactivationLimit.percentage': 5,
      'deactivationLimit.window': '2h',
    });
    await set({ 'brake.percentage': 'none', 'deactivationLimit.deactivations': 'none', 'brake.window': 'none' });
    expect(await settings()).toEqual({});
  });

  it('is in the event under its new name, whichever was typed', async () => {
    await set({ 'brake.deactivations': '20' });
    const row = await env.DB.prepare(
      "SELECT details FROM events WHERE org_id = ? AND type = 'org.changed' ORDER BY seq DESC LIMIT 1",
    )
      .bind(idp.orgId)
      .first<{ details: string }>();
    expect(JSON.parse(row!.details)).toMatchObject({
      settings: { 'deactivationLimit.deactivations': 20 },
      changed: { 'deactivationLimit.deactivations': { before: null, after: 20 } },
    });
    await set({ 'brake.deactivations': 'none' });
  });

  it('is refused when both of its names are in one change', async () => {
    const { status, body } = await set({ 'brake.window': '1h', 'deactivationLimit.window': '2h' });
    expect([status, body.detail]).toEqual([400, 'deactivationLimit.window: the setting stands twice, under two names']);
    expect(await settings()).toEqual({});
  });
});
