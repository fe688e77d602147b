/** Security event tokens (RFC 8417), as SSF 1.0 and the CAEP interoperability profile want them: one event each. */
import { SignJWT } from 'jose';
import type { Details } from '../events';
import { calledBy } from '../scim/address';
import type { Person } from '../store/directory/people';
import { externalIdOf, type JournalEvent, type Subjects } from '../store/operations/signal-journal';
import { placeOf } from '../store/operations/signal-lines';
import type { ControlEvent, PushedStream } from '../store/operations/signal-streams';
import type { SigningKey } from '../store/operations/signing-keys';
import type { Tenant } from '../store/org/tenant';
import { type About, SCIM_EVENTS, type TokenDraft, userIn } from './events';
import { openSigningKey } from './keys';
import { addressChange, type Named, type Names, namesAt } from './names';

/** A token before it is signed. */
export interface Unsigned {
  readonly jti: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** One of an event of the journal. */
export interface Placed extends Unsigned {
  readonly place: number;
  /** For operators. */
  readonly name: string;
}

type Addressee = Pick<PushedStream, 'id' | 'issuer' | 'audience' | 'subject'>;

export const jtiOf = (streamId: string, orgId: string, place: number): string => `${streamId}.${orgId}.${place}`;

/** The place of a token of the stream; undefined: it is none of this stream, or one of the stream itself. */
export function placeIn(streamId: string, jti: string): { readonly orgId: string; readonly place: number } | undefined {
  const [, stream, orgId, place] = /^([0-9A-Za-z]{1,40})\.([0-9A-Za-z]{12})\.(\d{1,15})$/.exec(jti) ?? [];
  return stream === streamId ? { orgId: orgId!, place: Number(place) } : undefined;
}

/**
 * @returns undefined where there is nobody to tell of: they are a group, or the receiver has removed them.
 */
export function tokenOf(
  stream: Addressee,
  tenant: Tenant,
  event: JournalEvent,
  draft: TokenDraft,
  subjects: Subjects,
): Placed | undefined {
  const { uri } = draft;
  const userId = userIn(draft.about);
  const person = userId === undefined ? undefined : subjects.users.get(userId);
  if (userId !== undefined && subjects.excluded.has(userId)) return undefined;
  if (draft.tellsClaims && person === undefined) return undefined;
  if (draft.onlyIfActive && person?.isActive !== true) return undefined;
  const about = draft.about.kind === 'address' ? addressOf(event, draft.about.userId, person, subjects) : draft.about;
  if (about === undefined) return undefined;
  const members = {
    ...draft.members,
    ...(draft.tellsClaims && { claims: claimsOf(person!) }),
    ...(draft.tellsAttributes && { attributes: Object.keys(person?.resource ?? {}).sort() }),
    ...('becomes' in about && about.becomes !== undefined && { 'new-value': about.becomes }),
  };
  const place = placeOf(event.seq, draft.token);
  return {
    place,
    jti: jtiOf(stream.id, tenant.id, place),
    name: `${event.type} ${event.seq}`,
    claims: {
      aud: stream.audience,
      txn: event.requestId,
      sub_id: subjectOf({ stream, tenant, event }, draft, about, person, subjects),
      org: { id: tenant.id, slug: tenant.slug },
      events: { [uri]: members },
    },
  };
}

const namedIn = ({ names }: Subjects, userId: string, person: Person | undefined): Named => ({
  resource: person?.resource,
  changes: names.get(userId) ?? [],
});

/** By which address the user was known, and what it became. Undefined: it is the same, or the userName has told it already. */
function addressOf(event: JournalEvent, userId: string, person: Person | undefined, subjects: Subjects) {
  const change = addressChange(namedIn(subjects, userId, person), event);
  const told = (event.details['changed'] as Details['changed'])?.['userName'];
  if (change === undefined) return undefined;
  if (told && 'before' in told && told.before === change.before && told.after === change.after) return undefined;
  return { kind: 'email', userId, email: change.before, becomes: change.after } as const;
}

/** RFC 9493, RFC 9967; of everybody the tenant, as a complex subject (SSF 1.0). */
function subjectOf(
  { stream, tenant, event }: { stream: Addressee; tenant: Tenant; event: JournalEvent },
  { uri: type }: TokenDraft,
  about: Exclude<About, { kind: 'address' }>,
  person: Person | undefined,
  subjects: Subjects,
): object {
  if (about.kind === 'org') return { format: 'complex', tenant: { format: 'opaque', id: tenant.id } };
  if (about.kind === 'email') return { format: 'email', email: about.email };
  if (about.kind === 'user' && stream.subject !== 'scim' && !SCIM_EVENTS.includes(type))
    return userNamed(stream, about.id, namesAt(namedIn(subjects, about.id, person), event), subjects);
  const [uri, externalId] =
    about.kind === 'user'
      ? [`/Users/${about.id}`, externalIdOf(person?.resource)]
      : [`/Groups/${about.id}`, subjects.groups.get(about.id) ?? about.externalId];
  return { format: 'scim', uri, ...(externalId !== undefined && { externalId }) };
}

/** RFC 9493. A user who has no name of that format is named by ours, which each user has. */
function userNamed({ subject, issuer }: Addressee, id: string, names: Names, { subjectIssuer }: Subjects): object {
  const email = calledBy(names);
  if (subject === 'email' && email !== undefined) return { format: 'email', email };
  const sub = subjectIssuer && (subjectIssuer.subject === 'email' ? email : names[subjectIssuer.subject]);
  return typeof sub === 'string' && sub !== ''
    ? { format: 'iss_sub', iss: subjectIssuer!.issuer, sub }
    : { format: 'iss_sub', iss: issuer, sub: id };
}

/** As they are now, and not as they were: who is told late is told the truth. */
function claimsOf({ groups, resource }: Person) {
  const roles = (resource['roles'] as { value?: string }[] | undefined) ?? [];
  return {
    groups: groups.map(({ display }) => display ?? ''),
    roles: [...new Set(roles.flatMap(({ value }) => value ?? []))],
  };
}

/** Of an event of the stream itself: its subject is the stream (SSF 1.0 §8.1.4, §8.1.5). */
export const controlTokenOf = (stream: Addressee, { n, uri, members, txn }: ControlEvent): Unsigned => ({
  jti: `${stream.id}.${n}`,
  claims: {
    aud: stream.audience,
    ...(txn !== undefined && { txn }),
    sub_id: { format: 'opaque', id: stream.id },
    events: { [uri]: members },
  },
});

/** @param keys WEBHOOK_KEY first. @throws Unreadable. */
export async function sign(
  keys: readonly string[],
  key: SigningKey,
  issuer: string,
  { jti, claims }: Unsigned,
  now: number,
): Promise<string> {
  return new SignJWT({ ...claims, iss: issuer, jti, iat: Math.floor(now / 1_000) })
    .setProtectedHeader({ alg: key.algorithm, kid: key.kid, typ: 'secevent+jwt' })
    .sign(await openSigningKey(keys, key));
}
