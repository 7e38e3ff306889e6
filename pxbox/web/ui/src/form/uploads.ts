/** The files of a form: held to the request's policy, uploaded one after the other, kept by their ids. */

import { Refused, Unreachable, type FilesPolicyView, type FileSigned } from '../client'
import type { FileFacts, Files } from '../lib/drafts'
import { client, onShared, shared } from '../lib/session'
import { t } from '../lib/texts'
import { listed, size as sizeText } from '../lib/times'

const MEGABYTE = 1_048_576
// What no browser knows is bytes; so says the broker too.
const UNKNOWN = 'application/octet-stream'

export interface Upload {
  name: string
  size: number
  sent: number
  state: 'waiting' | 'sending' | 'cut' | 'refused' | 'lost'
  /** What to tell where it did not go through. */
  why: string
  file?: File
  signed?: FileSigned
  stop?: AbortController
}

/** A place in the form that takes files. */
export interface Place {
  path: string[]
  /** The files that the form's value has here. */
  ids: string[]
  /** Draw it anew, and say this to who does not see it. */
  tell: (said: string) => void
  /** Give the value another file. */
  take: (id: string) => void
}

export class Uploads {
  readonly known: Map<string, FileFacts>
  readonly pictures = new Map<string, string>()
  private readonly places = new Map<string, Place>()
  private readonly lists = new Map<string, Upload[]>()
  private readonly quiet: () => void
  private busy = false

  /** `kept` is what an earlier visit left; `keep` is told what the next one needs. */
  constructor(
    private readonly requestId: string, readonly policy: FilesPolicyView, kept: Files,
    private readonly keep: (files: Pick<Files, 'known' | 'lost'>) => void,
  ) {
    this.known = new Map(Object.entries(kept.known))
    for (const { field, name, size } of kept.lost) {
      this.list(field).push({ name, size, sent: 0, state: 'lost', why: t('file.lost') })
    }
    this.quiet = onShared(({ live }) => { if (live === 'open') this.goOn() })
  }

  /** Stops what is on its way. */
  close(): void {
    this.quiet()
    for (const one of this.all()) one.stop?.abort()
    for (const picture of this.pictures.values()) URL.revokeObjectURL(picture)
  }

  join(field: string, place: Place): () => void {
    this.places.set(field, place)
    return () => {
      if (this.places.get(field) !== place) return
      this.places.delete(field)
      for (const one of this.list(field)) one.stop?.abort()
      this.lists.delete(field)
    }
  }

  list(field: string): Upload[] {
    const list = this.lists.get(field) ?? []
    this.lists.set(field, list)
    return list
  }

  /** The places that have something not uploaded yet, and may not be sent so. */
  unfinished(): { path: string[]; why: string }[] {
    return [...this.places].flatMap(([field, { path }]) => {
      const list = this.list(field)
      if (list.length === 0) return []
      return [{ path, why: list.some(underWay) ? t('file.wait') : t('file.unsettled') }]
    })
  }

  add(field: string, file: File): void {
    const one: Upload = { name: file.name, size: file.size, sent: 0, state: 'waiting', why: '', file }
    const why = this.against(file)
    if (why) Object.assign(one, { state: 'refused', why, file: undefined })
    this.list(field).push(one)
    this.told(field, why ? `${file.name}: ${why}` : t('file.begun', { name: file.name }))
    void this.next()
  }

  retry(field: string, one: Upload): void {
    Object.assign(one, { state: 'waiting', why: '', sent: 0 })
    this.told(field, t('file.begun', { name: one.name }))
    void this.next()
  }

  drop(field: string, one: Upload): void {
    one.stop?.abort()
    this.lists.set(field, this.list(field).filter((other) => other !== one))
    this.told(field, t(underWay(one) ? 'file.cancelled' : 'file.removed', { name: one.name }))
  }

  private all(): Upload[] {
    return [...this.lists.values()].flat()
  }

  /** Why the request does not admit a file; empty where it does. The broker has the last word. */
  private against(file: File): string {
    const { maxFileMB, maxTotalMB, maxFiles, mime, extensions } = this.policy
    const type = (file.type || UNKNOWN).split(';')[0]!.toLowerCase()
    const here = [...this.places.values()].flatMap(({ ids }) => ids)
    const coming = this.all().filter(underWay)
    const total = [...here.map((id) => this.known.get(id)?.size ?? 0), ...coming.map((one) => one.size)].reduce((sum, one) => sum + one, file.size)
    if (file.size > maxFileMB * MEGABYTE) return t('file.large', { size: sizeText(file.size), most: sizeText(maxFileMB * MEGABYTE) })
    if (extensions.length > 0 && !extensions.some((end) => file.name.toLowerCase().endsWith(`.${end}`))) {
      return t('file.ending', { ends: listed(extensions.map((end) => `.${end}`)) })
    }
    if (mime.length > 0 && !mime.includes(type) && !mime.includes(`${type.split('/')[0]}/*`)) {
      return t('file.type', { type: file.type || t('file.unknown'), types: listed(mime.map(kind)) })
    }
    if (here.length + coming.length + 1 > maxFiles) return t('file.many', { n: maxFiles })
    if (total > maxTotalMB * MEGABYTE) return t('file.together', { most: sizeText(maxTotalMB * MEGABYTE) })
    return ''
  }

