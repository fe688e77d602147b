/**
 * A store opened for one caller. The first statement of each batch finds the caller's org. In a read every further
 * statement takes its org from the credential, if that is good; in a write a guard stands before them. So a bad credential
 * reads and writes nothing, no method can be given another org, and no moment lies between the check and the work
 * (promises 1 and 3).
 */

import { type SQL, sql } from 'drizzle-orm';
import type { Region } from '../../region';
import { forbidden, notFound, type ScimError, unauthorized } from '../../scim/error';
import { Busy, ORG, runBatch, Taken, Unmet } from '../d1/batch';
import { confirmAbsence, type Database } from '../d1/database';
import { type Databases, isSpread, mainDatabase } from '../d1/databases';
import { Expected, expect } from '../d1/expect';
import type { Row, Rows } from '../d1/rows';
import {
  type Caller,
  type CallerRefusal,
  databaseFor,
  isGood,
  isGoodHostToken,
  isOrgOfHostToken,
  mayAsk,
  meantBy,
  type PresentedHostToken,
} from './caller';
import { type HostPermission, readHostPermission } from './host-permission';
import { IS_IN_PLAN, isInPlan, outOfPlan } from './plan';
import { GUESS, isAsGuessed, knownProfiles, otherProfile, type Profile, ProfileChanged, profileOf } from './profile';
import { disabled, elsewhere, halfImported, notUnderWay, outOfScope } from './refusals';
import {
  countsOf,
  FOUND,
  type FoundRow,
  foundAsJson,
  PRESENTED,
  type Presented,
  presentedOf,
  type Tenant,
  tenantOf,
} from './tenant';

/** What the batches of one request have found, whichever of its stores made them. */
interface Found {
  isChecked: boolean;
  refusal?: CallerRefusal;
  presented?: Presented;
  tenant?: Tenant;
  cursorKey?: string;
}

/** Carries out what a seat asks for (shared-batches.ts). */
export type Ask = (kind: 'read' | 'write', statements: SQL[]) => Promise<Row[][]>;

/** How a store differs from the one that it was made of. */
interface Variant {
  /** The profile that its user works under; absent: it does not matter. */
  readonly assumed?: Profile;
  readonly ask?: Ask;
  /** Which region's orgs are served; absent: any. */
  readonly region?: Region | undefined;
  /** Whether orgs are written to whose import is not finished: those alone, or them too; absent: not. */
  readonly imports?: 'only' | 'too';
  /** Called after each batch that has written to an org whose events are posted to an endpoint. */
  readonly written?: (orgId: string) => void;
  /** Of an application's own token that another database checks than the org's. */
  readonly permission?: { readonly scope: PresentedHostToken['scope']; read(): Promise<HostPermission | undefined> };
}

/** The store of this caller's org, in the database that holds the org. */
export function openStore(databases: Databases, caller: Caller, now: number, variant?: Variant): OrgStore {
  const db = databaseFor(databases, caller);
  const token = caller.kind === 'host' && isSpread(databases) ? caller.token : undefined;
  if (caller.kind !== 'host' || token === undefined) return new OrgStore(db, caller, now, variant);
  const permission = { scope: token.scope, read: () => readHostPermission(mainDatabase(databases), token, now) };
  return new OrgStore(db, { kind: 'host', org: caller.org }, now, { ...variant, permission });
}

const FOLLOWERS = `EXISTS (SELECT 1 FROM webhook_lines WHERE org_id = orgs.id AND disabled_at IS NULL
  UNION ALL SELECT 1 FROM signal_lines WHERE org_id = orgs.id AND is_open AND pushes)`;
const IS_FOLLOWED = sql.raw(`, ${FOLLOWERS} AS is_followed`);
/** What the guard of a write finds, by whether a credential is presented and whether somebody wants to know of followers. */
const GUARDED = [false, true].map((isPresented) =>
  ['', `, 'is_followed', ${FOLLOWERS}`].map((followed) => sql.raw(`${foundAsJson(isPresented)}${followed}`)),
);

