/** What the identity provider proves itself with: generated and shown once, replaced, finished, revoked. */
import { Hono } from 'hono';
import type { Child, FC } from 'hono/jsx';
import { coordinatorOf } from '../../coordinator-stub';
import { APPROVAL_LIFE, hashOfApproval, newApprovalCode } from '../../credentials/approval';
import type { Refused } from '../../credentials/rotation';
import { hashOf, maskOf, newSecret, randomText } from '../../credentials/secret';
import { readSigner } from '../../credentials/signer';
import { stateOf } from '../../credentials/state';
import { DAY } from '../../duration';
import { ScimError } from '../../scim/error';
import { putApproval } from '../../store/credentials/approvals';
import { type Credential, type Line, listCredentials, PASSWORDS, TOKENS } from '../../store/credentials/credentials';
import { insertClient, type ListedClient, listClients, type Signer } from '../../store/credentials/oauth-clients';
import type { Tenant } from '../../store/org/tenant';
import { endpoints } from '../addresses';
import { redirectUri, refusePrivateKeys } from '../admin/oauth';
import { scimBaseUrl } from '../admin/respond';
import { type Form as Fields, readForm } from './form';
import GUIDES from './guides.json';
import { type Page, pathOf, render } from './layout';
import { Act, Badge, Card, Choice, Copy, Empty, Facts, Field, Form, Note, Table, Time } from './parts';
import { expectMay, may, notHere, orgOf, type PortalApp, type PortalContext, type Visit } from './visit';

export type Kind = 'token' | 'basic';
const LINES: Readonly<Record<Kind, Line>> = { token: TOKENS, basic: PASSWORDS };

export const credentials = new Hono<PortalApp>();

credentials.get('/', (c) => list(c));

async function list(c: PortalContext, notice?: Page['notice'], status?: 409 | 504) {
  const { visit } = c.var;
  const { texts } = visit;
  const { credentials: words } = texts;
  const org = orgOf(c);
  const [tokens, passwords, clients] = await Promise.all([
    listCredentials(org.store, TOKENS),
    listCredentials(orgOf(c).store, PASSWORDS),
    listClients(orgOf(c).store, { after: '', limit: 50 }),
  ]);
  const { tenant } = org.store;
  const done: Record<string, Page['notice']> = {
    revoked: { mark: 'works', text: words.revoked },
    completed: { mark: 'works', text: words.completed },
    back: { mark: 'works', text: words.wentBack },
  };
  const page: Page = {
    name: 'credentials',
    title: texts.titles.credentials,
    lead: words.lead,
    tenant,
    notice: notice ?? done[c.req.query('done') ?? ''],
    ...(status && { status }),
  };
  return render(
    c,
    page,
    <>
      <Card title={words.line.token} id="tokens" live>
        <CredentialsOf visit={visit} tenant={tenant} kind="token" listed={tokens} />
      </Card>
      {(passwords.length > 0 ||
        tenant.settings.idp === undefined ||
        GUIDES[tenant.settings.idp].ways.includes('basic')) && (
        <Card title={words.line.basic} id="passwords" live>
          <CredentialsOf visit={visit} tenant={tenant} kind="basic" listed={passwords} />
        </Card>
      )}
      <Card title={texts.oauth.title}>
        <OauthClients visit={visit} tenant={tenant} clients={clients} from="credentials" />
      </Card>
    </>,
  );
}

