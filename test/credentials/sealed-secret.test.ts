import { expect, it } from 'vitest';
import { open, seal } from '../../src/credentials/sealed-secret';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const keys = ['a'.repeat(32), 'b'.repeat(32)];

it('a secret opens with its key, for its row and for its purpose alone, and looks different each time', async () => {
  const sealed = await seal(keys, 'webhook secrets', 'wh_1', secret);
  expect(await open(keys, 'webhook secrets', 'wh_1', sealed)).toBe(secret);
  expect(await open([...keys].reverse(), 'webhook secrets', 'wh_1', sealed)).toBe(secret);
  expect(await seal(keys, 'webhook secrets', 'wh_1', secret)).not.toBe(sealed);
  await expect(open(keys, 'webhook secrets', 'wh_2', sealed)).rejects.toThrow('another WEBHOOK_KEY');
  await expect(open(keys, 'transmitter credentials', 'wh_1', sealed)).rejects.toThrow('another WEBHOOK_KEY');
  await expect(open(['c'.repeat(32)], 'webhook secrets', 'wh_1', sealed)).rejects.toThrow('another WEBHOOK_KEY');
  await expect(open([], 'webhook secrets', 'wh_1', sealed)).rejects.toThrow('WEBHOOK_KEY is not set');
});

it('what was encrypted before purposes were told apart still opens as the secret of a webhook', async () => {
  // Made by the service before, with the key of 32 times «a», for `wh_1`.
  const before = 'v1.vu9qp5P5+WR2o+kzdVh/vAbEmd7xOhIIP8OUwyW4nR+JqaXO4fu+BXY+c+Fk6ggTV/mseZTKGP2rI39Sx9NtVsO7';
  expect(await open(keys, 'webhook secrets', 'wh_1', before)).toBe(secret);
});
