/** What an operator should do about the state of an org, each with the command that helps. Pure. */
import { DAY } from '../duration';
import { storageOf } from '../store/directory/policy';
import type { Health } from '../store/operations/health';
import { isInPlan } from '../store/org/plan';
import { sizeText } from '../store/org/size';
import type { Tenant } from '../store/org/tenant';

export const WARN_EXPIRY = 20;
const OLD = 365;
/** Of the seats of a plan; the journal warns of it, too. */
export const NEARLY_FULL = 0.9;
/** Milliseconds after which a publication that waits is worth a look. */
const SLOW = 60_000;
/** Milliseconds after which a stream that was not verified is worth a look. */
const UNVERIFIED = 600_000;
/** Errors among the requests of an operation in seven days that are worth a look: so many, and such a part of them. */
const MANY_ERRORS = 20;
const HIGH_RATE = 0.05;
/** Days with changes that are needed to say what is usual. */
const ENOUGH_DAYS = 3;

export interface Advice {
  readonly says: string;
  /** Of the operator's command line. */
  readonly command: string;
}

const NOUNS: Readonly<Record<string, string>> = { token: 'token', basic: 'basic', oauth_client: 'oauth client' };

/** Days without a change, now and at the most between two days with changes; undefined while that says nothing. */
export function silence({ changes, isCut }: Health, now: number): { now: number; usual: number } | undefined {
  if (isCut || changes.length < ENOUGH_DAYS) return undefined;
  const gaps = changes.slice(1).map(({ day }, i) => day - changes[i]!.day);
  return { now: Math.floor(now / DAY) - changes.at(-1)!.day, usual: Math.max(...gaps) };
}

