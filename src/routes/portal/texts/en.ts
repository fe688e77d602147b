/** The portal in English. */

export const en = {
  copy: 'Copy',
  copied: 'Copied',
  skip: 'Skip to the page',
  pages: 'Pages',
  signedInAs: 'You are here as',
  back: (product: string) => `Back to ${product}`,
  end: 'End session',
  never: 'never',
  none: 'None',
  justNow: 'just now',
  soon: 'in a moment',
  ending: 'Your session ends in a few minutes. Open any page to stay.',
  orgOff: 'Your organization is switched off at the moment. Nobody can sign in, and your identity provider is refused.',
  readOnly: 'You can look at everything here. Your link does not allow changes.',

  titles: {
    orgs: 'Organizations',
    setup: 'Set-up',
    overview: 'Overview',
    credentials: 'Credentials',
    people: 'People',
    groups: 'Groups',
    attributes: 'Attributes',
    activity: 'Activity',
    domains: 'Domains',
    held: 'Held deactivations',
    off: 'Switch off',
  },

  open: {
    title: (product: string) => `Connect your identity provider to ${product}`,
    text: 'This link opens once. The session that it starts lasts at most 8 hours, and ends after one hour without use.',
    button: 'Open',
  },

  refused: {
    dead_link: {
      title: 'This link is no longer valid',
      text: (product: string) => `This link is no longer valid. Ask ${product} for a new one.`,
    },
    ended: {
      title: 'Your session has ended',
      text: (product: string) => `Ask ${product} for a new link to go on.`,
    },
    forbidden: {
      title: 'You cannot change this here',
      text: (product: string) => `Your link does not allow it. Contact ${product}. Nothing has changed.`,
    },
    foreign_form: {
      title: 'Nothing was sent',
      text: (_product: string) =>
        'The form did not come from a page of this session. Go back, load the page again, and repeat.',
    },
    bad_form: {
      title: 'Nothing was sent',
      text: (_product: string) => 'The form could not be read. Go back, and repeat.',
    },
    not_found: { title: 'There is no such page', text: (_product: string) => 'It may have been removed.' },
    too_many: { title: 'Too many requests', text: (_product: string) => 'Wait a minute, and try again.' },
    too_large: {
      title: 'That is too long',
      text: (_product: string) => 'Go back, and enter less. Nothing has changed.',
    },
    busy: { title: 'The service is busy', text: (_product: string) => 'Try again in a moment.' },
    failed: {
      title: 'Something went wrong',
      text: (product: string) => `It is our fault. Contact ${product} if it happens again.`,
    },
  },
  startAgain: 'Go to the start',
};
