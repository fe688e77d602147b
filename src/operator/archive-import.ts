/**
 * An org's file, chunk by chunk: each line is checked against the types of the org that it is to become, and what
 * cannot be is refused with the number of its line.
 */
import type { TypedOrg } from '../provisioning/org';
import type { ResourceType } from '../scim/attribute';
import { conflict, invalidValue, printable, ScimError } from '../scim/error';
import { unassignBlank } from '../scim/identifying';
import { isEmptied } from '../scim/quirks';
import { isObject, isSame, type Json, type JsonObject, type Resource } from '../scim/resource';
import { MAX_EXTENSIONS, readExtension, sameOrNested } from '../scim/schema/extension';
import { allTypes, type Extension, type Types, typesWith } from '../scim/schema/types';
import { readResource } from '../scim/validate';
import {
  type EndLine,
  type EventLine,
  type GroupLine,
  KINDS,
  type Line,
  type MembersLine,
  type SchemaLine,
  type UserLine,
} from '../store/archive/format';
import {
  displayNameKeyOf,
  type Importing,
  insertLines,
  missingMembers,
  present,
  type Run,
  readImport,
  userNameKeyOf,
} from '../store/archive/import';
import { Taken, Unmet } from '../store/d1/batch';
import { notUnderWay } from '../store/org/refusals';

/** How far a file has been read, as far as the next line has to do with it. */
export interface LinePosition {
  readonly line: number;
  readonly kind: number;
  readonly seq: number;
}

/** @throws ScimError, its detail led by the number of the line. */
export function atLine<T>(line: number, read: () => T): T {
  const led = (error: unknown): never => {
    if (!(error instanceof ScimError)) throw error;
    throw new ScimError(error.status, error.scimType, `line ${line}: ${error.detail}`);
  };
  try {
    const done = read();
    return done instanceof Promise ? (done.catch(led) as T) : done;
  } catch (error) {
    return led(error);
  }
}

/**
 * Checks lines that follow one another, and whether they are in order.
 *
 * @param place of the line before the first one.
 * @returns that of the last one.
 * @throws ScimError 400 naming the line.
 */
export function checkLines(
  types: Types,
  schemas: readonly Extension[],
  place: LinePosition,
  lines: readonly Line[],
): { readonly place: LinePosition; readonly schemas: readonly Extension[] } {
  let known = { types, schemas };
  let { line, kind, seq } = place;
  for (const one of lines) {
    line++;
    atLine(line, () => {
      const rank = KINDS.indexOf(one.kind);
      if (rank < kind) throw invalidValue(`kind: ${one.kind} comes before ${KINDS[kind]}`);
      kind = rank;
      if (one.kind === 'schema') known = withSchema(known, one as SchemaLine);
      if (one.kind === 'user') checkUser(known.types.user, one as UserLine);
      if (one.kind === 'group') checkGroup(known.types.group, one as GroupLine);
      if (one.kind === 'event') {
        const event = one as EventLine;
        if (event.seq <= seq) throw invalidValue(`seq: more than ${seq} was expected`);
        seq = event.seq;
      }
    });
  }
  return { place: { line, kind, seq }, schemas: known.schemas };
}

function withSchema({ types, schemas }: { types: Types; schemas: readonly Extension[] }, line: SchemaLine) {
  const extension = readExtension(line.schema, line.resourceType);
  const { schema } = extension;
  if (!isSame(schema as unknown as Json, line.schema)) {
    throw invalidValue('schema: the form that org export writes was expected, with all defaults');
  }
  const other = sameOrNested(schema.id, allTypes(types));
  if (other) throw invalidValue(`schema.id: a URN that does not begin like ${other.id} was expected`);
  if (schemas.length >= MAX_EXTENSIONS) throw invalidValue(`schema: an org has at most ${MAX_EXTENSIONS} of its own`);
  const all = [...schemas, extension];
  return { types: typesWith(all), schemas: all };
}

function checkUser(type: ResourceType, line: UserLine): void {
  const { active, deletedAt, erasedAt } = line;
  if (active && deletedAt !== null) throw invalidValue('active: false was expected of a deleted user');
  if (erasedAt !== null) {
    if (deletedAt === null) throw invalidValue('deletedAt: an instant was expected of an erased user');
    if (Object.keys(line.resource).length > 0) throw invalidValue('resource: {} was expected of an erased user');
    return;
  }
  checkResource(type, line.resource);
  const said = line.resource['active'];
  if (deletedAt === null && said !== undefined && said !== active) {
    throw invalidValue(`active: ${said} was expected, as in the resource`);
  }
}

