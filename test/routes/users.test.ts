import { beforeAll, describe, expect, it } from 'vitest';
import { type Idp, newIdp } from '../support/client';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('users');
});

describe('a user', () => {
  it('is created, and answered whole with its address and version', async () => {
    const answer = await idp.post('/Users', { userName: 'ada@example.com', name: { givenName: 'Ada' } });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('Content-Type')).toBe('application/scim+json');
    expect(answer.headers.get('Location')).toBe(answer.body.meta.location);
    expect(answer.headers.get('ETag')).toBe(answer.body.meta.version);
    expect(answer.body).toMatchObject({ userName: 'ada@example.com', active: true, name: { givenName: 'Ada' } });
  });
});
