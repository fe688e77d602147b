export interface ServedWorker {
  /** Without a slash at the end. */
  readonly url: string;
  fetchFrom(worker: string, url: string, init?: RequestInit): Promise<Response>;
  deleteFlag(key: string): Promise<void>;
  stop(): Promise<void>;
}
export function serveWorker(
  folder: string,
  bindings: Record<string, string>,
  beside?: readonly { readonly configPath: URL; readonly secrets: Record<string, string> }[],
): Promise<ServedWorker>;
