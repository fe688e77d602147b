/**
 * `npm run docs:openapi`: docs/openapi.yaml (3.1) of the admin, sessions, OAuth and signals APIs. Paths come from the app, queries and
 * bodies from the zod schemas of their handlers, answers from openapi/schemas.mjs. A test checks that the file is current.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { runnerImport } from 'vite';
import { FORMS, OPERATIONS, QUERIES } from './openapi/operations.mjs';
import { anything, SCHEMAS } from './openapi/schemas.mjs';
import { root } from './project.mjs';

export const FILE = 'docs/openapi.yaml';

/** The Worker's routes without its runtime. */
const withoutRuntime = {
  name: 'without-runtime',
  enforce: 'pre',
  resolveId: (id) => (id === 'cloudflare:workers' ? '\0workers' : undefined),
  load: (id) =>
    id === '\0workers'
      ? 'export class DurableObject {} export class WorkerEntrypoint {} export const env = {}; export const waitUntil = () => {};'
      : undefined,
};

/** @returns the document as an object. */
export async function openapi() {
  const { module } = await runnerImport(join(root, 'scripts/openapi/entry.mjs'), {
    root,
    configFile: false,
    plugins: [withoutRuntime],
  });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    openapi: '3.1.0',
    info: {
      title: 'scim-worker: admin, sessions and OAuth APIs',
      version,
      license: { name: 'MIT', identifier: 'MIT' },
      description: 'Written by npm run docs:openapi. Do not edit. SCIM itself is RFC 7644: docs/scim.md.',
    },
    servers: [{ url: 'https://scim.example.com' }],
    tags: [{ name: 'admin' }, { name: 'sessions' }, { name: 'oauth' }, { name: 'ssf' }, { name: 'service' }],
    paths: pathsOf(module),
    components: {
      securitySchemes: {
        adminToken: { type: 'http', scheme: 'bearer', description: 'ADMIN_TOKEN' },
        hostToken: { type: 'http', scheme: 'bearer', description: 'HOST_TOKEN' },
        oauthClient: { type: 'http', scheme: 'basic', description: 'Client id and secret; or both in the form' },
        receiverToken: { type: 'http', scheme: 'bearer', description: 'An access token of POST /ssf/token' },
      },
      schemas: SCHEMAS,
    },
  };
}

const TAGS = {
  admin: 'adminToken',
  sessions: 'hostToken',
  oauth: 'oauthClient',
  ssf: 'receiverToken',
  service: undefined,
};
/** Where it is another one than the rest of the tag has. */
const SECURITY = { '/ssf/token': 'oauthClient', '/ssf/jwks.json': undefined };
const tagOf = (path) =>
  /^\/(admin|sessions|oauth|ssf)\//.exec(path)?.[1] ??
  (path === '/health' ? 'service' : /ssf|protected-resource/.test(path) ? 'ssf' : 'oauth');

function pathsOf(module) {
  const read = readBy(module);
  const paths = {};
  for (const { method, path } of module.app.routes) {
    const isCovered = /^\/(?:admin|sessions)\/v1\/|^\/(?:oauth|ssf)\/|^\/\.well-known\/|^\/health$/.test(path);
    const isFormerName = /\/(?:brake|exit)(?:\/|$)/.test(path);
    if (!isCovered || isFormerName || method === 'ALL') continue;
    const at = path.replace(/:(\w+)/g, '{$1}');
    paths[at] ??= {};
    paths[at][method.toLowerCase()] ??= operationOf(method, at, read.get(`${method} ${path}`) ?? {}, module);
  }
  return paths;
}

/** By method and path: the schemas of query and body. Of a path that is routed twice the first handler answers. */
function readBy({ app, findTargetHandler, schemasOf, questions, listQuestions }) {
  const read = new Map();
  for (const { method, path, handler } of app.routes) {
    const schemas = schemasOf(findTargetHandler(handler)) ?? schemasOf(handler);
    const key = `${method} ${path}`;
    if (schemas) read.set(key, { ...schemas, ...read.get(key) });
  }
  read.set('POST /sessions/v1/check', { body: questions.check });
  read.set('POST /sessions/v1/may-act', { body: questions.mayAct });
  read.set('POST /sessions/v1/resolve', { body: questions.resolve });
  read.set('POST /sessions/v1/discover', { body: questions.discover });
  for (const [name, query] of Object.entries({
    ...listQuestions,
    events: questions.events,
    stream: questions.stream,
  })) {
    read.set(`GET /sessions/v1/${name}`, { query });
  }
  return read;
}

