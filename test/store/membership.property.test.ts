/** Who is in which group, after any sequence of requests: SQL holds of the same people as plain sets do. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { GROUP } from '../../src/scim/urns';
import { type Answer, type Idp, newIdp } from '../support/client';
import { counters, rows } from '../support/database';
import { Random } from '../support/random';

const random = new Random(Number(env.PROPERTY_SEED));
const SEQUENCES = 3;
const STEPS = 50;
const USERS = 6;

/** What there should be: sets and nothing else. */
class Model {
  readonly users = new Map<string, { name: string; isLive: boolean }>();
  readonly groups = new Map<string, { name: string; members: Set<string> }>();

  isMemberId = (id: string) => this.users.get(id)?.isLive === true || this.groups.has(id);

  /** The groups that this group is in, itself included. */
  above(id: string, found = new Set([id])): Set<string> {
    for (const [other, { members }] of this.groups) {
      if ([...found].some((inner) => members.has(inner)) && !found.has(other)) return this.above(id, found.add(other));
    }
    return found;
  }

  groupsOf(userId: string): string[] {
    const direct = [...this.groups].filter(([, { members }]) => members.has(userId)).map(([id]) => id);
    const all = new Set(direct.flatMap((id) => [...this.above(id)]));
    return [...all].map((id) => `${direct.includes(id) ? 'direct' : 'indirect'} ${id} ${this.groups.get(id)!.name}`);
  }

  leaveAll(id: string): void {
    for (const { members } of this.groups.values()) members.delete(id);
  }
}

type Change = (members: Set<string>) => void;
const adding =
  (ids: readonly string[]): Change =>
  (members) => {
    for (const id of ids) members.add(id);
  };
const removing =
  (ids: readonly string[]): Change =>
  (members) => {
    for (const id of ids) members.delete(id);
  };
const replacing =
  (ids: readonly string[]): Change =>
  (members) => {
    members.clear();
    adding(ids)(members);
  };

/** One operation in one of the forms that clients send, and what it means. */
function operation(pool: readonly string[], model: Model, groupId: string, isFirst: boolean): [object, Change] {
  const ids = random.list(3, () => random.pick(pool));
  const elements = () =>
    ids.map((value) => random.pick([{ value }, { $ref: null, value }, { value, display: null, type: 'User' }, value]));
  const op = (word: string) => random.pick([word, word[0]!.toUpperCase() + word.slice(1), word.toUpperCase()]);
  const path = random.pick(['members', 'Members', `${GROUP}:members`]);
  const [one] = ids.length > 0 ? ids : [random.pick(pool)];
  // By type only first: of those whom the same request has added before, nothing but the id is known.
  switch (random.below(isFirst ? 11 : 10)) {
    case 0:
      return [{ op: op('add'), path, value: elements() }, adding(ids)];
    case 1:
      return [{ op: op('add'), value: { members: elements() } }, adding(ids)];
    case 2:
      return [{ op: op('replace'), path, value: elements() }, replacing(ids)];
    case 3:
      return [{ op: op('replace'), value: { id: groupId, members: elements() } }, replacing(ids)];
    case 4:
      return [{ op: op('remove'), path, value: elements() }, removing(ids)];
    case 5:
      return [{ op: op('remove'), path: `${path}[value eq "${one}"]` }, removing([one!])];
    case 6: {
      const other = random.pick(pool);
      return [{ op: op('remove'), path: `members[value eq "${one}" or value eq "${other}"]` }, removing([one!, other])];
    }
    case 7:
      return random.chance(0.3)
        ? [{ op: op('remove'), path }, replacing([])]
        : [{ op: op('add'), path, value: one }, adding([one!])];
    case 8:
      return [
        { op: op('remove'), path: `members[not (value eq "${one}")]` },
        (members) => removing([...members].filter((id) => id !== one))(members),
      ];
    case 9:
      return [
        { op: op('replace'), value: { id: groupId, displayName: model.groups.get(groupId)!.name } },
        () => undefined,
      ];
    default:
      return [
        { op: op('remove'), path: 'members[type eq "Group"]' },
        (members) => removing([...members].filter((id) => model.groups.has(id)))(members),
      ];
  }
}

