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
  return new Promise((resolve, reject) => {
    // `fetch` says nothing of how far an upload is.
    const call = new XMLHttpRequest()
    const stop = (): void => call.abort()
    call.open('PUT', url)
    call.upload.onprogress = (event) => onProgress?.(event.loaded)
    call.onload = () => {
      if (call.status === 200) resolve(JSON.parse(call.responseText) as FileView)
      else reject(new Refused(problemIn(call)))
    }
    call.onerror = () => reject(new Unreachable('the upload was cut off'))
    call.onabort = () => reject(signal?.reason)
    call.onloadend = () => signal?.removeEventListener('abort', stop)
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) return reject(signal.reason)
    call.send(file)
  })
}

function problemIn(call: XMLHttpRequest): ProblemDocument {
  try {
    return JSON.parse(call.responseText) as ProblemDocument
  } catch {
    return { code: 'unreadable', title: call.statusText || 'No answer', status: call.status }
  }
}
