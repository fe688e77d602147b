// `org offboard` as it is typed: a dry run first, then step by step, stopped anywhere and gone on with by the same command.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { commands } from '../../scripts/admin/commands.mjs';
import { AdminError } from '../../scripts/admin/transport.mjs';
import { startServer } from '../support/server.ts';

const { run, show } = commands.find(({ name }) => name === 'org offboard');

let server;
let folder;
const said = [];
const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(text) > 0);
beforeAll(async () => {
  server = await startServer();
  folder = mkdtempSync(join(tmpdir(), 'scim-worker-exit-'));
});
afterAll(async () => {
  stderr.mockRestore();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const callAdmin = (path, { method = 'GET', body } = {}) => server.admin(method, path, body);
/** Stops at the nth call that changes something: before it is made, or when only its answer is lost. */
function stopping(at, isMade) {
  let calls = 0;
  return async (path, request = {}) => {
    const isLast = (request.method ?? 'GET') !== 'GET' && calls++ === at;
    if (isLast && !isMade) throw new AdminError('unreachable', 'stopped');
    const answer = await callAdmin(path, request);
    if (isLast) throw new AdminError('unreachable', 'stopped');
    return answer;
  };
}

async function newOrg(slug, people = 3) {
  const org = await server.newOrg(slug);
  for (let i = 0; i < people; i++) {
    const answer = await fetch(`${org.baseUrl}/Users`, {
      method: 'POST',
      headers: { authorization: `Bearer ${org.token}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({ userName: `user${i}@x`, externalId: `e${i}`, emails: [{ value: `user${i}@x` }] }),
    });
    expect(answer.status).toBe(201);
  }
  await server.admin('POST', `/orgs/${slug}/oauth/clients`, {});
  return org;
}
const states = ({ steps }) => steps.map(({ state }) => state);
const WOULD = ['would', 'would', 'would', 'would', 'not asked'];
const DONE = ['done', 'done', 'done', 'done', 'not asked'];
const WAS_DONE = ['was done', 'was done', 'was done', 'was done', 'not asked'];

describe('org offboard', () => {
  it('without a confirmation tells what it would do, and changes nothing', async () => {
    await newOrg('dry');
    const events = await server.admin('GET', '/orgs/dry/events');
    const file = join(folder, 'dry.ndjson');
    const report = await run(callAdmin, { slug: 'dry', list: file });
    expect([report.dryRun, states(report)]).toEqual([true, WOULD]);
    expect(report.next).toBe(`org offboard dry --confirm dry --list ${file}`);
    expect(report.steps[1].what).toBe('deactivate 3 of 3 users from SCIM');
    expect(await server.admin('GET', '/orgs/dry/events')).toEqual(events);
    const lines = readFileSync(file, 'utf8').trim().split('\n').map(JSON.parse);
    expect(lines.map(({ userName, externalId, email, active }) => [userName, externalId, email, active])).toEqual(
      [0, 1, 2].map((i) => [`user${i}@x`, `e${i}`, `user${i}@x`, true]),
    );
    const text = show(report, { slug: 'dry' });
    expect(text).toMatch(/^This is a dry run: nothing of dry has changed\./);
    expect(text).toContain('Do it: npm run admin -- org offboard dry --confirm dry');
    expect(text).toContain('Run org export first.');
  });

  it.each([
    ['of another slug', { confirm: 'dri' }, '--confirm: dry was expected'],
    ['of another step', { confirm: 'dry', until: 'everything' }, '--until: one of disable, deactivate, sessions'],
    ['to a place that is none', { list: '/nowhere/at/all' }, '/nowhere/at/all could not be written'],
  ])('%s is refused, and changes nothing', async (_, input, message) => {
    await expect(run(callAdmin, { slug: 'dry', ...input })).rejects.toThrow(message);
    expect(states(await run(callAdmin, { slug: 'dry' }))).toEqual(WOULD);
  });

  it('does each step up to the one that is named, keeps what it has listed, and says how to go on', async () => {
    await newOrg('steps');
    const file = join(folder, 'steps.ndjson');
    const input = { slug: 'steps', confirm: 'steps', list: file, by: 'olga' };
    expect(states(await run(callAdmin, { ...input, until: 'disable' }))).toEqual([
      'done',
      ...Array(4).fill('not asked'),
    ]);
    writeFileSync(file, 'mine');
    const report = await run(callAdmin, input);
    expect(states(report)).toEqual(['was done', ...DONE.slice(1)]);
    expect([report.list.state, readFileSync(file, 'utf8')]).toEqual(['was done', 'mine']);
    expect(report.next).toBe('org offboard steps --confirm steps --until delete');
    expect(show(report, input)).toContain('Go on: npm run admin -- org offboard steps --confirm steps --until delete');
    expect(states(await run(callAdmin, input))).toEqual(WAS_DONE);
    // Run dry there is nothing to do but what was not asked for.
    expect(await run(callAdmin, { slug: 'steps' })).toMatchObject({ dryRun: true, next: report.next });
    const events = await server.admin('GET', '/orgs/steps/events?type=user.deactivated');
    expect(events.events.map(({ details }) => details.by)).toEqual(['olga', 'olga', 'olga']);
    const gone = await run(callAdmin, { ...input, until: 'delete' });
    expect([states(gone), gone.next]).toEqual([[...WAS_DONE.slice(0, 4), 'done'], null]);
    await expect(run(callAdmin, { ...input, until: 'delete' })).rejects.toThrow('404');
    expect(said.join('')).toContain('steps: deactivate …\n');
  });

  it('goes on by the same command, wherever it was stopped', async () => {
    const input = (slug) => ({ slug, confirm: slug });
    // disable, deactivate, sign-out, tokens, basic, client
    for (let call = 0; call < 6; call++) {
      const slug = `stopped-${call}`;
      await newOrg(slug, 1);
      await expect(run(stopping(call, call % 2 === 0), input(slug))).rejects.toThrow('stopped');
      const report = await run(callAdmin, input(slug));
      expect(states(report).every((state) => /done|not asked/.test(state))).toBe(true);
      expect(states(await run(callAdmin, input(slug)))).toEqual(WAS_DONE);
      const { events } = await server.admin('GET', `/orgs/${slug}/events`);
      const types = events.map(({ type }) => type);
      for (const once of ['scim.disabled', 'user.deactivated', 'token.revoked', 'client.deleted']) {
        expect(types.filter((type) => type === once)).toEqual([once]);
      }
    }
  });
});