/** The current one, the one before it while it works, and what may be done. */
export const CredentialsOf: FC<{ visit: Visit; tenant: Tenant; kind: Kind; listed: readonly Credential[] }> = ({
  visit,
  tenant: { slug, ...tenant },
  kind,
  listed,
}) => {
  const now = Date.now();
  const { credentials: words } = visit.texts;
  const alive = listed.filter((one) => ['current', 'grace'].includes(stateOf(one, now)));
  const current = alive.find((one) => stateOf(one, now) === 'current');
  const old = alive.find((one) => stateOf(one, now) === 'grace');
  const dead = listed.filter((one) => !alive.includes(one)).slice(0, 10);
  const isAllowed = may(visit, tenant, 'credentials');
  const at = (verb: string) => pathOf(slug, `credentials/${kind}/${verb}`);
  return (
    <>
      {alive.length === 0 && (
        <Empty title={words.none}>
          <div class="stack tight">
            <span>{kind === 'token' && words.noneText}</span>
            {isAllowed && (
              <span>
                <a class="button main" href={at('new')}>
                  {words.generate[kind]}
                </a>
              </span>
            )}
          </div>
        </Empty>
      )}
      {alive.map((one) => (
        <div class="stack tight">
          <div class="row">
            <code dir="ltr">{one.mask}</code>
            <Badge mark={one === current ? 'works' : 'warn'}>{words.states[stateOf(one, now)]}</Badge>
          </div>
          <Facts
            of={[
              [words.made, <Made visit={visit} one={one} />],
              [words.lastUsed, <Used visit={visit} one={one} />],
              one.graceUntil !== undefined && [words.until, <Time visit={visit} at={one.graceUntil} />],
              one.validUntil !== undefined && [words.expires, <Time visit={visit} at={one.validUntil} />],
            ]}
          />
        </div>
      ))}
      {old && current && (
        <Note mark={isUsed(old) ? 'warn' : 'works'}>
          <span>
            {isUsed(old) ? (
              <>
                {words.stillUsed} <bdi>{words.from(old.lastUsedClient ?? '', old.lastUsedAddress ?? '')}</bdi>,{' '}
                <Time visit={visit} at={old.lastUsedAt} />
              </>
            ) : (
              words.notUsedSince
            )}
          </span>
          {isAllowed && (
            <div class="row">
              <Act visit={visit} action={at('complete')} fields={{ expect: String(current.generation) }}>
                {words.complete}
              </Act>
              <Act visit={visit} action={at('cancel')} fields={{ expect: String(current.generation) }}>
                {words.back}
              </Act>
            </div>
          )}
        </Note>
      )}
      {isAllowed && current && (
        <div class="row">
          <a class="button" href={at('rotate')}>
            {words.rotate}
          </a>
          <a class="button danger" href={at('revoke')}>
            {words.revoke}
          </a>
        </div>
      )}
      {dead.length > 0 && (
        <details>
          <summary class="small">{words.history}</summary>
          <Table label={words.history} head={[words.mask, words.state, words.made, words.lastUsed]}>
            {dead.map((one) => (
              <tr>
                <td>
                  <code dir="ltr">{one.mask}</code>
                </td>
                <td>{words.states[stateOf(one, now)]}</td>
                <td>
                  <Made visit={visit} one={one} />
                </td>
                <td>
                  <Used visit={visit} one={one} />
                </td>
              </tr>
            ))}
          </Table>
        </details>
      )}
    </>
  );
};

/** After its successor had taken its place. */
const isUsed = ({ lastUsedAt, replacedAt }: Credential) => (lastUsedAt ?? 0) > (replacedAt ?? 0);

const Made: FC<{ visit: Visit; one: Credential }> = ({ visit, one }) => (
  <>
    <Time visit={visit} at={one.createdAt} /> {visit.texts.by('')}
    <bdi>{one.createdBy}</bdi>
  </>
);

const Used: FC<{ visit: Visit; one: Credential }> = ({ visit, one }) =>
  one.lastUsedAt === undefined ? (
    <span class="soft">{visit.texts.credentials.notUsed}</span>
  ) : (
    <>
      <Time visit={visit} at={one.lastUsedAt} />{' '}
      <span class="soft">
        <bdi>{visit.texts.credentials.from(one.lastUsedClient ?? '', one.lastUsedAddress ?? '')}</bdi>
      </span>
    </>
  );

const kindOf = (c: PortalContext): Kind => {
  const kind = c.req.param('kind');
  if (kind !== 'token' && kind !== 'basic') throw notHere();
  return kind;
};

/** A question before something happens, with the way back. */
async function question(
  c: PortalContext,
  title: string,
  body: (current: Credential | undefined, tenant: Tenant) => Child,
) {
  const { visit } = c.var;
  const { store } = orgOf(c);
  const listed = await listCredentials(store, LINES[kindOf(c)]);
  expectMay(visit, store.tenant, 'credentials');
  const current = listed.find((one) => stateOf(one, Date.now()) === 'current');
  return render(c, { name: 'credentials', title, tenant: store.tenant }, <Card>{body(current, store.tenant)}</Card>);
}

const Buttons: FC<{ visit: Visit; slug: string; text: string; kind?: string }> = ({
  visit,
  slug,
  text,
  kind = 'main',
}) => (
  <div class="row">
    <button class={kind} type="submit">
      {text}
    </button>
    <a class="button" href={pathOf(slug, 'credentials')}>
      {visit.texts.cancel}
    </a>
  </div>
);

