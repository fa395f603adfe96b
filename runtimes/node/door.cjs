'use strict';
// The door of the process: every http.Server in it is tended here, whoever made it. Health, what is in flight, keep-alive, and the end.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const log = require('./log.cjs');
const { Failure, fail } = require('./process.cjs');
const { broken } = require('./answer.cjs');

const HEALTH_PATH = '/_cloudbase/health';
const KEEP_ALIVE = 75_000; // ms; the router lets go of a connection after 60 s
const HEAD_SIZE = 64 * 1024; // bytes; the router has the stricter limit
const READ_SIZE = 64 * 1024; // bytes

class Door {
  constructor(settings) {
    this.settings = settings;
    this.servers = new Set(); // every net.Server that listens
    this.tunnels = new Set(); // sockets that were upgraded
    this.answers = new Set(); // responses that are not finished
    this.tended = new WeakSet();
    this.draining = false;
    this.closed = false; // nothing is accepted any more
    this.exitCode = 0;
    this.claimed = false; // someone asked to listen at our address
  }

  /** Makes the server for a request listener. */
  serverFor(listener, upgrade) {
    const server = http.createServer({ maxHeaderSize: HEAD_SIZE, highWaterMark: READ_SIZE }, listener);
    if (upgrade) server.on('upgrade', upgrade);
    return server;
  }

  /** Listens where the contract says. */
  listen(server) {
    const { socket, port, host } = this.settings;
    server.once('error', (error) => {
      fail(new Failure('ListenFailed', `cannot listen at ${socket || `${host ?? '*'}:${port}`}: ${error.message}`));
    });
    if (socket) {
      fs.rmSync(socket, { force: true }); // left by a process that was killed
      server.listen(socket);
    } else {
      server.listen(port, host);
    }
  }

  /** Notices every server that comes to listen in this process; calls back once with our address. */
  watchListening(ready) {
    const door = this;
    const listen = net.Server.prototype.listen;
    net.Server.prototype.listen = function (...args) {
      if (door.isOurs(args)) door.claimed = true;
      if (this instanceof http.Server) door.tend(this);
      this.prependOnceListener('listening', () => {
        door.servers.add(this);
        const address = door.ourAddress(this.address());
        if (address) ready(address);
      });
      return listen.apply(this, args);
    };
  }

  /** Whether listen() was called with our port or socket. */
  isOurs([first]) {
    const { port, socket } = this.settings;
    const asked = first !== null && typeof first === 'object' ? first.path ?? first.port : first;
    return asked !== undefined && (String(asked) === String(port) || (socket !== '' && asked === socket));
  }

  /** The address as the ready line has it, or '' when it is not where we were told to listen. */
  ourAddress(address) {
    const { port, socket, host } = this.settings;
    if (typeof address === 'string') return address === socket ? `unix:${address}` : '';
    if (port !== 0 && address.port !== port) return '';
    return `${host ?? '127.0.0.1'}:${address.port}`;
  }

  /** A program was loaded that exports nothing to call: it listens now, or will, or it was all a mistake. */
  expectProgram(file, probe) {
    if (!this.claimed) probe(`${this.settings.host ?? '127.0.0.1'}:${this.settings.port}`);
    process.once('beforeExit', () => {
      if (this.servers.size > 0 || this.draining) return;
      fail(new Failure('NoHandler', `${file} exports no function, handler or app, and does not listen on $PORT (${this.settings.port})`));
    });
  }

  /** Sets a server's times and sees each of its requests first. */
  tend(server) {
    if (this.tended.has(server)) return;
    this.tended.add(server);
    server.keepAliveTimeout = KEEP_ALIVE;
    server.headersTimeout = KEEP_ALIVE + 15_000; // more than keepAliveTimeout, or Node < 20 breaks idle connections off
    server.requestTimeout = 0; // the router owns the time budget of a request
    server.timeout = 0;
    const emit = server.emit;
    const door = this;
    server.emit = function (name, first, second, third) {
      if (name === 'request' || name === 'checkContinue') return door.request(first, second, () => emit.call(this, name, first, second));
      if (name === 'upgrade') return door.upgrade(first, second, () => emit.call(this, name, first, second, third));
      return emit.apply(this, arguments);
    };
  }

  request(req, res, next) {
    const id = req.headers['x-request-id'];
    if (req.url === HEALTH_PATH && req.headers['x-forwarded-for'] === undefined) return this.health(res);
    this.answers.add(res);
    if (this.draining) res.shouldKeepAlive = false;
    res.once('close', () => {
      this.answers.delete(res);
      this.endWhenIdle();
    });
    return log.requests.run({ id, res }, next);
  }

  upgrade(req, socket, next) {
    this.tunnels.add(socket);
    socket.once('close', () => {
      this.tunnels.delete(socket);
      this.endWhenIdle();
    });
    socket.on('error', () => socket.destroy()); // an unheard error would end the process
    return log.requests.run({ id: req.headers['x-request-id'] }, next);
  }

  health(res) {
    if (this.draining) res.shouldKeepAlive = false;
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end('{"status":"ok"}');
    return true;
  }

  watchSignals() {
    process.on('SIGTERM', () => {
      // A program with a handler of its own ends as it likes.
      if (process.listenerCount('SIGTERM') === 1) this.drain(0);
    });
    process.on('unhandledRejection', (reason) => {
      if (process.listenerCount('unhandledRejection') > 1) return;
      log.thrown('unhandled rejection', reason);
      broken(log.requests.getStore());
    });
    process.on('uncaughtException', (error) => {
      if (process.listenerCount('uncaughtException') > 1) return;
      log.thrown('uncaught exception', error);
      broken(log.requests.getStore());
      if (this.servers.size === 0) fail(new Failure('LoadFailed', error?.message ?? String(error)));
      this.drain(1); // Node's state is not to be trusted after this; those in flight may still finish
    });
  }

  /** Accepts no more, finishes what is in flight, and exits: at once when idle, in any case before the grace is over. */
  drain(exitCode) {
    this.exitCode ||= exitCode;
    if (this.draining) return;
    this.draining = true;
    for (const res of this.answers) if (!res.headersSent) res.shouldKeepAlive = false;
    // One turn of the loop first: what the kernel has accepted already is read, and gets its answer.
    setImmediate(() => setImmediate(() => this.close()));
    setTimeout(() => this.breakOff(), Math.max(this.settings.grace - 1, 0) * 1000).unref();
  }

  close() {
    this.closed = true;
    for (const server of this.servers) {
      server.close();
      server.closeIdleConnections?.();
    }
    this.endWhenIdle();
  }

  breakOff() {
    log.say('warn', `${this.answers.size + this.tunnels.size} request(s) still in flight at the end of the grace: broken off`);
    process.exit(this.exitCode);
  }

  endWhenIdle() {
    if (!this.closed || this.answers.size > 0 || this.tunnels.size > 0) return;
    // Output to a pipe is asynchronous on some systems: let it out first.
    process.stdout.write('', () => process.stderr.write('', () => process.exit(this.exitCode)));
  }
}

module.exports = { Door, HEALTH_PATH };
