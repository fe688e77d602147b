/** What an identity provider would take over, before it is let in: account by account, or person by person of its list. */
import { columns, heading, paint } from '../terminal.mjs';
import { accountsOf, together } from './accounts.mjs';
import { FORMATS } from './accounts-file.mjs';
import { org, post } from './api.mjs';

const MAX_PAGE = 500;
/** Rows that people are shown; --json has all. */
const MAX_SHOWN = 1_000;

export const linkPreviewCommand = {
  name: 'user link-preview',
  about: 'By what an identity provider would take over each account that is there already; or what its list comes to.',
  args: ['slug'],
  options: {
    file: { value: 'file', about: "the identity provider's own people, CSV or NDJSON: what would become of each" },
    format: { value: FORMATS.join('|'), about: "what the file is (default: by its name's ending)" },
  },
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
    for await (const portion of together(accounts)) {
      const { people: some, ...rest } = await callAdmin(org(slug, '/users/link-preview'), post({ people: portion }));
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
  [['dim', 'verifiedDomains'], verifiedDomains.join(', ') || 'none: no address links'],
];

function showAccounts({ summary, accounts }) {
  const rows = accounts.map((it) => [
    it.id,
    it.userName,
    it.displayName,
    it.links.userName ? ['userName', ...it.links.emails].join(', ') : ['yellow', 'nothing'],
    it.conflicts.map(({ addresses, detail }) => [...addresses, detail].join(': ')).join('; '),
    it.protected ? ['green', 'protected'] : null,
  ]);
  return [
    columns([
      ...settingsOf(summary),
      [['dim', 'unlinked'], summary.unlinked],
      [['dim', 'would link by userName'], summary.byUserName],
      [['dim', 'and by an address'], summary.byEmail],
      [['dim', 'with a shared address'], summary.sharedAddress],
      [['dim', 'with one of no verified domain'], summary.unverifiedDomain],
      [['dim', 'owner accounts (protected)'], summary.protected],
    ]),
    ...table(['ID', 'USER NAME', 'DISPLAY NAME', 'WOULD LINK BY', 'CONFLICTS', 'OWNER'], rows),
  ].join('\n');
}

function showPeople({ summary, people }) {
  const rows = people.map((it) => [
    it.line,
    it.userName,
    it.outcome === 'conflict' ? ['yellow', it.outcome] : it.outcome,
    it.by,
    it.account,
    it.detail,
  ]);
  return [
    columns([
      ...settingsOf(summary),
      [['dim', 'people'], summary.people],
      [['dim', 'would link'], summary.links],
      [['dim', 'are linked already'], summary.known],
      [['dim', 'would be new'], summary.new],
      [['dim', 'would come back'], summary.restored],
      [['dim', 'conflicts'], summary.conflict],
    ]),
    ...table(['LINE', 'USER NAME', 'OUTCOME', 'BY', 'ACCOUNT', 'WHY'], rows),
  ].join('\n');
}

function table(names, rows) {
  if (rows.length === 0) return [];
  const more = rows.length - MAX_SHOWN;
  return [
    '',
    columns([heading(...names), ...rows.slice(0, MAX_SHOWN)]),
    ...(more > 0 ? [paint('dim', `… and ${more} more; --json has all.`)] : []),
  ];
}
