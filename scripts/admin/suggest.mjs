/** «Did you mean …?»: the known word that a mistyped one is closest to. */

/** @returns a sentence that begins with a blank, or nothing where no word is close. @param prefix is put before the word. */
export function suggest(word, candidates, prefix = '') {
  const typed = word.toLowerCase();
  const whole = typed.length > 1 && candidates.find((candidate) => candidate.toLowerCase().startsWith(typed));
  if (whole) return ` Did you mean ${prefix}${whole}?`;
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: distance(typed, candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(1, word.length / 3) ? ` Did you mean ${prefix}${best.candidate}?` : '';
}

/** Levenshtein's: how many letters to add, drop or change. */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (letter === b[j] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}
