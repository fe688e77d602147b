/** Subjects of a stream (SSF 1.0 §8.1.3). All users of its orgs are subjects; a receiver may take some out, and in again. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { conflict, invalidValue, notFound } from '../../scim/error';
import { Unmet } from '../../store/d1/batch';
import { includeSubject, MAX_EXCLUSIONS, MAX_FOUND, type Wanted } from '../../store/operations/signal-exclusions';
import type { App } from '../context';
import { allowOnly } from '../method';
import { body } from '../validator';
import { ssfAddresses } from './addresses';
import { storeOf } from './authenticate';
import { streamId } from './streams';

const subjectBody = z.looseObject({
  stream_id: streamId,
  subject: z.looseObject({ format: z.string('the format of the subject was expected') }, 'an object was expected'),
  verified: z.optional(z.boolean('true or false was expected')),
});
type Subject = z.output<typeof subjectBody>['subject'];

export const subjects = new Hono<App>();

for (const verb of ['add', 'remove'] as const) {
  subjects.post(`/${verb}`, body(subjectBody), async (c) => {
    const { stream_id: id, subject } = c.req.valid('json');
    const wanted = wantedBy(c, subject);
    try {
      if (!(await includeSubject(storeOf(c, 'ssf.manage'), id, wanted, verb === 'add'))) {
        throw invalidValue(
          'subject: this receiver is of all orgs: a complex subject with user and tenant was expected',
        );
      }
    } catch (error) {
      throw meaning(error);
    }
    return verb === 'add' ? c.body(null, 200) : c.body(null, 204);
  });
  subjects.all(`/${verb}`, allowOnly('POST'));
}

function meaning(error: unknown): unknown {
  if (!(error instanceof Unmet)) return error;
  if (error.expectation === 'signal_stream') return notFound('Stream');
  if (error.expectation === 'found') return notFound('Subject');
  if (error.expectation === 'few')
    return invalidValue(`subject: more than ${MAX_FOUND} users have this name: the format scim was expected`);
  return conflict(`The stream leaves out ${MAX_EXCLUSIONS} users, which is as many as it may`);
}

/** @throws ScimError 400. */
function wantedBy(c: Context<App>, subject: Subject): Wanted {
  if (subject.format !== 'complex') return userIn(c, subject, 'subject');
  const { user, tenant } = subject as { user?: unknown; tenant?: { id?: unknown } };
  return { ...userIn(c, (user ?? {}) as Subject, 'subject.user'), org: textIn(tenant?.id, 'subject.tenant.id') };
}

/** RFC 9493, RFC 9967. @throws ScimError 400. */
function userIn(c: Context<App>, subject: Subject, where: string): Wanted {
  const member = (name: string) => textIn(subject[name], `${where}.${name}`);
  switch (subject.format) {
    case 'scim': {
      const { uri, externalId } = subject;
      if (uri === undefined && externalId !== undefined) return { externalId: member('externalId') };
      const [, id] = /\/Users\/([^/?#]+)$/.exec(member('uri')) ?? [];
      if (id === undefined) throw invalidValue(`${where}.uri: /Users/ and an id was expected`);
      return { id };
    }
    case 'email':
      return { email: member('email') };
    case 'opaque':
      return { id: member('id') };
    case 'iss_sub': {
      const [issuer, sub] = [member('iss'), member('sub')];
      return issuer === ssfAddresses(c).issuer ? { id: sub } : { named: { issuer, sub } };
    }
    default:
      throw invalidValue(`${where}.format: one of scim, email, opaque, iss_sub, complex was expected`);
  }
}

/** @throws ScimError 400. */
function textIn(value: unknown, where: string): string {
  if (typeof value === 'string' && value !== '' && value.length <= 1_000) return value;
  throw invalidValue(`${where}: a string was expected`);
}
