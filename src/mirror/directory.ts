/** Where a mirror reads: the directory of one org, by a service binding or over HTTP. */
import { bearer, type HttpAnswer, type HttpSourceOptions, serviceUrl } from '../sessions/client/http-source.ts';
import { expectOptions, type OptionNames } from '../sessions/client/options.ts';
import { openRevocationStream, type StreamOptions } from '../sessions/client/stream.ts';
import { STREAM_OPTIONS } from '../sessions/client/stream-options.ts';

/** A user as the directory resolves them; the sessions API documents the members. */
export interface MirroredUser {
  readonly id: string;
  readonly userName: string;
  readonly externalId: string | null;
  readonly displayName: string | null;
  readonly name: Readonly<Record<string, unknown>> | null;
  readonly emails: readonly Readonly<Record<string, unknown>>[];
  readonly active: boolean;
  readonly authentication: string;
  readonly groups: readonly { readonly id: string; readonly displayName: string }[];
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly version: number;
}

export interface MirroredGroup {
  readonly id: string;
  readonly displayName: string;
  readonly externalId: string | null;
  readonly permissions: readonly string[];
}

export interface Removed {
  readonly id: string;
  readonly removed: true;
}

interface Answer {
  readonly org: { readonly id: string };
  /** The org's latest event when this was true. */
  readonly asOfSeq: number;
}

export interface Page extends Answer {
  /** null: this is the last page. */
  readonly cursor: string | null;
}

export interface Changes extends Answer {
  readonly users: readonly (MirroredUser | Removed)[];
  readonly groups: readonly (MirroredGroup | Removed)[];
  readonly next: string;
  readonly more: boolean;
  readonly resync: boolean;
}

/** The directory of one org. Each method rejects with a Refused when the service refuses the question. */
export interface DirectorySource {
  users(cursor: string | null): Promise<Page & { readonly users: readonly MirroredUser[] }>;
  groups(cursor: string | null): Promise<Page & { readonly groups: readonly MirroredGroup[] }>;
  changes(after: string | number): Promise<Changes>;
  /**
   * Calls `poke` when something may have changed: a hint, which may be missing, late or for nothing.
   *
   * @param seq what has been read already. @returns what ends it.
   */
  listen?(poke: () => void, seq: number): () => unknown;
}

/** The service refuses the question. `code` is its word for programs: `invalidValue`, `not_found`, … */
export class Refused extends Error {
  override readonly name = 'Refused';

  readonly code: string;

  constructor(code: string, detail: string) {
    super(detail);
    this.code = code;
  }
}

/** What is used of the entrypoint `Sessions`. */
export interface SessionsBinding {
  users(question: { org: string; cursor?: string }): PromiseLike<unknown>;
  groups(question: { org: string; cursor?: string }): PromiseLike<unknown>;
  changes(question: { org: string; after: string | number }): PromiseLike<unknown>;
}

/** Over a service binding: no token. @param org its id or slug. */
export function bindingDirectory(sessions: SessionsBinding, org: string): DirectorySource {
  const answered = async <T>(answer: PromiseLike<unknown>) => accepted<T>(await answer);
  const from = (cursor: string | null) => ({ org, ...(cursor !== null && { cursor }) });
  return {
    users: (cursor) => answered(sessions.users(from(cursor))),
    groups: (cursor) => answered(sessions.groups(from(cursor))),
    changes: (after) => answered(sessions.changes({ org, after })),
  };
}

function accepted<T>(answer: unknown): T {
  const { error, detail } = (answer ?? {}) as { error?: unknown; detail?: unknown };
  if (typeof error === 'string') throw new Refused(error, String(detail));
  return answer as T;
}

export interface HttpDirectoryOptions extends HttpSourceOptions {
  /** Its id or slug. */
  readonly org: string;
  /**
   * Options of `scim-worker/sessions/stream`: the mirror is poked when somebody is deactivated, signed out or comes back.
   * Without them it polls alone.
   */
  readonly stream?: Partial<StreamOptions>;
}

const OPTIONS: OptionNames<HttpDirectoryOptions> = {
  ...{ url: true, token: true, org: true, timeout: true, stream: true, fetch: true },
};

/**
 * Over HTTP.
 *
 * @param options `timeout`: milliseconds until a page is given up; 30,000 unless told. The token is of `hosts add` with the scope
 * `lists` (and `check` for `stream`), or HOST_TOKEN.
 * @throws TypeError when `url` is no http(s) address, the token is missing, or there is no such option.
 */
export function httpDirectory(options: HttpDirectoryOptions): DirectorySource {
  expectOptions('httpDirectory', options, OPTIONS);
  if (options.stream) expectOptions('httpDirectory: stream', options.stream, STREAM_OPTIONS);
  const { url, token, org, timeout = 30_000, stream, ...more } = options;
  const headers = bearer(token);
  serviceUrl(url, '');
  const send = more.fetch ?? ((to: string, init) => fetch(to, init) as Promise<HttpAnswer>);
  async function get<T>(list: string, question: Record<string, string>): Promise<T> {
    const address = serviceUrl(url, `/sessions/v1/${list}`);
    address.search = String(new URLSearchParams({ org, ...question }));
    const signal = AbortSignal.timeout(timeout);
    const answer = await send(address.href, { method: 'GET', headers, signal, redirect: 'manual' });
    if (answer.ok) return (await answer.json()) as T;
    if (answer.status >= 400 && answer.status < 500) accepted(await answer.json().catch(() => undefined));
    throw new Error(`${list} was answered with HTTP ${answer.status}`);
  }
  const from = (cursor: string | null) => (cursor === null ? {} : { cursor });
  return {
    users: (cursor) => get('users', from(cursor)),
    groups: (cursor) => get('groups', from(cursor)),
    changes: (after) => get('changes', { after: String(after) }),
    ...(stream && {
      listen(poke, seq) {
        const opened = openRevocationStream({
          ...{ onUnavailable: 'deny', ...stream, url, token, orgs: [org], after: { [org]: seq } },
          onState: poke,
        });
        return () => opened.close();
      },
    }),
  };
}
