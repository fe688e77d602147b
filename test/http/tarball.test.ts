// What the vendor's applications install: the tarball, offline, in a project that has nothing else: one of Node, one a Worker.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newTarball, type Project, type Tarball } from '../support/tarball.mjs';

let tarball: Tarball;
beforeAll(async () => {
  tarball = await newTarball();
});
afterAll(() => tarball?.remove());

const PATHS = [
  'mirror',
  'sessions',
  'sessions/express',
  'sessions/fastify',
  'sessions/hono',
  'sessions/stream',
  'webhooks',
];
const imports = PATHS.map((path, i) => `import * as it${i} from 'scim-worker/${path}';`).join('\n');
const all = `[${PATHS.map((_, i) => `it${i}`).join(', ')}]`;

it('the package has built files alone, no dependency and every path that the README names', async () => {
  const { files, manifest } = tarball;
  expect(files.filter((file) => !/(?:\.js|\.d\.ts|^package\.json|^README\.md)$/.test(file))).toEqual([]);
  expect(Object.keys(manifest)).not.toEqual(expect.arrayContaining(['dependencies']));
  expect(manifest).not.toHaveProperty('optionalDependencies');
  expect(Object.keys(manifest.exports)).toEqual(PATHS.map((path) => `./${path}`));
});

it('publint and are-the-types-wrong find nothing', async () => {
  expect(await tarball.lint()).toEqual({ publint: 0, attw: 0 });
});

it('a fresh Node project installs it offline, imports each path and checks its types', async () => {
  const project: Project = await tarball.install();
  const run = await project.node(`${imports}\nconsole.log(${all}.map((it) => Object.keys(it).length > 0).join());`);
  expect(run).toEqual({ stdout: `${PATHS.map(() => 'true').join()}\n`, stderr: '' });
  const types = await project.typeCheck(`
    import { httpSource, type Session, sessionChecker } from 'scim-worker/sessions';
    import { sessionGuard as express } from 'scim-worker/sessions/express';
    import { sessionGuard as fastify } from 'scim-worker/sessions/fastify';
    import { verifyWebhook, type WebhookMessage } from 'scim-worker/webhooks';
    interface Req { readonly url: string; readonly session?: Session }
    const strict = httpSource({ url: 'https://scim.example.com', token: 'host-token' });
    const checker = sessionChecker<Req>({ strict, mode: 'strict', onUnavailable: 'deny' });
    export const guards = [express({ checker, sessionOf: (req: Req) => req.session }), fastify({ checker, sessionOf: (req: Req) => req.session })];
    export const read: Promise<WebhookMessage> = verifyWebhook({ secret: 'whsec_AAAA', headers: new Headers(), body: '' });
    // @ts-expect-error a secret has to be given
    void verifyWebhook({ headers: {}, body: '' });
  `);
  expect(types).toEqual({ stdout: '', stderr: '' });
});

it('a fresh Worker project installs it offline, is bundled by wrangler and runs', async () => {
  const project: Project = await tarball.install();
  const answer = await project.worker(`${imports}
    export default {
      async fetch(request) {
        const loaded = ${all}.every((it) => Object.keys(it).length > 0);
        const { verifyWebhook } = it${PATHS.indexOf('webhooks')};
        const code = await verifyWebhook({ secret: 'whsec_AAAA', headers: request.headers, body: '{}' }).catch((error) => error.code);
        return Response.json({ loaded, code });
      },
    };`);
  expect(answer).toEqual({ loaded: true, code: 'headers' });
});
