/** Options that several commands have. */

export const by = { value: 'name', about: 'who is recorded in the journal (default: your user name)' };
export const reason = { value: 'text', about: 'why; recorded in the journal' };

/**
 * `--confirm`, with the value of an argument: for what a customer notices, and for what cannot be undone.
 *
 * @param repeats the argument. @param because what happens, as it follows a colon.
 */
export const confirm = (repeats, because) => ({
  value: repeats,
  about: `repeat the ${repeats} to confirm: ${because}`,
  required: true,
  repeats,
  because,
});
