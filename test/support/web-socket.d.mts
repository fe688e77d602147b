export interface PlainRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string | undefined>;
}

export interface PlainAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
}

/** One connection, as the server sees it. */
export interface ServerSocket {
  /** What the client has sent, as text. */
  readonly received: string[];
  /** The code that the client closed with. */
  readonly closedWith: number | undefined;
  readonly isOver: boolean;
  onText: (text: string) => void;
  onEnd: () => void;
  /** A string as it is, anything else as JSON. */
  send(message: unknown): void;
  sendBinary(bytes: number[]): void;
  raw(bytes: Uint8Array): void;
  close(code: number, reason?: string): void;
  /** Without a goodbye. */
  destroy(): void;
}

/** `onRequest` answers what is no upgrade, and refuses an upgrade by answering it. */
export function startWebSocketServer(acts: {
  onRequest(request: PlainRequest, body: string): PlainAnswer | undefined;
  onSocket(socket: ServerSocket, request: PlainRequest): void;
}): Promise<{ readonly url: string; stop(): Promise<void> }>;

/** A wire between a client and a service: what the client connects to. */
export interface Wire {
  readonly url: string;
  /** How many connections there were. */
  readonly connections: number;
  /** New connections are refused. */
  isDown: boolean;
  /** Connections stay, and nothing passes. */
  isSilent: boolean;
  /** The next connection is cut after that many bytes of the service; those after it are not. */
  killNextAfter: number | undefined;
  /** Cuts all connections. */
  kill(): void;
  stop(): Promise<void>;
}

export function startWire(url: string): Promise<Wire>;
