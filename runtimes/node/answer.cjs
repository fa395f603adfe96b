'use strict';
// Answers: what a handler returned becomes a response, and what it threw becomes a 500 that says nothing of it.

const { Readable } = require('node:stream');
const { pipeline } = require('node:stream');

/** Ends the response of a request whose code failed: 500 problem+json (RFC 9457), or a broken connection once it had begun. */
function broken(request) {
  const res = request?.res;
  if (!res || res.writableEnded) return;
  if (res.headersSent) res.destroy();
  else problem(res, 500, 'Internal Server Error', 'The function failed; its log has the reason.', request.id);
}

/** Sends a problem document. */
function problem(res, status, title, detail, requestId) {
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  const body = Buffer.from(JSON.stringify({ type: 'about:blank', title, status, detail, requestId }));
  res.writeHead(status, title, { 'content-type': 'application/problem+json', 'content-length': body.length });
  res.end(body);
}

/** Sends what a handler returned, as the contract's table says. Gives a promise when it streams. */
function send(res, value) {
  if (value !== null && typeof value === 'object' && typeof value.statusCode === 'number') return sendParts(res, value);
  res.statusCode = value === undefined ? 204 : 200;
  return sendBody(res, value);
}

function sendParts(res, { statusCode, headers, cookies, body, isBase64Encoded }) {
  res.statusCode = statusCode;
  for (const [name, field] of Object.entries(headers ?? {})) res.setHeader(name, typeof field === 'number' ? String(field) : field);
  if (cookies) res.setHeader('set-cookie', cookies);
  return sendBody(res, isBase64Encoded ? Buffer.from(body, 'base64') : body);
}

function sendBody(res, body) {
  if (body === undefined) return void res.end();
  if (typeof body === 'string') return whole(res, 'text/plain; charset=utf-8', Buffer.from(body));
  if (body instanceof Uint8Array) return whole(res, 'application/octet-stream', body);
  if (body !== null && typeof body === 'object' && (typeof body.pipe === 'function' || body[Symbol.asyncIterator])) {
    return stream(res, body);
  }
  return whole(res, 'application/json', Buffer.from(JSON.stringify(body)));
}

function whole(res, type, bytes) {
  if (!res.hasHeader('content-type')) res.setHeader('content-type', type);
  if (res.statusCode !== 204 && res.statusCode !== 304) res.setHeader('content-length', bytes.length);
  res.end(bytes);
}

function stream(res, body) {
  if (!res.hasHeader('content-type')) res.setHeader('content-type', 'application/octet-stream');
  const source = typeof body.pipe === 'function' ? body : Readable.from(body, { objectMode: true });
  return new Promise((resolve, reject) => {
    pipeline(source, res, (error) => (error && !isGone(error) ? reject(error) : resolve()));
  });
}

/** The caller went away while we wrote to it: no fault of the function's. */
function isGone(error) {
  return error.code === 'ERR_STREAM_PREMATURE_CLOSE' || error.code === 'EPIPE' || error.code === 'ECONNRESET';
}

module.exports = { broken, problem, send };
