/** `scim-worker/webhooks`: what it takes for a message of the service, in agreement with the reference library. */
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { type VerifyOptions, verifyWebhook, WebhookError } from '../../src/webhooks/client';
import { sign, signingKey } from '../../src/webhooks/client/signature';
import { newWebhookSecret } from '../../src/webhooks/secret';

const secret = newWebhookSecret();
const other = newWebhookSecret();
const now = new Date('2026-11-28T12:00:00Z');
const seconds = now.getTime() / 1_000;
const body = JSON.stringify({
  type: 'user.created',
  timestamp: now.toISOString(),
  data: { org: null, seq: 1, name: 'Zoë' },
});

/** As the service sends it. */
async function message(more: { timestamp?: number; by?: readonly string[] } = {}): Promise<VerifyOptions> {
  const { timestamp = seconds, by = [secret] } = more;
  const signed = { id: 'msg_1', timestamp, body };
  const signatures = await Promise.all(by.map(async (one) => sign(await signingKey(one), signed)));
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatures.join(' '),
  };
  return { secret, headers, body, now };
}

const refused = async (options: VerifyOptions): Promise<string> => {
  try {
    await verifyWebhook(options);
    return 'taken';
  } catch (error) {
    if (error instanceof WebhookError) return error.code;
    throw error;
  }
};

describe('a message', () => {
  it('that was signed with the secret is read, whatever holds its headers and its body', async () => {
    const good = await message();
    const expected = JSON.parse(body);
    expect(await verifyWebhook(good)).toEqual(expected);
    const headers = good.headers as Record<string, string>;
    expect(await verifyWebhook({ ...good, headers: new Headers(headers) })).toEqual(expected);
    const capitals = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]));
    expect(await verifyWebhook({ ...good, headers: capitals })).toEqual(expected);
    expect(await verifyWebhook({ ...good, body: new TextEncoder().encode(body) })).toEqual(expected);
  });

  it('is read during a rotation, on either side', async () => {
    const both = await message({ by: [other, secret] });
    expect(await refused(both)).toBe('taken');
    expect(await refused({ ...both, secret: other })).toBe('taken');
    expect(await refused({ ...(await message()), secret: [other, secret] })).toBe('taken');
  });

  it('of more than five minutes ago, or of the future, is refused', async () => {
    for (const away of [-300, 0, 300])
      expect(await refused(await message({ timestamp: seconds + away }))).toBe('taken');
    for (const away of [-301, 301])
      expect(await refused(await message({ timestamp: seconds + away }))).toBe('timestamp');
  });

  it('with another body, id, time, signature or secret is refused', async () => {
    const good = await message();
    const headers = good.headers as Record<string, string>;
    const signature = headers['webhook-signature']!;
    const withHeader = (name: string, value: string) => ({ ...good, headers: { ...headers, [name]: value } });
    expect(await refused({ ...good, body: `${body} ` })).toBe('signature');
    expect(await refused({ ...good, secret: other })).toBe('signature');
    expect(await refused(withHeader('webhook-id', 'msg_2'))).toBe('signature');
    expect(await refused(withHeader('webhook-timestamp', String(seconds + 1)))).toBe('signature');
    for (const bad of [
      signature.slice(0, -4),
      signature.replace('v1,', 'v1a,'),
      signature.slice(3),
      'v1,',
      'v1,%%%',
      'x',
    ]) {
      expect(await refused(withHeader('webhook-signature', bad)), bad).toBe('signature');
    }
    for (const name of Object.keys(headers)) expect(await refused(withHeader(name, ''))).toBe('headers');
    for (const time of ['soon', '1e9', '-1', '1.5'])
      expect(await refused(withHeader('webhook-timestamp', time))).toBe('timestamp');
  });

  it('is refused as a mistake of the application when an option is mistyped, missing or of another kind', async () => {
    const good = await message();
    for (const [options, told] of [
      [{ ...good, bdy: 'x' }, 'verifyWebhook: there is no option bdy. Options are secret, headers, body, now'],
      [undefined, 'verifyWebhook: an object of options was expected'],
      [{ ...good, headers: undefined }, "headers: the request's headers were expected"],
      [
        { ...good, body: { type: 'user.created' } },
        'body: the text or the bytes of the request were expected, not parsed',
      ],
    ]) {
      await expect(verifyWebhook(options as never)).rejects.toThrow(new TypeError(told as string));
    }
  });

  it('is checked against no secret that is none', async () => {
    const good = await message();
    for (const bad of ['', 'whsec_', 'whsec_%%']) {
      await expect(verifyWebhook({ ...good, secret: bad })).rejects.toBeInstanceOf(TypeError);
    }
    expect(await refused({ ...good, secret: [] })).toBe('signature');
  });
});

it('the reference library takes what the service signs, and this one takes what the reference library signs', async () => {
  const at = new Date();
  const timestamp = Math.floor(at.getTime() / 1_000);
  const reference = new Webhook(secret);
  const ours = await message({ timestamp });
  expect(reference.verify(body, ours.headers as Record<string, string>)).toEqual(JSON.parse(body));
  const theirs = reference.sign('msg_1', at, body);
  expect((ours.headers as Record<string, string>)['webhook-signature']).toBe(theirs);
  const headers = { ...(ours.headers as Record<string, string>), 'webhook-signature': theirs };
  expect(await refused({ ...ours, headers, now: at })).toBe('taken');
  const wrong = { ...headers, 'webhook-signature': new Webhook(other).sign('msg_1', at, body) };
  expect(() => reference.verify(body, wrong)).toThrow();
  expect(await refused({ ...ours, headers: wrong, now: at })).toBe('signature');
});
