/** A page for people who set up an identity provider: `documentationUri` of ServiceProviderConfig. It says the same to all. */
import { type Context, Hono } from 'hono';
import { html } from 'hono/html';
import { settings } from '../env';
import { publicUrl } from './addresses';
import type { App } from './context';

export const help = new Hono<App>();

/** The vendor's own page if there is one (DOCUMENTATION_URL), else this service's. */
export const documentationUrl = (c: Context<App>): string => settings(c.env).documentationUrl ?? `${publicUrl(c)}/help`;

help.get('/', (c) => {
  const base = `${publicUrl(c)}/scim/v2`;
  c.header('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
  return c.html(
    html`<!doctype html>${(
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>SCIM 2.0 provisioning</title>
        </head>
        <body>
          <h1>SCIM 2.0 provisioning</h1>
          <p>Your identity provider creates, updates and deactivates users and groups here.</p>
          <h2>What to enter in your identity provider</h2>
          <ul>
            <li>
              Base URL (also called tenant URL or SCIM connector URL): <code>{base}</code>
            </li>
            <li>
              Credential: the token that you received from the vendor of your product. Okta and Entra ID call it API
              token or secret token.
            </li>
            <li>
              Unique identifier of users: <code>userName</code>
            </li>
          </ul>
          <h2>If the connection test fails</h2>
          <ul>
            <li>401: the token is wrong, expired or revoked. Copy it again, as one line without blanks.</li>
            <li>403: SCIM is switched off for your organization, or your plan does not include it.</li>
            <li>404: the base URL is wrong. It ends with /scim/v2.</li>
            <li>429: too many requests. The identity provider repeats them by itself.</li>
          </ul>
          <p>
            If that does not help, ask the support of your product. Support can see each refused request and its reason.
          </p>
          <p>
            Standards: <a href="https://www.rfc-editor.org/info/rfc7643">RFC 7643</a>,{' '}
            <a href="https://www.rfc-editor.org/info/rfc7644">RFC 7644</a>,{' '}
            <a href="https://www.rfc-editor.org/info/rfc9865">RFC 9865</a>.
          </p>
        </body>
      </html>
    )}`,
  );
});
