/** Why sessions are over: whatever ends them, the application, its stream, the journal and the operator are told the same. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { endCauseIn, endCauseOf, endCauseOfEvent, endCauseText, latestEnd } from '../../src/end-cause';
import { admin, host, type Idp, newIdp } from '../support/client';
import { HostStream } from '../support/stream';

let idp: Idp;
let ada: string;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`cause-${++n}`);
  ada = (await idp.user('ada')).id;
});

const active = (value: boolean) => idp.patch(`/Users/${ada}`, [{ op: 'replace', path: 'active', value }]);
const endedBy = async () => (await host('POST', '/resolve', { body: { org: idp.orgId, id: ada } })).body.endedBy;
const lastEvent = async () =>
  (await host('GET', `/events?org=${idp.orgId}&type=user.*&type=org.*&limit=100`)).body.events.at(-1);
const operator = (path: string) => admin('POST', `/orgs/${idp.slug}${path}`, { body: {} });

describe('the cause', () => {
  it('is null while nothing was ended, and unknown where it was ended before causes were kept', async () => {
    expect(await endedBy()).toBeNull();
    await env.DB.prepare('UPDATE users SET not_before = 1 WHERE id = ?').bind(ada).run();
    expect(await endedBy()).toBeNull();
  });

  it('is SCIM for a deactivation, and stays when the person is active again', async () => {
    await active(false);
    expect(await endedBy()).toEqual({ cause: 'scim' });
    expect((await lastEvent()).endedBy).toEqual({ cause: 'scim' });
    await active(true);
    expect(await endedBy()).toEqual({ cause: 'scim' });
    expect((await lastEvent()).endedBy).toBeUndefined();
  });

  it('is SCIM for a deletion, and for a new userName where the org signs out by it', async () => {
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { signOutOnRename: 'true' } } });
    await idp.patch(`/Users/${ada}`, [{ op: 'replace', path: 'userName', value: 'countess' }]);
    expect(await endedBy()).toEqual({ cause: 'scim' });
    await idp.delete(`/Users/${ada}`);
    expect((await lastEvent()).endedBy).toEqual({ cause: 'scim' });
  });

  it('is the operator for a sign-out, of the person or of the whole org: the latest one counts', async () => {
    await active(false);
    await active(true);
    await operator(`/users/${ada}/sign-out`);
    expect(await endedBy()).toEqual({ cause: 'operator' });
    await active(false);
    expect(await endedBy()).toEqual({ cause: 'scim' });
    await operator('/sign-out');
    expect(await endedBy()).toEqual({ cause: 'operator' });
    expect((await lastEvent()).endedBy).toEqual({ cause: 'operator' });
  });

  it('stays the deactivation’s when the person is signed out afterwards, until the person is active again', async () => {
    await active(false);
    await operator(`/users/${ada}/sign-out`);
    expect(await endedBy()).toEqual({ cause: 'scim' });
    expect((await lastEvent()).endedBy).toEqual({ cause: 'operator' });
    await active(true);
    await operator(`/users/${ada}/sign-out`);
    expect(await endedBy()).toEqual({ cause: 'operator' });
  });

  it('comes with the state on the stream', async () => {
    const stream = await HostStream.open(idp.slug);
    await stream.until(({ synced }) => synced !== undefined);
    await operator(`/users/${ada}/sign-out`);
    await stream.until(({ frames }) => frames.some(({ user }) => user === ada));
    expect(stream.frames.find(({ user }) => user === ada)).toMatchObject({ endedBy: { cause: 'operator' } });
    await operator('/sign-out');
    await stream.until(({ frames }) => frames.some(({ user }) => user === null));
    expect(stream.frames.find(({ user }) => user === null)).toMatchObject({ endedBy: { cause: 'operator' } });
    stream.close();
  });
});

describe('the words', () => {
  it.each<[string, object]>([
    ['idp', { cause: 'scim' }],
    ['client:x', { cause: 'scim' }],
    ['admin:grace', { cause: 'operator' }],
    ['portal:it@acme.example', { cause: 'portal' }],
    ['signal:https://acme.okta.com', { cause: 'signal', issuer: 'https://acme.okta.com' }],
    ['service', { cause: 'service' }],
    ['constructor', { cause: 'service' }],
  ])('of what %s does are kept as they are read', (name, cause) => {
    expect(endCauseOf({ name })).toEqual(cause);
    expect(endCauseIn(endCauseText(endCauseOf({ name })))).toEqual(cause);
  });

  it('that are none are no cause', () => {
    for (const text of [null, undefined, '', 'x', 7]) expect(endCauseIn(text)).toBeUndefined();
    expect(endCauseOfEvent({ type: 'user.updated', actor: 'idp' })).toBeUndefined();
    expect(latestEnd({ validAfter: undefined }, { validAfter: undefined })).toEqual({ validAfter: undefined });
  });
});
