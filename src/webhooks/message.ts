/** What one message says: the event, and the present state of what it is about, as `changes` shows it. */
import { cursorText } from '../sessions/list-cursor';
import { shownPerson } from '../sessions/person';
import type { Told } from '../store/operations/webhook-lines';
import type { Tenant } from '../store/org/tenant';
import type { WebhookMessage } from './client';

/** A message that is to be sent. */
export interface Outgoing {
  /** The same each time it is sent: `webhook-id`. */
  readonly id: string;
  readonly seq: number;
  readonly message: WebhookMessage;
}

const orgOf = ({ id, slug, name, disabledAt }: Tenant) => ({ id, slug, name, active: disabledAt === undefined });
const iso = (at: number) => new Date(at).toISOString();

/** Each replay is told with ids of its own: a receiver that knows the first ones would pass them over. */
const idOf = (tenant: Tenant, seq: number, replays: number) =>
  `msg_${tenant.id}_${seq}${replays > 0 ? `_${replays}` : ''}`;

export function outgoing(tenant: Tenant, told: Told, replays: number): Outgoing {
  const { seq, at, type, user, group } = told;
  return {
    id: idOf(tenant, seq, replays),
    seq,
    message: {
      type,
      timestamp: iso(at),
      data: {
        org: orgOf(tenant),
        seq,
        next: cursorText('changes', tenant.id, [seq]),
        ...(user && { user: userOf(tenant, user) }),
        ...(group && { group: group.role ?? { id: group.id, removed: true, removedAt: null } }),
      },
    },
  };
}

function userOf(tenant: Tenant, { id, person, deletedAt }: NonNullable<Told['user']>) {
  if (person !== undefined && deletedAt === undefined) return { ...shownPerson(tenant, person) };
  return { id, removed: true as const, removedAt: deletedAt === undefined ? null : iso(deletedAt) };
}

/** Events are gone from the journal before they were delivered: the receiver has to read the lists again. */
export const lost = (tenant: Tenant, through: number, replays: number, now: number): Outgoing => ({
  id: `${idOf(tenant, through, replays)}_resync`,
  seq: through,
  message: {
    type: 'webhook.resync',
    timestamp: iso(now),
    data: { org: orgOf(tenant), seq: through, next: cursorText('changes', tenant.id, [through]) },
  },
});

/** Sent when the operator asks for it. */
export const testMessage = (tenant: Tenant | undefined, now: number): Outgoing => ({
  id: `msg_test_${crypto.randomUUID()}`,
  seq: 0,
  message: {
    type: 'webhook.test',
    timestamp: iso(now),
    data: { org: tenant ? orgOf(tenant) : null, seq: 0, next: null },
  },
});
