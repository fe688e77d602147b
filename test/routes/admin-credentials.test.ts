/** What the administrator is told about credentials, for tokens and passwords alike: answers, refusals, warnings. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Ask, admin, newIdp } from '../support/client';
import { dump, journal, rows } from '../support/database';

const HOUR = 3_600_000;
const kinds = [
  { name: 'tokens', line: 'tokens', secret: 'token', noun: 'token', kind: 'token' },
  { name: 'passwords', line: 'basic', secret: 'password', noun: 'basic', kind: 'basic' },
] as const;
let count = 0;

/** An org with SCIM on that has neither token nor password. */
async function newOrg(): Promise<{ slug: string; id: string }> {
  const slug = `org-${++count}`;
  const { body } = await admin('POST', '/orgs', { body: { slug } });
  await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } });
  return { slug, id: body.id };
}

function expectRefused({ status, body }: Answer, expected: number, detail: RegExp): void {
  expect({ status, detail: body.detail }).toEqual({ status: expected, detail: expect.stringMatching(detail) });
  expect(Object.keys(body).sort()).toEqual(['detail', 'error']);
}

const distance = (from: string, to: string) => Date.parse(to) - Date.parse(from);

describe.each(kinds)('$name of an org', ({ line, secret, noun, kind }) => {
  let slug: string;
  let id: string;
  beforeAll(async () => {
    ({ slug, id } = await newOrg());
  });
  const another = async () => {
    ({ slug, id } = await newOrg());
  };

  const path = (rest = '') => `/orgs/${slug}/${line}${rest}`;
  const generate = (body = {}, more: Ask = {}) => admin('POST', path(), { body, ...more });
  const rotate = (body = {}, more: Ask = {}) => admin('POST', path('/rotate'), { body, ...more });
  const cancel = (body = {}) => admin('POST', path('/cancel'), { body });
  const complete = (body = {}) => admin('POST', path('/complete'), { body });
  const revoke = (query = '', more: Ask = {}) => admin('DELETE', path(query), more);
  const list = async () => (await admin('GET', path())).body;
  const states = async () =>
    (await list()).map(({ generation, state }: { generation: number; state: string }) => `${generation} ${state}`);
  const move = (column: string, generation: number, at: number) =>
    env.DB.prepare(`UPDATE credentials SET ${column} = ? WHERE org_id = ? AND kind = ? AND generation = ?`)
      .bind(at, id, kind, generation)
      .run();
  /** A refusal that leaves every table as it was. */
  const unchanged = async (attempt: () => Promise<Answer>, status: number, detail: RegExp) => {
    const before = await dump();
    expectRefused(await attempt(), status, detail);
    expect(await dump()).toBe(before);
  };

  describe('generated', () => {
    it('come with all that the identity provider has to be told, and never again', async () => {
      await another();
      const { status, body } = await generate({ by: 'ada', expires: '90d' });
      expect(status).toBe(201);
      expect(body).toMatchObject({ generation: 1, state: 'current', createdBy: 'ada', warnings: [] });
      expect(body.userName).toBe(kind === 'basic' ? slug : undefined);
      expect(body[secret]).toMatch(kind === 'basic' ? /^scimpw_/ : /^scim_/);
      expect(distance(body.createdAt, body.validUntil)).toBe(90 * 24 * HOUR);
      const listed = await admin('GET', path());
      expect(listed.body).toHaveLength(1);
      expect(listed.text).not.toContain(body[secret].slice(20, 50));
      const [row] = await rows('SELECT hash FROM credentials WHERE org_id = ?', id);
      expect(listed.text).not.toContain(row!['hash']);
      expect(Object.keys(listed.body[0])).not.toContain(secret);
    });

    it('are refused while there is a good one, which the refusal names', async () => {
      await unchanged(generate, 409, new RegExp(`${slug} has a ${secret} already \\(scim.*….{4}, generation 1\\)`));
      expectRefused(await generate(), 409, new RegExp(`replace it with "${noun} rotate"`));
    });

    it('are possible again when only an expired one is left, which stays expired', async () => {
      await move('valid_until', 1, Date.now());
      const { status, body } = await generate();
      expect([status, body.generation, body.validUntil]).toEqual([201, 2, null]);
      expect(await states()).toEqual(['2 current', '1 expired']);
    });

    it('are refused while one in its grace is good, though the current one has expired', async () => {
      await rotate({ grace: '1h' });
      await move('valid_until', 3, Date.now());
      expect(await states()).toEqual(['3 expired', '2 grace', '1 expired']);
      await unchanged(generate, 409, /rotate/);
    });
  });

  describe('rotated', () => {
    beforeAll(async () => {
      await another();
      await generate();
    });

    it('say until when the old one is good: 24 hours, if nobody said otherwise', async () => {
      const { status, body } = await rotate({ by: 'grace' });
      expect(status).toBe(201);
      expect(body).toMatchObject({ generation: 2, state: 'current', createdBy: 'grace', killed: null });
      expect(body.userName).toBe(kind === 'basic' ? slug : undefined);
      expect(body.predecessor).toMatchObject({ generation: 1, state: 'grace', replacedBy: 'grace' });
      expect(body.predecessor.replacedAt).toBe(body.createdAt);
      expect(distance(body.createdAt, body.predecessor.graceUntil)).toBe(24 * HOUR);
    });

    it('name the one whose grace is cut short', async () => {
      const { body } = await rotate({ grace: '15m', expires: '12h' });
      expect(body.killed).toMatchObject({ generation: 1, state: 'replaced' });
      expect(Date.parse(body.killed.graceUntil)).toBeLessThanOrEqual(Date.now());
      expect(body.predecessor).toMatchObject({ generation: 2, state: 'grace' });
      expect(distance(body.createdAt, body.predecessor.graceUntil)).toBe(15 * 60_000);
      expect(distance(body.createdAt, body.validUntil)).toBe(12 * HOUR);
    });

    it('leave nothing good behind with a grace of 0', async () => {
      const { body } = await rotate({ grace: '0' });
      expect([body.predecessor.state, body.killed.generation]).toEqual(['replaced', 2]);
      expect(await states()).toEqual(['4 current', '3 replaced', '2 replaced', '1 replaced']);
      expect((await rotate({ grace: '0' })).body.killed).toBeNull();
    });

    it('take the grace that the org has set, but for what is asked', async () => {
      await admin('PATCH', `/orgs/${slug}`, { body: { settings: { graceDefault: '90s' } } });
      const first = (await rotate()).body;
      expect(distance(first.createdAt, first.predecessor.graceUntil)).toBe(90_000);
      const second = (await rotate({ grace: '24h' })).body;
      expect(distance(second.createdAt, second.predecessor.graceUntil)).toBe(24 * HOUR);
      await admin('PATCH', `/orgs/${slug}`, { body: { settings: { graceDefault: 'none' } } });
      const third = (await rotate()).body;
      expect(distance(third.createdAt, third.predecessor.graceUntil)).toBe(24 * HOUR);
    });

    it('are possible when the current one has expired', async () => {
      const [{ generation }] = await list();
      await move('valid_until', generation, Date.now());
      const { status, body } = await rotate({ grace: '1h' });
      expect(status).toBe(201);
      expect(body.predecessor).toMatchObject({ generation, state: 'expired' });
      expectRefused(await cancel(), 409, /in its grace/); // an expired one does not come back
    });

    it('are possible while SCIM is off', async () => {
      await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: false } });
      expect((await rotate()).status).toBe(201);
      expect((await cancel()).status).toBe(200);
      expect((await rotate({ grace: '1h' })).status).toBe(201);
      expect((await complete()).status).toBe(200);
      await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } });
    });

    it('are refused where there is none, and the refusal says what makes one', async () => {
      await another();
      await unchanged(rotate, 409, new RegExp(`${slug} has no ${secret} .*make one with "${noun} generate"`));
      await generate();
      await revoke();
      await unchanged(rotate, 409, new RegExp(`make one with "${noun} generate"`));
    });
  });

  describe('expected to be of another generation', () => {
    beforeAll(async () => {
      await another();
      await generate({ by: 'ada' });
    });

    it('are left alone, and the refusal names who changed them and when', async () => {
      const { body } = await rotate({ by: 'grace', expectGeneration: 1 });
      expect(body.generation).toBe(2);
      const refused = new RegExp(
        `^Generation 1 was expected, but grace made generation 2 the current one at ${body.createdAt}\\. Nothing has changed$`,
      );
      for (const attempt of [rotate, cancel, complete]) {
        await unchanged(() => attempt({ expectGeneration: 1, by: 'linus' }), 409, refused);
      }
    });

    it('are those that a cancelled rotation left, since then and by whom', async () => {
      await cancel({ by: 'linus', expectGeneration: 2 });
      const [{ at }] = (await rows(
        'SELECT current_since AS at FROM credentials WHERE org_id = ? AND kind = ? AND revoked_at IS NULL',
        id,
        kind,
      )) as [{ at: number }];
      const when = new Date(at).toISOString();
      expectRefused(
        await rotate({ expectGeneration: 2 }),
        409,
        new RegExp(`linus made generation 1 the current one at ${when}`),
      );
      expect((await rotate({ expectGeneration: 1 })).body.generation).toBe(3);
    });
  });

  describe('without a grace that lasts', () => {
    const neither = async (detail: RegExp) => {
      for (const attempt of [cancel, complete]) await unchanged(attempt, 409, detail);
    };

    it('can neither go back nor be completed: there was no rotation', async () => {
      await another();
      await neither(new RegExp(`${slug} has no ${secret} in its grace period. The current one is none`));
      await generate();
      await neither(/The current one is scim.*….{4}, generation 1\. Nothing has changed$/);
    });

    it('can neither go back nor be completed: a rotation is cancelled once', async () => {
      await rotate();
      const { status, body } = await cancel({ by: 'ada' });
      expect(status).toBe(200);
      expect(body).toMatchObject({ generation: 1, state: 'current', replacedAt: null, graceUntil: null });
      expect(body.dead).toMatchObject({ generation: 2, state: 'revoked', revokedBy: 'ada' });
      expect(await states()).toEqual(['2 revoked', '1 current']);
      await neither(/current one is .*, generation 1\./);
    });

    it('can neither go back nor be completed: a rotation is completed once', async () => {
      await rotate();
      const { status, body } = await complete();
      expect(status).toBe(200);
      expect(body).toMatchObject({ generation: 3, state: 'current', dead: { generation: 1, state: 'replaced' } });
      expect(await states()).toEqual(['3 current', '2 revoked', '1 replaced']);
      await neither(/current one is .*, generation 3\./);
    });

    it('can neither go back nor be completed: the time is over', async () => {
      await rotate({ grace: '1h' });
      await move('grace_until', 3, Date.now());
      await neither(/current one is .*, generation 4\./);
    });

    it('can neither go back nor be completed: all were revoked, and the refusal names no dead one', async () => {
      await rotate({ grace: '0' });
      await revoke();
      await neither(/The current one is none\./);
    });
  });

  describe('revoked', () => {
    it('are named, the latest first, with who did it', async () => {
      await another();
      await generate();
      await rotate();
      const { status, body } = await revoke('?by=eve');
      expect(status).toBe(200);
      expect(body).toEqual({
        revoked: 2,
        [`${secret}s`]: [
          expect.objectContaining({ generation: 2, state: 'revoked', revokedBy: 'eve' }),
          expect.objectContaining({ generation: 1, state: 'revoked', revokedBy: 'eve' }),
        ],
      });
      const event = (await journal(id)).at(-1)!;
      expect(event).toMatchObject({ type: `${noun}.revoked`, actor: 'admin:admin', details: { by: 'eve' } });
    });

    it('leave nothing to revoke, which is no error and no event', async () => {
      const before = await dump();
      const { status, body } = await revoke();
      expect([status, body]).toEqual([200, { revoked: 0, [`${secret}s`]: [] }]);
      expect(await dump()).toBe(before);
    });

    it('are not, when who is to be recorded makes no sense', async () => {
      await generate();
      await unchanged(() => revoke('?by='), 400, /^by: .* expected/);
      await unchanged(() => revoke(`?by=${'x'.repeat(101)}`), 400, /^by: .* expected/);
    });
  });

  it('are recorded for whom the request names, else for whom the door names', async () => {
    await another();
    const headers = { 'X-Admin-By': 'operator' };
    expect((await generate({}, { headers })).body.createdBy).toBe('operator');
    expect((await rotate({ by: ' ada ' }, { headers })).body.createdBy).toBe('ada');
    expect((await revoke('', { headers })).body[`${secret}s`][0].revokedBy).toBe('operator');
    expect((await generate({}, { headers: { 'X-Admin-By': '' } })).body.createdBy).toBe('admin');
    // Whose request it was is recorded in any case.
    expect((await journal(id)).slice(-3).map(({ type, actor }) => `${type} ${actor}`)).toEqual([
      `${noun}.rotated admin:operator`,
      `${noun}.revoked admin:operator`,
      `${noun}.issued admin:admin`,
    ]);
  });

  const grace = /^grace: a duration of at most 24h was expected: 0, 90s, 15m, 24h$/;
  const expires = /^expires: a duration of at most 3650d was expected: 90d, 12h$/;
  const generation = /^expectGeneration: the number of a generation was expected: 1, 2, …$/;
  const by = /^by: .* expected, at most 100 characters, no control characters$/;
  it.each<[string, unknown, RegExp]>([
    ['/rotate', { grace: '25h' }, grace],
    ['/rotate', { grace: '86401s' }, grace],
    ['/rotate', { grace: '2d' }, grace],
    ['/rotate', { grace: '-1h' }, grace],
    ['/rotate', { grace: '15 minutes' }, grace],
    ['/rotate', { grace: '' }, grace],
    ['/rotate', { grace: 15 }, grace],
    ['/rotate', { grace: null }, grace],
    ['/rotate', { expires: '0' }, expires],
    ['/rotate', { expires: '3651d' }, expires],
    ['/rotate', { expires: '2027-01-01' }, expires],
    ['', { expires: 'soon' }, expires],
    ['', { expires: 90 }, expires],
    ['/rotate', { expectGeneration: 0 }, generation],
    ['/rotate', { expectGeneration: 1.5 }, generation],
    ['/rotate', { expectGeneration: '1' }, generation],
    ['/cancel', { expectGeneration: -1 }, generation],
    ['/complete', { expectGeneration: null }, generation],
    ['/rotate', { retireOnUse: 'yes' }, /^retireOnUse: true or false was expected$/],
    ['/rotate', { by: '' }, by],
    ['', { by: ' ' }, by],
    ['/cancel', { by: 'x'.repeat(101) }, by],
    ['/complete', { by: 7 }, by],
    ['/rotate', { graceful: '1h' }, /graceful/],
    ['/cancel', { grace: '1h' }, /grace/],
    ['', { token: 'scim_of_my_own' }, /token/],
    ['/rotate', [], /expected/],
  ])('are not changed by a POST %s of %j, and the refusal says what was expected', async (rest, body, detail) => {
    const before = await dump();
    expectRefused(await admin('POST', path(rest), { body }), 400, detail);
    expect(await dump()).toBe(before);
  });

  it('need an org that is there, whatever is asked', async () => {
    const nowhere = (method: string, rest = '') => admin(method, `/orgs/nowhere/${line}${rest}`, { body: {} });
    for (const answer of [
      await admin('GET', `/orgs/nowhere/${line}`),
      await nowhere('POST'),
      await nowhere('POST', '/rotate'),
      await nowhere('POST', '/cancel'),
      await nowhere('POST', '/complete'),
      await nowhere('DELETE'),
    ]) {
      expectRefused(answer, 404, /Org/);
    }
  });
});

