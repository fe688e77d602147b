/** The commands of signals: who may ask that sessions of an org's people end. */
import { columns, harmless, paint } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { by } from './options.mjs';
import { instant } from './show.mjs';
import { AdminError } from './transport.mjs';

const sources = (slug, rest = '') => org(slug, `/signals${rest}`);

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
    more: 'Prints the address to enter there. With --auth, a stream that pushes is made at the transmitter.',
    args: ['slug'],
    options: {
      type: {
        value: 'global-token-revocation|ssf',
        about:
          'Universal Logout, or shared signals (default: ssf if --transmitter is given, else global-token-revocation)',
      },
      issuer: { value: 'URL', about: 'Universal Logout: the iss of its tokens, such as https://acme.okta.com' },
      'jwks-url': { value: 'URL', about: 'Universal Logout: the keys (default: <issuer>/oauth2/v1/keys, as at Okta)' },
      transmitter: { value: 'URL', about: 'shared signals: the issuer of the transmitter' },
      auth: { value: 'token', about: "shared signals: a token for the transmitter's API. It is not kept" },
      audience: { value: 'aud', about: 'shared signals: the aud of a stream that was made by hand' },
      'ends-on': { value: 'a,b,…', about: 'shared signals: the events that end sessions' },
      'any-initiator': { about: "shared signals: act on a person's own sign-out, too" },
      subject: { value: 'externalId|userName|email', about: 'what the sub of a person is (default: externalId)' },
      by,
    },
    example: [
      'signals add acme --issuer https://acme.okta.com',
      'signals add acme --transmitter https://acme.okta.com',
    ],
    run: (callAdmin, { slug, issuer, transmitter, auth, audience, subject, by, ...input }) => {
      const type = input.type ?? (transmitter === undefined ? 'global-token-revocation' : 'ssf');
      checkSender(type, { issuer, transmitter });
      return callAdmin(
        sources(slug),
        post({
          type,
          ...{ issuer, jwksUrl: input['jwks-url'], transmitter, auth, audience, subject, by },
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
    name: 'signals remove',
    about: 'Remove an issuer. Its next signal is refused.',
    args: ['slug', 'id'],
    options: { auth: { value: 'token', about: "a token for the transmitter's API: its stream is deleted, too" } },
    example: 'signals remove acme 7Hq2mP4vX9aB',
    run: (callAdmin, { slug, id, auth }) =>
      callAdmin(sources(slug, `/${encodeURIComponent(id)}`), { method: 'DELETE', body: { auth } }),
    show: ({ removed, issuer, streamDeleted }) =>
      [
        `Removed ${harmless(removed)}: signals of ${harmless(issuer)} are refused from now on.`,
        ...(streamDeleted === false ? ['Its stream is still at the transmitter: delete it there.'] : []),
      ].join('\n'),
  },
];

const showSource = ({ id, type, issuer, endpoint, ...it }) =>
  columns([
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
    [['dim', 'last signal'], instant(it.lastSignalAt)],
    [['dim', 'added'], `${instant(it.createdAt)} by ${it.createdBy}`],
  ]);

function nextStep({ type, streamId, verification }) {
  if (type !== 'ssf') return ['Enter the endpoint in Okta: Application > General > Logout > Universal Logout.'];
  if (streamId === null) return ['Make a stream at the transmitter that pushes to the endpoint, with this audience.'];
  if (verification) return ['The transmitter will verify the stream in a moment: see signals list.'];
  return [paint('yellow', 'The transmitter did not take the request to verify the stream.')];
}
