/** The lines of an org's file as they must be: hostile until they are read. What a resource may hold, its type knows. */
import * as z from 'zod/mini';
import { isJwksAddress } from '../../../credentials/public-host';
import { readSigner } from '../../../credentials/signer';
import { invalidValue, printable } from '../../../scim/error';
import { isId } from '../../../scim/id';
import { isObject, isSame, type Json } from '../../../scim/resource';
import { type EndLine, KINDS, type Kind, type Line, type OrgLine, VERSION } from '../../../store/archive/format';
import { NAME } from '../../../store/org/settings';
import { permission } from '../groups';
import { address, MAX_URIS, redirectUri } from '../oauth';
import { settingsKept } from '../settings';

const text = (longest: number) =>
  z.string('a string was expected').check(z.maxLength(longest, `at most ${longest} characters are accepted`));
const some = (longest: number) => text(longest).check(z.minLength(1, 'a value was expected'));
const whole = (most: number, least = 0) =>
  z
    .int('a whole number was expected')
    .check(z.gte(least, `at least ${least} was expected`), z.lte(most, `at most ${most} was expected`));
/** The year 9999, which is where dates end in the database. */
const instant = whole(253_402_300_799_999);
const number = whole(2_147_483_647);
const seq = whole(9_007_199_254_740_990);
const boolean = z.boolean('true or false was expected');
/** As it stands in a path and in a key of KV. */
const id = z
  .string('an id was expected')
  .check(
    z.refine(
      (text) => isId(text, 100),
      'an id of letters a-z, digits and . _ - was expected: at most 100, not beginning with .',
    ),
  );
const hash = z.string('a hash was expected').check(z.regex(/^[0-9a-f]{64}$/, 'SHA-256, hexadecimal, was expected'));
const object = z.record(z.string(), z.json(), 'an object was expected');
const orNull = <T extends z.ZodMiniType>(schema: T) => z.nullable(schema);

const orgLine = z.strictObject({
  kind: z.literal('org', 'the line of the org was expected: {"kind":"org","v":1,…}'),
  v: z.literal(VERSION, `version ${VERSION} was expected: the file was written by another version of the service`),
  id: z.string('an id was expected').check(z.regex(/^[0-9A-Za-z]{12}$/, 'the id of an org was expected')),
  slug: some(63),
  name: NAME.schema,
  settings: object,
  scimEnabled: boolean,
  disabledAt: orNull(instant),
  notBefore: orNull(instant),
  createdAt: instant,
  exportedAt: instant,
  withoutCredentials: boolean,
});

const endLine = z.strictObject({
  kind: z.literal('end', 'the last line was expected: {"kind":"end",…}'),
  counts: z.partialRecord(z.enum(KINDS), whole(1_000_000_000), 'an object was expected'),
  eventSeq: seq,
  prunedThrough: seq,
  changedMeanwhile: boolean,
});

const resource = {
  id,
  version: whole(2_147_483_647, 1),
  createdAt: instant,
  modifiedAt: instant,
  resource: object,
};

const list = z.optional(z.array(z.string(), 'a list of strings was expected'));
/** As far as every event that has them is shown from them; else they are what they are. `bends` are the quirks of old events. */
const details = z.looseObject({ quirks: list, bends: list, unknownMembers: list }, 'an object was expected');
/** Of a user's event each attribute is told before and after. */
const changed = z.optional(z.record(z.string(), z.looseObject({}, 'an object was expected'), 'an object was expected'));

const keys = z.strictObject({ keys: z.array(z.record(z.string(), text(2_000))) });
const issuer = z.strictObject({
  issuer: some(2_000),
  // Whether this machine's own are good is asked when they are fetched.
  jwksUrl: address.check(z.refine((url) => isJwksAddress(url, true), 'a public https address was expected')),
  subject: some(2_000),
  audience: some(2_000),
});

/** Who signs for a client is read once, then trusted. @throws ScimError 400. */
export async function checkSigner(assertion: Json | undefined): Promise<void> {
  if (!isObject(assertion)) return;
  const signer = await readSigner('keys' in assertion ? { jwks: assertion } : assertion);
  if (!isSame(signer as unknown as Json, assertion))
    throw invalidValue('assertion: the form that org export writes was expected');
}

