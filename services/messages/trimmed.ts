import type { JetStreamManager } from 'nats'
import type { Pulled } from '../../platform/bus/puller.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'

/**
 * How many messages left the stream at its front before they could be pulled. Numbers that are missing behind the front are
 * of single messages that somebody has deleted by hand, or were never given out: neither is a loss.
 *
 * @param expectedSeq the number that would have come next
 */
export async function countTrimmed(
  manager: JetStreamManager,
  batch: readonly Pulled[],
  expectedSeq: number,
): Promise<number> {
  const last = batch.at(-1)
  if (!last || last.seq - expectedSeq + 1 === batch.length) return 0
  const { state } = await manager.streams.info(MESSAGES_STREAM)
  let [trimmed, next] = [0, expectedSeq]
  for (const { seq } of batch) {
    trimmed += Math.max(0, Math.min(seq, state.first_seq) - next)
    next = seq + 1
  }
  return trimmed
}