const nothingThere = (visit: Visit) => <p>{visit.texts.credentials.gone}</p>;

credentials.get('/:kind/new', (c) => {
  const { visit } = c.var;
  const { credentials: words } = visit.texts;
  const kind = kindOf(c);
  return question(c, words.confirmTitle[kind], (current, { slug }) =>
    current ? (
      <p>{words.already}</p>
    ) : (
      <Form visit={visit} action={pathOf(slug, `credentials/${kind}/new`)}>
        <p>{words.confirmText}</p>
        <Buttons visit={visit} slug={slug} text={words.generate[kind]} />
      </Form>
    ),
  );
});

credentials.get('/:kind/rotate', (c) => {
  const { visit } = c.var;
  const { credentials: words } = visit.texts;
  const kind = kindOf(c);
  return question(c, words.rotateTitle[kind], (current, { slug }) =>
    current === undefined ? (
      nothingThere(visit)
    ) : (
      <Form visit={visit} action={pathOf(slug, `credentials/${kind}/rotate`)}>
        <input type="hidden" name="expect" value={current.generation} />
        <fieldset>
          <legend>{words.rotateText}</legend>
          <Choice name="grace" value="24h" checked>
            {words.grace24}
          </Choice>
          <Choice name="grace" value="0">
            {words.graceNow}
          </Choice>
        </fieldset>
        <Buttons visit={visit} slug={slug} text={words.rotate} />
      </Form>
    ),
  );
});

credentials.get('/:kind/revoke', (c) => {
  const { visit } = c.var;
  const { credentials: words } = visit.texts;
  const kind = kindOf(c);
  return question(c, words.revokeTitle[kind], (current, { slug }) =>
    current === undefined ? (
      nothingThere(visit)
    ) : (
      <Form visit={visit} action={pathOf(slug, `credentials/${kind}/revoke`)}>
        <p>{words.revokeText}</p>
        <code dir="ltr">{current.mask}</code>
        <Buttons visit={visit} slug={slug} text={words.revoke} kind="danger" />
      </Form>
    ),
  );
});

/** The org's one line for credentials, for whoever may use it. */
async function lineOf(c: PortalContext) {
  const form = await readForm(c);
  const { store, actor } = orgOf(c);
  const tenant = await store.verify();
  expectMay(c.var.visit, tenant, 'credentials');
  return {
    form,
    tenant,
    actor,
    store,
    kind: kindOf(c),
    line: LINES[kindOf(c)],
    coordinator: coordinatorOf(c.env, tenant.id),
  };
}

/** Repeating what did happen would kill what the identity provider holds: so the list is shown instead. */
async function answered<P extends Promise<unknown>>(c: PortalContext, work: P): Promise<Awaited<P> | undefined> {
  try {
    return await work;
  } catch (error) {
    const message = 'the coordinator has not confirmed a change of credentials';
    console.error(JSON.stringify({ message, requestId: c.var.requestId, error: String(error) }));
    return undefined;
  }
}

const unknown = (c: PortalContext) => list(c, { mark: 'warn', text: c.var.visit.texts.credentials.unknown }, 504);

/** Milliseconds within which what is there already may well come of a second click. */
const JUST_NOW = 10_000;

function refused(c: PortalContext, { why, current }: Refused) {
  const { credentials: words } = c.var.visit.texts;
  const isMine = current?.currentBy === c.var.visit.contact && Date.now() - current.currentSince < JUST_NOW;
  const text =
    isMine && (why === 'generation' || why === 'no_token')
      ? words.justMade
      : why === 'generation'
        ? words.overtaken(current?.currentBy ?? '–')
        : why === 'no_token'
          ? words.already
          : words.gone;
  return list(c, { mark: 'failed', text }, 409);
}

/** The only page that shows a secret. It is the answer to a form, so that nothing leads back to it. */
function secretPage(c: PortalContext, tenant: Tenant, kind: Kind, secret: string) {
  const { visit } = c.var;
  const { credentials: words } = visit.texts;
  return render(
    c,
    { name: 'credentials', title: words.secretTitle[kind], tenant },
    <Card>
      <Note mark="warn">{words.secretText}</Note>
      {kind === 'basic' && <Copy visit={visit} id="user-name" label={words.userName} value={tenant.slug} />}
      <Copy visit={visit} id="secret" label={words.line[kind]} value={secret} secret />
      <Copy
        visit={visit}
        id="base-url"
        label={visit.texts.setup.connect.baseUrl}
        value={scimBaseUrl(c, tenant.settings)}
      />
      <span>
        <a class="button main" href={pathOf(tenant.slug, 'set-up/test')}>
          {words.secretDone}
        </a>
      </span>
    </Card>,
  );
}

