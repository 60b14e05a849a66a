import { once } from 'node:events'
import { WebSocket } from 'ws'

/** Bytes that a process holds once its garbage is collected. */
export interface Held {
  /** Objects, and the buffers that belong to them. */
  readonly live: number
  /** Pages of the machine, so what native code keeps is in it. */
  readonly resident: number
}

/** For `node`: the process can then be asked what it holds, by those on this machine. */
export const INSPECTABLE = '--inspect=127.0.0.1:0'

const SAID_BY_THE_INSPECTOR = /^(Debugger |For help, see: |Waiting for the debugger)/

/** Whether this line is about being asked, and not about the program. */
export function isOfTheInspector(line: string): boolean {
  return SAID_BY_THE_INSPECTOR.test(line)
}

/** Where the program can be asked, from what it printed as it started. */
export function inspectorUrl(stderr: string): string {
  const url = /^Debugger listening on (ws:\S+)/m.exec(stderr)?.[1]
  if (url === undefined) throw new Error(`the program did not say where it can be inspected: ${stderr}`)
  return url
}

/**
 * Collects the garbage first: what V8 lets lie while nobody needs the memory depends on the machine and hides a leak.
 * A process with an open inspector does not end, so the connection is closed each time.
 */
export async function measureHeld(url: string): Promise<Held> {
  const socket = new WebSocket(url)
  await once(socket, 'open')
  try {
    // What finalizers let go of in the first round is garbage in the second.
    for (const method of ['HeapProfiler.collectGarbage', 'HeapProfiler.collectGarbage'])
      await ask(socket, method)
    const { result } = await ask(socket, 'Runtime.evaluate', {
      expression: 'process.memoryUsage()',
      returnByValue: true,
    })
    const { heapUsed, external, rss } = (result as Evaluated).value as NodeJS.MemoryUsage
    return { live: heapUsed + external, resident: rss }
  } finally {
    socket.terminate()
  }
}

interface Evaluated {
  readonly value: unknown
}

interface Answer {
  readonly result?: Evaluated
}

async function ask(socket: WebSocket, method: string, params: object = {}): Promise<Answer> {
  socket.send(JSON.stringify({ id: 1, method, params }))
  for (;;) {
    const [text] = (await once(socket, 'message')) as [Buffer]
    const message = JSON.parse(text.toString()) as {
      id?: number
      result?: Answer
      error?: { message: string }
    }
    if (message.error !== undefined) throw new Error(`${method}: ${message.error.message}`)
    // The rest are events.
    if (message.id === 1) return message.result ?? {}
  }
}
