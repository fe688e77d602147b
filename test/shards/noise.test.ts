/** An org that keeps its database busy delays nobody in another one. */
import { expect, it } from 'vitest';
import type { Ask } from '../support/client';
import { databaseNamed, newIdpIn } from './databases';

it('a database that answers nothing holds up no read, creation, change or deletion of an org in another one', async () => {
  const [busy, quiet] = [await newIdpIn('DB_2', 'busy-one'), await newIdpIn('DB_1', 'quiet-one')];
  const { id } = await quiet.user('ada@example.com');
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let asked = 0;
  const slow = {
    prepare: (text: string) => databaseNamed('DB_2').prepare(text),
    // D1 runs one query at a time: whatever is asked waits behind the one that is held.
    batch: async (statements: D1PreparedStatement[]) => {
      asked++;
      await held;
      return databaseNamed('DB_2').batch(statements);
    },
  } as unknown as D1Database;
  const env = { DB_2: slow } as unknown as NonNullable<Ask['env']>;
  let isOver = false;
  const scan = busy.get('/Users?filter=title%20co%20%22nobody%22', { env }).finally(() => {
    isOver = true;
  });
  for (let i = 0; i < 10; i++) expect((await quiet.get(`/Users/${id}`, { env })).status).toBe(200);
  const made = await quiet.post(
    '/Users',
    { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: 'bob@example.com' },
    { env },
  );
  expect(made.status).toBe(201);
  const off = [{ op: 'replace', path: 'active', value: false }];
  expect((await quiet.patch(`/Users/${made.body.id}`, off, { env })).status).toBe(200);
  expect((await quiet.delete(`/Users/${made.body.id}`, { env })).status).toBe(204);
  expect([isOver, asked]).toEqual([false, 1]);
  release();
  expect((await scan).status).toBe(200);
});
