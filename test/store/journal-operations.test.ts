/** Promise 6: whatever is done through whichever door, its event tells by whom, to whom, in which request, and what it was before. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventType, PeopleEvent, PortalEvent, ReceiverEvent, WebhookEvent } from '../../src/events';
import { type Answer, admin, type Idp, idpOf, newIdp } from '../support/client';
import { journal } from '../support/database';
import { post, type TestClient, tokenOf } from '../support/oauth';

/**
 * Shown where they happen: the codes and refresh tokens of an approval (routes/oauth-code, oauth-refresh), the cron's warnings
 * (cron/credentials), the end of a grace by use (credentials/use), nine tenths of the seats (routes/seats), people who were there before
 * and who are protected (routes/linking, routes/people), erasure (routes/erase), the brake (routes/brake), orgs that
 * come and go (routes/archive), schemas of large orgs (provisioning/removal), the portal (routes/portal), signals and their
 * sources (routes/signals), webhooks (routes/webhooks). A client's line is not revoked but deleted with it.
 */
type Elsewhere =
  | `client.${'approved' | 'redeemed' | 'refreshed' | 'reused'}`
  | `${'token' | 'basic' | 'client'}.${'expiring' | 'retired'}`
  | 'client.revoked'
  | 'seats.warning'
  | PeopleEvent
  | PortalEvent
  | `brake.${'held' | 'rejected' | 'withdrawn'}`
  | `signals.${'added' | 'paused' | 'resumed' | 'removed'}`
  | 'user.signal_received'
  | `org.${'exported' | 'imported' | 'move_started' | 'moved' | 'move_cancelled'}`
  | 'schema.cleared'
  | WebhookEvent
  | ReceiverEvent;

/** What the details of each event have. A type that is new has to be added here, and done below. */
const TELLS: Record<Exclude<EventType, Elsewhere>, readonly string[]> = {
  'org.created': [],
  'org.changed': ['changed', 'settings'],
  'org.disabled': ['by', 'reason'],
  'org.enabled': ['by', 'reason'],
  'org.signed_out': ['by', 'cause'],
  'scim.enabled': ['changed'],
  'scim.disabled': ['changed'],
  'token.issued': ['mask', 'by'],
  'token.rotated': ['mask', 'by'],
  'token.cancelled': ['dead', 'current', 'by'],
  'token.completed': ['dead', 'by'],
  'token.revoked': ['masks', 'by'],
  'basic.issued': ['mask', 'by'],
  'basic.rotated': ['mask', 'by'],
  'basic.cancelled': ['dead', 'current', 'by'],
  'basic.completed': ['dead', 'by'],
  'basic.revoked': ['masks', 'by'],
  'client.created': ['name', 'redirectUris', 'by'],
  'client.issued': ['mask', 'by', 'oauthClient'],
  'client.rotated': ['mask', 'by', 'oauthClient'],
  'client.cancelled': ['dead', 'current', 'by', 'oauthClient'],
  'client.completed': ['dead', 'by', 'oauthClient'],
  'client.given': ['masks'],
  'client.returned': ['masks'],
  'client.deleted': ['by', 'masks'],
  'approval.issued': ['by'],
  'user.created': ['changed'],
  'user.updated': ['changed'],
  'user.deactivated': ['changed'],
  'user.reactivated': ['changed'],
  'user.deleted': ['before', 'leftGroups'],
  'user.restored': ['changed'],
  'user.signed_out': ['cause'],
  'group.created': ['changed', 'joined', 'joinedCount'],
  'group.updated': ['changed'],
  'group.deleted': ['before', 'left', 'leftCount', 'permissions'],
  'group.permissions': ['changed'],
  'schema.added': ['schema'],
  'schema.changed': ['before', 'schema'],
  'schema.removed': ['schema', 'changed'],
};

let idp: Idp;
let client: TestClient;
let given = '';
const ids = { ada: '', bob: '', team: '' };
const told = new Set<string>();
let known = 0;

