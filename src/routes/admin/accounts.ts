/** Accounts that the application has already: imported, previewed before the identity provider connects, protected. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { importAccounts, type Offered, protect } from '../../provisioning/account-import';
import { type Preview, previewLinks, previewPeople } from '../../provisioning/link-preview';
import { underTypes } from '../../provisioning/schemas';
import type { App } from '../context';
import { body, digits, pageSize, query } from '../validator';
import { by, orgOf, reason } from './respond';

export const people = new Hono<App>();

const MAX_ACCOUNTS = 500;
const LINE = 'a whole number from 1 was expected';
const ACCOUNTS = `a list of at most ${MAX_ACCOUNTS} accounts was expected`;
const SEATS = 'a whole number was expected';
const MAX_PAGE = 500;
const AFTER = 'the id of the last account of a page was expected';

const accounts = z
  .array(z.looseObject({ line: z.int(LINE).check(z.gte(1, LINE)) }, 'an object with an account was expected'), ACCOUNTS)
  .check(z.maxLength(MAX_ACCOUNTS, ACCOUNTS));
const chunk = z.strictObject({
  dryRun: z._default(z.boolean('true or false was expected'), false),
  /** Of a dry run: how many more the chunks before would have made active. */
  activated: z._default(z.int(SEATS), 0),
  accounts,
});
const listed = z.strictObject({ people: accounts });
const page = z.strictObject({
  after: z.optional(z.string(AFTER).check(z.minLength(1, AFTER), z.maxLength(200, AFTER))),
  limit: z._default(z.pipe(digits, pageSize(MAX_PAGE)), 200),
});

const offeredIn = (list: z.output<typeof accounts>): Offered[] =>
  list.map(({ line, ...account }) => ({ line, account }));

people.post('/import', body(chunk), async (c) => {
  const { dryRun, activated, accounts } = c.req.valid('json');
  const report = await underTypes(orgOf(c), (org) => importAccounts(org, offeredIn(accounts), dryRun, activated));
  return c.json({ dryRun, ...report });
});

/** By what each account that is unlinked would link: a page, and after which id the next one begins. */
people.get('/link-preview', query(page), async (c) => {
  const { after, limit } = c.req.valid('query');
  const { accounts, ...rest } = await previewLinks(orgOf(c), after, limit);
  return c.json({ ...rest, accounts: accounts.map(shownPreview) });
});

/** What would become of these people, if the identity provider brought them. */
people.post('/link-preview', body(listed), async (c) => {
  const { people } = c.req.valid('json');
  return c.json(await underTypes(orgOf(c), (org) => previewPeople(org, offeredIn(people))));
});

const shownPreview = ({ account, userName, emails, conflicts }: Preview) => ({
  id: account.id,
  userName: account.userName,
  displayName: account.displayName ?? null,
  active: account.isActive,
  protected: account.isProtected,
  links: { userName, emails },
  conflicts,
});

for (const verb of ['protect', 'unprotect'] as const) {
  people.post(`/:user/${verb}`, body(z.strictObject({ by, reason })), async (c) => {
    const { by = c.var.by, reason } = c.req.valid('json');
    const user = await protect(orgOf(c), c.req.param('user'), verb === 'protect', { by, reason });
    return c.json({ id: user.id, userName: user.resource['userName'], protected: user.isProtected });
  });
}