const LINES = {
  schema: z.strictObject({
    kind: z.literal('schema'),
    resourceType: z.enum(['User', 'Group'], 'User or Group was expected'),
    addedAt: instant,
    schema: object,
  }),
  user: z.strictObject({
    kind: z.literal('user'),
    ...resource,
    active: boolean,
    notBefore: orNull(instant),
    deletedAt: orNull(instant),
    erasedAt: orNull(instant),
    origin: z.enum(['idp', 'host'], 'idp or host was expected'),
    linkedAt: orNull(instant),
    protected: boolean,
  }),
  group: z.strictObject({
    kind: z.literal('group'),
    ...resource,
    permissions: z
      .array(permission, 'a list of strings was expected')
      .check(z.maxLength(100, 'at most 100 are accepted')),
  }),
  members: z.strictObject({
    kind: z.literal('members'),
    group: id,
    type: z.enum(['User', 'Group'], 'User or Group was expected'),
    ids: z
      .array(id, 'a list of ids was expected')
      .check(z.minLength(1, 'at least one id was expected'), z.maxLength(5_000)),
  }),
  oauthClient: z.strictObject({
    kind: z.literal('oauthClient'),
    id: z
      .string('the id of a client was expected')
      .check(z.regex(/^[0-9A-Za-z]{12}_[0-9A-Za-z]{16}$/, 'the id of a client was expected')),
    name: some(200),
    redirectUris: z
      .array(redirectUri, 'a list of addresses was expected')
      .check(z.maxLength(MAX_URIS, `at most ${MAX_URIS} are accepted`)),
    assertion: orNull(z.union([keys, issuer], 'keys, or issuer, jwksUrl, subject and audience were expected')),
    createdAt: instant,
    createdBy: text(200),
  }),
  grant: z.strictObject({
    kind: z.literal('grant'),
    id: some(100),
    clientId: some(100),
    codeHash: hash,
    codeValidUntil: instant,
    redirectUri: text(2_000),
    challenge: orNull(text(200)),
    approvedAt: instant,
    approvedBy: text(200),
    redeemedAt: orNull(instant),
    revokedAt: orNull(instant),
    reviewAt: orNull(instant),
  }),
  credential: z.strictObject({
    kind: z.literal('credential'),
    id: some(100),
    type: z.enum(
      ['token', 'basic', 'oauth_client', 'oauth_access', 'oauth_refresh'],
      'token, basic, oauth_client, oauth_access or oauth_refresh was expected',
    ),
    subject: text(100),
    hash,
    mask: text(100),
    generation: number,
    createdAt: instant,
    createdBy: text(200),
    validUntil: orNull(instant),
    currentSince: orNull(instant),
    currentBy: orNull(text(200)),
    replacedAt: orNull(instant),
    replacedBy: orNull(text(200)),
    graceUntil: orNull(instant),
    retireOnUse: whole(1),
    revokedAt: orNull(instant),
    revokedBy: orNull(text(200)),
    lastUsedAt: orNull(instant),
    lastUsedClient: orNull(text(1_000)),
    lastUsedAddress: orNull(text(100)),
    warnedDays: orNull(whole(1_000)),
    grantId: orNull(some(100)),
  }),
  assertion: z.strictObject({ kind: z.literal('assertion'), hash, validUntil: instant }),
  refusal: z.strictObject({
    kind: z.literal('refusal'),
    day: whole(2_932_896),
    reason: some(100),
    hint: text(1_000),
    credentialId: text(100),
    client: text(1_000),
    address: text(100),
    count: seq,
    firstAt: instant,
    lastAt: instant,
  }),
  held: z.strictObject({
    kind: z.literal('held'),
    user: id,
    operation: z.enum(['deactivate', 'delete'], 'deactivate or delete was expected'),
    since: instant,
    lastAt: instant,
    attempts: number,
    rejectedUntil: orNull(instant),
    rejectedBy: orNull(text(200)),
  }),
  brakeCount: z.strictObject({ kind: z.literal('brakeCount'), at: instant, count: number }),
  event: z
    .strictObject({
      kind: z.literal('event'),
      seq: whole(9_007_199_254_740_990, 1),
      at: instant,
      type: z
        .string('the name of an event was expected')
        .check(z.maxLength(60), z.regex(/^[a-z]+\.[a-z_]+$/, 'the name of an event was expected')),
      actor: some(300),
      credential: orNull(text(100)),
      target: orNull(text(300)),
      requestId: text(100),
      publishes: boolean,
      details,
    })
    .check(
      z.superRefine(({ type, details }, context) => {
        const issue = type.startsWith('user.') ? changed.safeParse(details['changed']).error?.issues[0] : undefined;
        if (issue)
          context.addIssue({ code: 'custom', path: ['details', 'changed', ...issue.path], message: issue.message });
      }),
    ),
} satisfies Record<Kind, z.ZodMiniType>;

/** @throws ScimError 400 naming the member and what was expected. */
export const readOrgLine = (raw: unknown): OrgLine => {
  const line = read(orgLine, raw, 'the line of the org was expected: {"kind":"org","v":1,…}');
  return { ...line, settings: settingsKept(line.settings as Record<string, Json>) };
};

export const readEndLine = (raw: unknown): EndLine =>
  read(endLine, raw, 'the last line was expected: {"kind":"end",…}');

/** One of those between them. */
export function readLine(raw: unknown): Line {
  const kind = isObject(raw) ? raw['kind'] : undefined;
  if (typeof kind !== 'string' || !Object.hasOwn(LINES, kind)) {
    throw invalidValue(
      kind === 'org' || kind === 'end'
        ? `kind: ${kind} was not expected here`
        : `kind: one of ${KINDS.join(', ')} was expected`,
    );
  }
  return read(LINES[kind as Kind] as z.ZodMiniType<Line>, raw, 'an object was expected');
}

function read<T>(schema: z.ZodMiniType<T>, raw: unknown, expected: string): T {
  if (!isObject(raw)) throw invalidValue(expected);
  const parsed = schema.safeParse(raw);
  if (parsed.success) {
    if (!isText(raw as Json)) throw invalidValue('well-formed text without the character U+0000 was expected');
    return raw as T; // as it was written, to the order of its members
  }
  const issue = parsed.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    throw invalidValue(`${pathOf([...issue.path, issue.keys[0]!])}: there is no such member`);
  }
  throw invalidValue(`${pathOf(issue.path)}: ${issue.message}`);
}

const pathOf = (path: readonly PropertyKey[]) => path.map((part) => printable(String(part))).join('.');

/** Nothing that the database would take for the end of a text, or could not tell again. */
function isText(value: Json): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => key.isWellFormed() && !key.includes('\0') && isText(inner));
}
