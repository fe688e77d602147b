/** The endpoint of the stream: everything is checked here, in one D1 round trip; the org's coordinator then holds the WebSocket. */
import type { Context } from 'hono';
import { coordinatorOf } from '../../coordinator-stub';
import { ScimError, unavailable } from '../../scim/error';
import type { App } from '../context';
import type { Host } from './host';
import { streamFrom } from './questions';

/**
 * Without an upgrade it is refused for the same reasons, else with 426: a client whose upgrade was refused learns why, for a
 * WebSocket does not say.
 *
 * @throws ScimError 400, 403, 404, 426; 503 when the org has as many streams as it may have, or cannot be reached.
 */
export async function stream(c: Context<App>, host: Host, asked: unknown): Promise<Response> {
  const { orgId, after, current } = await streamFrom(host, asked);
  if (c.req.header('Upgrade')?.toLowerCase() !== 'websocket') {
    throw new ScimError(426, undefined, 'A WebSocket was expected (Upgrade: websocket)', { Upgrade: 'websocket' });
  }
  const beginning = { after: String(after), current: String(current), openedBy: c.var.openedBy ?? '' };
  const { webSocket } = await reached(
    coordinatorOf(c.env, orgId).fetch(`https://coordinator/?${new URLSearchParams(beginning)}`, {
      headers: { Upgrade: 'websocket' },
    }),
  );
  if (webSocket === null) throw unavailable('The org has reached its limit of streams: close one, or try later', 30);
  return new Response(null, { status: 101, webSocket });
}

async function reached(answer: Promise<Response>): Promise<Response> {
  try {
    return await answer;
  } catch (error) {
    console.error(JSON.stringify({ message: 'a stream could not be opened', error: String(error) }));
    throw unavailable('The stream cannot be opened: try again in a moment', 2);
  }
}
