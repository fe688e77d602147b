/**
 * The settings of an org, one entry each. The type, the validation, the defaults, `org set --help` and docs/settings.md
 * come from this table. A new setting is one entry here, `npm run docs:settings`, and its behaviour.
 */
import * as z from 'zod/mini';
import { DAY, parseDuration } from '../../duration';
import { PLAIN_TEXT, PLAIN_TEXT_EXPECTED } from '../../plain-text';
import { domainKey } from '../../scim/address';
import { foldCase } from '../../scim/fold';
import { parseSize } from './size';

/** Requests a second that an org can be allowed: for each there is a binding `RATE_…` (wrangler.toml). */
export const RATES = [25, 100, 500] as const;
export type Rate = (typeof RATES)[number];

/** Each has a guide: docs/idp. */
export const IDPS = [
  'okta',
  'entra',
  'onelogin',
  'jumpcloud',
  'google',
  'ping',
  'rippling',
  'sailpoint',
  'cyberark',
  'keycloak',
  'authentik',
  'other',
] as const;

/** A region's label, as part of a host name would be written. */
export const REGION_LABEL = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** Bytes. Less is a mistyped unit; more than the other does not fit into one database of D1. */
const MIN_STORAGE = 100_000;
const MAX_STORAGE = 10_000_000_000;
const STORAGE = 'a size from 100KB to 10GB';

const MAX_SIGN_OUT_GROUPS = 50;
const MAX_DOMAINS = 100;

/** What a setting takes: the text of `org set` becomes the value that an org keeps. */
interface Taken<T> {
  /** For people: which texts. */
  readonly takes: string;
  readonly schema: z.ZodMiniType<T, string>;
}

/** One setting. `T`: the value that an org keeps. */
export interface Setting<T = unknown, D extends T | undefined = T | undefined> extends Taken<T> {
  /** The value that applies while the org has none of its own. */
  readonly default: D;
  /** For people: what applies then, where no value says it. */
  readonly unset?: string;
  /** What it is for: one sentence. */
  readonly about: string;
  /** What else an operator should know. */
  readonly notes?: readonly string[];
  /** What the APIs and the CLI call it, where that is not the key of the table. The key is accepted for one release. */
  readonly name?: string;
  /** Its text may name groups by displayName: the change looks them up, and fails this expectation if one is not there. */
  readonly groups?: { readonly unmet: string; readonly expected: string };
  /** False: `none` does not set it back to its default. */
  readonly takesNone?: false;
}

const setting = <T, const D extends T | undefined>(entry: Setting<T, D>): Setting<T, D> => entry;

const either = (values: readonly string[]) => [values.slice(0, -1).join(', '), values.at(-1)].join(' or ');

function oneOf<const T extends string>(values: readonly T[]): Taken<T> {
  const takes = either(values);
  return { takes, schema: z.enum(values, `${takes} was expected`) };
}

const flag: Taken<boolean> = {
  takes: 'true or false',
  schema: z.pipe(
    z.enum(['true', 'false'], 'true or false was expected'),
    z.transform((text) => text === 'true'),
  ),
};

/** @param unit what may follow the number. */
function whole(least: number, most: number, unit = ''): Taken<number> {
  const takes = `a whole number from ${least} to ${most}`;
  const read = (text: string) => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : Number.NaN);
  const schema = z
    .pipe(
      z.string(),
      z.transform((text) => read(unit !== '' && text.endsWith(unit) ? text.slice(0, -unit.length) : text)),
    )
    .check(z.refine((number) => number >= least && number <= most, `${takes} was expected`));
  return { takes, schema };
}

/** Kept as it was written. */
function duration(takes: string, least: number, most: number, examples: string): Taken<string> {
  const isBetween = (text: string) => {
    const milliseconds = parseDuration(text) ?? Number.NaN;
    return milliseconds >= least && milliseconds <= most;
  };
  const expected = `${takes} was expected: ${examples}`;
  return { takes, schema: z.string(expected).check(z.refine(isBetween, expected)) };
}

