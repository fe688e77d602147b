/** The pages: plain HTML that needs no script. All text from outside is escaped by the renderer. */
import { html } from 'hono/html';
import type { Child } from 'hono/jsx';
import type { MirroredUser } from 'scim-worker/mirror';
import type { CheckedVerdict } from 'scim-worker/sessions';
import type { Person } from './env';

export const STYLE = `
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 36rem; padding: 1.5rem 1rem 3rem; font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
dt { opacity: .8; } dd { margin: 0 0 .75rem; font-weight: 600; }
label { display: block; margin-top: 1rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; padding: .6rem .75rem; font: inherit; }
button { min-height: 2.75rem; margin-top: 1rem; padding: .5rem 1.25rem; font: inherit; font-weight: 600; }
[role="alert"] { padding: .5rem .75rem; border: 2px solid; font-weight: 600; }
`;

const document = (title: string, content: Child) =>
  html`<!doctype html>${(
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title}</title>
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body>
        <main>{content}</main>
      </body>
    </html>
  )}`;

const REFUSED = {
  unknown: 'Nobody of that organization has this name or address.',
  inactive: 'This person may not sign in.',
  ambiguous: 'Several people have this address. Sign in with the user name.',
};

export const signInPage = (refused?: { org: string; name: string; why: keyof typeof REFUSED }) =>
  document(
    refused ? 'Error: sign in' : 'Sign in',
    <>
      <h1>Sign in</h1>
      <p>This form stands for your company’s single sign-on, which would know already who you are.</p>
      {refused && <p role="alert">{REFUSED[refused.why]}</p>}
      <form method="post" action="/sign-in">
        <label for="org">Organization</label>
        <input
          id="org"
          name="org"
          value={refused?.org ?? 'demo'}
          autocomplete="organization"
          maxlength={100}
          required
        />
        <label for="name">User name or e-mail address</label>
        <input id="name" name="name" value={refused?.name} autocomplete="username" maxlength={250} required />
        <button type="submit">Sign in</button>
      </form>
    </>,
  );

const Facts = ({ facts }: { facts: Record<string, readonly string[]> }) => (
  <dl>
    {Object.entries(facts).map(([name, values]) => (
      <>
        <dt>{name}</dt>
        <dd>{values.length > 0 ? values.join(', ') : 'none'}</dd>
      </>
    ))}
  </dl>
);

export const personPage = (person: Person, { from }: CheckedVerdict, mayManage: boolean) =>
  document(
    'Your account',
    <>
      <h1>{person.displayName ?? person.userName}</h1>
      <Facts
        facts={{
          'Signed in as': [person.userName],
          Organization: [person.org.slug],
          Groups: person.groups.map(({ displayName }) => displayName),
          Roles: person.roles,
          Permissions: person.permissions,
          'Session checked with': [from],
        }}
      />
      <p>
        <a href="/colleagues">Your colleagues</a>
      </p>
      <form method="post" action="/export">
        <button type="submit">Export everything</button>
      </form>
      {mayManage && (
        <form method="post" action="/settings/directory">
          <button type="submit">Set up single sign-on and provisioning</button>
        </form>
      )}
      <form method="post" action="/sign-out">
        <button type="submit">Sign out</button>
      </form>
    </>,
  );

export const colleaguesPage = (people: readonly MirroredUser[] | undefined) =>
  document(
    'Your colleagues',
    <>
      <h1>Your colleagues</h1>
      {people ? (
        <ul>
          {people.map(({ userName, displayName, groups }) => (
            <li>
              {displayName ?? userName}
              {groups.length > 0 && ` (${groups.map((group) => group.displayName).join(', ')})`}
            </li>
          ))}
        </ul>
      ) : (
        <p>The directory of your organization is not followed here (MIRROR_ORGS).</p>
      )}
      <p>
        <a href="/">Back to your account</a>
      </p>
    </>,
  );

/** A link and no redirect: this page's policy lets forms lead to this site alone. */
export const portalPage = (url: string) =>
  document(
    'Directory settings',
    <>
      <h1>Directory settings</h1>
      <p>The link opens once, within ten minutes. It is for you alone.</p>
      <p>
        <a href={url} rel="noreferrer">
          Open the set-up
        </a>
      </p>
      <p>
        <a href="/">Back to your account</a>
      </p>
    </>,
  );

export const exportPage = ({ from }: CheckedVerdict) =>
  document(
    'Export',
    <>
      <h1>Here is your export</h1>
      <p>That is sensitive, so the session was checked with zero staleness.</p>
      <Facts facts={{ 'Session checked with': [from] }} />
      <p>
        <a href="/">Back to your account</a>
      </p>
    </>,
  );

const OVER: Partial<Record<CheckedVerdict['reason'], string>> = {
  inactive: 'You, or your whole organization, may not be signed in any more.',
  revoked: 'Your sessions were ended. You may sign in again.',
  expired: 'The session was too old. You may sign in again.',
  unknown: 'Your organization does not know you any more.',
};

export const signedOutPage = (reason: CheckedVerdict['reason'], from: CheckedVerdict['from']) =>
  document(
    'You are signed out',
    <>
      <h1>You are signed out</h1>
      <p role="alert">{OVER[reason] ?? 'The session is not good any more. You may sign in again.'}</p>
      <Facts facts={{ Reason: [reason], 'Session checked with': [from] }} />
      <p>
        <a href="/sign-in">Sign in</a>
      </p>
    </>,
  );

export const messagePage = (title: string, text: string) =>
  document(
    title,
    <>
      <h1>{title}</h1>
      <p role="alert">{text}</p>
      <p>
        <a href="/">Back</a>
      </p>
    </>,
  );
