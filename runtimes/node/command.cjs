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
  let deadline = 0; // ms, once SIGTERM came
  process.on('SIGTERM', () => {
    deadline ||= Date.now() + Math.max(settings.grace - 1, 0) * 1000;
    signal(child, 'SIGTERM');
  });
  process.on('exit', () => signal(child, 'SIGKILL')); // what it left behind
  child.on('exit', (code, name) => endWithGroup(child, () => deadline, code ?? (name === 'SIGTERM' ? 0 : 1)));
  report(settings.readyFd, { probe: `${settings.host ?? '127.0.0.1'}:${settings.port}` });
}

/** The shell dies of SIGTERM at once; what it had started may take its time. */
function endWithGroup(child, deadline, code) {
  if (Date.now() > deadline() || !signal(child, 0)) process.exit(code);
  setTimeout(endWithGroup, 20, child, deadline, code);
}

/** Sends a signal to all of the command's group; says whether there was anyone to get it. */
function signal(child, name) {
  try {
    return process.kill(-child.pid, name);
  } catch {
    return false;
  }
}

module.exports = { run };
