/** Files that the operator names. */
import { lstat, open, readFile, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import process from 'node:process';
import { isOurs } from '../start/state-dir.mjs';
import { AdminError } from './transport.mjs';

/** From where the command was typed: npm runs it somewhere else. */
export const pathOf = (file) => resolve(process.env.INIT_CWD ?? '.', file);

export async function jsonOf(file) {
  try {
    return JSON.parse(await readFile(pathOf(file), 'utf8'));
  } catch (error) {
    const why = error instanceof SyntaxError ? 'is not valid JSON' : 'could not be read';
    throw new AdminError('usage', `${file} ${why}: ${error.message}.`);
  }
}

/**
 * Writes a file that does not exist yet, readable to its owner alone. If the writing fails, no file is left.
 *
 * @param chunks texts, in order.
 * @param name what it is called in errors.
 * @throws AdminError if there is something of this name, a link included.
 */
export async function writeNew(file, chunks, name = file) {
  const path = pathOf(file);
  const failed = (why) => new AdminError('usage', `${name} could not be written: ${why}.`);
  const out = await open(path, 'wx', 0o600).catch((error) => {
    throw failed(error.code === 'EEXIST' ? 'it exists already. Choose another name' : error.message);
  });
  try {
    for await (const chunk of chunks) await out.writeFile(chunk);
    await out.close();
  } catch (error) {
    await out.close().catch(() => undefined);
    await rm(path, { force: true });
    throw error instanceof AdminError ? error : failed(error.message);
  }
}

/**
 * Whether an earlier run has written this file.
 *
 * @throws AdminError if there is something else of this name: a link, or a file of another user.
 */
export async function wasWritten(file) {
  const found = await lstat(pathOf(file)).catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw new AdminError('usage', `${file} could not be read: ${error.message}.`);
  });
  if (found === undefined) return false;
  if (found.isFile() && isOurs(found)) return true;
  throw new AdminError('usage', `${file} is not a file of yours. Choose another name.`);
}
