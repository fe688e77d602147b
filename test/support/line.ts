/** An org's line of tokens or passwords through the administrator's door, and what its secrets are good for. */
import { type Answer, type Ask, admin, ask, BASE, newIdp } from './client';
import { rows } from './database';

/** As the administrator's door shows it. */
export interface Shown {
  readonly mask: string;
  readonly generation: number;
  readonly state: 'current' | 'grace' | 'replaced' | 'expired' | 'revoked';
  readonly createdAt: string;
  readonly createdBy: string;
  readonly validUntil: string | null;
  readonly graceUntil: string | null;
  readonly replacedAt: string | null;
  readonly revokedAt: string | null;
  readonly revokedBy: string | null;
  readonly lastUsedAt: string | null;
  readonly lastUsedClient: string | null;
  readonly lastUsedAddress: string | null;
  readonly warnings: string[];
}

export class CredentialLine {
  constructor(
    readonly slug: string,
    readonly orgId: string,
    readonly kind: 'tokens' | 'basic' = 'tokens',
  ) {}

  readonly #post =
    (verb: string) =>
    (body: object = {}) =>
      admin('POST', `/orgs/${this.slug}/${this.kind}${verb}`, { body });
  readonly generate = this.#post('');
  readonly rotate = this.#post('/rotate');
  readonly cancel = this.#post('/cancel');
  readonly complete = this.#post('/complete');

  revoke(): Promise<Answer> {
    return admin('DELETE', `/orgs/${this.slug}/${this.kind}`);
  }

  async list(): Promise<Shown[]> {
    return (await admin('GET', `/orgs/${this.slug}/${this.kind}`)).body;
  }

  /** `[generation, state]`, the latest first. */
  async states(): Promise<[number, string][]> {
    return (await this.list()).map(({ generation, state }) => [generation, state]);
  }

  secretIn({ body }: Answer): string {
    return this.kind === 'tokens' ? body.token : body.password;
  }

  /** @throws Error when it did not work. @returns the new secret. */
  async rotated(body: object = {}): Promise<string> {
    const answer = await this.rotate(body);
    if (answer.status !== 201) throw new Error(`rotate: ${answer.status} ${answer.text}`);
    return this.secretIn(answer);
  }

  send(secret: string, method: string, path: string, { headers, ...more }: Ask = {}): Promise<Answer> {
    const authorization = this.kind === 'tokens' ? `Bearer ${secret}` : `Basic ${btoa(`${this.slug}:${secret}`)}`;
    return ask(method, `${BASE}/scim/v2${path}`, { ...more, headers: { Authorization: authorization, ...headers } });
  }

  /** The status of a read with this secret. */
  async read(secret: string, more?: Ask): Promise<number> {
    return (await this.send(secret, 'GET', '/Users?count=0', more)).status;
  }

  /** What D1 holds that could be good: at most one current, and one predecessor. */
  async alive(): Promise<{ current: number[]; predecessor: number[] }> {
    const found = await rows(
      `SELECT generation, replaced_at FROM credentials WHERE org_id = ? AND kind = ? AND generation > 0 AND revoked_at IS NULL
        AND (grace_until IS NULL OR grace_until > ?) AND (valid_until IS NULL OR valid_until > ?) ORDER BY generation`,
      this.orgId,
      this.kind === 'tokens' ? 'token' : 'basic',
      Date.now(),
      Date.now(),
    );
    const generations = (isReplaced: boolean) =>
      found.filter((row) => (row['replaced_at'] !== null) === isReplaced).map((row) => row['generation'] as number);
    return { current: generations(false), predecessor: generations(true) };
  }
}

/** A new org with SCIM on and its first token. */
export async function newLine(slug: string): Promise<{ line: CredentialLine; first: string }> {
  const idp = await newIdp(slug);
  return { line: new CredentialLine(slug, idp.orgId), first: idp.token };
}
