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
};
