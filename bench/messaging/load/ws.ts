import type { Job, Login, Outcome } from '../job.ts'
import { meter } from './meter.ts'
import { PAYLOAD } from './payload.ts'
import { inParallel, open } from './socket.ts'
import type { Piecewise } from './socket.ts'

const FAN_OUT = 500
const WINDOW = 20
const HEAD_END = '\r\n\r\n'

/** One publisher to 500 subscribers. */
export async function fanOutOverWs(job: Job): Promise<Outcome> {
  const { topic, publisher, subscriber, wsPort = 0 } = job.target
  const count = { messages: 0, lost: 0 }
  let sent = 0
  const pump = (): void => {
    const room = WINDOW - (sent - Math.floor(count.messages / FAN_OUT))
    if (room <= 0) return
    sent += room
    to.write(FRAMES.subarray(0, room * FRAME.length))
  }
  const to = await connectWs(wsPort, `/${topic}/all`, publisher, () => undefined)
  const clients = await inParallel(FAN_OUT, 20, () =>
    connectWs(wsPort, `/${topic}/all`, subscriber, (frames) => {
      count.messages += frames
      pump()
    }),
  )
  pump()
  const outcome = await meter(job, count)
  for (const client of [to, ...clients]) client.end()
  return outcome
}

/** A binary frame of a client. Its mask is zero, which leaves the payload as it is and the server's work the same. */
const FRAME = Buffer.concat([Buffer.from([0x82, 0x80 | PAYLOAD.length, 0, 0, 0, 0]), PAYLOAD])
const FRAMES = Buffer.concat(Array.from({ length: WINDOW }, () => FRAME))

/** @param onFrames so many data frames have arrived */
async function connectWs(
  port: number,
  path: string,
  { password }: Login,
  onFrames: (count: number) => void,
): Promise<Piecewise> {
  let onOpen: () => void = () => undefined
  let isOpen = false
  const connection = await open(port, (bytes) => {
    let at = 0
    if (!isOpen) {
      const end = bytes.indexOf(HEAD_END)
      if (end === -1) return 0
      if (!bytes.subarray(0, 12).equals(Buffer.from('HTTP/1.1 101')))
        throw new Error(bytes.toString('latin1'))
      isOpen = true
      at = end + HEAD_END.length
      onOpen()
    }
    let frames = 0
    while (at + 2 <= bytes.length) {
      const length = bytes[at + 1] ?? 0
      if (length > 125) throw new Error('a frame longer than any that was sent')
      if (at + 2 + length > bytes.length) break
      if (bytes[at] === 0x82) frames += 1
      at += 2 + length
    }
    if (frames > 0) onFrames(frames)
    return at
  })
  const opened = new Promise<void>((resolve) => (onOpen = resolve))
  connection.write(
    Buffer.from(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Client ${password}\r\n\r\n`,
    ),
  )
  await opened
  return connection
}
