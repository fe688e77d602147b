/** The secret that signs what one endpoint is sent. It is kept encrypted (credentials/sealed-secret.ts). */

const PREFIX = 'whsec_';
/** Standard Webhooks wants 24 to 64 bytes. */
const BYTES = 32;

/** As Standard Webhooks spells it: shown once. */
export const newWebhookSecret = (): string =>
  PREFIX + btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(BYTES))));

export const maskOfWebhookSecret = (secret: string): string =>
  `${secret.slice(0, PREFIX.length + 4)}…${secret.slice(-4)}`;
