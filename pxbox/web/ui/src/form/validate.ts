/** Checks an answer without generating code, so that the strict content security policy holds. */

import { Validator, type OutputUnit } from '@cfworker/json-schema'

import { t, type Text } from '../lib/texts'

export interface Fault {
  path: string[]
  keyword: string
  message: string
}

type Schema = any

// They only say that something below them is wrong.
const OUTER = new Set([
  'properties', 'items', 'prefixItems', 'allOf', '$ref', '$dynamicRef', 'if', 'then', 'else', 'dependentSchemas',
  'patternProperties', 'contains',
])
const compiled = new WeakMap<object, Map<object, Validator>>()

function validator(schema: Schema, root: Schema): Validator {
  const of = compiled.get(schema) ?? new Map<object, Validator>()
  compiled.set(schema, of)
  let found = of.get(root)
  if (!found) {
    // A part of a schema goes on referring to the definitions of the whole.
    const whole = schema === root ? schema : { $defs: root.$defs, definitions: root.definitions, ...schema }
    found = new Validator(JSON.parse(JSON.stringify(whole)), draft(root), false)
    of.set(root, found)
  }
  return found
}

function draft(root: Schema): '7' | '2019-09' | '2020-12' {
  const said = String(root.$schema ?? '')
  if (said.includes('draft-07')) return '7'
  return said.includes('2019-09') ? '2019-09' : '2020-12'
}

export function fits(schema: Schema, data: unknown, root: Schema): boolean {
  if (typeof schema !== 'object' || schema === null) return schema !== false
  if (data === undefined) return false
  return validator(schema, root).validate(data).valid
}

/** All that is wrong with `data`, one fault a place and keyword; empty where nothing is. */
export function faults(schema: Schema, data: unknown): Fault[] {
  const { valid, errors } = validator(schema, schema).validate(data === undefined ? null : data)
  if (valid) return []
  const inner = chosenBranches(errors).filter((one) => !OUTER.has(one.keyword))
  const told = inner.filter((one) => !isUnion(one) || !inner.some((other) => other !== one && below(other, one)))
  const seen = new Set<string>()
  return told.map(faultOf).filter((fault) => {
    const key = fault.path.join('\u0000')
    return !seen.has(key) && seen.add(key)
  })
}

function isUnion(unit: OutputUnit): boolean {
  return unit.keyword === 'oneOf' || unit.keyword === 'anyOf'
}

function below(unit: OutputUnit, union: OutputUnit): boolean {
  return unit.keywordLocation.startsWith(`${union.keywordLocation}/`)
    && unit.instanceLocation.startsWith(union.instanceLocation)
}

/** Leaves, of the faults of a union, those of the branch that the person is in. */
function chosenBranches(errors: OutputUnit[]): OutputUnit[] {
  let left = errors
  for (const union of errors.filter(isUnion)) {
    const branches = new Map<string, OutputUnit[]>()
    for (const one of left.filter((each) => below(each, union))) {
      const branch = one.keywordLocation.slice(union.keywordLocation.length + 1).split('/')[0]!
      branches.set(branch, [...(branches.get(branch) ?? []), one])
    }
    const apart = (of: OutputUnit[]): number =>
      of.reduce((sum, one) => sum + (['const', 'enum', 'type'].includes(one.keyword) ? 100 : 1), 0)
    const best = [...branches.values()].sort((a, b) => apart(a) - apart(b))[0]
    left = left.filter((one) => !below(one, union) || best?.includes(one))
  }
  return left
}

function segments(pointer: string): string[] {
  return pointer.replace(/^#?\/?/, '').split('/').filter((part) => part !== '')
    .map((part) => decodeURIComponent(part).replace(/~1/g, '/').replace(/~0/g, '~'))
}

function faultOf(unit: OutputUnit): Fault {
  const path = segments(unit.instanceLocation)
  const quoted = /"((?:[^"\\]|\\.)*)"/.exec(unit.error)?.[1]
  if ((unit.keyword === 'required' || unit.keyword.startsWith('dependent')) && quoted !== undefined) {
    const missing = unit.keyword === 'required' ? quoted : /"([^"]*)"\.?$/.exec(unit.error)?.[1] ?? quoted
    return { path: [...path, missing], keyword: 'required', message: t('bad.required') }
  }
  return { path, keyword: unit.keyword, message: messageOf(unit.keyword, unit.error) }
}