function checkGroup(type: ResourceType, line: GroupLine): void {
  checkResource(type, line.resource);
  if (line.resource['members'] !== undefined) throw invalidValue('resource.members: members are lines of their own');
  if (new Set(line.permissions).size < line.permissions.length) throw invalidValue('permissions: one stands twice');
}

/** What the service would make of it is what it is: so it has nothing that no answer could show, or no client have sent. */
function checkResource(type: ResourceType, resource: JsonObject): void {
  let made: Resource;
  try {
    made = readResource(type, resource, new Set());
  } catch (error) {
    if (!(error instanceof ScimError)) throw error;
    throw invalidValue(`resource: ${error.detail}`);
  }
  // An older version kept identifiers that identify no user, and labels without a value.
  const kept = structuredClone(resource);
  unassignBlank(kept);
  for (const attribute of type.attributes) {
    const elements = kept[attribute.name];
    if (!attribute.multiValued || !Array.isArray(elements)) continue;
    const left = elements.filter((element) => !isObject(element) || !isEmptied(attribute, element as JsonObject));
    if (left.length === elements.length) continue;
    if (left.length > 0) kept[attribute.name] = left;
    else delete kept[attribute.name];
  }
  const names = [...Object.keys(kept), ...Object.keys(made)];
  const other = names.find((name) => !isSame(made[name], kept[name]));
  if (other !== undefined)
    throw invalidValue(`resource.${printable(other)}: the form that org export writes was expected`);
}

/** What may stand in a file once only, and what a line refers to: for a check of a whole file, which nothing is written of. */
export function namedBy(
  types: Types,
  line: Line,
): { readonly unique: readonly string[]; readonly needs: readonly string[] } {
  const none: readonly string[] = [];
  switch (line.kind) {
    case 'user': {
      const user = line as UserLine;
      const isLive = user.deletedAt === null;
      return {
        unique: [
          `id ${user.id}`,
          ...(isLive ? [`userName ${userNameKeyOf(types.user, user)}`, `live User ${user.id}`] : []),
        ],
        needs: none,
      };
    }
    case 'group': {
      const group = line as GroupLine;
      return {
        unique: [`id ${group.id}`, `displayName ${displayNameKeyOf(types.group, group)}`, `live Group ${group.id}`],
        needs: none,
      };
    }
    case 'members': {
      const { group, type, ids } = line as MembersLine;
      return {
        unique: ids.map((id) => `member ${group} ${type} ${id}`),
        needs: [`live Group ${group}`, ...ids.map((id) => `live ${type} ${id}`)],
      };
    }
    case 'credential':
      return { unique: [`credential ${line['id']}`, `hash ${line['hash']}`], needs: none };
    case 'oauthClient':
    case 'grant':
      return { unique: [`${line.kind} ${line['id']}`], needs: none };
    default:
      return { unique: none, needs: none };
  }
}

/**
 * Lines of the file that follow line `after`. Those that are there already are passed over, and after schemas the others
 * have to be sent again, for they are read under them.
 *
 * @returns the last line that is there now.
 * @throws ScimError 400 naming the line; 413 when one is too large; 409 when others are due.
 */
export async function importLines(org: TypedOrg, after: number, lines: readonly Line[]): Promise<number> {
  const schemas = lines.filter(({ kind }) => kind === 'schema').length;
  const now = schemas > 0 ? lines.slice(0, schemas) : lines;
  if (now.length === 0) return after;
  try {
    checkLines(org.types, org.schemas, { line: after, kind: 0, seq: 0 }, now);
  } catch (error) {
    // What is wrong with a line is of no interest to an org that is there.
    const { slug, isImporting } = await org.store.verify();
    throw isImporting ? error : notUnderWay(slug);
  }
  try {
    await insertLines(org.store, org.types, after, runsOf(now));
    return after + now.length;
  } catch (error) {
    if (error instanceof Taken) throw await twice(org, after, now);
    if (error instanceof ScimError && error.status === 413)
      throw new ScimError(413, undefined, `${lineRange(after, now)}: ${error.detail}`);
    if (!(error instanceof Unmet)) throw error;
    if (error.expectation === 'import_members') throw await stranger(org, after, now);
    if (error.expectation === 'import_cycle')
      throw invalidValue(`${lineRange(after, now)}: members: a cycle of groups`);
    if (error.expectation === 'import_place') return outOfTurn(org, after, now);
    throw error;
  }
}

