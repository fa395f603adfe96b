// A WebSocket that echoes: `upgrade` beside the request listener gets every request that asks for another protocol.
// (With the package `ws`: new WebSocketServer({ noServer: true }) and handleUpgrade(); here its few lines are written out.)
const { createHash } = require('node:crypto');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

module.exports = (req, res) => res.end('a WebSocket, please\n');

module.exports.upgrade = (req, socket, head) => {
  const accept = createHash('sha1').update(req.headers['sec-websocket-key'] + GUID).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let pending = head;
  socket.on('data', (data) => {
    pending = echo(socket, Buffer.concat([pending, data]));
  });
};

/** Answers every whole frame and gives back the bytes of the one that is not. */
function echo(socket, bytes) {
  for (;;) {
    if (bytes.length < 2) return bytes;
    let size = bytes[1] & 0x7f;
    let start = 2;
    if (size === 126) start = 4;
    if (size === 127) start = 10;
    if (bytes.length < start + 4) return bytes;
    if (start === 4) size = bytes.readUInt16BE(2);
    if (start === 10) size = Number(bytes.readBigUInt64BE(2));
    if (bytes.length < start + 4 + size) return bytes;
    const mask = bytes.subarray(start, start + 4);
    const payload = Buffer.from(bytes.subarray(start + 4, start + 4 + size)).map((byte, i) => byte ^ mask[i & 3]);
    answer(socket, bytes[0] & 0x0f, payload);
    bytes = bytes.subarray(start + 4 + size);
  }
}

function answer(socket, opcode, payload) {
  const kind = opcode === 9 ? 10 : opcode; // a ping is answered by a pong, text by text, a close by a close
  let head = Buffer.from([0x80 | kind, payload.length]);
  if (payload.length > 65535) {
    head = Buffer.from([0x80 | kind, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  } else if (payload.length > 125) {
    head = Buffer.from([0x80 | kind, 126, payload.length >> 8, payload.length & 0xff]);
  }
  socket.write(Buffer.concat([head, payload]));
  if (opcode === 8) socket.end();
}
