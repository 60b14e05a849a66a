import type { JetStreamManager, StreamState } from 'nats'
import type { Client } from 'pg'
import type { Bus } from '../../platform/bus/connect.ts'
import { createPuller, takenNs } from '../../platform/bus/puller.ts'
import { findFirstSince, findLastStored, findStored, takenNsOf } from '../../platform/bus/stored.ts'
import type { Logger } from '../../platform/log.ts'
import { store } from './store.ts'
import type { Position } from './store.ts'
import type { WriterMetrics } from './writer-metrics.ts'

/** Far beyond the two minutes that nats-server leaves to the operating system. */
const LOST_MS = 600_000
const NS_PER_MS = 1_000_000n

interface Parts {
  readonly bus: Bus
  readonly log: Logger
  readonly metrics: Pick<WriterMetrics, 'lost' | 'rewinds'>
  readonly manager: JetStreamManager
}

/**
 * Where the position and the stream do not fit together, messages are lost, and an operator must know, once.
 *
 * Somebody trimmed the stream before it was stored; or the server lost the end of it, in a power cut, and gave those
 * numbers to new messages, which are not the ones that are stored (docs/durability.md).
 */
export async function fitToStream(
  client: Client,
  position: Position,
  state: Pick<StreamState, 'first_seq' | 'last_seq'>,
  parts: Parts,
): Promise<Position> {
  const { log, metrics, manager } = parts
  if (state.last_seq < position.seq || !(await isStillThere(manager, position))) {
    const kept = await findKept(position, state, parts)
    metrics.rewinds.inc()
    const facts = { storedSeq: position.seq, keptSeq: kept.seq, lastSeq: state.last_seq }
    log.error(facts, 'the NATS server has lost the end of the stream: what came in its place is stored')
    return store(client, position, { ...position, ...kept, rewinds: position.rewinds + 1 })
  }
  const missing = state.first_seq - 1 - position.seq
  // A database that begins beside an older stream has lost nothing.
  if (missing <= 0 || position.seq === 0) return position
  reportLost(parts, missing, position.seq)
  return store(client, position, { ...position, seq: state.first_seq - 1, takenNs: undefined })
}

/** @param seq the position when it was found out */
export function reportLost(
  { log, metrics }: { readonly log: Logger; readonly metrics: Pick<WriterMetrics, 'lost'> },
  missing: number,
  seq: number,
): void {
  metrics.lost.inc(missing)
  log.error({ missing, seq }, 'messages were removed from the stream before they were stored')
}

/** Whether the message at the position is the one that was stored; one that has left the stream since was. */
async function isStillThere(manager: JetStreamManager, { stream, seq, takenNs: stored }: Position) {
  if (stored === undefined) return true
  const found = await findStored(manager, stream, seq)
  return !found || takenNsOf(found) === stored
}

/**
 * The last message that is still the one that was stored. Those in the place of lost ones came later than all that are
 * stored; or, by a clock that was wrong after the power cut, earlier than the one before them.
 */
async function findKept(
  { stream, seq, takenNs: stored }: Position,
  { first_seq: firstSeq, last_seq: lastSeq }: Pick<StreamState, 'first_seq' | 'last_seq'>,
  { bus, manager }: Parts,
): Promise<Pick<Position, 'seq' | 'takenNs'>> {
  // The last that is there: somebody may have removed those behind it by hand.
  const last = await findLastStored(manager, stream, 'm.>')
  const end = Math.min(seq, last?.seq ?? 0)
  if (stored === undefined || end < firstSeq) return { seq: Math.min(seq, lastSeq), takenNs: undefined }
  const since = await findFirstSince(manager, stream, Number(stored / NS_PER_MS) - LOST_MS)
  let kept: Pick<Position, 'seq' | 'takenNs'> = { seq: Math.min(since, end) - 1, takenNs: undefined }
  const puller = await createPuller(bus, { stream, fromSeq: kept.seq + 1 })
  try {
    while (kept.seq < end) {
      for (const pulled of await puller.next(0)) {
        const taken = takenNs(pulled)
        if (pulled.seq > end || taken > stored || taken < (kept.takenNs ?? 0n)) return kept
        kept = { seq: pulled.seq, takenNs: taken }
      }
    }
  } finally {
    await puller.stop()
  }
  // Of a stream that is long enough at least the last message is another one: else nobody would have asked.
  return lastSeq < seq ? kept : { seq: end - 1, takenNs: undefined }
}
