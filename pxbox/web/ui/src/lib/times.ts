/** Times as the viewer reads them, by the broker's clock. */

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400], ['hour', 3600], ['minute', 60], ['second', 1],
]
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short', hour: 'numeric', minute: '2-digit' })
const counting = new Intl.NumberFormat()

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone

export function number(value: number): string {
  return counting.format(value)
}

/** "in 3 hours", "2 days ago". */
export function fromNow(at: string, now: number): string {
  const seconds = (Date.parse(at) - now) / 1000
  const [unit, size] = STEPS.find(([, of]) => Math.abs(seconds) >= of) ?? STEPS[3]!
  return relative.format(Math.trunc(seconds / size), unit)
}

export function exactly(at: string): string {
  return full.format(new Date(at))
}

export function timeOfDay(at: string | Date): string {
  return clock.format(new Date(at))
}

export function dayAndTime(at: Date): string {
  return weekday.format(at)
}

/** "14:05" or "2 h 10 min": what is left until then. */
export function left(at: string, now: number): string {
  const seconds = Math.max(0, Math.round((Date.parse(at) - now) / 1000))
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

const percents = new Intl.NumberFormat(undefined, { style: 'percent' })
const conjunction = new Intl.ListFormat(undefined, { type: 'disjunction' })

export function percent(part: number): string {
  return percents.format(part)
}

/** "PNG, JPEG or PDF". */
export function listed(names: string[]): string {
  return conjunction.format(names)
}

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const

/** "3.2 MB", of 1,048,576 bytes each, as policies count them. */
export function size(bytes: number): string {
  const power = Math.min(3, Math.max(0, Math.floor(Math.log2(bytes || 1) / 10)))
  const style = { style: 'unit', unit: UNITS[power], unitDisplay: power > 0 ? 'short' : 'long', maximumFractionDigits: 1 } as const
  return new Intl.NumberFormat(undefined, style).format(bytes / 1024 ** power)
}
