import type { Bus } from '../../platform/bus/connect.ts'
import type { Nodes } from '../../platform/bus/nodes.ts'
import { isWrongRevision } from '../../platform/bus/records.ts'
import type { RecordAt } from '../../platform/bus/records.ts'
import type { ClientPrincipal } from './access.ts'
import { clientPrefix, decodeRecord, disconnected, encodeRecord } from './session-record.ts'
import type { SessionRecord } from './session-record.ts'
import { writtenOf } from './session-records.ts'
import type { SessionRecords, Written } from './session-records.ts'
import type { Wills } from './wills.ts'

/** Looks after sessions that no connection has: sends wills that are due, ends what has expired, and takes on what a process that died has left. */
export interface Caretaker {
  /** A connection of this process has, or is about to take, the session of that epoch: nobody else's business. */
  own(epoch: string): void
  disown(epoch: string): void
  /** Looks at one session when something of it is due. */
  visitAt(key: string, atMs: number): void
  /** A session was made that will outlive its connection. */
  onNewSession(principal: ClientPrincipal): void
  stop(): void
}

export interface CaretakerOptions {
  readonly bus: Bus
  readonly nodes: Nodes
  readonly records: SessionRecords
  readonly wills: Wills
  /** Bytes that the sessions of one client may have without a connection. */
  readonly maxKeptBytesPerClient: number
  readonly onEvict: (principal: ClientPrincipal) => void
  /** Between looking through all sessions. */
  readonly roundMs?: number
  /** After the start, when every process that is alive has been heard of. */
  readonly firstRoundMs?: number
}

/** Sessions without a connection of one client: a device that connects under ever new names pushes out its own. */
const MAX_KEPT_PER_CLIENT = 100
/** Sessions that a client may make before it is looked at how many it has. */
const CREATIONS_BETWEEN_COUNTS = 20
const MAX_COUNTED_CLIENTS = 10_000
const MAX_TIMER_MS = 2 ** 31 - 1
const RETRY_MS = 1_000
/** Twice as long after each failure, up to this: what failed may have been too much for the bus, or cost it dearly. */
const MAX_RETRY_MS = 60_000
/** Of records that are due, kept from the look through all; those beyond are fetched again, one at a time. */
const MAX_DUE_BYTES = 16 * 1_048_576

