/** The directory that every side of the bench holds: the same people, the same group. */

export const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
export const GROUP_NAME = 'Everyone';

/** The nth person as an identity provider would send them; n starts at 0. */
export const personOf = (n, name = `person-${n}`) => ({
  schemas: [USER, ENTERPRISE],
  userName: `${name}@bench.example`,
  externalId: `hr-${name}`,
  name: { givenName: 'Person', familyName: `Number ${n}` },
  displayName: `Person Number ${n}`,
  title: 'Engineer',
  active: true,
  emails: [
    { value: `${name}@bench.example`, type: 'work', primary: true },
    { value: `home-${name}@mail.example`, type: 'home' },
  ],
  phoneNumbers: [{ value: `+1 555 ${String(n).padStart(7, '0')}`, type: 'work' }],
  [ENTERPRISE]: { employeeNumber: String(n), department: `Department ${n % 40}` },
});

/** The id of the nth person where the bench may choose it. */
export const idOf = (n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** The things in lists of at most so many. */
export function chunksOf(things, size) {
  return Array.from({ length: Math.ceil(things.length / size) }, (_, at) => things.slice(at * size, (at + 1) * size));
}
