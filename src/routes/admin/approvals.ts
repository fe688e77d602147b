/** The code by which a person of the org approves an OAuth client on the page that their identity provider opens. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { APPROVAL_LIFE, hashOfApproval, newApprovalCode } from '../../credentials/approval';
import { putApproval } from '../../store/credentials/approvals';
import { endpoints } from '../addresses';
import { type App, actorOf } from '../context';
import { iso } from '../instants';
import { body } from '../validator';
import { by, orgOf } from './respond';

export const approvals = new Hono<App>();

approvals.post('/', body(z.strictObject({ by })), async (c) => {
  const { store } = orgOf(c);
  const { id } = await store.verify(); // the hash is the org's own
  const { by = c.var.by } = c.req.valid('json');
  const approvalCode = newApprovalCode();
  const validUntil = store.now + APPROVAL_LIFE;
  await putApproval(store, (await hashOfApproval(id, approvalCode))!, validUntil, by, actorOf(c, `admin:${c.var.by}`));
  const { authorizeUrl } = endpoints(c);
  return c.json({ approvalCode, validUntil: iso(validUntil), createdBy: by, authorizeUrl }, 201);
});
