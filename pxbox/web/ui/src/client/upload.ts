/** Sending the bytes of a file to where the broker has signed for them. */

import { Refused, Unreachable, type ProblemDocument } from './problem'

export interface Upload {
  /** What headers the PUT must have. */
  headers?: Record<string, string>
  /** How many bytes have left so far. */
  onProgress?: (sent: number) => void
  signal?: AbortSignal
}

/**
 * PUTs the whole of a file, to the broker or to an object store. What was cut off leaves nothing there:
 * call it again.
 *
 * Rejects with Refused, with Unreachable, and with what `signal` was aborted for.
 */
export function putFile(url: string, file: Blob, upload: Upload = {}): Promise<void> {
  const { headers = {}, onProgress, signal } = upload
  if (typeof XMLHttpRequest === 'undefined') return putPlainly(url, file, headers, signal)
  return new Promise((resolve, reject) => {
    // `fetch` says nothing of how far an upload is.
    const call = new XMLHttpRequest()
    const stop = (): void => call.abort()
    call.open('PUT', url)
    for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value)
    call.upload.onprogress = (event) => onProgress?.(event.loaded)
    call.onload = () => {
      if (call.status >= 200 && call.status < 300) resolve()
      else reject(new Refused(problemIn(call.responseText, call.status)))
    }
    call.onerror = () => reject(new Unreachable('the upload was cut off'))
    // A page that is left ends its calls too, without anybody's signal.
    call.onabort = () => reject(signal?.aborted ? signal.reason : new Unreachable('the page was left'))
    call.onloadend = () => signal?.removeEventListener('abort', stop)
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) return reject(signal.reason)
    call.send(file)
  })
}

/** Where there is no browser; nothing is said of the progress there. */
async function putPlainly(url: string, file: Blob, headers: Record<string, string>, signal?: AbortSignal): Promise<void> {
  const reply = await fetch(url, { method: 'PUT', body: file, headers, signal }).catch((error: unknown) => {
    if (signal?.aborted) throw error
    throw new Unreachable(String(error))
  })
  if (!reply.ok) throw new Refused(problemIn(await reply.text(), reply.status))
}

function problemIn(text: string, status: number): ProblemDocument {
  try {
    return JSON.parse(text) as ProblemDocument
  } catch {
    return { code: 'unreadable', title: 'No answer', status }
  }
}
