/** A JSON value as people read it: by the titles of its schema, with its files to fetch. */

import type { VNode } from 'preact'

import type { FileView } from '../client'
import { client, whyNot } from '../lib/session'
import { t } from '../lib/texts'
import { size } from '../lib/times'
import { say } from '../lib/toast'

interface Answer {
  requestId: string
  payload: unknown
  files?: FileView[]
}

/** An answer: what was written, and the files that are nowhere in it. */
export function Given({ answer, schema }: { answer: Answer; schema: unknown }): VNode {
  const files = new Map((answer.files ?? []).map((one) => [one.id, one]))
  const text = JSON.stringify(answer.payload)
  const beside = [...files.values()].filter((one) => !text.includes(`"${one.id}"`))
  const link = (file: FileView): VNode => <FileLink file={file} requestId={answer.requestId} />
  return (
    <>
      <Pairs value={answer.payload} schema={schema} link={(id) => files.has(id) ? link(files.get(id)!) : null} />
      {beside.length > 0 && <ul class="attached">{beside.map((file) => <li>{link(file)}</li>)}</ul>}
    </>
  )
}

interface Props {
  value: unknown
  schema?: unknown
  link: (id: string) => VNode | null
}

function Pairs({ value, schema, link }: Props): VNode {
  if (Array.isArray(value)) {
    const items = (schema as { items?: unknown } | undefined)?.items
    return <ol class="pairs">{value.map((one) => <li><Pairs value={one} schema={items} link={link} /></li>)}</ol>
  }
  if (value !== null && typeof value === 'object') {
    return (
      <dl class="pairs">
        {Object.entries(value).map(([name, of]) => {
          const part = (schema as { properties?: Record<string, { title?: string }> } | undefined)?.properties?.[name]
          return <div><dt>{part?.title ?? name}</dt><dd><Pairs value={of} schema={part} link={link} /></dd></div>
        })}
      </dl>
    )
  }
  if (typeof value === 'boolean') return <span>{t(value ? 'form.yes' : 'form.no')}</span>
  const file = typeof value === 'string' ? link(value) : null
  return file ?? <span dir="auto">{titled(value, schema) ?? (value === null ? '–' : String(value))}</span>
}

function titled(value: unknown, schema: unknown): string | undefined {
  const options = (schema as { oneOf?: { const?: unknown; title?: string }[] } | undefined)?.oneOf
  return options?.find((one) => one.const === value)?.title
}

/** Its address counts for some minutes: a fresh one is had when somebody follows it. */
function FileLink({ file, requestId }: { file: FileView; requestId: string }): VNode {
  const fetchIt = async (event: Event): Promise<void> => {
    event.preventDefault()
    try {
      const answer = await client.answerOf(requestId)
      const link = document.createElement('a')
      link.href = answer.files?.find((one) => one.id === file.id)?.url ?? file.url
      link.download = file.name
      link.click()
    } catch (problem) {
      say(whyNot(problem))
    }
  }
  return <a class="file" href={file.url} download={file.name} onClick={(event) => void fetchIt(event)}><bdi>{file.name}</bdi> <small>{size(file.size)}</small></a>
}
