'use strict';
// The forms a function may have, told apart by the shape of what its file exports. Each becomes an http.Server.

const net = require('node:net');
const log = require('./log.cjs');
const { broken } = require('./answer.cjs');

/** The server for what a file exports, or undefined when there is nothing in it to call. */
function serve(exported, name, settings, door) {
  const unwrapped = unwrap(exported);
  const value = name ? exported?.[name] ?? unwrapped?.[name] : unwrapped;
  if (value instanceof net.Server) return value;
  const listener = listenerOf(value, settings, Boolean(name));
  return listener && door.serverFor(listener, exported.upgrade ?? value.upgrade);
}

/** What an ES module, or one that was compiled to CommonJS, means by its default. */
function unwrap(exported) {
  const isNamespace = exported?.__esModule || exported?.[Symbol.toStringTag] === 'Module';
  return isNamespace && exported.default !== undefined ? exported.default : exported;
}

function listenerOf(value, settings, isNamed) {
  if (typeof value === 'function') return isNamed && !isApp(value) ? eventListener(value, settings) : guarded(value);
  if (value === null || typeof value !== 'object') return undefined;
  if (typeof value.callback === 'function' && typeof value.listen === 'function') return guarded(value.callback());
  if (typeof value.ready === 'function' && typeof value.routing === 'function') return fastify(value);
  return typeof value.handler === 'function' ? eventListener(value.handler, settings) : undefined;
}

/** An Express application: a function that has handle and listen. */
function isApp(value) {
  return typeof value.handle === 'function' && typeof value.listen === 'function';
}

function fastify(app) {
  const ready = app.ready();
  return guarded(async (req, res) => {
    await ready;
    app.routing(req, res);
  });
}

/** Calls a request listener; what it throws, now or later, is logged and answered. */
function guarded(listener) {
  return (req, res) => {
    try {
      const result = listener(req, res);
      if (typeof result?.then === 'function') result.then(undefined, failed);
    } catch (error) {
      failed(error);
    }
    function failed(error) {
      log.thrown('the function failed', error, req.headers['x-request-id']);
      broken({ id: req.headers['x-request-id'], res });
    }
  };
}

function eventListener(handler, settings) {
  return guarded(require('./event.cjs').listener(handler, settings));
}

module.exports = { serve };
