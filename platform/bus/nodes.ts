import { randomUUID } from 'node:crypto'
import type { Bus } from './connect.ts'

/** The processes that share a bus, as one of them sees them. */
export interface Nodes {
  /** Of this process; another one after every start. */
  readonly id: string
  /**
   * Whether the process is there. One that was never heard of counts as alive until everybody who is has had the time to
   * say so.
   */
  isAlive(id: string): boolean
  /** Calls back once for each process that has ended or has gone silent, and then nothing is heard of it again. Returns the removal. */
  onGone(listener: (id: string) => void): () => void
  /**
   * Calls back when this process has said nothing for so long that others may count it as gone: a machine that was paused, an
   * event loop that was held up. Returns the removal.
   */
  onStoodStill(listener: () => void): () => void
  /** Tells the others that this process ends. */
  stop(): void
}

export interface NodesOptions {
  readonly heartbeatMs?: number
  /** Silence after which a process counts as gone. */
  readonly leaseMs?: number
}

const ALIVE = 'nodes.alive'
const GONE = 'nodes.gone'

/** Says regularly that this process is alive, and listens to the others. Nothing is stored: who is new hears all within one beat. */
export function createNodes(bus: Bus, options: NodesOptions = {}): Nodes {
  const { heartbeatMs = 2_000, leaseMs = 10_000 } = options
  const id = randomUUID()
  /** By process, when it was last heard. */
  const heard = new Map<string, number>()
  const listeners = new Set<(id: string) => void>()
  const stillListeners = new Set<() => void>()
  let listensSince = Date.now()
  let saidAt = Date.now()

  function say(subject: string): void {
    if (!bus.isConnected) return
    try {
      bus.connection.publish(subject, id)
    } catch (error) {
      // Closed in this very moment, or for good.
      bus.log.debug({ err: error }, 'heartbeat not sent')
    }
  }

  function call(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      bus.log.error({ err: error }, 'listener for processes that end failed')
    }
  }

  function lose(gone: string): void {
    if (!heard.delete(gone)) return
    for (const listener of listeners) call(() => listener(gone))
  }

  /** What the others have said meanwhile was not heard: their time begins anew. */
  function listenAnew(): void {
    listensSince = Date.now()
    for (const other of heard.keys()) heard.set(other, listensSince)
  }

  const subscriptions = [
    bus.connection.subscribe(ALIVE, {
      callback(error, msg) {
        if (error) return
        const from = msg.string()
        if (from !== id) heard.set(from, Date.now())
      },
    }),
    bus.connection.subscribe(GONE, {
      callback(error, msg) {
        if (!error) lose(msg.string())
      },
    }),
  ]

  const timer = setInterval(() => {
    // By the clock on the wall, which goes on while a machine sleeps. Half of it, since what was said has taken its time too.
    const isLate = Date.now() - saidAt > Math.max(leaseMs / 2, heartbeatMs * 2)
    saidAt = Date.now()
    say(ALIVE)
    if (isLate) {
      listenAnew()
      for (const listener of stillListeners) call(listener)
    }
    // Deaf ourselves: silence says nothing about the others.
    if (!bus.isConnected) return
    const latest = Date.now() - leaseMs
    for (const [other, lastHeard] of heard) if (lastHeard < latest) lose(other)
  }, heartbeatMs)
  timer.unref()
  const removeOnReconnect = bus.onReconnect(() => {
    listenAnew()
    say(ALIVE)
  })
  say(ALIVE)

  return {
    id,
    isAlive: (other) => other === id || heard.has(other) || Date.now() - listensSince < leaseMs,
    onGone(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    onStoodStill(listener) {
      stillListeners.add(listener)
      return () => {
        stillListeners.delete(listener)
      }
    },
    stop() {
      clearInterval(timer)
      removeOnReconnect()
      for (const subscription of subscriptions) subscription.unsubscribe()
      say(GONE)
    },
  }
}
