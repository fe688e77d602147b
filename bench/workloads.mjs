/** What is asked of each side, how an answer is checked, and which ratio is the goal. */
import process from 'node:process';
import { personOf } from './directory.mjs';

const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
/** Members that one change adds or removes. */
const CHANGED = 100;

const list = (query) => `/Users?${new URLSearchParams(query)}`;
/** People all over the directory, and never the same ones twice in a row. */
const spread = ({ users }, n) => (n * 7_919 + 13) % users;
let fresh = 0;
/** Unlike the names that the filter on addresses looks for. */
export const newName = () => `new-${process.pid}-${++fresh}n`;
const patch = (...operations) => ({ schemas: [PATCH], Operations: operations });

const found = (side, n) => (body) =>
  body.totalResults === 1 && body.Resources.length === 1 && body.Resources[0].id === side.ids[spread(side, n)];
const page = (side) => (body) => body.Resources.length === 100 && body.totalResults >= side.users;

/**
 * Each: `request(side, n, id)` gives `[method, path, body]`, `check(side, n, id)` says of the answer's body whether it is
 * right, `status` is what is expected (200). `isConsuming`: each request takes a user of its own, made before; it is `id`.
 * `isSerial`: never several at once. `verify(side)`: a request and its check, once all is over. `growth`: whether it is compared with the small org. `goal`: at most `times` of what `of` takes.
 */
export const WORKLOADS = {
  get: {
    title: 'GET by id',
    goal: { times: 1.3, of: 'floor' },
    growth: true,
    request: (side, n) => ['GET', `/Users/${side.ids[spread(side, n)]}`],
    check: (side, n) => (body) => body.id === side.ids[spread(side, n)],
  },
  username: {
    title: 'filter userName eq',
    goal: { times: 1.4, of: 'floor' },
    growth: true,
    request: (side, n) => ['GET', list({ filter: `userName eq "${personOf(spread(side, n)).userName}"` })],
    check: found,
  },
  emails: {
    title: 'filter emails[type eq "work" and value co …]',
    goal: { times: 2, of: 'floor' },
    growth: true,
    // The text is inside one address only: the digits of a person, with what stands on both sides.
    request: (side, n) => ['GET', list({ filter: `emails[type eq "work" and value co "-${spread(side, n)}@b"]` })],
    check: found,
  },
  'first-page': {
    title: 'first page of 100',
    goal: { times: 1.6, of: 'floor' },
    growth: true,
    request: () => ['GET', list({ count: '100', startIndex: '1' })],
    check: page,
  },
  'last-page': {
    title: 'last page of 100',
    goal: { times: 1.6, of: 'floor' },
    growth: true,
    request: (side) => ['GET', list({ count: '100', startIndex: String(side.users - 99) })],
    check: page,
  },
  post: {
    title: 'POST',
    goal: { times: 1.6, of: 'full' },
    growth: true,
    status: 201,
    request: (_, n) => ['POST', '/Users', personOf(n, newName())],
    check: () => (body) => typeof body.id === 'string' && body.displayName.startsWith('Person'),
  },
  put: {
    title: 'PUT',
    goal: { times: 1.6, of: 'full' },
    growth: true,
    request: (side, n) => {
      const at = spread(side, n);
      return ['PUT', `/Users/${side.ids[at]}`, { ...personOf(at), title: `Title ${++fresh}` }];
    },
    check: (side, n) => (body) => body.id === side.ids[spread(side, n)] && /^Title \d+$/.test(body.title),
  },
  delete: {
    title: 'DELETE',
    goal: { times: 1.4, of: 'full' },
    growth: true,
    isConsuming: true,
    status: 204,
    request: (_, __, id) => ['DELETE', `/Users/${id}`],
    check: () => (body) => body === undefined,
  },
  'patch-active': {
    title: 'PATCH active',
    goal: { times: 1.4, of: 'full' },
    growth: true,
    isConsuming: true,
    request: (_, __, id) => ['PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'active', value: false })],
    check: (_, __, id) => (body) => body.id === id && body.active === false,
  },
  group: {
    title: 'group without members',
    goal: { times: 1.3, of: 'floor' },
    growth: true,
    request: (side) => ['GET', `/Groups/${side.group}?excludedAttributes=members`],
    check: (side) => (body) => body.id === side.group && body.members === undefined,
  },
  'group-members': {
    title: 'group with all members',
    goal: { times: 2, of: 'floor' },
    request: (side) => ['GET', `/Groups/${side.group}`],
    check: (side) => (body) => body.id === side.group && body.members.length === side.members,
  },
  'group-change': {
    title: `group +${CHANGED} / −${CHANGED}`,
    goal: { times: 1.6, of: 'full' },
    growth: true,
    isSerial: true,
    status: [200, 204],
    // In turn, so that the group keeps its size; those who were added last are removed.
    request: (side, n) => {
      const value = side.ids.slice(side.members, side.members + CHANGED).map((id) => ({ value: id }));
      return ['PATCH', `/Groups/${side.group}`, patch({ op: n % 2 === 0 ? 'add' : 'remove', path: 'members', value })];
    },
    check: () => () => true,
    verify: (side) => [...WORKLOADS['group-members'].request(side), WORKLOADS['group-members'].check(side)],
  },
  config: {
    title: 'ServiceProviderConfig',
    goal: { times: 1, of: 'get' },
    request: () => ['GET', '/ServiceProviderConfig'],
    check: () => (body) => body.patch.supported === true,
  },
};
