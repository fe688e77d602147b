/** Options that are mistyped must not be passed over: a default would hold, and nobody would notice. */

/** The names of all options of a kind. The compiler asks for each one. */
export type OptionNames<T> = Readonly<Record<keyof T, true>>;

/** @throws TypeError that names the option that there is not, and those that there are. */
export function expectOptions<T extends object>(what: string, options: T, names: OptionNames<T>): void {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${what}: an object of options was expected`);
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(names, name));
  if (unknown === undefined) return;
  throw new TypeError(`${what}: there is no option ${unknown}. Options are ${Object.keys(names).join(', ')}`);
}
