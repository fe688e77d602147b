/**
 * The pages of the authorization endpoint: plain HTML, no script, nothing from elsewhere. All text that comes from outside
 * is escaped by the renderer; the policy holds even if it were not.
 */
import { html, raw } from 'hono/html';
import type { Child } from 'hono/jsx';

/** Colours have at least 4.5 : 1 in light and dark; the page works at 320 px, and grows with the reader's letters. */
const STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --back: #fff; --faint: #57606a; --line: #6e7781;
  --accent: #0b57d0; --on-accent: #fff; --wrong: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --back: #0d1117; --faint: #9da7b3; --line: #7d8590;
    --accent: #a8c7fa; --on-accent: #062e6f; --wrong: #ffb4ab; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); }
main { max-width: 34rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; }
dt, .hint { color: var(--faint); }
dd { margin: 0 0 .75rem; font-weight: 600; }
label { display: block; font-weight: 600; }
.hint { margin: .25rem 0 .5rem; }
.wrong { margin: 0 0 .5rem; padding: .5rem .75rem; border: 2px solid var(--wrong); color: var(--wrong); font-weight: 600; }
input { width: 100%; padding: .6rem .75rem; font: 1.125rem ui-monospace, monospace; letter-spacing: .05em;
  color: var(--text); background: var(--back); border: 2px solid var(--line); border-radius: .375rem; }
.choices { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.25rem; }
button { min-height: 2.75rem; padding: .5rem 1.25rem; font: inherit; font-weight: 600; border-radius: .375rem;
  border: 2px solid var(--accent); color: var(--accent); background: var(--back); cursor: pointer; }
button.main { color: var(--on-accent); background: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
`;

/**
 * Nothing may be loaded, run or framed; the form goes to where this page is from.
 *
 * @param redirectUri where the answer of the form leads to. Chromium applies form-action to each redirect that follows a
 * submission, not to the first alone (w3c/webappsec-csp#8), and Okta's callback, which all its customers share, leads on
 * to the customer's own host. So the scheme is what can be said; `http:` includes `https:`.
 */
export async function policyFor(redirectUri?: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(STYLE)));
  const targets = redirectUri === undefined ? "'none'" : `'self' ${new URL(redirectUri).protocol}`;
  return [
    "default-src 'none'",
    `style-src 'sha256-${btoa(String.fromCharCode(...digest))}'`,
    `form-action ${targets}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
}

const document = (title: string, content: Child) =>
  html`<!doctype html>${(
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>{title}</title>
        <style>{raw(STYLE)}</style>
      </head>
      <body>
        <main>{content}</main>
      </body>
    </html>
  )}`;

export interface Question {
  /** Names, as the operator gave them. */
  readonly client: string;
  readonly org: string;
  /** The host that the answer is sent to. */
  readonly host: string;
  /** The request, to be sent along with the answer. */
  readonly members: Readonly<Record<string, string | undefined>>;
  /** What was wrong with the answer before. */
  readonly fault?: string | undefined;
}

/** Shall this client have access to that org's directory? */
export const approvalPage = ({ client, org, host, members, fault }: Question) =>
  document(
    `${fault ? 'Error: ' : ''}Approve ${client} for ${org}`,
    <>
      <h1>
        Give <bdi>{client}</bdi> access to the directory of <bdi>{org}</bdi>?
      </h1>
      <p>It will be able to read, add, change and deactivate all users and groups there, until that is revoked.</p>
      <dl>
        <dt>Application</dt>
        <dd>
          <bdi>{client}</bdi>
        </dd>
        <dt>Organization</dt>
        <dd>
          <bdi>{org}</bdi>
        </dd>
        <dt>Your answer is sent to</dt>
        <dd>{host}</dd>
      </dl>
      <form method="post" action="/oauth/authorize">
        {Object.entries(members).map(
          ([name, value]) => value !== undefined && <input type="hidden" name={name} value={value} />,
        )}
        <label for="approval-code">Approval code</label>
        <p class="hint" id="hint">
          16 letters and digits. You get it from whoever operates the service that you connect to; it is good once, for
          ten minutes.
        </p>
        {fault && (
          <p class="wrong" id="fault" role="alert" tabindex={-1}>
            {fault}
          </p>
        )}
        <input
          type="text"
          id="approval-code"
          name="approval_code"
          autocomplete="off"
          autocapitalize="characters"
          spellcheck={false}
          maxlength={60}
          required
          aria-describedby={fault ? 'fault hint' : 'hint'}
          aria-invalid={fault ? 'true' : undefined}
          autofocus={fault !== undefined}
        />
        <div class="choices">
          <button class="main" type="submit" name="decision" value="approve">
            Approve
          </button>
          <button type="submit" name="decision" value="deny" formnovalidate>
            Deny
          </button>
        </div>
      </form>
    </>,
  );

/** Why there is nothing to approve. */
export const faultPage = (detail: string) =>
  document(
    'This request cannot be answered',
    <>
      <h1>This request cannot be answered</h1>
      <p role="alert">{detail}</p>
      <p>Nothing was approved. Go back to the application that sent you here, and check how it is set up.</p>
    </>,
  );
