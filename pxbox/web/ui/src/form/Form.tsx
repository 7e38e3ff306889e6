/** The form of a request: drawn from its schema, checked by it, and empty until the person writes. */

import '../lib/texts.form'

// The package's index would bring its test registry along, and with it a validator that needs eval.
import RjsfForm from '@rjsf/core/lib/components/Form.js'
import ArrayField from '@rjsf/core/lib/components/fields/ArrayField.js'
import StringField from '@rjsf/core/lib/components/fields/StringField.js'
import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'

import type { FilesPolicyView } from '../client'
import type { Files } from '../lib/drafts'
import { t } from '../lib/texts'
import { Branches } from './Branches'
import { Attached, FileDesk, OneFile, SeveralFiles } from './FileField'
import { FILE, prepare } from './prepare'
import {
  ArrayFieldItemTemplate, ArrayFieldTemplate, FieldTemplate, MultiSchemaFieldTemplate, Nothing, ObjectFieldTemplate,
} from './templates'
import { Uploads } from './uploads'
import { faults, fits, messageOf, resolved, same, settle, type Fault } from './validate'
import { Checks, Input, Moment, Radios, Raw, Select, TextArea, YesNo } from './widgets'

export interface ServerPlace {
  pointer: string
  message: string
  keyword?: string
}

/** What is needed to take files. */
export interface Taking {
  requestId: string
  policy: FilesPolicyView
  kept: Files
  keep: (change: Partial<Files>) => void
}

interface Props {
  schema: any
  uiHints?: any
  value: unknown
  onChange: (value: unknown) => void
  /** Called with an answer that fits the schema, and the files beside it. */
  onSend?: (answer: unknown, files: string[]) => void
  files?: Taking
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
const fields: any = {
  OneOfField: Branches, AnyOfField: Branches,
  StringField: (props: any) => (props.schema.format === FILE ? <OneFile {...props} /> : <StringField {...props} />),
  ArrayField: (props: any) => (props.schema['x-files'] ? <SeveralFiles {...props} /> : <ArrayField {...props} />),
}
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

/** Where each part of a path stands in the form, to tell faults in the order of the fields. */
function standing(schema: any, path: string[]): number[] {
  let at = schema
  return path.map((part) => {
    at = resolved(at, schema)
    if (/^\d+$/.test(part) && (at?.items || at?.prefixItems)) {
      at = at.prefixItems?.[Number(part)] ?? at.items
      return Number(part)
    }
    const names = [at, ...(at?.allOf ?? []), at?.then, at?.else].flatMap((one) => Object.keys(one?.properties ?? {}))
    at = member(at, part)
    return names.includes(part) ? names.indexOf(part) : names.length
  })
}

function inOrder(schema: any, faults: Fault[]): Fault[] {
  const placed = faults.map((fault) => ({ fault, at: standing(schema, fault.path) }))
  const compare = (a: number[], b: number[]): number => {
    const n = a.findIndex((one, index) => one !== b[index])
    return n < 0 ? a.length - b.length : a[n]! - (b[n] ?? -1)
  }
  return placed.sort((a, b) => compare(a.at, b.at)).map(({ fault }) => fault)
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
  const [unfinished, setUnfinished] = useState<Fault[]>([])
  const [attached, setAttached] = useState(props.files?.kept.attached ?? [])
  const desk = useUploads(props.files)
  const beside = useMemo(() => Boolean(desk) && !JSON.stringify(schema).includes(`"${FILE}"`), [desk, schema])
  const summary = useRef<HTMLDivElement>(null)
  const validator = useMemo(() => ({
    isValid: (part: any, data: any, root: any) => fits(part, data, root),
    rawValidation: () => ({ errors: [] }),
    validateFormData: () => ({ errors: [], errorSchema: {} }),
  }), [])
  const wrong = useMemo(() => {
    if (refused?.length) return inOrder(schema, found(refused))
    return inOrder(schema, [...unfinished, ...(tried ? faults(schema, settle(schema, value)) : []).filter((one) => !unfinished.some(({ path }) => path.join() === one.path.join()))])
  }, [refused, tried, schema, value, unfinished])
  useEffect(() => { if (refused?.length) summary.current?.focus() }, [refused])

  const send = (): void => {
    const answer = settle(schema, value)
    const open = desk?.unfinished().map(({ path, why }) => ({ path, keyword: FILE, message: why })) ?? []
    setUnfinished(open)
    if (open.length === 0 && faults(schema, answer).length === 0) return onSend?.(answer, attached)
    setTried(true)
    requestAnimationFrame(() => summary.current?.focus())
  }
  const attach = (ids: string[]): void => {
    setAttached(ids)
    props.files?.keep({ attached: ids })
  }
  const extra = useMemo(() => errorSchema(wrong), [wrong])
  return (
    <FileDesk.Provider value={desk}>
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
      <div class="whole" onKeyDown={onlyField}>
      <RjsfForm className="form" schema={shown} uiSchema={uiOf(props.uiHints)} formData={value} validator={validator as any}
        widgets={widgets} templates={templates} fields={fields} noHtml5Validate noValidate readonly={readonly} extraErrors={extra}
        experimental_defaultFormStateBehavior={defaults}
        onChange={(event: any) => { if (unfinished.length > 0) setUnfinished([]); if (!same(schema, event.formData, value)) onChange(event.formData) }} onSubmit={send} showErrorList={false}>
        <>{beside && <Attached ids={attached} change={attach} off={readonly} />}{children ?? <span />}</>
      </RjsfForm>
      </div>
    </FileDesk.Provider>
  )
}

/** Enter in one field of several is no answer yet; Ctrl+Enter is, and so is Enter in the only one. */
function onlyField(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  if (event.key !== 'Enter' || event.ctrlKey || event.metaKey || !(event.target as Element).matches('input:not([type=file])')) return
  const fields = event.currentTarget.querySelectorAll('input, select, textarea')
  if (fields.length > 1) event.preventDefault()
}

/** The files of this form, for as long as it is shown. */
function useUploads(files: Taking | undefined): Uploads | null {
  const desk = useMemo(() => files ? new Uploads(files.requestId, files.policy, files.kept, files.keep) : null, [files?.requestId])
  useEffect(() => () => desk?.close(), [desk])
  return desk
}

/** Hints may be for any form; only what is an object of hints is used. */
function uiOf(hints: any): any {
  return hints && typeof hints === 'object' && !Array.isArray(hints) ? hints : {}
}