credentials.post('/:kind/new', async (c) => {
  const { tenant, kind, line, actor, coordinator } = await lineOf(c);
  const outcome = await answered(c, coordinator.issue(line, { by: c.var.visit.contact }, actor));
  if (outcome === undefined) return unknown(c);
  return outcome.ok ? secretPage(c, tenant, kind, outcome.secret) : refused(c, outcome);
});

/** Which one the page showed as the current one: of two who replace it at once, one is told. */
const expected = (form: Fields): number => Number(/^\d{1,9}$/.exec(form('expect'))?.[0] ?? -1);

credentials.post('/:kind/rotate', async (c) => {
  const { form, tenant, kind, line, actor, coordinator } = await lineOf(c);
  const rotation = { by: c.var.visit.contact, grace: form('grace') === '0' ? 0 : DAY, expected: expected(form) };
  const outcome = await answered(c, coordinator.rotate(line, rotation, actor));
  if (outcome === undefined) return unknown(c);
  return outcome.ok ? secretPage(c, tenant, kind, outcome.secret) : refused(c, outcome);
});

for (const verb of ['complete', 'cancel'] as const) {
  credentials.post(`/:kind/${verb}`, async (c) => {
    const { form, tenant, line, actor, coordinator } = await lineOf(c);
    const outcome = await answered(c, coordinator[verb](line, c.var.visit.contact, expected(form), actor));
    if (outcome === undefined) return unknown(c);
    if (!outcome.ok) return refused(c, outcome);
    return c.redirect(`${pathOf(tenant.slug, 'credentials')}?done=${verb === 'complete' ? 'completed' : 'back'}`, 303);
  });
}

credentials.post('/:kind/revoke', async (c) => {
  const { tenant, line, actor, coordinator } = await lineOf(c);
  const revoked = await answered(c, coordinator.revoke(line, c.var.visit.contact, actor));
  if (revoked === undefined) return unknown(c);
  return c.redirect(`${pathOf(tenant.slug, 'credentials')}?done=revoked`, 303);
});

/** OAuth clients, and how another one is made. */
export const OauthClients: FC<{
  visit: Visit;
  tenant: Tenant;
  clients: readonly ListedClient[];
  from: 'set-up' | 'credentials';
}> = ({ visit, tenant, clients, from }) => {
  const { oauth: words, credentials: common } = visit.texts;
  const { slug, settings } = tenant;
  const isAllowed = may(visit, tenant, 'credentials');
  const isEntra = settings.idp === 'entra';
  return (
    <>
      {clients.length === 0 ? (
        <p class="soft">{words.none}</p>
      ) : (
        <Table label={words.title} head={[words.name, words.clientId, common.made, common.lastUsed]}>
          {clients.map((one) => (
            <tr>
              <td>
                <bdi>{one.name}</bdi>
              </td>
              <td>
                <code dir="ltr">{one.id}</code>
              </td>
              <td>
                <Time visit={visit} at={one.createdAt} /> {visit.texts.by('')}
                <bdi>{one.createdBy}</bdi>
              </td>
              <td>{one.lastUsedAt === undefined ? common.notUsed : <Time visit={visit} at={one.lastUsedAt} />}</td>
            </tr>
          ))}
        </Table>
      )}
      {isAllowed && (
        <details open={from === 'set-up' && clients.length === 0}>
          <summary>{words.create}</summary>
          <Form visit={visit} action={pathOf(slug, 'credentials/oauth')}>
            <Field id="oauth-name" name="name" label={words.name} value={settings.idp ?? 'client'} required />
            {isEntra ? null : (
              <Field
                id="oauth-redirect"
                name="redirectUri"
                label={words.redirectUri}
                hint={words.redirectHint}
                max={2_000}
              />
            )}
            {isEntra && (
              <fieldset>
                <legend>{words.federated}</legend>
                <Field id="oauth-tenant" name="tenant" label={words.tenant} />
                <Field id="oauth-object" name="object" label={words.objectId} />
                <Field id="oauth-audience" name="audience" label={words.audience} />
              </fieldset>
            )}
            <span>
              <button type="submit">{words.create}</button>
            </span>
          </Form>
        </details>
      )}
      {isAllowed && clients.some(({ redirectUris }) => redirectUris.length > 0) && (
        <div class="row">
          <span class="soft small">{words.approvalHint}</span>
          <Act visit={visit} action={pathOf(slug, 'credentials/oauth/approval')}>
            {words.approval}
          </Act>
        </div>
      )}
    </>
  );
};

