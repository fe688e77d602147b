/** People whom the host app has already: brought in, looked at before the identity provider comes, protected from it. */
import { Hono } from 'hono';
import * as z from 'zod';
import { importAccounts, protect } from '../../provisioning/people';
import { underTypes } from '../../provisioning/schemas';
import { invalidValue } from '../../scim/error';
import { readJson } from '../body';
import type { App } from '../context';
import { body, by, orgOf } from './respond';

export const people = new Hono<App>();

const MAX_ACCOUNTS = 500;
const LINE = 'a whole number from 1 was expected';
const ACCOUNTS = `a list of at most ${MAX_ACCOUNTS} accounts was expected`;
const SEATS = 'a whole number was expected';

const portion = z.strictObject({
  dryRun: z.boolean('true or false was expected').default(false),
  /** Of a dry run: what the portions before it would have taken. */
  activated: z.int(SEATS).default(0),
  accounts: z
    .array(z.looseObject({ line: z.int(LINE).min(1, LINE) }, 'an object with an account was expected'), ACCOUNTS)
    .max(MAX_ACCOUNTS, ACCOUNTS),
});

people.post('/import', async (c) => {
  const parsed = portion.safeParse(await readJson(c));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalidValue(`${issue!.path.join('.') || 'body'}: ${issue!.message}`);
  }
  const { dryRun, activated, accounts } = parsed.data;
  const offered = accounts.map(({ line, ...account }) => ({ line, account }));
  const report = await underTypes(orgOf(c), (org) => importAccounts(org, offered, dryRun, activated));
  return c.json({ dryRun, ...report });
});

/** Why, for the journal. */
const reason = z
  .string('a reason was expected')
  .trim()
  .min(1, 'a reason was expected')
  .max(200, 'at most 200 characters are accepted')
  .optional();

for (const verb of ['protect', 'unprotect'] as const) {
  people.post(`/:user/${verb}`, body(z.strictObject({ by, reason })), async (c) => {
    const { by = c.var.by, reason } = c.req.valid('json');
    const user = await protect(orgOf(c), c.req.param('user'), verb === 'protect', { by, reason });
    return c.json({ id: user.id, userName: user.resource['userName'], protected: user.isProtected });
  });
}
