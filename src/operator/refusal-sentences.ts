/** What an operator is told about rejected requests: a sentence for each reason, with what to do. */
import { RATE_LIMITED } from '../credentials/refusal';
import { OTHERS, type Refusal } from '../store/credentials/refusals';

const KINDS: Readonly<Record<string, string>> = {
  token: 'a bearer token',
  basic: 'the password of Basic',
  oauth_client: 'the secret of an OAuth client',
  oauth_code: 'an authorization code',
  oauth_access: 'an access token',
  oauth_refresh: 'a refresh token',
  portal_link: 'a link to the portal',
  portal_session: 'a session of the portal',
};

const MALFORMED: Readonly<Record<string, string>> = {
  whitespace: 'the token has blanks or line breaks in it: copy it again, as one line',
  scheme_twice: 'the word "Bearer" was sent twice: enter the token alone, for the identity provider adds the word',
  checksum: 'the token is mistyped or damaged, for its checksum is wrong: copy it again',
  form: 'this is not a credential of this service: check what was entered in the identity provider',
};

/** By status and scimType (RFC 7644 §3.12), of a request with a good credential. */
const REQUESTS: Readonly<Record<string, string>> = {
  '400': 'the request is not valid: see the error in the identity provider',
  '400 invalidFilter': 'the filter is not valid: check the attribute by which the identity provider matches users',
  '400 tooMany': 'the filter finds too much: match users by an attribute such as userName',
  '400 mutability': 'the attribute cannot be changed: remove it from the mapping in the identity provider',
  '400 invalidSyntax': 'the body is not what was expected: check the base URL and the mapping in the identity provider',
  '400 invalidPath': 'the attribute does not exist: correct the mapping, or add it with "schema add"',
  '400 noTarget': 'the value to change does not exist: let the identity provider send the whole resource',
  '400 invalidValue': 'a value is not what was expected: see the error in the identity provider',
  '400 invalidValue by roles':
    'the setting roles does not allow a role: change the mapping, or see "org show" and "org set"',
  '400 invalidValue by unknownMembers':
    'a member of a group is no user or group of this org, and the setting unknownMembers refuses it: assign the member first',
  '400 invalidCursor': 'the cursor does not belong to this list: the client must begin the list again',
  '400 expiredCursor': 'more than an hour passed between two pages of a list: the client must begin the list again',
  '400 invalidCount': 'the page size is not a number: check what the client asks for',
  '403': 'a policy forbids it: "events" shows the policy and the user',
  '404': 'the id or path does not exist: compare the base URL with "org show"; a deleted user must be matched again',
  '405': 'the address does not support this method: compare the base URL with "org show"',
  '409':
    'the request conflicts with the stored state, or an operation that it needs has failed: see the error in the identity provider',
  '409 uniqueness':
    'the name is taken: find its owner with "user show" or "group show", and match the two in the identity provider',
  '412': 'the resource had changed meanwhile: the identity provider reads it again and repeats the request',
  '413': 'the request is too large: let the identity provider send less at once',
  '415': 'the Content-Type of the body is wrong: application/scim+json is expected',
  '429': 'a policy holds it back: "events" shows the policy and the user',
  '500': 'the service failed: look for the request id in the log',
  '501': 'this is not supported: switch it off in the identity provider',
  '503': 'the database was busy or unreachable: identity providers try again by themselves',
};

