/** What became of a request with a good credential: counted for its org after the answer, without anything it sent. */
import type { Context } from 'hono';
import { ScimError } from '../../scim/error';
import { Busy } from '../../store/d1/batch';
import { requestOf, Traffic } from '../../store/operations/traffic';
import { type App, inBackground, type Outcome } from '../context';
import { noteRefusal } from './refusal';

/** Of this isolate. */
export const traffic = new Traffic();

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const RESOURCES = ['Users', 'Groups', 'Bulk', '.search', 'Me'];
const DISCOVERY = ['ServiceProviderConfig', 'ResourceTypes', 'Schemas'];

/** Method and kind of resource: words of ours alone, never an id or what a client made up. */
function operationOf({ method, path }: Outcome): string {
  const [, first = '', second] = path.split('/');
  const resource = second === '.search' ? second : first;
  const kind = RESOURCES.includes(resource) ? `/${resource}` : DISCOVERY.includes(first) ? 'discovery' : 'other';
  return `${METHODS.includes(method) ? method : 'other'} ${kind}`;
}

/** What a thrown error is answered with. */
export const statusOf = (error: unknown): number =>
  error instanceof ScimError ? error.status : error instanceof Busy ? 503 : 500;

/** The attribute that a resource cannot be without: a name of the standard, and nothing of the request. */
const missingIn = ({ detail }: ScimError): string | undefined =>
  /^(userName|displayName) is required:/.exec(detail)?.[1];

/** A setting of the org that has refused a value, and what its refusals begin with. */
const BY_SETTING: Readonly<Record<string, string>> = {
  'roles.value: this organization limits roles to ': 'by roles',
  'members.value: ids of users and groups of this organization ': 'by unknownMembers',
};
const MAX_ATTRIBUTE = 80;

/** Why a value was refused: a setting, or else the attribute that has it, as a schema names it. */
function causeOf({ scimType, detail }: ScimError): string | undefined {
  if (scimType !== 'invalidValue') return undefined;
  const setting = Object.entries(BY_SETTING).find(([beginning]) => detail.startsWith(beginning))?.[1];
  if (setting) return setting;
  const attribute = /^([A-Za-z$][\w.$:-]*): /.exec(detail)?.[1];
  return attribute && attribute.length <= MAX_ATTRIBUTE ? `of ${attribute}` : undefined;
}

/** What an org's policies answer with, which note their refusals under names of their own. */
const OF_POLICIES = [403, 429];

/**
 * @param caller the credential is known by its id, or else is found by its hash.
 * @param outcomes the request, and each operation that was in it.
 * @param noted how many refusals of them are noted already: they are not counted twice.
 */
export function noteOutcomes(
  c: Context<App>,
  { orgId, hash, credentialId }: { orgId: string; hash: string; credentialId: string | undefined },
  outcomes: readonly Outcome[],
  noted: number,
): void {
  if (traffic.isOff) return; // both or neither: a rate of errors is made of both
  const now = Date.now();
  const hints = new Map<string, number>();
  let left = noted;
  for (const one of outcomes) {
    if (one.status < 400 || (OF_POLICIES.includes(one.status) && left-- > 0)) continue;
    const scimType = one.error instanceof ScimError ? one.error.scimType : undefined;
    const cause = one.error instanceof ScimError ? (missingIn(one.error) ?? causeOf(one.error)) : undefined;
    const hint = [operationOf(one), one.status, ...(scimType ? [scimType] : []), ...(cause ? [cause] : [])].join(' ');
    hints.set(hint, (hints.get(hint) ?? 0) + 1);
  }
  const by = credentialId === undefined ? { hash } : { credentialId };
  for (const [hint, count] of hints) noteRefusal(c, { reason: 'request', hint, orgId, ...by }, count);
  const requests = outcomes.map((one) => requestOf(orgId, operationOf(one), one.status, now));
  inBackground(c, traffic.add(c.env, ...requests));
}
