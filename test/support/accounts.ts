/** Accounts of the host app, as an import leaves them. */
import { env } from 'cloudflare:workers';
import type { Idp } from './client';

/** A live user whom the identity provider has not written to yet; the answer's body of SCIM. */
export async function unlinked(idp: Idp, userName: string, more: Record<string, unknown> = {}) {
  const user = await idp.user(userName, more);
  await mark(idp, user.id, "origin = 'host', linked_at = NULL");
  return user;
}

export const protect = (idp: Idp, id: string) => mark(idp, id, 'protected = 1');

const mark = (idp: Idp, id: string, columns: string) =>
  env.DB.prepare(`UPDATE users SET ${columns} WHERE org_id = ? AND id = ?`).bind(idp.orgId, id).run();
