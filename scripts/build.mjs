/**
 * `npm run build`: dist/, a package for the vendor's applications: ES modules and type declarations, without dependencies.
 * `npm pack ./dist` makes the tarball. dist/worker is the Worker for `scim-worker/testing`; a deployment is built by wrangler.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { packWorker } from './packed-worker.mjs';
import { commandOf, root } from './project.mjs';

const dist = join(root, 'dist');
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

const compilerOptions = {
  ...{ target: 'ES2022', module: 'NodeNext', lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: [] },
  ...{ rootDir: join(root, 'src'), outDir: dist, declaration: true },
  ...{ rewriteRelativeImportExtensions: true, verbatimModuleSyntax: true, isolatedModules: true },
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
};

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
const packing = packWorker(join(dist, 'worker'));
packing.catch(() => {}); // thrown below
await compile(Object.values(manifest.exports));
await writeDeclarationsOfModules();
await writeFile(join(dist, 'package.json'), `${JSON.stringify(packageOf(manifest), null, 2)}\n`);
await writeFile(join(dist, 'README.md'), readme(manifest));
await copyFile(join(root, 'LICENSE'), join(dist, 'LICENSE'));
await packing;
console.log(`dist/ has ${manifest.name} ${manifest.version}. Make the tarball: npm pack ./dist`);

/** @param entries paths below the root. */
async function compile(entries) {
  const config = join(dist, 'tsconfig.json');
  await writeFile(config, JSON.stringify({ compilerOptions, files: entries.map((entry) => join(root, entry)) }));
  try {
    await promisify(execFile)(process.execPath, [commandOf('typescript', 'tsc'), '-p', config], { cwd: root });
  } catch ({ stdout, stderr }) {
    console.error(`The package could not be compiled.\n${stdout}${stderr}`);
    process.exit(1);
  }
  await rm(config);
}

/** The compiler leaves `.ts` in the imports of declarations, where a package has `.js`. */
async function writeDeclarationsOfModules() {
  for (const file of await readdir(dist, { recursive: true })) {
    if (!file.endsWith('.d.ts')) continue;
    const text = await readFile(join(dist, file), 'utf8');
    await writeFile(join(dist, file), text.replace(/((?:from|import\()\s*['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2'));
  }
}

function packageOf({ name, version, description, license, engines, exports }) {
  const built = (entry, ending) => entry.replace('./src/', './').replace(/\.ts$/, ending);
  return {
    name,
    version,
    description,
    ...(license && { license }),
    type: 'module',
    sideEffects: false,
    engines,
    // For `testing` alone. Any version: betas, which wrangler has, satisfy no other range.
    peerDependencies: { miniflare: '*' },
    peerDependenciesMeta: { miniflare: { optional: true } },
    exports: Object.fromEntries(
      Object.entries(exports).map(([path, entry]) => [
        path,
        { types: built(entry, '.d.ts'), default: built(entry, '.js') },
      ]),
    ),
  };
}

function readme({ name, exports }) {
  const paths = Object.keys(exports).map((path) => `- \`${path.replace('.', name)}\``);
  return `# ${name}\n\nFor applications beside the service: Workers, Node from 20, bundlers. No dependencies.\n\n${paths.join('\n')}\n\n\`startScim\` of \`${name}/testing\` needs the package miniflare, and what that needs: Node 22 or later.\n`;
}
