/**
 * Who is signed in, in the memory of this process; each org that someone signs in from is followed by its stream, which says
 * who is out. Sensitive requests ask the service itself.
 */
import {
  type CheckedVerdict,
  decide,
  httpSource,
  type OnUnavailable,
  SourceRefused,
  sessionChecker,
} from 'scim-worker/sessions';
import { openRevocationStream, type StreamStatus } from 'scim-worker/sessions/stream';

export interface Settings {
  /** Where the service is. */
  readonly scimUrl: string;
  /** Of `hosts add`, with the scopes `check` and `resolve`; or the service's HOST_TOKEN. */
  readonly hostToken: string;
  readonly onUnavailable: OnUnavailable;
  /** Milliseconds for which what the stream said counts after its last sign of life. */
  readonly maxSilence: number;
  readonly onStatus: (status: StreamStatus) => void;
}

export interface Session {
  /** Ids, as SCIM knows them. */
  readonly org: string;
  readonly user: string;
  /** Epoch milliseconds. */
  readonly issuedAt: number;
  readonly userName: string;
  readonly displayName: string;
  readonly orgSlug: string;
  /** The pages that are open, each told once why the session is over. */
  readonly pages: Set<(reason: string) => void>;
}

export type SignIn =
  | { readonly id: string; readonly refused?: undefined }
  | { readonly refused: 'unknown' | 'inactive' | 'ambiguous' };

/** Milliseconds. Not above the service's SESSION_MAX_AGE. */
export const SESSION_LIFE = 12 * 3_600_000;
/** Of so many sessions that are over it is remembered why, until their browsers come again. */
const MOST_ENDED = 1_000;

/** The service could not say. */
export class Unavailable extends Error {}

export class Sessions {
  readonly #settings: Settings;
  readonly #open = new Map<string, Session>();
  readonly #ended = new Map<string, string>();
  readonly #stream;
  readonly #checker;
  readonly #strict;

  constructor(settings: Settings) {
    this.#settings = settings;
    const { scimUrl: url, hostToken: token, onUnavailable, maxSilence, onStatus } = settings;
    this.#stream = openRevocationStream({
      ...{ url, token, onUnavailable, maxSilence, onStatus, orgs: [] },
      heartbeat: maxSilence / 3,
      sessionMaxAge: SESSION_LIFE,
      onState: ({ orgId, user, ...state }) => {
        for (const [id, session] of this.#open) {
          if (session.org !== orgId || (user !== null && session.user !== user)) continue;
          const { valid, reason } = decide([state], session.issuedAt);
          if (!valid) this.end(id, reason);
        }
      },
    });
    this.#strict = httpSource({ url, token });
    this.#checker = sessionChecker({
      ...{ flags: this.#stream, strict: this.#strict, mode: 'auto', onUnavailable },
      sessionMaxAge: SESSION_LIFE,
      // A SourceRefused is a fault of the configuration: alert on it. Anything else is an outage, which passes.
      onError: (error, from) => console.error(`session check (${from}): ${String(error)}`),
    });
  }

  /** Asks once what the server will ask. undefined: the service accepts the token, or does not answer just now. */
  async configurationFault(): Promise<string | undefined> {
    try {
      await this.#strict.check({ org: 'none', user: 'none', issuedAt: Date.now() });
      await this.#resolve({ org: 'none', userName: 'none' });
      return undefined;
    } catch (error) {
      const cause = error instanceof Unavailable ? error.cause : error;
      return cause instanceof SourceRefused ? cause.message : undefined;
    }
  }

  /**
   * Stands for what follows a single sign-on: the person is who they say. By userName, else by e-mail address.
   *
   * @throws Unavailable.
   */
  async signIn(org: string, name: string): Promise<SignIn> {
    // Before the question: else a revocation between its answer and this line would be older than the session.
    const issuedAt = Date.now();
    let person = await this.#resolve({ org, userName: name });
    if (!person.found && name.includes('@')) person = await this.#resolve({ org, email: name });
    if (!person.found) return { refused: person.ambiguous ? 'ambiguous' : 'unknown' };
    if (!person.active) return { refused: 'inactive' };
    this.#stream.follow(person.org.id);
    this.#forgetOld();
    const id = newId();
    const { userName, displayName } = person;
    this.#open.set(id, {
      ...{ org: person.org.id, user: person.id, issuedAt, userName, orgSlug: person.org.slug },
      displayName: displayName ?? userName,
      pages: new Set(),
    });
    return { id };
  }

  /** undefined: there is no such session, and `whyEnded` may know why. One that is found to be over is ended. */
  async check(
    id: string,
    { isSensitive }: { isSensitive: boolean },
  ): Promise<{ session: Session; verdict: CheckedVerdict } | undefined> {
    const session = this.#open.get(id);
    if (!session) return undefined;
    const verdict = await this.#checker.check(session, { isSensitive });
    if (verdict.valid) return { session, verdict };
    // Nobody said that it is over: it stays, for when somebody can.
    if (verdict.reason === 'unavailable') throw new Unavailable();
    this.end(id, verdict.reason);
    return undefined;
  }

  /** At once, and every open page of it is told. */
  end(id: string, reason: string): void {
    const session = this.#open.get(id);
    if (!session) return;
    this.#open.delete(id);
    this.#ended.set(id, reason);
    if (this.#ended.size > MOST_ENDED) this.#ended.delete(this.#ended.keys().next().value!);
    for (const tell of session.pages) tell(reason);
  }

  /** Told once, and forgotten. */
  whyEnded(id: string): string | undefined {
    const reason = this.#ended.get(id);
    this.#ended.delete(id);
    return reason;
  }

  /** `tell` is called once, when the session is over: perhaps at once. Returns what takes it back. */
  listen(id: string, tell: (reason: string) => void): () => void {
    const session = this.#open.get(id);
    if (!session) tell(this.#ended.get(id) ?? 'unknown');
    session?.pages.add(tell);
    return () => session?.pages.delete(tell);
  }

  close(): Promise<void> {
    return this.#stream.close();
  }

  async #resolve(question: Record<string, string>): Promise<Resolved> {
    const { scimUrl, hostToken } = this.#settings;
    try {
      const answer = await fetch(`${scimUrl}/sessions/v1/resolve`, {
        method: 'POST',
        headers: { authorization: `Bearer ${hostToken}`, 'content-type': 'application/json' },
        body: JSON.stringify(question),
        redirect: 'manual',
        signal: AbortSignal.timeout(5_000),
      });
      if (answer.status === 400) return { found: false };
      if ([401, 403, 404].includes(answer.status)) throw new SourceRefused('resolve', answer.status);
      if (!answer.ok) throw new Error(`resolve was answered with HTTP ${answer.status}`);
      return (await answer.json()) as Resolved;
    } catch (error) {
      throw new Unavailable('resolve', { cause: error });
    }
  }

  #forgetOld(): void {
    for (const [id, { issuedAt }] of this.#open) {
      if (issuedAt < Date.now() - SESSION_LIFE) this.end(id, 'expired');
    }
  }
}

type Resolved =
  | {
      readonly found: true;
      readonly id: string;
      readonly userName: string;
      readonly active: boolean;
      readonly displayName: string | null;
      readonly org: { readonly id: string; readonly slug: string };
    }
  | { readonly found: false; readonly ambiguous?: true };

/** 256 random bits: whoever has it is signed in. */
const newId = () =>
  [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