/** What a store puts into its statements, by who calls: its variants share it. */
interface Parts {
  /** The credential's id, or NULL. */
  readonly credential: SQL;
  /** A part of a statement from FROM on: the org's row, beside the credential's, where that is good. */
  readonly from: SQL;
  /** Of a credential: the org that it is of, where it is good, and the same part with another table joined to it. */
  readonly presented?: { readonly orgId: string; from(join: SQL): SQL };
  /** What ORG becomes: in a read, where it proves the credential; in a write, after the guard. */
  readonly inReads: SQL;
  readonly inWrites: SQL;
}

function partsOf(caller: Caller, now: number): Parts {
  if (caller.kind === 'credential') {
    const { hash, orgId } = caller;
    const slug = caller.slug === undefined ? sql`` : sql` AND orgs.slug = ${caller.slug}`;
    const good = sql`FROM credentials WHERE hash = ${hash} AND org_id = ${orgId} AND kind IN ('token', 'basic', 'oauth_access') AND ${isGood(now)}`;
    const fromWith = (org: SQL, join: SQL) => sql`FROM credentials JOIN orgs ON orgs.id = ${org}${join}
        WHERE hash = ${hash} AND ${org} = ${orgId} AND kind IN ('token', 'basic', 'oauth_access') AND ${isGood(now)}${slug}`;
    return {
      credential: sql`(SELECT id FROM credentials WHERE hash = ${hash})`,
      from: fromWith(sql`org_id`, sql``),
      presented: { orgId, from: (join) => fromWith(sql`credentials.org_id`, join) },
      inReads: sql`(SELECT org_id ${good})`,
      inWrites: sql`${orgId}`,
    };
  }
  if (caller.kind === 'client') {
    const { orgId, id, hash } = caller;
    const named = sql`oauth_clients.org_id = ${orgId} AND oauth_clients.id = ${id}`;
    const clients = sql`FROM oauth_clients JOIN orgs ON orgs.id = oauth_clients.org_id`;
    const from =
      hash === undefined
        ? sql`${clients} WHERE ${named}`
        : sql`${clients} JOIN credentials ON credentials.hash = ${hash} AND credentials.kind = 'oauth_client'
          AND credentials.org_id = oauth_clients.org_id AND credentials.subject = oauth_clients.id
          WHERE ${named} AND ${isGood(now)}`;
    return {
      credential: hash === undefined ? sql`NULL` : sql`(SELECT id FROM credentials WHERE hash = ${hash})`,
      from,
      inReads: sql`(SELECT orgs.id ${from})`,
      inWrites: sql`${orgId}`,
    };
  }
  if (caller.kind === 'host' && caller.token) {
    const { hash, scope } = caller.token;
    const good = isGoodHostToken(hash, now);
    const its = sql`orgs ON ${meantBy(caller)} AND ${isOrgOfHostToken}`;
    const inReads = sql`(SELECT orgs.id FROM host_tokens JOIN ${its} WHERE ${good} AND ${mayAsk(scope)})`;
    // A good token of which there is no such org, or none that it may ask about, is told from a bad one.
    return {
      credential: sql`NULL`,
      from: sql`FROM host_tokens LEFT JOIN ${its} WHERE ${good}`,
      inReads,
      inWrites: inReads,
    };
  }
  const from = sql`FROM orgs WHERE ${meantBy(caller)}`;
  const inReads = sql`(SELECT id ${from})`;
  return { credential: sql`NULL`, from, inReads, inWrites: caller.kind === 'id' ? sql`${caller.id}` : inReads };
}

export class OrgStore {
  /** Stands for the org's id: one that equals nothing, when the caller's credential is not good. */
  readonly org: SQL = ORG;
  /** The credential's id, or NULL: for the journal. */
  readonly credential: SQL;
  readonly #from: SQL;
  readonly #presented: Parts['presented'];
  readonly #inReads: SQL;
  readonly #inWrites: SQL;
  #assumed: Profile | undefined;
  #overtaken: ProfileChanged | undefined;

  constructor(
    private readonly db: Database,
    readonly caller: Caller,
    readonly now: number,
    private readonly variant: Variant = {},
    private readonly latest: Found = { isChecked: false },
    private readonly parts: Parts = partsOf(caller, now),
  ) {
    this.#assumed = variant.assumed;
    this.credential = parts.credential;
    this.#from = parts.from;
    this.#presented = parts.presented;
    this.#inReads = parts.inReads;
    this.#inWrites = parts.inWrites;
  }

