/** The strict check over HTTP, for a host that is no Worker or has no service binding. */
import { expectOptions, type OptionNames } from './options.ts';
import { isRefusal, SourceRefused, type StrictAnswer, type StrictSource } from './sources.ts';

export interface HttpSourceOptions {
  /** Where the service is, without `/sessions/v1`: `https://scim.example.com`. The token travels there: use https. */
  readonly url: string;
  /** Of `hosts add`, with the scope `check`; or the service's HOST_TOKEN. */
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

const OPTIONS: OptionNames<HttpSourceOptions> = { url: true, token: true, timeout: true, fetch: true };

/**
 * Zero staleness after the commit, for a round trip to the service and one of its own to D1. An answer other than 2xx
 * counts as none, and is told to the checker's `onError`; redirects are not followed. 401, 403 and 404 are a SourceRefused:
 * not an outage, so that `onUnavailable: 'allow'` does not hold.
 *
 * @throws TypeError when `url` is no http(s) address, the token is missing, or there is no such option.
 */
export function httpSource(options: HttpSourceOptions): StrictSource {
  expectOptions('httpSource', options, OPTIONS);
  const { url, token, timeout = 2_000, fetch: given } = options;
  const address = serviceUrl(url, '/sessions/v1/check').href;
  const headers = { ...bearer(token), 'content-type': 'application/json' };
  const send = given ?? ((to: string, init: HttpInit) => fetch(to, init) as Promise<HttpAnswer>);
  let refusal: number | undefined;
  return {
    async check(session) {
      const signal = AbortSignal.timeout(timeout);
      const body = JSON.stringify(session);
      const answer = await send(address, { method: 'POST', headers, body, signal, redirect: 'manual' });
      if (isRefusal(answer.status)) refusal = answer.status;
      else if (answer.ok) refusal = undefined;
      // Many wrong tokens from one address are answered with 429: the fault is still the token.
      if (refusal !== undefined && (isRefusal(answer.status) || answer.status === 429))
        throw new SourceRefused('the strict check', refusal);
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
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    throw new TypeError('token: a token of hosts add, or HOST_TOKEN, was expected');
  return { authorization: `Bearer ${token}` };
}
