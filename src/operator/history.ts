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
  const bends = listOf(event.details['bends']);
  const allowance = bends && bends.length > 0 ? `read with allowance for ${bends.join(', ')}` : '';
  return [told, changes(event), linked(event.details['linked']), others(event), allowance].filter(Boolean).join('; ');
}

type Tale = (by: string, details: Told['details'], group: (id: unknown) => string) => string;

const OF_USER: Record<string, Tale> = {
  'user.created': (by, { defaultGroup }, group) =>
    `Created ${by}${typeof defaultGroup === 'string' ? `, and put into the default group ${group(defaultGroup)}` : ''}`,
  'user.updated': (by) => `Changed ${by}`,
  'user.imported': (by, { changed }) => {
    const isNew = (changed as Record<string, { before: unknown }> | undefined)?.['userName']?.before === null;
    return isNew ? `Brought in from the application ${by}` : `Changed by an import from the application ${by}`;
  },
  'user.linked': (by) => `Taken over ${by}`,
  'user.protected': (by, { reason }) =>
    `Protected ${by}${because(reason)}: the identity provider can neither deactivate nor delete the account`,
  'user.unprotected': (by, { reason }) => `Not protected any more ${by}${because(reason)}`,
  'user.deactivation_refused': (by) => `To be deactivated ${by}, and refused: the account is protected`,
  'user.change_refused': (by, { refused }) =>
    `To be changed ${by} in ${(listOf(refused) ?? []).join(', ') || 'who it is'}, and refused: the account is protected`,
  'user.deletion_refused': (by) => `To be deleted ${by}, and refused: the account is protected`,
  'brake.held': (by, { operation }) => `To be ${operationOf(operation)} ${by}, and held by the brake: stayed active`,
  'brake.rejected': (by, { until }) => `What the brake held was rejected ${by}: refused until ${until}`,
  'brake.withdrawn': (by) => `Wanted active again ${by}: held by the brake no more`,
  'user.deactivated': (by, { cause }) => {
    const why =
      cause === 'exit' ? ', for the set-up was removed' : cause === 'brake' ? ', who released it from the brake' : '';
    return `Deactivated ${by}${why}: every session until then is over`;
  },
  'user.reactivated': (by) => `Reactivated ${by}: may sign in anew`,
  'user.restored': (by, { reason }) => `Brought back ${by}${because(reason)}, under the id from before`,
  'user.deleted': (by, { leftGroups }, group) => {
    const left = listOf(leftGroups) ?? [];
    const from = left.length > 0 ? `, and so taken out of ${left.map(group).join(', ')}` : '';
    return `Deleted ${by}${from}: every session until then is over`;
  },
  'user.erased': (by, { cause }) =>
    cause === 'retention'
      ? `Erased ${by}, long enough after the deletion: nothing is left but the id`
      : `Erased ${by}: every session until then is over, and nothing is left but the id`,
  'user.signed_out': (by, { cause, group: of }, group) => {
    const why =
      cause === 'rename' ? ' for a new userName' : cause === 'group' ? ` for leaving the group ${group(of)}` : '';
    return `Signed out ${by}${why}`;
  },
  'org.disabled': (by, { reason }) =>
    `The whole org was switched off ${by}${because(reason)}: nobody of it may be signed in`,
  'org.enabled': (by, { reason }) => `The whole org was switched on again ${by}${because(reason)}`,
  'org.signed_out': (by) => `Everybody of the org was signed out ${by}`,
  'scim.disabled': (by) => `SCIM was switched off ${by}: the identity provider could change nothing from then on`,
  'scim.enabled': (by) => `SCIM was switched on ${by}`,
};

const operationOf = (operation: unknown) => (operation === 'delete' ? 'deleted' : 'deactivated');

/** By what an account that the application had before became the identity provider's. */
function linked(how: unknown): string {
  if (how === null || typeof how !== 'object') return '';
  const { by, keptEmails } = how as { by?: unknown; keptEmails?: unknown };
  const match =
    by === 'id'
      ? 'found by it'
      : `matched by ${by === 'email' ? 'an e-mail address' : `the ${by === 'externalId' ? 'externalId' : 'userName'}`}`;
  return `its own from now on, ${match}${keptEmails === true ? '; kept its e-mail addresses' : ''}`;
}

/** Of a new account: those that it looked like, and was not taken for. */
function others({ details }: Told): string {
  const named = (name: string, sentence: string) => {
    const ids = listOf(details[name]) ?? [];
    return ids.length > 0 ? `${sentence} ${ids.join(', ')}` : '';
  };
  return [
    named('notRestored', 'not taken for a deleted account with the same name or externalId:'),
    named('notLinked', 'not taken for an account with the same address:'),
    named('sameExternalId', 'other accounts have the same externalId:'),
  ]
    .filter(Boolean)
    .join('; ');
}

/** A group's event names at most so many; of whom it counts without a name it is not known whether this user is one. */
function inGroup({ type, details }: Told, userId: string, group: string, by: string): string {
  const has = (name: string) => listOf(details[name])?.includes(userId) === true;
  const of = type === 'group.deleted' ? `, deleted ${by}` : type === 'group.created' ? `, created ${by}` : ` ${by}`;
  if (has('joined')) return `Joined the group ${group}${of}`;
  if (has('left')) return `Left the group ${group}${of}`;
  if (has('unknownMembers')) return `Left out of the group ${group}${of}: there was no such user then`;
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
  return 'the service itself';
}

const because = (reason: unknown) => (typeof reason === 'string' ? ` (${reason})` : '');
const quoted = (name: unknown) => `"${name}"`;
const listOf = (value: unknown): string[] | undefined => (Array.isArray(value) ? (value as string[]) : undefined);
