import type { Msg } from 'nats'
import type { Bus } from './connect.ts'

/** Where the writer says how far the stream `messages` is stored in Postgres. */
export const COMMITTED_SUBJECT = 'committed.messages'

/** Everything up to `seq` of the stream that was made at that moment is committed. */
export interface Committed {
  readonly seq: number
  /** RFC 3339, as the server says: a stream that was lost and made anew counts from 1 again. */
  readonly createdAt: string
}

/** Tells everybody, once the transaction is committed. Never throws; what is lost while the bus is away the next one makes good. */
export function announceCommitted(bus: Bus, { seq, createdAt }: Committed): void {
  if (!bus.isConnected) return
  try {
    bus.connection.publish(COMMITTED_SUBJECT, JSON.stringify({ seq, created_at: createdAt }))
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
    const { seq, created_at: createdAt } = msg.json<{ seq?: unknown; created_at?: unknown }>()
    return typeof seq === 'number' && typeof createdAt === 'string' ? { seq, createdAt } : undefined
  } catch {
    // Somebody else's.
    return undefined
  }
}
