/**
 * `scim-worker/sessions`: what an application imports to ask whether a session is still good. Nothing in this folder needs a
 * dependency, a build or anything outside src/sessions: Workers, Node (22.18 and later strip the types) and bundlers
 * take it as it is. Through its own `node_modules` Node strips no types: link the package by its path, or bundle it.
 */
export {
  type CheckOptions,
  checkSession,
  decide,
  type FlagReader,
  instant,
  type OnMissingOrgFlag,
  type Reason,
  type Session,
  type State,
  type Verdict,
} from '../check.ts';
export { type Flag, flagKey, parseFlag } from '../flag.ts';
export {
  type CheckedVerdict,
  type CheckReason,
  type CheckRequest,
  type Mode,
  type OnUnavailable,
  type SessionChecker,
  type SessionCheckerOptions,
  sessionChecker,
} from './checker.ts';
export { type HttpSourceOptions, httpSource } from './http-source.ts';
export { SourceRefused, type StateSource, type StrictAnswer, type StrictSource } from './sources.ts';