function runsOf(lines: readonly Line[]): Run[] {
  return [...Map.groupBy(lines, ({ kind }) => kind)].map(([kind, some]) => ({ kind, lines: some }));
}

const lineRange = (after: number, lines: readonly Line[]) =>
  lines.length === 1 ? `line ${after + 1}` : `lines ${after + 1} to ${after + lines.length}`;

async function outOfTurn(org: TypedOrg, after: number, lines: readonly Line[]): Promise<number> {
  const place = await readImport(org.store);
  if (place === undefined) throw conflict(`The import of ${org.store.tenant.slug} is finished already`);
  if (place.line >= after + lines.length) return place.line; // sent again, for its answer was lost
  if (place.line !== after) throw conflict(`${place.line} lines were imported: line ${place.line + 1} was expected`);
  checkLines(org.types, org.schemas, place, lines); // says which one is out of order
  return place.line;
}

/** Which of the lines brings what is there already. */
async function twice({ store, types }: TypedOrg, after: number, lines: readonly Line[]): Promise<ScimError> {
  const seen = new Set<string>();
  for (const [i, line] of lines.entries()) {
    for (const one of namedBy(types, line).unique) {
      if (seen.has(one)) return isThere(after + 1 + i, line);
      seen.add(one);
    }
  }
  for (const kind of ['user', 'group'] as const) {
    const some = [...lines.entries()].filter(([, line]) => line.kind === kind);
    const named = some.map(([, line]) => ({
      id: (line as UserLine | GroupLine).id,
      key: kind === 'group' ? displayNameKeyOf(types.group, line as GroupLine) : liveKey(types, line as UserLine),
    }));
    const [found] = some.length > 0 ? await present(store, kind, named) : [];
    if (found !== undefined) return isThere(after + 1 + some[found]![0], some[found]![1]);
  }
  return invalidValue(`${lineRange(after, lines)}: one of them exists already`);
}

const liveKey = (types: Types, line: UserLine) =>
  line.deletedAt === null ? userNameKeyOf(types.user, line) : undefined;

const UNIQUE: Partial<Record<Line['kind'], string>> = {
  user: 'the id, or the userName of a user who is not deleted,',
  group: 'the id or the displayName',
  members: 'a member',
};

const isThere = (line: number, { kind }: Line) =>
  invalidValue(`line ${line}: ${UNIQUE[kind] ?? `the ${kind}`} exists already`);

/** Which line names a user or group that is not in these lines and not in the org. */
async function stranger({ store, types }: TypedOrg, after: number, lines: readonly Line[]): Promise<ScimError> {
  const named = lines.map((line) => namedBy(types, line));
  const here = new Set(named.flatMap(({ unique }) => unique));
  const needed = named.flatMap(({ needs }, i) =>
    needs.flatMap((one) => {
      const [, type = '', id = ''] = one.split(' ');
      return here.has(one) ? [] : [{ line: after + 1 + i, type, id }];
    }),
  );
  const [missing] = await missingMembers(store, needed);
  if (missing === undefined) return invalidValue(`${lineRange(after, lines)}: members: one stands twice`);
  return invalidValue(`line ${missing.line}: members: there is no user or group with the id ${printable(missing.id)}`);
}

/** @throws ScimError 409 saying what is missing. */
export function checkEnd({ counts, seq }: Pick<Importing, 'counts' | 'seq'>, end: EndLine): void {
  const wrong = KINDS.filter((kind) => (counts[kind] ?? 0) !== (end.counts[kind] ?? 0));
  if (wrong.length > 0) {
    const said = wrong.map((kind) => `${end.counts[kind] ?? 0} lines of ${kind}, but has ${counts[kind] ?? 0}`);
    throw conflict(`The file counts ${said.join('; ')}: it was cut or changed`);
  }
  if (seq > end.eventSeq) throw invalidValue(`eventSeq: at least ${seq} was expected, the number of the last event`);
}
