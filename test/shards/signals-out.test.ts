/** Receivers of signals and webhooks of all orgs, where orgs are in several databases: `DB` decides, the others have copies. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Databases } from '../../src/store/d1/databases';
import { repairCopies } from '../../src/store/operations/copies';
import { adoptAll } from '../../src/store/operations/shards';
import { admin, host, type Idp } from '../support/client';
import { catchTokens, newPush, newReceiver, POLL, removeReceivers, tokenFor, until, verified } from '../support/ssf';
import { databaseNamed, NAMES, type Name, newIdpIn } from './databases';

catchTokens();
vi.spyOn(console, 'error').mockImplementation(() => undefined);
const bound = env as unknown as Databases;

/** A database that does not answer. */
const dead = (name: Name) => {
  const fail = () => Promise.reject(new Error('D1_ERROR: Network connection lost'));
  return {
    [name]: { prepare: databaseNamed(name).prepare.bind(databaseNamed(name)), batch: fail } as unknown as D1Database,
  };
};

const idps = new Map<Name, Idp>();
beforeAll(async () => {
  for (const name of NAMES) idps.set(name, await newIdpIn(name, `at-${name.toLowerCase().replace('_', '-')}`));
  await adoptAll(bound);
});

const rowsIn = async (name: Name, query: string, ...values: unknown[]) =>
  (
    await databaseNamed(name)
      .prepare(query)
      .bind(...values)
      .all()
  ).results;

describe('a receiver of signals', () => {
  it('of all orgs is pushed what happens in the orgs of every database', async () => {
    const receiver = await newReceiver();
    const { endpoint } = await newPush(receiver);
    for (const [name, idp] of idps) await idp.user(`${name}@example.com`, { externalId: name });
    await until(() =>
      expect(endpoint.got.map(({ claims }) => claims.sub_id['externalId']).sort()).toEqual([...NAMES].sort()),
    );
    const { body } = await admin('GET', `/signals/receivers/${receiver.name}`);
    expect(body.streams).toHaveLength(1);
    await removeReceivers();
  });

  it('of some orgs polls those, acknowledges them, and is told of no other', async () => {
    const [a, b] = [idps.get('DB')!, idps.get('DB_2')!];
    const receiver = await newReceiver([a.slug, b.orgId]);
    expect((await admin('GET', `/signals/receivers/${receiver.name}`)).body.orgs).toEqual([a.slug, b.slug].sort());
    const { body } = await receiver.api('POST', '/streams', { body: { delivery: { method: POLL } } });
    for (const [name, idp] of idps) await idp.user(`polled-${name}@example.com`, { externalId: `polled-${name}` });
    const poll = (more: object = {}) =>
      receiver.api('POST', `/poll/${body.stream_id}`, { body: { returnImmediately: true, ...more } });
    const answer = await poll();
    const told = await Promise.all(
      Object.values(answer.body.sets as Record<string, string>).map((set) => verified(set, receiver.audience)),
    );
    expect(told.map(({ claims }) => claims.sub_id['externalId']).sort()).toEqual(['polled-DB', 'polled-DB_2']);
    expect(Object.keys((await poll()).body.sets)).toEqual(Object.keys(answer.body.sets));
    expect((await poll({ ack: Object.keys(answer.body.sets) })).body.sets).toEqual({});
    for (const { slug } of [a, b]) {
      const { body: events } = await admin('GET', `/orgs/${slug}/events`);
      const types = events.events.map(({ type }: { type: string }) => type);
      expect(types).toEqual(expect.arrayContaining(['signals.receiver_added', 'signals.stream_created']));
    }
    await removeReceivers();
  });

  it('leaves out a user of an org in another database', async () => {
    const idp = idps.get('DB_3')!;
    const receiver = await newReceiver([idp.slug]);
    const { endpoint, id } = await newPush(receiver);
    const user = await idp.user('left-out@example.com', { externalId: 'left-out' });
    await until(() => expect(endpoint.told).toEqual(['prov:create:notice']));
    const subject = { format: 'scim', uri: `/Users/${user.id}` };
    expect((await receiver.api('POST', '/subjects/remove', { body: { stream_id: id, subject } })).status).toBe(204);
    expect(await rowsIn('DB_3', 'SELECT user_id FROM signal_exclusions WHERE stream_id = ?', id)).toEqual([
      { user_id: user.id },
    ]);
    await removeReceivers();
  });

  it('is refused with its token the moment it is switched off, and hidden secrets are in DB alone', async () => {
    const receiver = await newReceiver();
    for (const name of NAMES.slice(1)) {
      expect(await rowsIn(name, 'SELECT hash FROM signal_receivers WHERE name = ?', receiver.name)).toEqual([
        { hash: '' },
      ]);
      for (const table of ['signing_keys', 'signal_receiver_tokens', 'host_tokens'])
        expect(await rowsIn(name, `SELECT * FROM ${table}`)).toEqual([]);
    }
    await admin('POST', `/signals/receivers/${receiver.name}/disable`, { body: {}, env: dead('DB_2') });
    expect((await receiver.api('GET', '/streams')).status).toBe(401);
    expect((await tokenFor(receiver.clientId, receiver.secret)).status).toBe(401);
    await removeReceivers();
  });

  it('that was removed while a database was down is sent nothing from there, and the copy goes with the cron', async () => {
    const idp = idps.get('DB_2')!;
    const receiver = await newReceiver([idp.slug]);
    const { endpoint } = await newPush(receiver);
    await idp.user('before@example.com');
    await until(() => expect(endpoint.told).toHaveLength(1));
    const removed = await admin('DELETE', `/signals/receivers/${receiver.name}`, { env: dead('DB_2') });
    expect(removed.status).toBeLessThan(300);
    const copies = () => rowsIn('DB_2', 'SELECT id FROM signal_receivers WHERE name = ?', receiver.name);
    expect(await copies()).toHaveLength(1);
    const { id } = await idp.user('after@example.com');
    await idp.delete(`/Users/${id}`);
    await repairCopies(bound);
    expect(await copies()).toEqual([]);
    expect(await rowsIn('DB_2', 'SELECT * FROM signal_streams')).toEqual([]);
    expect(endpoint.told).toHaveLength(1);
  });

  it('is copied to a database that was down when it was added, with what happens there from then on', async () => {
    const named = { name: 'late', orgs: [idps.get('DB_2')!.slug] };
    expect((await admin('POST', '/signals/receivers', { body: named, env: dead('DB_1') })).status).toBe(503);
    expect((await admin('GET', '/signals/receivers/late')).status).toBe(404);
    const receiver = await newReceiver();
    const { id } = await newPush(receiver);
    await databaseNamed('DB_1').prepare('DELETE FROM signal_receivers').run();
    await databaseNamed('DB_1').prepare('DELETE FROM signal_streams').run();
    await repairCopies(bound);
    expect(
      await rowsIn('DB_1', 'SELECT stream_id FROM signal_lines WHERE org_id = ?', idps.get('DB_1')!.orgId),
    ).toEqual([{ stream_id: id }]);
    await removeReceivers();
  });
});

