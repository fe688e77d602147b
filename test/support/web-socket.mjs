/**
 * RFC 6455, the server's side, as far as a test needs it: by hand, so that a test can also do what no library would
 * (garbage, half a frame, silence). And a wire that can be cut.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { createConnection, createServer as createTcpServer } from 'node:net';

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1;
const CLOSE = 8;

/** Listens on a free port of this machine. `onRequest` answers what is no upgrade, and refuses an upgrade likewise. */
export async function startWebSocketServer({ onRequest, onSocket }) {
  const sockets = new Set();
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { status, headers = {}, json } = onRequest(request, body);
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(json));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket) => {
    const refused = onRequest(request, '');
    if (refused) {
      socket.end(`HTTP/1.1 ${refused.status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const accept = createHash('sha1')
      .update(request.headers['sec-websocket-key'] + GUID)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    onSocket(new ServerSocket(socket), request);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class ServerSocket {
  #socket;
  #rest = Buffer.alloc(0);
  /** What the client has sent, as text. */
  received = [];
  /** The code that the client closed with. */
  closedWith;
  isOver = false;
  onText = () => undefined;
  onEnd = () => undefined;

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (data) => this.#read(data));
    socket.on('close', () => {
      this.isOver = true;
      this.onEnd();
    });
  }

  /** A string as it is, anything else as JSON. */
  send(message) {
    this.raw(frame(TEXT, Buffer.from(typeof message === 'string' ? message : JSON.stringify(message))));
  }

  sendBinary(bytes) {
    this.raw(frame(2, Buffer.from(bytes)));
  }

  raw(bytes) {
    if (!this.isOver) this.#socket.write(bytes);
  }

  close(code, reason = '') {
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    this.raw(frame(CLOSE, payload));
    this.#socket.end();
  }

  destroy() {
    this.#socket.destroy();
  }

  #read(data) {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (;;) {
      const parsed = parse(this.#rest);
      if (!parsed) return;
      this.#rest = this.#rest.subarray(parsed.length);
      if (parsed.opcode === CLOSE) {
        this.closedWith = parsed.payload.length >= 2 ? parsed.payload.readUInt16BE() : undefined;
        this.raw(frame(CLOSE, parsed.payload.subarray(0, 2)));
        this.#socket.end();
      } else if (parsed.opcode === TEXT) {
        const text = parsed.payload.toString();
        this.received.push(text);
        this.onText(text);
      }
    }
  }
}

/** RFC 6455 §5.2: final, not masked. */
function frame(opcode, payload) {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([0x80 | opcode, length]), payload]);
  const header = Buffer.alloc(length < 65_536 ? 4 : 10);
  header[0] = 0x80 | opcode;
  header[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) header.writeUInt16BE(length, 2);
  else header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, payload]);
}

/** A client's frame: masked (§5.3), and short. */
function parse(buffer) {
  if (buffer.length < 2) return undefined;
  let length = buffer[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    at = 4;
  }
  if (buffer.length < at + 4 + length) return undefined;
  const mask = buffer.subarray(at, at + 4);
  const payload = Buffer.from(buffer.subarray(at + 4, at + 4 + length)).map((byte, i) => byte ^ mask[i % 4]);
  return { opcode: buffer[0] & 0x0f, payload, length: at + 4 + length };
}

/** A wire between a client and the service at `url`: it can be cut, now or after so many bytes of the service. */
export async function startWire(url) {
  const { hostname, port } = new URL(url);
  const pairs = new Set();
  const wire = { isDown: false, isSilent: false, killNextAfter: undefined, connections: 0 };
  const server = createTcpServer((client) => {
    client.on('error', () => undefined);
    if (wire.isDown) return client.destroy();
    wire.connections++;
    let left = wire.killNextAfter ?? Number.POSITIVE_INFINITY;
    wire.killNextAfter = undefined;
    const service = createConnection({ host: hostname, port: Number(port) });
    const kill = () => {
      client.destroy();
      service.destroy();
      pairs.delete(kill);
    };
    pairs.add(kill);
    service.on('error', kill);
    client.on('close', kill);
    service.on('close', () => client.end());
    client.on('data', (data) => wire.isSilent || service.write(data));
    service.on('data', (data) => {
      if (wire.isSilent) return;
      const part = data.subarray(0, left);
      left -= part.length;
      // Half a frame goes out before the end: the client has to have it.
      client.write(part, () => left <= 0 && kill());
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(wire, {
    url: `http://127.0.0.1:${server.address().port}`,
    kill() {
      for (const kill of [...pairs]) kill();
    },
    async stop() {
      this.kill();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
