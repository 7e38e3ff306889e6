// Writes the client that others may use, to be read, and its types: `node client.mjs [folder]`.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'

import { build } from 'vite'

const here = fileURLToPath(new URL('.', import.meta.url))
const target = process.argv[2] ?? `${here}../dist`
const entry = `${here}src/client/index.ts`
const HEAD = '// A client of PxBox: one module without dependencies, for browsers and for Node 22 or later.\n'

await build({
  configFile: false,
  logLevel: 'error',
  build: { outDir: target, emptyOutDir: false, target: 'es2022', minify: false, lib: { entry, formats: ['es'], fileName: () => 'client.js' } },
})
const script = `${target}/client.js`
writeFileSync(script, HEAD + readFileSync(script, 'utf8').replace(/^\/\/#(end)?region.*\n/gm, ''))

// The parts, from those that need no other to the one that needs all.
const PARTS = ['types', 'problem', 'http', 'live', 'upload', 'index']
const folder = mkdtempSync(`${tmpdir()}/pxbox-client-`)
try {
  const tsc = `${here}node_modules/typescript/bin/tsc`
  execFileSync(process.execPath, [tsc, '--declaration', '--emitDeclarationOnly', '--noEmit', 'false', '--rootDir', `${here}src`, '--outDir', folder, '-p', here])
  const parts = PARTS.map((part) => readFileSync(`${folder}/client/${part}.d.ts`, 'utf8'))
  const joined = parts.join('\n')
    .replace(/^import [^;]*;\n/gm, '')
    .replace(/^export (\*|(type )?\{[^}]*\})( from [^;]*)?;\n/gm, '')
    .replace(/^\/\/ Written by.*\n/gm, '')
    // It is what `upload` is made of, and no part of what is offered.
    .replace(/\/\*\*(?:(?!\*\/)[\s\S])*\*\/\nexport declare function putFile.*\n/, '')
    .replaceAll('declare const', 'export declare const').replaceAll('export export', 'export')
  writeFileSync(`${target}/client.d.ts`, `${HEAD}${joined}\nexport type Answer = Response;\n`)
} finally {
  rmSync(folder, { recursive: true })
}
