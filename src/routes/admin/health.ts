/** How an org's provisioning is doing, and what to do about it. */
import { Hono } from 'hono';
import { DAY } from '../../duration';
import { advise, silence } from '../../operator/advice';
import { adviseResidency } from '../../operator/residency';
import { DAYS, type Requests, readHealth } from '../../store/operations/health';
import type { App } from '../context';
import { iso } from '../instants';
import { orgOf, storageUsed } from './respond';
import { shownSettings } from './settings';

/** With the rate of errors in hundredths, to one decimal; null where there was no request. */
const rated = ({ count, refused, failed }: Requests) => ({
  count,
  refused,
  failed,
  errorPercent: count === 0 ? null : Math.round((1_000 * (refused + failed)) / count) / 10,
});

const total = (all: readonly Requests[]) =>
  rated(
    all.reduce(
      (sum, one) => ({
        count: sum.count + one.count,
        refused: sum.refused + one.refused,
        failed: sum.failed + one.failed,
      }),
      { count: 0, refused: 0, failed: 0 },
    ),
  );

export const health = new Hono<App>();

health.get('/', async (c) => {
  const { store } = orgOf(c);
  const found = await readHealth(store);
  const { tenant, now } = store;
  const today = Math.floor(now / DAY);
  const perDay = new Map(found.changes.map(({ day, count }) => [day, count]));
  const quiet = silence(found, now);
  return c.json({
    scimEnabled: tenant.isScimEnabled,
    disabledAt: iso(tenant.disabledAt),
    users: tenant.userCount,
    activeUsers: tenant.activeUserCount,
    seats: tenant.settings['plan.seats'] ?? null,
    storage: storageUsed(tenant),
    settings: shownSettings(tenant.settings),
    clients: found.clients.map(({ client, address, at }) => ({
      client: client || null,
      address: address ?? null,
      lastRequestAt: iso(at),
    })),
    changes: {
      lastAt: iso(found.changes.at(-1)?.lastAt),
      silentDays: quiet?.now ?? null,
      usualDays: quiet?.usual ?? null,
      isComplete: !found.isCut,
      days: Array.from({ length: DAYS }, (_, i) => today - DAYS + 1 + i).map((day) => ({
        day: new Date(day * DAY).toISOString().slice(0, 10),
        count: perDay.get(day) ?? 0,
      })),
    },
    refusals: found.refusals.map(({ lastAt, ...one }) => ({ ...one, lastAt: iso(lastAt) })),
    requests: {
      today: total(found.requests.map((one) => one.today)),
      week: total(found.requests.map((one) => one.week)),
      operations: found.requests.map(({ operation, today: ofDay, week }) => ({
        operation,
        today: rated(ofDay),
        week: rated(week),
      })),
      errors: found.errors.map(({ lastAt, ...one }) => ({ ...one, lastAt: iso(lastAt) })),
    },
    pending: { users: found.pending.users, since: iso(found.pending.since) },
    held: { users: found.held.users, since: iso(found.held.since) },
    webhooks: found.webhooks.map(({ id, host, failures, failingSince, lastError, disabledAt, disabledWhy }) => ({
      id,
      host,
      failures,
      failingSince: iso(failingSince),
      lastError: lastError ?? null,
      disabledAt: iso(disabledAt),
      disabledWhy: disabledWhy ?? null,
    })),
    credentials: found.credentials.map((one) => ({
      kind: one.kind,
      oauthClient: one.subject || null,
      mask: one.mask,
      ageDays: Math.max(0, Math.floor((now - one.createdAt) / DAY)),
      validUntil: iso(one.validUntil),
      graceUntil: iso(one.graceUntil),
      lastUsedAt: iso(one.lastUsedAt),
    })),
    signals: found.signals.map(({ id, type, issuer, status, verifiedAt, lastSignalAt, pausedAt, poll }) => ({
      ...{ id, type, issuer, status: status ?? null },
      ...{ verifiedAt: iso(verifiedAt), lastSignalAt: iso(lastSignalAt), pausedAt: iso(pausedAt) },
      poll: poll ? { polledAt: iso(poll.polledAt), failures: poll.failures, lastError: poll.error ?? null } : null,
    })),
    streams: found.streams.map(({ isReceiverDisabled, isBehind, ...stream }) => ({
      ...{ id: stream.id, receiver: stream.receiver, method: stream.method },
      status: isReceiverDisabled ? 'receiver disabled' : stream.status,
      reason: stream.reason ?? null,
      isBehind,
      failures: stream.failures,
      failingSince: iso(stream.failingSince),
      lastError: stream.lastError ?? null,
      deliveredAt: iso(stream.deliveredAt),
      lostThrough: stream.lostThrough ?? null,
      refused: stream.refused,
      lastRefusal: stream.lastRefusal ?? null,
    })),
    advice: [...(await adviseResidency(c.env, tenant)), ...advise(tenant, found, now)],
  });
});