/** Nobody may write over what was told, not even while all of this is done. */
const FORBIDDEN = ['UPDATE', 'DELETE'].map((verb) => [`no_${verb.toLowerCase()}`, verb] as const);

beforeAll(async () => {
  idp = await newIdp('operations');
  for (const [name, verb] of FORBIDDEN) {
    await env.DB.prepare(
      `CREATE TRIGGER ${name} BEFORE ${verb} ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END`,
    ).run();
  }
});
afterAll(async () => {
  for (const [name] of FORBIDDEN) await env.DB.prepare(`DROP TRIGGER ${name}`).run();
});

const org = (path = '') => `/orgs/operations${path}`;
const act = (method: string, path: string, body?: unknown) =>
  admin(method, org(path), { ...(body !== undefined && { body }), headers: { 'X-Admin-By': 'grace' } });
const active = (value: unknown) => [{ op: 'replace', path: 'active', value }];
const membersOf = (op: string, ...members: string[]) => [
  { op, path: 'members', value: members.map((value) => ({ value })) },
];
const keep = (name: keyof typeof ids, answer: Answer): Answer => {
  ids[name] = answer.body.id;
  return answer;
};
const schema = (...names: string[]) => ({
  id: 'urn:ops:staff',
  name: 'Staff',
  attributes: names.map((name) => ({ name })),
});
const anything = () => expect.any(String);
const nothing = () => null;

type Expected = [type: EventType, target: () => unknown];
type Operation = [does: string, run: () => Promise<Answer>, events: Expected[], actor?: () => string];

const byIdp = () => 'idp';
const byGrace = () => 'admin:grace';
const byClient = () => `client:${client.clientId}`;
const user = (type: EventType, who: 'ada' | 'bob' = 'ada'): Expected => [type, () => ids[who]];
const team = (type: EventType): Expected => [type, () => ids.team];

const SCIM: Operation[] = [
  ['POST of a user', async () => keep('ada', await idp.post('/Users', { userName: 'ada@x' })), [user('user.created')]],
  [
    'POST of another',
    async () => keep('bob', await idp.post('/Users', { userName: 'bob@x' })),
    [user('user.created', 'bob')],
  ],
  ['PUT', () => idp.put(`/Users/${ids.ada}`, { userName: 'ada@x', title: 'Head' }), [user('user.updated')]],
  ['PATCH that deactivates', () => idp.patch(`/Users/${ids.ada}`, active('False')), [user('user.deactivated')]],
  [
    'PUT that reactivates',
    () => idp.put(`/Users/${ids.ada}`, { userName: 'ada@x', active: true }),
    [user('user.reactivated')],
  ],
  [
    'POST of a group',
    async () => keep('team', await idp.post('/Groups', { displayName: 'Team', members: [{ value: ids.ada }] })),
    [team('group.created')],
  ],
  [
    'PATCH that adds a member',
    () => idp.patch(`/Groups/${ids.team}`, membersOf('add', ids.bob)),
    [team('group.updated')],
  ],
  [
    'PATCH that takes one out',
    () => idp.patch(`/Groups/${ids.team}`, membersOf('remove', ids.bob)),
    [team('group.updated')],
  ],
  [
    'PUT of a group',
    () => idp.put(`/Groups/${ids.team}`, { displayName: 'Crew', members: [{ value: ids.ada }] }),
    [team('group.updated')],
  ],
  [
    'PATCH with ids of nobody',
    () => idp.patch(`/Groups/${ids.team}`, membersOf('add', 'nobody')),
    [team('group.updated')],
  ],
  ['DELETE of a user', () => idp.delete(`/Users/${ids.ada}`), [user('user.deleted')]],
  ['POST that restores', () => idp.post('/Users', { userName: 'ada@x' }), [user('user.restored')]],
  [
    'Bulk',
    () =>
      idp.post('/Bulk', {
        schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'],
        Operations: [
          { method: 'PATCH', path: `/Users/${ids.ada}`, data: { Operations: active(false) } },
          { method: 'PATCH', path: `/Groups/${ids.team}`, data: { Operations: membersOf('add', ids.bob) } },
        ],
      }),
    [user('user.deactivated'), team('group.updated')],
  ],
];

