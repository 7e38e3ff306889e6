/** How a form is laid out: labels, groups, lists, help and errors, all tied to their field. */

import type { VNode } from 'preact'

import { Markdown } from '../lib/markdown'
import { t } from '../lib/texts'

export const errorId = (id: string): string => `${id}__errors`
export const helpId = (id: string): string => `${id}__help`
export const describedBy = (id: string, bad: boolean): string => (bad ? `${errorId(id)} ${helpId(id)}` : helpId(id))

function Help({ id, schema, text }: { id: string; schema: any; text?: string }): VNode {
  const examples = schema.examples?.filter((one: unknown) => typeof one !== 'object').slice(0, 3).join(', ')
  const suggested = schema['x-suggested']
  return (
    <div class="help" id={helpId(id)}>
      {text && <Markdown text={text} />}
      {examples && <p>{t('form.examples', { examples })}</p>}
      {suggested !== undefined && <p>{t('form.suggested', { value: typeof suggested === 'object' ? JSON.stringify(suggested) : String(suggested) })}</p>}
    </div>
  )
}

function Errors({ id, errors }: { id: string; errors?: string[] }): VNode | null {
  if (!errors?.length) return null
  return <p class="error" id={errorId(id)}>{[...new Set(errors)].join(' ')}</p>
}

function isLeaf(schema: any): boolean {
  return !(schema.type === 'object' || schema.properties || (schema.type === 'array' && !isChoices(schema) && !schema['x-files']))
}

function isChoices(schema: any): boolean {
  return Boolean(schema.uniqueItems && (schema.items?.enum || schema.items?.oneOf))
}

export function FieldTemplate(props: any): VNode {
  const { id, label, children, hidden, required, rawErrors, rawDescription, schema, displayLabel, hideError } = props
  if (hidden) return <div hidden>{children}</div>
  const union = schema.oneOf && !schema.oneOf.every((one: any) => 'const' in one)
  const leaf = isLeaf(schema) && !union && !schema.anyOf
  const named = leaf && label && label.trim() && displayLabel !== false || schema.type === 'boolean' || schema['x-files']
  return (
    <Additional {...props}>
      <div class={`field${rawErrors?.length ? ' bad' : ''}`}>
        {named && (
          <label for={id} id={`${id}__label`}>
            {label} {required ? <span class="must">{t('form.required')}</span> : null}
          </label>
        )}
        {leaf && <Help id={id} schema={schema} text={rawDescription} />}
        {children}
        {!hideError && !union && !schema.anyOf && <Errors id={id} errors={rawErrors} />}
      </div>
    </Additional>
  )
}

/** A member whose name the person gives too. */
function Additional(props: any): VNode {
  const { id, schema, label, children, onKeyRenameBlur, onRemoveProperty, disabled, readonly } = props
  if (!('__additional_property' in schema)) return <>{children}</>
  return (
    <div class="additional">
      <div class="field">
        <label for={`${id}-key`}>{t('form.key')}</label>
        <input id={`${id}-key`} type="text" defaultValue={label} onBlur={onKeyRenameBlur} disabled={disabled || readonly} />
      </div>
      <div class="grow">{children}</div>
      <button type="button" class="icon" onClick={onRemoveProperty} disabled={disabled || readonly} aria-label={t('form.remove', { title: label })}>✕</button>
    </div>
  )
}

export function ObjectFieldTemplate(props: any): VNode | null {
  const { title, description, properties, fieldPathId, schema, onAddProperty, disabled, readonly, required } = props
  const union = (schema.oneOf || schema.anyOf) && properties.length === 0
  if (union) return null
  const root = fieldPathId.path.length === 0
  const open = schema.additionalProperties !== false && (schema.additionalProperties || schema.patternProperties) 
  const body = (
    <>
      {!root && description && <Markdown text={description} />}
      {properties.map((one: any) => one.content)}
      {open && !disabled && !readonly && (
        <button type="button" class="small" onClick={onAddProperty}>+ {t('form.add')}</button>
      )}
    </>
  )
  if (root || !title?.trim()) return <div id={root ? undefined : fieldPathId.$id}>{body}</div>
  return (
    <fieldset id={fieldPathId.$id} class="group">
      <legend>{title} {required && <span class="must">{t('form.required')}</span>}</legend>
      {body}
    </fieldset>
  )
}

/** Once the form is drawn anew; or else the focus would be lost with what went, or stay behind. */
function focusSoon(group: string, what: string): void {
  setTimeout(() => document.getElementById(group)?.querySelector<HTMLElement>(what)?.focus(), 0)
}

export function ArrayFieldTemplate(props: any): VNode {
  const { title, items, canAdd, onAddClick, fieldPathId, schema, disabled, readonly, required, rawErrors } = props
  const name = title || t('nav.inbox')
  return (
    <fieldset id={fieldPathId.$id} class="group" aria-describedby={rawErrors?.length ? errorId(fieldPathId.$id) : undefined}>
      <legend>{title} {required && <span class="must">{t('form.required')}</span>}</legend>
      <Help id={fieldPathId.$id} schema={schema} text={schema.description} />
      <div class="items">{items}</div>
      {canAdd && !disabled && !readonly && (
        <button type="button" class="small add" onClick={(event) => { onAddClick(event); focusSoon(fieldPathId.$id, ':scope > .items .item:last-of-type :is(input, select, textarea, button)') }}>+ {t('form.addTo', { title: name })}</button>
      )}
    </fieldset>
  )
}

export function ArrayFieldItemTemplate(props: any): VNode {
  const { children, buttonsProps, index } = props
  const title = t('form.item', { n: (index ?? 0) + 1 })
  const { hasMoveUp, hasMoveDown, hasRemove, onMoveUpItem, onMoveDownItem, onRemoveItem, disabled, readonly } = buttonsProps
  const remove = (event: any): void => {
    const list = event.currentTarget.closest('fieldset')?.id
    onRemoveItem(event)
    if (list) focusSoon(list, ':scope > .add')
  }
  return (
    <div class="item">
      <div class="grow">{children}</div>
      {!readonly && !disabled && (
        <div class="tools">
          {hasMoveUp && <button type="button" class="icon" onClick={onMoveUpItem} aria-label={t('form.up', { title })}>↑</button>}
          {hasMoveDown && <button type="button" class="icon" onClick={onMoveDownItem} aria-label={t('form.down', { title })}>↓</button>}
          {hasRemove && <button type="button" class="icon" onClick={remove} aria-label={t('form.remove', { title })}>✕</button>}
        </div>
      )}
    </div>
  )
}

export function MultiSchemaFieldTemplate({ selector, optionSchemaField }: any): VNode {
  return <>{selector}{optionSchemaField}</>
}

export const Nothing = (): null => null
