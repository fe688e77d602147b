// The simulation against a stub, which can be wrong: what it notices, and what it tells. Against the service: tarball.test.ts.
import { expect, it } from 'vitest';
import { checkedSeed, readSeed, SeedError } from '../../src/testing/seed';
import { SimulationError, type SimulationOptions, simulate } from '../../src/testing/simulate/index';
import { startService } from '../../src/testing/start';
import { deviations } from '../support/recordings';
import { type Fault, type StubScim, stubScim } from '../support/stub-scim';

const play = ({ fetch }: StubScim, more: Partial<SimulationOptions> = {}) =>
  simulate({ idp: 'okta', scimUrl: 'https://scim.test/scim/v2/', token: 'secret-token', users: 4, fetch, ...more });

async function failureOf(fault: Fault, more: Partial<SimulationOptions> = {}): Promise<SimulationError> {
  const error = await play(stubScim(fault), more).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(SimulationError);
  return error;
}

it('a server that works plays all phases, and holds what the report expects', async () => {
  const server = stubScim();
  const report = await play(server);
  expect(report.phases.map(({ phase, users }) => [phase, users])).toEqual([
    ['probe', 0],
    ['assign', 4],
    ['push-groups', 0],
    ['change', 2],
    ['change-groups', 0],
    ['deactivate', 1],
    ['reactivate', 1],
    ['remove', 1],
  ]);
  expect(report.users.map(({ id, userName, active, displayName }) => ({ id, userName, active, displayName }))).toEqual(
    report.users.map(({ id }) => {
      const { userName, active, displayName } = server.users.get(id!)!;
      return { id, userName, active, displayName };
    }),
  );
  expect(report.users.filter(({ active }) => !active)).toHaveLength(1); // Okta deletes nobody
  expect(report.requests).toBe(server.requests.length);
});

it('the same seed sends the same requests, and another seed other people', async () => {
  const sent = async (seed: number) => {
    const server = stubScim();
    await play(server, { seed, concurrency: 1 });
    return server.requests;
  };
  expect(await sent(7)).toEqual(await sent(7));
  const names = (requests: StubScim['requests']) =>
    requests.flatMap(({ method, body }) => (method === 'POST' ? [(body as { userName: string }).userName] : []));
  expect(new Set([...names(await sent(7)), ...names(await sent(8))]).size).toBe(8);
});

it('phases of a later run continue with the people of an earlier one', async () => {
  const server = stubScim();
  await play(server, { phases: ['assign', 'change'] });
  const { users } = await play(server, { phases: ['deactivate'], share: 1 });
  expect(users.map(({ displayName }) => displayName).sort()).toEqual(
    [...server.users.values()].map(({ displayName }) => String(displayName)).sort(),
  );
  expect([...server.users.values()].map(({ active }) => active)).toEqual([false, false, false, false]);
});

it('people that a test names are found and deactivated', async () => {
  const server = stubScim();
  server.users.set('a', { id: 'a', userName: 'Ada@example.com', active: true, name: { familyName: 'Byron' } });
  const report = await play(server, { users: [{ userName: 'ada@example.com' }], phases: ['deactivate'] });
  expect(server.users.get('a')?.active).toBe(false);
  expect(report.users).toMatchObject([{ id: 'a', active: false, familyName: 'Byron' }]);
});

it('a server that ignores the deactivation is noticed, with the request and the answer', async () => {
  const error = await failureOf({ ignoresActive: true });
  expect(error.reason).toBe('expected active to be false, got true');
  expect(error.request).toMatchObject({
    method: 'PATCH',
    url: expect.stringMatching(/^https:\/\/scim\.test\/scim\/v2\/Users\/id-\d$/),
    body: { Operations: [{ op: 'replace', value: { active: false } }] },
  });
  expect(error.answer).toMatchObject({ status: 200, text: expect.stringContaining('"active":true') });
  expect(error.message).toMatch(/^Okta, deactivate: expected active to be false.*PATCH https:.*Answer: 200/s);
  expect(error.message + JSON.stringify(error)).not.toContain('secret-token');
});

it('a server that only says it has deactivated is noticed when the person is read back', async () => {
  const error = await failureOf({ liesAboutActive: true });
  expect(error.request?.method).toBe('GET');
  expect(error.reason).toContain('expected active to be false, got true');
  await expect(play(stubScim({ liesAboutActive: true }), { verify: false })).resolves.toBeDefined();
});

it.each<[string, Fault, string]>([
  ['ignores the filter of a look-up', { ignoresFilter: true }, 'filter'],
  ['writes the numbers of a list as texts', { quotesNumbers: true }, 'to be an integer'],
  ['answers HTML', { answersHtml: true }, 'expected application/scim+json, got text/html'],
  ['answers 201 without a body', { createsSilently: true }, 'a JSON object'],
  ['changes another person along with one', { touchesOthers: true }, 'expected active to be'],
])('a server that %s is noticed', async (_, fault, reason) => {
  expect((await failureOf(fault)).message).toContain(reason);
});

it('a request that is put off is sent again, and the report counts it', async () => {
  const report = await play(stubScim({ putsOff: 3 }));
  expect(report.putOff).toBe(3);
});

it('a server that is not there is told with the request', async () => {
  const error = await play({ ...stubScim(), fetch: () => Promise.reject(new Error('no route to host')) }).catch(
    (e) => e,
  );
  expect(error).toBeInstanceOf(SimulationError);
  expect(error.message).toContain('there was no answer: no route to host');
});