  get #isGuest(): boolean {
    return this.caller.kind === 'credential' || this.caller.kind === 'client';
  }

  get #hostToken(): PresentedHostToken | undefined {
    return this.caller.kind === 'host' ? this.caller.token : undefined;
  }

  /** Finds the org, and its profile if that is not the assumed one. */
  get #lookup(): SQL<FoundRow> {
    return this.#find(sql``);
  }

  /** And, where somebody wants to know, whether the org's events are posted or pushed to an endpoint. */
  get #lookupInWrite(): SQL<FoundRow> {
    return this.#find(this.variant.written ? IS_FOLLOWED : sql``);
  }

  /**
   * The look-up and the guard of a write in one, where the profile is assumed: it finds the org, or aborts the batch. What it
   * has found comes back as the name of an expectation that is met.
   *
   * @param first the first statement of the work, which is carried along.
   */
  #guard(first: Expected | undefined): SQL<{ readonly name: string }> {
    const columns = GUARDED[this.#isPresented ? 1 : 0]![this.variant.written ? 1 : 0]!;
    const found = sql`SELECT (SELECT json_object(${columns}) ${this.#fromWhereItMayWork}) AS found`;
    if (!first)
      return sql`INSERT INTO expect (is_met, name) SELECT found IS NOT NULL, ifnull(found, 'caller') FROM (${found}) RETURNING name`;
    // Nothing is looked for on behalf of a bad caller.
    return sql`INSERT INTO expect (is_met, name) SELECT why IS NULL, ifnull(why, found)
      FROM (SELECT found, iif(found IS NULL, 'caller', ${first.why}) AS why FROM (${found})) RETURNING name`;
  }

  get #isPresented(): boolean {
    const { kind } = this.caller;
    return kind === 'credential' || (kind === 'client' && this.caller.hash !== undefined);
  }

  #find(more: SQL, from = this.#from): SQL<FoundRow> {
    const found =
      this.#assumed === undefined ? sql`orgs.*` : sql`${FOUND}, ${otherProfile(this.#assumed.revision)} AS profile`;
    const asked = this.#hostToken ? sql`, ${mayAsk(this.#hostToken.scope)} AS may_ask` : sql``;
    return sql<FoundRow>`SELECT ${found}${this.#isPresented ? PRESENTED : sql``}${asked}${more} ${from}`;
  }

  /**
   * Holds when the caller may work for the org, under the profile that is assumed. A profile that is remembered of a guest
   * was answered to one that might work: while it is the org's, so may this one.
   */
  get #mayWork(): SQL {
    return sql`EXISTS (SELECT 1 ${this.#fromWhereItMayWork})`;
  }

  /** The same, from FROM on. */
  get #fromWhereItMayWork(): SQL {
    const { region, imports } = this.variant;
    let condition = sql``;
    if (this.#assumed !== undefined) condition = sql` AND orgs.revision = ${this.#assumed.revision}`;
    else if (this.#isGuest) {
      const isHere = region
        ? sql` AND ifnull(json_extract(orgs.settings, '$.residency'), ${region.label}) = ${region.label}`
        : sql``;
      condition = sql` AND orgs.scim_enabled = 1 AND orgs.disabled_at IS NULL AND ${IS_IN_PLAN}${isHere}`;
    }
    // An org is not usable before its import is finished or it is deleted. For an IdP it is switched off.
    const writable =
      this.#isGuest || imports === 'too'
        ? sql``
        : sql` AND orgs.importing IS ${imports === 'only' ? sql`NOT NULL` : sql`NULL`}`;
    return sql`${this.#from}${condition}${writable}`;
  }

  /** The same, for work that is right only under this profile of the org: each batch compares. */
  assuming(profile: Profile): OrgStore {
    return new OrgStore(this.db, this.caller, this.now, { ...this.variant, assumed: profile }, this.latest, this.parts);
  }

  /** That the work is decided by; what was decided under another one is neither written nor answered. */
  get profile(): Profile {
    if (this.#assumed === undefined) throw new Error('work is decided by a profile that no batch compares');
    return this.#assumed;
  }

  /** The same, with batches that another object carries out. */
  seat(ask: Ask): OrgStore {
    return new OrgStore(this.db, this.caller, this.now, { ...this.variant, ask }, this.latest, this.parts);
  }

  /** The same, for the import of an org (`only`), or for what may end one (`too`). */
  forImports(imports: 'only' | 'too'): OrgStore {
    return new OrgStore(this.db, this.caller, this.now, { ...this.variant, imports }, this.latest, this.parts);
  }

  /** Whether a batch has checked the caller. It has refused an invalid one. */
  get isChecked(): boolean {
    return this.latest.isChecked;
  }

  /** Why the caller was refused, if a batch has refused it. */
  get refusal(): CallerRefusal | undefined {
    return this.latest.refusal;
  }

  /** The credential of the caller, once a batch has found it good. */
  get presented(): Presented | undefined {
    return this.latest.presented;
  }

  /** As the latest batch found it. */
  get tenant(): Tenant {
    if (this.latest.tenant === undefined) throw new Error('the org is asked for before a batch has found it');
    return this.latest.tenant;
  }

  /** The same, where none need have found it. */
  get latestTenant(): Tenant | undefined {
    return this.latest.tenant;
  }

  /** The org, asked for only if no batch has found it yet. */
  async found(): Promise<Tenant> {
    return this.latestTenant ?? (await this.verify());
  }

  /** Signs the org's cursors. Not part of the tenant, which is shown. */
  get cursorKey(): string {
    if (this.latest.cursorKey === undefined) throw new Error('the org is asked for before a batch has found it');
    return this.latest.cursorKey;
  }

  /** @throws ScimError 401, 403 or, in the admin API, 404. ProfileChanged. */
  async verify(): Promise<Tenant> {
    await this.read();
    return this.tenant;
  }

  /** One round trip. @returns the rows of each statement. @throws ProfileChanged. */
  async read<S extends readonly SQL[]>(...statements: S): Promise<Rows<S>> {
    if (this.variant.ask) return (await this.variant.ask('read', [...statements])) as Rows<S>;
    if (this.#overtaken) throw this.#overtaken;
    const { permission } = this.variant;
    const [[found, ...rows], permitted] = await Promise.all([
      runBatch(this.db, [this.#lookup, ...statements], this.#inReads),
      permission?.read(),
    ]);
    if (permission) this.#permit(permission.scope, permitted, found![0]);
    if (typeof found![0]?.id !== 'string') await confirmAbsence(this.db);
    this.#admit(found![0]);
    return rows as Rows<S>;
  }

  /** Whether `find` is one statement. */
  get isJoining(): boolean {
    return this.#presented !== undefined && this.variant.ask === undefined && this.#assumed !== undefined;
  }

  /**
   * One row at most, found by a key. One round trip, and one statement where a credential was presented: the row is joined to
   * the org's.
   *
   * @param columns `seq` is among them, and none is called like one that finds the org, but for `id`.
   * @param condition names its columns with their table.
   * @throws ProfileChanged.
   */
  async find(columns: SQL, table: 'users' | 'groups', condition: SQL): Promise<Row | undefined> {
    const name = sql.raw(table);
    const presented = this.#presented;
    if (presented === undefined || !this.isJoining) {
      const [rows] = await this.read(sql`SELECT ${columns} FROM ${name} WHERE ${condition}`);
      return rows![0];
    }
    if (this.#overtaken) throw this.#overtaken;
    const from = presented.from(sql` LEFT JOIN ${name} ON ${condition}`);
    const [rows] = await runBatch(this.db, [this.#find(sql`, ${columns}`, from)], sql`orgs.id`);
    const row = rows![0];
    if (row === undefined) await confirmAbsence(this.db);
    this.#admit(row && { ...row, id: presented.orgId });
    return row?.['seq'] === null ? undefined : row;
  }

  /**
   * One round trip, atomic. An invalid caller changes nothing, and nothing is written under an outdated profile.
   *
   * @returns the rows of each statement.
   * @throws Unmet, Taken (batch.ts); ProfileChanged.
   */
  async write<S extends readonly SQL[]>(...statements: S): Promise<Rows<S>> {
    if (this.variant.ask) return (await this.variant.ask('write', [...statements])) as Rows<S>;
    if (this.#overtaken) throw this.#overtaken;
    if (this.variant.permission) await this.verify();
    // No org is at the revision of a guess: the batch would only be aborted.
    if (this.#assumed !== undefined && this.#assumed.revision === undefined) await this.verify();
    try {
      const isGuardedAlone = this.#assumed !== undefined && !this.#hostToken;
      const first = isGuardedAlone && statements[0] instanceof Expected ? statements[0] : undefined;
      const leading = isGuardedAlone ? [this.#guard(first)] : [expect('caller', this.#mayWork), this.#lookupInWrite];
      const rest = first ? statements.slice(1) : statements;
      const results = await runBatch(this.db, [...leading, ...rest], this.#inWrites);
      const row = results[leading.length - 1]![0]!;
      const found = (isGuardedAlone ? JSON.parse(row['name'] as string) : row) as FoundRow;
      this.#admit(found);
      if (found.is_followed === 1) this.variant.written?.(this.tenant.id);
      return [...(first ? [[]] : []), ...results.slice(leading.length)] as unknown as Rows<S>;
    } catch (error) {
      // What was refused after the guard was refused to a good caller.
      if (error instanceof Taken || (error instanceof Unmet && error.expectation !== 'caller'))
        this.latest.isChecked = true;
      if (!(error instanceof Unmet) || error.expectation !== 'caller') throw error;
      const tenant = await this.verify(); // says which refusal it is
      this.#refuseImport(tenant);
      // All was good again a moment later: this request still was not.
      if (this.#assumed !== undefined) throw new Busy('the profile of the org is being changed');
      throw this.#unauthorized();
    }
  }

  /** @throws ScimError as `#admit` does for a token that the org's own database checks. */
  #permit(scope: PresentedHostToken['scope'], permitted: HostPermission | undefined, row: FoundRow | undefined): void {
    this.latest.isChecked = true;
    if (permitted === undefined) throw this.#unauthorized();
    if (!permitted.mayAsk) throw outOfScope(scope);
    if (permitted.orgs !== undefined && !permitted.orgs.includes(row?.['id'] as string)) throw notFound('Org');
  }

  #admit(row: FoundRow | undefined): void {
    this.latest.isChecked = true;
    const isGuest = this.#isGuest;
    if (row === undefined) throw isGuest || this.#hostToken ? this.#unauthorized() : notFound('Org');
    if (this.#hostToken && row.may_ask !== 1) throw outOfScope(this.#hostToken.scope);
    if (row['id'] === null) throw notFound('Org');
    const other = typeof row.profile === 'string' ? profileOf(row.revision, row.profile) : undefined;
    const profile = other ?? this.#assumed;
    const tenant = profile ? { ...profile, ...countsOf(row) } : tenantOf(row);
    if (row.credential_id !== undefined) this.latest.presented = presentedOf(row);
    const { region } = this.variant;
    const { residency } = tenant.settings;
    if (isGuest && region && residency !== undefined && residency !== region.label) {
      this.latest.refusal = 'misdirected';
      throw elsewhere(tenant, region.urls.get(residency));
    }
    if (isGuest && !isInPlan(tenant.settings)) {
      this.latest.refusal = 'plan';
      throw forbidden(outOfPlan(tenant.settings));
    }
    if (isGuest && (!tenant.isScimEnabled || tenant.disabledAt !== undefined)) {
      this.latest.refusal = 'disabled';
      throw disabled(tenant);
    }
    this.latest.tenant = tenant;
    this.latest.cursorKey = profile?.cursorKey ?? row.cursor_key;
    if (other === undefined) return;
    knownProfiles.keep(this.caller, other);
    if (this.#assumed === GUESS && isAsGuessed(other)) {
      this.#assumed = other;
      return;
    }
    this.#overtaken = new ProfileChanged(other);
    throw this.#overtaken;
  }

  /** @throws ScimError 409: the org is being imported, or, for the import, is not. */
  #refuseImport({ slug, isImporting }: Tenant): void {
    const { imports } = this.variant;
    if (this.#isGuest || imports === 'too' || isImporting === (imports === 'only')) return;
    throw isImporting ? halfImported(slug) : notUnderWay(slug);
  }

  #unauthorized(): ScimError {
    this.latest.refusal = 'unauthorized';
    return unauthorized();
  }
}
