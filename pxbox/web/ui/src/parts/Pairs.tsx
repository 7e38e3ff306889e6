/** A JSON value as people read it: by the titles of its schema. */

import type { VNode } from 'preact'

import { t } from '../lib/texts'

export function Pairs({ value, schema }: { value: unknown; schema?: unknown }): VNode {
  if (Array.isArray(value)) {
    const items = (schema as { items?: unknown } | undefined)?.items
    return <ol class="pairs">{value.map((one) => <li><Pairs value={one} schema={items} /></li>)}</ol>
  }
  if (value !== null && typeof value === 'object') {
    return (
      <dl class="pairs">
        {Object.entries(value).map(([name, of]) => {
          const part = (schema as { properties?: Record<string, { title?: string }> } | undefined)?.properties?.[name]
          return <div><dt>{part?.title ?? name}</dt><dd><Pairs value={of} schema={part} /></dd></div>
        })}
      </dl>
    )
  }
  if (typeof value === 'boolean') return <span>{t(value ? 'form.yes' : 'form.no')}</span>
  return <span>{titled(value, schema) ?? (value === null ? '–' : String(value))}</span>
}

function titled(value: unknown, schema: unknown): string | undefined {
  const options = (schema as { oneOf?: { const?: unknown; title?: string }[] } | undefined)?.oneOf
  return options?.find((one) => one.const === value)?.title
}
