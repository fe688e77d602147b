// What the vendor's applications install: the tarball, offline, in a project that has nothing else: one of Node, one a Worker.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { IDP_NAMES } from '../../src/testing/simulate/index';
import { deviations, type SentRequest } from '../support/recordings';
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
  'testing',
  'webhooks',
];
/** `testing` starts the Workers runtime, which a Worker cannot. */
const PATHS_OF_WORKERS = PATHS.filter((path) => path !== 'testing');
const importsOf = (paths: string[]) =>
  paths.map((path, i) => `import * as it${i} from 'scim-worker/${path}';`).join('\n');
const allOf = (paths: string[]) => `[${paths.map((_, i) => `it${i}`).join(', ')}]`;

it('the package has built files alone, no dependency and every path that the README names', async () => {
  const { files, manifest } = tarball;
  const ofWorker = ['worker/LICENSES.md', 'worker/index.js', 'worker/worker.json'];
  expect(files.filter((file) => file.startsWith('worker/')).sort()).toEqual(ofWorker);
  const built = /(?:\.js|\.d\.ts|^package\.json|^README\.md|^LICENSE)$/;
  expect(files.filter((file) => !built.test(file) && !ofWorker.includes(file))).toEqual([]);
  expect(files).toContain('LICENSE');
  expect(Object.keys(manifest)).not.toEqual(expect.arrayContaining(['dependencies']));
  expect(manifest).not.toHaveProperty('optionalDependencies');
  expect(Object.keys(manifest.exports)).toEqual(PATHS.map((path) => `./${path}`));
});

it('publint and are-the-types-wrong find nothing', async () => {
  expect(await tarball.lint()).toEqual({ publint: 0, attw: 0 });
});

it('a fresh Node project installs it offline, imports each path and checks its types', async () => {
  const project: Project = await tarball.install();
  const loaded = `console.log(${allOf(PATHS)}.map((it) => Object.keys(it).length > 0).join());`;
  const run = await project.node(`${importsOf(PATHS)}\n${loaded}`);
  expect(run).toEqual({ stdout: `${PATHS.map(() => 'true').join()}\n`, stderr: '' });
  const types = await project.typeCheck(`
    import { httpSource, type Session, sessionChecker } from 'scim-worker/sessions';
    import { sessionGuard as express } from 'scim-worker/sessions/express';
    import { sessionGuard as fastify } from 'scim-worker/sessions/fastify';
    import { type IdpName, type Scim, type Seed, startScim } from 'scim-worker/testing';
    import { verifyWebhook, type WebhookMessage } from 'scim-worker/webhooks';
    const seed: Seed = { orgs: { acme: { users: [{ userName: 'ada', name: { givenName: 'Ada' } }] } } };
    export const scim: Promise<Scim> = startScim({ seed });
    export const end = async (idp: IdpName) => (await (await scim).simulate({ idp, org: 'acme', users: 2 })).users[0]?.active;
    // @ts-expect-error there is no such identity provider
    void end('octa');
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
  const answer = await project.worker(`${importsOf(PATHS_OF_WORKERS)}
    export default {
      async fetch(request) {
        const loaded = ${allOf(PATHS_OF_WORKERS)}.every((it) => Object.keys(it).length > 0);
        const { verifyWebhook } = it${PATHS_OF_WORKERS.indexOf('webhooks')};
        const code = await verifyWebhook({ secret: 'whsec_AAAA', headers: request.headers, body: '{}' }).catch((error) => error.code);
        return Response.json({ loaded, code });
      },
    };`);
  expect(answer).toEqual({ loaded: true, code: 'headers' });
});

it('startScim says which package is missing', async () => {
  const project: Project = await tarball.install();
  const { stdout } = await project.node(`
    import { startScim } from 'scim-worker/testing';
    await startScim().catch(({ message }) => console.log(message));
  `);
  expect(stdout.trim()).toBe(
    'scim-worker/testing: startScim needs the package miniflare. Install it: npm install --save-dev miniflare',
  );
});

/** What runs in the fresh project: an application's own test, and each identity provider in an org of its own. */
interface Ran {
  readonly before: string;
  readonly after: string;
  readonly told: { readonly webhook: string; readonly stream: boolean };
  readonly wrongSeed: string;
  readonly secondAcme: string;
  readonly noOrg: string;
  readonly reopened: { readonly isSame: boolean; readonly users: string[] };
  readonly sent: Readonly<Record<string, readonly SentRequest[]>>;
  readonly ended: Readonly<Record<string, { readonly expected: string[]; readonly listed: string[] }>>;
}

it('a fresh Node project tests its sign-out against the service in memory, with every identity provider', async () => {
  const project: Project = await tarball.install({ link: ['miniflare'] });
  await project.write('seed.json', JSON.stringify(SEED));
  const { stdout, stderr } = await project.file(new URL('../support/packed-testing.mjs', import.meta.url));
  expect(stderr).toBe('');
  const ran = JSON.parse(stdout) as Ran;
  expect(ran.before).toBe('good');
  expect(ran.after).toBe('inactive');
  expect(ran.told).toEqual({ webhook: 'user.deactivated', stream: true });
  expect(ran.wrongSeed).toMatch(
    /^The seed is wrong:\n {2}orgs\.wrong\.settings: .* answered 400: .*There is no setting colour/,
  );
  expect(ran.secondAcme).toMatch(/orgs\.acme: .* answered 409: .*exists already/);
  expect(ran.noOrg).toBe('simulate: there is no org nobody; there are acme');
  expect(ran.reopened).toEqual({ isSame: true, users: ['ada@example.com', 'grace@example.com'] });
  expect(Object.keys(ran.sent)).toEqual(IDP_NAMES);
  for (const idp of IDP_NAMES) {
    expect.soft(ran.ended[idp]!.listed, idp).toEqual(ran.ended[idp]!.expected);
    // What it sends is what the recorded conversations say.
    expect.soft(await deviations(idp, ran.sent[idp]!), idp).toEqual([]);
  }
});

const SEED = {
  orgs: {
    acme: {
      name: 'Acme',
      settings: { rateLimit: 500, signOutGroups: 'Admins' },
      users: [
        { userName: 'ada@example.com', name: { givenName: 'Ada', familyName: 'Lovelace' } },
        { userName: 'grace@example.com', active: false },
      ],
      groups: [{ displayName: 'Admins', members: ['Ada@example.com'], permissions: ['billing:write'] }],
    },
  },
};
