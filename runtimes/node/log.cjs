'use strict';
// Log lines that know their request: one JSON object a line when asked for, else the text as it was written.

const { AsyncLocalStorage } = require('node:async_hooks');

const LEVELS = { debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error', trace: 'debug' };

const requests = new AsyncLocalStorage(); // of {id, res?}
let settings = { json: false, name: 'function' };

/** Takes console over when lines are to be JSON. */
function start(chosen) {
  settings = chosen;
  if (!settings.json) return;
  const { format } = require('node:util');
  for (const [method, level] of Object.entries(LEVELS)) {
    const stream = level === 'warn' || level === 'error' ? 'stderr' : 'stdout';
    console[method] = (...args) => {
      const text = format(...args);
      process[stream].write(`${isJsonObject(text) ? text : line(level, text)}\n`);
    };
  }
}

/** Logs what the function threw, with its stack. */
function thrown(what, error, id = requests.getStore()?.id) {
  const { inspect } = require('node:util');
  const text = `${what}: ${error instanceof Error ? inspect(error) : `threw ${inspect(error)}`}`;
  if (settings.json) process.stderr.write(`${line('error', text, id)}\n`);
  else process.stderr.write(`${id ? `[${id}] ` : ''}${text}\n`);
}

/** Logs one sentence of the runtime's own. */
function say(level, text) {
  process.stderr.write(settings.json ? `${line(level, text)}\n` : `cloudbase: ${text}\n`);
}

function line(level, message, id = requests.getStore()?.id) {
  return JSON.stringify({ time: new Date().toISOString(), level, message, requestId: id, function: settings.name });
}

function isJsonObject(text) {
  if (!text.startsWith('{') || text.includes('\n')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

module.exports = { requests, say, start, thrown };
