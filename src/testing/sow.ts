/** Brings an org of the seed into the service, by the same APIs that an operator and an identity provider use. */
import { SeedError, type SeedGroup, type SeedOrg, type SeedUser } from './seed.ts';

// biome-ignore lint/suspicious/noExplicitAny: the caller knows what it asks for
export type AdminCall = (method: string, path: string, body?: unknown) => Promise<any>;

/** The admin API did not answer with 2xx. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** An org of the running service. */
export interface ScimOrg {
  readonly id: string;
  readonly slug: string;
  /** The SCIM base address, for an identity provider. */
  readonly scimUrl: string;
  /** The identity provider's token. */
  readonly token: string;
  /** Ids by userName. */
  readonly userIds: Readonly<Record<string, string>>;
  /** Ids by displayName. */
  readonly groupIds: Readonly<Record<string, string>>;
  /** Those of the seed, in its order. Empty for an org that a folder had: secrets are shown once. */
  readonly webhooks: readonly { readonly id: string; readonly url: string; readonly secret: string }[];
}

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
/** Requests at once. */
const AT_ONCE = 4;

/**
 * @param adopts whether an org that is there already is taken as it is: a folder has it from an earlier start.
 * @throws SeedError for what the service does not accept, with its answer.
 */
export async function sowOrg(admin: AdminCall, slug: string, seed: SeedOrg, adopts = false): Promise<ScimOrg> {
  const draft = { slug, ...(seed.name !== undefined && { name: seed.name }) };
  const created = await admin('POST', '/orgs', draft).catch((error: unknown) => {
    if (adopts && error instanceof AdminError && error.status === 409) return undefined;
    throw refused(`orgs.${slug}`, error as Error);
  });
  return created ? newOrg(admin, slug, created.id, seed) : oldOrg(admin, slug);
}

/** Its token cannot be read again: it gets a new one, and the old one ends. */
async function oldOrg(admin: AdminCall, slug: string): Promise<ScimOrg> {
  const { id, scimBaseUrl: scimUrl } = await admin('GET', `/orgs/${slug}`);
  const { token } = await admin('POST', `/orgs/${slug}/tokens/rotate`, { grace: '0' });
  const userIds = await idsOf(scimUrl, token, '/Users', 'userName');
  const groupIds = await idsOf(scimUrl, token, '/Groups', 'displayName');
  return { id, slug, scimUrl, token, userIds, groupIds, webhooks: [] };
}

async function idsOf(scimUrl: string, token: string, path: string, name: string): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (let startIndex = 1; ; ) {
    const url = `${scimUrl}${path}?attributes=${name}&count=100&startIndex=${startIndex}`;
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`GET ${path} answered ${answer.status}: ${await answer.text()}`);
    const { totalResults, Resources } = (await answer.json()) as List;
    for (const resource of Resources) ids[resource[name]!] = resource['id']!;
    startIndex += Resources.length;
    if (Resources.length === 0 || startIndex > totalResults) return ids;
  }
}

interface List {
  readonly totalResults: number;
  readonly Resources: readonly Readonly<Record<string, string>>[];
}

async function newOrg(admin: AdminCall, slug: string, id: string, seed: SeedOrg): Promise<ScimOrg> {
  const at = `orgs.${slug}`;
  const path = `/orgs/${slug}`;
  const { scimBaseUrl: scimUrl } = await admin('POST', `${path}/scim`, { enabled: true });
  const life = seed.tokenExpires === undefined ? {} : { expires: seed.tokenExpires };
  const { token } = await accepted(`${at}.tokenExpires`, admin('POST', `${path}/tokens`, life));
  const post = scimPost(scimUrl, token);
  const users = await sowUsers(post, seed.users ?? [], at);
  const groupIds: Record<string, string> = {};
  for (const [index, group] of (seed.groups ?? []).entries()) {
    const place = `${at}.groups[${index}]`;
    groupIds[group.displayName] = await accepted(place, sowGroup(post, group, users));
    const { permissions } = group;
    const to = `${path}/groups/${groupIds[group.displayName]}/permissions`;
    if (permissions) await accepted(`${place}.permissions`, admin('PUT', to, { permissions }));
  }
  // Last: some name groups, and a limit would meet the seed itself.
  const settings = Object.fromEntries(Object.entries(seed.settings ?? {}).map(([key, value]) => [key, String(value)]));
  if (Object.keys(settings).length > 0) await accepted(`${at}.settings`, admin('PATCH', path, { settings }));
  const webhooks = [];
  for (const [index, { url, types }] of (seed.webhooks ?? []).entries()) {
    const body = { url, org: slug, ...(types && { types }) };
    const { id, secret } = await accepted(`${at}.webhooks[${index}]`, admin('POST', '/webhooks', body));
    webhooks.push({ id, url, secret });
  }
  return { id, slug, scimUrl, token, userIds: Object.fromEntries(users.shown), groupIds, webhooks };
}

interface SownUsers {
  /** By folded userName. */
  readonly ids: ReadonlyMap<string, string>;
  readonly shown: readonly (readonly [string, string])[];
}

async function sowUsers(post: ScimPost, users: readonly SeedUser[], at: string): Promise<SownUsers> {
  const ids: string[] = [];
  const waiting = users.entries();
  const worker = async () => {
    for (const [index, user] of waiting) {
      const body = { schemas: [USER], active: true, ...user };
      ids[index] = (await accepted(`${at}.users[${index}]`, post('/Users', body))).id;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const shown = users.map(({ userName }, index) => [userName, ids[index]!] as const);
  return { shown, ids: new Map(shown.map(([name, id]) => [name.toLowerCase(), id])) };
}

async function sowGroup(post: ScimPost, group: SeedGroup, users: SownUsers): Promise<string> {
  const { displayName, externalId, members = [] } = group;
  const body = {
    ...{ schemas: [GROUP], displayName },
    ...(externalId !== undefined && { externalId }),
    members: members.map((name) => ({ value: users.ids.get(name.toLowerCase()) })),
  };
  return (await post('/Groups', body)).id;
}

type ScimPost = (path: string, body: object) => Promise<{ readonly id: string }>;

function scimPost(scimUrl: string, token: string): ScimPost {
  return async (path, body) => {
    const answer = await fetch(`${scimUrl}${path}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/scim+json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`POST ${path} answered ${answer.status}: ${await answer.text()}`);
    return answer.json() as Promise<{ id: string }>;
  };
}

async function accepted<T>(at: string, work: Promise<T>): Promise<T> {
  return work.catch((cause: Error) => {
    throw refused(at, cause);
  });
}

const refused = (at: string, cause: Error) => new SeedError('The seed', [`${at}: ${cause.message}`], { cause });
