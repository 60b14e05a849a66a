import type { Publisher } from '../../platform/bus/publisher.ts'
import { createLogLimit } from '../../platform/log-limit.ts'
import type { Logger } from '../../platform/log.ts'
import { buryMessage } from './dead-letters.ts'
import type { Broken } from './prepare.ts'
import type { WriterMetrics } from './writer-metrics.ts'

/** Dead letters on their way at once. The adapters of this process publish past the same bound. */
const AT_ONCE = 1_000
const SUBJECT_SHOWN = 150

export interface BurialParts {
  readonly publisher: Publisher
  readonly log: Logger
  readonly metrics: Pick<WriterMetrics, 'deadLetters'>
}

/** Takes messages that cannot be stored to the dead letters; resolves when the stream has them all. */
export type Burial = (items: readonly Broken[], streamCreatedAt: string) => Promise<void>

export function createBurial({ publisher, log, metrics }: BurialParts): Burial {
  const limit = createLogLimit({ lines: 10 })

  return async (items, streamCreatedAt) => {
    for (let at = 0; at < items.length; at += AT_ONCE) {
      const some = items.slice(at, at + AT_ONCE)
      await Promise.all(
        some.map(({ pulled, reason }) => buryMessage(publisher, pulled, reason, streamCreatedAt)),
      )
    }
    const [first] = items
    if (!first) return
    metrics.deadLetters.inc(items.length)
    // Some lines a window, not one a message: a device that sends nothing but rubbish must not fill the log.
    const leftOut = limit.admit('buried')
    if (leftOut === undefined) return
    const { seq, msg } = first.pulled
    log.info(
      {
        count: items.length,
        leftOut,
        subject: msg.subject.slice(0, SUBJECT_SHOWN),
        seq,
        reason: first.reason.slice(0, SUBJECT_SHOWN),
      },
      'messages cannot be stored and went to the dead letters',
    )
  }
}
