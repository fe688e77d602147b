/** Who asks a question of the sessions API, and whether they may. */
import * as z from 'zod';
import type { Env } from '../../env';
import { type OrgStore, openStore } from '../../store/org/open';

/** `check`: is somebody in. `resolve`: who is somebody. `lists`: who is there, and what has happened. */
export type Scope = 'check' | 'resolve' | 'lists';

export interface Host {
  readonly env: Env;
}

export const text = (most: number) =>
  z
    .string('a string was expected')
    .min(1, 'a string was expected')
    .max(most, `at most ${most} characters are accepted`);

/** Of an org: its id or its slug. An id comes first. */
export const org = text(100);

export const storeFor = ({ env }: Host, name: string, _scope: Scope): OrgStore =>
  openStore(env, { kind: 'host', org: name }, Date.now());
