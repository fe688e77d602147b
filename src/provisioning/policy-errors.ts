/** What a policy of the org refuses: the error for the identity provider, counted for the administrator and recorded. */
import { forbidden, invalidValue, type ScimError, tooManyRequests, uniqueness } from '../scim/error';
import type { Refusal } from '../store/d1/outcome';
import { hold, type Operation, recordProtectedIdentity, recordProtection } from '../store/directory/deactivation-limit';
import type { LeavingRefusal } from '../store/directory/delete-user';
import { storageOf } from '../store/directory/policy';
import type { ChangeRefusal, NewUserRefusal } from '../store/directory/user-changes';
import { withContact } from '../store/org/plan';
import { sizeText } from '../store/org/size';
import type { Org } from './org';

/** What a policy of the org can refuse. */
export type PolicyRefusal = Extract<NewUserRefusal | ChangeRefusal | LeavingRefusal, keyof typeof ERRORS>;

const ERRORS = {
  allowed_roles: unknownRole,
  seats: noSeat,
  storage: noRoom,
  linking: notLinked,
  protected: protectedUser,
  rejected,
  unique_external_id: () => uniqueness('externalId'),
  brake: held,
} satisfies Partial<Record<Refusal, (org: Org, id: string, operation: Operation) => ScimError | Promise<ScimError>>>;

/**
 * The error for the identity provider when a policy of the org has refused a change: 400, 403, 409, 429.
 *
 * @param id the user who would have been deactivated or deleted.
 */
export const policyError = async (
  org: Org,
  refusal: PolicyRefusal,
  id = '',
  operation: Operation = 'deactivate',
): Promise<ScimError> => ERRORS[refusal](org, id, operation);

/**
 * RFC 7644 §3.12: 403, the operation is not permitted. Not 409, after which identity providers look for a duplicate, nor
 * 429, after which they hold back everything else, too. Okta puts the detail before its administrator as a task (Okta
 * Help, «Troubleshoot provisioning»); Entra ID tries again in later cycles (Microsoft Learn, «How Application
 * Provisioning works», errors and retries), so who waits for a seat gets it when there is one.
 */
function noSeat(org: Org): ScimError {
  const { settings } = org.store.profile;
  org.noteRefusal('seats');
  const sentence = `The limit of active users in the plan of this organization (plan.seats: ${settings['plan.seats']}) is reached. Deactivate other users first, or ask for more seats.`;
  return forbidden(withContact(sentence, settings));
}

/** As without a seat: 403, for nothing that the identity provider sends again makes room. */
export function noRoom(org: Org): ScimError {
  const { settings } = org.store.profile;
  org.noteRefusal('storage');
  const sentence = `The storage in the plan of this organization (plan.storage: ${sizeText(storageOf(settings))}) is full. Delete users or groups, or ask for more storage.`;
  return forbidden(withContact(sentence, settings));
}

/** Roles that a refusal lists. */
const MAX_LISTED_ROLES = 20;

/** Says which roles there are, never the one that was refused. */
function unknownRole(org: Org): ScimError {
  const { settings } = org.store.profile;
  const allowed = (settings.roles ?? []).map(({ value }) => value);
  const rest = allowed.length - MAX_LISTED_ROLES;
  return invalidValue(
    `roles.value: this organization limits roles to ${allowed.slice(0, MAX_LISTED_ROLES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`,
  );
}

/** The account is the application's own, and the org does not link (`linking`). */
export function notLinked(org: Org): ScimError {
  const sentence =
    'The account was not created by the identity provider, and this organization does not link such accounts (linking: off).';
  return forbidden(withContact(sentence, org.store.profile.settings));
}

/** RFC 7644 §3.12: 403. Owners and emergency accounts are protected, so that an identity provider cannot lock the org out. */
async function protectedUser(org: Org, id: string, operation: Operation): Promise<ScimError> {
  await recordProtection(org.store, id, operation, org.actor);
  org.noteRefusal('protected');
  const sentence = `The account is protected in the application. The identity provider cannot deactivate or delete it.`;
  return forbidden(withContact(sentence, org.store.profile.settings));
}

/**
 * RFC 7644 §3.12: 403. By these attributes the application knows the person, and lets them sign in.
 *
 * @param attributes that would have changed.
 */
export async function protectedIdentity(org: Org, id: string, attributes: readonly string[]): Promise<ScimError> {
  await recordProtectedIdentity(org.store, id, attributes, org.actor);
  org.noteRefusal('protected');
  const sentence = `The account is protected in the application. The identity provider cannot change ${attributes.join(', ')}.`;
  return forbidden(withContact(sentence, org.store.profile.settings));
}

/** The operator has said no to it, for a while. */
function rejected(org: Org): ScimError {
  org.noteRefusal('brake');
  const sentence = `The administrator of the application has rejected this deactivation or deletion. Correct the assignment, or ask for its release.`;
  return forbidden(withContact(sentence, org.store.profile.settings));
}

/** RFC 6585 §4: 429 with Retry-After. What it asked for waits for the operator; asked for later, it may pass by itself. */
async function held(org: Org, id: string, operation: Operation): Promise<ScimError> {
  const { limit, window, room } = await hold(org.store, id, operation, org.actor);
  org.noteRefusal('brake');
  const sentence = `The limit of deactivations and deletions of this organization (${limit} in ${Math.round(window / 60_000)} minutes) is reached. This one waits for the administrator of the application, or for a later attempt.`;
  const seconds = Math.max(1, Math.ceil(room / 1_000));
  return tooManyRequests(withContact(sentence, org.store.profile.settings), seconds);
}
