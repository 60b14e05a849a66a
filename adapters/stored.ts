import { subscribeCommitted } from '../platform/bus/committed.ts'
import type { Bus } from '../platform/bus/connect.ts'
import { ackSequence } from '../platform/bus/publisher.ts'
import type { PublishDone } from '../platform/bus/publisher.ts'
import { Unavailable } from '../platform/errors.ts'

/** The message is on the stream and will be stored, but was not in the time that its publisher waits. */
export class NotStoredYet extends Unavailable {}

export interface StoredOptions {
  /** From publishing on, the stream's own acknowledgement included. */
  readonly timeoutMs?: number
  /** Messages that wait for the writer at the most; more are refused. */
  readonly maxWaiting?: number
}

export interface StoredAcks {
  /**
   * What to publish with instead of `done`: that is called when the writer has committed the message, or with
   * {@link NotStoredYet} when it has not within the time: who sends it again may see it twice.
   */
  wait(done: PublishDone): PublishDone
  /** The same for a message that has its place in the stream already. */
  follow(seq: number, done: PublishDone): void
  stop(): void
}

interface Waiting {
  readonly seq: number
  readonly done: PublishDone
  readonly deadlineMs: number
}

/** Acknowledgements that follow the writer's transaction instead of the stream's file (`SLUICE_ACK=stored`). */
export function createStoredAcks(bus: Bus, options: StoredOptions = {}): StoredAcks {
  const { timeoutMs = 5_000, maxWaiting = 65_536 } = options
  /** In order of sequence number; those that are answered stand before `head`. */
  let waiting: Waiting[] = []
  let head = 0
  let committedSeq = 0
  /** What the numbers are of: a stream that was made anew, or went back, counts some of them again. */
  let counting = ''
  /** A count that has begun anew since its last announcement. */
  let distrusted: string | undefined

  const subscription = subscribeCommitted(bus, (committed) => {
    const its = `${committed.createdAt} ${committed.rewinds}`
    if (its === distrusted) return
    if (its !== counting) {
      // Places of the count before say nothing in this one: what waits may be lost, and its number another message's.
      if (counting !== '') giveUp('the stream counts anew')
      counting = its
      committedSeq = committed.seq
      distrusted = undefined
    } else if (committed.seq > committedSeq) committedSeq = committed.seq
    else return
    release()
  })

  /** An exception in the callback of one message must reach neither the next message nor nats.js's parser. */
  function answer({ done }: Waiting, error?: Error): void {
    try {
      done(error)
    } catch (thrown) {
      bus.log.error({ err: thrown }, 'callback of a publication failed')
    }
  }

  function release(): void {
    for (; head < waiting.length; head++) {
      const first = waiting[head] as Waiting
      if (first.seq > committedSeq) break
      answer(first)
    }
    if (head < 1_024 && head < waiting.length) return
    waiting = waiting.slice(head)
    head = 0
  }

  function giveUp(reason: string): void {
    const left = waiting.slice(head)
    waiting = []
    head = 0
    for (const each of left) answer(each, new NotStoredYet(reason))
  }

  function add(entry: Waiting): void {
    // Acknowledgements of one stream come in its order, all but always.
    let at = waiting.length
    while (at > head && (waiting[at - 1] as Waiting).seq > entry.seq) at -= 1
    if (at === waiting.length) waiting.push(entry)
    else waiting.splice(at, 0, entry)
  }

  function admit(entry: Waiting): void {
    if (entry.seq <= committedSeq) return entry.done()
    if (waiting.length - head >= maxWaiting) {
      return entry.done(new NotStoredYet('too many messages wait for the database'))
    }
    add(entry)
  }

  const sweep = setInterval(
    () => {
      const now = performance.now()
      const late = waiting.slice(head).filter(({ deadlineMs }) => deadlineMs <= now)
      if (late.length === 0) return
      waiting = waiting.slice(head).filter(({ deadlineMs }) => deadlineMs > now)
      head = 0
      for (const each of late) answer(each, new NotStoredYet(`not stored within ${timeoutMs} ms`))
    },
    Math.max(10, Math.min(250, timeoutMs / 4)),
  )
  sweep.unref()

  return {
    wait(done) {
      const deadlineMs = performance.now() + timeoutMs
      const committedBefore = committedSeq
      return (error, ack) => {
        if (error) return done(error)
        const seq = ack && ackSequence(ack)
        if (seq === undefined) return done(new Unavailable('unreadable acknowledgement'))
        // What is published gets a place behind all that was committed before, unless the stream counts anew.
        if (seq <= committedBefore) {
          giveUp('the stream counts anew')
          distrusted = counting
          counting = ''
          committedSeq = 0
        }
        admit({ seq, done, deadlineMs })
      }
    },
    follow: (seq, done) => admit({ seq, done, deadlineMs: performance.now() + timeoutMs }),
    stop() {
      clearInterval(sweep)
      subscription.stop()
      giveUp('the gateway is stopping')
    },
  }
}
