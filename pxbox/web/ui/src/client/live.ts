/** A WebSocket to the broker that comes back by itself and misses nothing. */

import type { Http } from './http'
import { Refused } from './problem'

export interface LiveEvent {
  channel: string
  seq: number
  epoch: string
  data: { id: string; type: string; requestId?: string; [member: string]: unknown }
}

export type LiveState = 'connecting' | 'open' | 'waiting' | 'signedOut' | 'closed'

export interface Watch {
  /** An event may come on several channels, with one `id`. */
  onEvent: (event: LiveEvent) => void
  /** What was missed cannot be told: read your lists anew. */
  onReset: () => void
  /** Start with so many of the newest events, where there is no position. */
  last?: number
}

interface Channel extends Watch {
  epoch?: string
  seq?: number
}

interface Frame {
  type: string
  op?: string
  channel?: string
  epoch?: string
  seq?: number
  data?: any
}

const FIRST_WAIT = 500
const LONGEST_WAIT = 20_000

export class Live {
  state: LiveState = 'closed'
  private socket: WebSocket | null = null
  private readonly channels = new Map<string, Channel>()
  private tries = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private frames = 0

  constructor(
    private readonly http: Http,
    private readonly onState: (state: LiveState) => void,
    private readonly onExpiring: (at: string) => void = () => undefined,
  ) {}

  start(): void {
    if (this.state === 'closed' || this.state === 'signedOut') void this.connect()
  }

  /** Connect at once, such as when the network is back. */
  hurry(): void {
    if (this.state !== 'waiting') return
    clearTimeout(this.timer)
    this.tries = 0
    void this.connect()
  }

  /** Connect anew, by what the session is now; what comes meanwhile is not missed. */
  renew(): void {
    const old = this.socket
    this.socket = null
    old?.close(1000)
    clearTimeout(this.timer)
    void this.connect()
  }

  stop(): void {
    clearTimeout(this.timer)
    this.set('closed')
    this.socket?.close(1000)
    this.socket = null
    this.channels.clear()
  }

  /** Watch a channel from a position, or from now on. Returns how to stop. */
  watch(channel: string, watch: Watch, position?: { epoch: string; seq: number }): () => void {
    const entry: Channel = { ...watch, ...position }
    this.channels.set(channel, entry)
    if (this.state === 'open') this.join(channel, entry)
    return () => {
      if (this.channels.get(channel) !== entry) return
      this.channels.delete(channel)
      if (this.state === 'open') this.send({ type: 'unsubscribe', channel })
    }
  }

  private async connect(): Promise<void> {
    this.set('connecting')
    try {
      const { ticket } = await this.http.call<{ ticket: string }>('POST', '/v1/ws/ticket', { body: {} })
      if (this.state !== 'connecting') return
      const address = this.http.address(`/v1/ws?ticket=${ticket}&batch=true`)
      this.open(new WebSocket(address.replace(/^http/, 'ws')))
    } catch (error) {
      if (error instanceof Refused && error.problem.status === 401) this.set('signedOut')
      else this.retry()
    }
  }

  private open(socket: WebSocket): void {
    this.socket = socket
    socket.onopen = () => {
      this.tries = 0
      this.set('open')
      for (const [name, channel] of this.channels) this.join(name, channel)
    }
    socket.onmessage = (message) => this.receive(JSON.parse(String(message.data)) as Frame)
    socket.onclose = (event) => {
      if (this.socket !== socket) return
      this.socket = null
      if (event.code === 4001) this.set('signedOut')
      else if (this.state !== 'closed') this.retry()
    }
  }

  private retry(): void {
    this.set('waiting')
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.tries++)
    this.timer = setTimeout(() => void this.connect(), longest * (0.5 + Math.random() / 2))
  }

  private join(name: string, channel: Channel): void {
    if (channel.seq !== undefined && channel.epoch) {
      this.send({ type: 'resume', channel: name, since: channel.seq, epoch: channel.epoch })
    } else {
      const data = channel.last ? { last: channel.last } : undefined
      this.send({ type: 'subscribe', channel: name, ...(data && { data }) })
    }
  }

  private receive(frame: Frame): void {
    if (frame.type === 'events') for (const one of frame.data as Frame[]) this.receive(one)
    else if (frame.type === 'event') this.take(frame)
    else if (frame.type === 'recovered') this.recovered(frame)
    else if (frame.type === 'heartbeat') this.checkHeads(frame)
    else if (frame.type === 'ack' && frame.op === 'subscribed') this.subscribed(frame)
    else if (frame.type === 'notice' && frame.data.code === 'token_expiring') this.onExpiring(frame.data.expiresAt)
  }

  private take(frame: Frame): void {
    const channel = this.channels.get(frame.channel!)
    if (!channel || (frame.epoch === channel.epoch && frame.seq! <= (channel.seq ?? 0))) return
    channel.epoch = frame.epoch
    channel.seq = frame.seq
    channel.onEvent(frame as unknown as LiveEvent)
  }

  private recovered(frame: Frame): void {
    const channel = this.channels.get(frame.channel!)
    if (!channel || frame.data.recovered) return
    channel.epoch = frame.epoch
    channel.seq = frame.seq
    channel.onReset()
  }

  private subscribed(frame: Frame): void {
    const channel = this.channels.get(frame.channel!)
    if (!channel) return
    channel.epoch = frame.epoch
    // The last events were asked for: the numbers before them are not missing.
    channel.seq = frame.data?.from ? frame.data.from - 1 : frame.seq
  }

  private checkHeads(frame: Frame): void {
    const heads: Record<string, number> = frame.data.heads
    for (const [name, head] of Object.entries(heads)) {
      const channel = this.channels.get(name)
      if (channel && typeof head === 'number' && head > (channel.seq ?? head)) this.join(name, channel)
    }
  }

  private send(frame: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ id: `f${++this.frames}`, ...frame }))
  }

  private set(state: LiveState): void {
    if (this.state === state) return
    this.state = state
    this.onState(state)
  }
}