const age = duration('a duration of at most 3650d', 1_000, 3_650 * DAY, '90d, 365d');

const text = (takes: string, longest: number) =>
  z
    .string()
    .check(
      z.trim(),
      z.minLength(1, `${takes} was expected`),
      z.maxLength(longest, `at most ${longest} characters are accepted`),
      z.regex(PLAIN_TEXT, PLAIN_TEXT_EXPECTED),
    );

const items = (list: string) => list.split(',').map((item) => item.trim());
const separated = z.pipe(z.string(), z.transform(items));

/** @param expected said of an item that is empty. */
const item = (longest: number, expected: string) =>
  z
    .string()
    .check(
      z.minLength(1, expected),
      z.maxLength(longest, `at most ${longest} characters are accepted`),
      z.regex(PLAIN_TEXT, PLAIN_TEXT_EXPECTED),
    );

/** A value that the attribute `roles` may have. `key` is the value folded, as the database compares it. */
export interface Role {
  readonly value: string;
  readonly key: string;
}

const ROLES = 'roles with commas between them';
const roles = z.pipe(
  z.pipe(
    separated,
    z.array(item(100, `${ROLES} were expected, or none`)).check(z.maxLength(100, 'at most 100 are accepted')),
  ),
  z.transform((values): readonly Role[] =>
    [...new Map(values.map((value) => [foldCase(value), value]))].map(([key, value]) => ({ value, key })),
  ),
);

const DOMAINS = 'domains with commas between them';
/** As DNS knows it, and as addresses are compared: `straße.example` is `xn--strae-oqa.example`. */
const domain = z
  .pipe(
    z.string().check(z.maxLength(253, 'at most 253 characters are accepted')),
    z.transform((text) => domainKey(text.replace(/^@/, '')) ?? ''),
  )
  .check(z.refine((text) => /^[^\s@,]+\.[^\s@,.]+$/.test(text), `${DOMAINS} were expected: acme.com`));
const domains = z.pipe(
  z.pipe(separated, z.array(domain).check(z.maxLength(MAX_DOMAINS, `at most ${MAX_DOMAINS} are accepted`))),
  z.transform((all): readonly string[] => [...new Set(all)]),
);

const GROUP = 'the id or displayName of a group of this org';
const NO_GROUP = `${GROUP} was expected, or none`;
const GROUPS = 'ids or displayNames of groups of this org, with commas between them';
const NO_GROUPS = `${GROUPS}, were expected, or none`;
const groups = z.pipe(
  z.pipe(
    separated,
    z
      .array(z.string().check(z.minLength(1, NO_GROUPS)))
      .check(z.maxLength(MAX_SIGN_OUT_GROUPS, `at most ${MAX_SIGN_OUT_GROUPS} are accepted`)),
  ),
  z.transform((all): readonly string[] => all),
);

const SSO = 'true, false or the name of a connection';
const sso = z.pipe(
  text(SSO, 100).check(z.regex(PLAIN_TEXT, PLAIN_TEXT_EXPECTED)),
  z.transform((text) => (/^(?:true|false)$/i.test(text) ? text.toLowerCase() === 'true' : text)),
);

/** What a customer's administrator may change in the portal. */
export const PORTAL_PARTS = ['idp', 'scim', 'credentials', 'groups', 'linking', 'domains', 'held', 'removal'] as const;
export type PortalPart = (typeof PORTAL_PARTS)[number];

const PARTS = 'parts with commas between them, or nothing';
const parts = z.pipe(
  z.pipe(
    z.pipe(
      z.string(),
      z.transform((list) => (list === 'nothing' ? [] : items(list))),
    ),
    z.array(z.enum(PORTAL_PARTS, `${PARTS}, were expected: ${PORTAL_PARTS.join(', ')}`)),
  ),
  z.transform((all): readonly PortalPart[] => PORTAL_PARTS.filter((part) => all.includes(part))),
);

const RATE = `${either(RATES.map(String))} (requests a second)`;

