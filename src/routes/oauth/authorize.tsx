/**
 * The authorization endpoint (RFC 6749 §3.1, §4.1.1, §4.1.2): a person of the org approves a client. Who they are is
 * proved by the one-time code that the operator gave them, which no other site can know.
 */
import { type Context, Hono } from 'hono';
import { csrf } from 'hono/csrf';
import { HTTPException } from 'hono/http-exception';
import { secureHeaders } from 'hono/secure-headers';
import { hashOfApproval } from '../../credentials/approval';
import { hashOf, newSecret } from '../../credentials/secret';
import { Misconfigured } from '../../env';
import { ScimError } from '../../scim/error';
import { insertGrant } from '../../store/credentials/grants';
import { Busy } from '../../store/d1/batch';
import { misconfigured } from '../access/guard';
import { strangerTooOften } from '../access/rate-limits';
import { noteRefusal } from '../access/refusal';
import { readBytes } from '../body';
import { type App, actorOf } from '../context';
import { logUnexpected, SERVICE_FAILED } from '../unexpected';
import {
  type AuthorizationRequest,
  answerAt,
  Declined,
  Members,
  readRequest,
  Unanswerable,
  unknownClient,
} from './authorization-request';
import { approvalPage, faultPage, policyFor } from './page';

/** Milliseconds: the client fetches its tokens at once (§4.1.2 recommends ten minutes at most). */
const CODE_LIFE = 60_000;
/** Bytes. */
const MAX_FORM = 65_536;

export const authorize = new Hono<App>();

authorize.use(
  secureHeaders({
    // Not no-referrer: then a form says `Origin: null`, which a browser without Sec-Fetch-Site could not be believed by.
    referrerPolicy: 'same-origin',
    xFrameOptions: 'DENY',
    strictTransportSecurity: 'max-age=15552000',
    // An identity provider may open this page in a window that its own page waits for.
    crossOriginOpenerPolicy: false,
  }),
);

// Before anything is read, and before D1: a person needs a few requests, and a program may try many.
authorize.use(async (c, next) => {
  const seconds = await strangerTooOften(c);
  if (seconds === undefined) return next();
  c.header('Retry-After', String(seconds));
  throw new Unanswerable('Too many requests come from your network. Try again in a minute.', 429);
});

authorize.get('/', async (c) => ask(c, await readRequest(c, new Members(new URL(c.req.url).searchParams))));

authorize.post('/', csrf(), async (c) => {
  const form = await readForm(c);
  const request = await readRequest(c, form);
  if (form.get('decision') === 'deny') throw new Declined(request, 'access_denied', 'The request was denied');
  const code = await approve(c, request, form.get('approval_code') ?? '');
  if (code !== undefined) return c.redirect(answerAt(request, { code }), 303);
  noteRefusal(c, { orgId: request.org.id, reason: 'approval' });
  return ask(c, request, 'That code is not good: it was mistyped, has expired, or was used before.');
});

authorize.all('/', (c) => {
  c.header('Allow', 'GET, POST');
  throw new Unanswerable('This address takes GET and POST only.', 405);
});

authorize.onError(async (error, c) => {
  if (error instanceof Declined) {
    const answer = answerAt(error.to, { error: error.error, error_description: error.description });
    return c.redirect(answer, c.req.method === 'POST' ? 303 : 302);
  }
  const known = meaning(error);
  if (error instanceof Misconfigured) misconfigured(error);
  if (known === undefined) {
    logUnexpected(c, error);
  }
  const { detail, status } = known ?? { detail: `${SERVICE_FAILED}.`, status: 500 };
  c.header('Content-Security-Policy', await policyFor());
  return c.html(faultPage(detail), status);
});

/** What the rest of the house throws, in the words of this page. */
function meaning(thrown: unknown): Unanswerable | undefined {
  if (thrown instanceof Unanswerable) return thrown;
  if (thrown instanceof HTTPException) return new Unanswerable('The form was not sent from this page.', 403); // hono/csrf
  if (thrown instanceof Busy) return new Unanswerable('The service is busy. Try again in a moment.', 503);
  if (thrown instanceof Misconfigured) return new Unanswerable('The service is not set up correctly.', 503);
  if (!(thrown instanceof ScimError)) return undefined;
  if (thrown.status === 413) return new Unanswerable('The request is too long.', 413);
  if (thrown.status >= 500) return new Unanswerable('The service is busy. Try again in a moment.', 503);
  // The org was closed to its client while the person read the page.
  return unknownClient();
}

async function readForm(c: Context<App>): Promise<Members> {
  const type = c.req.header('Content-Type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') throw new Unanswerable('A form was expected.', 415);
  return new Members(new URLSearchParams(new TextDecoder().decode(await readBytes(c.req.raw, MAX_FORM))));
}

/** @returns the code of a grant, or undefined when the approval code is no good, and nothing has changed. */
async function approve(c: Context<App>, request: AuthorizationRequest, typed: string): Promise<string | undefined> {
  const { client, org, store, namesRedirectUri, redirectUri, challenge } = request;
  const approval = await hashOfApproval(org.id, typed);
  if (approval === undefined) return undefined;
  const code = await newSecret('oauth_code', org.id);
  const grant = {
    id: crypto.randomUUID(),
    clientId: client.id,
    codeHash: await hashOf(code),
    codeValidUntil: store.now + CODE_LIFE,
    redirectUri: namesRedirectUri ? redirectUri : undefined,
    challenge,
  };
  const isApproved = await insertGrant(store, approval, grant, actorOf(c, `client:${client.id}`));
  return isApproved ? code : undefined;
}

async function ask(c: Context<App>, request: AuthorizationRequest, fault?: string): Promise<Response> {
  const { client, org, redirectUri, namesRedirectUri, state, challenge } = request;
  const members = {
    response_type: 'code',
    client_id: client.id,
    redirect_uri: namesRedirectUri ? redirectUri : undefined,
    state,
    code_challenge: challenge,
    code_challenge_method: challenge && 'S256',
  };
  c.header('Content-Security-Policy', await policyFor(redirectUri));
  const question = { client: client.name, org: org.name, host: new URL(redirectUri).host, members, fault };
  return c.html(approvalPage(question), fault === undefined ? 200 : 403);
}
