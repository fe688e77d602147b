/** A PATCH body -> operations (RFC 7644 §3.5.2). Knows no schema: what the paths mean is decided by `apply.ts`. */
import { invalidPath, invalidSyntax, invalidValue, noTarget, printable, tooMany } from '../error';
import { parsePath } from '../filter/parse';
import type { PathSyntax } from '../filter/syntax';
import { type Quirks, unwrapListOfOne } from '../quirks';
import { isObject, member } from '../resource';
import { PATCH_OP } from '../urns';
import { checkSchemas } from '../validate';

export interface Operation {
  readonly op: 'add' | 'replace' | 'remove';
  /** Absent: the value's members name the attributes. */
  readonly path?: PathSyntax;
  /** As sent; undefined when the operation has no value. */
  readonly value: unknown;
}

/** authentik sends one operation per member, as many as `bulk.maxOperations` says. */
export const MAX_OPERATIONS = 1_000;

/** @throws ScimError 400: no such operation, no path where one is needed, a path that cannot be read. */
export function parsePatch(body: unknown, quirks: Quirks): Operation[] {
  if (!isObject(body)) throw invalidSyntax('A JSON object with a PatchOp was expected as the body');
  checkSchemas(body, PATCH_OP, quirks);
  const operations = member(body, 'Operations');
  // An empty list changes nothing: Microsoft's SCIM validator sends one, and takes a 400 for a failure.
  if (!Array.isArray(operations)) throw invalidSyntax('Operations: a list of operations was expected');
  if (operations.length > MAX_OPERATIONS) throw tooMany(`Operations: at most ${MAX_OPERATIONS} are accepted`);
  return operations.map((operation, i) => parseOperation(operation, `Operations[${i}]`, quirks));
}

function parseOperation(operation: unknown, name: string, quirks: Quirks): Operation {
  if (!isObject(operation)) throw invalidSyntax(`${name}: an object was expected`);
  const op = operationName(member(operation, 'op'), name, quirks);
  const value = member(operation, 'value');
  const text = member(operation, 'path');
  if (text !== undefined && text !== null && typeof text !== 'string') {
    throw invalidSyntax(`${name}.path: a string was expected`);
  }
  if (text && text.trim() === '') throw invalidPath(`${name}.path: the path of an attribute was expected`);
  const path = text ? parsePath(text, quirks) : undefined;
  // §3.5.2.2
  if (op === 'remove' && path === undefined) throw noTarget(`${name}: remove needs a path`);
  if (op !== 'remove' && value === undefined) throw invalidValue(`${name}: ${op} needs a value`);
  // With a path, the attribute says whether a list belongs there.
  return path ? { op, value, path } : { op, value: unwrapListOfOne(value, quirks) };
}

function operationName(op: unknown, name: string, quirks: Quirks): Operation['op'] {
  const word = typeof op === 'string' ? op.toLowerCase() : undefined;
  if (word !== 'add' && word !== 'replace' && word !== 'remove') {
    const given = typeof op === 'string' ? `, not ${printable(op)}` : '';
    throw invalidSyntax(`${name}.op: add, replace or remove was expected${given}`);
  }
  // Entra ID sends "Add", "Replace" and "Remove"; §3.5.2 spells them in small letters. Microsoft Learn, «Known issues».
  if (op !== word) quirks.add('capital-op');
  return word;
}