describe('the token of an application', () => {
  it('that was removed while a database was down is dead for the orgs there with the next request', async () => {
    const idp = idps.get('DB_2')!;
    await idp.user('asked@example.com');
    const made = await admin('POST', '/hosts', { body: { name: 'crm', scopes: ['resolve'] }, env: dead('DB_2') });
    expect(made.status).toBe(201);
    const ask = (org: string) =>
      host('POST', '/resolve', {
        headers: { Authorization: `Bearer ${made.body.token}` },
        body: { org, userName: 'asked@example.com' },
      });
    expect((await ask(idp.slug)).body.found).toBe(true);
    await admin('DELETE', '/hosts/crm', { env: dead('DB_2') });
    expect((await ask(idp.slug)).status).toBe(401);
  });

  it('opens only its orgs and its questions, wherever they are', async () => {
    const [mine, other] = [idps.get('DB_1')!, idps.get('DB_3')!];
    const made = await admin('POST', '/hosts', { body: { name: 'narrow', orgs: [mine.slug], scopes: ['resolve'] } });
    const headers = { Authorization: `Bearer ${made.body.token}` };
    const resolve = (org: string) => host('POST', '/resolve', { headers, body: { org, userName: 'x' } });
    expect((await resolve(mine.slug)).status).toBe(200);
    expect((await resolve(other.slug)).body).toEqual((await resolve('never-was')).body);
    const check = { org: mine.slug, user: 'x', issuedAt: new Date().toISOString() };
    expect((await host('POST', '/check', { headers, body: check })).status).toBe(403);
  });
});

describe('a webhook of all orgs', () => {
  it('is made equal to DB in a database that did not answer when it was changed', async () => {
    const added = await admin('POST', '/webhooks', { body: { url: 'https://hook.example.com/x' }, env: dead('DB_3') });
    expect(added.status).toBe(201);
    const { id } = added.body;
    const copy = () => rowsIn('DB_3', 'SELECT url, disabled_at IS NULL AS is_on FROM webhooks WHERE id = ?', id);
    expect(await copy()).toEqual([]);
    await repairCopies(bound);
    expect(await copy()).toEqual([{ url: 'https://hook.example.com/x', is_on: 1 }]);
    const lines = () => rowsIn('DB_3', 'SELECT disabled_why FROM webhook_lines WHERE webhook_id = ?', id);
    expect(await lines()).toEqual([{ disabled_why: null }]);
    await admin('POST', `/webhooks/${id}/disable`, { body: {}, env: dead('DB_3') });
    await repairCopies(bound);
    expect(await lines()).toEqual([{ disabled_why: 'operator' }]);
    await admin('DELETE', `/webhooks/${id}`, { env: dead('DB_3') });
    await repairCopies(bound);
    expect(await copy()).toEqual([]);
    expect(await lines()).toEqual([]);
  });
});
