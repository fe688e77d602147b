/** A user as an application sees it: the same in each answer. */
import type { Resource } from '../scim/resource';
import type { Person } from '../store/directory/people';
import { settingOf } from '../store/org/settings';
import type { Tenant } from '../store/org/tenant';

/** RFC 7643 §4.1.1. What was not given is not there. */
export interface ShownName {
  readonly formatted?: string;
  readonly familyName?: string;
  readonly givenName?: string;
  readonly middleName?: string;
  readonly honorificPrefix?: string;
  readonly honorificSuffix?: string;
}

/** RFC 7643 §4.1.2. */
export interface ShownEmail {
  readonly value?: string;
  readonly display?: string;
  readonly type?: string;
  readonly primary?: boolean;
}

export interface ShownPerson {
  readonly id: string;
  readonly userName: string;
  readonly externalId: string | null;
  readonly displayName: string | null;
  readonly name: ShownName | null;
  readonly emails: readonly ShownEmail[];
  /** May sign in: the user is active, and the org is not switched off. */
  readonly active: boolean;
  /** How: through the org's identity provider and no password ever, or by a password that they set up. */
  readonly authentication: 'sso' | 'password-setup';
  /** Direct and through other groups. */
  readonly groups: readonly { readonly id: string; readonly displayName: string }[];
  /** The values of the attribute `roles`. */
  readonly roles: readonly string[];
  /** What the groups allow. */
  readonly permissions: readonly string[];
  /** Of the user's own attributes; groups and permissions move without it. */
  readonly version: number;
}

export function shownPerson({ disabledAt, settings }: Tenant, person: Person): ShownPerson {
  const { resource } = person;
  return {
    id: person.id,
    userName: resource['userName'] as string,
    externalId: (resource['externalId'] as string | undefined) ?? null,
    displayName: (resource['displayName'] as string | undefined) ?? null,
    name: (resource['name'] as ShownName | undefined) ?? null,
    emails: (resource['emails'] as ShownEmail[] | undefined) ?? [],
    active: person.isActive && disabledAt === undefined,
    authentication: settingOf(settings, 'authentication'),
    groups: person.groups.map((group) => ({ id: group.id, displayName: group.display ?? '' })),
    roles: rolesOf(resource),
    permissions: person.permissions,
    version: person.version,
  };
}

function rolesOf(resource: Resource): string[] {
  const roles = (resource['roles'] as { value?: string }[] | undefined) ?? [];
  return [...new Set(roles.flatMap(({ value }) => value ?? []))];
}
