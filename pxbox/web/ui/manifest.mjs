// Writes built.json after a build: which sources it came of, and what it made.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const LEFT_OUT = new Set(['node_modules', 'built.json'])

function* files(folder, below = '') {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = below + entry.name
    if (LEFT_OUT.has(path)) continue
    if (entry.isDirectory()) yield* files(`${folder}/${entry.name}`, `${path}/`)
    else yield path
  }
}

function digests(folder) {
  const names = [...files(folder)].sort()
  const digest = (name) => createHash('sha256').update(readFileSync(`${folder}/${name}`)).digest('hex')
  return Object.fromEntries(names.map((name) => [name, digest(name)]))
}

const built = { sources: digests(here.slice(0, -1)), page: digests(`${here}../dist`) }
writeFileSync(`${here}built.json`, `${JSON.stringify(built, null, 1)}\n`)