  /** Whatever was cut off by the network goes on by itself. */
  private goOn(): void {
    for (const [field, list] of this.lists) for (const one of list) if (one.state === 'cut') this.retry(field, one)
  }

  private async next(): Promise<void> {
    if (this.busy) return
    const found = [...this.lists].flatMap(([field, list]) => list.map((one) => [field, one] as const)).find(([, one]) => one.state === 'waiting')
    if (!found) return
    this.busy = true
    await this.send(...found)
    this.busy = false
    void this.next()
  }

  private async send(field: string, one: Upload): Promise<void> {
    const file = one.file!
    const stop = new AbortController()
    Object.assign(one, { state: 'sending', stop })
    this.told(field)
    try {
      const type = file.type || UNKNOWN
      if (!one.signed || Date.parse(one.signed.expiresAt) < client.http.now()) one.signed = await client.signFile(this.requestId, file.name, type, file.size)
      await client.upload(one.signed, file, { signal: stop.signal, onProgress: (sent) => this.progressed(field, one, sent) })
      const id = one.signed.fileId
      this.known.set(id, { name: file.name, size: file.size, type })
      if (/^image\/(png|jpeg|gif|webp|avif|bmp)$/.test(type)) this.pictures.set(id, URL.createObjectURL(file))
      this.lists.set(field, this.list(field).filter((other) => other !== one))
      this.places.get(field)?.take(id)
      this.told(field, t('file.done', { name: one.name }))
    } catch (problem) {
      if (!stop.signal.aborted) this.failed(field, one, problem)
    }
  }

  private progressed(field: string, one: Upload, sent: number): void {
    const quarter = (bytes: number): number => Math.floor(4 * bytes / one.size)
    const said = quarter(sent) > quarter(one.sent) && sent < one.size ? t('file.progress', { name: one.name, n: 25 * quarter(sent) }) : ''
    one.sent = sent
    this.places.get(field)?.tell(said)
  }

  private failed(field: string, one: Upload, problem: unknown): void {
    const cut = problem instanceof Unreachable
    // It may be signed for anew: what was signed may have run out, or have taken other bytes.
    if (!cut) one.signed = undefined
    const away = cut && (shared.live !== 'open' || !navigator.onLine)
    Object.assign(one, { state: cut ? 'cut' : 'refused', why: cut ? t(away ? 'file.away' : 'file.cut') : refusal(problem) })
    this.told(field, `${one.name}: ${one.why}`)
  }

  private told(field: string, said = ''): void {
    const lost = [...this.lists].flatMap(([at, list]) => list.filter((one) => one.state !== 'refused').map(({ name, size }) => ({ field: at, name, size })))
    this.keep({ known: Object.fromEntries(this.known), lost })
    this.places.get(field)?.tell(said)
  }
}

function underWay(one: Upload): boolean {
  return one.state === 'waiting' || one.state === 'sending'
}

function refusal(problem: unknown): string {
  if (!(problem instanceof Refused)) return String(problem)
  const said = problem.problem.errors?.map((one) => one.message) ?? []
  const lies = said.map((one) => /^was (\S+), and the file is (\S+)$/.exec(one)).find(Boolean)
  if (lies) return t('file.lies', { said: kind(lies[1]!), found: kind(lies[2]!) })
  return said.length > 0 ? `${problem.message}: ${said.join('; ')}.` : problem.message
}

/** A media type in words. */
export function kind(mime: string): string {
  const [top, sub = ''] = mime.split('/')
  if (sub === '*') return t('file.any', { kind: top! })
  return /^[a-z]{2,5}$/.test(sub) ? sub.toUpperCase() : mime
}

/** What may be chosen, in the words of the policy. */
export function allowed(policy: FilesPolicyView, several: boolean): string {
  const { maxFileMB, maxTotalMB, maxFiles, mime, extensions } = policy
  const kinds = [...mime.map(kind), ...extensions.map((end) => `.${end}`)]
  const parts = [t(several ? 'file.each' : 'file.most', { most: sizeText(maxFileMB * MEGABYTE) })]
  if (several) parts.unshift(t('file.upTo', { n: maxFiles }))
  if (several && maxTotalMB < maxFileMB * maxFiles) parts.push(t('file.inAll', { most: sizeText(maxTotalMB * MEGABYTE) }))
  const text = [kinds.length > 0 ? listed(kinds) : t('file.anyKind'), ...parts].join(' · ')
  return text.charAt(0).toLocaleUpperCase() + text.slice(1)
}
