/** A receiver of signals, from its first request on: a stream, its verification, a person who is deactivated by SCIM. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { ask, BASE, type Idp, newIdp } from '../../support/client';
import { CAEP, catchTokens, newPush, newReceiver, PROV, RISC, SSF, type TestReceiver, until } from '../../support/ssf';

catchTokens();
vi.spyOn(console, 'error').mockImplementation(() => undefined);

let idp: Idp;
let receiver: TestReceiver;
beforeAll(async () => {
  idp = await newIdp('told');
  receiver = await newReceiver([idp.slug]);
});

const deactivate = (id: string) => idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);

describe('a stream that is pushed', () => {
  it('is found by the metadata, created, verified, and told that a person is out', async () => {
    const { body: metadata } = await ask('GET', `${BASE}/.well-known/ssf-configuration`);
    expect(metadata).toMatchObject({ spec_version: '1_0', issuer: BASE, jwks_uri: `${BASE}/ssf/jwks.json` });
    const { endpoint, id } = await newPush(receiver, {}, { authorization_header: 'Bearer of-the-receiver' });

    expect((await receiver.api('POST', '/verification', { body: { stream_id: id, state: 'abc' } })).status).toBe(204);
    await until(() => expect(endpoint.got).toHaveLength(1));
    const [verification] = endpoint.got;
    expect(verification).toMatchObject({
      uri: `${SSF}verification`,
      event: { state: 'abc' },
      claims: { sub_id: { format: 'opaque', id } },
      header: { typ: 'secevent+jwt', alg: 'RS256' },
    });
    expect(endpoint.headers[0]!.get('Authorization')).toBe('Bearer of-the-receiver');

    const ada = await idp.user('ada@example.com', { externalId: '00u-ada' });
    const { headers } = await deactivate(ada.id);
    await until(() => expect(endpoint.got).toHaveLength(5));
    expect(endpoint.got.slice(1).map(({ uri }) => uri)).toEqual([
      `${PROV}create:notice`,
      `${CAEP}session-revoked`,
      `${RISC}account-disabled`,
      `${PROV}deactivate`,
    ]);
    const subject = { format: 'scim', uri: `/Users/${ada.id}`, externalId: '00u-ada' };
    for (const { claims } of endpoint.got.slice(1)) expect(claims.sub_id).toEqual(subject);
    const [created, revoked, , deactivated] = endpoint.got.slice(1) as [
      never,
      never,
      never,
      never,
    ] as typeof endpoint.got;
    expect(created!.event).toEqual({ attributes: expect.arrayContaining(['externalId', 'userName']) });
    expect(JSON.stringify(created!.claims)).not.toContain('ada@example.com');
    expect(revoked!.event).toMatchObject({ initiating_entity: 'policy', event_timestamp: expect.any(Number) });
    expect(revoked!.claims.txn).toBe(headers.get('X-Request-Id'));
    expect(deactivated!.claims.txn).toBe(revoked!.claims.txn);
    expect(new Set(endpoint.got.map(({ claims }) => claims.jti)).size).toBe(5);
    for (const { claims } of endpoint.got) expect(claims).not.toHaveProperty('exp');
  });
});