/** What to tell a person about a fault; `said` is what the checker says. */
export function messageOf(keyword: string, said: string): string {
  if (['enum', 'const', 'oneOf', 'anyOf'].includes(keyword)) return t('bad.choose')
  const n = /(-?\d+(?:\.\d+)?)\D*$/.exec(said)?.[1]
  const limits = ['minLength', 'maxLength', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum',
    'multipleOf', 'minItems', 'maxItems']
  if (limits.includes(keyword) && n) return t(`bad.${keyword}` as Text, { n: limit(keyword, said) ?? n })
  if (keyword === 'pxbox-file') return t('bad.file')
  if (keyword === 'format') return t('bad.format', { format: /"([^"]+)"\.?$/.exec(said)?.[1] ?? 'value' })
  if (['type', 'pattern', 'uniqueItems', 'additionalProperties', 'required'].includes(keyword)) {
    return t(`bad.${keyword}` as Text)
  }
  return said
}

function limit(keyword: string, said: string): string | undefined {
  const numbers = said.match(/-?\d+(?:\.\d+)?/g)
  if (!numbers) return undefined
  return keyword === 'multipleOf' || numbers.length === 1 ? numbers[numbers.length - 1] : numbers[1]
}

/** The answer that a half-filled form stands for: what the person left out is left out. */
export function settle(schema: Schema, data: unknown): unknown {
  const pruned = begun(schema, data)
  return faults(schema, pruned).length > 0 && faults(schema, data).length === 0 ? data : pruned
}

/** Whether two states of a form stand for the same answer. */
export function same(schema: Schema, one: unknown, other: unknown): boolean {
  return JSON.stringify(begun(schema, one)) === JSON.stringify(begun(schema, other))
}

/** An untouched form of a group is the empty group. */
function begun(schema: Schema, data: unknown): unknown {
  return prune(data ?? (resolved(schema, schema)?.properties && {}), schema, schema)
}

function prune(value: unknown, schema: Schema, root: Schema): unknown {
  const at = resolved(schema, root)
  if (Array.isArray(value)) return value.map((one) => (one === undefined ? null : prune(one, at?.items, root)))
  if (value === null || typeof value !== 'object') return value
  const wanted = new Set<string>([at, ...(at?.oneOf ?? []), ...(at?.anyOf ?? [])].flatMap((one) => one?.required ?? []))
  const kept = Object.entries({ ...missingGroups(at, value, root), ...value })
    .map(([name, of]) => [name, prune(of, at?.properties?.[name], root)] as const)
    // An empty group that is required stays: what it lacks is then told, not that it is missing.
    .filter(([name, of]) => of !== undefined && (wanted.has(name) || !isEmptyObject(of)))
  return Object.fromEntries(kept)
}

/** Groups that are required and not begun, so that what they lack can be told. */
function missingGroups(schema: Schema, value: object, root: Schema): object {
  const names: string[] = (schema?.required ?? []).filter((name: string) => !(name in value))
  const groups = names.filter((name) => {
    const part = resolved(schema.properties?.[name], root)
    return part?.properties && !part.oneOf && !part.anyOf
  })
  return Object.fromEntries(groups.map((name) => [name, {}]))
}

export function resolved(schema: Schema, root: Schema): Schema {
  if (typeof schema?.$ref !== 'string' || !schema.$ref.startsWith('#')) return schema
  const names = schema.$ref.slice(1).split('/').filter(Boolean)
  return names.reduce((of: Schema, name: string) => of?.[name], root)
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
}
