/** STATE_DIR: a folder that its owner alone can enter, with files that its owner alone can read. */
import { chmodSync, constants, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

/** Bytes of a file that `readOwn` reads. */
const MAX_OWN = 4_096;
const STICKY = 0o1000;

/** Where the runtime keeps D1, KV and Durable Objects, by wrangler's layout. */
export const storageOf = (stateDir) => join(stateDir, 'v3');
/** The token for /admin/v1 of the service that runs with this folder. */
export const adminTokenOf = (stateDir) => join(stateDir, 'admin-token');
/** What encrypts the secrets of webhooks: as lasting as the database that they are in. */
export const webhookKeyOf = (stateDir) => join(stateDir, 'webhook-key');

/**
 * Makes the folder, or closes one that exists to other users, with the files that an earlier version left open.
 *
 * @throws Error if it cannot be a folder of this user alone.
 */
export function ownFolder(path) {
  process.umask(0o077);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = lstatSync(`${path}/`);
  // Closing /tmp or another user's folder would harm others, and its owner could still replace what is in it.
  if (!isOurs(found) || found.mode & STICKY) throw new Error(`${path} must be a folder of your own`);
  if (found.mode & 0o077) chmodSync(path, 0o700);
  closeAll(storageOf(path));
}

/** Whether a file belongs to this user. Windows has no such owners. */
export const isOurs = ({ uid }) => process.getuid === undefined || uid === process.getuid();

/** Links are left alone: what they lead to is not in the folder. */
function closeAll(path) {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found?.isFile() && !found?.isDirectory()) return;
  if (found.mode & 0o077) chmodSync(path, found.mode & 0o700);
  if (found.isDirectory()) for (const name of readdirSync(path)) closeAll(join(path, name));
}

/** Writes a small file anew, readable to its owner alone. */
export function writeOwn(path, text) {
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
}

/** The text of a small file of this user, or undefined. Links are not followed. */
export async function readOwn(path) {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    const found = await file.stat();
    if (!found.isFile() || !isOurs(found) || found.size > MAX_OWN) return undefined;
    return await file.readFile('utf8');
  } catch {
    return undefined;
  } finally {
    await file?.close();
  }
}
