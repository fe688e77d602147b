/**
 * What an org has set: settings, schemas, SCIM on or off, whether its events are signalled. Each isolate remembers the profiles it has seen, so that work
 * is decided before its batch. `orgs.revision` moves with each change of a profile (triggers of migrations/0020), and
 * each batch compares it: a profile of the past decides nothing.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Extension, Types } from '../../scim/schema/types';
import { standardTypes, typesWith } from '../../scim/schema/types';
import type { Caller } from './caller';
import type { OrgSettings } from './settings';

/** An extension schema of the org, and since when it has it. Epoch milliseconds. */
export interface Registered extends Extension {
  readonly addedAt: number;
}

/** Instants are epoch milliseconds. */
export interface Profile {
  /** undefined: this is a guess, nothing has been seen of the org. */
  readonly revision: number | undefined;
  readonly slug: string;
  readonly name: string;
  readonly isScimEnabled: boolean;
  readonly disabledAt: number | undefined;
  readonly settings: OrgSettings;
  /** Signs the org's cursors. */
  readonly cursorKey: string;
  readonly createdAt: number;
  /** In the order in which they were added. */
  readonly schemas: readonly Registered[];
  /** What its users and groups can hold: the standard schemas and its own. */
  readonly types: Types;
  /** Its events are told to a receiver of signals. */
  readonly hasStream: boolean;
  /** Characters of its text: what it takes to remember it. */
  readonly size: number;
}

/** Work begins under it where nothing is known of the org. It is right for one that has set nothing. */
export const GUESS: Profile = {
  revision: undefined,
  slug: '',
  name: '',
  isScimEnabled: true,
  disabledAt: undefined,
  settings: {},
  cursorKey: '',
  createdAt: 0,
  schemas: [],
  types: standardTypes,
  hasStream: false,
  size: 0,
};

/** What was decided under the guess is right under this one, too. */
export const isAsGuessed = ({ settings, schemas, hasStream }: Profile): boolean =>
  schemas.length === 0 && !hasStream && Object.keys(settings).length === 0;

/**
 * Of a row of `orgs`: its profile as JSON, or NULL where it is at this revision. The condition on the URN is a range of the
 * key: all of them.
 */
export const otherProfile = (
  revision: number | undefined,
): SQL => sql`iif(orgs.revision IS ${revision ?? null}, NULL, json_object(
  'slug', slug, 'name', name, 'scim', scim_enabled, 'disabledAt', disabled_at, 'settings', json(settings),
  'cursorKey', cursor_key, 'createdAt', orgs.created_at, 'streams',
  EXISTS (SELECT 1 FROM signal_lines WHERE org_id = orgs.id), 'schemas', (SELECT json_group_array(json_object(
    'resourceType', resource_type, 'schema', json(definition), 'addedAt', added_at))
    FROM schemas WHERE org_id = orgs.id AND urn_key > '')))`;

/** @param text as `otherProfile` writes it. */
export function profileOf(revision: number, text: string): Profile {
  const { scim, disabledAt, streams, schemas, ...stored } = JSON.parse(text) as Pick<
    Profile,
    'slug' | 'name' | 'settings' | 'cursorKey' | 'createdAt'
  > & { scim: number; disabledAt: number | null; streams: number; schemas: Registered[] };
  const inOrder = schemas.sort(
    (a, b) => a.addedAt - b.addedAt || (a.schema.id.toLowerCase() < b.schema.id.toLowerCase() ? -1 : 1),
  );
  return {
    ...stored,
    revision,
    isScimEnabled: scim === 1,
    hasStream: streams === 1,
    disabledAt: disabledAt ?? undefined,
    schemas: inOrder,
    types: inOrder.length > 0 ? typesWith(inOrder) : standardTypes,
    size: text.length,
  };
}

/**
 * The org has another profile than that under which the work was begun: nothing has been written, nothing that was read
 * may be used. Begin again under this one.
 */
export class ProfileChanged extends Error {
  constructor(readonly profile: Profile) {
    super('the profile of the org is another');
  }
}

/** Characters of profiles that an isolate remembers. */
const MAX_SIZE = 2_000_000;

/** The profiles that this isolate saw last, by org where the credential names it, else by how the org was called. */
export class KnownProfiles {
  readonly #known = new Map<string, Profile>();
  #size = 0;

  /** @returns a guess where none is known. */
  get(caller: Caller): Profile {
    return this.#known.get(keyOf(caller)) ?? GUESS;
  }

  /** To be told only what a batch has answered to a good caller. */
  keep(caller: Caller, profile: Profile): void {
    const key = keyOf(caller);
    this.#forget(key);
    this.#known.set(key, profile);
    this.#size += profile.size;
    for (const oldest of this.#known.keys()) {
      if (this.#size <= MAX_SIZE || this.#known.size === 1) break;
      this.#forget(oldest);
    }
  }

  clear(): void {
    this.#known.clear();
    this.#size = 0;
  }

  #forget(key: string): void {
    this.#size -= this.#known.get(key)?.size ?? 0;
    this.#known.delete(key);
  }
}

/** No id has a colon. */
function keyOf(caller: Caller): string {
  if (caller.kind === 'credential') return caller.orgId;
  if (caller.kind === 'slug') return `slug:${caller.slug}`;
  if (caller.kind === 'host') return `org:${caller.org}`;
  return caller.kind === 'client' ? `client:${caller.orgId}` : `id:${caller.id}`;
}

export const knownProfiles = new KnownProfiles();
