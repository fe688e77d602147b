/** What the APIs answer, as JSON Schema: the components of docs/openapi.yaml. A test compares them with real answers. */

const text = { type: 'string' };
const number = { type: 'integer' };
const boolean = { type: 'boolean' };
const instant = { type: 'string', format: 'date-time' };
const orNull = (schema) => ({ ...schema, type: [schema.type, 'null'] });
const validAfter = {
  validAfter: { ...orNull(instant), description: 'Sessions that were issued until then are over.' },
  notBefore: { ...orNull(instant), deprecated: true, description: 'The former name of validAfter.' },
};
export const list = (items) => ({ type: 'array', items });
export const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
/** Every member is there, and no other. @param optional members that may be absent. */
const object = (properties, optional = {}) => ({
  type: 'object',
  properties: { ...properties, ...optional },
  required: Object.keys(properties),
  additionalProperties: false,
});
export const anything = { type: 'object', additionalProperties: true };

const published = {
  type: 'boolean',
  description: 'Whether KV has the change. If not, it is retried until KV acknowledges it.',
};

const credential = {
  mask: text,
  generation: number,
  state: { type: 'string', enum: ['current', 'grace', 'replaced', 'expired', 'revoked'] },
  createdAt: instant,
  createdBy: text,
  validUntil: orNull(instant),
  graceUntil: orNull(instant),
  replacedAt: orNull(instant),
  replacedBy: orNull(text),
  revokedAt: orNull(instant),
  revokedBy: orNull(text),
  lastUsedAt: orNull(instant),
  lastUsedClient: orNull(text),
  lastUsedAddress: orNull(text),
  warnings: list(text),
};

const secret = { ...text, description: 'The secret. It is shown this once.' };
/** What issuing, rotating and revoking one kind of credential answers. */
const issued = (name, members) => ({
  [`Issued${name}`]: object({ ...members, ...credential }),
  [`Rotated${name}`]: object({
    ...members,
    ...credential,
    predecessor: ref('Credential'),
    killed: { anyOf: [ref('Credential'), { type: 'null' }] },
  }),
  [`Revoked${name}s`]: object({
    revoked: number,
    [`${Object.keys(members).at(-1)}s`]: list(ref('Credential')),
  }),
});

const client = {
  clientId: text,
  name: text,
  redirectUris: list(text),
  assertion: { ...anything, type: ['object', 'null'], description: 'Public keys, or who signs; null with a secret.' },
  secrets: list(ref('Credential')),
  createdAt: instant,
  createdBy: text,
  lastUsedAt: orNull(instant),
};
const addresses = { scimBaseUrl: text, issuer: text, authorizeUrl: text, tokenUrl: text, revokeUrl: text };

const event = {
  seq: number,
  at: instant,
  type: text,
  actor: text,
  target: orNull(text),
  requestId: text,
  details: anything,
};
/** Why sessions ended: the cause, and who or what it was. */
const endedBy = { ...anything };
const page = {
  next: { ...number, description: 'Ask after this number next. There is more while it is smaller than `current`.' },
  current: { ...number, description: "The org's latest event." },
  pruned: { ...number, description: 'Events up to this number may be gone by their age.' },
};

const org = object({ id: text, slug: text });
/** A user, as each answer of the sessions API shows one. */
const person = {
  id: text,
  userName: text,
  externalId: orNull(text),
  displayName: orNull(text),
  name: { ...anything, type: ['object', 'null'] },
  emails: list(anything),
  active: boolean,
  authentication: { type: 'string', enum: ['sso', 'password-setup'] },
  groups: list(object({ id: text, displayName: text })),
  roles: list(text),
  permissions: list(text),
  version: number,
};
const paged = {
  org: org,
  asOfSeq: { ...number, description: "The org's latest event when this was true: ask `changes` after it." },
  cursor: { ...orNull(text), description: 'For the next page; null: this is the last one.' },
};
const role = object({ id: text, displayName: text, externalId: orNull(text), permissions: list(text) });

const webhook = {
  id: text,
  org: { type: ['string', 'null'], description: 'The slug; null: all orgs.' },
  url: text,
  types: list(text),
  mask: text,
  previousSecretUntil: orNull(instant),
  createdAt: instant,
  createdBy: text,
  disabledAt: orNull(instant),
  disabled: { type: 'integer', description: 'Of how many orgs nothing is sent.' },
  failing: { type: 'integer', description: 'Of how many orgs the latest message failed.' },
  delivery: {
    type: ['object', 'null'],
    description: 'In the org of the webhook, or in the one that was asked about.',
    properties: {
      seq: number,
      behind: number,
      deliveredAt: orNull(instant),
      failures: number,
      failingSince: orNull(instant),
      lastError: orNull(text),
      nextAttemptAt: orNull(instant),
      disabledAt: orNull(instant),
      disabledWhy: { type: ['string', 'null'], enum: ['operator', 'failing', 'gone', null] },
    },
  },
};

