import { eventually } from './eventually.ts'

export interface SseEvent {
  readonly id: string
  readonly type: string
  // Tests look into events of many shapes, each where it is expected.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data: any
}

export interface EventStream {
  readonly status: number
  readonly headers: Headers
  /** The whole text so far. */
  text(): string
  /** What was dispatched so far. */
  readonly events: SseEvent[]
  /** As a browser would send it on coming back. */
  lastId(): string
  /** Waits until so many events of type `message` are there, and returns them. */
  take(count: number): Promise<SseEvent[]>
  /** Resolves when the server has ended the answer. */
  readonly ended: Promise<void>
  close(): void
}

/** Follows server-sent events as a browser does. */
export async function openEventStream(
  url: string,
  headers: Record<string, string> = {},
): Promise<EventStream> {
  const abort = new AbortController()
  const response = await fetch(url, { headers, signal: abort.signal })
  const events: SseEvent[] = []
  let text = ''
  let rest = ''
  let id = ''

  function readBlock(block: string): void {
    let type = 'message'
    let data: string | undefined
    for (const line of block.split('\n')) {
      const [, field = '', value = ''] = /^([^:]*): ?(.*)$/.exec(line) ?? []
      if (field === 'id') id = value
      else if (field === 'event') type = value
      else if (field === 'data') data = value
    }
    if (data !== undefined) events.push({ id, type, data: JSON.parse(data) as unknown })
  }

  async function read(): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      const part = decoder.decode(chunk as Uint8Array, { stream: true })
      text += part
      rest += part
      const blocks = rest.split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) readBlock(block)
    }
  }
  const ended = read().catch(() => undefined)
  const messages = () => events.filter(({ type }) => type === 'message')

  return {
    status: response.status,
    headers: response.headers,
    text: () => text,
    events,
    lastId: () => id,
    async take(count) {
      await eventually(`${count} events`, () => messages().length >= count)
      return messages()
    },
    ended,
    close: () => abort.abort(),
  }
}
