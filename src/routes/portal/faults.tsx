/** A refused request in words for the customer's administrator: who asked, when, what was wrong, and what to do. */
import type { FC } from 'hono/jsx';
import type { Refusal } from '../../store/credentials/refusals';
import type { OrgSettings } from '../../store/org/settings';
import GUIDES from './guides.json';
import { ago, exact } from './parts';
import { signalHelpOf } from './signal-help';
import type { Visit } from './visit';

/** User-Agents of identity providers. */
const CLIENTS: readonly (readonly [RegExp, string])[] = [
  [/okta/i, 'Okta'],
  [/microsoft|azure|entra|windows-azure/i, 'Entra ID'],
  [/onelogin/i, 'OneLogin'],
  [/jumpcloud/i, 'JumpCloud'],
  [/google/i, 'Google'],
  [/ping/i, 'Ping'],
  [/rippling/i, 'Rippling'],
  [/sailpoint/i, 'SailPoint'],
  [/cyberark|idaptive/i, 'CyberArk Identity'],
  [/keycloak/i, 'Keycloak'],
  [/authentik|goauthentik/i, 'authentik'],
];

/** What people call an identity provider; empty: another one. */
export const providerOf = (idp: NonNullable<OrgSettings['idp']>): string => GUIDES[idp].name;

/** What people call the program that asked. */
export function clientName({ texts }: Visit, client: string | undefined, { idp }: OrgSettings): string {
  const known = CLIENTS.find(([pattern]) => pattern.test(client ?? ''))?.[1];
  if (known) return known;
  return (idp && providerOf(idp)) || (client ? client.slice(0, 40) : texts.someClient);
}

/** Whom to ask about what only the vendor can change. */
export const contactOf = ({ look }: Visit, { supportContact }: OrgSettings): string =>
  supportContact ?? look.support ?? look.name;

/** @returns a sentence or two. */
export function faultOf(visit: Visit, refusal: Refusal, settings: OrgSettings): string {
  const { fault } = visit.texts;
  const { reason, hint, credential } = refusal;
  const who = refusal.source?.issuer ?? clientName(visit, refusal.client, settings);
  const when = ago(visit, refusal.lastAt);
  const contact = contactOf(visit, settings);
  const on = (at: number | undefined) => (at === undefined ? '' : dayOf(visit, at));
  switch (reason) {
    case 'malformed': {
      const [, arrived = '', meant = ''] = /^truncated (\d+)\/(\d+)$/.exec(hint) ?? [];
      if (arrived) return fault.truncated(who, when, arrived, meant);
      return hint === 'whitespace' || hint === 'scheme_twice' ? fault[hint](who, when) : fault.malformed(who, when);
    }
    case 'replaced':
      return fault.replaced(who, when, on(credential?.replacedAt), credential?.replacedBy ?? '');
    case 'revoked':
      return fault.revoked(who, when, on(credential?.revokedAt), credential?.revokedBy ?? '');
    case 'expired':
      return fault.expired(who, when, on(credential?.validUntil));
    case 'plan':
    case 'seats':
    case 'storage':
    case 'protected':
      return fault[reason](who, when, contact);
    case 'signal':
      return fault.signal(who, when, visit.texts.signals.help[signalHelpOf(hint)](contact));
    case 'request':
      return faultOfRequest(visit, who, when, hint);
    default:
      return fault[reason](who, when);
  }
}

function faultOfRequest({ texts: { fault } }: Visit, who: string, when: string, hint: string): string {
  const [, resource = '', status = '', scimType = '', attribute = ''] = hint.split(' ');
  const what = resource === '/Users' ? fault.aPerson : resource === '/Groups' ? fault.aGroup : fault.aRequest;
  if (attribute) return fault.required(who, when, what, attribute);
  if (
    scimType === 'uniqueness' ||
    scimType === 'invalidValue' ||
    scimType === 'invalidPath' ||
    scimType === 'invalidSyntax'
  ) {
    return fault[scimType](who, when, what);
  }
  if (scimType === 'invalidFilter') return fault.invalidFilter(who, when);
  if (status === '404') return fault.not_found(who, when, what);
  return status.startsWith('5') ? fault.failed(who, when) : fault.other(who, when, what);
}

export const dayOf = ({ lang }: Visit, at: number): string =>
  new Intl.DateTimeFormat(lang, { day: 'numeric', month: 'long', timeZone: 'UTC' }).format(at);

export const Fault: FC<{ visit: Visit; refusal: Refusal; settings: OrgSettings }> = ({ visit, refusal, settings }) => (
  <>
    <span>{faultOf(visit, refusal, settings)}</span>
    {refusal.count > 1 && (
      <span class="soft small" title={exact(visit, refusal.firstAt)}>
        {visit.texts.fault.times(refusal.count, ago(visit, refusal.firstAt))}
      </span>
    )}
  </>
);
