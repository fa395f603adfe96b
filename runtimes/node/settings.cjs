'use strict';
// Reads the variables of the contract from the environment, and refuses those that make no sense.

const { Failure } = require('./process.cjs');

const DEFAULT_BODY_LIMIT = 64 * 1024 * 1024; // bytes

class Settings {
  /** @param {Record<string, string | undefined>} env */
  static read(env) {
    const settings = new Settings();
    settings.folder = process.cwd();
    settings.readyFd = number(env, 'CLOUDBASE_READY_FD', -1, 0, 1 << 20);
    Failure.readyFd = settings.readyFd; // from here on, a failure can be reported
    settings.parentFd = number(env, 'CLOUDBASE_PARENT_FD', -1, 0, 1 << 20);
    settings.port = number(env, 'PORT', 8080, 0, 65535);
    settings.host = env.HOST || undefined;
    settings.socket = env.CLOUDBASE_SOCKET || '';
    settings.name = env.CLOUDBASE_FUNCTION || 'function';
    settings.revision = env.CLOUDBASE_REVISION || '';
    settings.entry = env.CLOUDBASE_ENTRY || '';
    settings.timeout = number(env, 'CLOUDBASE_TIMEOUT', 60, 0, 1e9); // seconds
    settings.grace = number(env, 'CLOUDBASE_GRACE', 30, 0, 1e6); // seconds
    settings.bodyLimit = number(env, 'CLOUDBASE_BODY_LIMIT', DEFAULT_BODY_LIMIT, 0, Number.MAX_SAFE_INTEGER); // bytes
    settings.json = choice(env, 'CLOUDBASE_LOG_FORMAT', ['text', 'json']) === 'json';
    return Object.freeze(settings);
  }
}

function number(env, name, fallback, least, most) {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (value >= least && value <= most) return value;
  throw new Failure('BadSetting', `${name} must be a number from ${Math.max(least, 0)} to ${most}, was ${JSON.stringify(text)}`);
}

function choice(env, name, values) {
  const text = env[name] || values[0];
  if (values.includes(text)) return text;
  throw new Failure('BadSetting', `${name} must be one of ${values.join(', ')}, was ${JSON.stringify(text)}`);
}

module.exports = { Settings };
