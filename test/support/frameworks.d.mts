export interface FrameworkServer {
  readonly url: string;
  stop(): Promise<void>;
}
/** What a guard reads of a request of either. */
export interface FrameworkRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}
export function startExpress(guard: unknown): Promise<FrameworkServer>;
export function startFastify(guard: unknown): Promise<FrameworkServer>;