describe('a token that is used after its successor was issued', () => {
  const warnings = async (slug: string) =>
    (await admin('GET', `/orgs/${slug}/tokens`)).body.flatMap(({ warnings }: { warnings: string[] }) => warnings);
  const rotate = (slug: string) => admin('POST', `/orgs/${slug}/tokens/rotate`, { body: { grace: '1h' } });
  /** Each a moment after the other: what is compared are milliseconds. */
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

  it('is warned of with the generation that took its place, be there others between', async () => {
    const idp = await newIdp('between');
    await rotate('between');
    await admin('POST', '/orgs/between/tokens/cancel', { body: {} });
    await rotate('between');
    await pause();
    await idp.get('/Users', { headers: { 'User-Agent': 'Okta SCIM Client 1.0.0', 'CF-Connecting-IP': '192.0.2.7' } });
    expect(await warnings('between')).toEqual([
      expect.stringMatching(
        /^was used \d s ago from Okta SCIM Client 1\.0\.0, 192\.0\.2\.7, although generation 3 has replaced it$/,
      ),
    ]);
  });

  it('is not warned of any more when its successor is replaced itself', async () => {
    const idp = await newIdp('history');
    await rotate('history');
    await pause();
    await idp.get('/Users');
    expect(await warnings('history')).toHaveLength(1);
    await rotate('history');
    expect(await warnings('history')).toEqual([]);
  });

  it('is warned of in a unit that people can read', async () => {
    const { orgId } = await newIdp('units');
    await rotate('units');
    const now = Date.now();
    for (const [ago, text] of [
      [90_000, /^was used 9\d s ago/],
      [10 * 60_000, /^was used 10 min ago/],
      [5 * HOUR, /^was used 5 h ago/],
      [72 * HOUR, /^was used 3 days ago/],
    ] as const) {
      await env.DB.batch([
        env.DB.prepare('UPDATE credentials SET created_at = ? WHERE org_id = ? AND generation = 2').bind(1, orgId),
        env.DB.prepare(
          'UPDATE credentials SET replaced_at = ?, last_used_at = ? WHERE org_id = ? AND generation = 1',
        ).bind(1, now - ago, orgId),
      ]);
      expect(await warnings('units')).toEqual([expect.stringMatching(text)]);
    }
  });
});
