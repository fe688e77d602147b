/** The commands of signals: who may ask that sessions of an org's people end. */
import { columns, harmless, paint } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { by } from './options.mjs';
import { facts, instant } from './show.mjs';
import { AdminError } from './transport.mjs';

const sources = (slug, rest = '') => org(slug, `/signals${rest}`);

const oneOf = (slug, id, rest = '') => sources(slug, `/${encodeURIComponent(id)}${rest}`);

const authOptions = {
  auth: { value: 'token', about: "shared signals: a token for the transmitter's API" },
  'client-id': { value: 'id', about: 'shared signals: in the place of a token, a client that gets one' },
  'client-secret': { value: 'secret', about: 'its secret' },
  'token-url': { value: 'URL', about: 'where it gets one (default: what the metadata of the transmitter names)' },
};

/** @throws AdminError `usage`. */
function authOf({ auth, 'client-id': id, 'client-secret': secret, 'token-url': tokenUrl }) {
  if (id === undefined && secret === undefined && tokenUrl === undefined) return { auth };
  if (id === undefined || secret === undefined) {
    throw new AdminError('usage', '--client-id and --client-secret belong together.');
  }
  return { auth, client: { id, secret, tokenUrl } };
}

/** What each type cannot do without. The API would name only the missing member of its body. */
const SENDERS = { ssf: 'transmitter', 'global-token-revocation': 'issuer' };

/** @throws AdminError `usage`. A type that does not exist is left to the API. */
function checkSender(type, options) {
  const name = SENDERS[type];
  if (name === undefined || options[name] !== undefined) return;
  throw new AdminError(
    'usage',
    'signals add needs --issuer <URL> for Universal Logout, or --transmitter <URL> for shared signals.',
  );
}

export const signalCommands = [
  {
    name: 'signals add',
    about: 'Let an issuer end sessions: Okta by Universal Logout, or a transmitter of shared signals.',
    more:
      'Prints the address to enter there. With --auth or --client-id, a stream is made at the transmitter. With --delivery poll, ' +
      'these are kept, encrypted under WEBHOOK_KEY, and the service fetches the signals itself.',
    args: ['slug'],
    options: {
      type: {
        value: 'global-token-revocation|ssf',
        about:
          'Universal Logout, or shared signals (default: ssf if --transmitter is given, else global-token-revocation)',
      },
      issuer: { value: 'URL', about: 'Universal Logout: the iss of its tokens, such as https://acme.okta.com' },
      'jwks-url': {
        value: 'URL',
        about: 'Universal Logout: the keys (default: what the metadata of the issuer names)',
      },
      transmitter: { value: 'URL', about: 'shared signals: the issuer of the transmitter' },
      delivery: { value: 'push|poll', about: 'shared signals: who sends the request (default: push)' },
      ...authOptions,
      'poll-url': { value: 'URL', about: 'shared signals: where a stream is polled that was made by hand' },
      audience: { value: 'aud', about: 'shared signals: the aud of a stream that was made by hand' },
      'ends-on': { value: 'a,b,…', about: 'shared signals: the events that end sessions' },
      'any-initiator': { about: "shared signals: act on a person's own sign-out, too" },
      subject: { value: 'externalId|userName|email', about: 'what the sub of a person is (default: externalId)' },
      by,
    },
    example: [
      'signals add acme --issuer https://acme.okta.com',
      'signals add acme --transmitter https://acme.okta.com',
      'signals add acme --transmitter https://x.com --auth "$TOKEN"',
    ],
    run: (callAdmin, { slug, issuer, transmitter, delivery, audience, subject, by, ...input }) => {
      const type = input.type ?? (transmitter === undefined ? 'global-token-revocation' : 'ssf');
      checkSender(type, { issuer, transmitter });
      return callAdmin(
        sources(slug),
        post({
          type,
          ...{ issuer, jwksUrl: input['jwks-url'], transmitter, delivery, audience, subject, by },
          ...authOf(input),
          pollUrl: input['poll-url'],
          endsOn: input['ends-on']?.split(',').flatMap((name) => name.trim() || []),
          anyInitiator: input['any-initiator'],
        }),
      );
    },
    quiet: ({ endpoint }) => endpoint,
    show: (source) => [showSource(source), '', ...nextStep(source)].join('\n'),
  },
  {
    name: 'signals list',
    about: 'List the issuers that may end sessions, and when each was last seen.',
    args: ['slug'],
    example: 'signals list acme',
    run: (callAdmin, { slug }) => callAdmin(sources(slug)),
    show: (all, { slug }) =>
      all.length === 0
        ? `No sources of signals. Add one: npm run admin -- signals add ${slug} --issuer https://acme.okta.com`
        : all.map(showSource).join('\n\n'),
  },
  {
    name: 'signals show',
    about: 'Show one issuer that may end sessions.',
    args: ['slug', 'id'],
    example: 'signals show acme 7Hq2mP4vX9aB',
    run: (callAdmin, { slug, id }) => callAdmin(oneOf(slug, id)),
    show: showSource,
  },
  {
    name: 'signals check',
    about: 'Ask a transmitter of shared signals for its stream, and say what is not as it was asked for.',
    more: 'Nothing is changed. A stream that is polled is asked for with the kept credentials; others need --auth or --client-id.',
    args: ['slug', 'id'],
    options: authOptions,
    example: ['signals check acme 7Hq2mP4vX9aB', 'signals check acme 7Hq2mP4vX9aB --auth "$TOKEN"'],
    run: (callAdmin, { slug, id, ...input }) => callAdmin(oneOf(slug, id, '/check'), post(authOf(input))),
    show: showCheck,
  },
  {
    name: 'signals pause',
    about: 'Let signals of an issuer wait. A stream is polled no more; other senders get 503 and try again.',
    args: ['slug', 'id'],
    options: { by },
    example: 'signals pause acme 7Hq2mP4vX9aB',
    run: (callAdmin, { slug, id, by }) => callAdmin(oneOf(slug, id, '/pause'), post({ by })),
    show: ({ issuer }) => `Paused: signals of ${harmless(issuer)} end no sessions until signals resume.`,
  },
  {
    name: 'signals resume',
    about: 'Go on with a paused issuer, or enter new credentials for a stream that is polled.',
    args: ['slug', 'id'],
    options: { ...authOptions, by },
    example: ['signals resume acme 7Hq2mP4vX9aB', 'signals resume acme 7Hq2mP4vX9aB --auth "$TOKEN"'],
    run: (callAdmin, { slug, id, by, ...input }) =>
      callAdmin(oneOf(slug, id, '/resume'), post({ ...authOf(input), by })),
    show: showSource,
  },
  {
    name: 'signals remove',
    about: 'Remove an issuer. Its next signal is refused.',
    more: 'A stream that this service made is deleted there, with the given credentials or the ones that are kept.',
    args: ['slug', 'id'],
    options: authOptions,
    example: 'signals remove acme 7Hq2mP4vX9aB',
    run: (callAdmin, { slug, id, ...input }) => callAdmin(oneOf(slug, id), { method: 'DELETE', body: authOf(input) }),
    show: ({ removed, issuer, streamDeleted }) =>
      [
        `Removed ${harmless(removed)}: signals of ${harmless(issuer)} are refused from now on.`,
        ...(streamDeleted === false ? ['Its stream is still at the transmitter: delete it there.'] : []),
      ].join('\n'),
  },
];

