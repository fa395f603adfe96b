'use strict';
// Runs one function: settings, load, listen, say so. The contract is docs/runtime-contract.md.

const { Settings } = require('./settings.cjs');
const { Failure, fail, report, watchParent } = require('./process.cjs');
const log = require('./log.cjs');
const { Door } = require('./door.cjs');

async function main() {
  const settings = Settings.read(process.env);
  watchParent(settings.parentFd);
  log.start(settings);
  process.env.NODE_ENV ??= 'production'; // Express shows stacks to callers without it
  process.chdir(settings.folder);

  const door = new Door(settings);
  door.watchSignals();
  const { find } = require('./entry.cjs');
  const entry = find(settings.folder, settings.entry);
  if (entry.command) return require('./command.cjs').run(entry.command, settings);

  door.watchListening((address) => report(settings.readyFd, { listening: address }));
  const { load } = require('./load.cjs');
  const server = await load(entry, settings, door);
  if (server) door.listen(server);
  else door.expectProgram(entry.file, (address) => report(settings.readyFd, { probe: address }));
}

main().catch((error) => fail(error instanceof Failure ? error : new Failure('LoadFailed', error.message, error)));
