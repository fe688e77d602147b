/** Refuses an option that does not exist: a typing error would otherwise mean the default. */

/** @param known an object with the names that are options. @throws TypeError. */
export function expectKnown(name: string, options: object, known: object): void {
  const unknown = Object.keys(options).find((option) => !Object.hasOwn(known, option));
  if (unknown === undefined) return;
  throw new TypeError(`${name}: there is no option ${unknown}. Options are ${Object.keys(known).join(', ')}`);
}
