/** Two identity providers, as far as the demo needs them: the requests that their SCIM clients really make. */

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

const eq = (attribute, value) => encodeURIComponent(`${attribute} eq "${value}"`);
const patch = (...operations) => ({ schemas: [PATCH], Operations: operations });

/** A client of one org: `send(method, path, body)` -> { status, body }. */
function client({ baseUrl, token }, headers) {
  return async (method, path, body) => {
    const answer = await fetch(baseUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/scim+json',
        ...(body !== undefined && { 'content-type': 'application/scim+json; charset=utf-8' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : undefined };
  };
}

/** Okta, an app of its catalogue: whole objects by PUT, activation by a PATCH without a path. */
export function okta(org) {
  const send = client(org, { 'user-agent': 'Okta SCIM Client 1.0.0', 'accept-charset': 'utf-8' });
  return {
    test: () => send('GET', '/Users?startIndex=1&count=2'),
    find: (userName) => send('GET', `/Users?filter=${eq('userName', userName)}&startIndex=1&count=100`),
    create: ({ userName, givenName, familyName, externalId }) =>
      send('POST', '/Users', {
        schemas: [USER],
        userName,
        name: { givenName, familyName },
        emails: [{ primary: true, value: userName, type: 'work' }],
        displayName: `${givenName} ${familyName}`,
        locale: 'en-US',
        externalId,
        groups: [],
        password: '1mz050nq',
        active: true,
      }),
    get: (id) => send('GET', `/Users/${id}`),
    /** What the server said it has, with the changes merged in: `id`, `meta` and `groups` travel back as well. */
    replace: (user) => send('PUT', `/Users/${user.id}`, { groups: [], ...user }),
    setActive: (id, active) => send('PATCH', `/Users/${id}`, patch({ op: 'replace', value: { active } })),
  };
}

/** Entra ID in its default dialect: capital operators, booleans as strings, elements addressed by their type. */
export function entra(org) {
  const send = client(org);
  return {
    test: () => send('GET', `/Users?filter=${eq('userName', crypto.randomUUID())}`),
    find: (userName) => send('GET', `/Users?filter=${eq('userName', userName)}`),
    create: ({ userName, givenName, familyName, externalId }) =>
      send('POST', '/Users', {
        schemas: [USER, ENTERPRISE],
        externalId,
        userName,
        active: true,
        addresses: null,
        displayName: `${givenName} ${familyName}`,
        emails: [{ primary: true, type: 'work', value: userName }],
        meta: { resourceType: 'User' },
        name: { formatted: `${givenName} ${familyName}`, givenName, familyName },
        roles: [],
      }),
    get: (id) => send('GET', `/Users/${id}`),
    update: (id, { displayName, mobile, department }) =>
      send(
        'PATCH',
        `/Users/${id}`,
        patch(
          { op: 'Replace', path: 'displayName', value: displayName },
          { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: mobile },
          { op: 'Add', path: `${ENTERPRISE}:department`, value: department },
        ),
      ),
    setActive: (id, active) =>
      send('PATCH', `/Users/${id}`, patch({ op: 'Replace', path: 'active', value: active ? 'True' : 'False' })),
    delete: (id) => send('DELETE', `/Users/${id}`),
    departmentOf: (user) => user[ENTERPRISE]?.department,
  };
}
