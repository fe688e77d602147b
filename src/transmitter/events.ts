/**
 * The journal in other vocabularies: CAEP 1.0, RISC 1.0 and RFC 9967. An event of the journal becomes tokens, each with one event, in a
 * lasting order: what is sent twice has the same `jti`. Pure.
 */
import { endCauseOf } from '../end-cause';
import { isAddress } from '../scim/address';
import type { Resource } from '../scim/resource';
import type { JournalEvent } from '../store/operations/signal-journal';

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';
const PROV = 'urn:ietf:params:scim:event:prov:';

export const SESSION_REVOKED = `${CAEP}session-revoked`;
export const CLAIMS_CHANGE = `${CAEP}token-claims-change`;
export const ACCOUNT_DISABLED = `${RISC}account-disabled`;
export const ACCOUNT_ENABLED = `${RISC}account-enabled`;
export const ACCOUNT_PURGED = `${RISC}account-purged`;
export const IDENTIFIER_CHANGED = `${RISC}identifier-changed`;
export const VERIFICATION = `${SSF}verification`;
export const STREAM_UPDATED = `${SSF}stream-updated`;

/** RFC 9967. */
export const SCIM_EVENTS = [
  ...['create:notice', 'put:notice', 'patch:notice', 'delete', 'activate', 'deactivate'].map((name) => PROV + name),
];

/** What a stream can ask for. */
export const SUPPORTED: readonly string[] = [
  ...[SESSION_REVOKED, CLAIMS_CHANGE],
  ...[ACCOUNT_DISABLED, ACCOUNT_ENABLED, ACCOUNT_PURGED, IDENTIFIER_CHANGED],
  ...SCIM_EVENTS,
];

/** Whom a token is about. The org: everybody. */
export type About =
  | { readonly kind: 'user'; readonly id: string }
  | { readonly kind: 'group'; readonly id: string; readonly externalId?: string | undefined }
  | { readonly kind: 'org' }
  /** A user by an address that is not theirs any more. */
  | { readonly kind: 'email'; readonly userId: string; readonly email: string }
  /** The same for receivers that know users by their address, if it became another one. */
  | { readonly kind: 'address'; readonly userId: string };

/** The id of the user whom it is about. */
export const userIn = (about: About): string | undefined =>
  about.kind === 'user' ? about.id : 'userId' in about ? about.userId : undefined;

/** What one token is to say. */
export interface TokenDraft {
  /** Which of the event's tokens. */
  readonly token: number;
  readonly uri: string;
  readonly about: About;
  readonly members: Readonly<Record<string, unknown>>;
  /** The present groups and roles of the user are to be told. */
  readonly tellsClaims?: boolean;
  /** The names of all attributes that the user has now are to be told. */
  readonly tellsAttributes?: boolean;
  /** Not told of a user who is not active now. */
  readonly onlyIfActive?: boolean;
}

/** Events of the journal that tokens are made of. */
export const SOURCES: readonly string[] = [
  ...['created', 'imported', 'updated', 'linked', 'deactivated', 'reactivated', 'restored', 'deleted', 'erased'].map(
    (name) => `user.${name}`,
  ),
  ...['user.signed_out', 'org.signed_out', 'org.disabled', 'group.created', 'group.updated', 'group.deleted'],
];

/** Attributes that applications take claims from. */
const CLAIMS = new Set(['roles', 'entitlements']);

type Unnumbered = Omit<TokenDraft, 'token'>;

/** All tokens of the event, whatever a stream has asked for. */
export function draftsOf(event: JournalEvent): TokenDraft[] {
  const drafts = event.type.startsWith('group.')
    ? ofGroup(event)
    : event.target === undefined
      ? ofOrg(event)
      : ofUser(event, event.target);
  return drafts.map((draft, token) => ({ token, ...draft }));
}

function ofUser(event: JournalEvent, id: string): Unnumbered[] {
  const about: About = { kind: 'user', id };
  const says = (uri: string, members: Unnumbered['members'] = {}): Unnumbered => ({ uri, about, members });
  const prov = (name: string, members = {}) => says(PROV + name, members);
  const attributes = attributesOf(event);
  const others = attributes.filter((name) => name !== 'active');
  const change =
    others.length > 0 ? [prov(noticeOf(event), { attributes: others }), ...claims(event, about, others)] : [];
  switch (event.type) {
    case 'user.created':
    case 'user.imported':
      return [prov('create:notice', { attributes })];
    case 'user.updated':
    case 'user.linked':
      return [...change, ...renamed(event, id), ...readdressed(attributes, id)];
    case 'user.deactivated':
      return [
        ...[revoked(event, about), says(ACCOUNT_DISABLED), prov('deactivate'), ...change],
        ...[...renamed(event, id), ...readdressed(attributes, id)],
      ];
    case 'user.reactivated':
      return [
        ...[says(ACCOUNT_ENABLED), prov('activate'), ...change],
        ...[...renamed(event, id), ...readdressed(attributes, id)],
      ];
    case 'user.restored':
      return [
        { ...prov('create:notice'), tellsAttributes: true },
        { ...says(ACCOUNT_ENABLED), onlyIfActive: true },
      ];
    case 'user.signed_out':
      return [revoked(event, about)];
    case 'user.erased':
      // What the service erases by its age was deleted, and told, long before.
      if (event.actor === 'service') return [];
      return [revoked(event, about), says(ACCOUNT_PURGED), prov('delete')];
    case 'user.deleted':
      return [revoked(event, about), says(ACCOUNT_PURGED), prov('delete')];
    default:
      return [];
  }
}

