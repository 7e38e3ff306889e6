/** `oneOf` and `anyOf`: the person chooses a branch; until then none is taken. */

import { useState } from 'preact/hooks'
import type { VNode } from 'preact'

import { t } from '../lib/texts'

/** The members that a branch fixes, such as the discriminator. */
function fixed(option: any): Record<string, unknown> {
  const members = Object.entries<any>(option?.properties ?? {})
  return Object.fromEntries(
    members
      .map(([name, of]) => [name, of?.const ?? (of?.enum?.length === 1 && typeof of.enum[0] !== 'boolean' ? of.enum[0] : undefined)])
      .filter(([, value]) => value !== undefined),
  )
}

function branchOf(formData: any, options: any[], fits: (option: any) => boolean): number {
  if (formData === undefined || formData === null && !options.some((one) => one.type === 'null')) return -1
  const marked = options.findIndex((option) => {
    const marks = Object.entries(fixed(option))
    return marks.length > 0 && marks.every(([name, value]) => formData?.[name] === value)
  })
  return marked >= 0 ? marked : options.findIndex(fits)
}

/** Draws the branch without what it fixes: that is the choice itself. */
function drawn(schema: any, option: any): any {
  const { oneOf, anyOf, ...outer } = schema
  const names = new Set([...Object.keys(fixed(option)), ...Object.keys(outer.properties ?? {})])
  const properties = Object.fromEntries(Object.entries(option.properties ?? {}).filter(([name]) => !names.has(name)))
  const { title, description, ...rest } = option
  const type = option.type ?? outer.type
  return { ...rest, ...(type && { type }), ...(option.properties && { properties }), ...(description && { description }) }
}

export function Branches(props: any): VNode {
  const { options, schema, formData, fieldPathId, registry, onChange, disabled, readonly, required, errorSchema, name } = props
  const { schemaUtils, fields: { SchemaField } } = registry
  const found = branchOf(formData, options, (option) => schemaUtils.isValid?.(option, formData)
    ?? registry.schemaUtils.getValidator().isValid(option, formData, registry.rootSchema))
  const [chosen, choose] = useState(found)
  const at = chosen >= 0 ? chosen : found
  const id = `${fieldPathId.$id}__branch`
  const select = (event: any): void => {
    const to = Number(event.currentTarget.value)
    choose(to)
    const option = options[to]
    if (!option) return onChange(undefined, fieldPathId.path)
    const kept = formData && typeof formData === 'object' && !Array.isArray(formData) ? common(formData, option, schema) : {}
    const marks = fixed(option)
    const isObject = option.type === 'object' || option.properties
    if (isObject) onChange({ ...kept, ...marks }, fieldPathId.path)
    else onChange(option.type === 'null' ? null : option.const, fieldPathId.path)
  }
  const missing = at < 0 && (errorSchema?.__errors?.length ?? 0) > 0
  const inner = at >= 0 ? drawn(schema, options[at]) : null
  const hasFields = inner && inner.type !== 'null' && options[at].const === undefined
  const label = schema.title ?? name
  return (
    <div class="branches">
      <label for={id} class={fieldPathId.path.length > 0 ? 'quiet' : ''}>{schema.discriminator?.propertyName ?? (label || t('form.choose'))}{required && <> <span class="must">{t('form.required')}</span></>}</label>
      <select id={id} value={String(at)} onChange={select} disabled={disabled || readonly} aria-required={required}
        aria-invalid={missing} aria-describedby={missing ? `${id}__error` : undefined}>
        <option value="-1">{t('form.choose')}</option>
        {options.map((option: any, n: number) => (
          <option value={String(n)}>{option.title ?? Object.values(fixed(option))[0] ?? t('form.option', { n: n + 1 })}</option>
        ))}
      </select>
      {missing && <p class="error" id={`${id}__error`}>{t('bad.choose')}</p>}
      {hasFields && <SchemaField {...props} schema={inner} uiSchema={{ ...props.uiSchema, 'ui:title': ' ', 'ui:label': false }} />}
    </div>
  )
}

function common(formData: any, option: any, schema: any): any {
  const names = [...Object.keys(option.properties ?? {}), ...Object.keys(schema.properties ?? {})]
  return Object.fromEntries(Object.entries(formData).filter(([name]) => names.includes(name)))
}
