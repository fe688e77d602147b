import { beforeAll, describe, expect, it } from 'vitest';
import { accountOf, faultOf, type Occurrence } from '../../src/credentials/refusal';
import { newOrgId, newSecret } from '../../src/credentials/secret';
import { explain } from '../../src/operator/refusal-sentences';
import type { Held, Presenter, Refusal } from '../../src/store/credentials/refusals';

const orgId = newOrgId();
let token: string;
let password: string;
beforeAll(async () => {
  token = await newSecret('token', orgId);
  password = await newSecret('basic', orgId);
});

/** As the door reads it: what follows one word, or all of it. */
const read = (header: string) => /^\s*(?:[\w-]+\s+)?(\S+)\s*$/.exec(header)?.[1];
const fault = (header: string) => faultOf(header, read(header));

describe('what is wrong with a header', () => {
  it('is that it is missing, when nothing or only a scheme was sent', async () => {
    for (const header of [undefined, '', ' ', 'Bearer', 'bearer ', 'Basic']) {
      expect(await faultOf(header, undefined)).toEqual({ reason: 'missing' });
    }
  });

  it('is that it was cut off, and after how many characters of how many', async () => {
    for (const length of [18, 30, 56]) {
      const hint = `truncated ${length}/57`;
      for (const header of [`Bearer ${token.slice(0, length)}`, token.slice(0, length)]) {
        expect(await fault(header)).toEqual({ reason: 'malformed', hint, orgId });
      }
    }
    expect(await fault(`Bearer ${token.slice(0, 17)}`)).toEqual({
      reason: 'malformed',
      hint: 'truncated 17/57',
      orgId,
    });
    expect(await faultOf('Basic x', password.slice(0, -1))).toMatchObject({ hint: 'truncated 58/59', orgId });
    // Cut before the org was said: nobody knows whose it is.
    expect(await fault(`Bearer ${token.slice(0, 9)}`)).toMatchObject({ hint: 'truncated 9/57', orgId: undefined });
  });

  it('is that there are blanks or line breaks within it, wherever they are and whatever the scheme', async () => {
    for (const at of [1, 4, 10, 17, 20, 56]) {
      for (const blank of [' ', '\t', '\r\n', '\u00a0']) {
        const broken = token.slice(0, at) + blank + token.slice(at);
        for (const header of [`Bearer ${broken}`, broken]) {
          expect(await fault(header), JSON.stringify(header)).toEqual({
            reason: 'malformed',
            hint: 'whitespace',
            orgId,
          });
        }
      }
    }
    expect(await faultOf('Basic x', `${password}\n`)).toMatchObject({ hint: 'whitespace', orgId });
  });

  it('is that its checksum does not fit', async () => {
    const letter = token.at(30) === 'x' ? 'y' : 'x';
    expect(await fault(`Bearer ${token.slice(0, 30)}${letter}${token.slice(31)}`)).toEqual({
      reason: 'malformed',
      hint: 'checksum',
      orgId,
    });
  });

  it('is its form, with the org where the text still names one', async () => {
    for (const header of [
      `Bearer "${token}"`,
      `Bearer ${token} ${token}`,
      `Bearer: ${token}=`,
      `Bearer ${token.toUpperCase().replace(orgId.toUpperCase(), orgId)}`,
      `Bearer ${token}x`,
      `Basic ${token}`,
    ]) {
      expect(await fault(header), header).toEqual({ reason: 'malformed', hint: 'form', orgId });
    }
    for (const header of ['let-me-in', 'Bearer eyJhbGciOi.eyJzdWIiOiIxMjM0NT.x', `Bearer ${'x'.repeat(9_000)}`]) {
      expect(await fault(header)).toEqual({ reason: 'malformed', hint: 'form', orgId: undefined });
    }
  });
});

const held = (more: Partial<Held> = {}): Held => ({
  id: 'c1',
  kind: 'token',
  mask: 'scim_AbCd…wxyz',
  generation: 3,
  createdAt: 1_000,
  createdBy: 'ada',
  validUntil: undefined,
  currentSince: 1_000,
  currentBy: 'ada',
  replacedAt: undefined,
  replacedBy: undefined,
  graceUntil: undefined,
  revokedAt: undefined,
  revokedBy: undefined,
  lastUsedAt: undefined,
  lastUsedClient: undefined,
  lastUsedAddress: undefined,
  ...more,
});

