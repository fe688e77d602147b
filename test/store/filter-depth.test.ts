/** SQLite takes expressions nested to a hundred levels: a filter is refused before that, however it nests. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Idp, newIdp } from '../support/client';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('deep');
  await idp.user('ada@x.example', { emails: [{ value: 'ada@x.example', type: 'work' }] });
});

describe.each<[string, (n: number) => string]>([
  ['not', (n) => `${'not ('.repeat(n)}title eq "x"${')'.repeat(n)}`],
  ['not inside of an element', (n) => `emails[${'not ('.repeat(n)}value eq "x"${')'.repeat(n)}]`],
  ['not around an element', (n) => `${'not ('.repeat(n)}emails[type eq "work" and not (value eq "x")]${')'.repeat(n)}`],
  ['not and "and" by turns', (n) => `${'(title eq "a" and not '.repeat(n)}(title eq "x")${')'.repeat(n)}`],
  ['not inside of a group', (n) => `groups[${'not ('.repeat(n)}type eq "x"${')'.repeat(n)}]`],
  ['not around a group', (n) => `${'not ('.repeat(n)}groups[display co "x" and not (type eq "x")]${')'.repeat(n)}`],
  ['not around the manager', (n) => `${'not ('.repeat(n)}manager.$ref ne "x"${')'.repeat(n)}`],
  ['"or" in brackets', (n) => `${'(emails eq "a" or '.repeat(n)}title eq "x"${')'.repeat(n)}`],
])('a filter of many levels of %s', (_, filter) => {
  it.each([{}, { sortBy: 'emails' }, { sortBy: 'userName' }])('is answered or refused, with %o', async (more) => {
    for (const depth of [1, 5, 8]) {
      const { status } = await idp.get(`/Users?${new URLSearchParams({ filter: filter(depth), ...more })}`);
      expect(status, `${depth}`).toBe(200);
    }
    for (const depth of [12, 15, 18, 20, 22, 24, 25, 26, 27, 28, 32, 34, 36, 37, 38, 40, 49, 50, 51, 100]) {
      // Across types there stands more around it.
      const { status, body } = await idp.get(`/?${new URLSearchParams({ filter: filter(depth), ...more })}`);
      if (status !== 200 && body.scimType !== 'tooMany')
        expect([status, body.scimType], `${depth}`).toEqual([400, 'invalidFilter']);
    }
  });
});