/** What became of a signal: of Universal Logout, of a stream. */
const SIGNALS: Readonly<Record<string, string>> = {
  missing: 'a signal came without a token',
  malformed: 'the token of a signal could not be read',
  type: 'the token of a signal is of another type',
  algorithm: 'the token of a signal is not signed with a public key',
  issuer: 'a signal came from an issuer that is no source of this org',
  audience: 'a signal was made for another address',
  key: 'the key of a signal is not known, or too weak',
  signature: 'the signature of a signal is wrong',
  jti: 'a signal came without an id of its own (jti)',
  expired: 'a signal came more than five minutes after its end: it was late, or the clock of the sender is behind',
  clock: 'a signal was dated more than five minutes in the future: the clock of the sender is ahead',
  time: 'the token of a signal has no time that can be used (iat, and of Universal Logout an exp within an hour)',
  replayed: 'a signal came a second time, and was not carried out again',
  unavailable: 'the keys of the issuer could not be fetched, or did not have the key of the token yet',
  jwks: 'the keys of the issuer are at an address that is not public',
  paused: 'a signal came while its source is paused',
  rate_limited: 'more signals came at once than are accepted',
  [RATE_LIMITED]:
    'a signal was not checked, because too many requests without a valid credential came from its address',
  body: 'the request of a signal could not be understood, or was too large',
  event: 'a stream sent an event that could not be understood',
  subject: 'a signal named a person who is not in this org',
  foreign: 'a signal named a person of another issuer',
  format: 'a signal named a person in a way that is not known',
  ambiguous: 'a signal named more than ten users at once',
  initiator: 'a stream told of something that the person did, such as an ordinary sign-out: nothing was changed',
  state: 'the verification of a stream did not repeat what was asked',
};

/** What to do about it. */
const SIGNAL_HELP: Readonly<Record<string, string>> = {
  missing: 'enter the endpoint in the identity provider again',
  malformed: 'let the sender send a signed token (JWT)',
  type: 'let the sender send the token that belongs to this endpoint',
  algorithm: 'let the sender sign with an RSA or elliptic curve key',
  signature: 'compare the jwks-url of the source; if it is right, another sender has made the token',
  jti: 'let the sender give each token its own id',
  issuer: 'add the issuer with "signals add"',
  audience: 'enter the endpoint exactly as "signals list" prints it',
  key: 'compare the jwks-url of the source; RSA keys need 2048 bits',
  expired: 'set the clock of the sender',
  clock: 'set the clock of the sender',
  time: 'let the sender set these claims',
  replayed: 'nothing is to be done',
  unavailable: 'see whether the jwks-url of the source can be reached and has the key; the sender tries again',
  jwks: 'add the source again with its jwks-url',
  paused: 'the sender has to try again: see "signals resume"',
  rate_limited: 'the sender has to try again',
  [RATE_LIMITED]: 'find what sends them there',
  body: 'see the error that the sender was told; events need the Content-Type application/secevent+jwt',
  subject: 'see whether the person is assigned, and which attribute "signals list" names as the subject',
  foreign: 'the subject has to be of the issuer of the source',
  format: 'choose an e-mail address or the issuer and subject in the identity provider',
  ambiguous: 'let the sender name people by the issuer and subject',
  initiator: 'nothing is to be done; "signals add --any-initiator" lets such events end sessions',
};

function sentenceOfRequest(hint: string): string {
  const [, status = '', scimType, relation, attribute] =
    /^\S+ \S+ (\d{3})(?: (\w+)(?: (?:(of|by) )?([\w.$:-]+))?)?$/.exec(hint) ?? [];
  if (relation === 'of')
    return `a request was refused (${hint}): the value of ${attribute} has the wrong type or form: correct the mapping in the identity provider`;
  const bySetting = relation && REQUESTS[`${status} ${scimType} by ${attribute}`];
  if (bySetting) return `a request was refused (${hint}): ${bySetting}`;
  if (attribute && !relation)
    return `a request was refused (${hint}): ${attribute} is missing: map it in the identity provider`;
  const why = REQUESTS[`${status} ${scimType}`] ?? REQUESTS[status];
  return `a request was refused${hint && ` (${hint})`}: ${why ?? 'see the error in the identity provider'}`;
}

/** What happened and what to do about it, for the org's administrator. */
export function explain(refusal: Refusal): string {
  if (refusal.hint !== OTHERS) return sentence(refusal);
  return `${sentence({ ...refusal, hint: '' })} (too many on that day to list: they are counted together)`;
}

