/** Who asks a question of the sessions API, and whether they may. */
import * as z from 'zod/mini';
import type { Env } from '../../env';
import type { HostScope } from '../../store/org/caller';
import { type OrgStore, openStore } from '../../store/org/open';

export interface Host {
  readonly env: Env;
  /** The hash of a token that is limited, and not checked yet; absent: the caller may ask everything. */
  readonly token?: string | undefined;
}

export const text = (most: number) =>
  z
    .string('a string was expected')
    .check(z.minLength(1, 'a string was expected'), z.maxLength(most, `at most ${most} characters are accepted`));

/** Of an org: its id or its slug. An id comes first. */
export const org = text(100);

/** The org that is asked about; whether it is there and may be asked about, the first batch says. */
export const storeFor = ({ env, token }: Host, name: string, scope: HostScope): OrgStore =>
  openStore(env, { kind: 'host', org: name, ...(token && { token: { hash: token, scope } }) }, Date.now());
