/** A source of signals, as operators see it. */
import type { Context } from 'hono';
import { USUAL } from '../../signals/security-event';
import type { SignalSource } from '../../store/credentials/signal-sources';
import { signalUrl } from '../addresses';
import type { App } from '../context';
import { iso } from '../instants';

export const shownSource = (c: Context<App>, orgId: string, source: SignalSource) => ({
  id: source.id,
  type: source.type,
  issuer: source.issuer,
  jwksUrl: source.jwksUrl,
  subject: source.subject,
  /** What is entered in the identity provider. */
  endpoint: signalUrl(c, orgId, source.type),
  ...(source.type === 'ssf' && {
    audience: source.audience ?? signalUrl(c, orgId, source.type),
    endsOn: source.policy.endsOn ?? USUAL,
    anyInitiator: source.policy.anyInitiator ?? false,
    delivery: source.poll ? 'poll' : 'push',
    streamId: source.stream?.id ?? null,
    status: source.status ?? null,
    verifiedAt: iso(source.verifiedAt),
  }),
  ...(source.poll && {
    poll: {
      url: source.poll.url,
      polledAt: iso(source.poll.polledAt),
      failures: source.poll.failures,
      failingSince: iso(source.poll.failingSince),
      lastError: source.poll.error ?? null,
    },
  }),
  pausedAt: iso(source.pausedAt),
  lastSignalAt: iso(source.lastSignalAt),
  createdAt: iso(source.createdAt),
  createdBy: source.createdBy,
});
