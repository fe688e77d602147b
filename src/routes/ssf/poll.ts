/** Delivery by poll (RFC 8936): tokens are the answer, acknowledged by the next request. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { Unreadable } from '../../credentials/sealed-secret';
import { notFound, unavailable } from '../../scim/error';
import { hasTokens } from '../../store/operations/polled-lines';
import { NoKey, poll as pollOnce } from '../../transmitter/poll';
import type { App } from '../context';
import { encryptionKeys } from '../encryption-keys';
import { allowOnly } from '../method';
import { body } from '../validator';
import { storeOf } from './authenticate';

/** Tokens of one answer. */
const MAX_EVENTS = 100;
/** Tokens that one request may acknowledge. */
const MAX_ACKS = 500;
/** Milliseconds that a request waits for something to hand out, and between two looks. */
export const PATIENCE = 20_000;
const PAUSE = 2_000;

const jti = z
  .string('a jti was expected')
  .check(z.minLength(1, 'a jti was expected'), z.maxLength(200, 'a jti was expected'));
const COUNT = 'a whole number, not negative, was expected';
const pollBody = z.looseObject({
  maxEvents: z.optional(z.int(COUNT).check(z.minimum(0, COUNT))),
  returnImmediately: z._default(z.boolean('true or false was expected'), false),
  ack: z._default(
    z.array(jti, 'a list was expected').check(z.maxLength(MAX_ACKS, `at most ${MAX_ACKS} are accepted`)),
    [],
  ),
  setErrs: z._default(
    z
      .record(
        jti,
        z.looseObject({ err: z.optional(z.string('a word was expected').check(z.maxLength(100))) }),
        'an object was expected',
      )
      .check(z.refine((errors) => Object.keys(errors).length <= MAX_ACKS, `at most ${MAX_ACKS} are accepted`)),
    {},
  ),
});

const WORD = /^[a-z_]{1,40}$/;

export const poll = new Hono<App>();

poll.post('/:stream', body(pollBody), async (c) => {
  const { maxEvents = MAX_EVENTS, returnImmediately, ack, setErrs } = c.req.valid('json');
  const id = c.req.param('stream');
  const keys = encryptionKeys(c, 'the keys that sign signals');
  const refused = new Map(
    Object.entries(setErrs).map(([jti, { err = '' }]) => [jti, WORD.test(err) ? err : 'an error without a word']),
  );
  const most = Math.min(maxEvents, MAX_EVENTS);
  const end = Date.now() + PATIENCE;
  try {
    let answer = await pollOnce(storeOf(c, 'ssf.read'), keys, id, { taken: ack, refused }, most);
    if (answer === undefined) throw notFound('Stream');
    // One that has passed many events without a token is to ask again: an invocation may send 1,000 queries.
    const isWaiting = () => !returnImmediately && most > 0 && answer?.sets.size === 0 && !answer.moreAvailable;
    // The token is checked by each look.
    while (isWaiting() && Date.now() + PAUSE <= end) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      if (!(await hasTokens(storeOf(c, 'ssf.read'), id))) continue;
      answer = await pollOnce(storeOf(c, 'ssf.read'), keys, id, { taken: [], refused: new Map() }, most);
      if (answer === undefined) throw notFound('Stream');
    }
    return c.json({ sets: Object.fromEntries(answer.sets), moreAvailable: answer.moreAvailable });
  } catch (error) {
    if (error instanceof NoKey || error instanceof Unreadable)
      throw unavailable('The keys that sign signals cannot be read: try again later', 60);
    throw error;
  }
});

poll.all('/:stream', allowOnly('POST'));
