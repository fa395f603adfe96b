'use strict';
// Finds what to run in a function's folder: a file (and the name of its export), or a command.

const fs = require('node:fs');
const path = require('node:path');
const { Failure } = require('./process.cjs');

const NAMES = ['index', 'handler', 'function', 'server', 'app', 'main'];
const ENDINGS = ['.js', '.mjs', '.cjs'];
const NODE_FILE = /^node\s+((?:\.\/)?[\w./-]+)$/;

/** @returns {{file?: string, name?: string, asMain?: boolean, command?: string, esm?: boolean}} */
function find(folder, entry) {
  if (entry.startsWith('$ ')) return { command: entry.slice(2) };
  const manifest = readManifest(folder);
  const found = entry ? named(folder, entry) : guess(folder, manifest);
  if (found.file) found.esm = isModule(found.file, manifest);
  return found;
}

function named(folder, entry) {
  const [file, name] = splitName(entry);
  const whole = resolveFile(path.join(folder, file));
  if (!whole) throw new Failure('EntryMissing', `entry ${JSON.stringify(entry)} names no file in the function's folder`);
  return { file: whole, name };
}

function splitName(entry) {
  const colon = entry.lastIndexOf(':');
  return colon < 0 ? [entry, ''] : [entry.slice(0, colon), entry.slice(colon + 1)];
}

function guess(folder, manifest) {
  const start = manifest.scripts?.start;
  if (start) {
    const file = NODE_FILE.exec(start.trim())?.[1];
    const whole = file && resolveFile(path.join(folder, file));
    return whole ? { file: whole, asMain: true } : { command: start };
  }
  if (manifest.main) {
    const whole = resolveFile(path.join(folder, manifest.main));
    if (whole) return { file: whole }; // `npm init` writes a main that may never come to be
  }
  for (const name of NAMES) {
    const whole = resolveFile(path.join(folder, name));
    if (whole) return { file: whole };
  }
  throw new Failure('EntryMissing', `no ${NAMES.join(', ')} with ${ENDINGS.join(', ')} in the function's folder; name its file in entry`);
}

function resolveFile(file) {
  return [file, ...ENDINGS.map((ending) => file + ending)].find(isFile);
}

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

function readManifest(folder) {
  const file = path.join(folder, 'package.json');
  if (!isFile(file)) return {};
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Failure('SyntaxError', `package.json: ${error.message}`);
  }
}

function isModule(file, manifest) {
  return file.endsWith('.mjs') || (file.endsWith('.js') && manifest.type === 'module');
}

module.exports = { find };
