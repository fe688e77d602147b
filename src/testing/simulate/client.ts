/** The identity provider's HTTP client: sends a request, and holds the answer to what each SCIM client relies on. */

export interface SentRequest {
  readonly method: string;
  readonly url: string;
  /** Without the secret. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface ReceivedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** As it came. */
  readonly text: string;
}

/** The server answered in a way that this identity provider cannot work with. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';

  /** What was wrong: one sentence, without the request. */
  readonly reason: string;
  /** Absent: no single exchange is to blame. */
  readonly request: SentRequest | undefined;
  /** Absent: there was none. */
  readonly answer: ReceivedAnswer | undefined;

  /** @param context the identity provider and its phase. */
  constructor(
    reason: string,
    request: SentRequest | undefined,
    answer: ReceivedAnswer | undefined,
    context: string,
    options?: { readonly cause?: unknown },
  ) {
    super(messageOf(reason, request, answer, context), options);
    this.reason = reason;
    this.request = request;
    this.answer = answer;
  }
}

/** A parsed answer, with the exchange that it belongs to. */
export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a foreign answer, looked at attribute by attribute
  readonly body: any;
  /** Ends the simulation because of this answer. */
  fail(reason: string): never;
}

export interface ClientOptions {
  /** The SCIM base address. */
  readonly scimUrl: string;
  readonly authorization: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
  /** `Okta, deactivate`: where the simulation is, for errors. */
  readonly context: () => string;
}

/** Okta gives up after ten attempts; the others are not more patient. */
const MAX_ATTEMPTS = 10;
/** Milliseconds. Okta waits so long for an answer. */
const PATIENCE = 60_000;
const MAX_TEXT = 4_000;

export class Client {
  /** Requests sent, those of repeated attempts included. */
  requests = 0;
  /** Attempts that the server put off with 429 or 503. */
  putOff = 0;

  private readonly options: ClientOptions;

  constructor(options: ClientOptions) {
    this.options = options;
  }

  get(path: string, expected: readonly number[] = [200]): Promise<Answer> {
    return this.send('GET', path, undefined, expected);
  }

  /**
   * @param path below the SCIM base address, percent-encoded as this identity provider does it.
   * @throws SimulationError unless the status is one of `expected` and the answer has the form that SCIM demands.
   */
  async send(method: string, path: string, body: unknown, expected: readonly number[]): Promise<Answer> {
    const request = this.requestFor(method, path, body);
    for (let attempt = 1; ; attempt++) {
      const received = await this.ask(request, body);
      const wait =
        attempt < MAX_ATTEMPTS && !expected.includes(received.status) ? pauseOf(received, attempt) : undefined;
      if (wait === undefined) return this.checked(request, received, expected);
      this.putOff++;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** Ends the simulation where no single answer is to blame. */
  fail(reason: string): never {
    throw new SimulationError(reason, undefined, undefined, this.options.context());
  }

  private requestFor(method: string, path: string, body: unknown): SentRequest {
    const { scimUrl, headers } = this.options;
    const sent = Object.entries(headers).filter(([name]) => body !== undefined || name !== 'Content-Type');
    return { method, url: `${scimUrl}${path}`, headers: Object.fromEntries(sent), body };
  }

  private async ask(request: SentRequest, body: unknown): Promise<ReceivedAnswer> {
    const { fetch, authorization, signal } = this.options;
    const { method, url } = request;
    const timeout = AbortSignal.timeout(PATIENCE);
    this.requests++;
    try {
      const answer = await fetch(url, {
        method,
        headers: { ...request.headers, Authorization: authorization },
        redirect: 'manual', // a provider does not carry its token to another address
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return { status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() };
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw new SimulationError(`there was no answer: ${wordsOf(cause)}`, request, undefined, this.options.context(), {
        cause,
      });
    }
  }

  private checked(request: SentRequest, received: ReceivedAnswer, expected: readonly number[]): Answer {
    const fail = (reason: string): never => {
      throw new SimulationError(reason, request, received, this.options.context());
    };
    if (!expected.includes(received.status)) fail(`expected status ${expected.join(' or ')}, got ${received.status}`);
    const { status, text } = received;
    const body = bodyOf(received, fail);
    if (status >= 400 && typeof body?.status !== 'string') fail('expected an error with a string "status"');
    if (Array.isArray(body?.schemas) && body.schemas.some((urn: unknown) => /:ListResponse$/i.test(String(urn)))) {
      checkList(body, fail);
    }
    if (status === 204 && text !== '') fail('expected no body with 204');
    return { status, body, fail };
  }
}

/** fetch keeps what happened in the cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message || String((error.cause as { code?: string } | undefined)?.code ?? error.message);
}

function bodyOf({ status, headers, text }: ReceivedAnswer, fail: (reason: string) => never) {
  if (text === '' && (status === 204 || status === 404)) return undefined;
  const type = headers['content-type'] ?? '';
  if (!/^application\/(?:scim\+)?json\b/i.test(type)) fail(`expected application/scim+json, got ${type || 'no type'}`);
  try {
    const body = JSON.parse(text);
    if (body !== null && typeof body === 'object' && !Array.isArray(body)) return body;
  } catch {
    // Said below.
  }
  return fail('expected a JSON object');
}

// biome-ignore lint/suspicious/noExplicitAny: a foreign answer
function checkList(body: any, fail: (reason: string) => never): void {
  for (const name of ['totalResults', 'startIndex', 'itemsPerPage']) {
    if (name in body && !Number.isInteger(body[name])) fail(`expected ${name} to be an integer`);
  }
  if (!Number.isInteger(body.totalResults)) fail('expected totalResults in the list');
  const resources = Array.isArray(body.Resources ?? [])
    ? (body.Resources ?? [])
    : fail('expected Resources to be a list');
  if (resources.length === 0 && body.totalResults > 0 && body.itemsPerPage !== 0)
    fail('expected Resources in a list with results');
  if (resources.some((one: { id?: unknown } | null) => typeof one?.id !== 'string'))
    fail('expected an id on each resource of the list');
}

/** Milliseconds until the next attempt; undefined: the answer stands. */
function pauseOf({ status, headers }: ReceivedAnswer, attempt: number): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  return 1000 * Math.min(60, Number.isFinite(seconds) ? Math.max(seconds, 0.1) : 2 ** (attempt - 1));
}

function messageOf(
  reason: string,
  request: SentRequest | undefined,
  answer: ReceivedAnswer | undefined,
  context: string,
): string {
  const cut = (text: string) =>
    text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)} … (${text.length} characters)` : text;
  if (!request) return `${context}: ${reason}`;
  const headers = Object.entries(request.headers).map(([name, value]) => `\n  ${name}: ${value}`);
  return [
    `${context}: ${reason}`,
    `Request: ${request.method} ${request.url}${headers.join('')}`,
    ...(request.body === undefined ? [] : [`  ${cut(JSON.stringify(request.body))}`]),
    answer ? `Answer: ${answer.status}\n  ${cut(answer.text) || '(no body)'}` : 'Answer: none',
  ].join('\n');
}
