// Before a release serves. On a new host it lays the first flows down; elsewhere it saves the flows that are there, and
// refuses a release that lacks a type of node which they use: Node-RED would start without those nodes, and stop the flows.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const [data, backups] = process.argv.slice(2);
const release = path.dirname(__dirname);
const flowFile = path.join(data, 'flows.json');

// What Node-RED knows without a node of that name.
const BUILT_IN = ['tab', 'group', 'subflow', 'unknown'];

function scripts(directory) {
  return fs
    .readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith('.js') && !name.includes('node_modules'))
    .map((name) => path.join(directory, name));
}

// The files in which a package says that its nodes are: its core ones lie together.
function nodeFiles() {
  const modules = path.join(release, 'node_modules');
  const packages = fs.readdirSync(modules).flatMap((name) =>
    name.startsWith('@') ? fs.readdirSync(path.join(modules, name)).map((inner) => path.join(name, inner)) : [name],
  );
  const declared = packages.flatMap((name) => {
    const at = path.join(modules, name, 'package.json');
    const nodes = fs.existsSync(at) && JSON.parse(fs.readFileSync(at, 'utf8'))['node-red']?.nodes;
    return Object.values(nodes || {}).map((file) => path.join(modules, name, file));
  });
  return declared.concat(scripts(path.join(modules, '@node-red/nodes/core')));
}

function knownTypes() {
  const known = new Set(BUILT_IN);
  for (const file of nodeFiles()) {
    for (const [, type] of fs.readFileSync(file, 'utf8').matchAll(/registerType\(\s*['"`]([^'"`]+)['"`]/g)) {
      known.add(type);
    }
  }
  return known;
}

function begin() {
  const partial = `${flowFile}.partial`;
  fs.copyFileSync(path.join(release, 'flows.json'), partial);
  fs.renameSync(partial, flowFile);
  console.log(`${flowFile}: the first flows`);
}

function check() {
  const known = knownTypes();
  const used = new Set(JSON.parse(fs.readFileSync(flowFile, 'utf8')).map((node) => node.type));
  const missing = [...used].filter((type) => !known.has(type) && !type.startsWith('subflow:'));
  if (missing.length > 0) {
    console.error(`this release has no node of the type ${missing.join(', ')}, which the flows use`);
    process.exit(1);
  }
  console.log(`the flows use ${used.size} types of nodes, and this release has each of them`);
}

if (fs.existsSync(flowFile)) {
  check();
  execFileSync(path.join(__dirname, 'backup.sh'), [data, backups], { stdio: 'inherit' });
} else {
  begin();
}
