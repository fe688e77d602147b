// What `npm start` prints of the runtime's own messages.
import { expect, it } from 'vitest';
import { shownLog } from '../../scripts/start/runtime-log.mjs';

const STACK = 'stack: /srv/node_modules/@cloudflare/workerd-linux-64/bin/workerd@26b6840 /srv/bin/workerd@3739630';
const REFERENCE = '; sentryErrorContext = jsgInternalError; wdErrId = 7h16a6lsu25rjnt6jm93huv2';
const error = (message) => shownLog({ level: 'error', message });

it('a host name without an address prints nothing: the answer or the delivery says it', () => {
  const message = 'e = rust/worker/ffi.rs:110: failed: failed to lookup address information: Name or service not known';
  expect(error(`${message}\n${STACK}${REFERENCE}`)).toBe('');
  expect(error(message)).toBe('');
  expect(error(`${STACK}${REFERENCE}`)).toBe('');
});

it('another fault of the runtime prints its sentence, without the addresses of the program', () => {
  const message = 'kj/async-io-unix.c++:1298: failed: connect() blocked by restrictPeers()';
  expect(error(`${message}\n${STACK}${REFERENCE}`)).toBe(`${message}\n`);
  expect(error(`${message}${REFERENCE}`)).toBe(`${message}\n`);
});

it('warnings and errors of the Worker print as they are; its other messages do not', () => {
  const message = '{"message":"webhooks could not be delivered","error":"Error: stack: full"}';
  expect(error(message)).toBe(`${message}\n`);
  expect(shownLog({ level: 'warn', message })).toBe(`${message}\n`);
  expect(shownLog({ level: 'info', message })).toBe('');
});