/** A line of credentials: rotated, cancelled; rotated, completed; revoked. What ends more than one has no target of its own. */
function line(noun: 'token' | 'basic' | 'client', path: () => string): Operation[] {
  const on = (verb: string, type: string, target: () => unknown, body: object = {}): Operation => [
    `${noun} ${verb}`,
    () => act('POST', `${path()}/${verb}`, body),
    [[`${noun}.${type}` as EventType, target]],
    byGrace,
  ];
  const rotate = on('rotate', 'rotated', anything, { grace: '1h' });
  return [rotate, on('cancel', 'cancelled', nothing), rotate, on('complete', 'completed', nothing)];
}

const revoke = (noun: 'token' | 'basic', path: string): Operation => [
  `${noun} revoke`,
  () => act('DELETE', path),
  [[`${noun}.revoked`, nothing]],
  byGrace,
];

const clientPath = () => `/oauth/clients/${client.clientId}`;

const ADMIN: Operation[] = [
  ['org set', () => act('PATCH', '', { settings: { idp: 'okta' } }), [['org.changed', nothing]], byGrace],
  ['scim disable', () => act('POST', '/scim', { enabled: false }), [['scim.disabled', nothing]], byGrace],
  ['scim enable', () => act('POST', '/scim', { enabled: true }), [['scim.enabled', nothing]], byGrace],
  ['org disable', () => act('POST', '/disable', { reason: 'unpaid' }), [['org.disabled', nothing]], byGrace],
  ['org enable', () => act('POST', '/enable', { reason: 'paid' }), [['org.enabled', nothing]], byGrace],
  ['org sign-out', () => act('POST', '/sign-out', {}), [['org.signed_out', nothing]], byGrace],
  ['user sign-out', () => act('POST', '/users/bob@x/sign-out', {}), [user('user.signed_out', 'bob')], byGrace],
  [
    'group permissions',
    () => act('PUT', `/groups/${ids.team}/permissions`, { permissions: ['read'] }),
    [team('group.permissions')],
    byGrace,
  ],
  ['schema add', () => act('POST', '/schemas', schema('level')), [['schema.added', () => 'urn:ops:staff']], byGrace],
  [
    'schema add of a larger one',
    () => act('POST', '/schemas', schema('level', 'desk')),
    [['schema.changed', () => 'urn:ops:staff']],
    byGrace,
  ],
  [
    'schema remove',
    () => act('DELETE', '/schemas/urn:ops:staff?confirm=urn:ops:staff'),
    [['schema.removed', () => 'urn:ops:staff']],
    byGrace,
  ],
  ['basic generate', () => act('POST', '/basic', {}), [['basic.issued', anything]], byGrace],
  ...line('basic', () => '/basic'),
  revoke('basic', '/basic'),
  ...line('token', () => '/tokens'),
  revoke('token', '/tokens'),
  ['oauth approve', () => act('POST', '/oauth/approvals', {}), [['approval.issued', nothing]], byGrace],
  [
    'oauth client create',
    async () => {
      const answer = await act('POST', '/oauth/clients', {});
      client = answer.body;
      return answer;
    },
    [
      ['client.created', () => client.clientId],
      ['client.issued', anything],
    ],
    byGrace,
  ],
  [
    'a token by client credentials',
    async () => {
      const answer = await tokenOf(client);
      given = answer.body.access_token;
      return answer;
    },
    [['client.given', () => client.clientId]],
    byClient,
  ],
  [
    'the same, given back',
    () => post('/revoke', { token: given, client_id: client.clientId, client_secret: client.clientSecret }),
    [['client.returned', () => client.clientId]],
    byClient,
  ],
  ...line('client', clientPath),
  [
    'oauth client delete',
    () => act('DELETE', `${clientPath()}?confirm=${client.clientId}`),
    [['client.deleted', () => client.clientId]],
    byGrace,
  ],
];

