/**
 * A store opened for one caller. Whoever calls, each batch is led by the statement that finds the caller's org, and
 * every further statement takes its org from the same condition: a bad credential reads and writes nothing, no method
 * can be given another org, and no moment lies between the check and the work (promises 1 and 3).
 */
import { type SQL, sql } from 'drizzle-orm';
import { forbidden, notFound, unauthorized } from '../scim/error';
import { type Row, runBatch, Taken, Unmet } from './batch';
import { expect } from './expect';

export type Caller =
  /** An IdP, by the hash of what it presented; with the slug of the address it used, if that names one. */
  | { readonly kind: 'credential'; readonly hash: string; readonly slug?: string | undefined }
  /** The administrator's door, which is checked by other means. */
  | { readonly kind: 'slug'; readonly slug: string }
  /** The org's own coordinator. */
  | { readonly kind: 'id'; readonly id: string };

/** The org that the caller turned out to be of. Instants are epoch milliseconds. */
export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly isScimEnabled: boolean;
  readonly settings: OrgSettings;
  readonly userCount: number;
  readonly activeUserCount: number;
  readonly groupCount: number;
  readonly notBefore: number | undefined;
  readonly createdAt: number;
}

/** The policies of an org that can be set; absent: the default. */
export interface OrgSettings {
  readonly idp?: 'okta' | 'entra' | 'onelogin' | 'jumpcloud' | 'other';
  /** Whom a refused IdP's administrator may ask. */
  readonly supportContact?: string;
  /** The id of the group that users join when they are created over SCIM. */
  readonly defaultGroup?: string;
  /** The values that `roles` may have; absent: any. `key` is the value folded, as SQL compares it. */
  readonly roles?: readonly { readonly value: string; readonly key: string }[];
  /** What a membership change does with ids of nobody: leaves them out (the default), or is refused. */
  readonly unknownMembers?: 'skip' | 'reject';
}

/** null: back to the default. What is not named stays. */
export type SettingsChange = { readonly [K in keyof OrgSettings]?: OrgSettings[K] | null };

export class OrgStore {
  /** An expression for the org's id; NULL, which equals nothing, when the caller may not work for it. */
  readonly org: SQL;
  /** The credential's id, or NULL: for the journal. */
  readonly credential: SQL;
  readonly #lookup: SQL;
  #tenant: Tenant | undefined;
  #isChecked = false;
  #cursorKey: string | undefined;

  constructor(
    private readonly db: D1Database,
    private readonly caller: Caller,
    readonly now: number,
  ) {
    if (caller.kind === 'credential') {
      const good = sql`credentials.hash = ${caller.hash} AND credentials.revoked_at IS NULL
        AND (credentials.valid_until IS NULL OR credentials.valid_until > ${now})`;
      const slug = caller.slug === undefined ? sql`` : sql` AND orgs.slug = ${caller.slug}`;
      const from = sql`FROM credentials JOIN orgs ON orgs.id = credentials.org_id WHERE ${good}${slug}`;
      this.#lookup = sql`SELECT orgs.* ${from}`;
      this.org = sql`(SELECT orgs.id ${from} AND orgs.scim_enabled = 1)`;
      this.credential = sql`(SELECT id FROM credentials WHERE hash = ${caller.hash})`;
    } else {
      const which = caller.kind === 'slug' ? sql`slug = ${caller.slug}` : sql`id = ${caller.id}`;
      this.#lookup = sql`SELECT * FROM orgs WHERE ${which}`;
      this.org = sql`(SELECT id FROM orgs WHERE ${which})`;
      this.credential = sql`NULL`;
    }
  }

  /** Whether a batch has checked the caller; one that is no good has been refused by it. */
  get isChecked(): boolean {
    return this.#isChecked;
  }

  /** As the latest batch found it. */
  get tenant(): Tenant {
    if (this.#tenant === undefined) throw new Error('the org is asked for before a batch has found it');
    return this.#tenant;
  }

  /** The org, asked for only if no batch has found it yet. */
  async found(): Promise<Tenant> {
    return this.#tenant ?? (await this.verify());
  }

  /** Signs the org's cursors. Not part of the tenant, which is shown. */
  get cursorKey(): string {
    if (this.#cursorKey === undefined) throw new Error('the org is asked for before a batch has found it');
    return this.#cursorKey;
  }

  /** @throws ScimError 401, 403 or, at the administrator's door, 404. */
  async verify(): Promise<Tenant> {
    await this.read();
    return this.tenant;
  }

  /** One round trip. @returns the rows of each statement. */
  async read(...statements: SQL[]): Promise<Row[][]> {
    const [found, ...rows] = await runBatch(this.db, [this.#lookup, ...statements]);
    this.#admit(found![0]);
    return rows;
  }

  /**
   * One round trip, atomic; a caller who is no good changes nothing.
   *
   * @returns the rows of each statement.
   * @throws Unmet, Taken (batch.ts).
   */
  async write(...statements: SQL[]): Promise<Row[][]> {
    const guard = expect('credential', sql`${this.org} IS NOT NULL`);
    try {
      const [found, , ...rows] = await runBatch(this.db, [this.#lookup, guard, ...statements]);
      this.#admit(found![0]);
      return rows;
    } catch (error) {
      // What was refused after the guard was refused to a good caller.
      if (error instanceof Taken || (error instanceof Unmet && error.expectation !== 'credential'))
        this.#isChecked = true;
      if (!(error instanceof Unmet) || error.expectation !== 'credential') throw error;
      await this.verify(); // says which refusal it is
      throw unauthorized(); // it was good again a moment later: this request still was not
    }
  }

  #admit(row: Row | undefined): void {
    this.#isChecked = true;
    if (row === undefined) throw this.caller.kind === 'credential' ? unauthorized() : notFound('Org');
    const tenant = tenantOf(row);
    if (this.caller.kind === 'credential' && !tenant.isScimEnabled) throw disabled(tenant);
    this.#tenant = tenant;
    this.#cursorKey = row['cursor_key'] as string;
  }
}

/** Said to a caller who proved to be the org's own IdP. */
function disabled({ settings: { supportContact } }: Tenant) {
  const contact = supportContact === undefined ? '' : ` Contact ${supportContact}.`;
  return forbidden(`SCIM is not enabled for this organization; its users stay as they are.${contact}`);
}

export function tenantOf(row: Row): Tenant {
  return {
    id: row['id'] as string,
    slug: row['slug'] as string,
    name: row['name'] as string,
    isScimEnabled: row['scim_enabled'] === 1,
    settings: JSON.parse(row['settings'] as string) as OrgSettings,
    userCount: row['user_count'] as number,
    activeUserCount: row['active_user_count'] as number,
    groupCount: row['group_count'] as number,
    notBefore: (row['not_before'] as number | null) ?? undefined,
    createdAt: row['created_at'] as number,
  };
}
