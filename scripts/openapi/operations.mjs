/** What each route does, in a few words, and what it answers. The rest of docs/openapi.yaml comes from the code. */
import { list, ref } from './schemas.mjs';

/** @param answer a schema; absent: JSON that is not described further. */
const says = (summary, answer, status = 200) => ({ summary, answer, status });

const ORG = '/admin/v1/orgs/{slug}';
const credentials = (path, noun, name) => ({
  [`GET ${path}`]: says(`List the ${noun}s, masked, with their last use.`, list(ref('Credential'))),
  [`POST ${path}`]: says(`Issue a ${noun}. The secret is shown this once.`, ref(`Issued${name}`), 201),
  [`POST ${path}/rotate`]: says(
    `Replace the ${noun}. The old one keeps working for the grace period.`,
    ref(`Rotated${name}`),
    201,
  ),
  [`POST ${path}/cancel`]: says(`Go back to the old ${noun}; the new one is dead.`, ref('EndedGrace')),
  [`POST ${path}/complete`]: says(`End the grace period of the old ${noun} now.`, ref('EndedGrace')),
  [`DELETE ${path}`]: says(`Revoke every ${noun}.`, ref(`Revoked${name}s`)),
});

export const OPERATIONS = {
  'GET /health': says('Whether the service is set up correctly, and how far KV is behind.', ref('Health')),
  'GET /admin/v1/orgs': says('List the orgs, by slug.', list(ref('Org'))),
  'POST /admin/v1/orgs': says('Create an org. SCIM is off.', ref('Org'), 201),
  [`GET ${ORG}`]: says('Show an org.', ref('Org')),
  [`PATCH ${ORG}`]: says('Change settings. Values are text; `none` is the default.', ref('Org')),
  [`DELETE ${ORG}`]: says('Delete an org with all its data.', ref('DeletedOrg')),
  [`POST ${ORG}/scim`]: says('Turn SCIM on or off.', ref('Org')),
  [`POST ${ORG}/disable`]: says('Switch an org off: all sessions end.', ref('Org')),
  [`POST ${ORG}/enable`]: says('Switch an org on again.', ref('Org')),
  [`POST ${ORG}/sign-out`]: says('End all sessions of an org.', ref('Org')),
  [`POST ${ORG}/move`]: says(
    'Move an org to another database, or say what that would take (`dryRun`).',
    undefined,
    202,
  ),
  [`GET ${ORG}/move`]: says('Where the org is, and how far its latest move is.'),
  [`DELETE ${ORG}/move`]: says('Stop the move; after it, take the org back.', undefined, 202),
  'GET /admin/v1/shards': says('List the databases that orgs are spread over.'),
  ...credentials(`${ORG}/tokens`, 'token', 'Token'),
  ...credentials(`${ORG}/basic`, 'password', 'Password'),
  ...credentials(`${ORG}/oauth/clients/{client}`, 'client secret', 'ClientSecret'),
  [`GET ${ORG}/oauth/clients`]: says('List the OAuth clients.', list(ref('OAuthClient'))),
  [`POST ${ORG}/oauth/clients`]: says('Create an OAuth client.', ref('NewOAuthClient'), 201),
  [`GET ${ORG}/oauth/clients/{client}`]: says('Show an OAuth client.', ref('OAuthClientWithAddresses')),
  [`DELETE ${ORG}/oauth/clients/{client}`]: says(
    'Delete an OAuth client with its secrets and tokens.',
    ref('DeletedOAuthClient'),
  ),
  [`POST ${ORG}/oauth/approvals`]: says('Make the code with which a person approves a client.', ref('Approval'), 201),
  [`POST ${ORG}/export`]: says('Begin an export.'),
  [`GET ${ORG}/export`]: says('The next lines of an export.'),
  [`POST ${ORG}/import`]: says('Begin or continue an import.', undefined, 201),
  [`POST ${ORG}/import/lines`]: says('Import some lines.'),
  [`POST ${ORG}/import/check`]: says('Check some lines. Nothing is written.'),
  [`POST ${ORG}/import/finish`]: says('Finish an import.'),
  [`GET ${ORG}/refusals`]: says(
    'Rejected requests of the last 30 days, the latest first.',
    list(ref('RejectedRequest')),
  ),
  [`GET ${ORG}/held-deactivations`]: says(
    'The deactivation limit, and which users it holds.',
    ref('DeactivationLimit'),
  ),
  [`POST ${ORG}/held-deactivations/release`]: says('Carry out held deactivations.'),
  [`POST ${ORG}/held-deactivations/reject`]: says('Refuse held deactivations for a while.'),
  [`GET ${ORG}/signals`]: says('List the issuers that may end sessions by signals.'),
  [`POST ${ORG}/signals`]: says('Let an issuer end sessions by signals.', undefined, 201),
  [`GET ${ORG}/signals/{source}`]: says('Show an issuer of signals.'),
  [`POST ${ORG}/signals/{source}/pause`]: says('Let signals of an issuer wait.'),
  [`POST ${ORG}/signals/{source}/resume`]: says(
    'Go on with an issuer of signals, or enter new credentials for its poll.',
  ),
  [`DELETE ${ORG}/signals/{source}`]: says('Remove an issuer of signals.'),
  [`GET ${ORG}/events`]: says('The journal.', ref('AdminEvents')),
  [`GET ${ORG}/health`]: says('How provisioning is doing, with advice.'),
  [`GET ${ORG}/users`]: says('List the users. Takes `filter` and the other SCIM parameters.'),
  [`GET ${ORG}/users/{user}`]: says('Show a user.'),
  [`GET ${ORG}/users/{user}/history`]: says('What happened to a user, in sentences.'),
  [`POST ${ORG}/users/{user}/erase`]: says('Erase the personal data of a user.', ref('Erased')),
  [`POST ${ORG}/users/{id}/restore`]: says('Bring back a deleted user.'),
  [`POST ${ORG}/users/{user}/protect`]: says('Protect a user from the identity provider.', ref('Protected')),
  [`POST ${ORG}/users/{user}/unprotect`]: says('End the protection of a user.', ref('Protected')),
  [`POST ${ORG}/users/{user}/sign-out`]: says('End all sessions of a user.', ref('SignedOut')),
  [`POST ${ORG}/users/import`]: says('Import existing accounts.'),
  [`GET ${ORG}/users/link-preview`]: says('By what each unlinked account would be adopted.'),
  [`POST ${ORG}/users/link-preview`]: says('What would become of these users of an identity provider.'),
  [`GET ${ORG}/offboarding`]: says('The steps of offboarding, and which are done.'),
  [`GET ${ORG}/offboarding/users`]: says('The users that offboarding deactivates.'),
  [`POST ${ORG}/offboarding/deactivate`]: says('Deactivate the next 200 of them.'),
  [`GET ${ORG}/groups`]: says('List the groups. Takes `filter` and the other SCIM parameters.'),
  [`GET ${ORG}/groups/{group}`]: says('Show a group.'),
  [`PUT ${ORG}/groups/{group}/permissions`]: says('Set the permissions of a group.'),
  [`GET ${ORG}/schemas`]: says('List the schemas of an org.'),
  [`POST ${ORG}/schemas`]: says('Add or extend a schema (RFC 7643 §7).', undefined, 201),
  [`GET ${ORG}/schemas/{urn}`]: says('Show a schema.'),
  [`DELETE ${ORG}/schemas/{urn}`]: says('Remove a schema with all its values.'),
  [`GET ${ORG}/sessions/check`]: says('Whether a session is valid.'),
  [`GET ${ORG}/sessions/pending`]: says('Revocations that have not reached KV yet.', ref('Pending')),
  'POST /sessions/v1/check': says('Whether a session is valid, now.', ref('Check')),
  'POST /sessions/v1/may-act': says('Whether a user may act now: for keys, which outlive sessions.', ref('MayAct')),
  'POST /sessions/v1/discover': says('The orgs that have verified the domain of an address.', ref('Discovered')),
  'GET /sessions/v1/users': says('The users of an org, page by page.', ref('UsersPage')),
  'GET /sessions/v1/groups': says('The groups of an org, page by page.', ref('GroupsPage')),
  'GET /sessions/v1/memberships': says('Who is directly in which group, page by page.', ref('MembershipsPage')),
  'GET /sessions/v1/changes': says(
    'Users and groups that have changed since `after`, as they are now.',
    ref('Changes'),
  ),
  'GET /admin/v1/hosts': says('List the tokens of your applications, masked.'),
  'POST /admin/v1/hosts': says('Make a token for an application. It is shown once.', undefined, 201),
  'POST /admin/v1/hosts/{name}/rotate': says('Replace the token of an application.', undefined, 201),
  'DELETE /admin/v1/hosts/{name}': says('Remove an application and its tokens.'),
  'GET /admin/v1/webhooks': says(
    'List the webhooks, all or those that get the events of one org.',
    list(ref('Webhook')),
  ),
  'POST /admin/v1/webhooks': says('Post events to an address. The secret is shown once.', ref('NewWebhook'), 201),
  'GET /admin/v1/webhooks/{id}': says('Show a webhook, and how its delivery goes.', ref('Webhook')),
  'DELETE /admin/v1/webhooks/{id}': says('Remove a webhook.'),
  'POST /admin/v1/webhooks/{id}/test': says('Send one message now.', ref('WebhookTest')),
  'POST /admin/v1/webhooks/{id}/rotate-secret': says('Replace the secret. Both sign for a while.', ref('NewWebhook')),
  'POST /admin/v1/webhooks/{id}/disable': says('Send nothing for now.', ref('Webhook')),
  'POST /admin/v1/webhooks/{id}/enable': says('Send again what has not been delivered.', ref('Webhook')),
  'POST /admin/v1/webhooks/{id}/replay': says('Send the events of an org once more, beginning with one.'),
  'POST /sessions/v1/resolve': says(
    'Who a user is, and whether they may sign in. Give one of id, userName, email, externalId.',
    ref('Resolved'),
  ),
  'GET /sessions/v1/events': says('The journal, after a number.', ref('Events')),
  'GET /sessions/v1/stream': says(
    'The revocation stream: docs/stream.md. Needs a WebSocket handshake.',
    undefined,
    101,
  ),
  'POST /oauth/token': says('Issue an access token (RFC 6749).', ref('AccessToken')),
  'POST /oauth/revoke': says('Revoke a token (RFC 7009).'),
  'GET /oauth/authorize': says('The page on which a person approves a client (RFC 6749 §4.1).'),
  'POST /oauth/authorize': says('The answer of that person.', undefined, 302),
  'GET /.well-known/oauth-authorization-server': says('Metadata (RFC 8414).', ref('Metadata')),
};

