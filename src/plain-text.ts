/** Names and reasons that people read in lists, logs and journals: no control characters, no half of a surrogate pair. */
export const PLAIN_TEXT = /^[^\p{Cc}\p{Cs}]*$/u;
export const PLAIN_TEXT_EXPECTED = 'text without control characters was expected';
