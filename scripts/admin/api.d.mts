type CallAdmin = (path: string) => Promise<unknown>;

export function listAll<T>(callAdmin: CallAdmin, path: string, keyOf: (element: T) => string): Promise<T[]>;
