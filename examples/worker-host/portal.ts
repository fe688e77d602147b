/** A link that opens the portal of scim-worker, for a person whom this product knows as an administrator of the org. */
import { Unavailable } from './directory';
import { env, type Person } from './env';

/** What a person needs: a permission of one of their groups (`group permissions`). */
const NEEDED = 'directory:manage';

export const mayManage = ({ permissions }: Person): boolean => permissions.includes(NEEDED);

/** @throws Unavailable. */
export async function portalLink({ org, userName }: Person): Promise<string> {
  const request = new Request(`${env.SCIM_URL}/orgs/${org.slug}/portal-links`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Admin-By': 'worker-host' },
    body: JSON.stringify({ contact: userName.slice(0, 100), expires: '10m' }),
  });
  const answer = await env.ADMIN.fetch(request);
  if (!answer.ok) throw new Unavailable(`portal-links answered ${answer.status}`);
  return ((await answer.json()) as { url: string }).url;
}
