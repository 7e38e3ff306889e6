/** Sending the bytes of a file to where the broker has signed for them. */

import { Refused, Unreachable, type ProblemDocument } from './problem'
import type { FileView } from './types'

export interface Upload {
  /** How many bytes have left so far. */
  onProgress?: (sent: number) => void
  signal?: AbortSignal
}

/**
 * PUTs the whole of a file. What was cut off leaves nothing at the broker: call it again.
 *
 * Rejects with Refused, with Unreachable, and with what `signal` was aborted for.
 */
export function putFile(url: string, file: Blob, upload: Upload = {}): Promise<FileView> {
  const { onProgress, signal } = upload
  if (typeof XMLHttpRequest === 'undefined') return putPlainly(url, file, signal)
  return new Promise((resolve, reject) => {
    // `fetch` says nothing of how far an upload is.
    const call = new XMLHttpRequest()
    const stop = (): void => call.abort()
    call.open('PUT', url)
    call.upload.onprogress = (event) => onProgress?.(event.loaded)
    call.onload = () => {
      if (call.status === 200) resolve(JSON.parse(call.responseText) as FileView)
      else reject(new Refused(problemIn(call.responseText, call.status)))
    }
    call.onerror = () => reject(new Unreachable('the upload was cut off'))
    call.onabort = () => reject(signal?.reason)
    call.onloadend = () => signal?.removeEventListener('abort', stop)
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) return reject(signal.reason)
    call.send(file)
  })
}

/** Where there is no browser; nothing is said of the progress there. */
async function putPlainly(url: string, file: Blob, signal?: AbortSignal): Promise<FileView> {
  const reply = await fetch(url, { method: 'PUT', body: file, signal }).catch((error: unknown) => {
    if (signal?.aborted) throw error
    throw new Unreachable(String(error))
  })
  if (!reply.ok) throw new Refused(problemIn(await reply.text(), reply.status))
  return await reply.json() as FileView
}

function problemIn(text: string, status: number): ProblemDocument {
  try {
    return JSON.parse(text) as ProblemDocument
  } catch {
    return { code: 'unreadable', title: 'No answer', status }
  }
}
