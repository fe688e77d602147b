/** The application of `npm run bench:webhooks`, on a thread of its own: tells when the first message about each user arrives. */
import { createServer } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const server = createServer(async (request, response) => {
  const at = performance.timeOrigin + performance.now();
  const chunks = await Array.fromAsync(request);
  response.writeHead(204).end();
  const { data } = JSON.parse(Buffer.concat(chunks));
  if (data.user) parentPort.postMessage({ id: data.user.id, at });
});
server.listen(workerData.port, '127.0.0.1', () => parentPort.postMessage({ isReady: true }));
