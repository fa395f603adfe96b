'use strict';
// Runs a function that is a shell command: as it is, with signals passed on, and ended when we are.

const { spawn } = require('node:child_process');
const path = require('node:path');
const { Failure, fail, report } = require('./process.cjs');

/** Starts the command and becomes its shadow: its signals, its exit code. */
function run(command, settings) {
  const bin = path.join(settings.folder, 'node_modules', '.bin');
  const env = { ...process.env, PORT: String(settings.port), PATH: `${bin}${path.delimiter}${process.env.PATH}` };
  // Detached: a group of its own, so that whatever the shell started can be ended together.
  const child = spawn('/bin/sh', ['-c', command], { stdio: 'inherit', env, detached: true });
  child.on('error', (error) => fail(new Failure('LoadFailed', `cannot start ${JSON.stringify(command)}: ${error.message}`)));
  process.removeAllListeners('SIGTERM');
  process.on('SIGTERM', () => signal(child, 'SIGTERM'));
  process.on('exit', () => signal(child, 'SIGKILL'));
  child.on('exit', (code, name) => process.exit(code ?? (name === 'SIGTERM' ? 0 : 1)));
  report(settings.readyFd, { probe: `${settings.host ?? '127.0.0.1'}:${settings.port}` });
}

function signal(child, name) {
  try {
    process.kill(-child.pid, name);
  } catch {
    // It has ended already.
  }
}

module.exports = { run };
