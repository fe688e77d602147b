// The lock of a state folder: one holder, and nothing that another user of the machine could put in its place.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { holderOf, holdLock } from '../../scripts/start/lock.mjs';

const folder = mkdtempSync(join(tmpdir(), 'scim-worker-lock-'));
const opened = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
const newFolder = (name = `f${count++}`) => {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
};
const about = { url: 'http://localhost:8787', pid: 42 };

async function hold(path) {
  const lock = await holdLock(path, about);
  if (lock.release) opened.push(lock.release);
  return lock;
}

/** Something else in the place of the lock. */
function squat(path, onConnect) {
  const server = createServer((socket) => onConnect(socket.on('error', () => {})));
  opened.push(() => server.close());
  return new Promise((resolve) => server.listen(join(path, 'lock.sock'), resolve));
}

describe.skipIf(process.platform === 'win32')(
  `the lock${process.platform === 'win32' ? ' (skipped: Windows has named pipes)' : ''}`,
  () => {
    it('is in the folder, and has one holder, whom it tells to others', async () => {
      const path = newFolder();
      expect(await holderOf(path)).toBeUndefined();
      await hold(path);
      expect(await holderOf(path)).toEqual(about);
      expect(await hold(path)).toEqual({ holder: about });
      expect(statSync(join(path, 'lock.sock')).isSocket()).toBe(true);
    });

    it('of a folder with a long path is in a folder that nobody else can enter', async () => {
      const path = newFolder(join('long'.repeat(20), 'longer'.repeat(20)));
      await hold(path);
      expect(await holderOf(path)).toEqual(about);
      const short = join(tmpdir(), `scim-worker-${process.getuid()}`);
      expect(statSync(short).mode & 0o777).toBe(0o700);
      chmodSync(short, 0o755);
      await expect(holderOf(path)).rejects.toThrow('is not a folder of yours alone');
      chmodSync(short, 0o700);
    });

    it('of a folder that is not there is held by nobody', async () => {
      expect(await holderOf(join(folder, 'none'))).toBeUndefined();
    });

    it.skipIf(process.getuid?.() !== 0)(
      `of another user is refused${process.getuid?.() === 0 ? '' : ' (skipped: only root can give a file away)'}`,
      async () => {
        const { chownSync, lchownSync } = await import('node:fs');
        const path = newFolder();
        await squat(path, (socket) => socket.end(JSON.stringify(about)));
        chownSync(join(path, 'lock.sock'), 65_534, 65_534);
        await expect(holderOf(path)).rejects.toThrow('belongs to another user');
        const linked = newFolder();
        symlinkSync(join(path, 'lock.sock'), join(linked, 'lock.sock'));
        lchownSync(join(linked, 'lock.sock'), 65_534, 65_534);
        await expect(holderOf(linked)).rejects.toThrow('belongs to another user');
      },
    );

    it.each([
      ['says nothing', () => {}, {}],
      ['never stops', (socket) => socket.write('x'.repeat(1_000_000)), {}],
      ['says what is no JSON', (socket) => socket.end('\u001b[2J'), {}],
      ['says null', (socket) => socket.end('null'), {}],
      ['says text where a number belongs', (socket) => socket.end('{"url":1,"pid":"\\u001b[2J"}'), {}],
      ['names another host', (socket) => socket.end('{"url":"http://example.com:1","pid":1}'), { pid: 1 }],
      ['hides something behind the port', (socket) => socket.end('{"url":"http://localhost:1@x"}'), {}],
    ])('whose holder %s is held, and nothing else is believed of it', async (_, onConnect, holder) => {
      const path = newFolder();
      await squat(path, onConnect);
      expect(await holderOf(path)).toEqual(holder);
    });
  },
);
