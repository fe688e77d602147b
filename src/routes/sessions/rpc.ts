/** The questions as RPC answers them: over RPC an error loses its class, so what can be expected comes back as a value. */
import { known, type Refusal, refusalOf } from '../access/guard';

/**
 * What the question itself is to blame for is a value, which says no in the words of the answer as well: a host that
 * looks no further must not let anybody in.
 *
 * @throws Error when the question could not be answered, and may be in a moment.
 */
export async function answered<T, No extends object>(answer: Promise<T>, no: No): Promise<T | (No & Refusal)> {
  try {
    return await answer;
  } catch (error) {
    const refused = known(error);
    if (refused !== undefined && refused.status < 500) return { ...no, ...refusalOf(refused) };
    console.error(JSON.stringify({ message: 'a host’s question could not be answered', error: String(error) }));
    throw new Error(refused?.detail ?? 'The service failed');
  }
}
