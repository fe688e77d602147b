/** Webhooks as the deliveries know them (deliveries.ts): lines of the database, messages, attempts. */
import type { Databases } from '../store/d1/databases';
import {
  advanceLine,
  type DueLine,
  disableLine,
  pauseLine,
  readChunk,
  readDueLines,
  readPresentWebhook,
} from '../store/operations/webhook-lines';
import type { Webhook } from '../store/operations/webhooks';
import type { Kind, Line } from './deliveries';
import { lost, type Outgoing, outgoing } from './message';
import { type Sender, send } from './send';

interface WebhookLine extends Line {
  readonly due: DueLine;
}

interface Placed extends Outgoing {
  readonly place: number;
}

/** The line as it is now: the deliveries move its place. */
const dueLineOf = ({ due, place, failures, failingSince }: WebhookLine): DueLine => ({
  ...due,
  seq: place,
  failures,
  failingSince,
});

const withWebhook = (line: WebhookLine, webhook: Webhook | undefined): WebhookLine | undefined =>
  webhook && { ...line, due: { ...line.due, webhook } };

/** Milliseconds. A webhook of all orgs is switched off for an org's coordinator within this time, at the latest. */
const GOOD_FOR = 100;

/** @param sender asked for each message: a variable may have changed. */
export const webhookKind = (
  databases: Databases,
  orgId: () => string,
  sender: () => Sender,
): Kind<WebhookLine, Placed> => ({
  name: 'webhooks',
  goodFor: GOOD_FOR,
  due: async () =>
    (await readDueLines(databases, orgId())).map((due) => ({
      ...{ id: due.webhook.id, place: due.seq, dueAt: due.dueAt },
      ...{ failures: due.failures, failingSince: due.failingSince, due },
    })),
  async next(line) {
    const now = Date.now();
    const { replays } = line.due;
    const { tenant, webhook, told, lostThrough, through } = await readChunk(databases, orgId(), dueLineOf(line));
    const messages = [
      ...(lostThrough === undefined ? [] : [lost(tenant, lostThrough, replays, now)]),
      ...told.filter(({ seq }) => seq > (lostThrough ?? 0)).map((one) => outgoing(tenant, one, replays)),
    ];
    return {
      line: withWebhook(line, webhook),
      messages: messages.map((message) => ({ ...message, place: message.seq })),
      through: Math.max(through, lostThrough ?? 0),
    };
  },
  reread: async (line) => withWebhook(line, await readPresentWebhook(databases, orgId(), dueLineOf(line))),
  send: ({ due }, message) => send(sender(), due.webhook, message),
  describe: ({ message }) => `${message.type} ${message.data.seq}`,
  advance: (line, through, deliveredAt) => advanceLine(databases, orgId(), dueLineOf(line), through, deliveredAt),
  pause: (line, failed) => pauseLine(databases, orgId(), dueLineOf(line), failed),
  disable: (line, failed) => disableLine(databases, orgId(), dueLineOf(line), failed),
});
