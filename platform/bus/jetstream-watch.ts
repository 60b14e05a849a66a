import type { Bus } from './connect.ts'
import { MESSAGES_STREAM } from './streams.ts'

/** Whether JetStream works behind the connection, which stands also when it does not: on a full disk, say. */
export interface JetStreamWatch {
  /** `false` when it has not answered for some seconds, or the bus is away. */
  readonly answers: boolean
  stop(): void
}

export interface JetStreamWatchOptions {
  /** What else helps an operator, such as how full the disk is. */
  readonly findFacts?: () => Promise<Readonly<Record<string, unknown>>>
  /** Longer than a server takes to choose the leader of a stream anew. */
  readonly silentMs?: number
}

const ASK_MS = 1_000
const TIMEOUT_MS = 2_000

/** Asks for the stream that publications go to, again and again: as good as nothing for the server, and what it cannot say it cannot take. */
export function watchJetStream(bus: Bus, options: JetStreamWatchOptions = {}): JetStreamWatch {
  const { findFacts, silentMs = 5_000 } = options
  let lastAnswerMs = Date.now()
  let isSilent = false
  let isAsking = false
  let isStopped = false

  async function ask(): Promise<void> {
    try {
      const manager = await bus.connection.jetstreamManager({ checkAPI: false, timeout: TIMEOUT_MS })
      await manager.streams.info(MESSAGES_STREAM)
      onAnswer()
    } catch (error) {
      await onSilence(error)
    }
  }

  function onAnswer(): void {
    lastAnswerMs = Date.now()
    if (isSilent) bus.log.info('JetStream answers again')
    isSilent = false
  }

  async function onSilence(reason: unknown): Promise<void> {
    if (isStopped || isSilent || !bus.isConnected || Date.now() - lastAnswerMs < silentMs) return
    isSilent = true
    const facts = await findFacts?.().catch(() => undefined)
    bus.log.error({ err: reason, ...facts }, 'JetStream does not answer: no message is acknowledged')
  }

  const timer = setInterval(() => {
    if (isAsking) return
    // The bus tells of its loss itself, and the time begins with the next connection.
    if (!bus.isConnected) {
      lastAnswerMs = Date.now()
      return
    }
    isAsking = true
    void ask().finally(() => (isAsking = false))
  }, ASK_MS)
  timer.unref()

  return {
    get answers() {
      return bus.isConnected && !isSilent
    },
    stop() {
      isStopped = true
      clearInterval(timer)
    },
  }
}
