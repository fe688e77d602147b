/** Whom a signal means (RFC 9493) -> how to look for that person. Pure. */
import { isBlank } from '../scim/fold';
import type { Key } from '../store/directory/sign-in';

/** Where to look, in this order: the first look-up that finds somebody counts. */
export type Lookup = readonly [Key, string];

export type Subject =
  | { readonly lookups: readonly Lookup[] }
  /** `format`: one that we do not know. `foreign`: the subject of another issuer, whose names mean nothing here. */
  | { readonly fault: 'malformed' | 'format' | 'foreign' };

/** Characters of a value, identifiers of an alias. */
const LONGEST = 1_000;
const MAX_ALIASES = 10;

/** What the source of a signal says of its subjects. */
export interface Naming {
  readonly issuer: string;
  /** Which attribute the `sub` is. Okta's is the id of the Okta user, which SCIM knows as externalId. */
  readonly subject: Exclude<Key, 'id'>;
}

export function subjectOf(identifier: unknown, naming: Naming, depth = 0): Subject {
  if (typeof identifier !== 'object' || identifier === null || Array.isArray(identifier)) return { fault: 'malformed' };
  const { format, ...members } = identifier as Record<string, unknown>;
  const value = (name: string): string | undefined => {
    const text = members[name];
    return typeof text === 'string' && text.length <= LONGEST && !isBlank(text) ? text : undefined;
  };
  const found = (...named: (readonly [Key, string | undefined])[]): Subject => {
    const lookups = named.filter((one): one is Lookup => one[1] !== undefined);
    return lookups.length > 0 ? { lookups } : { fault: 'malformed' };
  };
  switch (format) {
    case 'iss_sub': {
      const [iss, sub] = [value('iss'), value('sub')];
      if (iss === undefined || sub === undefined) return { fault: 'malformed' };
      if (withoutSlash(iss) !== withoutSlash(naming.issuer)) return { fault: 'foreign' };
      return found([naming.subject, sub], ['id', sub]);
    }
    case 'email': {
      const email = value('email');
      return found(['email', email], ['userName', email]);
    }
    case 'account': {
      const account = value('uri')?.replace(/^acct:/i, '');
      return found(['userName', account], ['email', account]);
    }
    case 'opaque': {
      const id = value('id');
      return found(['id', id], [naming.subject, id]);
    }
    case 'scim': {
      const id = /(?:^|\/)Users\/([^/?#]+)$/.exec(value('uri') ?? '')?.[1];
      const externalId = value('externalId');
      return found(['id', id], ['externalId', externalId]);
    }
    case 'complex': // SSF 1.0: the user beside the tenant, the session, the device
      return complex(members, naming, depth);
    case 'aliases':
      return depth > 1 ? { fault: 'malformed' } : aliases(members['identifiers'], naming, depth);
    default:
      // A quirk. Drafts of SSF before 2023, and the Security Events API that Okta describes, write a complex subject without a format.
      if (format === undefined && typeof members['user'] === 'object') return complex(members, naming, depth);
      return { fault: typeof format === 'string' ? 'format' : 'malformed' };
  }
}

/** Without a user it is a good subject that means nobody here: a session, a device, a whole tenant. */
function complex(members: Readonly<Record<string, unknown>>, naming: Naming, depth: number): Subject {
  if (depth > 0) return { fault: 'malformed' };
  const { user, ...others } = members;
  if (user === undefined && Object.keys(others).length > 0) return { fault: 'format' };
  return subjectOf(user, naming, depth + 1);
}

/** Names of one person: those that mean something here. */
function aliases(identifiers: unknown, naming: Naming, depth: number): Subject {
  if (!Array.isArray(identifiers) || identifiers.length === 0 || identifiers.length > MAX_ALIASES) {
    return { fault: 'malformed' };
  }
  const all = identifiers.map((one) => subjectOf(one, naming, depth + 2));
  const lookups = all.flatMap((one) => ('lookups' in one ? one.lookups : []));
  return lookups.length > 0 ? { lookups } : all[0]!;
}

const withoutSlash = (url: string) => url.replace(/\/+$/, '');
