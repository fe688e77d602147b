/** The real Express and Fastify around a guard, on a free port. In JavaScript, so that their types meet no Worker's. */
import express from 'express';
import fastify from 'fastify';

/** @param guard the middleware. @returns the address, and what ends the server. */
export async function startExpress(guard) {
  const app = express();
  app.use(guard);
  app.get('/', (_req, res) => res.json({ verdict: res.locals.sessionVerdict }));
  app.use((error, _req, res, _next) => res.status(500).json({ caught: error.message }));
  const server = await new Promise((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  const { port } = server.address();
  return { url: `http://127.0.0.1:${port}/`, stop: () => new Promise((resolve) => server.close(resolve)) };
}

/** @param guard the hook. */
export async function startFastify(guard) {
  const app = fastify();
  app.addHook('preHandler', guard);
  app.get('/', (request) => ({ verdict: request.sessionVerdict }));
  app.setErrorHandler((error, _request, reply) => reply.code(500).send({ caught: error.message }));
  return { url: await app.listen({ port: 0, host: '127.0.0.1' }), stop: () => app.close() };
}
