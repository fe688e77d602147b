// Plays a recorded conversation of an identity provider against a SCIM server, over HTTP, and stops at the first answer
// that this IdP could not live with. It knows a base URL and a token, nothing of the server behind them and nothing of a
// test framework, so it can question a local Worker and a deployed one alike. The format is in README.md.

export interface Conversation {
  idp: string;
  /** What the product promises when this conversation plays to its end. */
  promise: string;
  source: string;
  /** How the IdP proves itself, where it is not `Bearer {token}`. */
  authorization?: string;
  headers?: Record<string, string>;
  steps: Step[];
}

export type Step = Exchange | OperatorCall | SessionQuestion | Mark;

export interface Exchange {
  name: string;
  send: { method: string; path: string; headers?: Record<string, string | null>; body?: unknown; raw?: string };
  expect: { status: number | number[]; body?: unknown; absent?: string[]; headers?: Record<string, string> };
  save?: Record<string, string>;
}

/** What somebody does at the service's own door in the meantime. */
export interface OperatorCall {
  name: string;
  operator: { method: string; path: string; body?: unknown };
  save?: Record<string, string>;
}

export interface SessionQuestion {
  name: string;
  session: { user: string; issuedAt: string };
  expect: { valid: boolean; reason?: string };
}

export interface Mark {
  mark: string;
}

export interface Stage {
  /** The SCIM base, such as https://scim.example.com/scim/v2 */
  baseUrl: string;
  token: string;
  /** Makes a password and gives user name and password as Basic sends them (RFC 7617). Asked only by who says `{basic}`. */
  basic?: () => Promise<string>;
  /** Calls the admin API of the org, `/tokens/rotate` for example. @throws unless the answer is a 2xx. */
  operator?: (method: string, path: string, body: unknown) => Promise<unknown>;
  fetch?: typeof fetch;
  /** Asks whether a session of this user, issued then (ms since the epoch), is still good. Absent: not asked. */
  checkSession?: (userId: string, issuedAt: number) => Promise<{ valid: boolean; reason?: string }>;
  /** Makes names unique in an org that has heard this conversation before. Given, two plays share their names. */
  unique?: string;
}

interface Answer {
  status: number;
  headers: Headers;
  text: string;
  body: unknown;
}

/** One conversation on its way: what has been saved and marked so far. */
interface Scene {
  conversation: Conversation;
  stage: Stage;
  values: Record<string, string>;
  marks: Record<string, number>;
}

