/**
 * `npm run docs:portal`: src/routes/portal/guides.json, the steps and mapping tables of docs/idp as the portal shows them, so that
 * there is one text and no Markdown in the Worker. A test checks that it is current.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { GUIDES } from './admin/guide.mjs';
import { root } from './project.mjs';

export const FILE = 'src/routes/portal/guides.json';

/** Sections that the portal does not repeat: it has the values itself, and a table of attributes on a page of its own. */
const LEFT_OUT = /^(?:What you need from us|Attributes|Change the credential|Remove the set-up|Sources)$/;

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
  const row = (tag, all) =>
    `<tr>${all.map((cell) => `<${tag}${tag === 'th' ? ' scope="col"' : ''}>${inline(cell)}</${tag}>`).join('')}</tr>`;
  const label = escaped(head.join(', '));
  return `<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table><thead>${row('th', head)}</thead><tbody>${rows.map((all) => row('td', all)).join('')}</tbody></table></div>`;
}

/** A part of a page: paragraphs, lists with a line or more to an item, tables, blocks of text to copy. */
function html(markdown) {
  return markdown
    .split(/^(```[\s\S]*?^```)$/m)
    .flatMap((part) => (part.startsWith('```') ? [part] : part.split(/\n\s*\n/)))
    .map((block) => blockOf(block.split('\n').filter((line) => line.trim())))
    .join('');
}

const ITEM = /^(?:\d+\.|[-*]) /;

function blockOf(lines) {
  const [first] = lines;
  if (first === undefined) return '';
  if (first.startsWith('```'))
    return `<pre class="scroll" tabindex="0">${escaped(lines.slice(1, -1).join('\n'))}</pre>`;
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
  for (const [page, { name, ways }] of Object.entries(GUIDES)) {
    const text = await readFile(join(root, 'docs', 'idp', `${page}.md`), 'utf8');
    const sections = text
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.split('\n', 1)[0].trim(), section.slice(section.indexOf('\n'))]);
    const steps = sections.flatMap(([title, section]) => (LEFT_OUT.test(title) ? [] : [`### ${title}\n\n${section}`]));
    const attributes = sections.find(([title]) => title === 'Attributes')?.[1] ?? '';
    guides[page] = {
      name: page === 'other' ? '' : name,
      ways,
      steps: html(steps.join('\n\n')),
      attributes: html(attributes),
    };
  }
  // A short list stands on one line, as the formatter has it.
  const text = JSON.stringify(guides, null, 2).replace(
    /\[\n\s+([^\]]*?)\n\s+\]/g,
    (_, list) => `[${list.replace(/\s+/g, ' ')}]`,
  );
  return `${text}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await writeFile(join(root, FILE), await portalGuides());
