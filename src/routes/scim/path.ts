/** The path that the routes are matched against, and the quirks in the spelling of a SCIM path. */
import { getPath } from 'hono/utils/url';
import { canonicalPath, type Quirk } from '../../scim/quirks';

/** Up to where the base URL ends: `/scim/v2`, or `/orgs/acme/scim/v2`. */
const BASE = /^(?:\/+orgs\/+[^/]+)?\/+scim\/+v2(?=\/|$)/;

/** Without a slash at the end: Microsoft's reference client asks for `/Users/?filter=…`. */
export function routedPath(request: Request): string {
  const path = getPath(request);
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  const base = BASE.exec(trimmed)?.[0];
  if (base === undefined) return trimmed;
  const below = trimmed.slice(base.length);
  return base.replace(/\/{2,}/g, '/') + (below === '' ? '' : canonicalPath(below).replace(/\/$/, ''));
}

/** For the journal: whether the client spelled the path in another way than the RFC. @param routed as `routedPath` says. */
export function quirksOfPath(request: Request, routed: string): readonly Quirk[] {
  const path = getPath(request);
  return path === routed || path.replace(/\/$/, '') === routed ? [] : ['path-spelling'];
}
