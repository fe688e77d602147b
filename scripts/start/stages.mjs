/** What is under way during the start: a line for each stage; on a terminal, with the seconds that it takes. */
import { setInterval } from 'node:timers';

const SECOND = 1_000;

/** `show(stage)` ends the stage before and begins this one; `end()` ends the last one. */
export function stagesOn(stream) {
  let stage;
  let began;
  let timer;
  const seconds = () => Math.round((performance.now() - began) / SECOND);
  const draw = () => stream.write(`\r\u001b[2K${stage} … ${seconds()} s`);
  const end = () => {
    clearInterval(timer);
    if (stage !== undefined && stream.isTTY) {
      draw();
      stream.write('\n');
    }
    stage = undefined;
  };
  return {
    show(next) {
      end();
      stage = next;
      began = performance.now();
      if (!stream.isTTY) return void stream.write(`${stage} …\n`);
      draw();
      timer = setInterval(draw, SECOND).unref();
    },
    end,
  };
}
