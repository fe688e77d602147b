/** One cycle of Entra ID over a filled directory, as its requests are: creates, changes, deactivations, groups. */
import { USER } from './directory.mjs';

const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

export const newUser = (n) => ({
  schemas: [USER],
  userName: `person-${n}@trial.example`,
  externalId: `person-${n}`,
  displayName: `Person ${n}`,
  name: { givenName: 'Person', familyName: `Number ${n}` },
  emails: [{ value: `person-${n}@trial.example`, type: 'work', primary: true }],
  active: true,
});

/** Each has an equal share of the people, and some of the next group's. */
export function groupOf(n, people, count = 500) {
  const size = Math.max(2, Math.ceil((people.length / count) * 1.2));
  const members = Array.from({ length: size }, (_, i) => people[(n * size + i) % people.length]);
  return {
    schemas: [GROUP],
    displayName: `Team ${n}`,
    externalId: `team-${n}`,
    members: [...new Set(members)].map((value) => ({ value })),
  };
}

/**
 * In a random order that the seed decides.
 *
 * @returns requests, each of which may be repeated.
 */
export function cycleOf({ people, teams, seed }) {
  const random = randomOf(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const times = (share, of, make) => Array.from({ length: Math.max(2, Math.round(of * share)) }, (_, n) => make(n));
  const patch = (path, ...Operations) => ({ method: 'PATCH', path, body: { schemas: [PATCH], Operations } });
  // Of a deleted user nothing more is asked.
  const [leaving, staying] = [
    people.slice(0, Math.ceil(people.length / 100)),
    people.slice(Math.ceil(people.length / 100)),
  ];
  const [going, lasting] = [teams.slice(0, Math.ceil(teams.length / 50)), teams.slice(Math.ceil(teams.length / 50))];
  const all = [
    ...times(0.02, people.length, (n) => ({ method: 'POST', path: '/Users', body: newUser(people.length + n) })),
    ...times(0.05, people.length, (n) =>
      patch(
        `/Users/${pick(staying)}`,
        { op: 'Replace', path: 'displayName', value: `Changed ${n}` },
        { op: 'Add', path: 'title', value: `Title ${n}` },
      ),
    ),
    ...times(0.01, people.length, (n) =>
      patch(`/Users/${staying[n]}`, { op: 'Replace', path: 'userName', value: `renamed-${n}@trial.example` }),
    ),
    ...times(0.02, people.length, () =>
      patch(`/Users/${pick(staying)}`, { op: 'Replace', path: 'active', value: 'False' }),
    ),
    ...times(0.01, people.length, () =>
      patch(`/Users/${pick(staying)}`, { op: 'Replace', path: 'active', value: 'True' }),
    ),
    ...leaving.map((id) => ({ method: 'DELETE', path: `/Users/${id}` })),
    ...times(1, lasting.length, () =>
      patch(`/Groups/${pick(lasting)}`, { op: 'Add', path: 'members', value: [{ value: pick(staying) }] }),
    ),
    ...times(1, lasting.length, () =>
      patch(`/Groups/${pick(lasting)}`, { op: 'Remove', path: 'members', value: [{ value: pick(staying) }] }),
    ),
    ...times(0.05, lasting.length, (n) =>
      patch(`/Groups/${pick(lasting)}`, { op: 'Replace', path: 'displayName', value: `Renamed team ${n}` }),
    ),
    ...times(0.02, teams.length, (n) => ({
      ...{ method: 'POST', path: '/Groups' },
      body: {
        schemas: [GROUP],
        displayName: `New team ${n}`,
        externalId: `new-team-${n}`,
        members: [{ value: pick(staying) }],
      },
    })),
    ...going.map((id) => ({ method: 'DELETE', path: `/Groups/${id}` })),
  ];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all;
}

/** Mulberry32: the same numbers in each run. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
