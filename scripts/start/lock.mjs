/**
 * One service per state folder. The lock is a listening socket: it dies with its process, kill -9 included, so there is
 * never a stale one to argue with, and whoever asks at it is told who holds it.
 */
import { createHash } from 'node:crypto';
import { realpathSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import process from 'node:process';

/** A name derived from the folder: socket paths are limited to about 100 characters, folders are not. */
function socketOf(stateDir) {
  const name = `scim-worker-${createHash('sha256').update(realpathSync(stateDir)).digest('hex').slice(0, 16)}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : `/tmp/${name}.sock`;
}

/** What the holder of the folder's lock says of itself, or undefined if nobody holds it. */
export function holderOf(stateDir) {
  return new Promise((resolve) => {
    let said = '';
    let path;
    try {
      path = socketOf(stateDir);
    } catch {
      return resolve(undefined); // no such folder
    }
    const socket = connect(path)
      .setEncoding('utf8')
      .setTimeout(1000, () => socket.destroy(new Error('silent')))
      .on('data', (chunk) => {
        said += chunk;
      })
      .once('end', () => resolve(said ? JSON.parse(said) : {}))
      .once('error', (error) => resolve(['ENOENT', 'ECONNREFUSED'].includes(error.code) ? undefined : {}));
  });
}

/** Takes the folder's lock and answers who holds it if somebody else does; `release()` gives it back. */
export async function holdLock(stateDir, about) {
  const path = socketOf(stateDir);
  const holder = await holderOf(stateDir);
  if (holder) return { holder };
  rmSync(path, { force: true }); // the file of a holder that was killed
  const server = createServer((socket) => socket.on('error', () => {}).end(JSON.stringify(about)));
  await new Promise((resolve, reject) => server.once('error', reject).listen(path, resolve));
  server.unref();
  return { release: () => server.close() };
}
