/** The strict check over HTTP, for a host that is no Worker or has no service binding. */
import type { StrictAnswer, StrictSource } from './sources.ts';

export interface HttpSourceOptions {
  /** Where the service is, without `/sessions/v1`: `https://scim.example.com`. The token travels there: use https. */
  readonly url: string;
  /** The service's HOST_TOKEN. */
  readonly token: string;
  /** Milliseconds until a question is given up; 2,000 unless told. The checker's own limit holds too. */
  readonly timeout?: number;
  /** Instead of the global one. */
  readonly fetch?: (url: string, init: HttpInit) => Promise<HttpAnswer>;
}

export interface HttpInit {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
  redirect: 'manual';
}

/** What is used of a Response. */
export interface HttpAnswer {
  readonly ok: boolean;
  readonly status: number;
  json(): Promise<unknown>;
}

/**
 * Zero staleness after the commit, for a round trip to the service and one of its own to D1. An answer other than 2xx
 * (a wrong token, too) counts as none, and is told to the checker's `onError`; redirects are not followed.
 *
 * @throws TypeError when `url` is no http(s) address or the token is missing.
 */
export function httpSource({ url, token, timeout = 2_000, fetch: given }: HttpSourceOptions): StrictSource {
  const address = serviceUrl(url, '/sessions/v1/check').href;
  const headers = { ...bearer(token), 'content-type': 'application/json' };
  const send = given ?? ((to: string, init: HttpInit) => fetch(to, init) as Promise<HttpAnswer>);
  return {
    async check(session) {
      const signal = AbortSignal.timeout(timeout);
      const body = JSON.stringify(session);
      const answer = await send(address, { method: 'POST', headers, body, signal, redirect: 'manual' });
      if (!answer.ok) throw new Error(`the strict check was answered with HTTP ${answer.status}`);
      return (await answer.json()) as StrictAnswer;
    },
  };
}

/** @throws TypeError when `base` is no http(s) address. */
export function serviceUrl(base: string, path: string): URL {
  const url = new URL(base);
  if (!/^https?:$/.test(url.protocol)) throw new TypeError('url: an http(s) address was expected');
  url.pathname = url.pathname.replace(/\/+$/, '') + path;
  url.search = url.hash = '';
  return url;
}

/** @throws TypeError when there is no token, or one that is no header value. */
export function bearer(token: string): { authorization: string } {
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw new TypeError('token: HOST_TOKEN was expected');
  return { authorization: `Bearer ${token}` };
}
