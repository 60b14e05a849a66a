import type { Logger } from '../../platform/log.ts'

/** What the adapter counts; the gateway puts it into `/metrics`. */
export interface MqttMetrics {
  /** `sluice_refused_total{protocol="mqtt",reason}` */
  refused(reason: string): void
  /** A message was taken and is on the stream. */
  received(): void
  /** A message did not reach a session that should have had it. */
  dropped(reason: string): void
  connected(): void
  disconnected(): void
}

export interface Refusal {
  /** Stable word; labels the counter, so out of a small set. */
  readonly reason: string
  readonly address: string
  readonly clientId?: string | undefined
  /** Reason code of MQTT 5, whatever the client speaks. */
  readonly code: number
  /** What was wrong, without anything the client sent. */
  readonly detail?: string | undefined
}

export type Refuse = (refusal: Refusal) => void

/** Lines a second; what is over is counted, and told in one line. */
const MAX_LINES = 20
const WINDOW_MS = 1_000

/** Counts every refusal and logs it, unless somebody makes so many that the log would be the damage. */
export function createRefusals(log: Logger, metrics: MqttMetrics): Refuse {
  let windowEndsAt = 0
  let lines = 0
  let suppressed = 0
  return (refusal) => {
    metrics.refused(refusal.reason)
    const now = Date.now()
    if (now >= windowEndsAt) {
      if (suppressed > 0) log.info({ suppressed }, 'more MQTT refusals, not logged one by one')
      windowEndsAt = now + WINDOW_MS
      lines = 0
      suppressed = 0
    }
    if (lines >= MAX_LINES) {
      suppressed += 1
      return
    }
    lines += 1
    log.info(refusal, 'MQTT refused')
  }
}
