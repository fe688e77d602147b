/** What a user was called when something happened: a table of journals. */
import { describe, expect, it } from 'vitest';
import { calledBy } from '../../src/scim/address';
import { addressChange, namesAt } from '../../src/transmitter/names';

const mail = (value: string, primary?: boolean) => ({ value, ...(primary && { primary }) });
const resource = { userName: 'ada', externalId: 'e2', emails: [mail('new@example.com', true)] };
const updated = (seq: number) => ({ seq, type: 'user.updated' });

describe('a user was called', () => {
  it('as now, if nothing has changed since', () => {
    expect(namesAt({ resource, changes: [] }, updated(5))).toEqual(resource);
  });

  it('what the first later change has found, whatever followed', () => {
    const changes = [
      { seq: 4, userName: { before: 'x', after: 'y' } },
      { seq: 7, externalId: { before: 'e1', after: 'e9' } },
      { seq: 8, externalId: { before: 'e9', after: 'e2' } },
    ];
    expect(namesAt({ resource, changes }, updated(5))).toMatchObject({ userName: 'ada', externalId: 'e1' });
    expect(namesAt({ resource, changes }, updated(4))).toMatchObject({ userName: 'x' });
  });

  it('by the list before, also where the event keeps only what came and went', () => {
    const changes = [
      { seq: 5, emails: { added: [mail('mid@example.com', true)], removed: [mail('old@example.com', true)] } },
      { seq: 6, emails: { added: [mail('new@example.com', true)], removed: [mail('mid@example.com', true)] } },
    ];
    const at = (seq: number) => calledBy(namesAt({ resource, changes }, updated(seq)));
    expect([5, 6, 7].map(at)).toEqual(['old@example.com', 'mid@example.com', 'new@example.com']);
  });

  it('as the event left them, if it made them or brought them back', () => {
    const created = {
      seq: 3,
      userName: { before: null, after: 'ada' },
      emails: { before: null, after: [mail('a@x.example')] },
    };
    const readdressed = { seq: 9, emails: { before: [mail('a@x.example')], after: resource.emails } };
    const user = { resource, changes: [created, readdressed] };
    expect(calledBy(namesAt(user, { seq: 3, type: 'user.created' }))).toBe('a@x.example');
    expect(calledBy(namesAt(user, { seq: 9, type: 'user.restored' }))).toBe('new@example.com');
  });

  it('nothing, once erased', () => {
    expect(calledBy(namesAt({ resource: {}, changes: [] }, updated(5)))).toBeUndefined();
    expect(calledBy(namesAt({ resource: undefined, changes: [] }, updated(5)))).toBeUndefined();
  });
});

describe('the address of a user', () => {
  it.each([
    [
      'the primary one',
      { userName: 'u@x.example', emails: [mail('a@x.example'), mail('b@x.example', true)] },
      'b@x.example',
    ],
    ['the only one', { userName: 'u@x.example', emails: [mail('a@x.example')] }, 'a@x.example'],
    [
      'of several without a primary one the userName',
      { userName: 'u@x.example', emails: [mail('a@x.example'), mail('b@x.example')] },
      'u@x.example',
    ],
    [
      'of several the first, if the userName is none',
      { userName: 'u', emails: [mail('a@x.example'), mail('b@x.example')] },
      'a@x.example',
    ],
    ['the userName, if there are none', { userName: 'u@x.example' }, 'u@x.example'],
    ['none', { userName: 'u', emails: [mail('not an address', true)] }, undefined],
  ])('is %s', (_, names, address) => {
    expect(calledBy(names)).toBe(address);
  });

  it('has changed, if another one has taken its place: not by its case alone', () => {
    const changes = [
      { seq: 5, emails: { before: [mail('a@x.example')], after: [mail('A@X.example')] } },
      { seq: 6, emails: { before: [mail('A@X.example')], after: resource.emails } },
      { seq: 7, emails: { before: resource.emails, after: resource.emails } },
    ];
    const user = { resource, changes };
    expect([5, 6, 7].map((seq) => addressChange(user, { seq }))).toEqual([
      undefined,
      { before: 'A@X.example', after: 'new@example.com' },
      undefined,
    ]);
  });

  it('has changed, if there is none any more; not if there was none', () => {
    const changes = [
      { seq: 5, emails: { before: [mail('a@x.example')], after: null } },
      { seq: 6, emails: { before: null, after: resource.emails } },
    ];
    expect([5, 6].map((seq) => addressChange({ resource, changes }, { seq }))).toEqual([
      { before: 'a@x.example' },
      undefined,
    ]);
  });
});
