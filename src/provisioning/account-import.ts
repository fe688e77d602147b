/**
 * People whom the application has already, brought in before an identity provider knows of them. What becomes of an account
 * is decided by what is there; a chunk of them is read in one round trip and written in another.
 */
import type { Details, EventDraft } from '../events';
import { invalidValue, notFound, ScimError } from '../scim/error';
import { isId } from '../scim/id';
import { externalIdOf, isSameName } from '../scim/identifying';
import type { Quirks } from '../scim/quirks';
import { isSame, member, type Resource } from '../scim/resource';
import { readResource } from '../scim/validate';
import { Taken, Unmet } from '../store/d1/batch';
import {
  type Buried,
  type Chunk,
  type Found,
  findAccounts,
  markUser,
  soughtFor,
  writeAccounts,
} from '../store/directory/account-import';
import type { UserDraft } from '../store/directory/user-changes';
import { findUser, type StoredUser } from '../store/directory/users';
import { isRestored } from './identity';
import { creation, detailsOf, replacement } from './lifecycle';
import { type Org, publishAll, type TypedOrg } from './org';
import { retried } from './retry';

/** An account as the application has it: a SCIM User, with an `id` and `protected` of its own if it says so. */
export interface Offered {
  /** Where it stands in the file. */
  readonly line: number;
  readonly account: Record<string, unknown>;
}

export interface Problem {
  readonly line: number;
  readonly userName: string | null;
  readonly detail: string;
}

/** What became of a chunk; of a dry run, what would. */
export interface Report {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  /** The identity provider's: not written over. */
  readonly kept: number;
  /** Marks that were set, and taken away. */
  readonly protected: number;
  readonly unprotected: number;
  /** How many more users are active. */
  readonly activated: number;
  readonly problems: readonly Problem[];
}

interface Read {
  readonly line: number;
  readonly id: string | undefined;
  readonly isProtected: boolean | undefined;
  readonly resource: Resource;
  readonly quirks: Quirks;
}

/**
 * @param seatsTaken of a dry run: how many more would be active by the chunks before.
 * @throws ScimError 503 when others change the same accounts all the time; nothing has been written then.
 */
export function importAccounts(
  org: TypedOrg,
  offered: readonly Offered[],
  isDryRun: boolean,
  seatsTaken = 0,
): Promise<Report> {
  const problems: Problem[] = [];
  const accounts = offered.flatMap((one) => {
    try {
      return [readAccount(org, one)];
    } catch (error) {
      if (!(error instanceof ScimError)) throw error;
      problems.push(problemOf(one, error.detail));
      return [];
    }
  });
  return retried(async () => {
    const sought = accounts.map(({ id, resource }) => ({ id, ...soughtFor({ resource }) }));
    const found = await findAccounts(org.store, sought);
    const plan = new Plan(org, org.store.tenant.activeUserCount + (isDryRun ? seatsTaken : 0));
    for (const [i, account] of accounts.entries()) plan.add(account, sought[i]!.userNameKey, found[i]!);
    if (!isDryRun && plan.chunk.happenings.length > 0) {
      try {
        await writeAccounts(org.store, org.types.user, plan.chunk, org.actor);
      } catch (error) {
        // The identity provider was quicker with one of them: all of it again, from the read.
        if (error instanceof Taken || (error instanceof Unmet && error.expectation !== 'caller')) return undefined;
        throw error;
      }
      await publishAll(org, [...plan.chunk.ended, ...plan.chunk.published]);
    }
    return { ...plan.counts, problems: [...problems, ...plan.problems].sort((a, b) => a.line - b.line) };
  });
}

/** @throws ScimError that names the member and says what was expected. */
function readAccount({ types }: TypedOrg, { line, account }: Offered): Read {
  const [id, isProtected] = [member(account, 'id') ?? undefined, member(account, 'protected') ?? undefined];
  if (id !== undefined && !(typeof id === 'string' && isId(id)))
    throw invalidValue('id: 1 to 64 letters, digits, ".", "_" and "-" were expected, not beginning with "."');
  if (isProtected !== undefined && typeof isProtected !== 'boolean')
    throw invalidValue('protected: true or false was expected');
  const quirks: Quirks = new Set();
  const resource = readResource(types.user, account, quirks);
  quirks.delete('missing-schemas'); // what an application writes out is no message
  return { line, id: id as string | undefined, isProtected, resource, quirks };
}