function showSource({ id, type, issuer, endpoint, ...it }) {
  return columns([
    [['dim', 'source'], id],
    [['dim', 'type'], type === 'ssf' ? 'shared signals' : 'Universal Logout'],
    [['dim', 'issuer'], issuer],
    [
      ['dim', 'endpoint'],
      ['green', endpoint],
    ],
    [['dim', 'keys'], it.jwksUrl],
    [['dim', 'subject'], it.subject],
    ...(type === 'ssf'
      ? [
          [['dim', 'audience'], it.audience],
          [['dim', 'ends sessions'], it.endsOn.join(', ')],
          [['dim', 'initiators'], it.anyInitiator ? 'any' : 'admin, policy, system'],
          [['dim', 'stream'], [it.streamId ?? 'made by hand', it.status].filter(Boolean).join(', ')],
          [['dim', 'verified'], instant(it.verifiedAt)],
        ]
      : []),
    ...(it.poll
      ? [
          [['dim', 'polled at'], it.poll.url],
          [['dim', 'last poll'], instant(it.poll.polledAt)],
          ...(it.poll.failures > 0
            ? [
                [
                  ['dim', 'poll fails'],
                  ['yellow', `since ${instant(it.poll.failingSince)}: ${it.poll.lastError}`],
                ],
              ]
            : []),
        ]
      : []),
    ...(it.pausedAt
      ? [
          [
            ['dim', 'paused'],
            ['yellow', instant(it.pausedAt)],
          ],
        ]
      : []),
    [['dim', 'last signal'], instant(it.lastSignalAt)],
    [['dim', 'added'], `${instant(it.createdAt)} by ${it.createdBy}`],
  ]);
}

const eventNames = (uris) => uris?.map((uri) => uri.slice(uri.lastIndexOf('/') + 1)).join(', ') ?? 'not said';

function showCheck({ issuer, stream, status, reason, differences }) {
  const found = facts([
    ['issuer', issuer],
    ['stream', stream === null ? 'none' : (stream.id ?? 'without an id')],
    ...(stream === null
      ? []
      : [
          [
            'delivery',
            [stream.delivery.method, stream.delivery.endpointUrl].filter(Boolean).join(' to ') || 'not said',
          ],
          ['audience', stream.audience.join(', ') || 'not said'],
          ['events asked for', eventNames(stream.eventsRequested)],
          ['events delivered', eventNames(stream.eventsDelivered)],
          ['status', [status ?? 'not said', reason].filter(Boolean).join(': ')],
        ]),
  ]);
  if (differences.length === 0) return `${found}\n\n${paint('green', 'The stream is as it was asked for.')}`;
  const lines = differences.flatMap(({ about, expected, found, meaning }) => [
    `${paint('yellow', about)}: ${harmless(found)}, not ${harmless(expected)}`,
    `  ${meaning}.`,
  ]);
  return [found, '', ...lines].join('\n');
}

function nextStep({ type, delivery, streamId, verification }) {
  if (type !== 'ssf') return ['Enter the endpoint in Okta: Application > General > Logout > Universal Logout.'];
  if (streamId === null && delivery === 'poll') return ['The stream is polled from now on: see signals show.'];
  if (streamId === null) return ['Make a stream at the transmitter that pushes to the endpoint, with this audience.'];
  if (verification) return ['The transmitter will verify the stream in a moment: see signals list.'];
  return [paint('yellow', 'The transmitter did not take the request to verify the stream.')];
}
