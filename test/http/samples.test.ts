// The sample of the docs for a Node server, as it stands there (examples/samples/node.ts), against the stand-in.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSessions } from '../../examples/samples/node.ts';
import { startHostDoor } from '../support/host-door.ts';
import { moment, soon } from '../support/stream-scenarios.ts';

let door: Awaited<ReturnType<typeof startHostDoor>>;
beforeAll(async () => {
  door = await startHostDoor();
});
afterAll(() => door.stop());

const open = (slug: string) => openSessions(door.url, door.token, [slug]);
type Opened = ReturnType<typeof open>;

/** Each ends with its streams closed, also if it fails. */
async function withSessions(slug: string, play: (opened: Opened) => Promise<void>) {
  const opened = open(slug);
  try {
    await soon(() => expect(opened.stream.isSynced(slug)).toBe(true));
    await play(opened);
  } finally {
    await opened.stream.close();
  }
}

it('deletes the sessions of a deactivated user, and no others', async () => {
  const org = door.newOrg('sample-out');
  await withSessions('sample-out', async ({ sessions, isValid }) => {
    const issuedAt = await moment();
    sessions.set('ada', { org: org.id, user: 'ada', issuedAt });
    sessions.set('grace', { org: org.id, user: 'grace', issuedAt: new Date(issuedAt) });
    expect(await isValid('ada')).toBe(true);
    door.change(org, 'ada', false);
    await soon(() => expect([...sessions.keys()]).toEqual(['grace']));
    expect(await isValid('ada')).toBe(false);
    expect(await isValid('grace')).toBe(true);
  });
});

it('deletes every earlier session of an org that was signed out, and keeps the later ones', async () => {
  const org = door.newOrg('sample-all');
  await withSessions('sample-all', async ({ sessions, isValid }) => {
    const before = await moment();
    for (const user of ['ada', 'grace']) sessions.set(user, { org: org.id, user, issuedAt: before });
    door.change(org, null, true, true);
    await soon(() => expect(sessions.size).toBe(0));
    sessions.set('new', { org: org.id, user: 'ada', issuedAt: await moment() });
    door.change(org, 'grace', false);
    await soon(async () => expect(await isValid('new')).toBe(true));
    expect([...sessions.keys()]).toEqual(['new']);
  });
});

it('keeps, at a restart, the new session of a user who was revoked earlier', async () => {
  const org = door.newOrg('sample-restart');
  door.change(org, 'ada', false);
  door.change(org, 'ada', true);
  door.change(org, null, true, true);
  const opened = open('sample-restart');
  try {
    // There before the stream tells anything, as in a store that outlives the process.
    opened.sessions.set('new', { org: org.id, user: 'ada', issuedAt: Date.now() + 1 });
    opened.sessions.set('old', { org: org.id, user: 'ada', issuedAt: Date.now() - 60_000 });
    await soon(() => expect([...opened.sessions.keys()]).toEqual(['new']));
    await soon(async () => expect(await opened.isValid('new')).toBe(true));
    expect([...opened.sessions.keys()]).toEqual(['new']);
  } finally {
    await opened.stream.close();
  }
});
