/** The phases of a simulation: whom each one is about, what it changes in the directory, and what it sends. */
import type { Client } from './client.ts';
import { type Directory, type Group, groupNameOf, type Person } from './directory.ts';
import type { Idp, Resource } from './idp.ts';

/** In the order of a life. */
export const PHASES = [
  'probe',
  'assign',
  'push-groups',
  'change',
  'change-groups',
  'deactivate',
  'reactivate',
  'remove',
] as const;
export type Phase = (typeof PHASES)[number];

/** One simulation under way. */
export interface Play {
  readonly idp: Idp;
  readonly client: Client;
  readonly directory: Directory;
  /** Which part of the people a phase is about, instead of its own. */
  readonly share: number | undefined;
  /** Does this for each, several at once. @throws the first error, once all that began have ended. */
  each<T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void>;
}

/** Whom a phase was about: their state is verified after it. */
export interface Touched {
  readonly people: readonly Person[];
  readonly groups: readonly Group[];
}

const SHARES = { change: 1 / 2, deactivate: 1 / 4, reactivate: 1 / 8, remove: 1 / 10 };
const NOBODY = { people: [], groups: [] };

const countOf = (list: readonly unknown[], share: number) => Math.min(list.length, Math.ceil(list.length * share));

/** The same people in each run with the same seed: a run may play one phase, and the next run the next. */
function chosen({ directory: { order }, share }: Play, phase: keyof typeof SHARES): Person[] {
  const count = (of: keyof typeof SHARES) => countOf(order, share ?? SHARES[of]);
  if (phase === 'change') return order.slice(0, count(phase));
  const last = order.slice(order.length - count(phase === 'remove' ? 'remove' : 'deactivate'));
  return phase === 'reactivate' ? last.slice(0, count('reactivate')) : last;
}

export const steps: Record<Phase, (play: Play) => Promise<Touched>> = {
  async probe({ idp, client, directory }) {
    await idp.probe(client, directory.random);
    return NOBODY;
  },

  async assign({ idp, client, directory, each }) {
    await each(directory.people, (person) => assign(idp, client, person));
    await idp.relate?.(client, directory.people);
    return { people: directory.people, groups: [] };
  },

  async 'push-groups'(play) {
    const { idp, client, directory, each } = play;
    if (!idp.groups) return NOBODY;
    await linkPeople(play, directory.people);
    await each(directory.groups, (group) => push(idp, client, group));
    return { people: [], groups: directory.groups };
  },

  async change(play) {
    const people = chosen(play, 'change');
    await linkPeople(play, people);
    await play.each(people, async (person) => {
      person.isChanged = true;
      await play.idp.update(play.client, person);
      person.isSent = true;
    });
    return { people, groups: [] };
  },

  async 'change-groups'(play) {
    const { idp, client, directory, each } = play;
    if (!idp.groups) return NOBODY;
    const groups = directory.groups.slice(0, countOf(directory.groups, 1 / 2));
    await linkPeople(play, directory.people);
    await linkGroups(play, groups);
    await each(groups, async (group) => {
      const { added, removed } = movesOf(group, directory);
      for (const person of removed) group.members.delete(person);
      for (const person of added) group.members.add(person);
      if (added.length + removed.length > 0) await idp.groups!.change(client, group, added, removed);
      group.isRenamed = true;
      await idp.groups!.rename(client, group);
    });
    return { people: [], groups };
  },

  deactivate: (play) => switchActive(play, 'deactivate', false),
  reactivate: (play) => switchActive(play, 'reactivate', true),

  async remove(play) {
    const { idp, client, directory, each } = play;
    const people = chosen(play, 'remove');
    await linkPeople(play, people);
    const groups = idp.groups
      ? directory.groups.slice(directory.groups.length - countOf(directory.groups, 1 / 10))
      : [];
    await linkGroups(play, groups);
    await each(groups, async (group) => {
      await idp.groups!.delete(client, group);
      group.isRemoved = true;
    });
    await each(people, async (person) => {
      person.isActive = false;
      await idp.remove(client, person);
      if (!idp.deletesUsers) return;
      person.isRemoved = true;
      for (const group of directory.groups) group.members.delete(person);
    });
    return { people, groups };
  },
};

