export interface NodeHost {
  readonly url: string;
  /** What it has written to its log of errors, by lines. */
  readonly errors: readonly string[];
  browser(): Browser;
  close(): Promise<number | null>;
}

export interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface Browser {
  /** As the browser sends it back; empty: none. */
  cookie: string;
  get(path: string): Promise<Page>;
  post(path: string, form?: Record<string, string>, origin?: string): Promise<Page>;
  listen(): Promise<{ readonly ended: Promise<{ readonly reason: string; readonly at: number }> }>;
}

export function openNodeHost(settings: Record<string, string>): Promise<NodeHost>;
export function openBrowser(url: string, send?: (url: string, init: RequestInit) => Promise<Response>): Browser;
