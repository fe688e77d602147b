/**
 * `npm run docs:portal`: src/routes/portal/guides.json, the steps and mapping tables of docs/idp as the portal shows them, so that
 * there is one text and no Markdown in the Worker. A test checks that it is current.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { root } from './project.mjs';

const PAGES = [
  ...['okta', 'entra', 'onelogin', 'jumpcloud', 'google', 'ping', 'rippling', 'sailpoint', 'cyberark', 'keycloak'],
  ...['authentik', 'other'],
];
/** The sections that somebody goes through in front of the identity provider. The portal has its own pages for the others. */
const STEPS = /^(?:Is it possible|One application|Create|Connect|Set the mappings|Switch|PingFederate|Check)/;
export const GUIDES = 'src/routes/portal/guides.json';

/** Columns that are for the vendor: its commands, and its application's questions. */
const OURS = /^(?:on our side|what the product gets|what your application gets|command)$/i;
/** Placeholders that the portal fills in. */
const EXAMPLES = [
  ['https://scim.example.com', '{service}'],
  ['acme', '{slug}'],
];

const escaped = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

function inline(text) {
  const filled = EXAMPLES.reduce(
    (all, [from, to]) => all.replace(new RegExp(`${from.replaceAll('.', '\\.')}\\b`, 'g'), to),
    text,
  );
  return escaped(filled)
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replace(/\[([^\]]+)\]\((https:[^)\s]+)\)/g, '<a href="$2" rel="noreferrer" target="_blank">$1</a>')
    .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1');
}

function table(lines) {
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, '')
      .split('|')
      .map((cell) => cell.trim());
  const [head, , ...rows] = lines.map(cells);
  const kept = head.flatMap((name, i) => (OURS.test(name) ? [] : [i]));
  const row = (tag, all) =>
    `<tr>${kept.map((i) => `<${tag}${tag === 'th' ? ' scope="col"' : ''}>${inline(all[i] ?? '')}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escaped(kept.map((i) => head[i]).join(', '))}"><table><thead>${row('th', head)}</thead><tbody>${rows.map((all) => row('td', all)).join('')}</tbody></table></div>`;
}

/** A part of a page: paragraphs, lists with a line or more to an item, tables. Code blocks are the vendor's. */
function html(markdown) {
  const blocks = markdown.replace(/^```[\s\S]*?^```$/gm, '').split(/\n\s*\n/);
  return blocks.map((block) => blockOf(block.split('\n').filter((line) => line.trim()))).join('');
}

const ITEM = /^(?:\d+\.|[-*]) /;

function blockOf(lines) {
  const [first] = lines;
  if (first === undefined) return '';
  if (first.trim().startsWith('|')) return table(lines);
  if (/^#+ /.test(first)) return `<h3>${inline(first.replace(/^#+ /, ''))}</h3>`;
  if (!ITEM.test(first)) return `<p>${inline(lines.map((line) => line.trim()).join(' '))}</p>`;
  const items = [];
  for (const line of lines) {
    if (ITEM.test(line)) items.push(line.replace(ITEM, ''));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  const start = /^(\d+)\./.exec(first)?.[1];
  const open = start === undefined ? 'ul' : start === '1' ? 'ol' : `ol start="${start}"`;
  return `<${open}>${items.map((item) => `<li>${inline(item)}</li>`).join('')}</${open.slice(0, 2)}>`;
}

/** @returns the text of the file. */
export async function portalGuides() {
  const guides = {};
  for (const page of PAGES) {
    const text = await readFile(join(root, 'docs', 'idp', `${page}.md`), 'utf8');
    const sections = new Map(
      text
        .split(/^## /m)
        .slice(1)
        .map((section) => [section.split('\n', 1)[0].trim(), section.slice(section.indexOf('\n'))]),
    );
    const steps = [...sections].flatMap(([name, section]) => (STEPS.test(name) ? [`### ${name}\n\n${section}`] : []));
    guides[page] = { steps: html(steps.join('\n\n')), attributes: html(sections.get('Attributes') ?? '') };
  }
  return `${JSON.stringify(guides, null, 2)}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await writeFile(join(root, GUIDES), await portalGuides());
