/** Versions as weak entity-tags (RFC 7644 §3.14, RFC 9110 §8.8). */
import { invalidValue } from './error';

export const etagOf = (version: number) => `W/"${version}"`;

/** What If-Match or If-None-Match asks for: `*`, or tags compared weakly (RFC 9110 §8.8.3.2). */
export type TagCondition = '*' | readonly string[];

/** @returns undefined when the header is absent. Text that is no entity-tag matches nothing. */
export function parseTags(header: string | undefined): TagCondition | undefined {
  if (header === undefined) return undefined;
  if (header.trim() === '*') return '*';
  const tags = header.split(',').map((part) => /^(?:W\/)?"([^"]*)"$/.exec(part.trim())?.[1]);
  return tags.every((tag) => tag !== undefined) ? tags : [];
}

/**
 * The condition of a write, from `If-Match` or from `version` of a bulk operation. Text that is no entity-tag is a mistake
 * that the client can mend, while 412 would tell it that the resource has changed.
 *
 * @throws ScimError 400 invalidValue.
 */
export function parseCondition(text: string | undefined): TagCondition | undefined {
  const condition = parseTags(text);
  if (condition !== undefined && condition.length === 0)
    throw invalidValue('If-Match: an entity-tag in quotes such as W/"1" was expected, or *');
  return condition;
}

export function hasTag(condition: TagCondition, version: number): boolean {
  return condition === '*' || condition.includes(String(version));
}
