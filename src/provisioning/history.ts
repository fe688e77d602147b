/** Events of a user as sentences: who did what, what it was before and after. Pure; it knows no table. */

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
  const happened = event.type.startsWith('group.')
    ? inGroup(event, userId, group(event.target))
    : (OF_USER[event.type]?.(event.details, group) ?? `${event.type}`);
  const bends = listOf(event.details['bends']);
  return [
    `${happened}, by ${whoIs(event)}`,
    changes(event),
    bends && bends.length > 0 ? `read with allowance for ${bends.join(', ')}` : '',
  ]
    .filter(Boolean)
    .join('; ');
}

type Tale = (details: Told['details'], group: (id: unknown) => string) => string;

const OF_USER: Record<string, Tale> = {
  'user.created': ({ defaultGroup }, group) =>
    `Created${typeof defaultGroup === 'string' ? `, and put into the default group ${group(defaultGroup)}` : ''}`,
  'user.updated': () => 'Changed',
  'user.deactivated': () => 'Deactivated: every session until then is over',
  'user.reactivated': () => 'Reactivated: may sign in anew',
  'user.restored': () => 'Came back, under the id from before',
  'user.deleted': ({ leftGroups }, group) => {
    const left = listOf(leftGroups) ?? [];
    const from = left.length > 0 ? `, and taken out of ${left.map(group).join(', ')}` : '';
    return `Deleted${from}: every session until then is over`;
  },
  'user.signed_out': ({ cause, group: of }, group) =>
    `Signed out${cause === 'rename' ? ' for a new userName' : cause === 'group' ? ` for leaving the group ${group(of)}` : ''}`,
  'org.disabled': ({ reason }) => `The whole org was switched off${because(reason)}: nobody of it may be signed in`,
  'org.enabled': ({ reason }) => `The whole org was switched on again${because(reason)}`,
  'org.signed_out': () => 'Everybody of the org was signed out',
  'scim.disabled': () => 'SCIM was switched off: the identity provider could change nothing from then on',
  'scim.enabled': () => 'SCIM was switched on',
};

/** A group's event names at most so many; of whom it counts without a name it is not known whether this user is one. */
function inGroup({ type, details }: Told, userId: string, group: string): string {
  const has = (name: string) => listOf(details[name])?.includes(userId) === true;
  const because = type === 'group.deleted' ? ', which was deleted' : type === 'group.created' ? ', which is new' : '';
  if (has('joined')) return `Joined the group ${group}${because}`;
  if (has('left')) return `Left the group ${group}${because}`;
  if (has('unknownMembers')) return `Was to join the group ${group}, and was left out: there was no such user then`;
  const unnamed = (['joined', 'left'] as const).flatMap((verb) => {
    const total = details[`${verb}Count`] as number | undefined;
    const named = listOf(details[verb])?.length ?? 0;
    return total !== undefined && total > named ? [`${total - named} who ${verb}`] : [];
  });
  return `Perhaps: the group ${group}${because} changed, and ${unnamed.join(' and ')} are counted without their names`;
}

/** Attribute by attribute; of a group's event they are the group's. */
function changes({ type, details }: Told): string {
  if (!type.startsWith('user.')) return '';
  const changed = Object.entries((details['changed'] ?? {}) as Record<string, { before: unknown; after: unknown }>);
  const all = changed.map(([name, { before, after }]) =>
    before === null ? `${name} ${short(after)}` : `${name} ${short(before)} → ${short(after)}`,
  );
  return [...all.slice(0, MAX_CHANGES), ...(all.length > MAX_CHANGES ? [`${all.length - MAX_CHANGES} more`] : [])].join(
    ', ',
  );
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
  if (kind === 'admin') return `the administrator ${(details['by'] as string | undefined) ?? name}`;
  return 'the service itself';
}

const because = (reason: unknown) => (typeof reason === 'string' ? ` (${reason})` : '');
const quoted = (name: unknown) => `"${name}"`;
const listOf = (value: unknown): string[] | undefined => (Array.isArray(value) ? (value as string[]) : undefined);
