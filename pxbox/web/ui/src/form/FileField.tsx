/** Files: chosen or dropped, with how far each is; the answer has their ids. */

import { createContext, type VNode } from 'preact'
import { useContext, useEffect, useReducer, useRef, useState } from 'preact/hooks'

import { percent, size as sizeText } from '../lib/times'
import { t } from '../lib/texts'
import { describedBy } from './templates'
import { allowed, type Place, type Upload, type Uploads } from './uploads'

export const FileDesk = createContext<Uploads | null>(null)

interface Props {
  id: string
  path: string[]
  ids: string[]
  change: (ids: string[]) => void
  several: boolean
  required?: boolean
  off?: boolean
  bad?: boolean
}

export function FileField({ id, path, ids, change, several, required, off, bad }: Props): VNode {
  const desk = useContext(FileDesk)
  const [, drawn] = useReducer((turn: number) => turn + 1, 0)
  const [said, say] = useState('')
  const [over, setOver] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  // Two may be done before the form has drawn the first.
  const has = useRef(ids)
  has.current = ids
  const current = useRef(change)
  current.current = change
  useEffect(() => {
    const place: Place = {
      path, get ids() { return has.current },
      tell: (text) => { drawn(0); if (text) say(text) },
      take: (file) => {
        has.current = several ? [...has.current, file] : [file]
        current.current(has.current)
      },
    }
    return desk?.join(id, place)
  }, [desk, id, path.join('/'), several])
  const add = (files: FileList | null | undefined): void => {
    if (!desk || off || !files || files.length === 0) return
    const chosen = several ? [...files] : [files[0]!]
    if (!several) for (const one of desk.list(id)) desk.drop(id, one)
    for (const file of chosen) desk.add(id, file)
    if (!several && files.length > 1) say(t('file.one'))
  }
  const remove = (file: string): void => {
    const name = desk?.known.get(file)?.name ?? t('file.unnamed')
    has.current = has.current.filter((one) => one !== file)
    current.current(has.current)
    say(t('file.removed', { name }))
    input.current?.focus()
  }
  const drop = (one: Upload): void => {
    desk?.drop(id, one)
    input.current?.focus()
  }
  const accept = desk ? [...desk.policy.mime, ...desk.policy.extensions.map((end) => `.${end}`)].join(',') : ''
  return (
    <div class={`files${over ? ' over' : ''}`}
      onDragOver={(event) => { event.preventDefault(); setOver(!off && Boolean(desk)) }} onDragLeave={() => setOver(false)}
      onDrop={(event) => { event.preventDefault(); setOver(false); add(event.dataTransfer?.files) }}>
      {desk && !off && (
        <p class="choose">
          <input ref={input} class="hide" type="file" id={id} multiple={several} accept={accept || undefined} required={required}
            aria-invalid={bad} aria-describedby={`${describedBy(id, Boolean(bad))} ${id}__policy`}
            onChange={(event) => { add(event.currentTarget.files); event.currentTarget.value = '' }} />
          <span class="button" aria-hidden="true" onClick={() => input.current?.click()}>{t(several ? 'file.choose' : ids.length > 0 ? 'file.another' : 'file.chooseOne')}</span>
          <span class="drop">{t(several ? 'file.drop' : 'file.dropOne')}</span>
        </p>
      )}
      {desk && !off && <p class="help" id={`${id}__policy`}>{allowed(desk.policy, several)}</p>}
      {!desk && <p class="help">{t('file.preview')}</p>}
      {(ids.length > 0 || (desk?.list(id).length ?? 0) > 0) && (
        <ul>
          {ids.map((file) => <Done key={file} facts={desk?.known.get(file)} picture={desk?.pictures.get(file)} remove={off ? undefined : () => remove(file)} />)}
          {desk?.list(id).map((one) => <OnItsWay one={one} retry={() => desk.retry(id, one)} drop={() => drop(one)} />)}
        </ul>
      )}
      <p class="hide" role="status">{said}</p>
    </div>
  )
}

function Done({ facts, picture, remove }: { facts?: { name: string; size: number }; picture?: string; remove?: () => void }): VNode {
  const name = facts?.name ?? t('file.unnamed')
  return (
    <li>
      {picture ? <img src={picture} alt="" /> : <span class="sheet" aria-hidden="true">✓</span>}
      <span class="grow"><bdi>{name}</bdi>{facts && <small>{sizeText(facts.size)}</small>}</span>
      {remove && <button type="button" class="icon" onClick={remove} aria-label={t('form.remove', { title: name })} title={t('file.remove')}>✕</button>}
    </li>
  )
}

function OnItsWay({ one, retry, drop }: { one: Upload; retry: () => void; drop: () => void }): VNode {
  const going = one.state === 'sending' || one.state === 'waiting'
  const part = one.size > 0 ? one.sent / one.size : 0
  return (
    <li class={going ? '' : 'bad'}>
      <span class="sheet" aria-hidden="true">{going ? '↑' : '!'}</span>
      <span class="grow">
        <bdi>{one.name}</bdi>
        <small>{one.state === 'sending' ? t('file.sent', { sent: percent(part), size: sizeText(one.size) }) : one.state === 'waiting' ? t('file.queued') : sizeText(one.size)}</small>
        {one.state === 'sending' && <progress max={1} value={part} aria-label={t('file.begun', { name: one.name })} />}
        {one.why && <span class="error">{one.why}</span>}
      </span>
      {one.state === 'cut' && <button type="button" class="small" onClick={retry}>{t('app.retry')}<span class="hide"> {one.name}</span></button>}
      <button type="button" class="icon" onClick={drop} title={t(going ? 'file.cancel' : 'file.remove')}
        aria-label={going ? t('file.cancelOf', { name: one.name }) : t('form.remove', { title: one.name })}>✕</button>
    </li>
  )
}

/** A file where the schema says `format: pxbox-file`. */
export function OneFile({ fieldPathId: { $id: id, path }, formData, onChange, required, disabled, readonly, rawErrors }: any): VNode {
  return <FileField id={id} path={path.map(String)} ids={formData ? [formData] : []} change={([one]) => onChange(one, path)} several={false}
    required={required} off={disabled || readonly} bad={Boolean(rawErrors?.length)} />
}

/** A list of files, as one place for all of them. */
export function SeveralFiles({ fieldPathId: { $id: id, path }, formData, onChange, required, disabled, readonly, rawErrors }: any): VNode {
  return <FileField id={id} path={path.map(String)} ids={Array.isArray(formData) ? formData.filter(Boolean) : []} several
    change={(ids) => onChange(ids.length > 0 ? ids : undefined, path)} required={required} off={disabled || readonly} bad={Boolean(rawErrors?.length)} />
}

/** Files beside the payload, where the request takes some and its schema has no place for them. */
export function Attached({ ids, change, off }: { ids: string[]; change: (ids: string[]) => void; off?: boolean }): VNode {
  const id = 'attached'
  return (
    <div class="field">
      <label for={id}>{t('file.attach')}</label>
      <FileField id={id} path={[id]} ids={ids} change={change} several off={off} />
    </div>
  )
}
