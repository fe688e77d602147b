/** "Why is Alice out, or in this group?": events as sentences. */
import { describe, expect, it } from 'vitest';
import { groupsNamedIn, type Told, tell } from '../../src/operator/history';

const names = new Map([['sales', 'Sales']]);
const said = (type: string, details: Told['details'] = {}, more: Partial<Told> = {}) =>
  tell({ type, actor: 'idp', target: type.startsWith('group.') ? 'sales' : 'alice', details, ...more }, 'alice', names);
const many = Array.from({ length: 1_000 }, (_, i) => `u${i}`);

describe('a user’s history says', () => {
  it.each<[string, Told['details'], string]>([
    [
      'user.created',
      { changed: { userName: { before: null, after: 'a@x' } }, defaultGroup: 'sales' },
      'Created by the identity provider, and added to the default group "Sales"; userName "a@x"',
    ],
    [
      'user.deactivated',
      { changed: { active: { before: true, after: false } }, quirks: ['boolean-string'], client: 'Okta 1.0' },
      'Deactivated by the identity provider (Okta 1.0): all sessions until then are over; active true → false; tolerated: boolean string',
    ],
    [
      'user.deactivated',
      { changed: { active: { before: true, after: false } }, cause: 'exit' },
      'Deactivated by the identity provider, because the SCIM set-up was removed: all sessions until then are over; active true → false',
    ],
    [
      'user.imported',
      { changed: { userName: { before: null, after: 'a@x' } } },
      'Imported from the application by the identity provider; userName "a@x"',
    ],
    [
      'user.imported',
      { changed: { title: { before: 'Head', after: 'Chief' } } },
      'Changed by an import from the application by the identity provider; title "Head" → "Chief"',
    ],
    [
      'user.linked',
      { changed: { externalId: { before: null, after: 'x' } }, linked: { by: 'email', keptEmails: true } },
      'Linked by the identity provider; externalId "x"; managed by it from now on, matched by an e-mail address; kept its e-mail addresses',
    ],
    [
      'user.deactivated',
      { changed: {}, linked: { by: 'id' } },
      'Deactivated by the identity provider: all sessions until then are over; managed by it from now on, found by its id',
    ],
    [
      'user.protected',
      { reason: 'the owner' },
      'Protected by the identity provider (the owner): the identity provider cannot deactivate or delete the account',
    ],
    ['user.unprotected', {}, 'Not protected any more by the identity provider'],
    [
      'user.deactivation_refused',
      { operation: 'deactivate' },
      'Deactivation by the identity provider was refused: the account is protected',
    ],
    [
      'user.deletion_refused',
      { operation: 'delete' },
      'Deletion by the identity provider was refused: the account is protected',
    ],
    [
      'brake.held',
      { operation: 'delete' },
      'Deletion by the identity provider is above the limit: it waits, and the user stays active',
    ],
    [
      'brake.rejected',
      { until: '2026-11-28' },
      'The deactivation or deletion that waited was rejected by the identity provider: refused until 2026-11-28',
    ],
    ['brake.withdrawn', {}, 'Set to active again by the identity provider: nothing waits any more'],
    ['user.reactivated', { changed: {} }, 'Reactivated by the identity provider: can sign in again'],
    [
      'user.updated',
      { changed: { title: { before: 'Head', after: null } } },
      'Changed by the identity provider; title "Head" → nothing',
    ],
    [
      'user.updated',
      {
        changed: {
          emails: { added: [{ value: 'a@x' }], removed: [{ value: 'b@x' }] },
          photos: { added: [], removed: [] },
        },
      },
      'Changed by the identity provider; emails [{"value":"a@x"}] added and [{"value":"b@x"}] removed, photos in another order',
    ],
    [
      'user.updated',
      { changed: { title: { before: null, after: 'Head' } }, leftOut: { x509Certificates: 91_000 } },
      'Changed by the identity provider; title "Head", x509Certificates (too large for the journal)',
    ],
    ['user.restored', {}, 'Restored by the identity provider, with the same id'],
    [
      'user.deleted',
      { leftGroups: ['sales', 'gone'] },
      'Deleted by the identity provider, and removed from "Sales", "gone": all sessions until then are over',
    ],
    ['user.signed_out', { cause: 'rename' }, 'Signed out by the identity provider for a new userName'],
    [
      'user.signed_out',
      { cause: 'group', group: 'sales' },
      'Signed out by the identity provider for leaving the group "Sales"',
    ],
    ['group.created', { joined: ['alice'] }, 'Joined the group "Sales", created by the identity provider'],
    ['group.updated', { joined: ['alice'], left: ['bob'] }, 'Joined the group "Sales" by the identity provider'],
    ['group.updated', { left: ['alice'] }, 'Left the group "Sales" by the identity provider'],
    ['group.deleted', { left: ['alice'] }, 'Left the group "Sales", deleted by the identity provider'],
    [
      'group.updated',
      { unknownMembers: ['alice'] },
      'Skipped in the group "Sales" by the identity provider: the user did not exist then',
    ],
    [
      'group.updated',
      { joined: many, joinedCount: 1_200 },
      'Perhaps in a change of the group "Sales" by the identity provider: 200 more joined than are named',
    ],
    ['user.of_tomorrow', {}, 'user.of_tomorrow by the identity provider'],
  ])('of %s with %j what it was', (type, details, sentence) => {
    expect(said(type, details)).toBe(sentence);
  });

  it.each([
    ['client:c1', {}, 'the OAuth client c1'],
    ['admin:olga', {}, 'the administrator olga'],
    ['admin:api', { by: 'olga' }, 'the administrator olga'],
    ['service', {}, 'the service itself'],
  ])('who it was: %s', (actor, details, who) => {
    expect(said('user.signed_out', details, { actor })).toBe(`Signed out by ${who}`);
  });

  it('what the whole org went through, and why', () => {
    expect(said('org.disabled', { reason: 'unpaid', by: 'olga' }, { actor: 'admin:api', target: null })).toBe(
      'The org was switched off by the administrator olga (unpaid): its users cannot be signed in',
    );
  });

  it('no more than fits: long values and long lists are cut', () => {
    const changed = Object.fromEntries(
      many.slice(0, 30).map((name) => [name, { before: null, after: 'x'.repeat(500) }]),
    );
    const sentence = said('user.updated', { changed });
    expect(sentence).toMatch(/, 10 more$/);
    expect(sentence.length).toBeLessThan(2_500);
  });
});

it('the groups that an event names are asked for by id, each kind of naming', () => {
  const one = (type: string, details: Told['details']) =>
    groupsNamedIn({ type, actor: 'idp', target: 'target', details });
  expect(one('group.updated', {})).toEqual(['target']);
  expect(one('user.created', { defaultGroup: 'g' })).toEqual(['g']);
  expect(one('user.deleted', { leftGroups: ['a', 'b'] })).toEqual(['a', 'b']);
  expect(one('user.signed_out', { cause: 'group', group: 'g' })).toEqual(['g']);
  expect(one('user.updated', { changed: {} })).toEqual([]);
});
