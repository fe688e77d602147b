/**
 * Where a page of the present state ended, as text for applications to keep and give back. It opens nothing that its
 * holder may not ask anyway, so it is not signed. It names its org and its list: given to another one, it is refused.
 */
import { invalidCursor } from '../scim/error';

const FORMAT = 1;

export type Kind = 'users' | 'groups' | 'memberships' | 'changes';

/** @param place JSON. */
export function cursorText(kind: Kind, org: string, place: readonly unknown[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify([FORMAT, kind, org, ...place]));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}

/** A cursor as it was given: whether it is of the org that is asked, only the answer can say (`expectOrg`). */
export interface Given {
  readonly org: string;
  readonly place: readonly unknown[];
}

/** @throws ScimError 400 invalidCursor: it is none of this list. */
export function parseCursor(kind: Kind, text: string): Given {
  const [format, its, org, ...place] = partsOf(text);
  if (format !== FORMAT || its !== kind || typeof org !== 'string') throw invalidCursor();
  return { org, place };
}

function partsOf(text: string): unknown[] {
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const parts: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes));
    return Array.isArray(parts) ? parts : [];
  } catch {
    throw invalidCursor();
  }
}

/** @throws ScimError 400 invalidCursor: it is of another org. */
export function expectOrg(given: Given | undefined, org: string): void {
  if (given !== undefined && given.org !== org) throw invalidCursor();
}