export function createCaretaker(options: CaretakerOptions): Caretaker {
  const {
    bus,
    nodes,
    records,
    wills,
    onEvict,
    maxKeptBytesPerClient,
    roundMs = 300_000,
    firstRoundMs = 12_000,
  } = options
  const owned = new Set<string>()
  const timers = new Map<string, NodeJS.Timeout>()
  /** By client, sessions made since they were counted. */
  const creations = new Map<string, number>()
  let isStopped = false
  let round: Promise<void> | undefined
  let isAnotherWanted = false
  let failures = 0
  let retry: NodeJS.Timeout | undefined

  /** Whether nobody who is there looks after it. */
  function isAbandoned({ node, epoch }: SessionRecord): boolean {
    if (owned.has(epoch)) return false
    return node === '' || node === nodes.id || !nodes.isAlive(node)
  }

  function isOverdue(record: SessionRecord): boolean {
    const now = Date.now()
    const { node, endsAt, will } = record
    return endsAt === 0 || endsAt <= now || (will !== undefined && (will.dueAt <= now || node !== nodes.id))
  }

  async function tidy(key: string, at: RecordAt): Promise<void> {
    const found = decodeRecord(at.value)
    if (!found || !isAbandoned(found) || !isOverdue(found)) return
    const now = Date.now()
    // Its process is gone, and nobody has seen the connection end: it ends now.
    const record = disconnected(found, now)
    let { will } = record
    let nextVisitAt = will?.dueAt ?? 0
    if (will && (will.dueAt <= now || record.endsAt <= now)) {
      if (await wills.settle(record)) will = undefined
      // The longer it has been tried in vain, the longer until the next time.
      else nextVisitAt = now + Math.min(Math.max(RETRY_MS, now - will.dueAt), MAX_RETRY_MS)
    }
    if (record.endsAt <= now && !will) return records.remove(key, writtenOf(at))
    const isOnFile = record === found && record.will === will && record.node === nodes.id
    if (!isOnFile) await put(key, { ...record, will, node: will ? nodes.id : '' }, writtenOf(at))
    if (will) visitAt(key, nextVisitAt)
  }

  function put(key: string, record: SessionRecord, replaced: Written): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error: Error | undefined): void => {
        // Somebody has the session, or has tidied up: either is fine.
        if (error && !isWrongRevision(error)) reject(error)
        else resolve()
      }
      records.put(key, encodeRecord(record), replaced, done, { isOwed: true })
    })
  }

  function visitAt(key: string, atMs: number): void {
    if (isStopped) return
    clearTimeout(timers.get(key))
    const timer = setTimeout(
      () => {
        timers.delete(key)
        void visit(key).catch((error: unknown) => {
          bus.log.warn({ err: error }, 'session could not be looked after; trying again')
          visitAt(key, Date.now() + RETRY_MS)
        })
      },
      Math.min(Math.max(0, atMs - Date.now()), MAX_TIMER_MS),
    )
    timer.unref()
    timers.set(key, timer)
  }

  async function visit(key: string): Promise<void> {
    const found = await records.get(key)
    if (found) await tidy(key, found)
  }

  async function lookThrough(): Promise<void> {
    const due: [string, RecordAt | undefined][] = []
    let dueBytes = 0
    await records.scan((key, record) => {
      const decoded = decodeRecord(record.value)
      if (!decoded || !isAbandoned(decoded) || !isOverdue(decoded)) return
      dueBytes += record.value.length
      due.push([key, dueBytes <= MAX_DUE_BYTES ? record : undefined])
    })
    const failed: unknown[] = []
    for (const [key, record] of due) {
      if (isStopped) return
      try {
        await (record ? tidy(key, record) : visit(key))
      } catch (error) {
        if (!bus.isConnected) throw error
        // One that cannot be written, such as in a stream that is full, is no reason to keep those that can be removed.
        failed.push(error)
      }
    }
    if (due.length > 0) bus.log.info({ count: due.length }, 'sessions without a connection looked after')
    if (failed.length > 0) throw failed[0]
  }

  function startRound(): void {
    if (isStopped || retry) return
    if (round) {
      isAnotherWanted = true
      return
    }
    round = lookThrough()
      .then(() => {
        failures = 0
      })
      .catch((error: unknown) => {
        const delayMs = Math.min(RETRY_MS * 2 ** failures, MAX_RETRY_MS)
        failures += 1
        bus.log.warn({ err: error, delayMs }, 'sessions could not be looked through; trying again')
        // Whatever else asks for a round meanwhile waits too: a reconnect that this failure has caused, for one.
        retry = setTimeout(() => {
          retry = undefined
          startRound()
        }, delayMs)
        retry.unref()
      })
      .finally(() => {
        round = undefined
        if (!isAnotherWanted) return
        isAnotherWanted = false
        startRound()
      })
  }

  async function evictBeyondBound(principal: ClientPrincipal): Promise<void> {
    const kept: { key: string; endsAt: number; written: Written }[] = []
    let keptBytes = 0
    const now = Date.now()
    await records.scan((key, at) => {
      const record = decodeRecord(at.value)
      // One whose will is being sent has still to say so, and goes by itself.
      const isOwing = record?.will !== undefined && record.will.dueAt <= now
      if (!record || record.endsAt === 0 || isOwing) return
      keptBytes += at.value.length
      kept.push({ key, endsAt: record.endsAt, written: writtenOf(at) })
    }, clientPrefix(principal))
    kept.sort((a, b) => a.endsAt - b.endsAt)
    let count = kept.length
    for (const { key, written } of kept) {
      if (count <= MAX_KEPT_PER_CLIENT && keptBytes <= maxKeptBytesPerClient) return
      count -= 1
      keptBytes -= written.sizeBytes
      onEvict(principal)
      await records.remove(key, written)
    }
  }

  const first = setTimeout(startRound, firstRoundMs)
  const rounds = setInterval(startRound, roundMs)
  first.unref()
  rounds.unref()
  const removeListeners = [
    nodes.onGone(startRound),
    // Connections that ended in the meantime could not be written.
    bus.onReconnect(startRound),
  ]

  return {
    own: (epoch) => owned.add(epoch),
    disown: (epoch) => owned.delete(epoch),
    visitAt,
    onNewSession(principal) {
      const count = (creations.get(principal.id) ?? 0) + 1
      if (creations.size >= MAX_COUNTED_CLIENTS) creations.clear()
      creations.set(principal.id, count)
      if (count % CREATIONS_BETWEEN_COUNTS !== 0) return
      void evictBeyondBound(principal).catch((error: unknown) =>
        bus.log.warn({ err: error, clientId: principal.id }, 'sessions of a client could not be counted'),
      )
    },
    stop() {
      isStopped = true
      clearTimeout(first)
      clearTimeout(retry)
      clearInterval(rounds)
      for (const timer of timers.values()) clearTimeout(timer)
      for (const remove of removeListeners) remove()
    },
  }
}