const form = (properties, required) => ({ type: 'object', properties, required });
const text = { type: 'string' };

/** Bodies of forms, which have no zod schema. */
export const FORMS = {
  'POST /oauth/token': form(
    {
      grant_type: { type: 'string', enum: ['client_credentials', 'authorization_code', 'refresh_token'] },
      client_id: text,
      client_secret: text,
      client_assertion: text,
      client_assertion_type: { const: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
      code: text,
      redirect_uri: text,
      code_verifier: text,
      refresh_token: text,
      scope: text,
    },
    ['grant_type'],
  ),
  'POST /oauth/revoke': form({ token: text, token_type_hint: text, client_id: text, client_secret: text }, ['token']),
};

/** Queries that are read without a schema. */
export const QUERIES = {
  'GET /sessions/v1/users': ['org', 'active', 'cursor', 'limit'],
  'GET /sessions/v1/groups': ['org', 'cursor', 'limit'],
  'GET /sessions/v1/memberships': ['org', 'cursor', 'limit'],
  'GET /sessions/v1/changes': ['org', 'after', 'limit'],
  [`GET ${ORG}/users`]: ['filter', 'startIndex', 'count', 'sortBy', 'cursor'],
  [`GET ${ORG}/groups`]: ['filter', 'startIndex', 'count', 'sortBy', 'cursor'],
  'GET /oauth/authorize': [
    'response_type',
    'client_id',
    'redirect_uri',
    'state',
    'scope',
    'code_challenge',
    'code_challenge_method',
  ],
};
