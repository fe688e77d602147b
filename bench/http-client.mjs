/** A client that costs little itself: connections that stay open, and answers that are read to their end. */
import { Agent, request } from 'node:http';

/** @param base where the requests go, with the path that begins all of theirs. */
export function clientOf(base, headers) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { hostname, port, pathname } = new URL(base);
  const prefix = pathname === '/' ? '' : pathname;

  /** @returns the status, and the text of the body, once it is there as a whole. */
  function send(method, path, body) {
    return exchange(method, path, body === undefined ? undefined : JSON.stringify(body));
  }

  function exchange(method, path, payload) {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          agent,
          hostname,
          port,
          method,
          path: prefix + path,
          headers: {
            ...headers,
            ...(payload !== undefined && {
              'Content-Type': 'application/scim+json',
              'Content-Length': Buffer.byteLength(payload),
            }),
          },
        },
        (answer) => {
          const chunks = [];
          answer.on('data', (chunk) => chunks.push(chunk));
          answer.once('end', () => resolve({ status: answer.statusCode, text: Buffer.concat(chunks).toString() }));
          answer.once('error', reject);
        },
      );
      sent.once('error', (error) => {
        // A server may close a connection that has waited, just when the next request is sent on it.
        const isClosed = sent.reusedSocket && error.code === 'ECONNRESET';
        if (isClosed) resolve(exchange(method, path, payload));
        else reject(error);
      });
      sent.end(payload);
    });
  }
  return { send, close: () => agent.destroy() };
}