async function step(idp: Idp, model: Model, names: () => string): Promise<string> {
  const userIds = [...model.users.keys()];
  const groupIds = [...model.groups.keys()];
  const pool = [...userIds, ...userIds, ...groupIds, 'nobody'];
  const known = (ids: Iterable<string>) => new Set([...ids].filter(model.isMemberId));
  const isCycle = (groupId: string, joining: Iterable<string>) => {
    const above = model.above(groupId);
    return [...joining].some((id) => above.has(id));
  };
  const choice = groupIds.length < 3 ? 0 : random.below(20);
  if (choice < 2) {
    const ids = random.list(4, () => random.pick(pool));
    const displayName = names();
    const answer = await idp.post('/Groups', { displayName, members: ids.map((value) => ({ value })) });
    expect(answer.status, answer.text).toBe(201);
    model.groups.set(answer.body.id, { name: displayName, members: known(ids) });
    return `POST of ${answer.body.id} with ${ids}`;
  }
  if (choice === 2 && groupIds.length > 4) {
    const id = random.pick(groupIds);
    expect((await idp.delete(`/Groups/${id}`)).status).toBe(204);
    model.groups.delete(id);
    model.leaveAll(id);
    return `DELETE of ${id}`;
  }
  if (choice < 5) {
    const id = random.pick(userIds);
    const user = model.users.get(id)!;
    if (user.isLive) {
      expect((await idp.delete(`/Users/${id}`)).status).toBe(204);
      model.leaveAll(id);
    } else {
      const answer = await idp.post('/Users', { userName: user.name });
      expect([answer.status, answer.body.id]).toEqual([201, id]);
    }
    user.isLive = !user.isLive;
    return `user ${id} is ${user.isLive ? 'restored' : 'deleted'}`;
  }
  const id = random.pick(groupIds);
  const group = model.groups.get(id)!;
  const after = new Set(group.members);
  let answer: Answer;
  let sent: unknown;
  if (choice < 7) {
    const ids = random.list(5, () => random.pick(pool));
    replacing(ids)(after);
    const displayName = random.chance(0.5) ? group.name : names();
    sent = { displayName, members: ids.map((value) => ({ value })) };
    answer = await idp.put(`/Groups/${id}`, sent);
    if (answer.status === 200) group.name = displayName;
  } else {
    const operations = Array.from({ length: 1 + random.below(4) }, (_, i) => operation(pool, model, id, i === 0));
    for (const [, change] of operations) change(after);
    sent = operations.map(([one]) => one);
    answer = await idp.patch(`/Groups/${id}`, sent as unknown[]);
  }
  const joining = [...known(after)].filter((member) => !group.members.has(member));
  const isRefused = isCycle(id, joining);
  expect([isRefused ? 400 : 200, answer.body?.scimType], `${JSON.stringify(sent)} ${answer.text}`).toEqual([
    answer.status,
    isRefused ? 'invalidValue' : undefined,
  ]);
  if (!isRefused) group.members = known(after);
  return `change of ${id}: ${JSON.stringify(sent)}`;
}

const valuesOf = (list: { value: string }[] | undefined) => (list ?? []).map(({ value }) => value).sort();

async function expectAsInModel(idp: Idp, model: Model, what: string): Promise<void> {
  const [groups, users] = await Promise.all([idp.get('/Groups?count=200'), idp.get('/Users?count=200')]);
  const shown = new Map(groups.body.Resources.map((group: { id: string }) => [group.id, group]));
  expect([...shown.keys()].sort(), what).toEqual([...model.groups.keys()].sort());
  const counts = await rows('SELECT id, member_count FROM groups WHERE org_id = ?', idp.orgId);
  const countOf = new Map(counts.map((row) => [row['id'], row['member_count']]));
  for (const [id, { members, name }] of model.groups) {
    // biome-ignore lint/suspicious/noExplicitAny: as an answer's body
    const group = shown.get(id) as any;
    expect(valuesOf(group.members), what).toEqual([...members].sort());
    expect(countOf.get(id), what).toBe(members.size);
    expect(group.displayName, what).toBe(name);
    for (const { value, type } of group.members ?? []) expect(type).toBe(model.groups.has(value) ? 'Group' : 'User');
  }
  const live = [...model.users].filter(([, { isLive }]) => isLive);
  expect(users.body.Resources.map(({ id }: { id: string }) => id).sort(), what).toEqual(live.map(([id]) => id).sort());
  for (const user of users.body.Resources) {
    const listed = (user.groups ?? []) as { value: string; type: string; display: string }[];
    const texts = listed.map(({ value, type, display }) => `${type} ${value} ${display}`);
    expect(texts.sort(), `${what}: ${user.id}`).toEqual(model.groupsOf(user.id).sort());
  }
}

describe(`groups whose members are changed at random (seed ${random.seed})`, () => {
  it.each(Array.from({ length: SEQUENCES }, (_, i) => [i + 1]))(
    'have the members that plain sets would have, and their users the groups (sequence %i)',
    async (sequence) => {
      const idp = await newIdp(`random-${sequence}`);
      const model = new Model();
      for (let i = 0; i < USERS; i++) {
        const name = `user${i}@example.com`;
        model.users.set((await idp.user(name)).id, { name, isLive: true });
      }
      let named = 0;
      for (let i = 0; i < STEPS; i++) {
        const what = await step(idp, model, () => `Group ${named++}`);
        await expectAsInModel(idp, model, `seed ${random.seed}, step ${i}, ${what}`);
      }
      const id = random.pick([...model.groups.keys()]);
      const { body } = await idp.get(`/Groups/${id}`);
      expect(valuesOf(body.members)).toEqual([...model.groups.get(id)!.members].sort());
      const { kept, real } = await counters(idp.orgId);
      expect(kept).toEqual(real);
      const [org] = await rows('SELECT group_count FROM orgs WHERE id = ?', idp.orgId);
      expect(org!['group_count']).toBe(model.groups.size);
      const [stray] = await rows(
        `SELECT count(*) AS n FROM memberships AS m WHERE m.org_id = ? AND (
          NOT EXISTS (SELECT 1 FROM groups AS g WHERE g.org_id = m.org_id AND g.seq = m.group_seq) OR
          CASE m.is_group WHEN 1 THEN NOT EXISTS (SELECT 1 FROM groups AS g WHERE g.org_id = m.org_id AND g.seq = m.member_seq)
          ELSE NOT EXISTS (SELECT 1 FROM users AS u WHERE u.org_id = m.org_id AND u.seq = m.member_seq AND u.deleted_at IS NULL) END)`,
        idp.orgId,
      );
      expect(stray!['n']).toBe(0);
    },
  );
});
