/** The pages: plain HTML that works without its few lines of script. */
import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 36rem; padding: 1.5rem 1rem 3rem; font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
dt { opacity: .8; } dd { margin: 0 0 .75rem; font-weight: 600; }
label { display: block; margin-top: 1rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; padding: .6rem .75rem; font: inherit; }
button { min-height: 2.75rem; margin-top: 1rem; padding: .5rem 1.25rem; font: inherit; font-weight: 600; }
[role="alert"] { padding: .5rem .75rem; border: 2px solid; font-weight: 600; }
`;

/** Hears that the session is over, and has the server say so. */
const SCRIPT = `
const live = new EventSource('/live');
live.addEventListener('ended', () => { live.close(); location.replace('/'); });
`;

const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export const POLICY = [
  "default-src 'none'",
  `style-src ${hash(STYLE)}`,
  `script-src ${hash(SCRIPT)}`,
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text) => String(text).replace(/[&<>"']/g, (character) => ENTITIES[character]);

/** Content is HTML, all else is text. */
const document = (title, content, script = '') => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
${content}
</main>
${script && `<script>${script}</script>`}
</body>
</html>
`;

const facts = (of) =>
  `<dl>${Object.entries(of)
    .map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`)
    .join('')}</dl>`;

const REFUSED = {
  unknown: 'Nobody of that organization has this name or address.',
  inactive: 'This person may not sign in.',
  ambiguous: 'Several people have this address. Sign in with the user name.',
};

export const signInPage = ({ org = 'demo', name = '', refused } = {}) =>
  document(
    refused ? 'Error: sign in' : 'Sign in',
    `<p>This form stands for your company’s single sign-on, which would know already who you are.</p>
${refused ? `<p role="alert">${REFUSED[refused]}</p>` : ''}
<form method="post" action="/sign-in">
<label for="org">Organization</label>
<input id="org" name="org" value="${escaped(org)}" autocomplete="organization" maxlength="100" required>
<label for="name">User name or e-mail address</label>
<input id="name" name="name" value="${escaped(name)}" autocomplete="username" maxlength="250" required>
<button type="submit">Sign in</button>
</form>`,
  );

export const accountPage = ({ session, verdict }) =>
  document(
    session.displayName,
    `${facts({
      'Signed in as': session.userName,
      Organization: session.orgSlug,
      Since: new Date(session.issuedAt).toISOString(),
      'Session checked with': verdict.from,
    })}
<form method="post" action="/export"><button type="submit">Export everything</button></form>
<form method="post" action="/sign-out"><button type="submit">Sign out</button></form>`,
    SCRIPT,
  );

export const exportPage = ({ verdict }) =>
  document(
    'Here is your export',
    `<p>That is sensitive, so the session was checked with zero staleness.</p>
${facts({ 'Session checked with': verdict.from })}
<p><a href="/">Back to your account</a></p>`,
  );

const OVER = {
  inactive: 'You, or your whole organization, may not be signed in any more.',
  revoked: 'Your sessions were ended. You may sign in again.',
  expired: 'The session was too old. You may sign in again.',
};

export const signedOutPage = (reason) =>
  document(
    'You are signed out',
    `<p role="alert">${OVER[reason] ?? 'The session is not good any more. You may sign in again.'}</p>
${facts({ Reason: reason })}
<p><a href="/sign-in">Sign in</a></p>`,
  );

export const messagePage = (title, text) =>
  document(title, `<p role="alert">${escaped(text)}</p>\n<p><a href="/">Back</a></p>`);
