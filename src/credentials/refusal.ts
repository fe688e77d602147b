/** Why a credential was refused: for the eyes of its org's administrator, never for the caller. Nothing is asked here. */
import type { ClaimedSource, Counted, Presenter, Reason } from '../store/credentials/refusals';
import { lengthMeant, recognise } from './secret';
import { stateOf } from './state';

/** What a refused request showed of itself. Nothing of it is checked, and none of it is a secret. */
export interface Refused {
  /** Why, where that is known already; else it is found out by the hash. */
  readonly reason?: Reason | undefined;
  /** A word for programs that tells it from others of the reason. */
  readonly hint?: string | undefined;
  /** The org that the text of the secret named. */
  readonly orgId?: string | undefined;
  /** The slug in the path. */
  readonly slug?: string | undefined;
  /** Of Basic: what stood in the place of the slug. */
  readonly userName?: string | undefined;
  readonly hash?: string | undefined;
  readonly credentialId?: string | undefined;
  /** The source that the token of a signal names. Set where the signal was refused before its source was looked up. */
  readonly claimed?: ClaimedSource | undefined;
}

/** A hint: the request was not checked, for too many without a valid credential had come from its address. */
export const RATE_LIMITED = 'address';

/** A request that was refused, with where it came from; several of a kind. Instants are epoch milliseconds. */
export interface Occurrence extends Refused {
  readonly client: string;
  readonly address: string;
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** Behind a prefix, in a text that is no secret for some other reason. */
const ORG_ID = /_([0-9A-Za-z]{12})(?![0-9A-Za-z])/;
/** No header, or one that says how, and not what. */
const NOTHING = /^\s*(?:bearer|basic)?\s*$/i;

/**
 * What is wrong with a header that holds no secret of ours.
 *
 * @param secret what was taken for the secret, if anything was.
 */
export async function faultOf(authorization: string | undefined, secret: string | undefined): Promise<Refused> {
  if (authorization === undefined || NOTHING.test(authorization)) return { reason: 'missing' };
  if (/^\s*bearer\s+bearer\s/i.test(authorization)) {
    const named = await recognise(authorization.replace(/^\s*(?:bearer\s+)+/i, '').slice(0, 500));
    return { reason: 'malformed', hint: 'scheme_twice', orgId: named.orgId };
  }
  // A blank inside a secret looks like the end of a scheme's name: so without a scheme, and all of it.
  const texts = [secret ?? '', authorization.replace(/^\s*[\w-]+\s+/, ''), authorization].map((it) => it.slice(0, 500));
  for (const text of texts) {
    const it = await recognise(text);
    if (it.ok || it.fault === 'form') continue;
    const hint = it.fault === 'truncated' ? `truncated ${text.length}/${lengthMeant(text)}` : it.fault;
    return { reason: 'malformed', hint, orgId: it.orgId };
  }
  const orgId = texts.map((text) => ORG_ID.exec(text)?.[1]).find((id) => id !== undefined);
  return { reason: 'malformed', hint: 'form', orgId };
}

/** @param presenter whose the presented credential is, if it is known. */
export function accountOf(occurrence: Occurrence, presenter: Presenter | undefined): Counted {
  const {
    count,
    firstAt,
    lastAt,
    client,
    address,
    credentialId = '',
    claimed,
    orgId = '',
    slug,
    userName,
  } = occurrence;
  const why = reasonOf(occurrence, presenter);
  const where = { client, address, count, firstAt, lastAt };
  if (presenter) return { ...where, ...why, credentialId: presenter.credential.id, orgId: presenter.orgId, slug: '' };
  return { ...where, ...why, credentialId, claimed, orgId, slug: slug ?? userName ?? '' };
}

function reasonOf(
  { reason, hint: given = '', slug, userName, lastAt }: Occurrence,
  presenter: Presenter | undefined,
): Pick<Counted, 'reason' | 'hint'> {
  if (reason !== undefined) return { reason, hint: given };
  const isRateLimited = given === RATE_LIMITED;
  const hint = isRateLimited ? '' : given;
  if (presenter === undefined) return { reason: 'unknown', hint };
  const { credential } = presenter;
  // Revoked is dead whatever the clock of the one who revoked it says.
  const state = stateOf(credential, Math.max(lastAt, credential.revokedAt ?? 0));
  if (state !== 'current' && state !== 'grace') return { reason: state, hint };
  if (slug !== undefined && slug !== presenter.slug) return { reason: 'wrong_org', hint: 'path' };
  if (userName !== undefined && userName !== presenter.slug) return { reason: 'wrong_org', hint: 'user_name' };
  if (isRateLimited) return { reason: 'rate_limited', hint: RATE_LIMITED };
  return { reason: 'unknown', hint }; // it was issued in the moment after
}
