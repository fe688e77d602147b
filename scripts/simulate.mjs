/** `npm run simulate`: plays an identity provider against a SCIM API. HELP below names the options. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { root } from './project.mjs'; // first: it says so if this Node is too old
import { harmless, jsonText } from './terminal.mjs';

const { IDP_NAMES, PHASES, SimulationError, simulate } = await import(
  pathToFileURL(join(root, 'src/testing/simulate/index.ts')).href
);

const HELP = `npm run simulate -- --idp <name> [--url <scim base> --token <token>] [options]

Plays what an identity provider sends, for made-up people, and checks each
answer. Without --url it starts the service in memory, with an empty org.

  --idp <name>       ${lines(IDP_NAMES)}
  --url <address>    the SCIM base address: https://scim.example.com/scim/v2
  --token <token>    the token of the org (or SCIM_TOKEN in the environment)
  --users <n>        how many people (default: 10)
  --groups <n>       how many groups (default: 0)
  --phase <names>    some of the phases, with commas between them:
                     ${lines(PHASES)}
  --share <part>     the part of the people that a phase is about, such as 0.5
  --seed <n>         another number is other people and choices (default: 1)
  --concurrency <n>  requests at once (default: 4)
  --no-verify        do not read back what each phase has made
  --json             print the report as one JSON value
  --help

The people are the same in each run with the same seed: --phase assign today,
--phase deactivate tomorrow. Use an org that holds nothing else.
The exit code is 1 if an answer is not what the identity provider needs.`;

const given = optionsIn(process.argv.slice(2));
let service;
try {
  const target = given.url === undefined ? await own() : { scimUrl: given.url, token: given.token };
  const report = await simulate({ ...given.simulation, ...target, onPhase: tell });
  console.log(given.isJson ? jsonText(report) : summary(report));
} catch (error) {
  console.error(harmlessLines(error instanceof SimulationError ? error.message : (error?.stack ?? String(error))));
  process.exitCode = 1;
} finally {
  await service?.stop();
}

/** The service in memory, built from this checkout. */
async function own() {
  console.error('No --url: starting the service in memory, with an empty org.');
  const { packWorker } = await import('./packed-worker.mjs');
  const { readPackedWorker } = await import(pathToFileURL(join(root, 'src/testing/packed-worker.ts')).href);
  const { startService } = await import(pathToFileURL(join(root, 'src/testing/start.ts')).href);
  const folder = await mkdtemp(join(tmpdir(), 'scim-worker-simulate-'));
  try {
    await packWorker(folder);
    const worker = await readPackedWorker(pathToFileURL(`${folder}/`));
    service = await startService(worker, { seed: { orgs: { demo: {} } }, onLog: (text) => console.error(text) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const { scimUrl, token } = service.orgs.demo;
  return { scimUrl, token };
}

function tell({ phase, users, groups, requests, milliseconds, skipped }) {
  const about = skipped ?? `${users} users, ${groups} groups, ${requests} requests, ${milliseconds} ms`;
  console.error(`${phase.padEnd(14)} ${about}`);
}

function summary({ idp, users, groups, requests, putOff, scimUrl }) {
  const active = users.filter((user) => user.active).length;
  const removed = users.filter((user) => user.removed).length;
  const waits = putOff > 0 ? ` (${putOff} put off by the server)` : '';
  return [
    `${idp} is content with ${harmless(scimUrl)}: ${requests} requests${waits}.`,
    `${users.length} users: ${active} active, ${users.length - active - removed} inactive, ${removed} deleted.`,
    `${groups.filter((group) => !group.removed).length} groups.`,
  ].join('\n');
}

function optionsIn(args) {
  const text = { type: 'string' };
  const known = {
    ...{ idp: text, url: text, token: text, users: text, groups: text, phase: { ...text, multiple: true } },
    ...{ share: text, seed: text, concurrency: text },
    ...{ 'no-verify': { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  };
  let values;
  try {
    ({ values } = parseArgs({ args, options: known }));
  } catch (error) {
    fail(`${error.message.split('.')[0]}.`);
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  if (!IDP_NAMES.includes(values.idp)) fail(`--idp must be one of ${IDP_NAMES.join(', ')}.`);
  const token = values.token ?? process.env.SCIM_TOKEN;
  if (values.url !== undefined && !URL.canParse(values.url)) fail('--url must be the SCIM base address.');
  if (values.url !== undefined && !token) fail('--url needs --token, or SCIM_TOKEN in the environment.');
  if (values.url === undefined && values.token !== undefined) fail('--token needs --url.');
  const phases = values.phase?.flatMap((names) => names.split(',')).map((name) => name.trim());
  const unknown = phases?.find((phase) => !PHASES.includes(phase));
  if (unknown !== undefined) fail(`There is no phase "${unknown}"; there are ${PHASES.join(', ')}.`);
  const numbers = {};
  for (const name of ['users', 'groups', 'share', 'seed', 'concurrency'])
    if (values[name] !== undefined) numbers[name] = numberOf(name, values[name]);
  const verify = !values['no-verify'];
  const simulation = { idp: values.idp, ...numbers, verify, ...(phases && { phases }) };
  return { url: values.url, token, isJson: values.json, simulation };
}

function numberOf(name, text) {
  const isFine = name === 'share' ? /^(?:0(?:\.\d+)?|1(?:\.0+)?|\.\d+)$/ : /^\d{1,9}$/;
  if (!isFine.test(text)) fail(`--${name} must be ${name === 'share' ? 'a number from 0 to 1' : 'a whole number'}.`);
  return Number(text);
}

function fail(message) {
  console.error(`${harmless(message)} See: npm run simulate -- --help`);
  process.exit(1);
}

/** Names in lines that a terminal has room for. */
function lines(names) {
  const rows = [];
  for (const name of names) {
    const row = rows.at(-1);
    if (row && row.length + name.length < 54) rows[rows.length - 1] = `${row}, ${name}`;
    else rows.push(name);
  }
  return rows.join(`,\n${' '.repeat(21)}`);
}

/** An answer of a foreign server must not move the cursor of the person who reads it. */
function harmlessLines(text) {
  return text.split('\n').map(harmless).join('\n');
}
