// A stand-in for the host app's door, written from its contract and on no code of the service: what a client of the
// stream may rely on. It can also do what the service never would.
import { type PlainRequest, type ServerSocket, startWebSocketServer } from './web-socket.mjs';

interface State {
  seq: number;
  active: boolean;
  notBefore: number;
}

interface Org {
  readonly id: string;
  readonly slug: string;
  seq: number;
  /** By user; '' is the whole org. */
  readonly states: Map<string, State>;
  readonly sockets: Set<ServerSocket>;
}

const TOKEN = 'host-token-of-the-stand-in';
const WINDOW = 500;
const PORTION = 200;

export type Script = (socket: ServerSocket, org: { readonly id: string; readonly after: number | undefined }) => void;

export async function startHostDoor() {
  const orgs: Org[] = [];
  const door = {
    token: TOKEN,
    /** Instead of what the contract says about a connection. */
    script: undefined as Script | undefined,
    /** All connections that were let in, oldest first. */
    sockets: [] as ServerSocket[],
    /** The upgrade is answered with it. */
    refuseWith: undefined as number | undefined,
    newOrg(slug: string): Org {
      const org = {
        id: `id-of-${slug}`,
        slug,
        seq: 0,
        states: new Map<string, State>(),
        sockets: new Set<ServerSocket>(),
      };
      orgs.push(org);
      return org;
    },
    /** The state of someone changes; null is the whole org. Not-before rises when they are out, and never falls. */
    change(org: Org, user: string | null, active: boolean, endsSessions = !active) {
      const known = org.states.get(user ?? '');
      // A journal has other events in between: the sequence has gaps.
      org.seq += 3;
      const notBefore = endsSessions ? Date.now() : (known?.notBefore ?? 0);
      org.states.set(user ?? '', { seq: org.seq, active, notBefore });
      for (const socket of org.sockets) pump(org, socket);
    },
    remove(org: Org) {
      door.change(org, null, false);
      orgs.splice(orgs.indexOf(org), 1);
      for (const socket of org.sockets) socket.close(4004, 'the org is gone');
    },
    stop: () => server.stop(),
    url: '',
  };
  const named = (name: string | null) => orgs.find(({ id, slug }) => id === name || slug === name);

  function refusal({ headers, url }: PlainRequest) {
    const { searchParams, pathname } = new URL(url, 'http://door');
    const error = (status: number, detail: string) => ({ status, json: { error: 'refused', detail } });
    if (headers['authorization'] !== `Bearer ${TOKEN}`) return error(401, 'the host token is required');
    if (!/^\/sessions\/v1\/stream$/.test(pathname)) return error(404, 'Endpoint not found');
    const org = named(searchParams.get('org'));
    if (!org) return error(404, 'Org not found');
    const after = Number(searchParams.get('after') ?? org.seq);
    if (after > org.seq) return error(400, `after: at most ${org.seq} was expected`);
    if (headers['upgrade'] && door.refuseWith) return error(door.refuseWith, 'refused');
    return undefined;
  }

  /** What each connection has been sent, and what of it is acknowledged. */
  const sent = new WeakMap<ServerSocket, { seq: number; open: number[]; isWaiting: boolean }>();

  function pump(org: Org, socket: ServerSocket) {
    const progress = sent.get(socket)!;
    if (progress.isWaiting) return;
    const due = [...org.states].filter(([, { seq }]) => seq > progress.seq).sort(([, a], [, b]) => a.seq - b.seq);
    for (const [user, { seq, active, notBefore }] of due.slice(0, Math.min(PORTION, WINDOW - progress.open.length))) {
      socket.send({ type: 'state', seq, user: user === '' ? null : user, active, notBefore });
      progress.open.push(seq);
      progress.seq = seq;
    }
    progress.isWaiting = progress.open.length === WINDOW;
    const isAll = [...org.states.values()].every(({ seq }) => seq <= progress.seq);
    if (isAll) progress.seq = org.seq;
    socket.send({ type: 'synced', seq: progress.seq });
    if (!isAll) pump(org, socket);
  }

  const server = await startWebSocketServer({
    onRequest: (request) =>
      refusal(request) ??
      (request.headers['upgrade']
        ? undefined
        : { status: 426, json: { error: 'upgrade_required', detail: 'no upgrade' } }),
    onSocket(socket, { url }) {
      const { searchParams } = new URL(url, 'http://door');
      const org = named(searchParams.get('org'))!;
      const after = searchParams.has('after') ? Number(searchParams.get('after')) : undefined;
      door.sockets.push(socket);
      if (door.script) return door.script(socket, { id: org.id, after });
      const progress = { seq: after ?? org.seq, open: [] as number[], isWaiting: false };
      sent.set(socket, progress);
      org.sockets.add(socket);
      socket.onEnd = () => org.sockets.delete(socket);
      socket.onText = (text) => {
        if (text === 'ping') return socket.send('pong');
        const { type, seq } = JSON.parse(text);
        if (type !== 'ack' || !Number.isInteger(seq)) return socket.close(1008);
        progress.open = progress.open.filter((open) => open > seq);
        if (!progress.isWaiting || progress.open.length > WINDOW / 2) return;
        progress.isWaiting = false;
        pump(org, socket);
      };
      socket.send({ type: 'hello', v: 1, org: org.id, seq: org.seq });
      pump(org, socket);
    },
  });
  door.url = server.url;
  return door;
}
