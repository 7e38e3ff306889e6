/** Short words about what was done, and the way back. */

export interface Toast {
  text: string
  undo?: () => Promise<void>
}

let current: Toast | null = null
let timer = 0
let listener: (toast: Toast | null) => void = () => undefined

export function say(text: string, undo?: () => Promise<void>): void {
  current = { text, undo }
  listener(current)
  clearTimeout(timer)
  timer = window.setTimeout(hush, undo ? 15_000 : 5000)
}

export function hush(): void {
  current = null
  listener(null)
}

/** Undoes what was done last, if that can still be. */
export async function undo(): Promise<void> {
  const back = current?.undo
  hush()
  await back?.()
}

export function onToast(tell: (toast: Toast | null) => void): void {
  listener = tell
}
