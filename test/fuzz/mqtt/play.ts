import { connect as connectTcp } from 'node:net'
import { WebSocket } from 'ws'
import type { Random } from './random.ts'

export type Transport = 'tcp' | 'ws'

/** How a connection is left once everything is sent. */
export type Manner = 'finish' | 'linger' | 'vanish'

export interface Played {
  /** The gateway let the client in. */
  readonly isAccepted: boolean
  readonly receivedBytes: number
  /** Nothing ended the connection in time. */
  readonly isHung: boolean
}

export interface Target {
  readonly mqttPort: number
  readonly webSocketUrl: string
}

/** Bytes on their way, and what hears of the answer. */
interface Line {
  send(bytes: Buffer): void
  /** Says that no more comes; the other side is to end the connection. */
  finish(): void
  vanish(): void
}

interface Listener {
  onOpen(): void
  onBytes(bytes: Buffer): void
  onClose(): void
}

function openTcp({ mqttPort }: Target, listener: Listener): Line {
  const socket = connectTcp(mqttPort, '127.0.0.1', () => listener.onOpen())
  socket.setNoDelay(true)
  socket.on('error', () => undefined)
  socket.on('data', (bytes: Buffer) => listener.onBytes(bytes))
  socket.on('close', () => listener.onClose())
  return {
    send: (bytes) => void socket.write(bytes),
    finish: () => void socket.end(),
    vanish: () => void socket.destroy(),
  }
}

function openWebSocket({ webSocketUrl }: Target, listener: Listener): Line {
  const socket = new WebSocket(webSocketUrl, 'mqtt', { perMessageDeflate: false })
  socket.on('error', () => undefined)
  socket.on('open', () => listener.onOpen())
  socket.on('message', (bytes: Buffer) => listener.onBytes(bytes))
  socket.on('close', () => listener.onClose())
  return {
    send: (bytes) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes)
    },
    finish: () => socket.close(),
    vanish: () => socket.terminate(),
  }
}

/**
 * Sends the bytes in some pieces and waits for the end of the connection: `finish` says at once that no more comes, `linger`
 * says so only when the gateway keeps the connection, `vanish` is gone without a word.
 *
 * @param strangerMs how long the gateway lets a connection stay that has not been let in
 * @param patienceMs how long the end may take beyond that before the connection counts as hung
 */
export function play(
  transport: Transport,
  target: Target,
  bytes: Buffer,
  manner: Manner,
  random: Random,
  { strangerMs, patienceMs }: { strangerMs: number; patienceMs: number },
): Promise<Played> {
  const cuts = [random(bytes.length + 1), random(bytes.length + 1)].sort((a, b) => a - b)
  return new Promise((resolve) => {
    let received = Buffer.alloc(0)
    let receivedBytes = 0
    let timer = setTimeout(onHung, strangerMs + patienceMs)
    let isEnded = false

    function onHung(): void {
      end(true)
      line.vanish()
    }

    function end(isHung: boolean): void {
      if (isEnded) return
      isEnded = true
      clearTimeout(timer)
      resolve({ isAccepted: isAccepted(), receivedBytes, isHung })
    }

    // CONNACK with code 0; an answer to anything else begins with another byte.
    const isAccepted = (): boolean => received[0] === 0x20 && received[3] === 0

    function finish(): void {
      clearTimeout(timer)
      timer = setTimeout(onHung, patienceMs)
      line.finish()
    }

    const line = (transport === 'tcp' ? openTcp : openWebSocket)(target, {
      onOpen() {
        line.send(bytes.subarray(0, cuts[0]))
        setImmediate(() => {
          line.send(bytes.subarray(cuts[0], cuts[1]))
          if (manner === 'vanish') return line.vanish()
          line.send(bytes.subarray(cuts[1]))
          if (manner === 'finish') finish()
        })
      },
      onBytes(piece) {
        receivedBytes += piece.length
        if (received.length < 4) {
          received = Buffer.concat([received, piece])
          // Let in, a client may stay as long as it likes: what holds for strangers is over.
          if (manner === 'linger' && isAccepted()) finish()
        }
      },
      onClose: () => end(false),
    })
  })
}
