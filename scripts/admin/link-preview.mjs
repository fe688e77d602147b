/** Which accounts SCIM would adopt, before the identity provider connects: by account, or by a list of its users. */
import { columns, harmless, paint, wrap } from '../terminal.mjs';
import { accountsOf, together } from './accounts.mjs';
import { FORMATS } from './accounts-file.mjs';
import { org, post } from './api.mjs';

const MAX_PAGE = 500;
/** Accounts that people are shown; --json has all. */
const MAX_SHOWN = 1_000;

export const linkPreviewCommand = {
  name: 'user link-preview',
  about: 'Preview how SCIM would adopt the imported accounts of an org.',
  more: 'With --file, preview what would become of each user of the identity provider. Nothing is changed.',
  args: ['slug'],
  options: {
    file: { value: 'file', about: "a list of the identity provider's users, CSV or NDJSON" },
    format: { value: FORMATS.join('|'), about: 'the format of the file (default: by its name)' },
  },
  example: ['user link-preview acme', 'user link-preview acme --file okta-users.csv'],
  run: (callAdmin, input) => (input.file === undefined ? ofAccounts(callAdmin, input) : ofPeople(callAdmin, input)),
  show: (preview) => (preview.people ? showPeople(preview) : showAccounts(preview)),
};

async function ofAccounts(callAdmin, { slug }) {
  const accounts = [];
  let page = { next: undefined };
  do {
    const query = new URLSearchParams({ limit: MAX_PAGE, ...(page.next && { after: page.next }) });
    page = await callAdmin(org(slug, `/users/link-preview?${query}`));
    accounts.push(...page.accounts);
  } while (page.next !== null);
  const count = (condition) => accounts.filter(condition).length;
  const has = (reason) => (it) => it.conflicts.some((conflict) => conflict.reason === reason);
  const summary = {
    linking: page.linking,
    verifiedDomains: page.verifiedDomains,
    unlinked: accounts.length,
    byUserName: count((it) => it.links.userName),
    byEmail: count((it) => it.links.emails.length > 0),
    sharedAddress: count(has('shared')),
    unverifiedDomain: count(has('unverified')),
    withExternalId: count(has('externalId')),
    protected: count((it) => it.protected),
  };
  return { summary, accounts };
}

const OUTCOMES = ['links', 'known', 'new', 'restored', 'conflict'];

async function ofPeople(callAdmin, { slug, file, format }) {
  const people = [];
  let rules = {};
  const { accounts, problems, close } = await accountsOf(file, format);
  try {
    for await (const chunk of together(accounts)) {
      const { people: some, ...rest } = await callAdmin(org(slug, '/users/link-preview'), post({ people: chunk }));
      people.push(...some);
      rules = rest;
    }
  } finally {
    await close();
  }
  people.push(...problems.map(({ line, userName, detail }) => ({ line, userName, outcome: 'conflict', detail })));
  people.sort((a, b) => a.line - b.line);
  const counts = OUTCOMES.map((name) => [name, people.filter(({ outcome }) => outcome === name).length]);
  return { summary: { ...rules, people: people.length, ...Object.fromEntries(counts) }, people };
}

const settingsOf = ({ linking, verifiedDomains = [] }) => [
  [['dim', 'linking'], linking ?? '-'],
  [['dim', 'verifiedDomains'], verifiedDomains.join(', ') || 'none: no address links an account'],
];

function showAccounts({ summary, accounts }) {
  return [
    columns([
      ...settingsOf(summary),
      [['dim', 'accounts that are not linked yet'], summary.unlinked],
      [['dim', 'would link by userName'], summary.byUserName],
      [['dim', 'of these, also by an address'], summary.byEmail],
      [['dim', 'have an imported externalId'], summary.withExternalId],
      [['dim', 'share an address'], summary.sharedAddress],
      [['dim', 'have an address of no verified domain'], summary.unverifiedDomain],
      [['dim', 'are protected'], summary.protected],
    ]),
    ...limited(accounts.map(showAccount)),
  ].join('\n');
}

/** The account, by what it would link, and below that what stands in the way or is worth knowing. */
function showAccount(it) {
  const by = it.links.userName ? ['userName', ...it.links.emails].join(', ') : undefined;
  const notes = it.conflicts.map(({ addresses, detail }) => [addresses.join(', '), detail].filter(Boolean).join(': '));
  return [
    `${paint('bold', harmless(it.userName))}  ${by === undefined ? paint('yellow', 'would not link') : `would link by ${harmless(by)}`}${it.protected ? ', protected' : ''}`,
    `    ${paint('dim', it.id)}`,
    ...notes.flatMap((note) => wrap(`- ${harmless(note)}`, 76).map((line) => `    ${line}`)),
  ].join('\n');
}

function showPeople({ summary, people }) {
  return [
    columns([
      ...settingsOf(summary),
      [['dim', 'users in the file'], summary.people],
      [['dim', 'would link an account'], summary.links],
      [['dim', 'are linked already'], summary.known],
      [['dim', 'would be new'], summary.new],
      [['dim', 'would restore a deleted user'], summary.restored],
      [['dim', 'conflicts'], summary.conflict],
    ]),
    ...limited(people.map(showPerson)),
  ].join('\n');
}

const OUTCOME_TEXTS = {
  links: 'would link',
  known: 'is linked already',
  new: 'would be new',
  restored: 'would be restored',
};

function showPerson({ line, userName, outcome, by, account, detail }) {
  const text = OUTCOME_TEXTS[outcome] ?? paint('yellow', outcome);
  return [
    `line ${line}  ${paint('bold', harmless(userName ?? '-'))}  ${text}${by ? ` by ${by}` : ''}`,
    ...(account ? [`    ${paint('dim', account)}`] : []),
    ...(detail ? wrap(`- ${harmless(detail)}`, 76).map((text) => `    ${text}`) : []),
  ].join('\n');
}

/** The first of many. */
function limited(texts) {
  if (texts.length === 0) return [];
  const more = texts.length - MAX_SHOWN;
  return ['', ...texts.slice(0, MAX_SHOWN), ...(more > 0 ? [paint('dim', `… and ${more} more. --json has all.`)] : [])];
}
