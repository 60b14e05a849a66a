import { once } from 'node:events'
import { WebSocket } from 'ws'

/** WebSockets that go on at the next of some processes whenever theirs is killed. */
export interface SocketLoad {
  /** Gets the URLs of the processes, and what they want to know of who connects. */
  readonly urls: readonly string[]
  readonly auth: string
  readonly isOver: () => boolean
  readonly pause: () => Promise<void>
}

/** @returns `undefined` when nobody answers there, or not yet */
async function open(url: string, path: string, auth: string): Promise<WebSocket | undefined> {
  const ws = new WebSocket(url.replace('http', 'ws') + path, { headers: { authorization: auth } })
  ws.on('error', () => undefined)
  await Promise.race([once(ws, 'open'), once(ws, 'close')]).catch(() => undefined)
  return ws.readyState === ws.OPEN ? ws : undefined
}

/**
 * Publishes 0, 1, 2 … under a name, each behind the one before it. What comes back has been published: a publisher is among
 * the subscribers of its topic (a frame has no other answer, but for the end of the socket when it is refused).
 */
export async function publishOverSocket(
  { urls, auth, isOver, pause }: SocketLoad,
  path: string,
  name: string,
  onPublished: (item: string) => void,
): Promise<void> {
  let value = 0
  let turn = 0
  while (!isOver()) {
    const ws = await open(urls[turn % urls.length] ?? '', path, auth)
    turn += 1
    if (ws) {
      let answer: (isPublished: boolean) => void = () => undefined
      ws.on('message', (data: Buffer) => {
        // One that was sent over the socket before may come late.
        if (readItem(data).value === value) answer(true)
      })
      ws.on('close', () => answer(false))
      while (ws.readyState === ws.OPEN && !isOver()) {
        const answered = new Promise<boolean>((resolve) => (answer = resolve))
        ws.send(JSON.stringify([{ n: name, v: value }]))
        if (await answered) onPublished(`${name}:${value}`)
        value += 1
        await pause()
      }
      ws.terminate()
    }
    await pause()
  }
}

function readItem(data: Buffer): { name: string; value: number } {
  const [{ n: name, v: value }] = JSON.parse(data.toString()) as [{ n: string; v: number }]
  return { name, value }
}

export interface SocketSubscriber {
  /** How many messages have come. */
  readonly count: number
  /** What came behind something later of the same publisher, or twice, over one socket. */
  readonly disorder: readonly string[]
  stop(): void
}

/**
 * Listens from now on. A socket has no session: what comes while there is none is missed, and what comes over one comes once
 * and in order.
 *
 * @param mayRepeat whether a publisher may have sent the same again, as QoS 1 allows
 */
export function subscribeOverSocket(
  { urls, auth, pause }: Omit<SocketLoad, 'isOver'>,
  path: string,
  mayRepeat: (publisher: string) => boolean,
): SocketSubscriber {
  const disorder: string[] = []
  let count = 0
  let current: WebSocket | undefined
  let isStopped = false

  async function listen(): Promise<void> {
    for (let turn = 0; !isStopped; turn += 1) {
      current = await open(urls[turn % urls.length] ?? '', path, auth)
      if (current) {
        const ends = new Promise((resolve) => current?.once('close', resolve))
        take(current)
        if (isStopped) current.terminate()
        await ends
      }
      await pause()
    }
  }

  function take(ws: WebSocket): void {
    const newest = new Map<string, number>()
    ws.on('message', (data: Buffer) => {
      const { name, value } = readItem(data)
      const before = newest.get(name) ?? -1
      if (value < before || (value === before && !mayRepeat(name))) {
        disorder.push(`${name}:${value} behind ${before}`)
      }
      newest.set(name, Math.max(before, value))
      count += 1
    })
  }

  void listen()
  return {
    get count() {
      return count
    },
    disorder,
    stop() {
      isStopped = true
      current?.terminate()
    },
  }
}
