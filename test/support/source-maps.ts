/**
 * Lets a failing test point to its own line. vitest hands a module to the Workers runtime with its source map behind a
 * marker (seen with vitest 5.1.1 and the Workers plugin 1.4.10), and nothing in the runtime takes the two apart.
 */
const MARKER = '\n//# vitestSourceMap=';

interface Modules {
  getModuleById(id: string): { meta?: { code?: string; sourceMap?: string } } | undefined;
  getModuleSourceMapById(id: string): unknown;
}

const { __vitest_worker__: worker } = globalThis as { __vitest_worker__?: { evaluatedModules: Modules } };
if (worker) takeApart(worker.evaluatedModules);

function takeApart(modules: Modules) {
  const mapOf = modules.getModuleSourceMapById;
  modules.getModuleSourceMapById = (id) => {
    const meta = modules.getModuleById(id)?.meta;
    const at = meta?.sourceMap === undefined ? (meta?.code?.lastIndexOf(MARKER) ?? -1) : -1;
    if (meta?.code && at !== -1) meta.sourceMap = meta.code.slice(at + MARKER.length);
    return mapOf.call(modules, id);
  };
}
