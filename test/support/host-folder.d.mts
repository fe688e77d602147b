export interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of a host app that has linked the package by its path, and nothing else. */
export interface HostFolder {
  /** Runs a module there, in this very Node. */
  run(script: string): Promise<Said>;
  /** What the compiler has against it, with a host's settings and without our types. */
  typeCheck(source: string): Promise<Said>;
  remove(): Promise<void>;
}

export function newHostFolder(): Promise<HostFolder>;