/** A change by a PUT says so. */
const noticeOf = ({ details }: JournalEvent) => (details['replaced'] === true ? 'put:notice' : 'patch:notice');

/** Everybody's sessions are over: the subject is the tenant (SSF 1.0, complex subjects). */
const ofOrg = (event: JournalEvent): Unnumbered[] => [revoked(event, { kind: 'org' })];

function ofGroup(event: JournalEvent): Unnumbered[] {
  const { target: id, type } = event;
  if (id === undefined) return [];
  const before = event.details['before'] as Resource | undefined;
  const about: About = { kind: 'group', id, externalId: before?.['externalId'] as string | undefined };
  const attributes = attributesOf(event);
  const moved = [...idsIn(event, 'joined'), ...idsIn(event, 'left')];
  const names = [...attributes, ...(moved.length > 0 && !attributes.includes('members') ? ['members'] : [])];
  const notice =
    type === 'group.created'
      ? [{ uri: `${PROV}create:notice`, about, members: { attributes: names } }]
      : type === 'group.deleted'
        ? [{ uri: `${PROV}delete`, about, members: {} }]
        : names.length > 0
          ? [{ uri: PROV + noticeOf(event), about, members: { attributes: names } }]
          : [];
  // Those of them who are groups are nobody's claims.
  return [...notice, ...moved.map((user) => claimsOf(event, { kind: 'user', id: user }))];
}

const idsIn = ({ details }: JournalEvent, name: 'joined' | 'left'): string[] =>
  ((details[name] as string[] | undefined) ?? []).filter((id) => typeof id === 'string');

const claims = (event: JournalEvent, about: About, changed: readonly string[]): Unnumbered[] =>
  changed.some((name) => CLAIMS.has(name)) ? [claimsOf(event, about)] : [];

const claimsOf = (event: JournalEvent, about: About): Unnumbered => ({
  uri: CLAIMS_CHANGE,
  about,
  members: causeOf(event),
  tellsClaims: true,
});

const revoked = (event: JournalEvent, about: About): Unnumbered => ({
  uri: SESSION_REVOKED,
  about,
  members: { ...causeOf(event), reason_admin: { en: REASONS[endCauseOf({ name: event.actor }).cause] } },
});

/** CAEP 1.0 §2: when, and who began it. */
const causeOf = ({ at, actor }: JournalEvent) => ({
  event_timestamp: Math.floor(at / 1_000),
  initiating_entity: INITIATORS[endCauseOf({ name: actor }).cause],
});

const INITIATORS = { scim: 'policy', operator: 'admin', portal: 'admin', signal: 'policy', service: 'system' } as const;

const REASONS = {
  scim: 'The identity provider changed the account',
  operator: 'An operator ended the sessions',
  portal: 'An administrator of the organization ended the sessions',
  signal: 'A signal of another issuer ended the sessions',
  service: 'A setting ended the sessions',
} as const;

/** Names alone: of `name.givenName` the attribute. */
function attributesOf({ details }: JournalEvent): string[] {
  const names = [
    ...Object.keys((details['changed'] as object) ?? {}),
    ...Object.keys((details['leftOut'] as object) ?? {}),
  ];
  return [...new Set(names)].filter((name) => name !== 'before').sort();
}

/** RISC 1.0 §2.7: the subject is the address before, and only an address is an identifier. */
function renamed({ details }: JournalEvent, userId: string): Unnumbered[] {
  const change = (details['changed'] as Record<string, { before?: unknown; after?: unknown }> | undefined)?.[
    'userName'
  ];
  const { before, after } = change ?? {};
  if (!isAddress(before) || !isAddress(after)) return [];
  return [
    { uri: IDENTIFIER_CHANGED, about: { kind: 'email', userId, email: before }, members: { 'new-value': after } },
  ];
}

/** What they became is said where the names of the user are known. Behind all others: those keep their numbers. */
const readdressed = (attributes: readonly string[], userId: string): Unnumbered[] =>
  attributes.includes('emails') || attributes.includes('userName')
    ? [{ uri: IDENTIFIER_CHANGED, about: { kind: 'address', userId }, members: {} }]
    : [];
