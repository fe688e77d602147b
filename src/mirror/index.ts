/**
 * `scim-worker/mirror`: keeps an application's own database equal to the directory of an org (docs/application.md). As
 * `scim-worker/sessions`, it needs no dependency and no build: Workers, Node (22.18 and later strip the types) and bundlers
 * take it as it is.
 */
export {
  bindingDirectory,
  type Changes,
  type DirectorySource,
  type HttpDirectoryOptions,
  httpDirectory,
  type MirroredGroup,
  type MirroredUser,
  Refused,
  type SessionsBinding,
} from './directory.ts';
export { catchUp, type FollowOptions, type Mirror, type MirrorOptions, mirror, reconcile } from './mirror.ts';
export type { Difference } from './reconcile.ts';
export type { MirroredRow, MirrorStore } from './store.ts';
