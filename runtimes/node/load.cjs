'use strict';
// Loads the function's file and tells from what it exports how it wants to be served.

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { Failure } = require('./process.cjs');
const { serve } = require('./forms.cjs');

const SPECIFIER = /Cannot find (?:module|package) '([^']+)'/;

/** Gives the server to listen with, or undefined when the file is a program that listens by itself. */
async function load(entry, settings, door) {
  let exported = await evaluate(entry);
  let server = door.claimed ? undefined : serve(exported, entry.name, settings, door);
  if (!server && !door.claimed && !entry.asMain && isGuarded(entry)) {
    delete require.cache[entry.file];
    exported = await evaluate({ ...entry, asMain: true });
    server = door.claimed ? undefined : serve(exported, entry.name, settings, door);
  }
  if (!server && entry.name) throw new Failure('NoHandler', `${path.relative(settings.folder, entry.file)} exports no function ${entry.name}`);
  return server;
}

async function evaluate({ file, esm, asMain }) {
  process.argv[1] = file;
  try {
    if (esm) return await import(pathToFileURL(file).href);
    if (asMain) return Module._load(file, null, true);
    return require(file);
  } catch (error) {
    if (error?.code === 'ERR_REQUIRE_ESM') return import(pathToFileURL(file).href);
    throw explain(error, file);
  }
}

/** A file that starts its server only when it is the main program. */
function isGuarded({ file, esm }) {
  return !esm && fs.readFileSync(file, 'utf8').includes('require.main');
}

function explain(error, file) {
  const short = path.basename(file);
  if (error instanceof SyntaxError) return new Failure('SyntaxError', `${place(error, short)}: ${error.message}${hint(error)}`, error);
  if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
    const name = SPECIFIER.exec(error.message)?.[1] ?? error.message;
    const what = /^[./]/.test(name) ? `the file ${name}, which is not there` : `the package ${name}, which is not installed: add it to package.json's dependencies`;
    return new Failure('MissingDependency', `${short} needs ${what}`, error);
  }
  return new Failure('LoadFailed', `${short} threw while it was loaded: ${error?.message ?? error}`, error);
}

/** "file:line" from the head of a syntax error's stack, which names the place in CommonJS. */
function place(error, short) {
  const found = /^(?:file:\/\/)?(.+):(\d+)\n/.exec(error.stack ?? '');
  return found ? `${path.basename(found[1])}:${found[2]}` : short;
}

function hint(error) {
  return /import statement outside a module|Unexpected token 'export'/.test(error.message)
    ? ' (an ES module ends in .mjs, or has "type": "module" in package.json)'
    : '';
}

module.exports = { load };
