import { describe, expect, it } from 'vitest';
import { pathName, resolveAttribute, target, within } from '../../src/scim/path';
import { userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER, GROUP, USER } from '../../src/scim/urns';

const found = (text: string) => resolveAttribute(userType, text)?.map((attribute) => attribute.name);

describe('a name means an attribute', () => {
  it.each<[string, string, string[]]>([
    ['an attribute', 'userName', ['userName']],
    ['in another case', 'USERNAME', ['userName']],
    ['a common attribute', 'meta.LastModified', ['meta', 'lastModified']],
    ['a sub-attribute', 'name.givenName', ['name', 'givenName']],
    ['a sub-attribute of a list', 'emails.value', ['emails', 'value']],
    ['a sub-attribute with a dollar sign', 'groups.$ref', ['groups', '$ref']],
    ['with the core URN', `${USER}:userName`, ['userName']],
    ['a sub-attribute with the core URN', `${USER}:name.familyName`, ['name', 'familyName']],
    ['with the core URN in another case', `${USER.toUpperCase()}:USERNAME`, ['userName']],
    ['a common attribute with the core URN', `${USER}:externalId`, ['externalId']],
    ['an extension', ENTERPRISE_USER, [ENTERPRISE_USER]],
    ['an extension in another case', ENTERPRISE_USER.toUpperCase(), [ENTERPRISE_USER]],
    ['an attribute of an extension', `${ENTERPRISE_USER}:department`, [ENTERPRISE_USER, 'department']],
    ['a sub-attribute of an extension', `${ENTERPRISE_USER}:manager.value`, [ENTERPRISE_USER, 'manager', 'value']],
    ['an attribute of an extension without its URN, as Entra ID asks', 'manager', [ENTERPRISE_USER, 'manager']],
    ['the same with a sub-attribute', 'Manager.Value', [ENTERPRISE_USER, 'manager', 'value']],
    ['a core name before an extension name', 'displayName', ['displayName']],
  ])('%s', (_, text, names) => {
    expect(found(text)).toEqual(names);
  });
});

describe('a name means nothing', () => {
  it.each([
    ['empty', ''],
    ['unknown', 'shoeSize'],
    ['an unknown sub-attribute', 'name.shoeSize'],
    ['a sub-attribute of a string', 'userName.value'],
    ['three levels', 'emails.value.x'],
    ['a dot at the end', 'name.'],
    ['a dot at the beginning', '.name'],
    ['white space', ' userName'],
    ['the URN of another type', `${GROUP}:displayName`],
    ['the core URN without a name', `${USER}:`],
    ['an extension URN with an unknown name', `${ENTERPRISE_USER}:shoeSize`],
    ['an extension URN with an empty name', `${ENTERPRISE_USER}:`],
    ['an extension URN with something else behind it', `${ENTERPRISE_USER}X:department`],
    ['a core name under an extension URN', `${ENTERPRISE_USER}:userName`],
    ['an extension name under the core URN', `${USER}:department`],
    ['a member that every object has', 'constructor'],
    ['the prototype', '__proto__'],
  ])('%s', (_, text) => {
    expect(found(text)).toBeUndefined();
  });
});

it('a name is found again under what a detail calls it', () => {
  const paths = userType.attributes.flatMap((attribute) => [
    attribute.name,
    ...(attribute.subAttributes ?? []).flatMap((sub) => {
      const inner = `${attribute.name}${attribute.name.startsWith('urn:') ? ':' : '.'}${sub.name}`;
      return [inner, ...(sub.subAttributes ?? []).map(({ name }) => `${inner}.${name}`)];
    }),
  ]);
  expect(paths.length).toBeGreaterThan(80);
  expect(paths.map((path) => pathName(resolveAttribute(userType, path)!))).toEqual(paths);
});

it('inside a value filter, names are those of the sub-attributes', () => {
  const emails = target(resolveAttribute(userType, 'emails')!);
  expect(within(emails.subAttributes, 'TYPE')?.map(({ name }) => name)).toEqual(['type']);
  expect(within(emails.subAttributes, 'emails.type')).toBeUndefined();
  expect(within(undefined, 'type')).toBeUndefined();
});
