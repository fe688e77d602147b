/** A `$ref` of ours and the resource that it names (RFC 7643 §2.3.7, §2.4). */
import type { Attribute, Endpoint } from './attribute';

export interface Referenced {
  readonly endpoint: Endpoint;
  readonly id: string;
}

const RELATIVE = /^(?:\.{1,2}\/)*\/?(users|groups)\/([^/?#\s]+)$/i;
const NAMES: Readonly<Record<string, Endpoint>> = { users: 'Users', groups: 'Groups' };

/**
 * What a URI names, if it is one of ours: under the base URL of the request, or relative (`../Users/1`, `/Users/1`).
 *
 * @param baseUrl without a slash at the end; absent: only relative URIs are ours.
 */
export function referenced(
  uri: string,
  endpoints: readonly Endpoint[],
  baseUrl: string | undefined,
): Referenced | undefined {
  const [, name, id] = RELATIVE.exec(withoutBase(uri, baseUrl)) ?? [];
  const endpoint = name && NAMES[name.toLowerCase()];
  return endpoint && id && endpoints.includes(endpoint) ? { endpoint, id } : undefined;
}

/** What stands behind the base URL or behind its path; any other URI as it is. */
function withoutBase(uri: string, baseUrl: string | undefined): string {
  if (baseUrl === undefined) return uri;
  const path = /^[a-z]+:\/\/[^/]*(\/.*)$/i.exec(baseUrl)?.[1];
  const base = [baseUrl, path].find((start) => start && uri.toLowerCase().startsWith(`${start.toLowerCase()}/`));
  return base === undefined ? uri : uri.slice(base.length);
}

/** The `$ref` of a complex attribute, where it follows from `value` and is never stored. */
export const derivedReference = ({ subAttributes }: Attribute): Attribute | undefined =>
  subAttributes?.find(({ endpoints }) => endpoints !== undefined);
