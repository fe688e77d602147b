/** Which addresses may hold an issuer's keys. */
import { describe, expect, it } from 'vitest';
import { isJwksAddress } from '../../src/credentials/public-host';

const good = [
  'https://login.microsoftonline.com/ce5f/discovery/v2.0/keys',
  'https://login.example.com:8443/keys?a=b',
  'https://LOGIN.EXAMPLE.COM/keys',
  'https://login.example.com./keys',
  'https://1.example/keys',
  'https://10.0.0.1.example.com/keys',
  'https://xn--bcher-kva.example/keys',
  'https://localhost.example.com/keys',
  'https://internal.example.com/keys',
];

const refused = [
  // No address at all, or not over TLS.
  '',
  'login.example.com/keys',
  'http://login.example.com/keys',
  'file:///etc/passwd',
  'ftp://login.example.com/keys',
  'data:application/json,{}',
  // Names of this machine and of private networks.
  'https://localhost/keys',
  'https://LOCALHOST/keys',
  'https://localhost./keys',
  'https://localhost../keys',
  'https://a.localhost/keys',
  'https://%6cocalhost/keys',
  'https://ｌｏｃａｌｈｏｓｔ/keys',
  'https://metadata/keys',
  'https://metadata.google.internal/keys',
  'https://kubernetes.default.svc/keys',
  'https://keys.localdomain/keys',
  'https://keys..example.com/keys',
  'https://printer.local/keys',
  'https://router.lan/keys',
  'https://router.home.arpa/keys',
  'https://wiki.corp/keys',
  // IPv4: loopback, private, link-local, shared, unspecified, broadcast, and public ones too.
  'https://127.0.0.1/keys',
  'https://127.0.0.1./keys',
  'https://127.0.0.1../keys',
  'https://127.1/keys',
  'https://127.255.255.254/keys',
  'https://2130706433/keys',
  'https://0x7f000001/keys',
  'https://0x7f.0.0.1/keys',
  'https://017700000001/keys',
  'https://0177.0.0.1/keys',
  'https://0177.0.0x1/keys',
  'https://１２７.０.０.１/keys',
  'https://127。0。0。1/keys',
  'https://%31%32%37.0.0.1/keys',
  'https://10.0.0.1/keys',
  'https://172.16.0.1/keys',
  'https://192.168.1.1/keys',
  'https://169.254.169.254/latest/meta-data',
  'https://100.64.0.1/keys',
  'https://0.0.0.0/keys',
  'https://0/keys',
  'https://255.255.255.255/keys',
  'https://8.8.8.8/keys',
  // IPv6, and IPv4 within it.
  'https://[::1]/keys',
  'https://[0:0:0:0:0:0:0:1]/keys',
  'https://[::]/keys',
  'https://[::ffff:127.0.0.1]/keys',
  'https://[::ffff:7f00:1]/keys',
  'https://[64:ff9b::7f00:1]/keys',
  'https://[fe80::1]/keys',
  'https://[fd00::1]/keys',
  'https://[2606:4700::1111]/keys',
];

describe('the address of an issuer’s keys', () => {
  it.each(good)('%s is fetched from', (address) => {
    expect(isJwksAddress(address, false)).toBe(true);
    expect(isJwksAddress(address, true)).toBe(true);
  });

  it.each(refused)('%s is refused', (address) => {
    expect(isJwksAddress(address, false)).toBe(false);
  });

  it('may be on this machine where the variable ALLOW_LOOPBACK_JWKS says so, and on no other', () => {
    const local = [
      'http://localhost:9000/keys',
      'http://127.0.0.1:9000/keys',
      'https://[::1]/keys',
      'http://127.1/keys',
    ];
    expect(local.map((address) => isJwksAddress(address, true))).toEqual(local.map(() => true));
    const others = refused.filter(
      (address) => !/localhost\/|LOCALHOST\/|ｌ|１|127|0x7f|0177|2130706433|%|\[(?:0:)*:*1\]|0:1\]/.test(address),
    );
    expect(others.filter((address) => isJwksAddress(address, true))).toEqual([]);
    expect(isJwksAddress('ftp://localhost/keys', true)).toBe(false);
  });
});
