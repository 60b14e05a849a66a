import { readMessage } from './message.ts'
import type { Message } from './message.ts'
import type { Bus } from './connect.ts'
import { createPuller } from './puller.ts'
import { MESSAGES_STREAM } from './streams.ts'

export interface Gaps {
  stop(): void
}

/** Between two looks at how far the stream is. */
const PROOF_MS = 1_000
const RETRY_MS = 500
/** More is not looked through one by one. */
const MAX_LOOKED_THROUGH = 50_000

/**
 * Finds what live subscriptions may have missed. NATS gives them what is published while they are connected; what came in
 * between is in the stream, and is looked up there after each loss of the connection.
 *
 * Live messages do not carry their place in the stream. So the place that the stream is known to have had while the connection
 * stood is asked for again and again, and everything behind the last answer counts as missed: also what arrived in the moment
 * between that answer and the loss, and all that a connection has swallowed that was dead before anybody noticed.
 *
 * @param onMissed is told each message, its payload left out; `undefined` when there is no telling what was missed
 */
export function watchGaps(bus: Bus, onMissed: (message: Message | undefined) => void): Gaps {
  /** Everything up to this place has arrived, or was told as missed. */
  let knownSeq: number | undefined
  let losses = 0
  let isWhole = true
  let isStopped = false

  async function readState(): Promise<{ first: number; last: number }> {
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    const { first_seq: first, last_seq: last } = (await manager.streams.info(MESSAGES_STREAM)).state
    return { first, last }
  }

  async function prove(): Promise<void> {
    if (!bus.isConnected || !isWhole) return
    const before = losses
    const { last } = await readState()
    // On the same connection: the answer came behind all that was published before.
    if (before === losses) knownSeq = last
  }

  /** @returns up to where everything is told */
  async function tell(): Promise<number> {
    // From here on the server has our subscriptions again.
    await bus.flush()
    const { first, last } = await readState()
    if (knownSeq === undefined || last < knownSeq || first > knownSeq + 1) {
      onMissed(undefined)
      return last
    }
    if (last === knownSeq) return last
    const puller = await createPuller(bus, {
      stream: MESSAGES_STREAM,
      fromSeq: knownSeq + 1,
      hasPayloads: false,
    })
    try {
      let { pending } = puller
      bus.log.warn({ messages: pending }, 'live messages may have been missed')
      if (pending > MAX_LOOKED_THROUGH) onMissed(undefined)
      else {
        while (pending > 0) {
          for (const pulled of await puller.next(0)) {
            pending = pulled.pending
            const message = readMessage(pulled.msg)
            if (message) onMissed(message)
          }
        }
      }
    } finally {
      await puller.stop()
    }
    return last
  }

  async function lookBack(): Promise<void> {
    const loss = losses
    // Lost again: what follows the next reconnect begins where this began.
    while (!isStopped && loss === losses) {
      try {
        const told = await tell()
        if (loss !== losses) return
        knownSeq = told
        isWhole = true
        return
      } catch (error) {
        bus.log.debug({ err: error }, 'stream could not be asked for missed messages')
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  function ask(): void {
    // Not answered: the place known before goes on to count.
    prove().catch(() => undefined)
  }

  ask()
  const timer = setInterval(ask, PROOF_MS)
  timer.unref()
  const removeListeners = [
    bus.onDisconnect(() => {
      losses += 1
      isWhole = false
    }),
    bus.onReconnect(() => {
      void lookBack().catch((error: unknown) => bus.log.error({ err: error }, 'missed messages not told'))
    }),
  ]

  return {
    stop() {
      isStopped = true
      clearInterval(timer)
      for (const remove of removeListeners) remove()
    },
  }
}