function sentence({ reason, hint, credential, source, successor }: Refusal): string {
  const by = (who: string | undefined, at: number | undefined) =>
    `${who ? ` by ${who}` : ''}${at === undefined ? '' : ` at ${new Date(at).toISOString()}`}`;
  const number = credential?.generation ? `generation ${credential.generation} ` : '';
  const which = credential ? `${number}(${credential.mask})` : 'the credential';
  const isAccess = credential?.kind === 'oauth_access';
  const more = hint ? ` (${hint})` : '';
  switch (reason) {
    case 'missing':
      return 'no credential was sent: enter it in the identity provider. Some clients send it only after a 401; then ignore this';
    case 'path':
      return 'the address is not part of SCIM: enter the base URL, which ends in /scim/v2';
    case 'malformed': {
      const [, arrived, meant] = /^truncated (\d+)\/(\d+)$/.exec(hint) ?? [];
      if (arrived) return `the token is cut off, ${arrived} of ${meant} characters arrived: copy it again`;
      return MALFORMED[hint] ?? 'the token is cut off, mistyped, or not a credential of this service: copy it again';
    }
    case 'unknown':
      return 'the credential is not of this org, or was deleted long ago: enter the current one';
    case 'expired':
      if (isAccess)
        return `an access token expired${by(undefined, credential.validUntil)}: the client gets a new one by itself`;
      return `${which} expired${by(undefined, credential?.validUntil)}: make a new one, and enter it`;
    case 'replaced':
      return `${which} was replaced${by(credential?.replacedBy, credential?.replacedAt)}${
        successor === undefined ? '' : `, with generation ${successor}`
      }: enter the current one`;
    case 'revoked':
      return `${which} was revoked${by(credential?.revokedBy, credential?.revokedAt)}: enter the current one, or make a new one`;
    case 'disabled':
      return 'SCIM is off for this org: switch it on with "scim enable"';
    case 'plan':
      return 'SCIM is not part of the plan of this org: add it with "org set … plan.scim=true"';
    case 'seats':
      return 'all seats of the plan were taken: deactivate users, or raise plan.seats';
    case 'storage':
      return 'the storage of the plan is full: delete data, shorten retainEvents, or raise plan.storage';
    case 'protected':
      return 'the account is protected from deactivation and deletion: allow them with "user unprotect"';
    case 'brake':
      return 'the limit deactivationLimit.* is reached: decide about the users that "held list" lists';
    case 'misdirected':
      return 'the request went to another region than the setting residency: enter the base URL of "org show"';
    case 'wrong_org':
      return hint === 'user_name'
        ? `${which} is valid, but the user name is not the slug of this org: correct it`
        : `${which} is valid, but the address is that of another org: correct the base URL`;
    case 'wrong_kind':
      return `${KINDS[hint] ?? 'a credential of another kind'} was sent where another kind belongs: check what was entered`;
    case 'rate_limited':
      if (hint === RATE_LIMITED) {
        return 'too many requests without a valid credential came from this address within a minute: find out what sends them';
      }
      return 'the setting rateLimit allows fewer requests a second: slow the identity provider down, or raise the setting';
    case 'client':
      return `an OAuth client could not be authenticated${more}: check its id, its secret and how they are sent`;
    case 'assertion':
      if (hint === 'address') {
        return 'the keys of the issuer are at an address that is not public: create the client again with a public --jwks-url';
      }
      return `a signed assertion was not accepted${more}: compare issuer, subject, audience and key with those of the client`;
    case 'grant':
      return 'an authorization code or refresh token was unknown, expired or used: connect again in the identity provider, with a code of "oauth approve"';
    case 'approval':
      return `the approval code was not accepted${more}: make a new one with "oauth approve"`;
    case 'signal':
      return `${SIGNALS[hint] ?? `a signal was not accepted${more}`}${source ? ` (source ${source.issuer})` : ''}: ${SIGNAL_HELP[hint] ?? 'compare the source with "signals list"'}`;
    case 'request':
      return sentenceOfRequest(hint);
  }
}
