/** Events of a user as sentences: who did what, what it was before and after. Pure; it knows no table. */
import type { Changed, Details } from '../events';

/** An event, as far as it is told. */
export interface Told {
  readonly type: string;
  readonly actor: string;
  readonly target: string | null;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The ids of groups that are to be told by their names. */
export function groupsNamedIn({ type, target, details }: Told): string[] {
  const named = [details['defaultGroup'], details['group'], ...(listOf(details['leftGroups']) ?? [])];
  if (type.startsWith('group.')) named.push(target);
  return named.filter((id) => typeof id === 'string');
}

/**
 * @param userId whose history it is: of a group's event only what bears on this user is told.
 * @param names of groups by their ids.
 */
export function tell(event: Told, userId: string, names: ReadonlyMap<string, string>): string {
  const group = (id: unknown) => quoted(names.get(id as string) ?? id);
  const by = `by ${whoIs(event)}`;
  const tale = OF_USER[event.type] ?? (() => `${event.type} ${by}`);
  const told = event.type.startsWith('group.')
    ? inGroup(event, userId, group(event.target), by)
    : tale(by, event.details, group);
  const quirks = listOf(event.details['quirks']);
  const allowance = quirks && quirks.length > 0 ? `tolerated: ${quirks.map(words).join(', ')}` : '';
  return [told, changes(event), linked(event.details['linked']), others(event), allowance].filter(Boolean).join('; ');
}

type Tale = (by: string, details: Told['details'], group: (id: unknown) => string) => string;

const OF_USER: Record<string, Tale> = {
  'user.created': (by, { defaultGroup }, group) =>
    `Created ${by}${typeof defaultGroup === 'string' ? `, and added to the default group ${group(defaultGroup)}` : ''}`,
  'user.updated': (by) => `Changed ${by}`,
  'user.imported': (by, { changed }) => {
    const isNew = (changed as Record<string, { before: unknown }> | undefined)?.['userName']?.before === null;
    return isNew ? `Imported from the application ${by}` : `Changed by an import from the application ${by}`;
  },
  'user.linked': (by) => `Linked ${by}`,
  'user.protected': (by, { reason }) =>
    `Protected ${by}${because(reason)}: the identity provider cannot deactivate or delete the account`,
  'user.unprotected': (by, { reason }) => `Not protected any more ${by}${because(reason)}`,
  'user.deactivation_refused': (by) => `Deactivation ${by} was refused: the account is protected`,
  'user.change_refused': (by, { refused }) =>
    `Change ${by} of ${(listOf(refused) ?? []).join(', ') || 'its identity'} was refused: the account is protected`,
  'user.deletion_refused': (by) => `Deletion ${by} was refused: the account is protected`,
  'brake.held': (by, { operation }) =>
    `${operationOf(operation)} ${by} is above the limit: it waits, and the user stays active`,
  'brake.rejected': (by, { until }) =>
    `The deactivation or deletion that waited was rejected ${by}: refused until ${until}`,
  'brake.withdrawn': (by) => `Set to active again ${by}: nothing waits any more`,
  'user.deactivated': (by, { cause }) => {
    const why =
      cause === 'exit' ? ', because the SCIM set-up was removed' : cause === 'brake' ? ', who released it' : '';
    return `Deactivated ${by}${why}: all sessions until then are over`;
  },
  'user.reactivated': (by) => `Reactivated ${by}: can sign in again`,
  'user.restored': (by, { reason }) => `Restored ${by}${because(reason)}, with the same id`,
  'user.deleted': (by, { leftGroups }, group) => {
    const left = listOf(leftGroups) ?? [];
    const from = left.length > 0 ? `, and removed from ${left.map(group).join(', ')}` : '';
    return `Deleted ${by}${from}: all sessions until then are over`;
  },
  'user.erased': (by, { cause }) =>
    cause === 'retention'
      ? `Erased ${by}, some time after the deletion: only the id remains`
      : `Erased ${by}: all sessions until then are over, and only the id remains`,
  'user.signed_out': (by, { cause, group: of, event }, group) => {
    const why =
      cause === 'rename' ? ' for a new userName' : cause === 'group' ? ` for leaving the group ${group(of)}` : '';
    return `Signed out ${by}${why}${signalled(event)}`;
  },
  'user.signal_received': (by, { event }) => `Named ${by}${signalled(event)}: nothing was changed`,
  'org.disabled': (by, { reason }) => `The org was switched off ${by}${because(reason)}: its users cannot be signed in`,
  'org.enabled': (by, { reason }) => `The org was switched on again ${by}${because(reason)}`,
  'org.signed_out': (by) => `All users of the org were signed out ${by}`,
  'scim.disabled': (by) => `SCIM was switched off ${by}: the identity provider cannot change anything`,
  'scim.enabled': (by) => `SCIM was switched on ${by}`,
};

/** Which event of a signal it was: `session-revoked`, or the request of Universal Logout. */
function signalled(event: unknown): string {
  if (typeof event !== 'string') return '';
  return event === 'global-token-revocation' ? ' (Universal Logout)' : ` (${event})`;
}

const operationOf = (operation: unknown) => (operation === 'delete' ? 'Deletion' : 'Deactivation');

/** How an imported account was linked. */
function linked(how: unknown): string {
  if (how === null || typeof how !== 'object') return '';
  const { by, keptEmails } = how as { by?: unknown; keptEmails?: unknown };
  const match =
    by === 'id'
      ? 'found by its id'
      : `matched by ${by === 'email' ? 'an e-mail address' : `the ${by === 'externalId' ? 'externalId' : 'userName'}`}`;
  return `managed by it from now on, ${match}${keptEmails === true ? '; kept its e-mail addresses' : ''}`;
}

/** Of a new account: similar accounts beside which it was created. */
function others({ details }: Told): string {
  const named = (name: string, sentence: string) => {
    const ids = listOf(details[name]) ?? [];
    return ids.length > 0 ? `${sentence} ${ids.join(', ')}` : '';
  };
  return [
    named('notRestored', 'created beside deleted accounts with the same name or externalId:'),
    named('notLinked', 'created beside accounts with the same address:'),
    named('sameExternalId', 'other accounts have the same externalId:'),
  ]
    .filter(Boolean)
    .join('; ');
}

/** A group's event names some of its users and counts the others: whether this user is one of those is unknown. */
function inGroup({ type, details }: Told, userId: string, group: string, by: string): string {
  const has = (name: string) => listOf(details[name])?.includes(userId) === true;
  const of = type === 'group.deleted' ? `, deleted ${by}` : type === 'group.created' ? `, created ${by}` : ` ${by}`;
  if (has('joined')) return `Joined the group ${group}${of}`;
  if (has('left')) return `Left the group ${group}${of}`;
  if (has('unknownMembers')) return `Skipped in the group ${group}${of}: the user did not exist then`;
  const unnamed = (['joined', 'left'] as const).flatMap((verb) => {
    const total = details[`${verb}Count`] as number | undefined;
    const named = listOf(details[verb])?.length ?? 0;
    return total !== undefined && total > named ? [`${total - named} more ${verb} than are named`] : [];
  });
  return `Perhaps in a change of the group ${group}${of}: ${unnamed.join(', ')}`;
}

/** Attribute by attribute; of a group's event they are the group's. */
function changes({ type, details }: Told): string {
  if (!type.startsWith('user.')) return '';
  const changed = Object.entries((details['changed'] ?? {}) as NonNullable<Details['changed']>);
  const told = changed.map(([name, change]) => `${name} ${changeOf(change)}`);
  const leftOut = Object.keys((details['leftOut'] ?? {}) as NonNullable<Details['leftOut']>);
  // What an erasure has left of the others is which they were.
  const untold = listOf(details['attributes'])?.filter((name) => !changed.some(([known]) => known === name)) ?? [];
  const all = [
    ...told,
    ...leftOut.map((name) => `${name} (too large for the journal)`),
    ...untold.map((name) => `${name} (erased)`),
  ];
  return [...all.slice(0, MAX_CHANGES), ...(all.length > MAX_CHANGES ? [`${all.length - MAX_CHANGES} more`] : [])].join(
    ', ',
  );
}

function changeOf(change: Changed): string {
  if ('before' in change) {
    return change.before === null ? short(change.after) : `${short(change.before)} → ${short(change.after)}`;
  }
  const { added, removed } = change;
  const parts = [
    ...(added.length > 0 ? [`${short(added)} added`] : []),
    ...(removed.length > 0 ? [`${short(removed)} removed`] : []),
  ];
  return parts.length > 0 ? parts.join(' and ') : 'in another order';
}

const MAX_CHANGES = 20;
const MAX_SHORT = 80;

function short(value: unknown): string {
  if (value === null) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > MAX_SHORT ? `${text.slice(0, MAX_SHORT)}…` : text;
}

function whoIs({ actor, details }: Told): string {
  const [kind, name] = [actor.split(':', 1)[0], actor.slice(actor.indexOf(':') + 1)];
  const client = typeof details['client'] === 'string' ? ` (${details['client']})` : '';
  if (kind === 'idp') return `the identity provider${client}`;
  if (kind === 'client') return `the OAuth client ${name}${client}`;
  if (kind === 'portal') return `the administrator ${name} in the portal`;
  if (kind === 'admin') return `the administrator ${(details['by'] as string | undefined) ?? name}`;
  if (kind === 'signal') return `a signal of ${name}`;
  return 'the service itself';
}

/** The name of a quirk as words. */
const words = (name: string) => name.replaceAll('-', ' ');

const because = (reason: unknown) => (typeof reason === 'string' ? ` (${reason})` : '');
const quoted = (name: unknown) => `"${name}"`;
const listOf = (value: unknown): string[] | undefined => (Array.isArray(value) ? (value as string[]) : undefined);
