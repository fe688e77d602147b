/** The package as applications get it: built, packed, and installed without a network. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { commandOf } from '../../scripts/project.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

const execute = (command, args, cwd) =>
  new Promise((resolve) => {
    const env = { ...process.env, WRANGLER_SEND_METRICS: 'false', NO_COLOR: '1', CI: '1' };
    execFile(command, args, { cwd, env, timeout: 120_000, maxBuffer: 50_000_000 }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });

async function insist(command, args, cwd) {
  const { code, stdout, stderr } = await execute(command, args, cwd);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

const compilerOptions = {
  ...{ target: 'ES2022', module: 'NodeNext', lib: ['ES2022', 'DOM'], types: [], noEmit: true },
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
};

export async function newTarball() {
  const folder = await mkdtemp(join(tmpdir(), 'scim-worker-tarball-'));
  await insist(process.execPath, [join(root, 'scripts/build.mjs')], root);
  const [packed] = JSON.parse(await insist('npm', ['pack', './dist', '--json', '--pack-destination', folder], root));
  const file = join(folder, packed.filename);
  let count = 0;
  return {
    files: packed.files.map(({ path }) => path),
    manifest: JSON.parse(await readFile(join(root, 'dist/package.json'), 'utf8')),
    async lint() {
      const [publint, attw] = await Promise.all([
        execute(process.execPath, [commandOf('publint', 'publint'), '--strict', file], root),
        execute(process.execPath, [commandOf('@arethetypeswrong/cli', 'attw'), file, '--profile', 'esm-only'], root),
      ]);
      return { publint: publint.code, attw: attw.code };
    },
    /** @param link packages of this checkout that the project has, too. */
    async install({ link = [] } = {}) {
      const project = join(folder, `project-${++count}`);
      await mkdir(project);
      await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }');
      await insist('npm', ['install', '--offline', '--no-audit', '--no-fund', file], project);
      for (const name of link)
        await symlink(join(root, 'node_modules', name), join(project, 'node_modules', name), 'dir');
      const said = ({ stdout, stderr }) => ({ stdout, stderr });
      return {
        write: (name, text) => writeFile(join(project, name), text),
        /** Runs a script of ours as the project's own. */
        async file(script) {
          await copyFile(script, join(project, 'main.mjs'));
          return said(await execute(process.execPath, ['main.mjs'], project));
        },
        async node(script) {
          await writeFile(join(project, 'main.mjs'), script);
          return said(await execute(process.execPath, ['main.mjs'], project));
        },
        async typeCheck(source) {
          await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.ts'] }));
          await writeFile(join(project, 'main.ts'), source);
          return said(await execute(process.execPath, [commandOf('typescript', 'tsc'), '-p', project], project));
        },
        /** @returns what the Worker answers. */
        async worker(script) {
          await writeFile(join(project, 'worker.js'), script);
          await writeFile(
            join(project, 'wrangler.toml'),
            'name = "fresh"\nmain = "worker.js"\ncompatibility_date = "2026-10-20"\n',
          );
          const wrangler = commandOf('wrangler', 'wrangler');
          await insist(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', 'out'], project);
          const contents = await readFile(join(project, 'out/worker.js'), 'utf8');
          const modules = [{ type: 'ESModule', path: 'worker.js', contents }];
          const options = { name: 'fresh', modules, compatibilityDate: '2026-10-20' };
          const runtime = new Miniflare(convertV4MiniflareOptions({ cf: false, workers: [options] }));
          try {
            return await (await runtime.dispatchFetch('https://fresh.test/')).json();
          } finally {
            await runtime.dispose();
          }
        },
      };
    },
    remove: () => rm(folder, { recursive: true }),
  };
}
