/** Settings at the administrator's API: the words of a change are read, and what an org keeps is shown. */
import type * as z from 'zod/mini';
import { invalidValue, printable } from '../../scim/error';
import { isSame, type Json, type JsonObject } from '../../scim/resource';
import {
  entries,
  keyOf,
  NAME,
  nameOf,
  type OrgSettings,
  SETTINGS,
  type Setting,
  type SettingKey,
  type SettingsChange,
  textOf,
} from '../../store/org/settings';

/** What `org set` changes: settings, and the name of the org. null: back to the default. */
export type OrgSet = SettingsChange & { readonly name?: string | null };

/** Back to the default. */
const RESET = 'none';

const settingOfKey = (key: SettingKey | 'name'): Setting => (key === 'name' ? NAME : SETTINGS[key]) as Setting;

/** What `key=value …` comes to. @throws ScimError 400 naming the setting and what was expected. */
export function settingsAsked(asked: Readonly<Record<string, string>>): OrgSet {
  const change = new Map<string, unknown>();
  for (const [name, text] of Object.entries(asked)) {
    const key = name === 'name' ? name : keyOf(name);
    if (key === undefined) throw unknownSetting(name);
    if (change.has(key)) throw invalidValue(`${name}: the setting stands twice, under two names`);
    const setting = settingOfKey(key);
    const isReset = text === RESET && setting.takesNone !== false;
    change.set(key, isReset ? null : read(name, setting.schema, text));
  }
  return Object.fromEntries(change) as OrgSet;
}

function unknownSetting(name: string) {
  const names = ['name', ...entries.map(([key]) => nameOf(key))];
  return invalidValue(`There is no setting ${name.slice(0, 40)}; there are ${names.join(', ')}`);
}

/** @throws ScimError 400 naming the setting. */
function read<T>(name: string, schema: z.ZodMiniType<T>, text: string): T {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalidValue(`${[name, ...issue!.path].join('.')}: ${issue!.message}`);
}

/** The error of a change that names a group that is not there; undefined for another expectation. */
export function unknownGroup(unmet: string) {
  const [key, setting] = entries.find(([, { groups }]) => groups?.unmet === unmet) ?? [];
  return key && invalidValue(`${nameOf(key)}: ${setting!.groups!.expected}`);
}

/** Whether the change names groups, whose ids only the change itself finds out. */
export const namesGroups = (change: SettingsChange): boolean =>
  entries.some(([key, { groups }]) => groups && change[key]);

/**
 * Settings as an org keeps them, from elsewhere. A value is right if `org set` would have kept it for its own text.
 *
 * @throws ScimError 400 naming the setting.
 */
export function settingsKept(kept: Readonly<Record<string, Json>>): OrgSettings {
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(kept)) {
    if (!Object.hasOwn(SETTINGS, key)) {
      throw invalidValue(`settings.${printable(key)}: this version has no such setting`);
    }
    const taken = read(`settings.${key}`, settingOfKey(key as SettingKey).schema, textOf(value)) as Json;
    // An older version has kept domains in another form.
    if (key !== 'verifiedDomains' && !isSame(taken, value)) {
      throw invalidValue(`settings.${key}: the form that org export writes was expected`);
    }
    settings[key] = taken;
  }
  return settings as OrgSettings;
}

/** Settings by their names. @param settings by the keys that an org keeps them under. */
export const named = <T>(settings: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      Object.hasOwn(SETTINGS, key) ? nameOf(key as SettingKey) : key,
      value,
    ]),
  );

/** Roles as the administrator wrote them. */
export const shownSettings = (settings: SettingsChange): JsonObject =>
  named({
    ...settings,
    ...(settings.roles && { roles: settings.roles.map(({ value }) => value) }),
  } as unknown as JsonObject) as JsonObject;
