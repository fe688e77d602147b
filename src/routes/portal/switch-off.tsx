/** Provisioning is switched off, which changes nobody; or the set-up is removed, in numbers first. */
import { Hono } from 'hono';
import { coordinatorOf } from '../../coordinator-stub';
import { PASSWORDS, TOKENS } from '../../store/credentials/credentials';
import { deleteClient } from '../../store/credentials/oauth-clients';
import { Unmet } from '../../store/d1/batch';
import { WHOLE_ORG } from '../../store/journal/outbox';
import { deactivateUsers, readOffboarding } from '../../store/operations/offboarding';
import { signOutOrg } from '../../store/operations/orgs';
import { switchScim } from './changes';
import { readForm } from './form';
import { type Page, pathOf, render } from './layout';
import { Act, Card, Facts, Field, Form, Note } from './parts';
import { expectMay, may, orgOf, type PortalApp, type PortalContext } from './visit';

/** Deactivated at once, and chunks of one click: what is left, the next click goes on with. */
const CHUNK = 200;
const MAX_CHUNKS = 10;

export const switchOff = new Hono<PortalApp>();

switchOff.get('/', (c) => page(c));

async function page(c: PortalContext, notice?: Page['notice'], status?: 400) {
  const { visit } = c.var;
  const { off: words, titles } = visit.texts;
  const { store } = orgOf(c);
  const found = await readOffboarding(store);
  const { tenant } = store;
  const { slug } = tenant;
  const left = found.attached.active - found.protected;
  const credentials = found.tokens + found.passwords + found.clients.length;
  const done: Record<string, Page['notice']> = {
    removed: { mark: 'works', text: words.removed },
    left: { mark: 'warn', text: words.left(left) },
  };
  return render(
    c,
    {
      name: 'off',
      title: titles.off,
      tenant,
      notice: notice ?? done[c.req.query('done') ?? ''],
      events: c.req.query('done') === 'removed' ? ['scim_disabled'] : [],
      ...(status && { status }),
    },
    <>
      {may(visit, tenant, 'scim') && (
        <Card title={words.disable}>
          <p>{words.disableText}</p>
          {tenant.isScimEnabled ? (
            <Act visit={visit} action={pathOf(slug, 'scim')} fields={{ enabled: 'false' }}>
              {words.disable}
            </Act>
          ) : (
            <>
              <p>{visit.texts.setup.scim.off}</p>
              <Act visit={visit} action={pathOf(slug, 'scim')} kind="main" fields={{ enabled: 'true' }}>
                {visit.texts.setup.scim.on}
              </Act>
            </>
          )}
        </Card>
      )}
      {may(visit, tenant, 'removal') && (
        <Card title={words.remove}>
          <p>{words.removeText}</p>
          <Facts
            of={[
              [words.deactivated, String(left)],
              [words.protected, String(found.protected)],
              [words.unlinked, String(found.unlinked.active)],
              [words.credentials, String(credentials)],
              [words.groups, words.stay(tenant.groupCount)],
            ]}
          />
          <Note mark="warn">{words.signOut}</Note>
          <Form visit={visit} action={pathOf(slug, 'switch-off/remove')}>
            <Field id="confirm" name="confirm" label={words.confirm(slug)} max={63} required />
            <span>
              <button class="danger" type="submit">
                {words.remove}
              </button>
            </span>
          </Form>
        </Card>
      )}
    </>,
  );
}

/** The steps of `org offboard`, up to the credentials. Each is done once; the same click again goes on where it is due. */
switchOff.post('/remove', async (c) => {
  const { visit } = c.var;
  const form = await readForm(c);
  const org = orgOf(c);
  const { store, actor } = org;
  const tenant = await store.verify();
  expectMay(visit, tenant, 'removal');
  if (form('confirm') !== tenant.slug) {
    return page(c, { mark: 'failed', text: visit.texts.off.notConfirmed(tenant.slug) }, 400);
  }
  await switchScim(org, false);
  let after: number | undefined = 0;
  let left = 0;
  try {
    for (let chunk = 0; chunk < MAX_CHUNKS && after !== undefined; chunk++) {
      const done = await deactivateUsers(orgOf(c).store, after, CHUNK, actor, visit.contact);
      after = done.next;
      left = done.left;
      if (done.deactivated > 0) await org.publishSoon();
    }
  } catch (error) {
    // Somebody has switched it on again meanwhile.
    if (!(error instanceof Unmet) || error.expectation !== 'scim_off') throw error;
    left = 1;
  }
  if (left > 0) return c.redirect(`${pathOf(tenant.slug, 'switch-off')}?done=left`, 303);
  await signOutOrg(orgOf(c).store, actor, { cause: 'operator', by: visit.contact });
  await org.publish(WHOLE_ORG);
  const coordinator = coordinatorOf(c.env, tenant.id);
  for (const line of [TOKENS, PASSWORDS]) await coordinator.revoke(line, visit.contact, actor);
  const { clients } = await readOffboarding(orgOf(c).store);
  for (const client of clients) await deleteClient(orgOf(c).store, client, visit.contact, actor);
  return c.redirect(`${pathOf(tenant.slug, 'switch-off')}?done=removed`, 303);
});