it('a later phase without its people says which phase is missing', async () => {
  const error = await failureOf({}, { phases: ['deactivate'] });
  expect(error.message).toMatch(/is not in the application. Play the phase assign first$/);
});

it('a signal ends a simulation with its reason', async () => {
  const server = stubScim();
  const controller = new AbortController();
  const onPhase = () => controller.abort(new Error('enough'));
  const fetch: StubScim['fetch'] = async (input, init) => {
    init?.signal?.throwIfAborted();
    return server.fetch(input, init);
  };
  await expect(play({ ...server, fetch }, { onPhase, signal: controller.signal })).rejects.toThrow('enough');
});

it('a request in the dialect of another provider is not what was recorded', async () => {
  const patch = (op: string, value: unknown) => ({
    method: 'PATCH',
    path: '/Users/1',
    headers: {},
    body: { schemas: [], Operations: [{ op, path: 'active', value }] },
  });
  const forms = async (idp: string, op: string, value: unknown) =>
    (await deviations(idp, [patch(op, value)])).filter((form) => form.startsWith('operation'));
  expect(await forms('entra', 'Replace', 'False')).toEqual([]);
  expect(await forms('entra', 'Replace', false)).toEqual(['operation on /Users: Replace active boolean']);
  expect(await forms('jumpcloud', 'replace', 'False')).toEqual(['operation on /Users: replace active string']);
});

it.each<[Record<string, unknown>, string]>([
  [{ idp: 'octa' }, 'idp must be one of okta'],
  [{ idp: 'toString' }, 'idp must be one of okta'],
  [{ scimUrl: '/scim' }, 'scimUrl must be'],
  [{ token: '' }, 'token must be'],
  [{ users: -1 }, 'users must be'],
  [{ users: {} }, 'users must be'],
  [{ phases: ['asign'] }, 'phases must be some of probe'],
  [{ share: 2 }, 'share must be'],
  [{ seed: 0.5 }, 'seed must be'],
  [{ concurrency: 0 }, 'concurrency must be'],
  [{ users: [{ name: 'ada' }] }, 'each of users must have a userName'],
  [{ users: 1, groups: [{}] }, 'each of groups must have a displayName'],
  [{ phase: ['deactivate'] }, 'there is no option phase. Options are idp, scimUrl'],
  [{ groups: [{ displayName: 'Team', members: ['nobody'] }] }, 'a group has the member "nobody"'],
])('wrong options are refused before a request is sent: %j', async (options, message) => {
  const server = stubScim();
  await expect(play(server, options as never)).rejects.toThrow(message);
  expect(server.requests).toEqual([]);
});

it('a wrong seed is refused with every fault and its place', () => {
  const seed = {
    orgs: {
      'Not-A-Slug': {},
      acme: {
        nmae: 'Acme',
        settings: { rateLimit: [500] },
        users: [{ userName: 'ada' }, { userName: 'ADA' }, { active: 'yes', userName: 'bob' }, 'carol', {}],
        groups: [
          { displayName: '', members: ['ada', 'dave'] },
          { displayName: 'B', member: [] },
        ],
        webhooks: [{ types: 'user.*' }],
      },
    },
  };
  const error = caught(() => checkedSeed(seed, 'The seed file seed.json'));
  expect(error.message.split('\n')).toEqual([
    'The seed file seed.json is wrong:',
    '  orgs.Not-A-Slug: a slug of small letters, digits and single hyphens was expected',
    '  orgs.acme: "nmae" is unknown; there are name, settings, tokenExpires, users, groups, webhooks',
    '  orgs.acme.settings.rateLimit: a text, a number or a boolean was expected',
    '  orgs.acme.users[1].userName: "ADA" is there twice',
    '  orgs.acme.users[2].active: true or false was expected',
    '  orgs.acme.users[3]: an object was expected',
    '  orgs.acme.users[4].userName: a text was expected',
    '  orgs.acme.groups[0].displayName: a text was expected',
    '  orgs.acme.groups[0].members[1]: no user of the org has the userName "dave"',
    '  orgs.acme.groups[1]: "member" is unknown; there are displayName, externalId, members, permissions',
    '  orgs.acme.webhooks[0].url: a text was expected',
    '  orgs.acme.webhooks[0].types: a list was expected',
  ]);
});

it.each<[unknown, string]>([
  [null, 'the seed: an object was expected'],
  [[], 'the seed: an object was expected'],
  [{}, 'orgs: it is missing'],
  [{ orgs: [] }, 'orgs: an object was expected'],
  [{ orgs: {}, org: {} }, 'the seed: "org" is unknown; there are orgs'],
])('a seed that is no seed is refused: %j', (seed, fault) => {
  expect(caught(() => checkedSeed(seed, 'The seed')).faults).toEqual([fault]);
});

it('a seed file that is missing or not JSON is told by its path', async () => {
  await expect(readSeed('/nowhere/seed.json')).rejects.toThrow(
    'The seed file /nowhere/seed.json is wrong:\n  it cannot be read',
  );
  await expect(readSeed('README.md')).rejects.toThrow('The seed file README.md is wrong:\n  it is not JSON');
});

function caught(work: () => unknown): SeedError {
  try {
    work();
  } catch (error) {
    if (error instanceof SeedError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

it('startScim refuses an option that does not exist, before anything starts', async () => {
  const options = { sead: 'test/seed.json' } as never;
  await expect(startService(undefined as never, options)).rejects.toThrow('startScim: there is no option sead');
});
