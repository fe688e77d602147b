/**
 * Receivers of signals on loopback, by push and by poll, that die before and after they have said that a token has arrived.
 * What a receiver has stored outlives it.
 */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalJWKSet, jwtVerify } from 'jose';

const [PUSH, POLL] = ['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936'];
/** Seconds of a receiver's absence. */
const AWAY = 1;

/** What arrived, in its order, with what came again. */
class Arrivals {
  /** `{ place, uri }` of each token that came for the first time. */
  first = [];
  repeats = 0;
  #seen = new Set();

  constructor(stream, keys) {
    this.stream = stream;
    this.keys = keys;
  }

  /** @throws when it is not a token of this stream that the service has signed. */
  async store(set) {
    const { iss, aud, stream_id: id } = this.stream;
    const { payload } = await jwtVerify(set, this.keys, { issuer: iss, audience: aud, typ: 'secevent+jwt' });
    const [stream, , place] = payload.jti.split('.');
    if (place === undefined) return payload.jti; // of the stream itself: its verification
    if (stream !== id) throw new Error(`a token of the stream ${stream} came`);
    if (this.#seen.has(payload.jti)) this.repeats++;
    else this.first.push({ place: Number(place), uri: Object.keys(payload.events)[0] });
    this.#seen.add(payload.jti);
    return payload.jti;
  }
}

/**
 * A client of the service's SSF API.
 *
 * @param client `{ clientId, clientSecret }`. @param chance says of a share whether it happens now.
 */
export async function newReceivers(url, { clientId, clientSecret }, chance) {
  let token = '';
  const api = async (method, path, body, signal) => {
    for (;;) {
      const answer = await fetch(`${url}/ssf${path}`, {
        ...{ method, signal: signal ?? null },
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      });
      if (answer.ok) return answer.json();
      const text = await answer.text();
      if (answer.status !== 401) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
      await authorize();
    }
  };
  const authorize = async () => {
    const answer = await fetch(`${url}/ssf/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    if (!answer.ok) throw new Error(`a token was answered ${answer.status}`);
    token = (await answer.json()).access_token;
  };
  const keys = createLocalJWKSet(await (await fetch(`${url}/ssf/jwks.json`)).json());
  const deaths = { beforeAck: 0, afterAck: 0 };
  let isOver = false;

  /** Is pushed to. Now and then it dies before it has stored a token, or after that and before its answer. */
  async function pushed() {
    let arrivals;
    let isAway = false;
    const server = createServer(async (request, response) => {
      const set = Buffer.concat(await Array.fromAsync(request)).toString();
      if (isAway) return request.socket.destroy();
      const death = chance(0.01) ? 'beforeAck' : chance(0.01) ? 'afterAck' : undefined;
      if (death !== 'beforeAck') await arrivals.store(set);
      if (death === undefined) return response.writeHead(202).end();
      deaths[death]++;
      isAway = true;
      request.socket.destroy();
      await sleep(AWAY * 1_000);
      isAway = false;
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const delivery = { method: PUSH, endpoint_url: `http://127.0.0.1:${server.address().port}/` };
    arrivals = new Arrivals(await api('POST', '/streams', { delivery }), keys);
    return arrivals;
  }

  /** Polls. Now and then it dies before it acknowledges what it has stored, or after that and before the answer. */
  async function polled() {
    const arrivals = new Arrivals(await api('POST', '/streams', { delivery: { method: POLL } }), keys);
    const run = async () => {
      let ack = [];
      while (!isOver) {
        const body = { ack, maxEvents: 1 + Math.floor(Math.random() * 30), returnImmediately: true };
        ack = [];
        const isDying = body.ack.length > 0 && chance(0.03);
        // The service has the acknowledgements, or not: who has died does not know.
        const signal = isDying ? AbortSignal.timeout(Math.round(Math.random() * 30)) : undefined;
        const answer = await api('POST', `/poll/${arrivals.stream.stream_id}`, body, signal).catch(() => undefined);
        if (isDying && answer === undefined) deaths.afterAck++;
        const sets = Object.values(answer?.sets ?? {});
        for (const set of sets) ack.push(await arrivals.store(set));
        if (sets.length > 0 && chance(0.03)) {
          deaths.beforeAck++;
          ack = [];
        }
        if (sets.length === 0) await sleep(300);
      }
    };
    const ended = run();
    return { arrivals, ended };
  }

  return {
    deaths,
    start: async () => {
      await authorize();
      const byPush = await pushed();
      const { arrivals: byPoll, ended } = await polled();
      const end = () => {
        isOver = true;
        return ended;
      };
      return { byPush, byPoll, end };
    },
  };
}
