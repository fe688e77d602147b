/** Versions as weak entity-tags (RFC 7644 §3.14, RFC 9110 §8.8). */

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

export function hasTag(condition: TagCondition, version: number): boolean {
  return condition === '*' || condition.includes(String(version));
}
