import type { Session } from 'scim-worker/sessions';
import { isEnded, openRevocationStream } from 'scim-worker/sessions/stream';

/** Call it once for each process. `orgs` are ids or slugs. */
export function openSessions(url: string, token: string, orgs: string[]) {
  const sessions = new Map<string, Session>(); // your session store
  const stream = openRevocationStream({
    url, // https://scim.example.com
    token, // of `hosts add`, with the scope check; or HOST_TOKEN
    orgs,
    onUnavailable: 'deny',
    onStatus: ({ org, is, detail }) => console.log(`stream of ${org}: ${is} ${detail ?? ''}`), // a wrong token, too
    onEnded: (ended) => {
      for (const [id, session] of sessions) if (isEnded(session, ended)) sessions.delete(id);
    },
  });
  const isValid = async (id: string) => {
    const session = sessions.get(id);
    return session !== undefined && (await stream.check(session)).valid;
  };
  return { sessions, stream, isValid };
}
