/** Attribute names as clients write them (RFC 7644 §3.10) -> the attributes they mean. */
import { type Attribute, findAttribute, type ResourceType } from './attribute';

/** From the resource inwards: `[emails, value]`, or `[enterprise extension, manager, value]`. Never empty. */
export type AttributePath = readonly [Attribute, ...Attribute[]];

/**
 * `userName`, `name.givenName`, `urn:…:User:name.givenName`, `urn:…:enterprise:2.0:User:manager.value`, or an
 * extension's URN alone; letter case does not count (RFC 7643 §2.1).
 *
 * @returns undefined when the type has no such attribute.
 */
export function resolveAttribute(type: ResourceType, text: string): AttributePath | undefined {
  if (/^urn:/i.test(text)) return behindUrn(type, text, ':') ?? behindUrn(type, text, '.');
  return within(type.attributes, text) ?? withinExtensions(type, text);
}

/**
 * @param separator what stands between a schema's URN and the attribute's name: a colon (RFC 7644 §3.10), or a dot
 *   (the quirk `dotted-urn`).
 */
function behindUrn(type: ResourceType, text: string, separator: ':' | '.'): AttributePath | undefined {
  const name = text.toLowerCase();
  const core = type.schema.id.toLowerCase() + separator;
  if (name.startsWith(core)) return within(type.attributes, text.slice(core.length));
  for (const { schema } of type.extensions) {
    const urn = schema.id.toLowerCase();
    if (!name.startsWith(urn)) continue;
    const extension = findAttribute(type.attributes, schema.id);
    if (extension === undefined) return undefined;
    if (name === urn) return [extension];
    if (name[urn.length] !== separator) continue;
    const inner = within(extension.subAttributes, text.slice(urn.length + 1));
    if (inner) return [extension, ...inner];
  }
  return undefined;
}

/** Whether a path is understood only because a dot after a schema's URN means a colon. */
export const isDottedUrn = (type: ResourceType, text: string) =>
  /^urn:/i.test(text) && behindUrn(type, text, ':') === undefined && behindUrn(type, text, '.') !== undefined;

/**
 * An extension's attribute without its URN. RFC 7644 §3.10 wants the URN; Entra ID asks `manager eq "…"` and patches
 * `manager` (Microsoft Learn, «Develop a SCIM endpoint»). A name of the core schema always comes first.
 */
function withinExtensions(type: ResourceType, text: string): AttributePath | undefined {
  for (const { schema } of type.extensions) {
    const extension = findAttribute(type.attributes, schema.id);
    const inner = within(extension?.subAttributes, text);
    if (extension && inner) return [extension, ...inner];
  }
  return undefined;
}

/** `name` or `name.sub` among these attributes: what a path inside a value filter is resolved against. */
export function within(attributes: readonly Attribute[] | undefined, text: string): AttributePath | undefined {
  const dot = text.indexOf('.');
  const attribute = findAttribute(attributes, dot < 0 ? text : text.slice(0, dot));
  if (attribute === undefined || dot < 0) return attribute && [attribute];
  const sub = findAttribute(attribute.subAttributes, text.slice(dot + 1));
  return sub && [attribute, sub];
}

/** The last attribute of a path: the one whose value is meant. */
export function target(path: AttributePath): Attribute {
  return path[path.length - 1]!;
}

/** A sub-attribute as a client would write it, for a detail: after an extension's URN stands a colon (RFC 7644 §3.10). */
export const prefixOf = (attribute: Attribute, name: string) =>
  attribute.name.startsWith('urn:') ? `${name}:` : `${name}.`;

/** As a client would write it, for a detail. */
export function pathName(path: AttributePath): string {
  const names = path.map((a) => a.name);
  return names[0]!.startsWith('urn:') && names.length > 1 ? `${names[0]}:${names.slice(1).join('.')}` : names.join('.');
}
