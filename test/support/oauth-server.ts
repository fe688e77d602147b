// An OAuth client of an org behind a real port, for tests that speak HTTP from plain Node.
import type { Server, TestOrg } from './server.ts';

export interface ServedClient {
  readonly id: string;
  readonly secret: string;
  /** As `oauth approve` prints it. */
  newApproval(): Promise<string>;
  /** Where the identity provider sends its administrator's browser. */
  authorizeUrl(state: string): string;
  /** A token request; the answer's body. */
  // biome-ignore lint/suspicious/noExplicitAny: an answer is looked into freely
  token(members: Record<string, string>): Promise<{ status: number; body: any }>;
}

export async function newServedClient(
  server: Server,
  { slug }: Pick<TestOrg, 'slug'>,
  { name, redirectUri }: { name: string; redirectUri: string },
): Promise<ServedClient> {
  type Created = { clientId: string; clientSecret: string };
  const client = await server.admin<Created>('POST', `/orgs/${slug}/oauth/clients`, {
    name,
    redirectUris: [redirectUri],
  });
  const { clientId: id, clientSecret: secret } = client;
  return {
    id,
    secret,
    async newApproval() {
      const made = await server.admin<{ approvalCode: string }>('POST', `/orgs/${slug}/oauth/approvals`, {});
      return made.approvalCode;
    },
    authorizeUrl(state) {
      const query = { response_type: 'code', client_id: id, redirect_uri: redirectUri, state };
      return `${server.url}/oauth/authorize?${new URLSearchParams(query)}`;
    },
    async token(members) {
      const answer = await fetch(`${server.url}/oauth/token`, {
        method: 'POST',
        body: new URLSearchParams({ client_id: id, client_secret: secret, ...members }),
      });
      return { status: answer.status, body: await answer.json() };
    },
  };
}
