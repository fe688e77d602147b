/**
 * The RFCs' own examples of users: what a client sends in them is accepted, and becomes what they print. All others are
 * requests and answers of a server: routes/rfc-examples.test.ts, which also sees to it that none is forgotten.
 */
/// <reference types="vite/types/importMeta.d.ts" />
import { describe, expect, it } from 'vitest';
import { applyPatch } from '../../src/scim/patch/apply';
import { parsePatch } from '../../src/scim/patch/parse';
import type { Quirks } from '../../src/scim/quirks';
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
    const quirks: Quirks = new Set();
    expect(readResource(userType, body, quirks)).toEqual(given(body));
    expect([...quirks]).toEqual([]);
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
    const quirks: Quirks = new Set();
    expect(applyPatch(userType, before, parsePatch(body, quirks), quirks)).toEqual(outcomes[file]);
    expect([...quirks]).toEqual([]);
  });
});
