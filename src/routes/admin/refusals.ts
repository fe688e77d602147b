/** Why requests for an org were refused: what their senders were not told. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { explain } from '../../operator/refusal-sentences';
import { listRefusals } from '../../store/credentials/refusals';
import type { App } from '../context';
import { iso, queriedInstant } from '../instants';
import { query } from '../validator';
import { orgOf } from './respond';

export const refusals = new Hono<App>();

const asked = z.strictObject({
  since: z.optional(
    z.pipe(
      z.string(),
      z.transform((text) => queriedInstant('since', text)),
    ),
  ),
});

refusals.get('/', query(asked), async (c) => {
  const { since = 0 } = c.req.valid('query');
  const listed = await listRefusals(orgOf(c).store, since);
  return c.json(
    listed.map((refusal) => ({
      reason: refusal.reason,
      hint: (refusal.reason === 'request' ? refusal.hint : refusal.hint.split(' ')[0]) || null,
      detail: explain(refusal),
      count: refusal.count,
      firstAt: iso(refusal.firstAt),
      lastAt: iso(refusal.lastAt),
      client: refusal.client || null,
      address: refusal.address || null,
      mask: refusal.credential?.mask ?? null,
      generation: refusal.credential?.generation || null,
      /** The source that the token of a signal names, if it is one of the org. */
      source: refusal.source ?? null,
    })),
  );
});
