/** The core User schema (RFC 7643 §4.1, §8.7.1). */

import { type Attribute, attribute, type Schema } from '../attribute';
import { USER } from '../urns';

/** A string without further rules. */
const text = (name: string, description: string) => attribute(name, 'string', description);

/** A string sub-attribute, the value of most plural attributes. */
const value = (description: string) => text('value', description);

const primary = (of: string) => attribute('primary', 'boolean', `Whether this is the preferred one of the ${of}`);

/** A type label; `types` are suggestions, other labels are allowed (RFC 7643 §7, canonicalValues). */
const label = (types?: readonly string[]) =>
  attribute('type', 'string', 'What it is used for', types ? { canonicalValues: types } : {});

/** A plural attribute in the usual shape: value, display, type, primary (RFC 7643 §2.4). */
function plural(name: string, description: string, value: Attribute, types?: readonly string[]): Attribute {
  return attribute(name, 'complex', description, {
    multiValued: true,
    subAttributes: [value, text('display', 'Readable form of the value'), label(types), primary(name)],
  });
}

const name = attribute('name', 'complex', "The parts of the person's name", {
  subAttributes: [
    text('formatted', 'Full name, ready for display'),
    text('familyName', 'Family name, or last name'),
    text('givenName', 'Given name, or first name'),
    text('middleName', 'Middle names'),
    text('honorificPrefix', 'Title before the name, such as Ms.'),
    text('honorificSuffix', 'Suffix after the name, such as III'),
  ],
});

/** Not the usual shape: an address has parts in place of a value. `primary` is in §2.4, though §8.7.1 leaves it out. */
const addresses = attribute('addresses', 'complex', 'Postal addresses', {
  multiValued: true,
  subAttributes: [
    text('formatted', 'Whole address, ready for a label; may have line breaks'),
    text('streetAddress', 'Street, house number, box; may have line breaks'),
    text('locality', 'City or town'),
    text('region', 'State, province or region'),
    text('postalCode', 'Postal code'),
    text('country', 'Country, as an ISO 3166-1 alpha-2 code'),
    label(['work', 'home', 'other']),
    primary('addresses'),
  ],
});

/** Membership is changed at the group, so the user only shows it (RFC 7643 §4.1.2). */
const groups = attribute('groups', 'complex', 'Groups the user belongs to, directly or through another group', {
  multiValued: true,
  mutability: 'readOnly',
  subAttributes: [
    attribute('value', 'string', 'Identifier of the group', { mutability: 'readOnly' }),
    attribute('$ref', 'reference', 'URI of the group', {
      mutability: 'readOnly',
      referenceTypes: ['User', 'Group'],
      endpoints: ['Groups'],
    }),
    attribute('display', 'string', 'Name of the group', { mutability: 'readOnly' }),
    attribute('type', 'string', 'How the user belongs to the group', {
      mutability: 'readOnly',
      canonicalValues: ['direct', 'indirect'],
    }),
  ],
});

export const userSchema: Schema = {
  id: USER,
  name: 'User',
  description: 'User account',
  attributes: [
    attribute('userName', 'string', 'Name the user signs in with', { required: true, uniqueness: 'server' }),
    name,
    text('displayName', 'Name shown to other people'),
    text('nickName', 'Casual name'),
    attribute('profileUrl', 'reference', "Page with the user's profile", { referenceTypes: ['external'] }),
    text('title', 'Job title'),
    text('userType', 'Relation to the organization, such as Employee or Contractor'),
    text('preferredLanguage', 'Languages the user reads, as in an Accept-Language header'),
    text('locale', 'Locale for dates, numbers and currency, as a language tag'),
    text('timezone', 'Time zone, as an IANA name'),
    attribute('active', 'boolean', 'Whether the user may sign in'),
    attribute('password', 'string', 'New clear-text password; never shown', {
      mutability: 'writeOnly',
      returned: 'never',
    }),
    plural('emails', 'Email addresses', value('Email address'), ['work', 'home', 'other']),
    plural('phoneNumbers', 'Phone numbers', value('Phone number'), ['work', 'home', 'mobile', 'fax', 'pager', 'other']),
    plural('ims', 'Instant messaging addresses', value('Instant messaging address'), [
      'aim',
      'gtalk',
      'icq',
      'xmpp',
      'msn',
      'skype',
      'qq',
      'yahoo',
    ]),
    plural(
      'photos',
      'Pictures of the user',
      attribute('value', 'reference', 'URL of the picture', { referenceTypes: ['external'] }),
      ['photo', 'thumbnail'],
    ),
    addresses,
    groups,
    plural('entitlements', 'Things the user is entitled to', value('Entitlement')),
    plural('roles', 'Roles the user has', value('Role')),
    plural(
      'x509Certificates',
      'X.509 certificates of the user',
      attribute('value', 'binary', 'Certificate in DER, base64-encoded'),
    ),
  ],
};
