// What the stream's client owes a host, played against the whole Worker behind a real port.
import { afterAll, beforeAll, describe, it } from 'vitest';
import { hostToken, type Server, startServer } from '../support/server.ts';
import { type Stage, scenarios } from '../support/stream-scenarios.ts';
import { startWire, type Wire } from '../support/web-socket.mjs';

let server: Server;
let wire: Wire;
let stage: Stage;
beforeAll(async () => {
  server = await startServer();
  wire = await startWire(server.url);
  stage = {
    wire,
    token: hostToken,
    async newOrg(slug) {
      const { id, token, baseUrl } = await server.newOrg(slug);
      const scim = async (method: string, path: string, body: object) => {
        const answer = await fetch(`${baseUrl}${path}`, {
          ...{ method, body: JSON.stringify(body) },
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' },
        });
        if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
        return (await answer.json()) as { id: string };
      };
      return {
        ...{ id, slug },
        newUser: async () => (await scim('POST', '/Users', { userName: crypto.randomUUID() })).id,
        setActive: async (user, active) => {
          const Operations = [{ op: 'replace', path: 'active', value: active }];
          const schemas = ['urn:ietf:params:scim:api:messages:2.0:PatchOp'];
          await scim('PATCH', `/Users/${user}`, { schemas, Operations });
        },
        signOutAll: () => server.signOutOrg(slug),
        delete: () => server.deleteOrg(slug),
      };
    },
  };
}, 60_000);
afterAll(async () => {
  await wire?.stop();
  await server?.stop();
}, 30_000);

describe('with the service itself', () => {
  scenarios.forEach(({ promise, play }, i) => {
    it(promise, () => play(stage, `streamed-${i}`));
  });
});
