// OAuth as Entra ID does it, over HTTP against a real Worker: with a secret, and with assertions whose keys the Worker
// fetches from a host that is up, slow, stuck or down. Each ends in what the tokens are for: SCIM.

import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import entra from '../conversations/entra-default.json';
import { play, readConversation } from '../conversations/play.ts';
import { type JwksHost, startJwksHost } from '../support/jwks-host.ts';
import { type Server, startServer, type TestOrg } from '../support/server.ts';

const ISSUER = 'https://login.microsoftonline.com/ce5f061f-abe6-4e40-9615-301f87bcb7f0/v2.0';
const SUBJECT = 'd2f8ee76-c549-45b8-a143-f5b640669704';
const APPLICATION = 'api://b5ba7a93-4452-4522-aeb4-a2b5da870c16';
const TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

interface Made {
  clientId: string;
  clientSecret: string;
  tokenUrl: string;
  scimBaseUrl: string;
}

let server: Server;
let host: JwksHost;
let privateKey: CryptoKey;
beforeAll(async () => {
  const pair = await generateKeyPair('RS256', { extractable: true });
  privateKey = pair.privateKey as CryptoKey;
  host = await startJwksHost([{ ...(await exportJWK(pair.publicKey)), kid: 'key-1', use: 'sig', x5t: 'key-1' }]);
  server = await startServer();
}, 60_000);
afterAll(async () => {
  await server?.stop();
  await host?.stop();
}, 30_000);

const newClient = ({ slug }: TestOrg, body: object) => server.admin<Made>('POST', `/orgs/${slug}/oauth/clients`, body);
/** The client that the administrator makes of what Entra ID shows. */
const federated = (org: TestOrg, jwksUrl: string) =>
  newClient(org, { assertion: { issuer: ISSUER, jwksUrl, subject: SUBJECT, audience: `${APPLICATION}/.default` } });

const assertion = (kid = 'key-1') =>
  new SignJWT({ iss: ISSUER, sub: SUBJECT, aud: APPLICATION, ver: '2.0', tid: 'ce5f061f', oid: SUBJECT })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid })
    .setIssuedAt()
    .setNotBefore('0s')
    .setExpirationTime('65m')
    .sign(privateKey);

/** As Entra ID asks, the surplus members included. */
async function askByAssertion({ clientId, tokenUrl }: Made, text: string) {
  const form = { grant_type: 'client_credentials', client_id: clientId, client_assertion_type: TYPE };
  const answer = await fetch(tokenUrl, {
    method: 'POST',
    body: new URLSearchParams({ ...form, client_assertion: text, scope: 'scim.readwrite', resource: APPLICATION }),
  });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, string> };
}

const provision = (slug: string, baseUrl: string, token: string) =>
  play(readConversation(entra, 'entra-default.json'), {
    baseUrl,
    token,
    checkSession: (userId, issuedAt) => server.checkSession(slug, userId, issuedAt),
  });

describe('Entra ID', { timeout: 180_000 }, () => {
  it.concurrent('finds its way by the metadata, has a token for its client secret, and provisions with it', async () => {
    const org = await server.newOrg('entra-secret');
    const { clientId, clientSecret, scimBaseUrl } = await newClient(org, { name: 'Entra ID' });
    const found = await fetch(`${server.url}/.well-known/oauth-authorization-server`);
    const { token_endpoint: endpoint } = (await found.json()) as { token_endpoint: string };
    const answer = await fetch(endpoint, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'scim' }),
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('Cache-Control')).toBe('no-store');
    const { access_token: token } = (await answer.json()) as { access_token: string };
    await provision(org.slug, scimBaseUrl, token);
  });

  it.concurrent('has a token for its own assertion, without any secret, and provisions with it', async () => {
    const org = await server.newOrg('entra-federation');
    const client = await federated(org, `${host.url}/keys`);
    const first = await askByAssertion(client, await assertion());
    expect(first.status, JSON.stringify(first.body)).toBe(200);
    expect(first.body).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'scim' });
    await provision(org.slug, client.scimBaseUrl, first.body['access_token']!);
    const again = await askByAssertion(client, await assertion());
    expect(again.status).toBe(200);
    expect(host.asked['/keys']).toBe(1);
    const unknown = await askByAssertion(client, await assertion('key-2'));
    expect({ status: unknown.status, error: unknown.body['error'] }).toEqual({ status: 401, error: 'invalid_client' });
    expect(host.asked['/keys']).toBe(1);

    await server.admin('DELETE', `/orgs/${org.slug}/oauth/clients/${client.clientId}?confirm=${client.clientId}`);
    for (const token of [first, again].map(({ body }) => body['access_token'])) {
      const users = await fetch(`${client.scimBaseUrl}/Users`, { headers: { Authorization: `Bearer ${token}` } });
      expect(users.status).toBe(401);
    }
    expect((await askByAssertion(client, await assertion())).status).toBe(401);
  });

  it('is checked with keys that are fetched once, however many assertions arrive at a time', async () => {
    const client = await federated(await server.newOrg('entra-parallel'), `${host.url}/later`);
    const text = await assertion();
    const answers = await Promise.all(Array.from({ length: 20 }, () => askByAssertion(client, text)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(host.asked['/later']).toBe(1);
  });

  // Not one that redirects: the harness follows for the Worker, whatever it asks (test/credentials/assertion.test.ts).
  it.concurrent.each(['slow', 'stuck', 'page', 'endless', 'missing'])(
    'is asked to come back, within seconds and without a token, while the host of its keys is %s',
    async (how) => {
      const org = await server.newOrg(`entra-${how}`);
      const client = await federated(org, `${host.url}/${how}`);
      const keysBefore = host.asked['/keys'];
      const begun = Date.now();
      const { status, headers, body } = await askByAssertion(client, await assertion());
      expect(Date.now() - begun).toBeLessThan(9_000);
      expect({ status, error: body['error'] }).toEqual({ status: 503, error: 'temporarily_unavailable' });
      expect(headers.get('Retry-After')).toBe('5');
      expect(host.asked[`/${how}`]).toBe(1);
      expect(host.asked['/keys']).toBe(keysBefore);
    },
  );

  it('is asked to come back while nobody listens where its keys should be', async () => {
    const gone = await startJwksHost([]);
    await gone.stop();
    const client = await federated(await server.newOrg('entra-gone'), `${gone.url}/keys`);
    expect((await askByAssertion(client, await assertion())).status).toBe(503);
  });
});
