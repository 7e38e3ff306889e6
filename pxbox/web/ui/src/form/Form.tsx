/** The form of a request: drawn from its schema, checked by it, and empty until the person writes. */

// The package's index would bring its test registry along, and with it a validator that needs eval.
import RjsfForm from '@rjsf/core/lib/components/Form.js'
import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'

import { t } from '../lib/texts'
import { Branches } from './Branches'
import { prepare } from './prepare'
import {
  ArrayFieldItemTemplate, ArrayFieldTemplate, FieldTemplate, MultiSchemaFieldTemplate, Nothing, ObjectFieldTemplate,
} from './templates'
import { faults, fits, messageOf, resolved, same, settle, type Fault } from './validate'
import { Checks, Input, Moment, Radios, Raw, Select, TextArea, YesNo } from './widgets'

export interface ServerPlace {
  pointer: string
  message: string
  keyword?: string
}

interface Props {
  schema: any
  uiHints?: any
  value: unknown
  onChange: (value: unknown) => void
  /** Called with an answer that fits the schema. */
  onSend?: (answer: unknown) => void
  /** What the broker found wrong with the last one sent. */
  refused?: ServerPlace[]
  readonly?: boolean
  children?: ComponentChildren
}

const widgets: any = {
  TextWidget: Input, EmailWidget: Input, URLWidget: Input, DateWidget: Input, TimeWidget: Input, PasswordWidget: Input,
  UpDownWidget: Input, DateTimeWidget: Moment, TextareaWidget: TextArea, SelectWidget: Select, RadioWidget: Radios,
  CheckboxWidget: YesNo, CheckboxesWidget: Checks, ColorWidget: Input, FileWidget: Input,
}
const templates: any = {
  FieldTemplate, ObjectFieldTemplate, ArrayFieldTemplate, ArrayFieldItemTemplate, MultiSchemaFieldTemplate,
  BaseInputTemplate: Input, ErrorListTemplate: Nothing, FieldErrorTemplate: Nothing, FieldHelpTemplate: Nothing,
  DescriptionFieldTemplate: Nothing, UnsupportedFieldTemplate: Raw,
}
const fields: any = { OneOfField: Branches, AnyOfField: Branches }
const defaults: any = {
  constAsDefaults: 'never', requiredBooleanDefault: 'skip', emptyObjectFields: 'skipEmptyDefaults', arrayMinItems: { populate: 'never' },
  allOf: 'skipDefaults', mergeDefaultsIntoFormData: 'useFormDataIfPresent',
}

function errorSchema(found: Fault[]): any {
  const root: any = {}
  for (const fault of found) {
    let at = root
    for (const part of fault.path) at = at[part] ??= {}
    ;(at.__errors ??= []).push(fault.message)
  }
  return root
}

function fieldId(path: string[]): string {
  return ['root', ...path].join('_')
}

/** Goes to the field of a fault, or to the nearest group around it. */
function goTo(path: string[]): void {
  for (let n = path.length; n >= 0; n--) {
    const id = fieldId(path.slice(0, n))
    const place = document.getElementById(`${id}__branch`) ?? document.getElementById(id)
    if (!place) continue
    const field = place.matches('input, select, textarea') ? place : place.querySelector<HTMLElement>('input, select, textarea, button')
    ;(field ?? place).focus()
    place.scrollIntoView({ block: 'center' })
    return
  }
}

function nameOf(schema: any, path: string[]): string {
  let at = schema
  const names: string[] = []
  for (const part of path) {
    at = resolved(at, schema)
    const item = /^\d+$/.test(part) && (at?.items || at?.prefixItems)
    const next = item ? at.items ?? at.prefixItems?.[Number(part)] : member(at, part)
    names.push(item ? String(Number(part) + 1) : next?.title ?? part)
    at = next
  }
  return names.join(' › ') || t('form.general')
}

function member(schema: any, name: string): any {
  const places = [schema, ...(schema?.oneOf ?? []), ...(schema?.anyOf ?? []), ...(schema?.allOf ?? []), schema?.then, schema?.else]
  return places.map((one) => one?.properties?.[name]).find((one) => one?.title) ?? schema?.properties?.[name]
}

function pathOf(place: ServerPlace): string[] {
  return place.pointer.split('/').slice(1).map((part) => part.replace(/~1/g, '/').replace(/~0/g, '~'))
}

function found(refused: ServerPlace[]): Fault[] {
  return refused.map((one) => {
    const missing = one.keyword === 'required' ? /"([^"]+)"/.exec(one.message)?.[1] : undefined
    const path = [...pathOf(one), ...(missing ? [missing] : [])]
    return { path, keyword: one.keyword ?? '', message: missing ? t('bad.required') : messageOf(one.keyword ?? '', one.message) }
  })
}

export default function Form(props: Props): VNode {
  const { schema, value, onChange, onSend, refused, readonly, children } = props
  const shown = useMemo(() => prepare(schema), [schema])
  const [tried, setTried] = useState(false)
  const summary = useRef<HTMLDivElement>(null)
  const validator = useMemo(() => ({
    isValid: (part: any, data: any, root: any) => fits(part, data, root),
    rawValidation: () => ({ errors: [] }),
    validateFormData: () => ({ errors: [], errorSchema: {} }),
  }), [])
  const wrong = useMemo(() => {
    if (refused?.length) return found(refused)
    return tried ? faults(schema, settle(schema, value)) : []
  }, [refused, tried, schema, value])
  useEffect(() => { if (refused?.length) summary.current?.focus() }, [refused])

  const send = (): void => {
    const answer = settle(schema, value)
    if (faults(schema, answer).length === 0) return onSend?.(answer)
    setTried(true)
    requestAnimationFrame(() => summary.current?.focus())
  }
  const extra = useMemo(() => errorSchema(wrong), [wrong])
  return (
    <>
      {wrong.length > 0 && (
        <div class="summary" role="alert" tabIndex={-1} ref={summary}>
          <h2>{t('form.errors', { n: wrong.length })}</h2>
          <ul>
            {wrong.map((one) => (
              <li>
                <a href={`#${fieldId(one.path)}`} onClick={(event) => { event.preventDefault(); goTo(one.path) }}>
                  {nameOf(schema, one.path)}
                </a>: {one.message}
              </li>
            ))}
          </ul>
        </div>
      )}
      <RjsfForm className="form" schema={shown} uiSchema={uiOf(props.uiHints)} formData={value} validator={validator as any}
        widgets={widgets} templates={templates} fields={fields} noHtml5Validate noValidate readonly={readonly} extraErrors={extra}
        experimental_defaultFormStateBehavior={defaults}
        onChange={(event: any) => { if (!same(schema, event.formData, value)) onChange(event.formData) }} onSubmit={send} showErrorList={false}>
        <>{children ?? <span />}</>
      </RjsfForm>
    </>
  )
}

/** Hints may be for any form; only what is an object of hints is used. */
function uiOf(hints: any): any {
  return hints && typeof hints === 'object' && !Array.isArray(hints) ? hints : {}
}
