import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from './connect.ts'
import { ensureStreams } from './streams.ts'
import type { StreamsOptions } from './streams.ts'

const RETRY_FIRST_MS = 250
const RETRY_LAST_MS = 10_000

/** What is gone with a stream, in words for an operator. */
const CONTENT: Readonly<Record<string, string>> = {
  messages:
    'messages that were acknowledged and not stored yet, what sessions had yet to read, and the replay window',
  events: 'announcements of changes that somebody has yet to read',
  deadletters: 'messages that could not be stored',
  sessions: 'MQTT sessions with their subscriptions, and wills that wait',
  retained: 'retained messages',
}

/**
 * Ensures the streams again whenever the bus is back: the server may have come without them, on another disk, and nothing
 * works until they are there. Tries until it is done; {@link ensureStreams} may run in any number of processes.
 */
export function keepStreams(bus: Bus, options: StreamsOptions): { stop(): Promise<void> } {
  const abort = new AbortController()
  const { signal } = abort
  let isWanted = false
  let running: Promise<void> | undefined

  function onMade(stream: string): void {
    bus.log.error({ stream, lost: CONTENT[stream] }, 'stream was gone when NATS came back; made anew, empty')
  }

  async function run(): Promise<void> {
    let retryMs = RETRY_FIRST_MS
    let isFailing = false
    while (isWanted && !signal.aborted) {
      isWanted = false
      try {
        await ensureStreams(bus, options, onMade)
        if (isFailing) bus.log.info('streams are there again')
      } catch (error) {
        // Lost again: the next reconnect asks for it.
        if (!bus.isConnected) continue
        // Said once an outage.
        if (!isFailing)
          bus.log.error({ err: error }, 'streams could not be checked after NATS came back; trying again')
        isFailing = true
        isWanted = true
        await sleep(retryMs, undefined, { signal }).catch(() => undefined)
        retryMs = Math.min(retryMs * 2, RETRY_LAST_MS)
      }
    }
    // In the turn of the last question whether it is wanted: a reconnect right after it starts another run.
    running = undefined
  }

  const removeOnReconnect = bus.onReconnect(() => {
    isWanted = true
    running ??= run()
  })

  return {
    async stop() {
      abort.abort()
      removeOnReconnect()
      await running
    },
  }
}
