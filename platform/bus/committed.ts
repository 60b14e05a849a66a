import type { Msg } from 'nats'
import type { Bus } from './connect.ts'

/** Where the writer says how far the stream `messages` is stored in Postgres. */
export const COMMITTED_SUBJECT = 'committed.messages'

/** Everything up to `seq` of the stream that was made at that moment is committed. */
export interface Committed {
  readonly seq: number
  /** RFC 3339, as the server says: a stream that was lost and made anew counts from 1 again. */
  readonly createdAt: string
  /** How often it has lost its end since, and so went back: positions from before say nothing about it either. */
  readonly rewinds: number
}

/** Tells everybody, once the transaction is committed. Never throws; what is lost while the bus is away the next one makes good. */
export function announceCommitted(bus: Bus, { seq, createdAt, rewinds }: Committed): void {
  if (!bus.isConnected) return
  try {
    bus.connection.publish(COMMITTED_SUBJECT, JSON.stringify({ seq, created_at: createdAt, rewinds }))
  } catch (error) {
    bus.log.debug({ err: error, seq }, 'committed position could not be announced')
  }
}

/** Hears announcements from here on; the writer repeats the last one every second. The listener must not throw. */
export function subscribeCommitted(bus: Bus, onCommitted: (committed: Committed) => void): { stop(): void } {
  const subscription = bus.connection.subscribe(COMMITTED_SUBJECT, {
    callback(error, msg) {
      const committed = error ? undefined : readCommitted(msg)
      if (committed) onCommitted(committed)
    },
  })
  return { stop: () => subscription.unsubscribe() }
}

function readCommitted(msg: Msg): Committed | undefined {
  try {
    const { seq, created_at: createdAt, rewinds } = msg.json<Record<string, unknown>>()
    const isPosition = typeof seq === 'number' && typeof createdAt === 'string' && typeof rewinds === 'number'
    return isPosition ? { seq, createdAt, rewinds } : undefined
  } catch {
    // Somebody else's.
    return undefined
  }
}
