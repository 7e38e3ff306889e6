/** The schema as the form shows it: it never answers for the person. */

type Schema = any

/**
 * Takes out what would fill a field without the person: defaults become suggestions, a constant
 * that is a consent becomes a choice. The answer is checked against the schema as it was given.
 */
export function prepare(schema: Schema): Schema {
  if (Array.isArray(schema)) return schema.map(prepare)
  if (schema === null || typeof schema !== 'object') return schema
  const { default: suggested, ...rest } = schema
  const shown: Schema = {}
  for (const [keyword, of] of Object.entries(rest)) shown[keyword] = inside(keyword, of)
  if (suggested !== undefined) shown['x-suggested'] = suggested
  if (typeof shown.const === 'boolean') {
    shown.enum = [shown.const]
    delete shown.const
  }
  return shown
}

const BY_NAME = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']
const AS_IS = ['enum', 'const', 'examples', 'required', 'type', 'dependentRequired']

function inside(keyword: string, of: any): any {
  if (AS_IS.includes(keyword)) return of
  if (BY_NAME.includes(keyword) && of && typeof of === 'object') {
    return Object.fromEntries(Object.entries(of).map(([name, each]) => [name, prepare(each)]))
  }
  return of !== null && typeof of === 'object' ? prepare(of) : of
}

/** A JSON value filled in beforehand by which the person may recognise that they did not write it. */
export function isPrefilled(prefill: unknown): boolean {
  return prefill !== null && prefill !== undefined && JSON.stringify(prefill) !== '{}'
}