/** Runs one, and compares its events to the letter. */
async function tells([, run, expected, actor = byIdp]: Operation) {
  known = (await journal(idp.orgId)).length;
  const answer = await run();
  expect(answer.status, answer.text).toBeLessThan(300);
  const events = (await journal(idp.orgId)).slice(known);
  expect(events.map(({ type, target_id }) => [type, target_id])).toEqual(
    expected.map(([type, target]) => [type, target()]),
  );
  for (const [i, event] of events.entries()) {
    expect(event).toMatchObject({ seq: known + 1 + i, actor: actor(), request_id: answer.headers.get('X-Request-Id') });
    expect(Object.keys(event.details)).toEqual(expect.arrayContaining([...TELLS[event.type as keyof typeof TELLS]]));
    told.add(event.type);
  }
}

describe('its event tells of', () => {
  it.each([...SCIM.map((one) => [one[0], one] as const), ...ADMIN.map((one) => [one[0], one] as const)])(
    '%s',
    (_, operation) => tells(operation),
  );

  it('deleting a group, with who was in it', async () => {
    const fresh = await act('POST', '/tokens', {});
    idp = { ...idp, ...idpOf('operations', idp.orgId, fresh.body.token) };
    await tells(['DELETE of a group', () => idp.delete(`/Groups/${ids.team}`), [team('group.deleted')]]);
    const { details } = (await journal(idp.orgId)).at(-1)!;
    expect(details).toMatchObject({ left: [ids.bob], leftCount: 1, permissions: ['read'] });
  });

  it('every kind of operation that there is', async () => {
    const [created, , issued] = await journal(idp.orgId); // by newIdp
    for (const { type } of [created!, issued!]) told.add(type);
    expect([...told].sort()).toEqual(Object.keys(TELLS).sort());
  });
});

it('says which ids of nobody were left out, and which quirks a message needed', async () => {
  const events = await journal(idp.orgId);
  expect(events.find(({ details }) => details.unknownMembers)?.details).toMatchObject({ unknownMembers: ['nobody'] });
  const { body } = await admin('GET', org('/events?type=group.updated'));
  expect(body.events.map(({ outcome }: { outcome: string }) => outcome)).toContain('partly');
  expect(events.find(({ type }) => type === 'user.deactivated')?.details.quirks).toContain('boolean-string');
});

it('names at most a thousand members of a change, and counts all', async () => {
  const nobody = Array.from({ length: 1_200 }, (_, i) => ({ value: `nobody-${i}` }));
  await idp.post('/Groups', { displayName: 'Ghosts', members: nobody });
  const { details } = (await journal(idp.orgId)).at(-1)!;
  expect(details.unknownMembers).toHaveLength(1_000);
});

/**
 * The journal is written by INSERT. Values are taken out of events by erasure and by their age, and whole events by their
 * age and with their org.
 */
const MAY_CHANGE = [
  ['erase-user.ts', 'UPDATE'],
  ['retention.ts', 'DELETE'],
  ['retention.ts', 'DELETE'],
  ['retention.ts', 'UPDATE'],
];

it('no statement of the service changes or removes an event but by erasure, by age and with its whole org', () => {
  // The last of these names no table: it goes through all that an org has (store/directory/removal.ts).
  const sources = import.meta.glob<string>('../../src/**/*.ts', { query: '?raw', import: 'default', eager: true });
  expect(Object.keys(sources).length).toBeGreaterThan(100);
  const found = Object.entries(sources).flatMap(([path, text]) =>
    [...text.matchAll(/\b(UPDATE|DELETE\s+FROM|REPLACE\s+INTO|INSERT\s+OR\s+\w+\s+INTO)\s+events\b/gi)].map(
      ([verb]) => [path.split('/').at(-1), verb.split(/\s/)[0]!.toUpperCase()],
    ),
  );
  expect(found.sort()).toEqual(MAY_CHANGE);
});
