'use strict';
// The process itself: how it ends when it cannot start, how it says that it is ready, and how it notices that its starter is gone.

const fs = require('node:fs');

const EXIT_CODES = {
  EntryMissing: 80,
  SyntaxError: 81,
  MissingDependency: 82,
  LoadFailed: 83,
  NoHandler: 84,
  ListenFailed: 85,
  BadSetting: 86,
};

/** Why a function cannot be run: a reason of the contract, a sentence, and what was thrown, if that helps. */
class Failure extends Error {
  static readyFd = -1;

  constructor(reason, message, cause) {
    super(message);
    this.reason = reason;
    this.cause = cause;
  }
}

/** Says why on stderr (the reason in the last line) and on the ready line, and exits with the reason's code. */
function fail(failure) {
  const stack = failure.cause?.stack ? `${failure.cause.stack}\n` : '';
  const message = failure.message.replaceAll('\n', ' ');
  write(2, `${stack}cloudbase: ${failure.reason}: ${message}\n`);
  report(Failure.readyFd, { failed: failure.reason, message });
  process.exit(EXIT_CODES[failure.reason]);
}

let reported = false;

/** Writes the one ready line, the first time it is called. */
function report(fd, line) {
  if (fd < 0 || reported) return;
  reported = true;
  write(fd, `${JSON.stringify(line)}\n`);
  fs.closeSync(fd);
}

function write(fd, text) {
  try {
    fs.writeSync(fd, text);
  } catch {
    // Nobody reads any more: there is no one left to tell.
  }
}

/** Ends the process when the writing end of the pipe is closed, which the kernel does when the starter dies. */
function watchParent(fd) {
  if (fd < 0) return;
  const { Socket } = require('node:net');
  new Socket({ fd, readable: true, writable: false })
    .on('error', () => process.exit(0))
    .on('close', () => process.exit(0))
    .resume()
    .unref();
}

module.exports = { EXIT_CODES, Failure, fail, report, watchParent };