/** The name of the org: set like a setting, and kept in a column of its own. */
export const NAME = setting({
  takes: 'text of at most 200 characters',
  schema: z.pipe(z.string('a string was expected'), text('a name', 200)),
  default: undefined,
  unset: "the org's slug",
  about: 'What people call the org.',
});

/** By the keys of `orgs.settings`. */
export const SETTINGS = {
  idp: setting({
    ...oneOf(IDPS),
    default: undefined,
    unset: 'not set',
    about: 'The identity provider whose guide `org guide` prints.',
  }),
  'plan.scim': setting({
    ...flag,
    default: true,
    about: "Whether the org's plan includes SCIM.",
    notes: [
      'With `false` the identity provider and its OAuth clients get 403 from the next request on.',
      '`scim enable` is refused with the same sentence. Users and groups stay as they are.',
    ],
  }),
  'plan.seats': setting({
    ...whole(1, 9_999_999),
    default: undefined,
    unset: 'any number',
    about: 'How many users may be active at most.',
    notes: [
      'A request that would exceed the limit gets 403 with the limit. Users who are active already are not affected.',
      'A deactivation or deletion frees a seat at once.',
      'The event `seats.warning` is recorded when a change takes nine tenths of the seats.',
      'The limit may be set below the present number of active users: `org set` shows a notice.',
    ],
  }),
  'plan.storage': setting({
    takes: STORAGE,
    schema: z
      .pipe(
        z.string(),
        z.transform((text) => parseSize(text) ?? 0),
      )
      .check(z.refine((bytes) => bytes >= MIN_STORAGE && bytes <= MAX_STORAGE, `${STORAGE} was expected: 500MB, 5GB`)),
    unset: '1GB',
    // D1 holds 10 GB for all orgs of a deployment. With the journal of a year this is room for about 100,000 users.
    default: 1_000_000_000,
    about: 'How much the org may store: users, groups, memberships and events, about.',
    notes: [
      'A request that would add to a full org gets 403 with the limit. Deactivations and deletions always pass.',
      '`org show` and `org health` tell how much is used.',
    ],
  }),
  sso: setting({
    takes: SSO,
    schema: sso,
    default: false,
    about: 'Whether the org has SSO, or what its connection is called.',
    notes: ['Your application says so here. The service does not test the connection.'],
  }),
  ssoRequired: setting({
    ...flag,
    default: false,
    about: 'Whether SCIM may be on only while `sso` is set.',
    notes: [
      '`scim enable` is refused without SSO.',
      'While SCIM is on, a change that would leave the org without SSO is refused: run `scim disable` first.',
    ],
  }),
  authentication: setting({
    ...oneOf(['sso', 'password-setup']),
    default: 'sso',
    about: "How the org's users sign in, as `resolve` tells your application.",
    notes: [
      '`sso`: through the identity provider, never by password. `password-setup`: by a password that they set up.',
    ],
  }),
  supportContact: setting({
    takes: 'text of at most 200 characters',
    schema: text('a contact', 200),
    default: undefined,
    unset: 'not set',
    about: "The contact that is named to an identity provider that the org's state or policies refuse.",
  }),
  defaultGroup: setting({
    takes: GROUP,
    schema: z.string().check(z.minLength(1, NO_GROUP)),
    default: undefined,
    unset: 'no group',
    about: 'The group that users join when SCIM creates them.',
    notes: [
      'It applies to new users from now on, not to users who are restored.',
      'The id of the group is kept, so the group may be renamed. Deleting the group ends the setting.',
    ],
    groups: { unmet: 'default_group', expected: NO_GROUP },
  }),
  roles: setting({
    takes: ROLES,
    schema: roles,
    default: undefined,
    unset: 'any values',
    about: 'The values that the attribute `roles` of users may have, in any letter case.',
    notes: [
      'A request with another value gets 400 `invalidValue`.',
      'A value that a user has already may stay. A POST is checked as a whole, also when it restores a user.',
    ],
  }),
  linking: setting({
    ...oneOf(['off', 'userName', 'email']),
    default: 'email',
    about: 'How SCIM adopts an imported account, once, at the first write.',
    notes: [
      '`email`: by userName, by externalId, or by the primary address in one of the `verifiedDomains`.',
      '`userName`: by userName or externalId.',
      '`off`: never, and such accounts cannot be written to over SCIM.',
      'It does not take `none`.',
    ],
    takesNone: false,
  }),
  restore: setting({
    ...oneOf(['same-person', 'externalId', 'off']),
    default: 'same-person',
    about: 'Which deleted account a POST restores.',
    notes: [
      '`same-person`: equal externalId, or equal userName where one of the two has no externalId.',
      '`externalId`: equal externalId only.',
      '`off`: none. A POST always makes a new account.',
    ],
  }),
  uniqueExternalId: setting({
    ...flag,
    default: false,
    about: 'Whether two live users may not have the same externalId.',
    notes: [
      'With `true` the second user gets 409 `uniqueness`. What was there before the setting stays.',
      "RFC 7643 §3.1 leaves it to the client, and Entra ID's default mapping sends a value that is not unique.",
    ],
  }),
  verifiedDomains: setting({
    takes: DOMAINS,
    schema: domains,
    default: undefined,
    unset: 'none',
    about:
      'Domains that you have verified to be those of the customer: a primary address in one of them links an account.',
    notes: [`At most ${MAX_DOMAINS}. They are kept as DNS knows them (\`xn--…\`).`],
  }),
  onDelete: setting({
    ...oneOf(['deactivate', 'erase']),
    default: 'deactivate',
    about: 'What a SCIM deletion does.',
    notes: [
      '`deactivate`: the account stays in a tombstone, and a later POST restores it.',
      "`erase`: the user's data is deleted, and only the id remains.",
    ],
  }),
  onDeactivate: setting({
    ...oneOf(['deactivate', 'erase']),
    default: 'deactivate',
    about: 'What a SCIM deactivation does.',
    notes: [
      '`deactivate`: the user stays, inactive.',
      "`erase`: the user's data is deleted. Later requests for the user get 404.",
    ],
  }),
  retainDeleted: setting({
    ...age,
    default: undefined,
    unset: 'for ever',
    about: 'How long deleted users are kept before the cron erases them.',
  }),
  retainEvents: setting({
    ...age,
    default: '400d',
    about: 'How long events are kept before the cron removes them.',
  }),
  'brake.deactivations': setting({
    ...whole(1, 999_999),
    name: 'deactivationLimit.deactivations',
    default: undefined,
    unset: 'any number',
    about: 'How many users the identity provider may deactivate or delete within `deactivationLimit.window`.',
    notes: ['A deactivation beyond the limit gets 429 and waits for an operator: `held list` lists it.'],
  }),
  'brake.percentage': setting({
    ...whole(1, 100, '%'),
    name: 'deactivationLimit.percentage',
    default: undefined,
    unset: 'any share',
    about: 'The same limit in per cent of the users who were active when the window began.',
    notes: ['One user may always go. With both limits, the limit that is reached first holds.'],
  }),
  'brake.window': setting({
    ...duration('a duration from 60s to 30d', 60_000, 30 * DAY, '15m, 1h, 1d'),
    name: 'deactivationLimit.window',
    default: '1h',
    about: 'The time within which deactivations are counted for the limit.',
  }),
  unknownMembers: setting({
    ...oneOf(['skip', 'reject']),
    default: 'skip',
    about: 'What a membership change with unknown ids does.',
    notes: ['`skip`: the rest applies, and the event lists the unknown ids. `reject`: the request gets 400.'],
  }),
  unknownAttributes: setting({
    ...oneOf(['ignore', 'reject']),
    default: 'ignore',
    about: 'What a PATCH path to an attribute that the schemas do not have does.',
    notes: [
      '`ignore`: the other operations apply, and the event names the path (`unknown-path:…`).',
      '`reject`: the request gets 400 `invalidPath`.',
      'Unknown attributes in the bodies of POST and PUT, and in a PATCH value, are always ignored.',
    ],
  }),
  residency: setting({
    takes: 'the label of a region',
    schema: z
      .string()
      .check(
        z.maxLength(40, 'at most 40 characters are accepted'),
        z.regex(REGION_LABEL, 'the label of a region was expected, such as us or eu'),
      ),
    default: undefined,
    unset: 'every region',
    about: 'The region whose service serves the org, such as `us` or `eu` (docs/regions.md).',
  }),
  graceDefault: setting({
    ...duration('a duration of at most 24h', 0, DAY, '0, 90s, 15m, 24h'),
    default: '24h',
    about: 'How long a replaced token, password or client secret keeps working unless the rotation says otherwise.',
  }),
  rateLimit: setting({
    takes: RATE,
    schema: z.pipe(
      z.enum(RATES.map(String), `${RATE} was expected`),
      z.transform((text) => Number(text) as Rate),
    ),
    default: Math.max(...RATES) as Rate,
    about: 'How many requests a second the org may send.',
  }),
  signOutOnRename: setting({
    ...flag,
    default: false,
    about: "Whether a new userName from the identity provider ends the user's earlier sessions.",
    notes: ['A userName that differs in letter case only is not a new one.'],
  }),
  signOutGroups: setting({
    takes: GROUPS,
    schema: groups,
    default: undefined,
    unset: 'none',
    about: 'Groups whose direct members are signed out when they leave.',
    notes: [
      `At most ${MAX_SIGN_OUT_GROUPS}. Name a group with a comma in its displayName by its id.`,
      'A user also leaves when the group is deleted. Members through another group stay signed in.',
      'The ids are kept. A deleted group leaves the setting.',
    ],
    groups: { unmet: 'sign_out_groups', expected: NO_GROUPS },
  }),
  'portal.allow': setting({
    takes: PARTS,
    schema: parts,
    default: ['idp', 'scim', 'credentials', 'groups', 'linking', 'domains', 'removal'] as readonly PortalPart[],
    about: "What the customer's administrator may change in the portal.",
    notes: [
      '`idp`: which identity provider it is. `scim`: switch SCIM on and off. `credentials`: generate, rotate and revoke.',
      '`groups`: the default group. `linking`: how existing accounts are adopted. `domains`: prove domains by DNS.',
      '`held`: decide about deactivations beyond `deactivationLimit.*`. `removal`: remove the set-up.',
      'A link with the scope `read` changes nothing, and a link with the scope `operator` may change everything.',
    ],
  }),
};

