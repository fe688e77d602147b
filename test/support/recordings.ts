// Whether what a simulation sends has the form of the recorded conversations: paths and queries as they are spelled,
// operations, schemas, and the types of values.
import type { Conversation } from '../conversations/play';

export interface SentRequest {
  readonly method: string;
  /** Below the SCIM base address. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Record<string, unknown>;
}

const files = import.meta.glob<Conversation>('../conversations/*.json', { import: 'default' });

const RECORDED: Readonly<Record<string, readonly string[]>> = {
  okta: ['okta-oin', 'okta-oin-groups'],
  'okta-aiw': ['okta-aiw', 'okta-aiw-groups'],
  entra: ['entra-default', 'entra-default-groups'],
  'entra-flag': ['entra-flag', 'entra-flag-groups'],
};

/** A sentence for each form that is not recorded. */
export async function deviations(idp: string, sent: readonly SentRequest[]): Promise<string[]> {
  const names = RECORDED[idp] ?? (idp === 'google' ? [idp] : [idp, `${idp}-groups`]);
  const conversations = await Promise.all(names.map((name) => files[`../conversations/${name}.json`]!()));
  const recorded = conversations.flatMap(({ steps }) => steps.flatMap((step) => ('send' in step ? [step.send] : [])));
  const known = new Set(recorded.flatMap((send) => formsOf(send.method, send.path, send.body)));
  const { headers = {}, authorization = 'Bearer {token}' } = conversations[0]!;
  const found = new Set(sent.flatMap(({ method, path, body }) => formsOf(method, path, body)));
  return [
    ...[...found].filter((form) => !isKnown(form, known)),
    ...new Set(sent.flatMap((request) => headerDeviations(request, { ...headers, Authorization: authorization }))),
  ];
}

/** A form ends with `=`, and what it is; others that begin alike are what it could be. Attributes never recorded may be sent. */
function isKnown(form: string, known: ReadonlySet<string>): boolean {
  if (known.has(form)) return true;
  const [attribute] = form.split('=');
  return form.startsWith('attribute ') && ![...known].some((one) => one.startsWith(`${attribute}=`));
}

function formsOf(method: string, path: string, body: unknown): string[] {
  const place = placeOf(path);
  const fields = (body ?? {}) as Record<string, unknown>;
  const endpoint = /^\/\w+/.exec(place)?.[0];
  const operations = fields['Operations'] as Operation[] | undefined;
  if (operations)
    return [`${method} ${place}`, ...operations.map((one) => `operation on ${endpoint}: ${operationForm(one)}`)];
  return [
    `${method} ${place}`,
    ...Object.entries(fields).map(([key, value]) =>
      key === 'schemas'
        ? `schemas of ${endpoint}=${[value].flat().sort()}`
        : `attribute ${key} of ${endpoint}=${typeOf(value)}`,
    ),
  ];
}

/** Ids and quoted values are any; what is around them is as it is spelled. */
function placeOf(path: string): string {
  return path
    .replaceAll(' ', '%20')
    .replaceAll('"', '%22')
    .replace(/%22.*?%22/g, '%22{value}%22')
    .replace(/^\/(Users|Groups)\/[^?]+/, '/$1/{id}')
    .replace(/startIndex=\d+/, 'startIndex={n}')
    .replace(/\?$/, ''); // fetch cannot send a question mark alone
}

interface Operation {
  readonly op: string;
  readonly path?: string;
  readonly value?: unknown;
}

function operationForm({ op, path, value }: Operation): string {
  const target = path?.replace(/".*?"/g, '"{value}"');
  const isCompared = target === undefined || /^(?:active|displayName|members.*)$/.test(target);
  return isCompared
    ? `${op} ${target ?? 'without a path'} ${value === undefined ? 'nothing' : typeOf(value)}`
    : `${op} a path`;
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return `list of ${[...new Set(value.map(typeOf))].sort().join(' or ') || 'nothing'}`;
  if (value === null) return 'null';
  return typeof value === 'object' ? 'object' : typeof value;
}

function headerDeviations({ headers, body }: SentRequest, expected: Readonly<Record<string, string>>): string[] {
  return Object.entries(expected)
    .filter(([name]) => name !== 'Content-Type' || body !== undefined)
    .filter(([name, value]) => headers[name] !== value)
    .map(([name, value]) => `header ${name}: ${headers[name]}, recorded ${value}`);
}