/** Entra ID's workload identity: who signs, and what it signs. @returns undefined where nothing of it was entered. */
async function signerIn(form: Fields): Promise<Signer | undefined> {
  const [tenant, subject, audience] = [form('tenant'), form('object'), form('audience')];
  if (tenant === '' && subject === '' && audience === '') return undefined;
  if (!/^[0-9A-Za-z-]{1,60}$/.test(tenant)) throw new ScimError(400, 'invalidValue', 'tenant');
  const login = `https://login.microsoftonline.com/${tenant}`;
  return readSigner({ issuer: `${login}/v2.0`, jwksUrl: `${login}/discovery/v2.0/keys`, subject, audience });
}

credentials.post('/oauth', async (c) => {
  const { visit } = c.var;
  const { oauth: words } = visit.texts;
  const form = await readForm(c);
  const { store, actor } = orgOf(c);
  const tenant = await store.verify();
  expectMay(visit, tenant, 'credentials');
  const uri = form('redirectUri');
  let signer: Signer | undefined;
  try {
    signer = await signerIn(form);
    refusePrivateKeys(c, signer);
    if (uri !== '') redirectUri.parse(uri);
  } catch {
    return list(c, { mark: 'failed', text: words.wrong }, 409);
  }
  const id = `${tenant.id}_${randomText(16)}`;
  const secret = signer ? undefined : await newSecret('oauth_client', tenant.id);
  const draft = secret && {
    id: crypto.randomUUID(),
    hash: await hashOf(secret),
    mask: maskOf(secret),
    validFor: undefined,
  };
  const client = {
    id,
    name: form('name').slice(0, 200) || id,
    redirectUris: uri ? [uri] : [],
    signer,
    createdBy: visit.contact,
  };
  await insertClient(store, client, draft || undefined, actor);
  const { authorizeUrl, tokenUrl } = endpoints(c);
  return render(
    c,
    { name: 'credentials', title: words.createdTitle, tenant },
    <Card>
      <Note mark="warn">{secret ? visit.texts.credentials.secretText : words.noSecret}</Note>
      <Copy visit={visit} id="client-id" label={words.clientId} value={id} />
      {secret && <Copy visit={visit} id="secret" label={words.clientSecret} value={secret} secret />}
      {uri && <Copy visit={visit} id="authorize-url" label={words.authorizeUrl} value={authorizeUrl} />}
      <Copy visit={visit} id="token-url" label={words.tokenUrl} value={tokenUrl} />
      <Copy
        visit={visit}
        id="base-url"
        label={visit.texts.setup.connect.baseUrl}
        value={scimBaseUrl(c, tenant.settings)}
      />
      <div class="row">
        {uri && (
          <Act visit={visit} action={pathOf(tenant.slug, 'credentials/oauth/approval')}>
            {words.approval}
          </Act>
        )}
        <a class="button main" href={pathOf(tenant.slug, 'set-up/test')}>
          {visit.texts.done}
        </a>
      </div>
    </Card>,
  );
});

credentials.post('/oauth/approval', async (c) => {
  const { visit } = c.var;
  const { oauth: words } = visit.texts;
  await readForm(c);
  const { store, actor } = orgOf(c);
  const tenant = await store.verify();
  expectMay(visit, tenant, 'credentials');
  const code = newApprovalCode();
  await putApproval(store, (await hashOfApproval(tenant.id, code))!, store.now + APPROVAL_LIFE, visit.contact, actor);
  return render(
    c,
    { name: 'credentials', title: words.approvalTitle, tenant },
    <Card>
      <p>{words.approvalText}</p>
      <Copy visit={visit} id="secret" label={words.approvalTitle} value={code} secret />
      <span>
        <a class="button main" href={pathOf(tenant.slug, 'set-up/test')}>
          {visit.texts.done}
        </a>
      </span>
    </Card>,
  );
});
