/** The fields themselves. Nothing here has a value before the person gave one. */

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import { t } from '../lib/texts'
import { zone } from '../lib/times'
import { describedBy, helpId } from './templates'

const TYPES: Record<string, string> = {
  email: 'email', uri: 'url', date: 'date', 'date-time': 'datetime-local', time: 'time', password: 'password', color: 'color',
}

function common(props: any): any {
  const { id, disabled, readonly, required, rawErrors } = props
  const bad = Boolean(rawErrors?.length)
  return { id, disabled: disabled || readonly, 'aria-required': required, 'aria-invalid': bad, 'aria-describedby': describedBy(id, bad) }
}

export function Input(props: any): VNode {
  const { schema, value, onChange, options, type, placeholder } = props
  const numeric = schema.type === 'number' || schema.type === 'integer'
  const kind = options.inputType ?? TYPES[schema.format] ?? (type && type !== 'number' ? type : 'text')
  if (kind === 'datetime-local') return <Moment {...props} />
  if (kind === 'text' && !numeric && (schema.maxLength > 120 || options.rows)) return <TextArea {...props} />
  return (
    <input {...common(props)} type={kind} inputMode={numeric ? (schema.type === 'integer' ? 'numeric' : 'decimal') : undefined}
      value={value ?? ''} placeholder={placeholder || undefined} autocomplete="off"
      onInput={(event) => onChange(event.currentTarget.value === '' ? undefined : event.currentTarget.value)} />
  )
}

export function TextArea(props: any): VNode {
  const { value, onChange, options } = props
  return (
    <textarea {...common(props)} rows={options.rows ?? 4} value={value ?? ''}
      onInput={(event) => onChange(event.currentTarget.value === '' ? undefined : event.currentTarget.value)} />
  )
}

/** A moment, read and written in the viewer's zone, sent with its offset. */
export function Moment(props: any): VNode {
  const { value, onChange, id } = props
  const change = (text: string): void => {
    const at = new Date(text)
    onChange(text === '' || Number.isNaN(at.getTime()) ? undefined : at.toISOString())
  }
  return (
    <>
      <input {...common(props)} type="datetime-local" value={local(value)} aria-describedby={`${describedBy(id, Boolean(props.rawErrors?.length))} ${id}__zone`}
        onInput={(event) => change(event.currentTarget.value)} />
      <p class="help" id={`${id}__zone`}>{t('form.zone', { zone })}</p>
    </>
  )
}

function local(value: string | undefined): string {
  const at = value ? new Date(value) : null
  if (!at || Number.isNaN(at.getTime())) return ''
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

interface Choice {
  label: string
  value: unknown
}

function choices(props: any): Choice[] {
  if (props.schema.type === 'boolean' && !props.schema.oneOf) {
    const all = [{ label: t('form.yes'), value: true }, { label: t('form.no'), value: false }]
    return props.schema.enum ? all.filter((one) => props.schema.enum.includes(one.value)) : all
  }
  return props.options.enumOptions ?? []
}

/** One of a few, all in sight; none at first, and none again unless one is required. */
export function Radios(props: any): VNode {
  const { id, value, onChange, disabled, readonly, required } = props
  const { id: _, disabled: off, ...aria } = common(props)
  return (
    <div id={id} role="radiogroup" class="radios" tabIndex={-1} aria-labelledby={`${id}__label`} {...aria}>
      {choices(props).map((one, n) => (
        <label class="choice">
          <input type="radio" name={id} id={`${id}-${n}`} checked={value === one.value} disabled={off}
            onChange={() => onChange(one.value)} />
          <span>{one.label}</span>
        </label>
      ))}
      {!required && value !== undefined && !disabled && !readonly && (
        <button type="button" class="small quiet" onClick={() => onChange(undefined)}>{t('form.clear')}</button>
      )}
    </div>
  )
}

/** A consent: ticked, or not given. */
function Consent(props: any): VNode {
  const { value, onChange, schema } = props
  const given = schema.enum[0]
  return (
    <label class="choice">
      <input type="checkbox" {...common(props)} checked={value === given}
        onChange={(event) => onChange(event.currentTarget.checked ? given : undefined)} />
      <span>{given ? t('form.yes') : t('form.no')}</span>
    </label>
  )
}

export function YesNo(props: any): VNode {
  return props.schema.enum?.length === 1 ? <Consent {...props} /> : <Radios {...props} />
}

export function Select(props: any): VNode {
  const { value, onChange, multiple, options } = props
  if (multiple) return <Checks {...props} />
  const all = choices(props)
  if (all.length <= 4 && options.widget !== 'select') return <Radios {...props} />
  const at = all.findIndex((one) => JSON.stringify(one.value) === JSON.stringify(value))
  return (
    <select {...common(props)} value={String(at)} onChange={(event) => onChange(all[Number(event.currentTarget.value)]?.value)}>
      <option value="-1">{t('form.choose')}</option>
      {all.map((one, n) => <option value={String(n)}>{one.label}</option>)}
    </select>
  )
}

/** Any of several. */
export function Checks(props: any): VNode {
  const { id, value, onChange } = props
  const given: unknown[] = Array.isArray(value) ? value : []
  const { id: _, disabled, 'aria-required': __, 'aria-invalid': ___, ...aria } = common(props)
  const all = choices(props)
  const toggle = (one: Choice, on: boolean): void => {
    const next = all.map((each) => each.value).filter((each) => (each === one.value ? on : given.includes(each)))
    onChange(next.length > 0 ? next : undefined)
  }
  return (
    <div id={id} role="group" class="radios" tabIndex={-1} aria-labelledby={`${id}__label`} {...aria}>
      {all.map((one, n) => (
        <label class="choice">
          <input type="checkbox" id={`${id}-${n}`} checked={given.includes(one.value)} disabled={disabled}
            onChange={(event) => toggle(one, event.currentTarget.checked)} />
          <span>{one.label}</span>
        </label>
      ))}
    </div>
  )
}

/** Where no form fits: the value as JSON. */
export function Raw({ fieldPathId, formData, onChange, name, disabled, readonly }: any): VNode {
  const [text, write] = useState(formData === undefined ? '' : JSON.stringify(formData, null, 2))
  const [bad, complain] = useState(false)
  const id = fieldPathId.$id
  const change = (next: string): void => {
    write(next)
    try {
      onChange(next.trim() === '' ? undefined : JSON.parse(next), fieldPathId.path)
      complain(false)
    } catch {
      complain(true)
    }
  }
  return (
    <div class="field">
      <label for={id}>{name}</label>
      <p class="help" id={helpId(id)}>{bad ? t('form.badJson') : t('form.unsupported')}</p>
      <textarea id={id} class="code" rows={4} value={text} disabled={disabled || readonly} aria-describedby={helpId(id)}
        onInput={(event) => change(event.currentTarget.value)} />
    </div>
  )
}
