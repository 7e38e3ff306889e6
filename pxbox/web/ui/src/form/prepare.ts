/** The schema as the form shows it: it never answers for the person. */

import { resolved } from './validate'

type Schema = any

/** What a string says of itself that is the id of a file. */
export const FILE = 'pxbox-file'

/**
 * Takes out what would fill a field without the person: defaults become suggestions, a constant
 * that is a consent becomes a choice. The answer is checked against the schema as it was given.
 */
export function prepare(schema: Schema, root: Schema = schema): Schema {
  if (Array.isArray(schema)) return schema.map((one) => prepare(one, root))
  if (schema === null || typeof schema !== 'object') return schema
  const { default: suggested, ...rest } = schema
  const shown: Schema = {}
  for (const [keyword, of] of Object.entries(rest)) shown[keyword] = inside(keyword, of, root)
  if (suggested !== undefined) shown['x-suggested'] = suggested
  if (typeof shown.const === 'boolean') {
    shown.enum = [shown.const]
    delete shown.const
  }
  if (shown.type === 'array' && resolved(schema.items, root)?.format === FILE) shown['x-files'] = true
  const options: Schema[] | undefined = shown.oneOf ?? shown.anyOf
  // Titled choices without a type have one all the same; without it no field fits them.
  if (!shown.type && options?.every((one) => one?.const !== undefined)) {
    const types = new Set(options.map((one) => typeof one.const))
    const [type] = types
    if (types.size === 1 && (type === 'string' || type === 'number')) shown.type = type
  }
  return shown
}

const BY_NAME = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']
const AS_IS = ['enum', 'const', 'examples', 'required', 'type', 'dependentRequired']

function inside(keyword: string, of: any, root: Schema): any {
  if (AS_IS.includes(keyword)) return of
  if (BY_NAME.includes(keyword) && of && typeof of === 'object') {
    return Object.fromEntries(Object.entries(of).map(([name, each]) => [name, prepare(each, root)]))
  }
  return of !== null && typeof of === 'object' ? prepare(of, root) : of
}
