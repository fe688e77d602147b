/** Hands a signal to the coordinator of its org, which carries out what waits together (signals/inbox.ts). */
import type { Context } from 'hono';
import type { SignalAnswer } from '../../coordinator';
import { coordinatorOf } from '../../coordinator-stub';
import { tooManyRequests, unavailable } from '../../scim/error';
import type { Ordered } from '../../signals/carry-out';
import type { NotNow } from '../../signals/receive-events';
import type { App } from '../context';
import { noteSignal, orgIdOf } from './authenticate';

/** Milliseconds: of an answer that takes longer nothing is known. */
const PATIENCE = 30_000;
/** Seconds. */
const COME_AGAIN = 5;

/** @returns answers; where the coordinator fails, that the signal is to come again: it acts once. */
export const carryOut =
  (c: Context<App>) =>
  async (signal: Ordered): Promise<SignalAnswer> => {
    let timer: number | null = null;
    const patience = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE} ms`)), PATIENCE);
    });
    try {
      const answer = await Promise.race([coordinatorOf(c.env, orgIdOf(c)!).receive(signal), patience]);
      if (answer.became === 'busy' && answer.isFull) noteSignal(c, 'rate_limited', signal.source);
      return answer;
    } catch (error) {
      const { requestId } = signal.actor;
      console.error(JSON.stringify({ message: 'a signal was not carried out', requestId, error: String(error) }));
      return { became: 'busy', isFull: false, wait: COME_AGAIN };
    } finally {
      clearTimeout(timer);
    }
  };

/** What its sender is told. */
export const toBeRepeated = ({ isFull, wait }: NotNow) =>
  isFull
    ? tooManyRequests('Too many signals at once: try again later', wait)
    : unavailable('The signal could not be carried out: try again later', wait);