export const SCHEMAS = {
  Webhook: object(webhook),
  NewWebhook: object({ ...webhook, secret: text }),
  WebhookTest: object({
    id: text,
    messageId: text,
    delivered: boolean,
    status: orNull(number),
    error: orNull(text),
    milliseconds: number,
  }),
  Error: object({
    error: { ...text, description: 'A word for programs: not_found, conflict, invalidValue, …' },
    detail: { ...text, description: 'A sentence for people: what was expected.' },
  }),
  Org: object(
    {
      id: text,
      slug: text,
      name: text,
      scimEnabled: boolean,
      disabledAt: orNull(instant),
      ...validAfter,
      scimBaseUrl: text,
      settings: { ...anything, description: 'The settings that are set: docs/settings.md.' },
      users: number,
      activeUsers: number,
      storage: object({ used: number, limit: number }),
      createdAt: instant,
      notices: list(text),
    },
    { published },
  ),
  DeletedOrg: object({ deleted: text, id: text, users: number }),
  Credential: object(credential),
  ...issued('Token', { token: secret }),
  ...issued('Password', { userName: text, password: secret }),
  ...issued('ClientSecret', { clientSecret: secret }),
  EndedGrace: object({ ...credential, dead: ref('Credential') }),
  OAuthClient: object(client),
  OAuthClientWithAddresses: object({ ...client, ...addresses }),
  NewOAuthClient: object({
    clientSecret: { ...orNull(text), description: 'The secret, shown this once; null for a client that signs.' },
    ...client,
    ...addresses,
  }),
  DeletedOAuthClient: object({ deleted: text, revoked: number }),
  Approval: object({ approvalCode: text, validUntil: instant, createdBy: text, authorizeUrl: text }),
  AdminEvents: object({
    events: list(
      object(
        {
          ...event,
          credential: orNull(text),
          targetName: orNull(text),
          outcome: { type: 'string', enum: ['applied', 'partly', 'refused'] },
        },
        { endedBy },
      ),
    ),
    ...page,
  }),
  Events: object({ events: list(object(event, { endedBy })), ...page }),
  RejectedRequest: object({
    reason: text,
    hint: orNull(text),
    detail: text,
    count: number,
    firstAt: instant,
    lastAt: instant,
    client: orNull(text),
    address: orNull(text),
    mask: orNull(text),
    generation: orNull(number),
    source: orNull(object({ type: text, issuer: text })),
  }),
  SignedOut: object({ id: text, userName: text, active: boolean, ...validAfter, published }),
  Protected: object({ id: text, userName: text, protected: boolean }),
  Erased: object({ id: text, erased: { const: true }, published }),
  DeactivationLimit: object({
    isSet: boolean,
    deactivations: orNull(number),
    percentage: orNull(number),
    window: text,
    limit: orNull(number),
    used: number,
    total: number,
    open: number,
    held: list(
      object({
        user: text,
        userName: text,
        operation: { type: 'string', enum: ['deactivate', 'delete'] },
        state: { type: 'string', enum: ['held', 'rejected'] },
        since: instant,
        lastAt: instant,
        attempts: number,
        rejectedUntil: orNull(instant),
        rejectedBy: orNull(text),
      }),
    ),
    next: orNull(text),
  }),
  Pending: object({
    total: number,
    pending: list(
      object({ user: orNull(text), userName: orNull(text), since: instant, waiting: number, changes: number }),
    ),
  }),
  Check: object({
    valid: boolean,
    reason: { type: 'string', enum: ['good', 'inactive', 'revoked', 'future', 'unknown'] },
    ...validAfter,
  }),
  MayAct: object({ valid: boolean, reason: { type: 'string', enum: ['good', 'inactive', 'unknown'] } }),
  Discovered: object(
    { orgs: list(object({ id: text, slug: text, name: text, sso: { type: ['string', 'boolean', 'null'] } })) },
    { incomplete: { const: true, description: 'A database is missing, and its orgs are not named.' } },
  ),
  UsersPage: object({ ...paged, users: list(object(person)) }),
  GroupsPage: object({ ...paged, groups: list(role) }),
  MembershipsPage: object({
    ...paged,
    memberships: list(object({ group: text, type: { type: 'string', enum: ['User', 'Group'] }, id: text })),
  }),
  Changes: object({
    ...{ org, asOfSeq: number, next: text, more: boolean, resync: boolean },
    users: list({
      anyOf: [object(person), object({ id: text, removed: { const: true }, removedAt: orNull(instant) })],
    }),
    groups: list({ anyOf: [role, object({ id: text, removed: { const: true } })] }),
  }),
  Resolved: {
    anyOf: [
      object({
        found: { const: true },
        ...person,
        ...validAfter,
        endedBy: { ...endedBy, type: ['object', 'null'] },
        org,
      }),
      object({ found: { const: false } }, { ambiguous: { const: true }, removed: { const: true }, removedAt: instant }),
    ],
  },
  AccessToken: object(
    { access_token: text, token_type: { const: 'Bearer' }, expires_in: number, scope: { const: 'scim' } },
    { refresh_token: text },
  ),
  OAuthError: object({ error: text }, { error_description: text }),
  Metadata: {
    type: 'object',
    properties: { issuer: text, token_endpoint: text, authorization_endpoint: text, revocation_endpoint: text },
    required: ['issuer', 'token_endpoint', 'authorization_endpoint', 'revocation_endpoint'],
    additionalProperties: true,
  },
  Health: object({
    status: { const: 'ok' },
    kv: { ...anything, type: ['object', 'null'] },
    databases: {
      type: ['object', 'null'],
      description: 'How many databases are in each state of docs/shards.md, as the cron found them.',
      additionalProperties: { type: 'integer' },
    },
  }),
};
