/** Erasure of one person, who may be deleted already: nothing but the id is left afterwards, in the journal too. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { invalidValue, notFound, ScimError } from '../../scim/error';
import { Unmet } from '../../store/d1/batch';
import { eraseUser } from '../../store/directory/erase-user';
import { findSubject } from '../../store/directory/subjects';
import type { App } from '../context';
import { body, query } from '../validator';
import { by, confirmation, orgOf, reason } from './respond';

export const erase = new Hono<App>();

erase.post('/', query(confirmation), body(z.strictObject({ by, reason })), async (c) => {
  const org = orgOf(c);
  const user = c.req.param('user') ?? '';
  if (c.req.valid('query').confirm !== user) {
    throw invalidValue('confirm: the id or userName of the user was expected, because erasing cannot be undone');
  }
  const { by = c.var.by, reason } = c.req.valid('json');
  const subject = await findSubject(org.store, user);
  if (subject?.now === undefined) throw notFound('User');
  if (subject.now.erasedAt !== undefined) throw isErased();
  try {
    await eraseUser(org.store, subject.id, org.actor, { by, reason });
  } catch (error) {
    if (!(error instanceof Unmet)) throw error;
    if (error.expectation === 'found') throw isErased();
    if (error.expectation === 'unprotected') throw isProtected();
    throw error;
  }
  return c.json({ id: subject.id, erased: true, published: await org.publish(subject.id) });
});

const isErased = () => new ScimError(409, undefined, 'The user is erased already: only the id remains');
const isProtected = () => new ScimError(409, undefined, 'The user is protected: run user unprotect first');
