// Writes src/client/types.ts from the contract: `node types.mjs`.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const WANTED = [
  'Inquiry', 'InquiryPage', 'InquiryState', 'InquiriesUpdated', 'RequestDetail', 'RequestCreated',
  'CreateRequest', 'Response', 'Draft', 'EventPage', 'RequestEvent', 'InboxEvent', 'EntityView', 'AskedPage',
  'FileSigned', 'FileView',
]
const contract = fileURLToPath(new URL('../../../schemas/v1/', import.meta.url))
const known = new Set(readdirSync(contract))
const todo = [...WANTED]
const written = new Map()

function typeOf(schema) {
  if (schema === true || Object.keys(schema).length === 0) return 'unknown'
  if (schema.$ref) return refer(schema.$ref)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ')
  if (schema.allOf?.every((one) => one.$ref || one.properties)) return schema.allOf.map(typeOf).join(' & ')
  const options = schema.anyOf ?? (schema.type ? null : schema.oneOf)
  if (options) return options.map(typeOf).join(' | ')
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type })).join(' | ')
  switch (schema.type) {
    case 'integer':
    case 'number':
      return 'number'
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type
    case 'array':
      return `(${typeOf(schema.items ?? {})})[]`
    case 'object':
      return objectOf(schema)
    default:
      return 'unknown'
  }
}

function refer(ref) {
  const name = ref.replace('.json', '')
  if (!known.has(ref)) throw new Error(`${ref} is not in the contract`)
  if (!written.has(name)) todo.push(name)
  return name
}

function objectOf(schema) {
  const required = new Set(schema.required ?? [])
  const members = Object.entries(schema.properties ?? {})
    .filter(([, of]) => of['x-pxbox-status'] !== 'planned')
    .map(([name, of]) => `${comment(of)}  ${member(name)}${required.has(name) ? '' : '?'}: ${typeOf(of)}\n`)
  if (members.length > 0) return `{\n${members.join('')}}`
  const values = schema.additionalProperties
  return `Record<string, ${values ? typeOf(values) : 'unknown'}>`
}

function member(name) {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
}

function comment(schema) {
  return schema.description ? `  /** ${schema.description} */\n` : ''
}

while (todo.length > 0) {
  const name = todo.shift()
  if (written.has(name)) continue
  written.set(name, '')
  const schema = JSON.parse(readFileSync(`${contract}${name}.json`, 'utf8'))
  written.set(name, `${comment(schema).trimStart()}export type ${name} = ${typeOf(schema)}\n`)
}
const { version } = JSON.parse(readFileSync(new URL('../../../schemas/openapi.json', import.meta.url), 'utf8')).info
written.set('', `/** Of the contract that this was made from. */\nexport const version = '${version}'\n`)
const text = ['// Written by types.mjs from the contract; not by hand.\n', ...[...written.values()]].join('\n')
writeFileSync(process.argv[2] ?? new URL('src/client/types.ts', import.meta.url), text)
