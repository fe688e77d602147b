/** What a deactivation costs until its answer, and what is left for afterwards. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Env } from '../../src/env';
import { type Answer, type Ask, type Idp, newIdp } from '../support/client';
import { coordinatorOf, flagOf, rebind, settled } from '../support/coordinator';
import { Meter } from '../support/meter';

const worker = new Meter();
const coordinator = new Meter();
const counted = { calls: 0, kvWrites: 0, kvReads: 0 };
let atAnswer: object = {};
const cost = () => ({ worker: worker.roundTrips, coordinator: coordinator.roundTrips, ...counted });

const kv = {
  put: (key: string, value: string, options?: KVNamespacePutOptions) => {
    counted.kvWrites++;
    return env.REVOCATIONS.put(key, value, options);
  },
  get: (key: string) => {
    counted.kvReads++;
    return env.REVOCATIONS.get(key);
  },
} as unknown as KVNamespace;

const metered: Ask = {
  env: {
    DB: worker.binding,
    ORG_COORDINATOR: {
      getByName: (orgId: string) => ({
        publish: (...parameters: Parameters<ReturnType<typeof coordinatorOf>['publish']>) => {
          counted.calls++;
          return coordinatorOf(orgId).publish(...parameters);
        },
      }),
    } as unknown as Env['ORG_COORDINATOR'],
  },
  onAnswer: () => {
    atAnswer = cost();
  },
};

beforeEach(() => {
  worker.reset();
  coordinator.reset();
  Object.assign(counted, { calls: 0, kvWrites: 0, kvReads: 0 });
});

const off = [{ op: 'replace', path: 'active', value: false }];

describe('until its answer', () => {
  it.each<[name: string, trips: number, act: (idp: Idp, id: string) => Promise<Answer>]>([
    ['PATCH', 2, (idp, id) => idp.patch(`/Users/${id}`, off, metered)],
    ['PUT', 2, (idp, id) => idp.put(`/Users/${id}`, { userName: 'ada@x.example', active: false }, metered)],
    ['DELETE', 1, (idp, id) => idp.delete(`/Users/${id}`, metered)],
  ])(
    'a deactivation by %s takes %i D1 round trips, one call to the coordinator and one KV write',
    async (name, trips, act) => {
      const idp = await newIdp(`cost-${name.toLowerCase()}`);
      const { id } = await idp.user('ada@x.example');
      await settled(idp.orgId);
      await rebind(idp.orgId, { DB: coordinator.binding, REVOCATIONS: kv });
      expect((await act(idp, id)).status).toBeLessThan(300);
      expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
      expect(atAnswer).toEqual({ worker: trips, coordinator: 0, calls: 1, kvWrites: 1, kvReads: 0 });
      await settled(idp.orgId);
      expect(cost()).toMatchObject({ coordinator: 1, kvWrites: 1, kvReads: 0 });
    },
  );
});
