/** Files that the operator names. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import process from 'node:process';
import { AdminError } from './transport.mjs';

/** From where the command was typed: npm runs it somewhere else. */
export async function jsonOf(file) {
  try {
    return JSON.parse(await readFile(resolve(process.env.INIT_CWD ?? '.', file), 'utf8'));
  } catch (error) {
    const why = error instanceof SyntaxError ? 'is not valid JSON' : 'could not be read';
    throw new AdminError('usage', `${file} ${why}: ${error.message}`);
  }
}
