/**
 * What a client is told when a request is refused (RFC 7644 §3.12). A detail names attributes and what was expected;
 * never a value, a secret, SQL, or another org's data.
 */

export type ScimType =
  | 'invalidFilter'
  | 'tooMany'
  | 'uniqueness'
  | 'mutability'
  | 'invalidSyntax'
  | 'invalidPath'
  | 'noTarget'
  | 'invalidValue'
  | 'invalidCursor'
  | 'expiredCursor'
  | 'invalidCount';

export class ScimError extends Error {
  override readonly name = 'ScimError';

  constructor(
    readonly status: number,
    readonly scimType: ScimType | undefined,
    readonly detail: string,
    /** Response headers that belong to the refusal: Allow, Retry-After, WWW-Authenticate. */
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
  }
}

export const invalidSyntax = (detail: string) => new ScimError(400, 'invalidSyntax', detail);
export const invalidFilter = (detail: string) => new ScimError(400, 'invalidFilter', detail);
export const invalidPath = (detail: string) => new ScimError(400, 'invalidPath', detail);
export const invalidValue = (detail: string) => new ScimError(400, 'invalidValue', detail);
export const noTarget = (detail: string) => new ScimError(400, 'noTarget', detail);
export const mutability = (detail: string) => new ScimError(400, 'mutability', detail);
/** RFC 9865 §2.1. */
export const invalidCursor = () =>
  new ScimError(400, 'invalidCursor', 'The cursor does not belong to this query: start with an empty one');
export const expiredCursor = (detail: string) => new ScimError(400, 'expiredCursor', detail);
export const invalidCount = (detail: string) => new ScimError(400, 'invalidCount', detail);

export const tooMany = (detail: string) => new ScimError(400, 'tooMany', detail);

/** RFC 7644 §3.3.1: the value of an attribute that is unique in the org is taken. @param more about that resource. */
export const uniqueness = (attribute: string, more = '') =>
  new ScimError(409, 'uniqueness', `${attribute} is already taken by another resource${more}`);

export const notFound = (what: string) => new ScimError(404, undefined, `${what} not found`);
export const payloadTooLarge = (detail: string) => new ScimError(413, undefined, detail);

/** RFC 7644 §3.14: the resource is not at the version that If-Match asks for. */
export const preconditionFailed = () =>
  new ScimError(412, undefined, 'The resource has changed: its version does not match If-Match');

/** RFC 9110 §15.5.20: this host does not serve it. */
export const misdirected = (detail: string) => new ScimError(421, undefined, detail);

export const forbidden = (detail: string) => new ScimError(403, undefined, detail);

/**
 * One answer for every credential that is not good, whatever the reason (RFC 7644 §2, RFC 6750 §3). Both challenges: some
 * HTTP clients send a password only after they have been asked for one (RFC 9110 §11.6.1).
 */
export const unauthorized = () =>
  new ScimError(401, undefined, 'A valid credential is required in the Authorization header', {
    'WWW-Authenticate': 'Bearer realm="scim", Basic realm="scim", charset="UTF-8"',
  });

/** @param seconds an integer: Okta reads nothing else in Retry-After. */
export const tooManyRequests = (detail: string, seconds: number) =>
  new ScimError(429, undefined, detail, { 'Retry-After': String(seconds) });

/** @param seconds an integer: Okta reads nothing else in Retry-After. */
export const unavailable = (detail: string, seconds = 1) =>
  new ScimError(503, undefined, detail, { 'Retry-After': String(seconds) });

/** A client's own word, short and printable enough to stand in a detail. */
export function printable(name: string): string {
  const printable = name.replace(/[^\x20-\x7e]/g, '?');
  return printable.length > 80 ? `${printable.slice(0, 77)}...` : printable;
}

/** RFC 7644 §3.7.1: 409 for references that cannot be resolved. */
export const conflict = (detail: string) => new ScimError(409, undefined, detail);
