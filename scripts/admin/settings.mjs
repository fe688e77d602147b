/** The settings of an org for people: changed, listed with their meaning, and shown as `org set` takes them. */
import { columns, heading, paint, wrap } from '../terminal.mjs';
import { org } from './api.mjs';
import table from './settings.json' with { type: 'json' };
import { suggest } from './suggest.mjs';
import { AdminError } from './transport.mjs';

const WIDTH = 80;
const INDENT = '    ';
const indented = (text) => wrap(text, WIDTH - INDENT.length).map((line) => `${INDENT}${paint('dim', line)}`);

/** Each setting with what it takes and its default. settings.json is written by `npm run docs:settings`. */
export const settingsHelp = () =>
  [
    'Settings:',
    ...table.flatMap((setting) => [
      `  ${paint('bold', setting.name)}`,
      ...indented(setting.about),
      ...indented(`Takes ${setting.takes}. Default: ${setting.default}.`),
    ]),
  ].join('\n');

/** @throws AdminError `usage` for a pair without `=`; what the service refuses for a name, with the one that was meant. */
export async function changeSettings(callAdmin, { slug, 'key=value': pairs }) {
  const settings = settingsOf(pairs);
  try {
    return await callAdmin(org(slug), { method: 'PATCH', body: { settings } });
  } catch (error) {
    const unknown = Object.keys(settings).find((name) => error.message.startsWith(`There is no setting ${name};`));
    if (unknown === undefined) throw error;
    const meant = suggest(
      unknown,
      table.map(({ name }) => name),
    );
    const message = `There is no setting "${unknown}".${meant} See: npm run admin -- org settings`;
    throw new AdminError(error.code, message, error.status);
  }
}

function settingsOf(pairs) {
  const split = pairs.map((pair) => /^([^=]+)=(.*)$/s.exec(pair)?.slice(1) ?? pair);
  const wrong = split.find((pair) => typeof pair === 'string');
  if (wrong !== undefined) {
    throw new AdminError('usage', `"${wrong}" is not of the form key=value. See: npm run admin -- org settings`);
  }
  return Object.fromEntries(split);
}

/** Every setting; `value` is what the org has set, null where the default holds. @param org as the API shows it. */
export function listSettings(org) {
  const set = org === undefined ? undefined : { name: org.name, ...org.settings };
  return table.map((setting) => ({
    name: setting.name,
    ...(set && { value: set[setting.name] ?? null }),
    default: setting.default,
    takes: setting.takes,
    about: setting.about,
  }));
}

/** Name, value and default as a table; the meaning stands below each. */
export function showSettings(settings) {
  const isOfOrg = settings.some(({ value }) => value !== undefined);
  const rows = settings.map(({ name, value, default: otherwise }) => [
    name,
    ...(isOfOrg ? [value === null ? ['dim', 'default'] : ['green', textOf(value)]] : []),
    otherwise,
  ]);
  const lines = columns([heading('KEY', ...(isOfOrg ? ['VALUE'] : []), 'DEFAULT'), ...rows], Number.POSITIVE_INFINITY);
  const [head, ...others] = lines.split('\n');
  return [head, ...others.flatMap((line, i) => [line, ...indented(settings[i].about)])].join('\n');
}

/** Rows `settings.key, text`: what is set, as `org set` takes it. */
export const settingRows = (settings) =>
  Object.entries(settings).map(([name, value]) => [['dim', `settings.${name}`], textOf(value)]);

const textOf = (value) => (Array.isArray(value) ? value.join(',') : value);
