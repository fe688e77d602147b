/** A transmitter of signals on loopback: one key, a stream of each kind, a queue that is polled, requests of Universal Logout. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { freePort } from '../scripts/start/service.mjs';

const EVENT = 'https://schemas.openid.net/secevent/risc/event-type/account-purged';

/**
 * @param pageOf which of the queue's entries an answer has, at most so many; absent: the oldest.
 * @param isLost whether the answer of this poll is lost on its way, once its acknowledgements are taken; absent: none is.
 */
export async function newTransmitter({
  pageOf = (queue, most) => queue.entries().take(most),
  isLost = () => false,
} = {}) {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES256', use: 'sig' };
  const at = await freePort();
  const issuer = `http://127.0.0.1:${at}`;
  const [queue, acked, sent] = [new Map(), new Set(), new Map()];
  const answers = {
    'GET /.well-known/ssf-configuration': () => ({
      ...{ issuer, jwks_uri: `${issuer}/jwks` },
      ...{ configuration_endpoint: `${issuer}/streams`, verification_endpoint: `${issuer}/verify` },
    }),
    'GET /jwks': () => ({ keys: [jwk] }),
    'POST /streams': ({ delivery: { method } }) => ({
      ...{ stream_id: randomUUID(), iss: issuer, aud: `bench ${method}` },
      delivery: { method, endpoint_url: `${issuer}/poll` },
    }),
    'POST /verify': () => ({}),
    'POST /poll': ({ ack = [], setErrs = {}, maxEvents }) => {
      if (Object.keys(setErrs).length > 0) throw new Error(JSON.stringify(setErrs));
      for (const jti of ack) if (queue.delete(jti)) acked.add(jti);
      const page = [...pageOf(queue, maxEvents)];
      for (const [jti] of page) sent.set(jti, (sent.get(jti) ?? 0) + 1);
      return { sets: Object.fromEntries(page), moreAvailable: queue.size > page.length };
    },
  };
  let server;
  const start = () =>
    new Promise((resolve) => {
      server = createServer(async (request, response) => {
        const chunks = await Array.fromAsync(request).catch(() => undefined);
        if (chunks === undefined) return; // the sender is gone
        const name = `${request.method} ${request.url}`;
        const answer = answers[name];
        const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : {};
        const text = JSON.stringify(answer?.(body) ?? {});
        if (name === 'POST /poll' && isLost()) return request.socket.destroy();
        response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
        response.end(text);
      }).listen(at, '127.0.0.1', resolve);
    });
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  const signed = (typ, audience, claims, jti) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'bench', typ })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setJti(jti)
      .sign(privateKey);
  await start();
  return {
    ...{ issuer, jwksUrl: `${issuer}/jwks`, queue, acked, start, stop },
    repeated: () => [...sent.values()].filter((times) => times > 1).length,
    /** About the user with this id: a security event token. */
    set: ({ audience }, id, jti = randomUUID()) =>
      signed('secevent+jwt', audience, { events: { [EVENT]: {} }, sub_id: { format: 'opaque', id } }, jti),
    /** A token of Universal Logout, good for 20 minutes. */
    logout: ({ endpoint }) =>
      signed('global-token-revocation+jwt', endpoint, { exp: Math.floor(Date.now() / 1_000) + 1_200 }, randomUUID()),
  };
}
