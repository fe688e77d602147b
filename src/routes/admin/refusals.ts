/** Why requests for an org were refused: what their senders were not told. */
import { Hono } from 'hono';
import { explain } from '../../credentials/refusal';
import { invalidValue } from '../../scim/error';
import { listRefusals } from '../../store/refusals';
import type { App } from '../context';
import { iso, orgOf } from './respond';

export const refusals = new Hono<App>();

refusals.get('/', async (c) => {
  const listed = await listRefusals(orgOf(c).store, readSince(c.req.query('since')));
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
    })),
  );
});

function readSince(text: string | undefined): number {
  if (text === undefined) return 0;
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw invalidValue('since: an instant was expected, as 2026-11-22T08:00:00Z');
  return at;
}
