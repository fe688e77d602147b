/** Queries and bodies of the admin, OAuth and sessions APIs: read by a zod schema, or refused by the member that is wrong. */
import type { MiddlewareHandler } from 'hono';
import * as z from 'zod/mini';
import { MAX_BODY } from '../scim/discovery';
import { invalidValue, printable, ScimError } from '../scim/error';
import { parseJson } from '../scim/json';
import { mediaTypesOf } from '../scim/quirks';
import { expectUtf8, JSON_TYPES, readBytes } from './body';
import type { App } from './context';

/** What a schema says of a value where it has no words of its own. */
const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  null: 'null',
  date: 'a date',
};
z.config({
  localeError: (issue) => {
    if (issue.code === 'invalid_type') return `${KINDS[issue.expected] ?? 'a value'} was expected`;
    if (issue.code === 'invalid_value')
      return `${issue.values.map((value) => JSON.stringify(value)).join(' or ')} was expected`;
    if (issue.code === 'too_big') return `at most ${issue.maximum}${unitOf(issue.origin)} was expected`;
    if (issue.code === 'too_small') return `at least ${issue.minimum}${unitOf(issue.origin)} was expected`;
    return 'another value was expected';
  },
});

const unitOf = (origin: string) => (origin === 'string' ? ' characters' : origin === 'array' ? ' elements' : '');

/** What a handler reads, by the handler: docs/openapi.yaml is made from it. */
const described = new WeakMap<object, { readonly query?: z.ZodMiniType; readonly body?: z.ZodMiniType }>();

/** The schema of the query or the body that a handler of a route reads; undefined: it is another handler. */
export const schemasOf = (handler: object) => described.get(handler);

/** What zod says of a value, whichever of its versions. */
interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: unknown;
}

/**
 * The first fault: the member that has it, and what was expected. No value of the request is in it.
 *
 * @param depth how much of the path is named; absent: all.
 */
function fault({ issues: [issue] }: { readonly issues: readonly Issue[] }, whole: string, depth?: number): ScimError {
  const where = pathOf(issue!.path.slice(0, depth)) || whole;
  if (issue!.code !== 'unrecognized_keys') return invalidValue(`${where}: ${issue!.message}`);
  const key = printable(String((issue!.keys as string[])[0]));
  return invalidValue(`${key} is not part of ${where === whole ? `the ${whole}` : where}`);
}

/** A body may have members of any name. */
const pathOf = (path: readonly PropertyKey[]) => path.map((part) => printable(String(part))).join('.');

/**
 * @param whole what the value is called where no member is to blame.
 * @param depth how much of a member's path is named; absent: all.
 * @throws ScimError 400.
 */
export function readAs<T extends z.ZodMiniType>(schema: T, value: unknown, whole: string, depth?: number): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw fault(parsed.error, whole, depth);
}

/**
 * The query: `c.req.valid('query')`. Of a parameter that is there several times the first counts, unless it is one of `lists`:
 * those are always lists.
 */
export function query<T extends z.ZodMiniType>(
  schema: T,
  ...lists: readonly string[]
): MiddlewareHandler<App, string, { in: { query: z.input<T> }; out: { query: z.output<T> } }> {
  const handler: ReturnType<typeof query<T>> = async (c, next) => {
    const all = Object.entries(c.req.queries());
    const values = Object.fromEntries(all.map(([name, value]) => [name, lists.includes(name) ? value : value[0]]));
    c.req.addValidatedData('query', readAs(schema, values, 'question', 1) as object);
    await next();
  };
  described.set(handler, { query: schema });
  return handler;
}

/**
 * The JSON body: `c.req.valid('json')`. None at all stands for `{}`; one without a media type is refused, for it may have been
 * meant as something else.
 *
 * @param limit bytes.
 */
export function body<T extends z.ZodMiniType>(
  schema: T,
  limit = MAX_BODY,
): MiddlewareHandler<App, string, { in: { json: z.input<T> }; out: { json: z.output<T> } }> {
  const handler: ReturnType<typeof body<T>> = async (c, next) => {
    const types = mediaTypesOf(c.req.header('Content-Type'));
    if (!types.every((type) => JSON_TYPES.has(type))) throw notJson();
    expectUtf8(c.req.header('Content-Type'));
    const bytes = await readBytes(c.req.raw, limit);
    if (types.length === 0 && bytes.length > 0) throw notJson();
    const json = bytes.length === 0 ? {} : parseJson(bytes);
    c.req.addValidatedData('json', readAs(schema, json, 'body') as object);
    await next();
  };
  described.set(handler, { body: schema });
  return handler;
}

const notJson = () => new ScimError(415, undefined, 'Content-Type: application/json was expected');

/** A whole number as a query has it; NaN for other text, so that the schema behind it says what was expected. */
export const digits = z.pipe(
  z.string(),
  z.transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Number.NaN)),
);

/** How many elements a page may have. */
export function pageSize(most: number) {
  const expected = `a whole number from 1 to ${most} was expected`;
  return z.int(expected).check(z.gte(1, expected), z.lte(most, expected));
}