/** The userName, for the operator: as it was offered, if it is a text. */
function problemOf({ line, account }: Offered, detail: string): Problem {
  const userName = member(account, 'userName');
  return { line, userName: typeof userName === 'string' ? userName.slice(0, 200) : null, detail };
}

/** What a chunk comes to, account by account. */
class Plan {
  readonly problems: Problem[] = [];
  readonly #made: { draft: UserDraft; isProtected: boolean }[] = [];
  readonly #passedOver: string[] = [];
  readonly #changed: { before: UserDraft; draft: UserDraft }[] = [];
  readonly #marked: { id: string; isProtected: boolean }[] = [];
  readonly #happenings: EventDraft[] = [];
  readonly #ended: string[] = [];
  readonly #published: string[] = [];
  readonly #count = { created: 0, updated: 0, unchanged: 0, kept: 0, protected: 0, unprotected: 0 };
  #activated = 0;
  #peak = 0;
  /** In which line each userName and id stood before. */
  readonly #lines = new Map<string, number>();

  /** @param active how many users are it before the chunk. */
  constructor(
    private readonly org: TypedOrg,
    private readonly active: number,
  ) {}

  get chunk(): Chunk {
    return {
      made: this.#made,
      passedOver: this.#passedOver,
      changed: this.#changed,
      marked: this.#marked,
      happenings: this.#happenings,
      ended: this.#ended,
      published: this.#published,
      activated: this.#activated,
      peak: this.#peak,
    };
  }

  get counts(): Omit<Report, 'problems'> {
    return { ...this.#count, activated: this.#activated };
  }

  add(account: Read, userNameKey: string, found: Found): void {
    const problem = obstacle(account, found) ?? this.#twice(account, userNameKey, found);
    const is = found.account;
    const isActive = (account.resource['active'] as boolean | undefined) ?? is?.isActive ?? true;
    const step = (isActive ? 1 : 0) - (is?.isActive ? 1 : 0);
    if (problem !== undefined) this.#refuse(account, problem);
    else if (is !== undefined && is.resource === undefined) this.#keep(account, is);
    else if (step > 0 && this.#isFull) this.#refuse(account, this.#noSeat);
    else if (is?.resource === undefined) {
      this.#passedOver.push(...found.buried.map(({ id }) => id));
      this.#make(account, isActive, step);
    } else this.#change(account, { ...is, resource: is.resource }, isActive, step);
  }

  #refuse({ line, resource }: Read, detail: string): void {
    this.problems.push({ line, userName: resource['userName'] as string, detail });
  }

  /** A second one with the same userName or id, or that comes to the same account; of externalIds the org decides. */
  #twice({ line, id, resource }: Read, userNameKey: string, { account }: Found): string | undefined {
    const externalId = this.org.store.tenant.settings.uniqueExternalId ? externalIdOf(resource) : undefined;
    const marks: [key: string, says: string][] = [
      [`name ${userNameKey}`, 'the userName stands'],
      ...(externalId === undefined ? [] : [[`externalId ${externalId}`, 'the externalId stands'] as [string, string]]),
      ...(id === undefined ? [] : [[`id ${id}`, 'the id stands'] as [string, string]]),
      ...(account === undefined ? [] : [[`id ${account.id}`, 'the same account stands'] as [string, string]]),
    ];
    const first = marks.find(([key]) => this.#lines.has(key));
    if (first) return `${first[1]} in line ${this.#lines.get(first[0])} already`;
    for (const [key] of marks) this.#lines.set(key, line);
    return undefined;
  }

  get #seats(): number | undefined {
    return this.org.store.tenant.settings['plan.seats'];
  }

