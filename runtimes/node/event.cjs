'use strict';
// The form `handler(event, context)`: a request becomes an event, what the handler returns becomes the response.

const { problem, send } = require('./answer.cjs');

/** A request listener that calls the handler. */
function listener(handler, settings) {
  return async (req, res) => {
    const bytes = await collect(req, settings.bodyLimit);
    if (bytes === undefined) return tooLarge(req, res, settings);
    if (req.destroyed && !req.complete) return undefined; // the caller went before its body was whole
    let event;
    try {
      event = eventOf(req, bytes);
    } catch (error) {
      return problem(res, 400, 'Bad Request', `The body is not what its Content-Type says: ${error.message}`, idOf(req));
    }
    const value = await handler(event, contextOf(req, res, settings));
    return res.writableEnded ? undefined : send(res, value);
  };
}

/** All bytes of the body, or undefined when there are more than the limit. */
async function collect(req, limit) {
  const chunks = [];
  let size = 0;
  try {
    for await (const chunk of req.iterator({ destroyOnReturn: false })) {
      size += chunk.length;
      if (size > limit) return undefined;
      chunks.push(chunk);
    }
  } catch (error) {
    if (error.code !== 'ECONNRESET') throw error;
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

function tooLarge(req, res, settings) {
  res.shouldKeepAlive = false;
  res.once('finish', () => req.destroy());
  problem(res, 413, 'Content Too Large', `A handler takes bodies up to ${settings.bodyLimit} bytes; stream them with (req, res) => …`, idOf(req));
}

function eventOf(req, bytes) {
  const type = (req.headers['content-type'] ?? '').split(';', 1)[0].trim().toLowerCase();
  if (type === 'application/cloudevents+json') return structured(JSON.parse(bytes));
  if (type === 'application/cloudevents-batch+json') return JSON.parse(bytes).map(structured);
  if (req.headers['ce-specversion'] !== undefined) return binary(req.headers, type, bytes);
  const mark = req.url.indexOf('?');
  return {
    method: req.method,
    path: mark < 0 ? req.url : req.url.slice(0, mark),
    query: mark < 0 ? {} : queryOf(req.url.slice(mark + 1)),
    headers: req.headers,
    body: parse(type, bytes),
    rawBody: bytes,
  };
}

/** CloudEvents HTTP binding 1.0, section 3.1: attributes are `ce-` fields, percent-encoded; the body is the data. */
function binary(headers, type, bytes) {
  const event = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith('ce-')) event[name.slice(3)] = decode(value);
  }
  if (headers['content-type'] !== undefined) event.datacontenttype = headers['content-type'];
  const data = parse(type || 'application/json', bytes);
  if (data !== undefined) event.data = data;
  return event;
}

function structured(event) {
  if (event.data_base64 === undefined) return event;
  const { data_base64: encoded, ...rest } = event;
  return { ...rest, data: Buffer.from(encoded, 'base64') };
}

function decode(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function parse(type, bytes) {
  if (bytes.length === 0) return undefined;
  if (type === 'application/json' || type.endsWith('+json')) return JSON.parse(bytes);
  return type.startsWith('text/') || type === 'application/x-www-form-urlencoded' ? bytes.toString() : bytes;
}

function queryOf(text) {
  const query = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    if (query[name] === undefined) query[name] = value;
    else query[name] = [].concat(query[name], value);
  }
  return { ...query };
}

function contextOf(req, res, settings) {
  const deadline = Date.now() + settings.timeout * 1000;
  const gone = new AbortController();
  res.once('close', () => res.writableFinished || gone.abort());
  return {
    requestId: idOf(req),
    functionName: settings.name,
    revision: settings.revision,
    deadline,
    getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
    signal: gone.signal,
  };
}

function idOf(req) {
  return req.headers['x-request-id'];
}

module.exports = { listener };