async function assign(idp: Idp, client: Client, person: Person): Promise<void> {
  const found = idp.postsFirst ? undefined : await idp.find(client, person);
  const created = found ? undefined : await idp.create(client, person);
  if (created) person.id = created.id;
  else await adopt(idp, client, person, found ?? (await idp.find(client, person)));
  person.isSent = true;
}

/** Links the account that the application has already, and sends the profile to it. */
async function adopt(idp: Idp, client: Client, person: Person, found: Resource | undefined): Promise<void> {
  if (!found) return client.fail(`the application has ${person.userName}, but does not find the account`);
  person.id = found.id;
  person.isActive = true;
  if (found['active'] !== true) await idp.setActive(client, person);
  await idp.update(client, person);
}

async function push(idp: Idp, client: Client, group: Group): Promise<void> {
  const steps = idp.groups!;
  const found = idp.postsFirst ? undefined : await steps.find(client, groupNameOf(group));
  const created = found ? undefined : await steps.create(client, group);
  if (created) {
    group.id = created.id;
    return;
  }
  const linked = found ?? (await steps.find(client, groupNameOf(group)));
  if (!linked) return client.fail(`the application has ${groupNameOf(group)}, but does not find the group`);
  group.id = linked.id;
  group.isAdopted = true;
  await steps.adopt(client, group);
}

async function switchActive(play: Play, phase: 'deactivate' | 'reactivate', isActive: boolean): Promise<Touched> {
  const people = chosen(play, phase).filter((person) => !person.isRemoved);
  await linkPeople(play, people);
  await play.each(people, async (person) => {
    person.isActive = isActive;
    await play.idp.setActive(play.client, person);
  });
  return { people, groups: [] };
}

/** Finds those that an earlier run has assigned, and takes what the application has for what was sent. */
async function linkPeople({ idp, client, each }: Play, people: readonly Person[]): Promise<void> {
  await each(
    people.filter(({ id, isRemoved }) => id === undefined && !isRemoved),
    async (person) => {
      const found = await idp.find(client, person);
      if (!found) return client.fail(`${person.userName} is not in the application. Play the phase assign first`);
      const { givenName = person.givenName, familyName = person.familyNames[0] } = found['name'] ?? {};
      person.id = found.id;
      person.isActive = found['active'] === true;
      person.isChanged = familyName === person.familyNames[1];
      person.givenName = givenName;
      if (!person.isChanged) person.familyNames = [familyName, person.familyNames[1]];
      person.externalId &&= found['externalId'] ?? person.externalId;
    },
  );
}

async function linkGroups({ idp, client, directory, each }: Play, groups: readonly Group[]): Promise<void> {
  await each(
    groups.filter(({ id }) => id === undefined),
    async (group) => {
      const renamed = await idp.groups!.find(client, group.names[1]);
      const found = renamed ?? (await idp.groups!.find(client, group.names[0]));
      if (!found) return client.fail(`${group.names[0]} is not in the application. Play the phase push-groups first`);
      group.id = found.id;
      group.isRenamed = renamed !== undefined;
      group.isAdopted = true;
      const { body } = await client.get(`/Groups/${encodeURIComponent(found.id)}`);
      const ids = new Set((body.members ?? []).map(({ value }: { value: string }) => value));
      group.members = new Set(directory.people.filter(({ id }) => id !== undefined && ids.has(id)));
    },
  );
}

/** A tenth of the members leave, and as many others join. */
function movesOf(group: Group, { order }: Directory): { added: Person[]; removed: Person[] } {
  const count = Math.max(1, Math.round(group.members.size / 10));
  const present = order.filter(({ isRemoved }) => !isRemoved);
  return {
    added: present.filter((person) => !group.members.has(person)).slice(0, count),
    removed: present.filter((person) => group.members.has(person)).slice(0, count),
  };
}
