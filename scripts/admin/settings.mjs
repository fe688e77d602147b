/** The settings of an org for people: what `org set --help` lists, and how `org show` shows them. */
import { paint } from '../terminal.mjs';
import table from './settings.json' with { type: 'json' };

/** Each setting with what it takes and its default. settings.json is written by `npm run docs:settings`. */
export const settingsHelp = () =>
  table
    .flatMap((setting) => [
      `  ${paint('bold', setting.name)}=<${setting.takes}>  ${paint('dim', `default: ${setting.default}`)}`,
      `      ${setting.about}`,
    ])
    .join('\n');

/** Rows `settings.key, text`: what is set, as `org set` takes it. */
export const settingRows = (settings) =>
  Object.entries(settings).map(([name, value]) => [
    ['dim', `settings.${name}`],
    Array.isArray(value) ? value.join(',') : value,
  ]);
