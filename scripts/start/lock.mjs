/**
 * One service per state folder. The lock is a listening socket: it dies with its process, kill -9 included, so there is
 * never a stale one to argue with. The socket tells the other side who holds the lock.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { isOurs } from './state-dir.mjs';

/** Bytes of a socket's path: the shortest limit of any system is 104, with the zero at its end. */
const MAX_PATH = 100;
/** Bytes and milliseconds that the holder may take to say who it is. */
const MAX_ANSWER = 1_024;
const PATIENCE = 1_000;

/** @throws Error if no place for the socket is safe. */
function socketOf(stateDir) {
  const folder = realpathSync(stateDir);
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  if (process.platform === 'win32') return `\\\\.\\pipe\\scim-worker-${hash}`;
  const path = join(folder, 'lock.sock');
  if (Buffer.byteLength(path) <= MAX_PATH) return path;
  const short = join(shortFolder(), `${hash}.sock`);
  if (Buffer.byteLength(short) <= MAX_PATH) return short;
  throw new Error(`${stateDir} is too long a path for the lock, and so is ${tmpdir()}`);
}

/** For state folders with long paths: a folder in the temporary one that only this user can enter. */
function shortFolder() {
  const folder = join(tmpdir(), `scim-worker-${process.getuid()}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const found = lstatSync(folder);
  if (found.isDirectory() && isOurs(found) && (found.mode & 0o077) === 0) return folder;
  throw new Error(`${folder} is not a folder of yours alone. Remove it, or choose a shorter STATE_DIR`);
}

/**
 * What the holder of the folder's lock says of itself: `{ url, pid }`, each if valid. Undefined: the lock is free.
 *
 * @throws Error if the socket belongs to another user.
 */
export async function holderOf(stateDir) {
  let path;
  try {
    path = socketOf(stateDir);
    if (process.platform !== 'win32' && !isOurs(lstatSync(path))) {
      throw new Error(`The lock in ${stateDir} belongs to another user`);
    }
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
  return ask(path);
}

/** A holder that says nothing in time, or too much, is a holder all the same. */
function ask(path) {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(path).setEncoding('utf8');
    const tell = (holder) => {
      clearTimeout(impatience);
      socket.destroy();
      resolve(holder);
    };
    const impatience = setTimeout(tell, PATIENCE, {});
    socket
      .on('data', (chunk) => {
        said += chunk;
        if (said.length > MAX_ANSWER) tell({});
      })
      .once('end', () => tell(parsed(said)))
      .once('error', ({ code }) => tell(['ENOENT', 'ECONNREFUSED'].includes(code) ? undefined : {}));
  });
}

function parsed(said) {
  try {
    const { url, pid } = JSON.parse(said);
    return {
      ...(typeof url === 'string' && /^http:\/\/localhost:\d{1,5}$/.test(url) && { url }),
      ...(Number.isSafeInteger(pid) && { pid }),
    };
  } catch {
    return {};
  }
}

/** Takes the folder's lock, or answers the other process that holds it; `release()` gives it back. */
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
