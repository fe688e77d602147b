/** Das Portal auf Deutsch. */
import type { Texts } from '.';

export const de: Texts = {
  copy: 'Kopieren',
  copied: 'Kopiert',
  skip: 'Zum Inhalt',
  pages: 'Seiten',
  signedInAs: 'Sie sind hier als',
  back: (product) => `Zurück zu ${product}`,
  end: 'Sitzung beenden',
  never: 'nie',
  none: 'Keine',
  justNow: 'gerade eben',
  soon: 'gleich',
  ending: 'Ihre Sitzung endet in wenigen Minuten. Öffnen Sie eine Seite, um zu bleiben.',
  orgOff:
    'Ihre Organisation ist zurzeit abgeschaltet. Niemand kann sich anmelden, und Ihr Identity-Provider wird abgewiesen.',
  readOnly: 'Sie können hier alles ansehen. Ihr Link erlaubt keine Änderungen.',

  titles: {
    orgs: 'Organisationen',
    setup: 'Einrichtung',
    overview: 'Übersicht',
    credentials: 'Zugangsdaten',
    people: 'Personen',
    groups: 'Gruppen',
    attributes: 'Attribute',
    activity: 'Aktivität',
    domains: 'Domains',
    held: 'Zurückgehaltene Deaktivierungen',
    off: 'Abschalten',
  },

  open: {
    title: (product) => `Verbinden Sie Ihren Identity-Provider mit ${product}`,
    text: 'Dieser Link öffnet sich einmal. Die Sitzung dauert höchstens 8 Stunden und endet nach einer Stunde ohne Nutzung.',
    button: 'Öffnen',
  },

  refused: {
    dead_link: {
      title: 'Dieser Link ist nicht mehr gültig',
      text: (product) => `Dieser Link ist nicht mehr gültig. Bitten Sie ${product} um einen neuen.`,
    },
    ended: {
      title: 'Ihre Sitzung ist beendet',
      text: (product) => `Bitten Sie ${product} um einen neuen Link, um fortzufahren.`,
    },
    forbidden: {
      title: 'Das können Sie hier nicht ändern',
      text: (product) => `Ihr Link erlaubt es nicht. Wenden Sie sich an ${product}. Es hat sich nichts geändert.`,
    },
    foreign_form: {
      title: 'Es wurde nichts gesendet',
      text: () =>
        'Das Formular kam nicht von einer Seite dieser Sitzung. Gehen Sie zurück, laden Sie die Seite neu und wiederholen Sie es.',
    },
    bad_form: {
      title: 'Es wurde nichts gesendet',
      text: () => 'Das Formular war nicht lesbar. Gehen Sie zurück und wiederholen Sie es.',
    },
    not_found: { title: 'Diese Seite gibt es nicht', text: () => 'Vielleicht wurde sie entfernt.' },
    too_many: { title: 'Zu viele Anfragen', text: () => 'Warten Sie eine Minute und versuchen Sie es erneut.' },
    too_large: {
      title: 'Das ist zu lang',
      text: () => 'Gehen Sie zurück und geben Sie weniger ein. Es hat sich nichts geändert.',
    },
    busy: { title: 'Der Dienst ist ausgelastet', text: () => 'Versuchen Sie es gleich noch einmal.' },
    failed: {
      title: 'Etwas ist schiefgegangen',
      text: (product) => `Das ist unser Fehler. Wenden Sie sich an ${product}, wenn es wieder geschieht.`,
    },
  },
  startAgain: 'Zum Anfang',

  states: { works: 'läuft', failed: 'fehlgeschlagen', waiting: 'wartet' },
  cancel: 'Abbrechen',
  save: 'Speichern',
  done: 'Fertig',
  saved: 'Gespeichert.',
  by: (who) => `von ${who}`,
  yourProvider: 'Ihr Identity-Provider',
  someClient: 'Ein Client',

  setup: {
    lead: 'Jeder Schritt wird von selbst grün, sobald Ihr Identity-Provider ihn wirklich getan hat.',
    stepsLabel: 'Schritte der Einrichtung',
    finished: 'Die Einrichtung läuft. Personen werden ab jetzt übertragen.',
    next: 'Nächster Schritt',
    optional: 'kommt von selbst',
    steps: {
      idp: 'Identity-Provider',
      sso: 'Single Sign-on',
      connect: 'Verbinden',
      test: 'Verbindung testen',
      person: 'Erste Person',
      change: 'Erste Änderung',
      deactivation: 'Erste Deaktivierung',
      group: 'Erste Gruppe',
      accounts: 'Vorhandene Konten',
    },
    idp: {
      lead: 'Mit welchem Identity-Provider melden sich Ihre Leute an? Die Anleitungen der nächsten Schritte richten sich danach.',
      label: 'Identity-Provider',
      other: 'Ein anderer',
      unset: 'Auswählen …',
      save: 'Speichern und weiter',
      wrong: 'Wählen Sie einen aus der Liste.',
    },
    sso: {
      waiting: (product) =>
        `Single Sign-on muss eingerichtet sein, bevor die Provisionierung eingeschaltet werden kann. ${product} macht das mit Ihnen.`,
      works: 'Single Sign-on ist eingerichtet.',
    },
    scim: {
      off: 'Die Provisionierung ist aus. Ihr Identity-Provider wird abgewiesen, bis Sie sie einschalten.',
      on: 'Einschalten',
      plan: (contact) => `Für Ihr Konto nicht freigeschaltet. Wenden Sie sich an ${contact}.`,
      sso: 'Zuerst kommt Single Sign-on. Siehe den Schritt davor.',
      enabled: 'Die Provisionierung ist an.',
      disabled: 'Die Provisionierung ist aus. Benutzer und Gruppen bleiben, wie sie sind.',
    },
    connect: {
      lead: 'Tragen Sie diese Werte in Ihrem Identity-Provider ein.',
      baseUrl: 'SCIM-Basis-URL',
      orgBaseUrl: 'Dieselbe, nur für Ihre Organisation',
      ways: 'Wie sich Ihr Identity-Provider anmeldet',
      way: { token: 'Token im Header', basic: 'Benutzername und Passwort', oauth: 'OAuth 2' },
      guide: (provider) => `In ${provider}`,
      guideLanguage: 'Diese Anleitung gibt es nur auf Englisch.',
      noProvider: 'Wählen Sie im ersten Schritt Ihren Identity-Provider, um seine Anleitung zu sehen.',
    },
    test: {
      waiting: 'Wir warten auf die erste Anfrage. Drücken Sie den Testknopf Ihres Identity-Providers.',
      works: (client) => `${client} hat sich angemeldet und eine Antwort bekommen.`,
    },
    person: {
      lead: 'Weisen Sie in Ihrem Identity-Provider eine Person zu.',
      waiting: 'Es ist noch niemand angelegt worden.',
      works: 'wurde angelegt.',
    },
    change: {
      lead: 'Ändern Sie in Ihrem Identity-Provider den Namen oder die Abteilung dieser Person.',
      waiting: 'Es ist noch nichts geändert worden.',
      works: 'wurde geändert.',
    },
    deactivation: {
      lead: 'Entziehen Sie einer Testperson die Zuweisung. Sie wird sofort abgemeldet.',
      waiting: 'Es ist noch niemand deaktiviert worden.',
      works: 'wurde deaktiviert und abgemeldet.',
    },
    group: {
      lead: 'Übertragen Sie eine Gruppe, wenn Sie Gruppen für Rollen verwenden.',
      waiting: 'Es ist noch keine Gruppe angekommen.',
      works: 'wurde übertragen.',
    },
    accounts: {
      lead: 'Diese Konten waren schon vorher da. Mit ihnen geschieht nichts, bevor Ihr Identity-Provider die Person sendet.',
      total: 'Konten, die schon da sind',
      links: 'würden über den Benutzernamen übernommen',
      byEmail: 'auch über die E-Mail-Adresse',
      conflicts: 'haben eine Adresse, über die nichts übernommen wird',
      protected: 'geschützt: Ihr Identity-Provider kann sie weder ändern noch deaktivieren',
      more: (n) => `Gezählt sind die ersten ${n}.`,
      newOnes: 'Wer nicht darunter ist, bekommt ein neues Konto.',
      choice: 'Ihr Identity-Provider übernimmt ein Konto über',
      options: {
        email: 'Benutzername oder E-Mail-Adresse in einer bestätigten Domain',
        userName: 'nur den Benutzernamen',
        off: 'nichts: vorhandene Konten bleiben getrennt',
      },
    },
  },

  fault: {
    times: (count, since) => (count === 1 ? '' : `${count} Mal seit ${since}`),
    missing: (who, when) => `${who} fragte ${when} ohne Token: Tragen Sie es im Identity-Provider ein.`,
    truncated: (who, when, arrived, meant) =>
      `${who} fragte ${when} mit einem abgeschnittenen Token (${arrived} von ${meant} Zeichen): Kopieren Sie es noch einmal.`,
    whitespace: (who, when) =>
      `${who} fragte ${when} mit einem Token, das Leerzeichen oder Umbrüche enthält: Kopieren Sie es noch einmal, als eine Zeile.`,
    scheme_twice: (who, when) =>
      `${who} fragte ${when} mit zweimal „Bearer“: Tragen Sie nur das Token ein, denn Ihr Identity-Provider ergänzt das Wort.`,
    malformed: (who, when) =>
      `${who} fragte ${when} mit etwas, das kein Token dieses Dienstes ist oder einen Tippfehler hat: Kopieren Sie das Token noch einmal.`,
    unknown: (who, when) => `${who} fragte ${when} mit einem Token, das nicht Ihres ist: Setzen Sie das aktuelle ein.`,
    replaced: (who, when, on, by) =>
      `${who} fragte ${when} mit einem Token, das am ${on}${by && ` von ${by}`} ersetzt wurde: Setzen Sie das neue ein.`,
    revoked: (who, when, on, by) =>
      `${who} fragte ${when} mit einem Token, das am ${on}${by && ` von ${by}`} widerrufen wurde: Erzeugen Sie ein neues und setzen Sie es ein.`,
    expired: (who, when, on) =>
      `${who} fragte ${when} mit einem Token, das am ${on} abgelaufen ist: Erzeugen Sie ein neues und setzen Sie es ein.`,
    path: (who, when) =>
      `${who} fragte ${when} an einer falschen Adresse: Der Basis-URL fehlt /scim/v2. Kopieren Sie sie aus dem Schritt „Verbinden“.`,
    wrong_org: (who, when) =>
      `${who} fragte ${when} mit Adresse oder Benutzername einer anderen Organisation: Kopieren Sie beides noch einmal.`,
    wrong_kind: (who, when) =>
      `${who} fragte ${when} mit Zugangsdaten im falschen Feld: Sehen Sie nach, was wohin gehört.`,
    disabled: (who, when) => `${who} fragte ${when}, und SCIM ist aus: Schalten Sie es ein.`,
    plan: (who, when, contact) =>
      `${who} fragte ${when}. Für Ihr Konto nicht freigeschaltet. Wenden Sie sich an ${contact}.`,
    misdirected: (who, when) =>
      `${who} fragte ${when} an der Adresse einer anderen Region: Kopieren Sie die Basis-URL noch einmal.`,
    rate_limited: (who, when) => `${who} sendete ${when} zu viele Anfragen. Sie werden von selbst wiederholt.`,
    client: (who, when) =>
      `${who} fragte ${when} mit falscher Client-ID oder falschem Client-Secret nach einem Zugriffstoken: Kopieren Sie beides noch einmal.`,
    assertion: (who, when) =>
      `${who} fragte ${when} mit einer Signatur, die nicht passt: Vergleichen Sie Issuer, Subject und Audience.`,
    grant: (who, when) =>
      `Die Freigabe von ${who} ist beendet (${when}): Autorisieren Sie im Identity-Provider noch einmal.`,
    approval: (_who, when) =>
      `Ein Freigabecode war falsch oder zu alt (${when}): Erzeugen Sie einen neuen und geben Sie ihn ein.`,
    seats: (_who, when, contact) =>
      `Eine Person wurde ${when} abgewiesen, weil alle Plätze belegt sind. Deaktivieren Sie jemanden, oder wenden Sie sich an ${contact}.`,
    storage: (_who, when, contact) =>
      `Eine Änderung wurde ${when} abgewiesen, weil der Speicher voll ist. Wenden Sie sich an ${contact}.`,
    protected: (_who, when, contact) =>
      `Ein geschütztes Konto sollte ${when} geändert oder deaktiviert werden und bleibt, wie es ist. Wenden Sie sich an ${contact}.`,
    brake: (_who, when) =>
      `Eine Deaktivierung wurde ${when} zurückgehalten, weil es ungewöhnlich viele waren. Sie wartet auf eine Entscheidung.`,
    required: (who, when, what, attribute) =>
      `${who} sendete ${when} ${what}, und ${attribute} fehlte: Ordnen Sie es im Identity-Provider zu.`,
    uniqueness: (who, when, what) =>
      `${who} sendete ${when} ${what} mit einem vergebenen Namen: Ordnen Sie sie im Identity-Provider zu, statt sie anzulegen.`,
    invalidValue: (who, when, what) =>
      `${who} sendete ${when} ${what} mit einem unzulässigen Wert: Vergleichen Sie Ihre Attributzuordnung.`,
    invalidPath: (who, when, what) =>
      `${who} sendete ${when} ${what} mit einem Attribut, das es hier nicht gibt: Nehmen Sie es aus der Zuordnung.`,
    invalidFilter: (who, when) =>
      `${who} suchte ${when} auf eine Weise, die nicht beantwortet werden kann: Ordnen Sie Personen über userName zu.`,
    invalidSyntax: (who, when, what) => `${who} sendete ${when} ${what}, und es war nicht lesbar.`,
    not_found: (who, when, what) =>
      `${who} änderte ${when} ${what}, und es gibt sie hier nicht (mehr): Lassen Sie den Identity-Provider neu zuordnen.`,
    failed: (who, when) => `${who} fragte ${when}, und der Dienst versagte. Die Anfrage wird von selbst wiederholt.`,
    other: (who, when, what) => `${who} sendete ${when} ${what} und wurde abgewiesen.`,
    aPerson: 'eine Person',
    aGroup: 'eine Gruppe',
    aRequest: 'eine Anfrage',
  },

  credentials: {
    lead: 'Womit sich Ihr Identity-Provider ausweist. Ein Geheimnis wird einmal gezeigt, wenn es erzeugt wird.',
    line: { token: 'Token', basic: 'Passwort (Basic)' },
    none: 'Noch keines',
    noneText: 'Ohne kann sich Ihr Identity-Provider nicht verbinden.',
    generate: { token: 'Token erzeugen', basic: 'Passwort erzeugen' },
    confirmTitle: { token: 'Ein Token erzeugen?', basic: 'Ein Passwort erzeugen?' },
    confirmText: 'Es wird nur einmal gezeigt. Öffnen Sie Ihren Identity-Provider, damit Sie es einsetzen können.',
    secretTitle: { token: 'Ihr neues Token', basic: 'Ihr neues Passwort' },
    secretText: 'Kopieren Sie es jetzt. Es wird nicht noch einmal gezeigt, und niemand kann es nachsehen.',
    userName: 'Benutzername',
    secretDone: 'Fertig',
    rotate: 'Neu erzeugen',
    rotateTitle: { token: 'Das Token neu erzeugen?', basic: 'Das Passwort neu erzeugen?' },
    rotateText: 'Das neue wird nur einmal gezeigt. Was soll aus dem alten werden?',
    grace24: 'Es gilt noch 24 Stunden. Sie haben Zeit, das neue einzutragen.',
    graceNow: 'Es wird jetzt ungültig. Ihr Identity-Provider wird abgewiesen, bis das neue eingetragen ist.',
    revoke: 'Widerrufen',
    revokeTitle: { token: 'Das Token widerrufen?', basic: 'Das Passwort widerrufen?' },
    revokeText: 'Ihr Identity-Provider wird ab sofort abgewiesen. Benutzer und Gruppen bleiben, wie sie sind.',
    revoked: 'Widerrufen. Ihr Identity-Provider wird ab sofort abgewiesen.',
    complete: 'Abschließen: das alte jetzt ungültig machen',
    completed: 'Das alte ist jetzt ungültig.',
    back: 'Zurück zum alten',
    wentBack: 'Das alte ist wieder das aktuelle. Das neuere ist ungültig.',
    mask: 'Geheimnis',
    state: 'Zustand',
    made: 'Erzeugt',
    lastUsed: 'Zuletzt benutzt',
    expires: 'Läuft ab',
    notUsed: 'noch nicht benutzt',
    from: (client, address) => [client, address].filter(Boolean).join(', '),
    states: {
      current: 'aktuell',
      grace: 'alt, gilt noch',
      replaced: 'ersetzt',
      expired: 'abgelaufen',
      revoked: 'widerrufen',
    },
    until: 'gilt bis',
    stillUsed: 'Ein Client benutzt noch das alte:',
    notUsedSince: 'Seit dem Ersetzen hat nichts das alte benutzt. Sie können abschließen.',
    never: 'nie',
    history: 'Frühere',
    overtaken: (who) => `Jemand war schneller: ${who} hat das aktuelle erzeugt. Von Ihnen hat sich nichts geändert.`,
    already: 'Es gibt schon eines. „Neu erzeugen“ ersetzt es. Es hat sich nichts geändert.',
    gone: 'Es gibt keines, mit dem das möglich wäre. Es hat sich nichts geändert.',
    unknown: 'Es ist nicht bekannt, ob das geschehen ist. Die Liste unten zeigt es.',
    justMade:
      'Es wurde gerade eben erzeugt, vielleicht durch einen zweiten Klick. Das Geheimnis wurde einmal gezeigt. „Neu erzeugen“ macht ein weiteres.',
  },

  oauth: {
    title: 'OAuth-2-Clients',
    none: 'Noch kein Client.',
    create: 'Client anlegen',
    name: 'Name',
    redirectUri: 'Redirect-URI',
    redirectHint: 'Wie Ihr Identity-Provider sie zeigt. Lassen Sie das Feld leer, wenn er keine zeigt.',
    tenant: 'Verzeichnis-ID (Mandant)',
    objectId: 'Objekt-ID der verwalteten Identität oder des Dienstprinzipals',
    audience: 'Anwendungs-ID (Client)',
    federated: 'Workload Identity Federation, ohne Geheimnis',
    clientId: 'Client-ID',
    clientSecret: 'Client-Secret',
    authorizeUrl: 'Autorisierungs-Endpunkt',
    tokenUrl: 'Token-Endpunkt',
    createdTitle: 'Ihr OAuth-Client',
    noSecret: 'Dieser Client signiert selbst und hat kein Geheimnis.',
    wrong: 'Einer der Werte ist nicht, was erwartet wurde. Vergleichen Sie sie und versuchen Sie es noch einmal.',
    approval: 'Freigabecode erzeugen',
    approvalTitle: 'Ihr Freigabecode',
    approvalText:
      'Drücken Sie in Ihrem Identity-Provider «Authenticate» und geben Sie diesen Code auf der Seite ein, die sich öffnet. Er gilt einmal, zehn Minuten lang.',
    approvalHint: 'Ihr Identity-Provider öffnet eine Seite, die nach einem Code fragt.',
  },
};
