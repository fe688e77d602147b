export interface Project {
  write(name: string, text: string): Promise<void>;
  file(script: URL): Promise<{ stdout: string; stderr: string }>;
  node(script: string): Promise<{ stdout: string; stderr: string }>;
  typeCheck(source: string): Promise<{ stdout: string; stderr: string }>;
  worker(script: string): Promise<unknown>;
}
export interface Tarball {
  readonly files: readonly string[];
  readonly manifest: { readonly exports: Record<string, unknown> };
  lint(): Promise<{ publint: number; attw: number }>;
  install(options?: { readonly link?: readonly string[] }): Promise<Project>;
  remove(): Promise<void>;
}
export function newTarball(): Promise<Tarball>;