/** The most pressing first. @param now epoch milliseconds. */
export function advise(org: Tenant, health: Health, now: number): Advice[] {
  const { slug, settings } = org;
  const advice: Advice[] = [];
  const say = (is: boolean, says: string, command: string) => void (is && advice.push({ says, command }));
  const good = health.credentials.filter(
    ({ validUntil, replacedAt, graceUntil }) =>
      (validUntil ?? now + 1) > now && (replacedAt === undefined || (graceUntil ?? 0) > now),
  );
  const refused = (reason: string) => health.refusals.find((one) => one.reason === reason)?.week ?? 0;

  say(
    health.isBehind,
    'The database of the org is behind: requests that need a missing migration get 503. Apply the migrations: npm run migrate.',
    'shard list',
  );
  say(org.disabledAt !== undefined, 'The org is switched off: its users cannot be signed in.', `org enable ${slug}`);
  say(
    !isInPlan(settings),
    'SCIM is not part of the plan, so the identity provider is refused.',
    `org set ${slug} plan.scim=true`,
  );
  say(!org.isScimEnabled, 'SCIM is off, so the identity provider is refused.', `scim enable ${slug}`);
  say(
    health.pending.since !== undefined && now - health.pending.since > SLOW,
    `Revocations of ${health.pending.users} users have waited for KV for ${Math.round((now - (health.pending.since ?? now)) / 1_000)} s.`,
    `sessions pending ${slug}`,
  );
  say(
    health.held.users > 0,
    `${health.held.users} deactivations or deletions above the limit wait for your decision.`,
    `held list ${slug}`,
  );
  for (const { id, issuer, status, stream, verifiedAt, createdAt, poll, pausedAt } of health.signals) {
    say(
      pausedAt !== undefined,
      `Signals of ${issuer} are paused: they end no sessions.`,
      `signals resume ${slug} ${id}`,
    );
    say(
      pausedAt === undefined && poll?.failingSince !== undefined && now - poll.failingSince >= SLOW,
      `The stream of ${issuer} cannot be polled since ${new Date(poll?.failingSince ?? now).toISOString()}: ${poll?.error}.`,
      poll?.error?.includes('credentials')
        ? `signals resume ${slug} ${id} --auth "$TOKEN"`
        : `signals show ${slug} ${id}`,
    );
    say(
      status !== undefined && status !== 'enabled',
      `The stream of ${issuer} is ${status}: its signals do not end sessions. Enable it at the transmitter.`,
      `signals list ${slug}`,
    );
    say(
      stream !== undefined && verifiedAt === undefined && now - createdAt > UNVERIFIED,
      `The stream of ${issuer} was never verified: see whether the transmitter reaches this service.`,
      `signals list ${slug}`,
    );
  }
  say(
    good.length === 0 && health.oauthClients === 0,
    'There is no valid credential, so no identity provider can connect.',
    `token generate ${slug}`,
  );
  for (const one of good.filter(({ replacedAt }) => replacedAt === undefined)) {
    const noun = NOUNS[one.kind]!;
    const rotate = `${noun} rotate ${slug}${one.subject && ` ${one.subject}`}`;
    const left = one.validUntil === undefined ? undefined : Math.ceil((one.validUntil - now) / DAY);
    const age = Math.floor((now - one.createdAt) / DAY);
    if (left !== undefined && left <= WARN_EXPIRY)
      say(true, `The ${noun} ${one.mask} expires in ${left} days.`, rotate);
    else say(age >= OLD, `The ${noun} ${one.mask} is ${age} days old.`, rotate);
    // What an OAuth client is given is used in the place of its secret.
    say(
      one.kind !== 'oauth_client' && one.lastUsedAt === undefined && now - one.createdAt > DAY,
      `The ${noun} ${one.mask} was never used: check whether it was entered in the identity provider.`,
      `refusals ${slug}`,
    );
  }
  for (const one of good.filter(
    ({ replacedAt, lastUsedAt }) => replacedAt !== undefined && (lastUsedAt ?? 0) > replacedAt,
  )) {
    const noun = NOUNS[one.kind]!;
    const list =
      one.kind === 'token'
        ? `token list ${slug}`
        : one.kind === 'basic'
          ? `basic show ${slug}`
          : `oauth client list ${slug}`;
    say(
      true,
      `The ${noun} ${one.mask} is still used after its rotation: enter the new one before the grace ends.`,
      list,
    );
  }
  for (const { id, host, failingSince, lastError, disabledWhy } of health.webhooks) {
    // The operator knows what the operator has switched off.
    if (disabledWhy === 'failing' || disabledWhy === 'gone')
      say(true, `The webhook to ${host} is disabled: ${lastError}.`, `webhook enable ${id}`);
    else
      say(
        disabledWhy === undefined && now - (failingSince ?? now) >= SLOW,
        `The webhook to ${host} fails since ${new Date(failingSince ?? now).toISOString()}: ${lastError}.`,
        `webhook test ${id}`,
      );
  }
  for (const stream of health.streams) {
    const { receiver, status, reason, isReceiverDisabled, failingSince, lastError, lostThrough } = stream;
    const show = `signals receiver show ${receiver}`;
    // The operator knows what the operator has switched off.
    if (isReceiverDisabled) continue;
    say(
      status !== 'enabled',
      `A stream of the receiver ${receiver} is ${status}${reason === undefined ? '' : `: ${reason}`}.`,
      show,
    );
    say(
      status === 'enabled' && failingSince !== undefined && now - failingSince >= SLOW,
      `Signals to ${receiver} fail since ${new Date(failingSince ?? now).toISOString()}: ${lastError}.`,
      show,
    );
    const idleDays = Math.floor((now - stream.polledAt) / DAY);
    say(
      status === 'enabled' && stream.method === 'poll' && stream.isBehind && idleDays >= 1,
      `${receiver} has not asked for its events for ${idleDays} days.`,
      show,
    );
    say(
      lostThrough !== undefined,
      `Events up to ${lostThrough} were gone by their age before ${receiver} had all of them.`,
      show,
    );
  }
  const seats = settings['plan.seats'];
  const isFull = seats !== undefined && org.activeUserCount >= seats;
  say(
    seats !== undefined && org.activeUserCount >= NEARLY_FULL * seats,
    `${org.activeUserCount} of ${seats} seats are taken${isFull ? ': no other user can become active' : ''}.`,
    `org set ${slug} plan.seats=none`,
  );
  const storage = storageOf(settings);
  const isStorageFull = org.storedBytes >= storage;
  say(
    org.storedBytes >= NEARLY_FULL * storage,
    `${sizeText(org.storedBytes)} of ${sizeText(storage)} are stored${isStorageFull ? ': the identity provider can add nothing' : ''}.`,
    `org set ${slug} retainEvents=90d`,
  );
  const quiet = silence(health, now);
  say(
    quiet !== undefined && quiet.now > 2 * quiet.usual + 1,
    `The identity provider has changed nothing for ${quiet?.now} days. Before, the longest pause was ${quiet?.usual} days.`,
    `events ${slug} --since 14d`,
  );
  for (const { operation, week } of health.requests) {
    const errors = week.refused + week.failed;
    const most = health.errors.find(({ kind }) => kind.startsWith(`${operation} `));
    say(
      errors >= MANY_ERRORS && errors > HIGH_RATE * week.count,
      `${operation}: ${errors} of ${week.count} requests in the last 7 days were refused or failed (${Math.round((100 * errors) / week.count)} %)${
        most === undefined ? '' : `, most with ${most.kind.slice(operation.length + 1)}`
      }.`,
      `refusals ${slug}`,
    );
  }
  // What single requests are refused for is ordinary, up to the rate above.
  const others = health.refusals.filter(({ reason }) => reason !== 'request');
  const week = others.reduce((sum, one) => sum + one.week, 0);
  say(
    week > 0,
    `Requests were rejected, ${week} in the last 7 days: ${others.map((one) => `${one.reason} ${one.week}`).join(', ')}.`,
    `refusals ${slug}`,
  );
  say(
    refused('rate_limited') > 0 && settings.rateLimit !== undefined,
    `The setting rateLimit allows ${settings.rateLimit} requests a second.`,
    `org set ${slug} rateLimit=none`,
  );
  say(
    settings.unknownMembers === 'reject',
    'The setting unknownMembers refuses group changes that name unknown users.',
    `org set ${slug} unknownMembers=skip`,
  );
  say(
    settings.roles !== undefined,
    `The setting roles allows ${settings.roles?.length} values, and refuses users with others.`,
    `org show ${slug}`,
  );
  return advice;
}