/** Plays every step and returns what was saved on the way, such as the id of each person. */
export async function play(conversation: Conversation, stage: Stage): Promise<Record<string, string>> {
  const builtIn: Record<string, string> = {
    unique: stage.unique ?? randomName(),
    base: stage.baseUrl,
    token: stage.token,
    ...(stage.basic && conversation.authorization?.includes('{basic}') && { basic: await stage.basic() }),
  };
  const scene: Scene = { conversation, stage, values: { ...builtIn }, marks: {} };
  for (const [index, step] of conversation.steps.entries()) {
    try {
      if ('mark' in step) await setMark(scene, step);
      else if ('session' in step) await askAboutSession(scene, step);
      else if ('operator' in step) await letOperate(scene, step);
      else await exchange(scene, step);
    } catch (error) {
      const name = 'mark' in step ? step.mark : step.name;
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${conversation.idp}, step ${index + 1} «${name}»: ${message}`, { cause: error });
    }
  }
  return Object.fromEntries(Object.entries(scene.values).filter(([name]) => !(name in builtIn)));
}

async function setMark(scene: Scene, { mark }: Mark): Promise<void> {
  await pause();
  scene.marks[mark] = Date.now();
  await pause();
}

async function letOperate({ stage, values }: Scene, { operator, save }: OperatorCall): Promise<void> {
  if (!stage.operator) throw new Error('nobody was named who can do this at the service');
  const { method, path, body = {} } = operator;
  const answer = await stage.operator(method, filled(path, values, encodeURIComponent), filledDeep(body, values));
  const missing = keep(values, save, answer);
  if (missing) throw new Error(missing);
}

/** Keeps values of an answer by their dotted paths. @returns what is not there, if something is not. */
function keep(values: Record<string, string>, save: Exchange['save'], body: unknown): string | undefined {
  for (const [name, path] of Object.entries(save ?? {})) {
    const value = at(body, path);
    if (value === undefined || value === null) return `expected ${path} in the answer, to save it as ${name}`;
    values[name] = String(value);
  }
  return undefined;
}

async function askAboutSession(scene: Scene, { session, expect }: SessionQuestion): Promise<void> {
  if (!scene.stage.checkSession) return;
  await pause();
  const issuedAt = session.issuedAt === 'now' ? Date.now() : scene.marks[session.issuedAt];
  if (issuedAt === undefined) throw new Error(`nothing was marked as ${session.issuedAt}`);
  const verdict = await scene.stage.checkSession(filled(session.user, scene.values), issuedAt);
  const wrong = difference(expect, verdict);
  if (wrong) throw new Error(`a session issued ${session.issuedAt}: ${wrong}`);
}

async function exchange(scene: Scene, step: Exchange): Promise<void> {
  const { stage, values } = scene;
  const url = stage.baseUrl.replace(/\/$/, '') + filled(step.send.path, values, encodeURIComponent);
  const answer = await ask(stage.fetch ?? fetch, url, requestFor(scene, step)).catch((error: Error) => {
    throw new Error(`${step.send.method} ${url}: no answer, ${error.message}`, { cause: error.cause ?? error });
  });
  const wrong = complaintAbout(answer, step, values);
  if (!wrong) return;
  throw new Error(`${step.send.method} ${url}: ${wrong}\nCame back: ${answer.status} ${answer.text || '(no body)'}`);
}

function complaintAbout(
  answer: Answer,
  { expect, save }: Exchange,
  values: Record<string, string>,
): string | undefined {
  const allowed = [expect.status].flat();
  if (!allowed.includes(answer.status)) return `expected status ${allowed.join(' or ')}`;
  const owing = owed(answer);
  if (owing) return owing;
  // Saved before the rest is compared, so that an answer can be held against the id it has just given.
  const missing = keep(values, save, answer.body);
  if (missing) return missing;
  if (expect.body !== undefined && answer.status !== 204) {
    const wrong = difference(filledDeep(expect.body, values), answer.body);
    if (wrong) return wrong;
  }
  for (const path of expect.absent ?? []) {
    const value = at(answer.body, path);
    if (value !== undefined) return `expected no ${path}, came ${JSON.stringify(value)}`;
  }
  for (const [name, pattern] of Object.entries(expect.headers ?? {})) {
    const value = answer.headers.get(name);
    const wanted = filled(pattern, values, escapedForRegExp);
    if (value === null || !new RegExp(wanted).test(value)) {
      return `expected header ${name} to match ${wanted}, came ${value ?? 'none'}`;
    }
  }
  return undefined;
}

/** Holds parsed JSON to the shape of a conversation, so that a slip in a file is told as such. */
export function readConversation(json: unknown, file: string): Conversation {
  const conversation = json as Conversation;
  for (const key of ['idp', 'promise', 'source'] as const) {
    if (typeof conversation?.[key] !== 'string') throw new Error(`${file}: ${key} is missing`);
  }
  if (!Array.isArray(conversation.steps) || conversation.steps.length === 0) throw new Error(`${file}: no steps`);
  for (const [index, step] of conversation.steps.entries()) {
    if ('mark' in step) continue;
    const where = `${file}: step ${index + 1}`;
    if (typeof step.name !== 'string') throw new Error(`${where} has no name`);
    if ('session' in step) {
      if (typeof step.expect?.valid !== 'boolean')
        throw new Error(`${where} does not say whether the session is valid`);
    } else if ('operator' in step) {
      if (!step.operator.method || !step.operator.path?.startsWith('/'))
        throw new Error(`${where} asks the operator for nothing: a method, and a path from the org, are needed`);
    } else if (!step.send?.method || !step.send.path?.startsWith('/')) {
      throw new Error(`${where} sends nothing: a method, and a path from the SCIM base, are needed`);
    } else if (step.expect?.status === undefined) {
      throw new Error(`${where} expects no status`);
    }
  }
  return conversation;
}

/** The first thing in `actual` that is not as in `expected`: objects by the keys given, arrays in length and order. */
export function difference(expected: unknown, actual: unknown, path = ''): string | undefined {
  const name = path || 'the body';
  if (expected === '$any') {
    return actual === undefined || actual === null ? `expected ${name} to be present` : undefined;
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return `expected ${name} to be a list, came ${JSON.stringify(actual)}`;
    if (expected.length !== actual.length) {
      return `expected ${name} to have ${expected.length} element(s) ${JSON.stringify(expected)}, came ${JSON.stringify(actual)}`;
    }
    return first(expected, (element, index) =>
      difference(element, actual[index], path ? `${path}.${index}` : `${index}`),
    );
  }
  if (isObject(expected)) {
    if (!isObject(actual)) return `expected ${name} to be an object, came ${JSON.stringify(actual)}`;
    return first(Object.keys(expected), (key) => difference(expected[key], actual[key], path ? `${path}.${key}` : key));
  }
  if (expected !== actual) return `expected ${name} to be ${JSON.stringify(expected)}, came ${JSON.stringify(actual)}`;
  return undefined;
}

/** The value at a dotted path. A key may itself hold dots (`urn:…:enterprise:2.0:User`): keys are matched whole. */
export function at(value: unknown, path: string): unknown {
  if (path === '') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    if (path === key) return inner;
    if (path.startsWith(`${key}.`)) {
      const found = at(inner, path.slice(key.length + 1));
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function requestFor({ conversation, values }: Scene, { send }: Exchange): RequestInit {
  const headers = new Headers({ Authorization: conversation.authorization ?? 'Bearer {token}' });
  const hasBody = send.body !== undefined || send.raw !== undefined;
  for (const [name, value] of Object.entries(conversation.headers ?? {})) {
    if (hasBody || name.toLowerCase() !== 'content-type') headers.set(name, value);
  }
  for (const [name, value] of Object.entries(send.headers ?? {})) {
    if (value === null) headers.delete(name);
    else headers.set(name, value);
  }
  for (const [name, value] of [...headers]) headers.set(name, filled(value, values));
  const init: RequestInit = { method: send.method, headers, redirect: 'manual', signal: AbortSignal.timeout(60_000) };
  if (send.raw !== undefined) init.body = filled(send.raw, values);
  else if (send.body !== undefined) init.body = JSON.stringify(filledDeep(send.body, values));
  return init;
}

async function ask(fetcher: typeof fetch, url: string, init: RequestInit): Promise<Answer> {
  const response = await fetcher(url, init);
  const text = await response.text();
  let body: unknown;
  try {
    body = text === '' ? undefined : JSON.parse(text);
  } catch {
    body = undefined; // owed() complains of it, with the text
  }
  return { status: response.status, headers: response.headers, text, body };
}

/** What every answer owes every client, so that no conversation has to say it. */
function owed({ status, headers, text, body }: Answer): string | undefined {
  if (status === 204) return text === '' ? undefined : 'expected no body with status 204';
  const type = headers.get('Content-Type') ?? 'none';
  if (!/^application\/scim\+json *(;|$)/i.test(type))
    return `expected Content-Type application/scim+json, came ${type}`;
  if (!isObject(body)) return 'expected the body to be a JSON object';
  // RFC 7644 §3.12: status is a string. Okta's spec test and several clients read it as one.
  if (status >= 400) return difference({ schemas: [ERROR], status: String(status), detail: '$any' }, body);
  if (Array.isArray(body.schemas) && body.schemas.includes(LIST)) return listComplaint(body);
  return undefined;
}

/** Okta wants numbers as integers, Entra wants every resource to have an id, everyone wants the counts to be true. */
function listComplaint(list: Record<string, unknown>): string | undefined {
  const integer = first(['totalResults', 'startIndex', 'itemsPerPage'], (key) =>
    Number.isInteger(list[key]) ? undefined : `expected ${key} to be an integer, came ${JSON.stringify(list[key])}`,
  );
  if (integer) return integer;
  const resources = list.Resources;
  if (!Array.isArray(resources)) return 'expected Resources to be a list, be it empty';
  if (resources.length !== list.itemsPerPage) return `expected itemsPerPage to be ${resources.length}`;
  if (resources.length > Number(list.totalResults)) return 'expected totalResults to count at least this page';
  return first(resources, (resource, index) => difference({ id: '$any' }, resource, `Resources.${index}`));
}

const ERROR = 'urn:ietf:params:scim:api:messages:2.0:Error';
const LIST = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';

/** `{name}` is a placeholder only around a bare word, so that JSON and regular expressions can be written as they are. */
function filled(text: string, values: Record<string, string>, as = (value: string) => value): string {
  return text.replace(/\{([A-Za-z][A-Za-z0-9-]*)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`{${name}} was never saved`);
    return as(value);
  });
}

function filledDeep(value: unknown, values: Record<string, string>): unknown {
  if (typeof value === 'string') return filled(value, values);
  if (Array.isArray(value)) return value.map((element) => filledDeep(element, values));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filledDeep(inner, values)]));
}

function first<T>(values: T[], complaint: (value: T, index: number) => string | undefined): string | undefined {
  for (const [index, value] of values.entries()) {
    const wrong = complaint(value, index);
    if (wrong) return wrong;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function escapedForRegExp(value: string): string {
  return value.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** Twelve hex digits: the tail of a GUID, half of a JumpCloud id, harmless in a user name. */
function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Five milliseconds, so that instants on both sides of a mark differ from it. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
