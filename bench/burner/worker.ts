/** Uses CPU in the runtime of the service, and nothing else: no database, no Durable Object, no KV. */

/** Pieces of one request, with other work of the runtime between them, as between the I/O of a real one. */
const PIECES = 8;

export default {
  async fetch(request: Request): Promise<Response> {
    const rounds = Number(new URL(request.url).searchParams.get('rounds'));
    let x = 1;
    for (let piece = 0; piece < PIECES; piece++) {
      for (let i = 0; i < rounds / PIECES; i++) x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
      await scheduler.wait(0);
    }
    return new Response(String(x));
  },
};
