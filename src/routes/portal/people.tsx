/** The org's users: found, and what happened to each, in sentences. Read only. */
import { Hono } from 'hono';
import { groupsNamedIn, tell } from '../../operator/history';
import { underTypes } from '../../provisioning/schemas';
import { searchUsers } from '../../provisioning/search';
import { ScimError } from '../../scim/error';
import { findSubject, namesOfGroups } from '../../store/directory/subjects';
import { findUser, type StoredUser } from '../../store/directory/users';
import { readLatest } from '../../store/journal/latest';
import { portalSearchesTooOften } from '../access/rate-limits';
import { shownEvent } from '../events';
import { pathOf, render } from './layout';
import { Badge, Card, Empty, Facts, Name, Table, Time } from './parts';
import { notHere, orgOf, type PortalApp, PortalRefusal } from './visit';

const PAGE = 50;
/** Of one person. */
const EVENTS = 200;

export const people = new Hono<PortalApp>();

/** What a search box holds, as a SCIM filter. */
const filterOf = (text: string, isExact: boolean): string => {
  const value = JSON.stringify(text);
  const exact = `userName eq ${value} or emails.value eq ${value}`;
  return isExact ? exact : `userName co ${value} or displayName co ${value} or emails.value eq ${value}`;
};

/** As far as a filter can hold it: no half of a character, and nothing that no name has. */
const searchedFor = (text: string): string => [...text.replace(/[\p{Cc}\p{Cs}]/gu, ' ').trim()].slice(0, 200).join('');

people.get('/', async (c) => {
  const { visit } = c.var;
  const { people: words, titles } = visit.texts;
  const text = searchedFor(c.req.query('q') ?? '');
  const page = Math.min(10_000, Math.max(1, Math.floor(Number(c.req.query('page')) || 1)));
  orgOf(c); // another org's searches are not counted
  if (text !== '' && (await portalSearchesTooOften(c, c.req.param('slug') ?? '')))
    throw new PortalRefusal('too_many', 429);
  const find = (isExact: boolean) =>
    underTypes(orgOf(c), async (org) => {
      const search = { isDescending: false, startIndex: (page - 1) * PAGE + 1, count: PAGE };
      const found = await searchUsers(org, text === '' ? search : { ...search, filter: filterOf(text, isExact) });
      return { ...found, tenant: org.store.tenant };
    });
  // In a large org only what has an index is searched for.
  const found = await find(false).catch((error) => {
    if (error instanceof ScimError && error.scimType === 'tooMany') return find(true);
    throw error;
  });
  const { tenant, total } = found;
  const users = found.resources.map(({ stored }) => stored as StoredUser);
  const linkTo = (to: number) => `?${new URLSearchParams({ ...(text && { q: text }), page: String(to) })}`;
  return render(
    c,
    { name: 'people', title: titles.people, lead: words.lead, tenant },
    <Card>
      <form method="get" class="row">
        <label class="hidden" for="q">
          {words.search}
        </label>
        <input id="q" type="search" name="q" value={text} placeholder={words.search} maxlength={200} class="grow" />
        <button type="submit">{words.find}</button>
      </form>
      {users.length === 0 ? (
        <Empty title={text ? words.nobodyFound : words.nobody}>{text ? words.nobodyFoundText : words.nobodyText}</Empty>
      ) : (
        <>
          <p class="soft small">{words.total(total)}</p>
          <Table label={titles.people} head={[words.userName, words.name, words.state, words.changed]}>
            {users.map((user) => (
              <tr>
                <td>
                  <a class="name" href={pathOf(tenant.slug, `people/${user.id}`)}>
                    <Name of={user.resource['userName']} />
                  </a>
                </td>
                <td>
                  <Name of={user.resource['displayName'] ?? ''} />
                </td>
                <td>
                  <Badge mark={user.isActive ? 'works' : 'waiting'}>
                    {user.isActive ? words.active : words.inactive}
                  </Badge>
                </td>
                <td>
                  <Time visit={visit} at={user.modifiedAt} />
                </td>
              </tr>
            ))}
          </Table>
          <div class="row">
            {page > 1 && (
              <a class="button" href={linkTo(page - 1)}>
                {words.before}
              </a>
            )}
            {page * PAGE < total && (
              <a class="button" href={linkTo(page + 1)}>
                {words.after}
              </a>
            )}
          </div>
        </>
      )}
    </Card>,
  );
});

people.get('/:user', async (c) => {
  const { visit } = c.var;
  const { people: words } = visit.texts;
  const org = orgOf(c);
  const subject = await findSubject(org.store, c.req.param('user'));
  if (subject === undefined) throw notHere();
  const [{ events, before }, user] = await Promise.all([
    readLatest(org.store, { types: [], user: subject.id, limit: EVENTS }),
    underTypes(orgOf(c), ({ store }) => findUser(store, subject.id)),
  ]);
  const all = events.map(shownEvent);
  const names = await namesOfGroups(org.store, [...new Set(all.flatMap(groupsNamedIn))]);
  const { tenant } = org.store;
  const { now } = subject;
  const emails = ((user?.resource['emails'] ?? []) as { value?: string }[]).map(({ value }) => value).join(', ');
  const state = now === undefined || now.deletedAt !== undefined ? 'gone' : now.isActive ? 'active' : 'inactive';
  const title = now?.userName || subject.id;
  return render(
    c,
    { name: 'people', title, tenant },
    <>
      <Card title={words.now} end={<Badge mark={state === 'active' ? 'works' : 'waiting'}>{words[state]}</Badge>}>
        <Facts
          of={[
            [words.userName, <Name of={now?.userName ?? ''} />],
            user && [words.name, <Name of={user.resource['displayName'] ?? ''} />],
            user && [words.emails, <Name of={emails} />],
            [
              visit.texts.titles.groups,
              now && now.groups.length > 0
                ? now.groups.map(({ id, display }, i) => (
                    <>
                      {i > 0 && ', '}
                      <a href={pathOf(tenant.slug, `groups/${id}`)}>
                        <Name of={display ?? id} />
                      </a>
                    </>
                  ))
                : visit.texts.none,
            ],
            now?.validAfter !== undefined && [words.signedOut, <Time visit={visit} at={now.validAfter} />],
          ]}
        />
      </Card>
      <Card title={words.history}>
        {all.length === 0 ? (
          <p class="soft">{words.noHistory}</p>
        ) : (
          <ol class="log" lang="en">
            {all.map((event) => (
              <li>
                <span class="soft small" lang={visit.lang}>
                  <Time visit={visit} at={Date.parse(event.at)} />
                </span>
                <bdi>{tell(event, subject.id, names)}</bdi>
              </li>
            ))}
          </ol>
        )}
        {before !== undefined && <p class="soft small">{words.cut}</p>}
      </Card>
    </>,
  );
});
