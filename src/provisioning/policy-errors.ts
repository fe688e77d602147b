/** What a policy of the org refuses: the error for the identity provider, counted for the administrator and recorded. */
import { forbidden, invalidValue, type ScimError, tooManyRequests, uniqueness } from '../scim/error';
import { Unmet } from '../store/d1/batch';
import type { Expectation } from '../store/d1/expect';
import { hold, type Operation, recordProtectedIdentity, recordProtection } from '../store/directory/deactivation-limit';
import { storageOf } from '../store/directory/policy';
import { withContact } from '../store/org/plan';
import { sizeText } from '../store/org/size';
import type { Org } from './org';

export const isUnmet = (error: unknown, expectation: Expectation) =>
  error instanceof Unmet && error.expectation === expectation;

/**
 * The error for the identity provider when a policy of the org has refused a change.
 *
 * @param id the user who would have been deactivated or deleted.
 * @returns undefined when what was in the way is gone by now: to be tried again.
 * @throws ScimError 400, 403, 409, 429; whatever else it was.
 */
export async function refused(
  org: Org,
  error: unknown,
  id = '',
  operation: Operation = 'deactivate',
): Promise<undefined> {
  if (isUnmet(error, 'allowed_roles')) throw await unknownRole(org);
  if (isUnmet(error, 'seats')) return noSeat(org);
  if (isUnmet(error, 'storage')) throw await noRoom(org);
  if (isUnmet(error, 'linking')) throw await notLinked(org);
  if (isUnmet(error, 'protected')) throw await protectedUser(org, id, operation);
  if (isUnmet(error, 'rejected')) throw await rejected(org);
  if (isUnmet(error, 'unique_external_id')) throw uniqueness('externalId');
  if (isUnmet(error, 'brake')) throw await held(org, id, operation);
  throw error;
}

/**
 * RFC 7644 §3.12: 403, the operation is not permitted. Not 409, after which identity providers look for a duplicate, nor
 * 429, after which they hold back everything else, too. Okta puts the detail before its administrator as a task (Okta
 * Help, «Troubleshoot provisioning»); Entra ID tries again in later cycles (Microsoft Learn, «How Application
 * Provisioning works», errors and retries), so who waits for a seat gets it when there is one.
 *
 * @returns undefined when the limit is gone by now: to be tried again.
 * @throws ScimError 403.
 */
async function noSeat(org: Org): Promise<undefined> {
  let { settings } = await org.store.found();
  if (settings['plan.seats'] === undefined) ({ settings } = await org.store.verify()); // it has been set since
  const seats = settings['plan.seats'];
  if (seats === undefined) return;
  org.noteRefusal('seats');
  const sentence = `The limit of active users in the plan of this organization (plan.seats: ${seats}) is reached. Deactivate other users first, or ask for more seats.`;
  throw forbidden(withContact(sentence, settings));
}

/** As without a seat: 403, for nothing that the identity provider sends again makes room. */
export async function noRoom(org: Org): Promise<ScimError> {
  const { settings } = await org.store.found();
  org.noteRefusal('storage');
  const sentence = `The storage in the plan of this organization (plan.storage: ${sizeText(storageOf(settings))}) is full. Delete users or groups, or ask for more storage.`;
  return forbidden(withContact(sentence, settings));
}

/** Roles that a refusal lists. */
const MAX_LISTED_ROLES = 20;

/** Says which roles there are, never the one that was refused. */
async function unknownRole(org: Org): Promise<ScimError> {
  const { settings } = await org.store.found();
  const allowed = (settings.roles ?? []).map(({ value }) => value);
  const rest = allowed.length - MAX_LISTED_ROLES;
  return invalidValue(
    `roles.value: this organization limits roles to ${allowed.slice(0, MAX_LISTED_ROLES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`,
  );
}

/** The account is the host app's own, and the org does not link (`linking`). */
export async function notLinked(org: Org): Promise<ScimError> {
  const sentence =
    'The account was not created by the identity provider, and this organization does not link such accounts (linking: off).';
  return forbidden(withContact(sentence, (await org.store.found()).settings));
}

/** RFC 7644 §3.12: 403. Owners and emergency accounts are protected, so that an identity provider cannot lock the org out. */
async function protectedUser(org: Org, id: string, operation: Operation): Promise<ScimError> {
  await recordProtection(org.store, id, operation, org.actor);
  org.noteRefusal('protected');
  const sentence = `The account is protected in the application. The identity provider cannot deactivate or delete it.`;
  return forbidden(withContact(sentence, (await org.store.found()).settings));
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
  return forbidden(withContact(sentence, (await org.store.found()).settings));
}

/** The operator has said no to it, for a while. */
async function rejected(org: Org): Promise<ScimError> {
  org.noteRefusal('brake');
  const sentence = `The administrator of the application has rejected this deactivation or deletion. Correct the assignment, or ask for its release.`;
  return forbidden(withContact(sentence, (await org.store.found()).settings));
}

/** RFC 6585 §4: 429 with Retry-After. What it asked for waits for the operator; asked for later, it may pass by itself. */
async function held(org: Org, id: string, operation: Operation): Promise<ScimError> {
  const { limit, window, room } = await hold(org.store, id, operation, org.actor);
  org.noteRefusal('brake');
  const sentence = `The limit of deactivations and deletions of this organization (${limit} in ${Math.round(window / 60_000)} minutes) is reached. This one waits for the administrator of the application, or for a later attempt.`;
  const seconds = Math.max(1, Math.ceil(room / 1_000));
  return tooManyRequests(withContact(sentence, (await org.store.found()).settings), seconds);
}