describe('why a well-formed secret was refused', () => {
  const at = 50_000;
  const seen: Occurrence = { hash: 'h', orgId: 'said', client: '', address: '', count: 2, firstAt: at, lastAt: at };
  const of = (more: Partial<Held>): Presenter => ({ orgId: 'real', slug: 'acme', credential: held(more) });
  const why = (presenter: Presenter | undefined, more: Partial<Occurrence> = {}) => {
    const { reason, hint, orgId, slug, credentialId } = accountOf({ ...seen, ...more }, presenter);
    return { reason, hint, orgId, slug, credentialId };
  };
  const known = { orgId: 'real', slug: '', credentialId: 'c1', hint: '' };

  it('is that nobody knows it: then its text, else the path, else the user name says whose it is', () => {
    expect(why(undefined)).toEqual({ reason: 'unknown', hint: '', orgId: 'said', slug: '', credentialId: '' });
    expect(why(undefined, { slug: 'a', userName: 'b' }).slug).toBe('a');
    expect(why(undefined, { userName: 'b' }).slug).toBe('b');
  });

  it('is what killed it first', () => {
    expect(why(of({ validUntil: at }))).toEqual({ ...known, reason: 'expired' });
    expect(why(of({ revokedAt: at, validUntil: at + 1 }))).toEqual({ ...known, reason: 'revoked' });
    expect(why(of({ revokedAt: at, validUntil: at - 1 }))).toEqual({ ...known, reason: 'expired' });
    expect(why(of({ replacedAt: 9, graceUntil: at }))).toEqual({ ...known, reason: 'replaced' });
    expect(why(of({ replacedAt: 9, graceUntil: 10, revokedAt: 20 }))).toEqual({ ...known, reason: 'replaced' });
    // By a clock that is ahead of ours: it was revoked all the same.
    expect(why(of({ revokedAt: at + 500 }))).toEqual({ ...known, reason: 'revoked' });
  });

  it('is another org’s path or user name, when it is good', () => {
    expect(why(of({}), { slug: 'globex' })).toEqual({ ...known, reason: 'wrong_org', hint: 'path' });
    expect(why(of({}), { userName: 'globex' })).toEqual({ ...known, reason: 'wrong_org', hint: 'user_name' });
    expect(why(of({ replacedAt: 9, graceUntil: at + 1 }), { slug: 'globex' }).reason).toBe('wrong_org');
    expect(why(of({ revokedAt: 9 }), { slug: 'globex' }).reason).toBe('revoked');
  });

  it('is not guessed when it was good a moment later', () => {
    expect(why(of({}), { slug: 'acme' }).reason).toBe('unknown');
  });

  it('stays what was known before', () => {
    expect(why(of({ revokedAt: 9 }), { reason: 'wrong_kind', hint: 'basic' })).toEqual({
      ...known,
      reason: 'wrong_kind',
      hint: 'basic',
    });
  });
});

describe('the sentence for the administrator', () => {
  const refusal = (more: Partial<Refusal>): Refusal => ({
    reason: 'unknown',
    hint: '',
    client: '',
    address: '',
    count: 1,
    firstAt: 0,
    lastAt: 0,
    source: undefined,
    credential: undefined,
    successor: undefined,
    ...more,
  });
  const iso = '2026-11-22T08:00:00.000Z';
  const then = Date.parse(iso);

  it.each<[string, Partial<Refusal>]>([
    [
      'the token is cut off, 44 of 57 characters arrived: copy it again',
      { reason: 'malformed', hint: 'truncated 44/57' },
    ],
    [
      `generation 3 (scim_AbCd…wxyz) was replaced by ada at ${iso}, with generation 4: enter the current one`,
      { reason: 'replaced', credential: held({ replacedAt: then, replacedBy: 'ada' }), successor: 4 },
    ],
    [
      `generation 3 (scim_AbCd…wxyz) was revoked by bob at ${iso}: enter the current one, or make a new one`,
      { reason: 'revoked', credential: held({ revokedAt: then, revokedBy: 'bob' }) },
    ],
    [
      `generation 3 (scim_AbCd…wxyz) expired at ${iso}: make a new one, and enter it`,
      { reason: 'expired', credential: held({ validUntil: then }) },
    ],
    [
      `an access token expired at ${iso}: the client gets a new one by itself`,
      { reason: 'expired', credential: held({ kind: 'oauth_access', generation: 0, validUntil: then }) },
    ],
    [
      'a refresh token was sent where another kind belongs: check what was entered',
      { reason: 'wrong_kind', hint: 'oauth_refresh' },
    ],
    ['SCIM is off for this org: switch it on with "scim enable"', { reason: 'disabled' }],
    ['SCIM is not part of the plan of this org: add it with "org set … plan.scim=true"', { reason: 'plan' }],
  ])('%s', (sentence, more) => {
    expect(explain(refusal(more))).toBe(sentence);
  });

  it('is there for every reason and hint, also where the credential is gone', () => {
    const reasons: [Refusal['reason'], string[]][] = [
      ['missing', ['', 'others']],
      ['malformed', ['', 'truncated 1/57', 'whitespace', 'checksum', 'form', 'others']],
      ['unknown', ['', 'others']],
      ['expired', ['', 'others']],
      ['replaced', ['', 'others']],
      ['revoked', ['', 'others']],
      ['disabled', ['', 'others']],
      ['plan', ['', 'others']],
      ['seats', ['', 'others']],
      ['misdirected', ['', 'others']],
      ['wrong_org', ['path', 'user_name', 'others']],
      ['wrong_kind', ['basic', 'oauth_refresh', 'others']],
      ['rate_limited', ['', 'others']],
      ['client', ['', 'secret']],
      ['assertion', ['', 'audience']],
      ['approval', ['', 'expired']],
    ];
    const sentences = reasons.flatMap(([reason, hints]) => hints.map((hint) => explain(refusal({ reason, hint }))));
    for (const sentence of sentences) expect(sentence).not.toMatch(/undefined|null|NaN|\[object|\(\)/);
    expect(new Set(sentences).size).toBe(sentences.length);
  });
});
