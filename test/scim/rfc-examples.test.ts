/** The RFCs' own examples of users: what a client sends in them is accepted, and becomes what they print. */
/// <reference types="vite/types/importMeta.d.ts" />
import { describe, expect, it } from 'vitest';
import { applyPatch } from '../../src/scim/patch/apply';
import { parsePatch } from '../../src/scim/patch/parse';
import type { Bends } from '../../src/scim/quirks';
import type { JsonObject, Resource } from '../../src/scim/resource';
import { userType } from '../../src/scim/schema/types';
import { readResource } from '../../src/scim/validate';

interface Example {
  readonly source: string;
  readonly title: string;
  readonly kind: string;
  readonly method?: string;
  readonly path?: string;
  readonly body: JsonObject;
}

const files = import.meta.glob<Example>('../rfc/*.json', { eager: true, import: 'default' });
const named = Object.entries(files).map(([path, example]) => [path.slice('../rfc/'.length), example] as const);
const isUser = ([, { body }]: (typeof named)[number]) =>
  Array.isArray(body['schemas']) && body['schemas'].includes(userType.schema.id);
const isUserPatch = ([, { method, path, kind }]: (typeof named)[number]) =>
  method === 'PATCH' && kind === 'request' && path?.startsWith('/Users') === true;

/** What the service makes itself; the rest of an example must come through as it is printed. */
function given(body: JsonObject): Resource {
  const { schemas: _, id: __, meta: ___, groups: ____, password: _____, ...rest } = structuredClone(body);
  const manager = Object.values(rest).find(
    (value) => value !== null && typeof value === 'object' && 'manager' in value,
  ) as { manager: JsonObject } | undefined;
  if (manager) manager.manager = { value: manager.manager['value']! }; // $ref and displayName are supplied
  if (Array.isArray(rest['roles']) && rest['roles'].length === 0) delete rest['roles']; // an empty list is unassigned
  return rest;
}

describe('a user as the RFCs print it is accepted', () => {
  const users = named.filter(isUser).filter(([, { body }]) => body['userName'] !== undefined);

  it('and there are such', () => {
    expect(users.length).toBeGreaterThanOrEqual(9);
  });

  it.each(users)('%s', (_, { body }) => {
    const bends: Bends = new Set();
    expect(readResource(userType, body, bends)).toEqual(given(body));
    expect([...bends]).toEqual([]);
  });
});

describe('a PATCH of a user as RFC 7644 §3.5.2 prints it does what it says', () => {
  const before: Resource = {
    userName: 'bjensen',
    nickName: 'Barbara',
    emails: [
      { value: 'bjensen@example.com', type: 'work', primary: true },
      { value: 'bjensen@example.org', type: 'work' },
    ],
    addresses: [
      { type: 'work', streetAddress: 'old', locality: 'old', primary: true },
      { type: 'home', streetAddress: 'home' },
    ],
  };
  const [work, second] = before['emails'] as JsonObject[];
  const [office, home] = before['addresses'] as JsonObject[];
  const value = (file: string) => (files[`../rfc/${file}`]!.body['Operations'] as { value: JsonObject }[])[0]!.value;
  const outcomes: Record<string, Resource> = {
    'rfc7644-3.5.2.1-add-emails.json': {
      ...before,
      nickName: 'Babs',
      emails: [work!, second!, { value: 'babs@jensen.org', type: 'home' }],
    },
    'rfc7644-3.5.2.2-remove-email-by-filter.json': { ...before, emails: [second!] },
    'rfc7644-3.5.2.3-replace-emails.json': {
      ...before,
      nickName: 'Babs',
      emails: value('rfc7644-3.5.2.3-replace-emails.json')['emails']!,
    },
    'rfc7644-3.5.2.3-replace-street-address.json': {
      ...before,
      addresses: [{ ...office, streetAddress: '1010 Broadway Ave' }, home!],
    },
    'rfc7644-3.5.2.3-replace-work-address.json': {
      ...before,
      addresses: [value('rfc7644-3.5.2.3-replace-work-address.json'), home!],
    },
  };
  const patches = named.filter(isUserPatch);

  it('and each of them is here', () => {
    expect(patches.map(([file]) => file).sort()).toEqual(Object.keys(outcomes).sort());
  });

  it.each(patches)('%s', (file, { body }) => {
    const bends: Bends = new Set();
    expect(applyPatch(userType, before, parsePatch(body, bends), bends)).toEqual(outcomes[file]);
    expect([...bends]).toEqual([]);
  });
});

describe('an example of something else is left out, each for its reason', () => {
  const reasons: readonly [RegExp, string][] = [
    [/8\.4-group|3\.5\.2-patch-request|member/, 'groups'],
    [/8\.5|8\.6|8\.7|4-resource-types/, 'discovery: discovery.test.ts compares what is comparable'],
    [/bulk/, 'bulk requests'],
    [/3\.12|3\.6-deleted/, 'errors as they are answered over HTTP'],
    [/3\.4\.2|3\.4\.3-search-response/, 'lists as they are answered over HTTP'],
    [/3\.4\.3-search-request/, 'query.test.ts reads it'],
    [/3\.9-attributes-response/, 'printed without userName: the answer to a projection, not a resource'],
  ];
  const others = named.filter((one) => !isUserPatch(one) && !(isUser(one) && one[1].body['userName'] !== undefined));
  it.each(others.map(([file]) => file))('%s', (file) => {
    expect(reasons.find(([pattern]) => pattern.test(file))?.[1]).toBeDefined();
  });
});