function operationOf(method, path, { query, body }, { toJSONSchema }) {
  const key = `${method} ${path}`;
  const { summary = key, answer, status = 200 } = OPERATIONS[key] ?? {};
  const tag = tagOf(path);
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = query ? parametersOf(query, toJSONSchema) : (QUERIES[key] ?? []).map((name) => parameter(name));
  const parameters = [...inPath, ...inQuery];
  const content = body
    ? { 'application/json': { schema: schemaOf(body, toJSONSchema, 'input') } }
    : FORMS[key] && { 'application/x-www-form-urlencoded': { schema: FORMS[key] } };
  const isPage = path === '/oauth/authorize';
  const scheme = path in SECURITY ? SECURITY[path] : TAGS[tag];
  return {
    tags: [tag],
    summary,
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(\w?)/g, (_, letter) => letter.toUpperCase())}`,
    ...(scheme && !isPage && !path.startsWith('/.') ? { security: [{ [scheme]: [] }] } : {}),
    ...(parameters.length > 0 && { parameters }),
    ...(content && { requestBody: { required: true, content } }),
    responses: {
      [status]:
        isPage || status === 101
          ? { description: isPage ? 'A page, or a redirect.' : 'The stream.' }
          : { description: 'Done.', content: { 'application/json': { schema: answer ?? anything } } },
      default: {
        description: 'Refused.',
        content: {
          'application/json': { schema: { $ref: `#/components/schemas/${tag === 'oauth' ? 'OAuthError' : 'Error'}` } },
        },
      },
    },
  };
}

const parameter = (name, schema = { type: 'string' }, isRequired = false) => ({
  name,
  in: 'query',
  ...(isRequired && { required: true }),
  schema,
});

/** A query is text; where its text becomes a number, that number is described. */
function parametersOf(query, toJSONSchema) {
  const input = schemaOf(query, toJSONSchema, 'input');
  const output = schemaOf(query, toJSONSchema, 'output');
  return Object.entries(input.properties ?? {}).map(([name, schema]) => {
    const becomes = output.properties?.[name];
    const described = becomes?.type === 'integer' ? becomes : schema;
    return parameter(name === 'types' ? 'type' : name, described, input.required?.includes(name));
  });
}

/** Without bounds that only say what an integer is. */
function schemaOf(zodSchema, toJSONSchema, io) {
  const { $schema, ...schema } = toJSONSchema(zodSchema, { io, unrepresentable: 'any' });
  return JSON.parse(
    JSON.stringify(schema, (_, value) => (Math.abs(value) === Number.MAX_SAFE_INTEGER ? undefined : value)),
  );
}

/** YAML of JSON: strings are quoted as JSON does, so nothing is taken for something else. */
export function yaml(value, indent = '') {
  if (Array.isArray(value)) {
    if (value.length === 0) return ' []\n';
    return `\n${value.map((one) => `${indent}-${nested(one, `${indent}  `)}`).join('')}`;
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value);
    if (members.length === 0) return ' {}\n';
    return `\n${members.map(([name, one]) => `${indent}${keyOf(name)}:${yaml(one, `${indent}  `)}`).join('')}`;
  }
  return ` ${JSON.stringify(value)}\n`;
}

/** An element of a list: an object begins on the line of its dash. */
function nested(value, indent) {
  const text = yaml(value, indent);
  return text.startsWith('\n') ? ` ${text.slice(1 + indent.length)}` : text;
}

const keyOf = (name) => (/^[A-Za-z][\w-]*$/.test(name) ? name : JSON.stringify(name));

export const document = async () => yaml(await openapi()).slice(1);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await writeFile(join(root, FILE), await document());
}
