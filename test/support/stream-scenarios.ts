// What a stream's client owes a host, whatever stands behind the door: each scenario is played against the stand-in, and
// can be played against the service itself.
import { expect, vi } from 'vitest';
import { openRevocationStream } from '../../src/sessions/client/stream.ts';
import type { StreamOptions, StreamStatus } from '../../src/sessions/client/stream-options.ts';
import type { Wire } from './web-socket.mjs';

export interface Stage {
  /** Leads to the service; the client's address is the wire's. */
  readonly wire: Wire;
  readonly token: string;
  newOrg(slug: string): Promise<StageOrg>;
}

export interface StageOrg {
  readonly id: string;
  readonly slug: string;
  newUser(): Promise<string>;
  setActive(user: string, active: boolean): Promise<void>;
  /** Ends all sessions of the org; everybody stays active. */
  signOutAll(): Promise<void>;
  delete(): Promise<void>;
}

export const soon = (act: () => void | Promise<void>) => vi.waitFor(act, { timeout: 10_000, interval: 5 });

/** A stream with the patience of a test. Closed by whoever opens it. */
export function openStream(stage: Pick<Stage, 'wire' | 'token'>, orgs: string[], more: Partial<StreamOptions> = {}) {
  const statuses: StreamStatus[] = [];
  const stream = openRevocationStream({
    url: stage.wire.url,
    token: stage.token,
    orgs,
    onUnavailable: 'deny',
    heartbeat: 150,
    maxSilence: 600,
    backoff: { base: 4, max: 40 },
    onStatus: (status) => statuses.push(status),
    ...more,
  });
  const good = (org: StageOrg, user: string, issuedAt: number) => stream.check({ org: org.id, user, issuedAt });
  return { stream, statuses, good, synced: (slug: string) => soon(() => expect(stream.isSynced(slug)).toBe(true)) };
}

/** An instant that no revocation shares: of two in one millisecond the safe one counts. */
export async function moment(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  const at = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 5));
  return at;
}

const out = { valid: false, from: 'stream' };
const fine = { valid: true, reason: 'good', from: 'stream' };

export interface Scenario {
  readonly promise: string;
  /** @param slug a name that no other scenario uses. */
  play(stage: Stage, slug: string): Promise<void>;
}

