// What identity providers really send, played over HTTP against a real Worker, each in an org of its own.

/// <reference types="vite/types/importMeta.d.ts" />
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Conversation, play, readConversation } from '../conversations/play.ts';
import { startServer } from '../support/server.ts';

const files = import.meta.glob<unknown>('../conversations/*.json', { eager: true, import: 'default' });
const conversations = Object.entries(files).map(([path, json]) => {
  const file = path.slice(path.lastIndexOf('/') + 1);
  return { slug: file.replace('.json', ''), conversation: readConversation(json, file) };
});

/** Users, groups and Basic are among them. */
const BY_PATH = [
  ...['okta-oin', 'okta-aiw-basic', 'okta-aiw-groups', 'entra-default', 'entra-flag-groups', 'google'],
  ...['jumpcloud', 'keycloak', 'onelogin', 'ping-groups', 'authentik'],
];

function conversationOf(slug: string): Conversation {
  const found = conversations.find((candidate) => candidate.slug === slug);
  if (!found) throw new Error(`no conversation ${slug}`);
  return found.conversation;
}

let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(async () => {
  await server?.stop();
}, 30_000);

async function stageFor(slug: string) {
  const org = await server.newOrg(slug);
  const checkSession = (userId: string, issuedAt: number) => server.checkSession(slug, userId, issuedAt);
  const operator = (method: string, path: string, body: unknown) => server.admin(method, `/orgs/${slug}${path}`, body);
  const basic = async () => {
    const { userName, password } = await server.admin<Password>('POST', `/orgs/${slug}/basic`, {});
    return btoa(`${userName}:${password}`);
  };
  return { baseUrl: org.baseUrl, token: org.token, basic, operator, checkSession };
}

// At once: an org each, and much of a conversation is waiting for the second that lies between two writes of one flag.
describe('conversations', { timeout: 180_000, concurrent: true }, () => {
  for (const { slug, conversation } of conversations) {
    it(conversation.promise, async () => {
      await play(conversation, await stageFor(slug));
    });
  }

  it('a conversation of each identity provider goes the same way under the path of the org', async () => {
    await Promise.all(
      BY_PATH.map(async (slug) => {
        const stage = await stageFor(`${slug}-by-path`);
        await play(conversationOf(slug), { ...stage, baseUrl: `${server.url}/orgs/${slug}-by-path/scim/v2` });
      }),
    );
  });

  it('two orgs are provisioned at the same time with the same people, and neither sees the other', async () => {
    const unique = 'c0ffee15600d';
    const okta = await stageFor('two-at-once-okta');
    const entra = await stageFor('two-at-once-entra');
    const [oktaSaved, entraSaved] = await Promise.all([
      play(conversationOf('okta-oin'), { ...okta, unique }),
      play(conversationOf('entra-default'), { ...entra, unique }),
    ]);

    const inOkta = await people(okta);
    const inEntra = await people(entra);
    const names = (list: Person[]) => list.map((person) => person.userName).sort();
    expect(names(inOkta)).toEqual([`ada.${unique}@example.com`, `grace.${unique}@example.com`]);
    expect(names(inEntra)).toEqual([...names(inOkta), `alan.${unique}@example.com`].sort());
    expect(new Set([...inOkta, ...inEntra].map((person) => person.id)).size).toBe(inOkta.length + inEntra.length);
    expect(inOkta.map((person) => person.id)).toContain(oktaSaved.ada);
    expect(inEntra.map((person) => person.id)).toContain(entraSaved.ada);

    // An id of the other org answers as one that never existed, and cannot be changed.
    for (const [stage, others] of [
      [okta, inEntra],
      [entra, inOkta],
    ] as const) {
      for (const { id } of others) {
        for (const method of ['GET', 'DELETE']) {
          const answer = await fetch(`${stage.baseUrl}/Users/${id}`, { method, headers: bearer(stage.token) });
          expect(`${method} ${answer.status}`).toBe(`${method} 404`);
        }
      }
    }
    expect(await people(okta)).toEqual(inOkta);
    expect(await people(entra)).toEqual(inEntra);
  });

  it('two orgs push groups of the same names at the same time, and neither sees the other', async () => {
    const unique = 'decaf15bad00';
    const orgs = [await stageFor('two-push-first'), await stageFor('two-push-second')] as const;
    await Promise.all(orgs.map((org) => play(conversationOf('okta-aiw-groups'), { ...org, unique })));

    const [inFirst, inSecond] = await Promise.all([groups(orgs[0]), groups(orgs[1])]);
    const names = (list: Group[]) => list.map((group) => group.displayName);
    expect(names(inFirst)).toEqual([`Platform ${unique}`, `Analysts ${unique}`]);
    expect(names(inSecond)).toEqual(names(inFirst));
    for (const [org, others] of [
      [orgs[0], inSecond],
      [orgs[1], inFirst],
    ] as const) {
      for (const { id } of others) {
        for (const method of ['GET', 'DELETE']) {
          const answer = await fetch(`${org.baseUrl}/Groups/${id}`, { method, headers: bearer(org.token) });
          expect(`${method} ${answer.status}`).toBe(`${method} 404`);
        }
      }
    }
    expect(await groups(orgs[0])).toEqual(inFirst);
    expect(await groups(orgs[1])).toEqual(inSecond);
  });
});

// After the others, whose orgs are as their identity providers left them.
describe('what an identity provider has made of an org', () => {
  it('can be exported, and what is imported of it is the same', async () => {
    await Promise.all(
      conversations.map(async ({ slug }) => {
        const file = await exported(slug);
        const copy = `${slug}-copy`;
        await server.admin('POST', `/orgs/${copy}/import`, { org: file[0] });
        const lines = file.slice(1, -1);
        await server.admin('POST', `/orgs/${copy}/import/lines`, { after: 1, lines });
        await server.admin('POST', `/orgs/${copy}/import/finish`, { end: file.at(-1) });
        const kept = (all: Line[]) => all.filter(({ kind }) => ['user', 'group', 'members'].includes(kind));
        expect(kept(await exported(copy))).toEqual(kept(file));
      }),
    );
  });
});

interface Line {
  kind: string;
}

async function exported(slug: string): Promise<Line[]> {
  const lines: Line[] = [];
  type Page = { lines: Line[]; next: string | null };
  let page = await server.admin<Page>('POST', `/orgs/${slug}/export`, {});
  for (;;) {
    lines.push(...page.lines);
    if (page.next === null) return lines;
    page = await server.admin<Page>('GET', `/orgs/${slug}/export?${new URLSearchParams({ after: page.next })}`);
  }
}

interface Person {
  id: string;
  userName: string;
}

interface Password {
  userName: string;
  password: string;
}

interface Group {
  id: string;
  displayName: string;
  members?: { value: string }[];
}

type Client = { baseUrl: string; token: string };

const people = (org: Client) => everything<Person>(org, 'Users');
const groups = (org: Client) => everything<Group>(org, 'Groups');

async function everything<T>(org: Client, endpoint: string): Promise<T[]> {
  const answer = await fetch(`${org.baseUrl}/${endpoint}?startIndex=1&count=100`, { headers: bearer(org.token) });
  const list = (await answer.json()) as { totalResults: number; Resources: T[] };
  expect(list.totalResults).toBe(list.Resources.length);
  return list.Resources;
}

function bearer(token: string) {
  return { Authorization: `Bearer ${token}` };
}
