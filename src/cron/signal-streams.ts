/** What streams of signals are still to be told of themselves: verifications, and changes of their status. */
import { type Env, settings } from '../env';
import { streamsWithControl } from '../store/operations/signal-streams';
import { pushControl } from '../transmitter/deliveries';

const STREAMS_PER_SWEEP = 50;
/** An invocation waits for six answers at most. */
const AT_ONCE = 4;

/** @throws AggregateError. */
export async function pushControlEvents(env: Env, now = Date.now()): Promise<void> {
  const { encryptionKeys, allowsLoopbackWebhooks } = settings(env);
  if (encryptionKeys === undefined) return;
  const keys = 'keys' in encryptionKeys ? encryptionKeys.keys : [];
  const queue = (await streamsWithControl(env, now, STREAMS_PER_SWEEP)).values();
  const failed: unknown[] = [];
  const work = async () => {
    for (const id of queue) {
      try {
        await pushControl(env, { keys, allowsLoopback: allowsLoopbackWebhooks }, id);
      } catch (error) {
        failed.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (failed.length > 0) throw new AggregateError(failed, 'streams of signals were not told of themselves');
}
