/** Uses CPU in the runtime of the service, and nothing else: no database, no Durable Object, no KV. */

/** Pieces of one request, each in a request to itself: as the parts of a real one, which the local D1, KV and objects do. */
const PIECES = 8;

export default {
  async fetch(request: Request, { ITSELF }: { ITSELF: Fetcher }): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const rounds = Number(searchParams.get('rounds'));
    if (pathname === '/piece') return new Response(burn(rounds));
    for (let piece = 0; piece < PIECES; piece++) {
      await ITSELF.fetch(`http://burner/piece?rounds=${Math.round(rounds / PIECES)}`);
    }
    return new Response();
  },
};

function burn(rounds: number): string {
  let x = 1;
  for (let i = 0; i < rounds; i++) x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
  return String(x);
}
