import { isWrongRevision } from '../../platform/bus/records.ts'
import type { RecordAt } from '../../platform/bus/records.ts'
import { Unavailable } from '../../platform/errors.ts'
import { NOT_WRITTEN, writtenOf } from './session-records.ts'
import type { SessionRecords, Written } from './session-records.ts'

/** What the ledgers of a process share. */
export interface LedgerHost {
  readonly records: SessionRecords
  /** Writes down soon what {@link Ledger.touch} asked for. */
  readonly later: (ledger: Ledger) => void
}

/** What a ledger writes down. */
export interface Recorded {
  readonly key: string
  /** As it stands now. */
  encoded(): Uint8Array
  /** Whether what was found instead of our last writing is our own, written while we thought it was not. */
  isOwn(value: Uint8Array): boolean
  /** Another process has it. */
  onTaken(): void
}

type Done = (error?: Error) => void

const RETRY_MS = 200
/** Attempts of the last writing; a process that ends later than that is cleaned up after by others. */
const LAST_ATTEMPTS = 5

/**
 * Writes one session down, one writing at a time. What must not be said before it is written goes through
 * {@link commit}; all that asks while a writing is under way shares the next one.
 */
export class Ledger {
  readonly #host: LedgerHost
  readonly #recorded: Recorded
  #written: Written
  #waiting: Done[] = []
  #isWriting = false
  #isOver = false
  /** Called when the writing under way has ended. */
  #onIdle: (() => void) | undefined

  /** @param written when the session was taken */
  constructor(host: LedgerHost, recorded: Recorded, written: Written) {
    this.#host = host
    this.#recorded = recorded
    this.#written = written
  }

  /** Whether nothing is written any more: it was the last time, or another process has the session. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The session has changed, and it is no harm if a crash forgets it. */
  touch(): void {
    if (!this.#isOver) this.#host.later(this)
  }

  /** Calls back when the session as it stands now, or later, is written; with an error when it never will be by us. */
  commit(done: Done): void {
    if (this.#isOver) return done(new Unavailable('the session has ended here'))
    this.#waiting.push(done)
    if (!this.#isWriting) this.write()
  }

  /** Writes now, unless a writing is under way. */
  write(): void {
    if (this.#isWriting || this.#isOver) return
    this.#isWriting = true
    const waiting = this.#waiting
    this.#waiting = []
    this.#put(this.#recorded.encoded(), (error) => {
      this.#isWriting = false
      if (this.#isOver) {
        for (const done of waiting) done(error ?? new Unavailable('the session has ended here'))
        return this.#onIdle?.()
      }
      if (error && !(error instanceof Unavailable)) {
        // Such as a session of more than it may be: trying again would say the same for ever.
        for (const done of waiting) done(error)
        return
      }
      if (error) {
        // The bus is away: what waits goes on waiting, ahead of what came since.
        this.#waiting = [...waiting, ...this.#waiting]
        setTimeout(() => this.write(), RETRY_MS).unref()
        return
      }
      for (const done of waiting) done()
      if (this.#waiting.length > 0) this.write()
    })
  }

  /**
   * Writes for the last time, or takes the record away. Resolves when that is done, was not ours to do any more, or could
   * not be done in a while, and then rejects.
   */
  async finish(last: Uint8Array | undefined): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    for (const done of this.#waiting.splice(0)) done(new Unavailable('the session has ended here'))
    if (this.#isWriting) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        await (last ? this.#putLast(last) : this.#host.records.remove(this.#recorded.key, this.#written))
        return
      } catch (error) {
        if (this.#written === NOT_WRITTEN) return
        if (attempt === LAST_ATTEMPTS || !(error instanceof Unavailable)) throw error
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  #putLast(last: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#put(last, (error) => (error && this.#written !== NOT_WRITTEN ? reject(error) : resolve()))
    })
  }

  /** @param done with an error when it may be tried again */
  #put(value: Uint8Array, done: Done): void {
    this.#host.records.put(this.#recorded.key, value, this.#written, (error, written) => {
      if (!error) {
        this.#written = written
        return done()
      }
      if (isWrongRevision(error)) void this.#lookAgain(done)
      else done(error)
    })
  }

  /** Somebody has written in between: ourselves, when an answer was lost, or who has the session now. */
  async #lookAgain(done: Done): Promise<void> {
    let found: RecordAt | undefined
    try {
      found = await this.#host.records.get(this.#recorded.key)
    } catch (error) {
      return done(error as Error)
    }
    if (found && this.#recorded.isOwn(found.value)) {
      this.#written = writtenOf(found)
      return done(new Unavailable('an earlier writing was not answered'))
    }
    this.#written = NOT_WRITTEN
    const wasOver = this.#isOver
    this.#isOver = true
    if (!wasOver) this.#recorded.onTaken()
    done(new Unavailable('another process has the session'))
  }
}

const LATER_MS = 1_000

/** Gathers ledgers that have something to write, so that a busy session is written once a second and not once a message. */
export function createLedgerClock(): { later: (ledger: Ledger) => void; stop: () => void } {
  let dirty = new Set<Ledger>()
  const timer = setInterval(() => {
    const due = dirty
    dirty = new Set()
    for (const ledger of due) ledger.write()
  }, LATER_MS)
  timer.unref()
  return {
    later: (ledger) => dirty.add(ledger),
    stop: () => clearInterval(timer),
  }
}
