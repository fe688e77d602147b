/** What the runtime says, as it is shown to the person who started it. */

/** A name without an address. Whoever called it is told by an exception, so the runtime's own line only repeats it. */
const UNRESOLVED = /failed to lookup address information/;
/** The runtime's own addresses and references, behind the sentence. */
const INTERNALS = /(?:(?:^|\n)stack: \S*workerd|; sentryErrorContext = |; wdErrId = ).*$/s;

/** @returns the line, with its end; '' when there is nothing that the person does not see elsewhere. */
export function shownLog({ level, message }) {
  if (level !== 'warn' && level !== 'error') return '';
  if (UNRESOLVED.test(message)) return '';
  const text = message.replace(INTERNALS, '');
  return text === '' ? '' : `${text}\n`;
}