  get #isFull(): boolean {
    return this.#seats !== undefined && this.active + this.#activated >= this.#seats;
  }

  get #noSeat(): string {
    return `the limit of active users in the plan (plan.seats: ${this.#seats}) is reached`;
  }

  #step(step: number): void {
    this.#activated += step;
    this.#peak = Math.max(this.#peak, this.#activated);
  }

  #make({ id: own, isProtected, resource: said, quirks }: Read, isActive: boolean, step: number): void {
    const id = own ?? crypto.randomUUID();
    const { now } = this.org.store;
    const resource = { ...said, active: isActive };
    const draft = { id, isActive, resource, version: 1, createdAt: now, modifiedAt: now };
    this.#made.push({ draft, isProtected: isProtected === true });
    this.#step(step);
    const { isPublished } = creation(isActive);
    this.#happenings.push({
      type: 'user.imported',
      targetId: id,
      details: detailsOf({}, resource, quirks),
      publishes: isPublished,
    });
    if (isPublished) this.#published.push(id);
    this.#count.created++;
    if (isProtected === true) this.#tellMark(id, true);
  }

  #change(
    { isProtected, resource: said, quirks }: Read,
    is: NonNullable<Found['account']> & { readonly resource: Resource },
    isActive: boolean,
    step: number,
  ): void {
    // A file without `active` leaves it as it is, as a PUT does: no user is reactivated by accident.
    const resource = said['active'] === undefined ? { ...said, active: isActive } : said;
    if (isSame(is.resource, resource)) this.#count.unchanged++;
    else {
      const { id, version, createdAt } = is;
      const before: UserDraft = {
        id,
        isActive: is.isActive,
        resource: is.resource,
        version,
        createdAt,
        modifiedAt: is.modifiedAt,
      };
      const modifiedAt = Math.max(this.org.store.now, is.modifiedAt);
      this.#changed.push({ before, draft: { ...before, isActive, resource, version: version + 1, modifiedAt } });
      this.#step(step);
      const { endsSessions, isPublished } = replacement(is.isActive, isActive);
      const details = detailsOf(is.resource, resource, quirks);
      this.#happenings.push({ type: 'user.imported', targetId: id, details, publishes: isPublished });
      if (endsSessions) this.#ended.push(id);
      else if (isPublished) this.#published.push(id);
      this.#count.updated++;
    }
    this.#mark(is, isProtected);
  }

  #keep({ isProtected }: Read, is: NonNullable<Found['account']>): void {
    this.#count.kept++;
    this.#mark(is, isProtected);
  }

  #mark(is: NonNullable<Found['account']>, isProtected: boolean | undefined): void {
    if (isProtected === undefined || isProtected === is.isProtected) return;
    this.#marked.push({ id: is.id, isProtected });
    this.#tellMark(is.id, isProtected);
  }

  #tellMark(id: string, isProtected: boolean): void {
    const type = isProtected ? 'user.protected' : 'user.unprotected';
    this.#happenings.push({ type, targetId: id, details: { cause: 'import' } });
    this.#count[isProtected ? 'protected' : 'unprotected']++;
  }
}

/** Why an account cannot be brought in, whatever the plan has room for. */
function obstacle({ id, resource }: Read, { account, named, buried, sameExternalId }: Found): string | undefined {
  const on = (at: number) => new Date(at).toISOString();
  if (account?.erasedAt !== undefined)
    return `the account with this id was erased on ${on(account.erasedAt)}: its id is not used again`;
  const isNew = account === undefined;
  const deletedAt = account?.deletedAt ?? (isNew ? buried.find((one) => isThisPerson(resource, one))?.at : undefined);
  if (deletedAt !== undefined)
    return `the identity provider deleted this user on ${on(deletedAt)}: an import does not restore users`;
  if (named && !isNew && id !== undefined) {
    if (account.id !== id) return `the account ${named.id} has this userName, but another id`;
    if (named.id !== id) return `the id belongs to another account than the userName, which is that of ${named.id}`;
  }
  // With its id the application says whose name it is.
  if (named && id === undefined && !isSameName(resource, named))
    return `the userName differs from that of the account ${named.id} in few letters: add the id of the account`;
  if (sameExternalId !== undefined) return `the account ${sameExternalId} has the same externalId`;
  return undefined;
}

/** As a POST decides it, whatever the setting `restore`: an import never restores a deleted user. */
const isThisPerson = (resource: Resource, { id, userName, externalId }: Buried): boolean =>
  isRestored(
    resource,
    {
      id,
      resource: { userName, ...(externalId !== null && { externalId }) },
      isUnlinked: false,
      isActive: false,
      isProtected: false,
    },
    {},
  );

/**
 * @returns the user as it is now, also when it was so already: then nothing has changed.
 * @throws ScimError 404, also for one who is deleted.
 */
export async function protect(
  org: Org,
  idOrUserName: string,
  isProtected: boolean,
  details: Details,
): Promise<StoredUser> {
  return retried(async () => {
    const user = await findUser(org.store, idOrUserName);
    if (user === undefined) throw notFound('User');
    if (user.isProtected === isProtected) return user;
    try {
      await markUser(org.store, user.id, isProtected, org.actor, details);
      return { ...user, isProtected };
    } catch (error) {
      if (error instanceof Unmet && error.expectation === 'switched') return undefined;
      throw error;
    }
  });
}