export type SettingKey = keyof typeof SETTINGS;

/** What was set for an org, as `orgs.settings` keeps it. */
export type OrgSettings = { readonly [K in SettingKey]?: z.output<(typeof SETTINGS)[K]['schema']> };

/** null: back to the default. What is not named stays. */
export type SettingsChange = { readonly [K in SettingKey]?: OrgSettings[K] | null };

type Default<K extends SettingKey> = (typeof SETTINGS)[K]['default'];

/** The value that applies: what the org has set, else the default. */
export const settingOf = <K extends SettingKey>(
  settings: OrgSettings,
  key: K,
): NonNullable<OrgSettings[K]> | Default<K> => settings[key] ?? (SETTINGS[key].default as Default<K>);

/** The entries of the table, each a `Setting`. */
export const entries = Object.entries(SETTINGS) as [SettingKey, Setting][];

/** What the APIs and the CLI call a setting. */
export const nameOf = (key: SettingKey): string => (SETTINGS[key] as Setting).name ?? key;

/** The key of a setting by its name, or by the name that it had in the release before. */
export const keyOf = (name: string): SettingKey | undefined =>
  entries.find(([key, setting]) => (setting.name ?? key) === name || key === name)?.[0];

/** What `org set` takes for a value that an org keeps. */
export const textOf = (value: unknown): string =>
  Array.isArray(value)
    ? value.map((one: Role | string) => (typeof one === 'string' ? one : String(one?.value))).join(',')
    : String(value);
