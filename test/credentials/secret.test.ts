import { beforeAll, describe, expect, it } from 'vitest';
import { hashOf, maskOf, newOrgId, newSecret, recognise } from '../../src/credentials/secret';

const isWellFormed = async (text: string) => (await recognise(text)).ok;
const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** The first token that was ever written down. Whoever changes the format must still take it. */
const OLD = 'scim_Ab3dEf6hIj9k_000000000000000000000000000000000';

let orgId: string;
let token: string;
beforeAll(async () => {
  orgId = newOrgId();
  token = await newSecret('token', orgId);
});

describe('a token', () => {
  it('has the pattern that secret scanners look for', () => {
    expect(token).toMatch(/^scim_[0-9A-Za-z]{12}_[0-9A-Za-z]{39}$/);
    expect(`Authorization: Bearer ${token}"`).toMatch(/\bscim_[0-9A-Za-z]{12}_[0-9A-Za-z]{39}\b/);
  });

  it('names its org', () => {
    expect(token.split('_')[1]).toBe(orgId);
  });

  it('has at least 192 random bits: 33 letters of 62', () => {
    expect(33 * Math.log2(62)).toBeGreaterThan(192);
    expect(token.split('_')[2]!.length - 6).toBe(33);
  });

  it('is another each time, of all letters alike', async () => {
    const tokens = await Promise.all(Array.from({ length: 500 }, () => newSecret('token', orgId)));
    expect(new Set(tokens).size).toBe(500);
    const counts = new Map<string, number>();
    for (const letter of tokens.flatMap((text) => [...text.slice(18, 51)])) {
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    expect([...counts.keys()].sort().join('')).toBe(LETTERS);
    // 500 × 33 ÷ 62 is 266; six standard deviations are 98.
    for (const count of counts.values()) expect(Math.abs(count - 266)).toBeLessThan(98);
  });

  it('is recognised', async () => {
    expect(await isWellFormed(token)).toBe(true);
  });

  it('of the first days is still recognised', async () => {
    expect(await isWellFormed(`${OLD}pPtsZ6`)).toBe(true);
  });
});

describe('a token is refused without a look at the database when', () => {
  it('any one character is another', async () => {
    const wrong: string[] = [];
    for (let i = 0; i < token.length; i++) {
      for (const letter of `${LETTERS}_-`) {
        if (letter !== token[i]) wrong.push(token.slice(0, i) + letter + token.slice(i + 1));
      }
    }
    const taken = await Promise.all(wrong.map(isWellFormed));
    expect(wrong.filter((_, i) => taken[i])).toEqual([]);
  });

  it('it is cut, at either end, anywhere', async () => {
    for (let length = 0; length < token.length; length++) {
      expect(await isWellFormed(token.slice(0, length))).toBe(false);
      expect(await isWellFormed(token.slice(token.length - length))).toBe(false);
    }
  });

  it('two neighbours have changed places, or one is missing, or is there twice', async () => {
    for (let i = 0; i < token.length; i++) {
      const [a, b] = [token[i]!, token[i + 1] ?? ''];
      if (a !== b) {
        if (b) expect(await isWellFormed(token.slice(0, i) + b + a + token.slice(i + 2))).toBe(false);
        expect(await isWellFormed(token.slice(0, i) + token.slice(i + 1))).toBe(false);
      }
      expect(await isWellFormed(token.slice(0, i + 1) + a + token.slice(i + 1))).toBe(false);
    }
  });

  it.each([' ', '\n', '\r\n', '\t', '\u00a0', '\u200b', '"', '=', '\0'])('it has %j around or in it', async (extra) => {
    for (const text of [token + extra, extra + token, `${token.slice(0, 30)}${extra}${token.slice(30)}`]) {
      expect(await isWellFormed(text)).toBe(false);
    }
  });

  it('it is of other letters', async () => {
    for (const text of ['', 'scim_', token.toUpperCase(), token.toLowerCase(), token.replace('scim', 'SCIM')]) {
      expect(await isWellFormed(text)).toBe(false);
    }
    expect(await isWellFormed(`${token.slice(0, -1)}０`)).toBe(false);
  });

  it('its org is exchanged for another', async () => {
    expect(await isWellFormed(token.replace(orgId, newOrgId()))).toBe(false);
  });
});

describe('what is kept and shown of a token', () => {
  it('is a SHA-256 of all of it', async () => {
    expect(await hashOf('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(await hashOf(token)).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashOf(token)).not.toBe(await hashOf(await newSecret('token', orgId)));
  });

  it('is a mask with four letters of the org and four of the checksum, none of the secret', () => {
    expect(maskOf(token)).toBe(`scim_${orgId.slice(0, 4)}…${token.slice(-4)}`);
    const secret = token.slice(18, 51);
    for (let i = 0; i + 4 <= secret.length; i++) expect(maskOf(token)).not.toContain(secret.slice(i, i + 4));
  });
});

it('an org’s id is 12 random letters, which say nothing of the org', () => {
  expect(newOrgId()).toMatch(/^[0-9A-Za-z]{12}$/);
  expect(newOrgId()).not.toBe(newOrgId());
});
