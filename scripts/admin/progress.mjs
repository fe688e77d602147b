/** How far a long command is, on standard error while a person looks at it. */
import process from 'node:process';

const WIDTH = 24;
/** Milliseconds between two pictures. */
const PACE = 100;

/**
 * `show(done, text)` draws a bar of so much of the whole; `clear()` takes it away. Nothing where nobody looks.
 *
 * @param whole what is all of it, in whatever `done` is counted.
 */
export function progressBar(whole, stream = process.stderr) {
  if (!stream.isTTY) return { show() {}, clear() {} };
  let drawnAt = 0;
  return {
    show(done, text) {
      const now = performance.now();
      if (now - drawnAt < PACE) return;
      drawnAt = now;
      const share = whole === 0 ? 1 : Math.min(1, done / whole);
      const bar = '█'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '░');
      const line = `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${text}`;
      stream.write(`\r\u001b[2K${line.slice(0, (stream.columns ?? 80) - 1)}`);
    },
    clear: () => void stream.write('\r\u001b[2K'),
  };
}
