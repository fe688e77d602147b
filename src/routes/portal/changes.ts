/** Settings and SCIM of an org, changed from the portal: by the functions and with the events of the admin API. */
import { detailsOf } from '../../provisioning/lifecycle';
import type { Org } from '../../provisioning/org';
import type { JsonObject } from '../../scim/resource';
import { Unmet } from '../../store/d1/batch';
import { changeOrg } from '../../store/operations/orgs';
import type { SettingsChange } from '../../store/org/settings';
import type { Tenant } from '../../store/org/tenant';
import { named, shownSettings } from '../admin/settings';

/** @throws Unmet, as changeOrg. */
export async function changeSettings({ store, actor }: Org, settings: SettingsChange): Promise<Tenant> {
  const tenant = await store.found();
  const was = tenant.settings as unknown as JsonObject;
  const is = Object.fromEntries(
    Object.entries({ ...was, ...settings }).filter(([, value]) => value !== null),
  ) as JsonObject;
  const details = { ...detailsOf(named(was), named(is), new Set()), settings: shownSettings(settings) };
  return changeOrg(store, { settings }, actor, { type: 'org.changed', details });
}

/** Switches SCIM on or off. @returns why it could not be switched on. */
export async function switchScim({ store, actor }: Org, enabled: boolean): Promise<'plan' | 'sso' | undefined> {
  const tenant = await store.found();
  if (tenant.isScimEnabled === enabled) return undefined;
  const changed = { scimEnabled: { before: !enabled, after: enabled } };
  try {
    const happening = { type: enabled ? 'scim.enabled' : 'scim.disabled', details: { changed } } as const;
    await changeOrg(store, { isScimEnabled: enabled }, actor, happening);
    return undefined;
  } catch (error) {
    if (error instanceof Unmet && (error.expectation === 'plan' || error.expectation === 'sso'))
      return error.expectation;
    throw error;
  }
}
