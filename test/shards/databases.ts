/** The four databases of the tests in this folder, and what is done with them. */
import { env } from 'cloudflare:workers';
import { workOnMove } from '../../src/operator/move';
import type { Databases } from '../../src/store/d1/databases';
import { findMove, insertMove } from '../../src/store/operations/moves';
import { adopt } from '../../src/store/operations/shards';
import { type Ask, admin, type Idp, idpOf } from '../support/client';

const bound = env as unknown as Databases;
export const NAMES = ['DB', 'DB_1', 'DB_2', 'DB_3'] as const;
export type Name = (typeof NAMES)[number];
export const databaseNamed = (name: Name): D1Database => bound[name]!;
export const databases = NAMES.map(databaseNamed);

/** An org in this database, with SCIM on, and its identity provider. */
export async function newIdpIn(shard: Name, slug: string): Promise<Idp> {
  const org = await admin('POST', '/orgs', { body: { slug, shard } });
  if (org.status !== 201) throw new Error(`org ${slug}: ${org.status} ${org.text}`);
  await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } });
  const { body } = await admin('POST', `/orgs/${slug}/tokens`, { body: {} });
  return idpOf(slug, org.body.id, body.token);
}

export async function count(name: Name, table: string, orgId: string): Promise<number> {
  const column = table === 'orgs' ? 'id' : 'org_id';
  const row = await databaseNamed(name)
    .prepare(`SELECT count(*) AS n FROM ${table} WHERE ${column} = ?`)
    .bind(orgId)
    .first<{ n: number }>();
  return row!.n;
}

/** In which databases the org is. */
export async function whereIs(orgId: string): Promise<Name[]> {
  const found = await Promise.all(NAMES.map((name) => count(name, 'orgs', orgId)));
  return NAMES.filter((_, i) => found[i] === 1);
}

export const statusOf = async (slug: string) => (await admin('GET', `/orgs/${slug}/move`)).body;

/** Moves an org, and waits until it is done. */
export async function moveTo(to: Name, slug: string): Promise<void> {
  const begun = await admin('POST', `/orgs/${slug}/move`, { body: { to } });
  if (begun.status !== 202) throw new Error(`move: ${begun.status} ${begun.text}`);
  await done(slug, to);
}

export async function done(slug: string, to: Name): Promise<void> {
  for (let i = 0; i < 400; i++) {
    const { shard, move } = await statusOf(slug);
    if (shard === to && move?.state === 'done') return;
    if (move?.waitsFor) await goOn((await admin('GET', `/orgs/${slug}`)).body.id);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the move is not done: ${JSON.stringify(await statusOf(slug))}`);
}

/** As the coordinator does. */
export const goOn = (orgId: string, doneSince = 0, bindings: Partial<Databases> = {}): Promise<boolean> =>
  workOnMove({ ...bound, ...bindings } as Databases, orgId, doneSince);

export const without = (...names: Name[]): NonNullable<Ask['env']> =>
  Object.fromEntries(names.map((name) => [name, undefined]));

/**
 * The bindings, of which one batch is interrupted: before the first statement like this is sent anywhere, something else
 * happens. A batch in which it throws is not sent.
 */
export function before(meant: RegExp, happens: () => Promise<unknown>): Partial<Databases> {
  let isOver = false;
  const texts = new WeakMap<object, string>();
  const bindings = NAMES.map((name) => {
    const real = databaseNamed(name);
    const prepare = (text: string) => ({
      bind: (...values: unknown[]) => {
        const statement = real.prepare(text).bind(...values);
        texts.set(statement, text);
        return statement;
      },
    });
    const batch = async (statements: D1PreparedStatement[]) => {
      if (!isOver && statements.some((one) => meant.test(texts.get(one) ?? ''))) {
        isOver = true;
        await happens();
      }
      return real.batch(statements);
    };
    return [name, { prepare, batch }];
  });
  return Object.fromEntries(bindings) as Partial<Databases>;
}

/** Begins a move that nothing works on yet. */
export async function begin(orgId: string, slug: string, source: Name, target: Name): Promise<void> {
  await adopt(bound, target, Date.now());
  await insertMove(bound.DB, { orgId, slug, source, target, by: 'test' }, Date.now());
}

/** Until the org is there. */
export async function workUntilThere(orgId: string, to: Name): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if ((await findMove(bound.DB, orgId))?.state === 'done' && (await whereIs(orgId)).includes(to)) return;
    await goOn(orgId);
  }
  throw new Error(`the org is not there: ${JSON.stringify(await findMove(bound.DB, orgId))}`);
}
