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

  states: { works: 'works', failed: 'failed', waiting: 'waiting' },
  cancel: 'Cancel',
  save: 'Save',
  done: 'Done',
  saved: 'Saved.',
  by: (who: string) => `by ${who}`,
  yourProvider: 'Your identity provider',
  someClient: 'A client',

  setup: {
    lead: 'Each step turns green by itself, as soon as your identity provider has really done it.',
    stepsLabel: 'Steps of the set-up',
    finished: 'The set-up works. People are provisioned from now on.',
    next: 'Next step',
    optional: 'comes by itself',
    steps: {
      idp: 'Identity provider',
      sso: 'Single sign-on',
      connect: 'Connect',
      test: 'Test connection',
      person: 'First person',
      change: 'First change',
      deactivation: 'First deactivation',
      group: 'First group',
      accounts: 'Existing accounts',
    },
    idp: {
      lead: 'Which identity provider do your people sign in with? The instructions of the next steps are for it.',
      label: 'Identity provider',
      other: 'Another one',
      unset: 'Choose …',
      save: 'Save and go on',
      wrong: 'Choose one of the list.',
    },
    sso: {
      waiting: (product: string) =>
        `Single sign-on has to be set up before provisioning can be switched on. ${product} does that with you.`,
      works: 'Single sign-on is set up.',
    },
    scim: {
      off: 'Provisioning is off. Your identity provider is refused until you switch it on.',
      on: 'Switch on',
      plan: (contact: string) => `Not enabled for your account. Contact ${contact}.`,
      sso: 'Single sign-on comes first. See the step before.',
      enabled: 'Provisioning is on.',
      disabled: 'Provisioning is off. Users and groups stay as they are.',
    },
    connect: {
      lead: 'Enter these values in your identity provider.',
      baseUrl: 'SCIM base URL',
      orgBaseUrl: 'The same, for your organization only',
      ways: 'How your identity provider signs in',
      way: { token: 'Header token', basic: 'User name and password', oauth: 'OAuth 2' },
      guide: (provider: string) => `In ${provider}`,
      guideLanguage: '',
      noProvider: 'Choose your identity provider in the first step to get its instructions.',
    },
    test: {
      waiting: 'Waiting for the first request. Press the test button of your identity provider.',
      works: (client: string) => `${client} signed in and was answered.`,
    },
    person: {
      lead: 'Assign one person in your identity provider.',
      waiting: 'Nobody has been provisioned yet.',
      works: 'was provisioned.',
    },
    change: {
      lead: 'Change a name or a department of that person in your identity provider.',
      waiting: 'Nothing has been changed yet.',
      works: 'was changed.',
    },
    deactivation: {
      lead: 'Unassign a test person. The person is signed out at once.',
      waiting: 'Nobody has been deactivated yet.',
      works: 'was deactivated, and signed out.',
    },
    group: {
      lead: 'Push a group, if you use groups for roles.',
      waiting: 'No group has arrived yet.',
      works: 'was pushed.',
    },
    accounts: {
      lead: 'These accounts were there before. Nothing happens to them until your identity provider sends the person.',
      total: 'Accounts that are there already',
      links: 'would be adopted by user name',
      byEmail: 'also by e-mail address',
      conflicts: 'have an address that adopts nothing',
      protected: 'protected: your identity provider cannot change or deactivate them',
      more: (n: number) => `The first ${n} are counted.`,
      newOnes: 'Whoever is not among them becomes a new account.',
      choice: 'Your identity provider adopts an account by',
      options: {
        email: 'user name, or e-mail address in a proved domain',
        userName: 'user name only',
        off: 'nothing: existing accounts stay apart',
      },
    },
  },

  /** What went wrong, and what to do. `who` asked, `when`. */
  fault: {
    /** How often a request was refused, and when first. */
    times: (count: number, since: string) => (count === 1 ? '' : `${count} times since ${since}`),
    missing: (who: string, when: string) => `${who} asked ${when} without a token: enter it in your identity provider.`,
    truncated: (who: string, when: string, arrived: string, meant: string) =>
      `${who} asked ${when} with a token that is cut off (${arrived} of ${meant} characters): copy it again.`,
    whitespace: (who: string, when: string) =>
      `${who} asked ${when} with a token that has blanks or line breaks in it: copy it again, as one line.`,
    scheme_twice: (who: string, when: string) =>
      `${who} asked ${when} with the word “Bearer” twice: enter the token alone, because your identity provider adds the word.`,
    malformed: (who: string, when: string) =>
      `${who} asked ${when} with something that is not a token of this service, or is mistyped: copy the token again.`,
    unknown: (who: string, when: string) =>
      `${who} asked ${when} with a token that is not yours: paste the current one.`,
    replaced: (who: string, when: string, on: string, by: string) =>
      `${who} asked ${when} with a token that was replaced on ${on}${by && ` by ${by}`}: paste the new one.`,
    revoked: (who: string, when: string, on: string, by: string) =>
      `${who} asked ${when} with a token that was revoked on ${on}${by && ` by ${by}`}: generate a new one, and paste it.`,
    expired: (who: string, when: string, on: string) =>
      `${who} asked ${when} with a token that expired on ${on}: generate a new one, and paste it.`,
    path: (who: string, when: string) =>
      `${who} asked ${when} at a wrong address: the base URL lacks /scim/v2. Copy it from the step “Connect”.`,
    wrong_org: (who: string, when: string) =>
      `${who} asked ${when} with an address or user name of another organization: copy both again.`,
    wrong_kind: (who: string, when: string) =>
      `${who} asked ${when} with a credential in the wrong field: see which one belongs there.`,
    disabled: (who: string, when: string) => `${who} asked ${when}, and SCIM is off: switch it on.`,
    plan: (who: string, when: string, contact: string) =>
      `${who} asked ${when}. Not enabled for your account. Contact ${contact}.`,
    misdirected: (who: string, when: string) =>
      `${who} asked ${when} at the address of another region: copy the base URL again.`,
    rate_limited: (who: string, when: string) => `${who} sent too many requests ${when}. It repeats them by itself.`,
    client: (who: string, when: string) =>
      `${who} asked ${when} for an access token with a client id or secret that is not right: copy both again.`,
    assertion: (who: string, when: string) =>
      `${who} asked ${when} with a signature that does not fit: compare issuer, subject and audience.`,
    grant: (who: string, when: string) =>
      `The approval of ${who} has ended (${when}): authorize again in your identity provider.`,
    approval: (_who: string, when: string) =>
      `An approval code was wrong or too old (${when}): make a new one, and enter it.`,
    seats: (_who: string, when: string, contact: string) =>
      `A person was refused ${when}, because all seats are taken. Deactivate somebody, or contact ${contact}.`,
    storage: (_who: string, when: string, contact: string) =>
      `A change was refused ${when}, because the storage is full. Contact ${contact}.`,
    protected: (_who: string, when: string, contact: string) =>
      `A protected account was to be changed or deactivated ${when}, and stays as it is. Contact ${contact}.`,
    brake: (_who: string, when: string) =>
      `A deactivation ${when} was held back, because there were unusually many. It waits for a decision.`,
    required: (who: string, when: string, what: string, attribute: string) =>
      `${who} sent ${what} ${when}, and ${attribute} was missing: map it in your identity provider.`,
    uniqueness: (who: string, when: string, what: string) =>
      `${who} sent ${what} ${when} whose name is taken: match them in your identity provider instead of creating them.`,
    invalidValue: (who: string, when: string, what: string) =>
      `${who} sent ${what} ${when} with a value that is not allowed: compare your attribute mapping.`,
    invalidPath: (who: string, when: string, what: string) =>
      `${who} sent ${what} ${when} with an attribute that does not exist here: take it out of the mapping.`,
    invalidFilter: (who: string, when: string) =>
      `${who} searched ${when} in a way that cannot be answered: match people by userName.`,
    invalidSyntax: (who: string, when: string, what: string) => `${who} sent ${what} ${when} that could not be read.`,
    not_found: (who: string, when: string, what: string) =>
      `${who} changed ${what} ${when} that is not here (any more): let your identity provider match it anew.`,
    failed: (who: string, when: string) =>
      `${who} asked ${when}, and the service failed. It repeats the request by itself.`,
    other: (who: string, when: string, what: string) => `${who} sent ${what} ${when}, and it was refused.`,
    aPerson: 'a person',
    aGroup: 'a group',
    aRequest: 'a request',
  },

  credentials: {
    lead: 'What your identity provider proves itself with. A secret is shown once, when it is made.',
    line: { token: 'Token', basic: 'Password (Basic)' },
    none: 'None yet',
    noneText: 'Your identity provider cannot connect without one.',
    generate: { token: 'Generate token', basic: 'Generate password' },
    confirmTitle: { token: 'Generate a token?', basic: 'Generate a password?' },
    confirmText: 'It is shown only once. Have your identity provider open, so that you can paste it.',
    secretTitle: { token: 'Your new token', basic: 'Your new password' },
    secretText: 'Copy it now. It is not shown again, and nobody can look it up.',
    userName: 'User name',
    secretDone: 'Done',
    rotate: 'Regenerate',
    rotateTitle: { token: 'Regenerate the token?', basic: 'Regenerate the password?' },
    rotateText: 'The new one is shown only once. What shall become of the old one?',
    grace24: 'It works for another 24 hours. You have time to enter the new one.',
    graceNow: 'Invalidate it now. Your identity provider is refused until the new one is entered.',
    revoke: 'Revoke',
    revokeTitle: { token: 'Revoke the token?', basic: 'Revoke the password?' },
    revokeText: 'Your identity provider is refused from now on. Users and groups stay as they are.',
    revoked: 'Revoked. Your identity provider is refused from now on.',
    complete: 'Finish: invalidate the old one now',
    completed: 'The old one is invalid now.',
    back: 'Go back to the old one',
    wentBack: 'The old one is the current one again. The newer one is invalid.',
    mask: 'Secret',
    state: 'State',
    made: 'Made',
    lastUsed: 'Last used',
    expires: 'Expires',
    notUsed: 'not used yet',
    from: (client: string, address: string) => [client, address].filter(Boolean).join(', '),
    states: {
      current: 'current',
      grace: 'old, still works',
      replaced: 'replaced',
      expired: 'expired',
      revoked: 'revoked',
    },
    until: 'works until',
    stillUsed: 'One client still uses the old one:',
    notUsedSince: 'Nothing has used the old one since it was replaced. You can finish.',
    never: 'never',
    history: 'Earlier ones',
    overtaken: (who: string) => `Somebody was quicker: ${who} made the current one. Nothing of yours has changed.`,
    already: 'There is one already. Regenerate replaces it. Nothing has changed.',
    gone: 'There is none that this could be done with. Nothing has changed.',
    unknown: 'It is not known whether this has happened. The list below shows it.',
    justMade:
      'It was made a moment ago, perhaps by a second click. Its secret was shown once. Regenerate makes another one.',
  },

  oauth: {
    title: 'OAuth 2 clients',
    none: 'No client yet.',
    create: 'Create client',
    name: 'Name',
    redirectUri: 'Redirect URI',
    redirectHint: 'As your identity provider shows it. Leave it empty, if it shows none.',
    tenant: 'Directory (tenant) ID',
    objectId: 'Object ID of the managed identity or service principal',
    audience: 'Application (client) ID',
    federated: 'Workload identity federation, without a secret',
    clientId: 'Client ID',
    clientSecret: 'Client secret',
    authorizeUrl: 'Authorization endpoint',
    tokenUrl: 'Token endpoint',
    createdTitle: 'Your OAuth client',
    noSecret: 'This client signs by itself and has no secret.',
    wrong: 'One of the values is not what was expected. Compare them, and try again.',
    approval: 'Make approval code',
    approvalTitle: 'Your approval code',
    approvalText:
      'Press «Authenticate» in your identity provider, and enter this code on the page that opens. It works once, for ten minutes.',
    approvalHint: 'Your identity provider opens a page that asks for a code.',
  },
};
