/** What the grants of the token endpoint have in common: who asks, with what, and what comes of it (RFC 6749 §4, §5). */
import type { Context } from 'hono';
import type { OrgStore } from '../../store/org/open';
import type { App } from '../context';

/** A client that has proved itself. Its store is led by the client's look-up: each batch checks it again. */
export interface Client {
  readonly id: string;
  readonly orgId: string;
  readonly store: OrgStore;
  /** Whether this request has been counted for its org (routes/access/rate-limits.ts). */
  readonly isCounted: boolean;
}

/** The members of the form, each once. */
export type Params = ReadonlyMap<string, string>;

/** RFC 6749 §5.1. */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  /** Seconds. */
  readonly expires_in: number;
  readonly scope: 'scim';
  readonly refresh_token?: string;
}

/** @throws OAuthError, and what the store throws: error.ts knows how to say it. */
export type Grant = (c: Context<App>, client: Client, params: Params) => Promise<TokenAnswer>;

/** RFC 6749 §4.1.2.1 and §5.2. */
export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'invalid_scope'
  | 'access_denied'
  | 'server_error'
  | 'temporarily_unavailable';

export class OAuthError extends Error {
  override readonly name = 'OAuthError';

  constructor(
    readonly error: OAuthErrorCode,
    /** A sentence for the developer of the client; never a secret. */
    readonly description: string,
    readonly status = 400,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(description);
  }
}

export const invalidRequest = (description: string, status = 400) =>
  new OAuthError('invalid_request', description, status);
