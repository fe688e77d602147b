/** What an operator is told about rejected requests: a sentence for each reason, with what to do. */
import { BRAKED } from '../credentials/refusal';
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
  whitespace: 'blanks or line breaks within the token: copy it again, as one line',
  scheme_twice: 'the word "Bearer" twice: enter the token alone, because the identity provider adds the word itself',
  checksum: 'mistyped or damaged, for its checksum does not fit: copy the token again',
  form: 'nothing like a credential of this service: see what was entered in the identity provider',
};

/** By status and scimType (RFC 7644 §3.12), of a request with a good credential. */
const REQUESTS: Readonly<Record<string, string>> = {
  '400': 'the request could not be understood: see what the identity provider says of it',
  '400 invalidFilter': 'a filter that cannot be read: see by which attribute the identity provider matches people',
  '400 tooMany': 'it asks for more than is answered at once: let it match by an attribute such as userName',
  '400 mutability': 'an attribute that cannot be changed: take it out of the mapping in the identity provider',
  '400 invalidSyntax': 'the body is not what was expected: see the base URL and the mapping in the identity provider',
  '400 invalidPath': 'an attribute that is not there: correct the mapping, or add it with "schema add"',
  '400 noTarget': 'it changes a value that is not there: let the identity provider send the whole resource',
  '400 invalidValue':
    'a value of the wrong type, or one that a setting refuses (roles, unknownMembers): compare the mapping with "org show"',
  '400 invalidCursor': 'a page of a list that it did not ask for: it has to begin the list anew',
  '400 expiredCursor': 'it took more than an hour between two pages of a list: it has to begin the list anew',
  '400 invalidCount': 'the size of its pages is no number: see how many it asks for',
  '403': 'a policy forbids it: "events" says which, and of whom',
  '404':
    'an id or a path that is not there: compare the base URL of "org show"; who was deleted has to be matched anew',
  '405': 'a method that is not there at this address: compare the base URL of "org show"',
  '409':
    'it contradicts what is there, or an operation that it builds on has failed: see what the identity provider says of it',
  '409 uniqueness': 'the name is taken: "user show" or "group show" tells by whom; match them in the identity provider',
  '412': 'somebody else had changed it in between: the identity provider reads it again and repeats',
  '413': 'more than is accepted at once: let the identity provider send smaller portions',
  '415': 'a body that is not JSON by its Content-Type: application/scim+json is expected',
  '429': 'a policy holds it back: "events" says which, and of whom',
  '500': 'the service failed: the log has a line with the request id',
  '501': 'not supported here: switch it off in the identity provider',
  '503': 'the database was busy or could not be reached: identity providers try again by themselves',
};

function sentenceOfRequest(hint: string): string {
  const [, status = '', scimType, attribute] = /^\S+ \S+ (\d{3})(?: (\w+)(?: (\w+))?)?$/.exec(hint) ?? [];
  if (attribute) return `a request was refused (${hint}): ${attribute} was missing; map it in the identity provider`;
  const why = REQUESTS[`${status} ${scimType}`] ?? REQUESTS[status];
  return `a request was refused${hint && ` (${hint})`}: ${why ?? 'see what the identity provider says of it'}`;
}

/** What happened and what to do about it: a sentence for the org's administrator. */
export function explain(refusal: Refusal): string {
  if (refusal.hint !== OTHERS) return sentence(refusal);
  return `${sentence({ ...refusal, hint: '' })} (more than are kept one by one that day, counted together)`;
}

function sentence({ reason, hint, credential, successor }: Refusal): string {
  const by = (who: string | undefined, at: number | undefined) =>
    `${who ? ` by ${who}` : ''}${at === undefined ? '' : ` at ${new Date(at).toISOString()}`}`;
  const number = credential?.generation ? `generation ${credential.generation} ` : '';
  const which = credential ? `${number}(${credential.mask})` : 'the credential';
  const isAccess = credential?.kind === 'oauth_access';
  const more = hint ? ` (${hint})` : '';
  switch (reason) {
    case 'missing':
      return 'no credential was sent: enter it in the identity provider; nothing is to be done if the client sends it once it is asked (401)';
    case 'path':
      return 'asked at an address that is not part of SCIM: the base URL has to end in /scim/v2';
    case 'malformed': {
      const [, arrived, meant] = /^truncated (\d+)\/(\d+)$/.exec(hint) ?? [];
      if (arrived) return `cut off: ${arrived} of ${meant} characters arrived; copy the token again`;
      return MALFORMED[hint] ?? 'cut off, mistyped or nothing like a credential of this service: copy the token again';
    }
    case 'unknown':
      return 'well-formed, but no credential of this org, or one that was removed long ago: enter the present one';
    case 'expired':
      if (isAccess)
        return `an access token has expired${by(undefined, credential.validUntil)}: its client asks for the next`;
      return `${which} has expired${by(undefined, credential?.validUntil)}: make a new one and enter it`;
    case 'replaced':
      return `rotated away${by(credential?.replacedBy, credential?.replacedAt)}: ${which} was replaced${
        successor === undefined ? '' : ` by generation ${successor}`
      }; enter the present one`;
    case 'revoked':
      return `revoked${by(credential?.revokedBy, credential?.revokedAt)}: ${which}; enter the present one, or make one`;
    case 'disabled':
      return 'SCIM is off for this org: scim enable lets its identity provider in';
    case 'plan':
      return "SCIM is not part of this org's plan: org set plan.scim=true lets its identity provider in";
    case 'seats':
      return 'nobody could become active, for all seats of the plan were taken: deactivate people, or raise plan.seats';
    case 'storage':
      return 'the storage of the plan is full: delete what is not needed, shorten retainEvents, or raise plan.storage';
    case 'protected':
      return 'somebody would have been deactivated or deleted who is protected: "user unprotect" lets the identity provider do it';
    case 'brake':
      return 'more would have been deactivated or deleted than deactivationLimit.* allows: "brake show" lists who waits for a decision';
    case 'misdirected':
      return 'sent to the host of another region than the setting residency: enter the base URL that org show prints';
    case 'wrong_org':
      return hint === 'user_name'
        ? `${which} was good, but the user name was not this org's slug: correct it`
        : `${which} was good, but the address was not this org's: correct the base URL`;
    case 'wrong_kind':
      return `${KINDS[hint] ?? 'a credential of another kind'} was presented where it does not belong: see what was entered`;
    case 'rate_limited':
      if (hint === BRAKED) {
        return 'not checked, for too many requests without a valid credential came from the same address within a minute: find what sends them there';
      }
      return 'more requests a second than the setting rateLimit allows: slow the identity provider down, or raise it';
    case 'client':
      return `an OAuth client could not be authenticated${more}: see its id, its secret and how they are sent`;
    case 'assertion':
      if (hint === 'address') {
        return "the keys of the issuer are at an address that is not public: make the client again with the issuer's jwks-url";
      }
      return `a signed assertion was not accepted${more}: compare issuer, subject, audience and key with the client's`;
    case 'grant':
      return 'an authorization code or refresh token was unknown, expired or used: authorize again in the identity provider; "oauth approve" prints the code for it';
    case 'approval':
      return `the code of an approval was not accepted${more}: "oauth approve" prints a new one`;
    case 'request':
      return sentenceOfRequest(hint);
  }
}