export const scenarios: Scenario[] = [
  {
    promise: 'a deactivation ends the sessions that there are, and after a reactivation only new ones are good',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const [ada, grace] = [await org.newUser(), await org.newUser()];
      const issuedAt = await moment();
      const { stream, good, synced } = openStream(stage, [slug]);
      try {
        await synced(slug);
        expect(await good(org, ada, issuedAt)).toMatchObject(fine);
        await org.setActive(ada, false);
        await soon(async () => expect(await good(org, ada, issuedAt)).toMatchObject({ ...out, reason: 'inactive' }));
        expect(await good(org, grace, issuedAt)).toMatchObject(fine);
        await org.setActive(ada, true);
        await soon(async () => expect(await good(org, ada, issuedAt)).toMatchObject({ ...out, reason: 'revoked' }));
        expect(await good(org, ada, await moment())).toMatchObject(fine);
      } finally {
        await stream.close();
      }
    },
  },
  {
    promise: 'whoever was out before the stream was opened is out in it',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const [left, back] = [await org.newUser(), await org.newUser()];
      const issuedAt = await moment();
      await org.setActive(left, false);
      await org.setActive(back, false);
      await org.setActive(back, true);
      const { stream, good, synced } = openStream(stage, [slug]);
      try {
        await synced(slug);
        expect(await good(org, left, issuedAt)).toMatchObject({ ...out, reason: 'inactive' });
        expect(await good(org, back, issuedAt)).toMatchObject({ ...out, reason: 'revoked' });
      } finally {
        await stream.close();
      }
    },
  },
  {
    promise:
      'what happens while there is no connection is there after the reconnect, and until then nobody is called good',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const [ada, grace] = [await org.newUser(), await org.newUser()];
      const issuedAt = await moment();
      const { stream, good, synced } = openStream(stage, [slug]);
      try {
        await synced(slug);
        stage.wire.isDown = true;
        stage.wire.kill();
        await org.setActive(ada, false);
        await soon(() => expect(stream.isSynced(slug)).toBe(false));
        await soon(async () =>
          expect(await good(org, grace, issuedAt)).toMatchObject({
            valid: false,
            reason: 'unavailable',
            from: 'policy',
          }),
        );
        stage.wire.isDown = false;
        await synced(slug);
        expect(await good(org, ada, issuedAt)).toMatchObject({ ...out, reason: 'inactive' });
        expect(await good(org, grace, issuedAt)).toMatchObject(fine);
      } finally {
        stage.wire.isDown = false;
        await stream.close();
      }
    },
  },
  {
    promise: 'a connection that is cut after any number of bytes loses nothing',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const users = [await org.newUser(), await org.newUser(), await org.newUser()];
      const issuedAt = await moment();
      for (const user of users) await org.setActive(user, false);
      await org.setActive(users[2]!, true);
      // From the middle of the answer to the upgrade to past the last frame, in steps shorter than any frame.
      for (let bytes = 60; bytes < 1_000; bytes += 29) {
        stage.wire.killNextAfter = bytes;
        const told: string[] = [];
        const { stream, good, synced } = openStream(stage, [slug], {
          onState: ({ user }) => void told.push(user ?? 'all'),
        });
        try {
          await synced(slug);
          const reasons = await Promise.all(users.map(async (user) => (await good(org, user, issuedAt)).reason));
          expect(reasons, `cut after ${bytes} bytes`).toEqual(['inactive', 'inactive', 'revoked']);
          await soon(() => expect(new Set(told)).toEqual(new Set(users)));
        } finally {
          stage.wire.killNextAfter = undefined;
          await stream.close();
        }
      }
    },
  },
  {
    promise: 'a restart with the snapshot that was kept hears only what came since, and knows the rest',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const [before, since] = [await org.newUser(), await org.newUser()];
      const issuedAt = await moment();
      await org.setActive(before, false);
      const first = openStream(stage, [slug]);
      await first.synced(slug);
      const kept = JSON.parse(JSON.stringify(first.stream.snapshot(slug)));
      await first.stream.close();
      await org.setActive(since, false);
      const told: (string | null)[] = [];
      const { stream, good, synced } = openStream(stage, [slug], {
        after: { [slug]: kept },
        onState: ({ user }) => void told.push(user),
      });
      try {
        await synced(slug);
        expect(await good(org, before, issuedAt)).toMatchObject({ ...out, reason: 'inactive' });
        expect(await good(org, since, issuedAt)).toMatchObject({ ...out, reason: 'inactive' });
        expect(told).toEqual([since]);
      } finally {
        await stream.close();
      }
    },
  },
  {
    promise: 'a sign-out of the whole org ends the sessions of people it never named',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const ada = await org.newUser();
      const issuedAt = await moment();
      const { stream, good, synced } = openStream(stage, [slug]);
      try {
        await synced(slug);
        await org.signOutAll();
        await soon(async () => expect(await good(org, ada, issuedAt)).toMatchObject({ ...out, reason: 'revoked' }));
        expect(await good(org, ada, await moment())).toMatchObject(fine);
      } finally {
        await stream.close();
      }
    },
  },
  {
    promise: 'with the org everybody of it is out, and it is not asked for again',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const ada = await org.newUser();
      const issuedAt = await moment();
      // A stream that has just lost touch is not told that its org is deleted: it finds no org.
      const patient = { heartbeat: 1_000, maxSilence: 2_100 };
      const { stream, statuses, good, synced } = openStream(stage, [slug], patient);
      try {
        await synced(slug);
        await org.delete();
        await soon(() => expect(statuses.at(-1)).toMatchObject({ org: slug, is: 'gone' }));
        const connections = stage.wire.connections;
        await new Promise((resolve) => setTimeout(resolve, patient.maxSilence + 200));
        expect(stage.wire.connections).toBe(connections);
        // Longer out of touch than it may be, and still sure: nothing will bring it back.
        expect(await good(org, ada, issuedAt)).toMatchObject({ ...out, reason: 'inactive' });
        expect(await good(org, ada, await moment())).toMatchObject({ ...out, reason: 'inactive' });
      } finally {
        await stream.close();
      }
    },
  },
  {
    promise: 'two orgs of one stream are told apart, and one can be added and dropped',
    async play(stage, slug) {
      const [one, two] = [await stage.newOrg(`${slug}-one`), await stage.newOrg(`${slug}-two`)];
      const [ada, grace] = [await one.newUser(), await two.newUser()];
      const issuedAt = await moment();
      const { stream, good, synced } = openStream(stage, [one.slug]);
      try {
        expect(await good(two, grace, issuedAt)).toMatchObject({ valid: false, reason: 'unavailable' });
        stream.follow(two.slug);
        await Promise.all([synced(one.slug), synced(two.slug)]);
        await one.setActive(ada, false);
        await soon(async () => expect(await good(one, ada, issuedAt)).toMatchObject(out));
        expect(await good(two, grace, issuedAt)).toMatchObject(fine);
        expect(await good(two, ada, issuedAt)).toMatchObject(fine);
        await stream.unfollow(two.slug);
        expect(await good(two, grace, issuedAt)).toMatchObject({ valid: false, reason: 'unavailable' });
        expect(stream.isSynced(one.slug)).toBe(true);
      } finally {
        await stream.close();
      }
    },
  },
  {
    promise: 'a wrong token and an unknown org are told as a status, and let nobody in',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const strangers = openStream({ ...stage, token: 'not-the-token' }, [slug]);
      const unknown = openStream(stage, [`${slug}-nobody`]);
      try {
        await soon(() =>
          expect(strangers.statuses.map(({ detail }) => detail)).toContainEqual(expect.stringMatching(/^HTTP 401/)),
        );
        await soon(() =>
          expect(unknown.statuses.map(({ detail }) => detail)).toContainEqual(expect.stringMatching(/^HTTP 404/)),
        );
        expect(JSON.stringify(strangers.statuses)).not.toContain('not-the-token');
        expect(await strangers.good(org, 'ada', Date.now())).toMatchObject({ valid: false, reason: 'unavailable' });
      } finally {
        await Promise.all([strangers.stream.close(), unknown.stream.close()]);
      }
    },
  },
  {
    promise: 'a place to go on from that the service has not come to yet is given up, and everything is heard anew',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const ada = await org.newUser();
      const issuedAt = await moment();
      await org.setActive(ada, false);
      const { stream, good, synced } = openStream(stage, [slug], { after: { [slug]: 1_000_000 } });
      try {
        await synced(slug);
        expect(await good(org, ada, issuedAt)).toMatchObject({ ...out, reason: 'inactive' });
        expect(await good(org, 'someone-else', issuedAt)).toMatchObject(fine);
      } finally {
        await stream.close();
      }
    },
  },
  {
    promise: 'someone switched off and on eight times, with the wire cut in between, ends as the last change says',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const ada = await org.newUser();
      const issuedAt = await moment();
      const seqs: number[] = [];
      const { stream, good, synced } = openStream(stage, [slug], { onState: ({ seq }) => void seqs.push(seq) });
      try {
        await synced(slug);
        await org.setActive(ada, false);
        await soon(async () => expect((await good(org, ada, issuedAt)).valid).toBe(false));
        for (let i = 2; i <= 8; i++) {
          await org.setActive(ada, i % 2 === 0);
          if (i % 3 === 0) stage.wire.kill();
          expect(await good(org, ada, issuedAt)).toMatchObject({ valid: false });
        }
        const after = await moment();
        await soon(async () => expect(await good(org, ada, after)).toMatchObject(fine));
        expect(await good(org, ada, issuedAt)).toMatchObject({ ...out, reason: 'revoked' });
        expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
      } finally {
        await stream.close();
      }
    },
  },
  {
    promise: 'a handler that fails is told again, and the cursor that is saved is never beyond what it has dealt with',
    async play(stage, slug) {
      const org = await stage.newOrg(slug);
      const users = [await org.newUser(), await org.newUser(), await org.newUser()];
      const issuedAt = await moment();
      for (const user of users) await org.setActive(user, false);
      const done: string[] = [];
      let doneAtCursor: number | undefined;
      let failures = 0;
      const { stream, statuses, good } = openStream(stage, [slug], {
        async onState({ user }) {
          if (user === users[1] && failures++ < 3) throw new Error('the host’s database is down');
          done.push(user!);
        },
        saveCursor: () => {
          doneAtCursor ??= new Set(done).size;
        },
      });
      try {
        // The check does not wait for handlers.
        await soon(async () => expect(await good(org, users[2]!, issuedAt)).toMatchObject({ reason: 'inactive' }));
        await soon(() => expect(doneAtCursor).toBe(3));
        expect(done.slice(-2)).toEqual(users.slice(1));
        expect(statuses.map(({ detail }) => detail)).toContain('a handler failed: Error: the host’s database is down');
      } finally {
        await stream.close();
      }
    },
  },
];
