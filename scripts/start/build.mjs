/** A Worker as it would be deployed: wrangler's own bundle, made without an account or a network. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { wrangler } from './wrangler.mjs';

/**
 * The modules of a Worker for the runtime, the main one first.
 *
 * @param outDir where the bundle is written.
 * @throws Error with what wrangler said.
 */
export async function build(configPath, outDir) {
  rmSync(outDir, { recursive: true, force: true });
  const { child, ended } = wrangler(['deploy', '--dry-run', '--outdir', outDir, '--config', configPath, '--env', '']);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
  }
  const code = await ended;
  if (code !== 0) throw new Error(`The Worker could not be built:\n${stripVTControlCharacters(said).trim()}`);
  const [main] = readdirSync(outDir).filter((name) => name.endsWith('.js'));
  return [{ type: 'ESModule', path: main, contents: readFileSync(join(outDir, main), 'utf8') }];
}
