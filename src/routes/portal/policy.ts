/** The headers of the portal's pages. Nothing is loaded from elsewhere but the vendor's logo, and only our own script runs. */
import type { MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { type PortalLook, settings } from '../../env';
import { SCRIPT } from './script';
import { styleFor } from './style';

const digests = new Map<string, string>();

async function digestOf(text: string): Promise<string> {
  const known = digests.get(text);
  if (known) return known;
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  const digest = `'sha256-${btoa(String.fromCharCode(...bytes))}'`;
  digests.set(text, digest);
  return digest;
}

async function policyFor({ color, logoUrl, origins }: PortalLook): Promise<string> {
  const [style, script] = await Promise.all([digestOf(styleFor(color)), digestOf(SCRIPT)]);
  return [
    "default-src 'none'",
    `style-src ${style}`,
    `script-src ${script}`,
    "connect-src 'self'",
    ...(logoUrl ? [`img-src ${new URL(logoUrl).origin}`] : []),
    "form-action 'self'",
    `frame-ancestors ${origins.length > 0 ? origins.join(' ') : "'none'"}`,
    "base-uri 'none'",
  ].join('; ');
}

const secured = secureHeaders({
  // Not no-referrer: then a form says `Origin: null`.
  referrerPolicy: 'same-origin',
  // It knows one origin at most: frame-ancestors says it.
  xFrameOptions: false,
  strictTransportSecurity: 'max-age=15552000',
  permissionsPolicy: { camera: [], microphone: [], geolocation: [], clipboardWrite: ['self'] },
});

export const headers: MiddlewareHandler = async (c, next) => {
  await secured(c, next);
  const look = settings(c.env).portal;
  c.res.headers.set('Content-Security-Policy', await policyFor(look));
  if (look.origins.length === 0) c.res.headers.set('X-Frame-Options', 'DENY');
  c.res.headers.set('Cache-Control', 'no-store');
  c.res.headers.set('X-Robots-Tag', 'noindex');
};
