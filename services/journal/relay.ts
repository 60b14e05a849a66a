import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { createClient } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { InvalidInput, TooLarge } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import * as repository from './repository.ts'
import type { Entry } from './types.ts'

const BATCH = 500
/** Notifications make it fast; looking again makes it sure, also while the listening connection is away. */
const POLL_MS = 1_000
/** Entries get their numbers before they are committed; one that is so old has none before it that is still to come. */
const COMMITTED_AFTER_MS = 2_000
/** Longer than the bus takes to keep a batch when all is well. */
const PATIENCE_MS = 500

export interface RelayOptions {
  readonly db: Db
  readonly databaseUrl: string
  /** Resolves when the bus has the event on file. */
  readonly announce: (entry: Entry) => Promise<void>
  readonly log: Logger
}

export interface Relay {
  /** Age of the oldest entry that this process is to announce and could not yet; 0 when there is none. */
  lagS(): number
  stop(): Promise<void>
}

/**
 * Announces committed journal entries on the bus, in order, each at least once. The journal is the outbox: an entry whose
 * process died between commit and announcement is found here by the next. Any number of processes may run it.
 */
export function startRelay({ db, databaseUrl, announce, log }: RelayOptions): Relay {
  let isStopped = false
  let isAgainWanted = false
  let running: Promise<void> | undefined
  let isFailing = false
  let oldest: Date | undefined
  /** Up to here all was told since the bus last kept what it was told. */
  let told = 0

  /** @returns how many entries there were; `undefined` when another process is at it */
  async function relayBatch(): Promise<number | undefined> {
    return db.transaction().execute(async (trx) => {
      // What waits is the other's to tell.
      oldest = undefined
      if (!(await repository.tryLockRelay(trx))) return undefined
      const entries = await repository.listUnannounced(trx, BATCH)
      oldest = entries[0]?.occurredAt
      const batchEnd = entries.at(-1)?.seq ?? 0
      // All on one connection, so they arrive in this order though nobody waits in between.
      const announced = Promise.allSettled(entries.map(announce))
      while (!(await isSettled(announced))) await tellRest(trx, batchEnd)
      const results = await announced
      const seqs: number[] = []
      for (const [index, entry] of entries.entries()) {
        const result = results[index]
        if (result?.status === 'rejected') {
          if (!isHopeless(result.reason)) {
            reportFailure(result.reason)
            break
          }
          // The others must not wait for what will never go: revocations are among them.
          log.error(
            { err: result.reason, operation: entry.operation, id: entry.id },
            'journal entry cannot be announced',
          )
        }
        seqs.push(entry.seq)
      }
      await repository.markAnnounced(trx, seqs)
      if (seqs.length === entries.length) {
        isFailing = false
        oldest = undefined
        told = 0
      } else await tellRest(trx, batchEnd)
      return seqs.length
    })
  }

  /**
   * Tells what waits behind a batch that the bus does not keep, to those who listen now: revocations are among it. It is
   * announced all the same when its turn comes.
   */
  async function tellRest(trx: Trx, batchEnd: number): Promise<void> {
    const settledBefore = Date.now() - COMMITTED_AFTER_MS
    let entries: Entry[] = []
    for (let after = Math.max(told, batchEnd); ; after = entries.at(-1)?.seq ?? after) {
      entries = await repository.listUnannounced(trx, BATCH, after)
      for (const entry of entries) announce(entry).catch(() => undefined)
      told = entries.findLast(({ occurredAt }) => occurredAt.getTime() < settledBefore)?.seq ?? told
      if (entries.length < BATCH || isStopped) return
    }
  }

  // Said once an outage: the entries are safe and wait.
  function reportFailure(error: unknown): void {
    if (!isFailing) log.warn({ err: error }, 'journal entries wait to be announced')
    isFailing = true
  }

  async function run(): Promise<void> {
    do {
      isAgainWanted = false
      try {
        while (!isStopped && (await relayBatch()) === BATCH);
      } catch (error) {
        reportFailure(error)
        return
      }
    } while (isAgainWanted && !isStopped)
  }

  function wake(): void {
    isAgainWanted = true
    running ??= run().finally(() => (running = undefined))
  }

  const listener = listen(databaseUrl, wake)
  const timer = setInterval(wake, POLL_MS)
  wake()

  return {
    lagS: () => (oldest ? Math.max(0, Date.now() - oldest.getTime()) / 1_000 : 0),
    async stop() {
      isStopped = true
      clearInterval(timer)
      await listener.stop()
      await running
    },
  }
}

/** Whether it is settled, or becomes so before our patience ends. */
function isSettled(results: Promise<unknown>): Promise<boolean> {
  return Promise.race([results.then(() => true), sleep(PATIENCE_MS, false, { ref: false })])
}

/** Whether trying again can only fail again. */
const isHopeless = (error: unknown) => error instanceof InvalidInput || error instanceof TooLarge

/** Keeps one connection listening for commits to the journal; while it is away, polling carries on alone. */
function listen(databaseUrl: string, onNotify: () => void): { stop(): Promise<void> } {
  let isStopped = false
  let client: Client | undefined
  let retry: NodeJS.Timeout | undefined

  async function connect(): Promise<void> {
    const fresh = createClient(databaseUrl, 'sluice relay')
    client = fresh
    fresh.on('notification', onNotify)
    fresh.on('error', () => lose(fresh))
    fresh.on('end', () => lose(fresh))
    try {
      await fresh.connect()
      await fresh.query(`listen ${repository.JOURNAL_CHANNEL}`)
    } catch {
      lose(fresh)
    }
  }

  function lose(lost: Client): void {
    if (isStopped || client !== lost) return
    client = undefined
    retry = setTimeout(() => void connect(), POLL_MS)
  }

  void connect()
  return {
    async stop() {
      isStopped = true
      clearTimeout(retry)
      await client?.end().catch(() => undefined)
    },
  }
}
