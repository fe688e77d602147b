/** A folder of a host app that has linked the package by its path, and nothing else. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { commandOf } from '../../scripts/project.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

const compilerOptions = {
  ...{ target: 'ES2022', module: 'NodeNext', lib: ['ES2022', 'DOM'], types: [], noEmit: true },
  ...{ allowImportingTsExtensions: true, verbatimModuleSyntax: true, erasableSyntaxOnly: true },
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
  ...{ noPropertyAccessFromIndexSignature: true, noImplicitOverride: true, noUnusedLocals: true },
  ...{ noUnusedParameters: true, noImplicitReturns: true, noFallthroughCasesInSwitch: true },
};

export async function newHostFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'scim-worker-host-'));
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules', 'scim-worker'), 'dir');
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['host.ts'] }));

  const node = (...args) =>
    new Promise((resolve) => {
      execFile(process.execPath, args, { cwd: folder, timeout: 30_000 }, (_, stdout, stderr) =>
        resolve({ stdout, stderr }),
      );
    });
  return {
    async run(script) {
      await writeFile(join(folder, 'host.mjs'), script);
      return node('host.mjs');
    },
    async typeCheck(source) {
      await writeFile(join(folder, 'host.ts'), source);
      return node(commandOf('typescript', 'tsc'), '-p', folder);
    },
    remove: () => rm(folder, { recursive: true }),
  };
}
