/** A request to a transmitter or an issuer of signals: bounded in time and size, without redirects. */
import { boundedText } from '../credentials/bounded-text';

/** Milliseconds for each request, to the last byte. */
const PATIENCE = 5_000;
/** Bytes. */
const MOST = 65_536;

export interface Asked {
  /** An access token. */
  readonly auth?: string | undefined;
  /** In the place of it: a whole header. */
  readonly authorization?: string;
  /** JSON, or a form. */
  readonly body?: object | URLSearchParams;
  readonly patience?: number;
  readonly most?: number;
}

export interface Said {
  /** 0: it could not be reached, or not in time. */
  readonly status: number;
  /** Undefined: no JSON object, or too large a one. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** In the place of an object: a JSON array. */
  readonly list?: readonly unknown[];
  /** Milliseconds that it asks for (Retry-After). */
  readonly pause: number;
}

/** Never throws. Redirects are not followed: they would carry the token elsewhere, and lead inside. */
export async function ask(method: string, url: string, asked: Asked = {}): Promise<Said> {
  const { auth, authorization = auth && `Bearer ${auth}`, body, patience = PATIENCE, most = MOST } = asked;
  try {
    const isForm = body instanceof URLSearchParams;
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      signal: AbortSignal.timeout(patience),
      headers: {
        'User-Agent': 'scim-worker',
        Accept: 'application/json',
        ...(authorization !== undefined && { Authorization: authorization }),
        ...(body && 'setErrs' in body && { 'Content-Language': 'en' }), // RFC 8936 §2.6: of the descriptions
        ...(body && { 'Content-Type': isForm ? 'application/x-www-form-urlencoded' : 'application/json' }),
      },
      ...(body && { body: isForm ? body.toString() : JSON.stringify(body) }),
    });
    const seconds = Number(response.headers.get('Retry-After') ?? 0);
    const pause = Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0;
    return { status: response.status, ...(await jsonOf(response, most)), pause };
  } catch {
    return { status: 0, body: undefined, pause: 0 };
  }
}

async function jsonOf(response: Response, most: number): Promise<Pick<Said, 'body' | 'list'>> {
  try {
    const value: unknown = JSON.parse(await boundedText(response, most));
    if (Array.isArray(value)) return { body: undefined, list: value };
    return { body: typeof value === 'object' && value !== null ? (value as Said['body']) : undefined };
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') throw error;
    return { body: undefined };
  }
}

export const isGood = ({ status }: Said): boolean => status >= 200 && status < 300;
