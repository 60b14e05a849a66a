import type { Bus } from '../../platform/bus/connect.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { createLogLimit } from '../../platform/log-limit.ts'
import type { Logger } from '../../platform/log.ts'
import { BurialBudget } from './burial-budget.ts'
import { buryMessage } from './dead-letters.ts'
import type { Broken } from './prepare.ts'
import type { WriterMetrics } from './writer-metrics.ts'

/** Dead letters on their way at once. The adapters of this process publish past the same bound. */
const AT_ONCE = 1_000
const SUBJECT_SHOWN = 150

export interface BurialParts {
  readonly bus: Bus
  readonly publisher: Publisher
  readonly log: Logger
  readonly metrics: Pick<WriterMetrics, 'deadLetters'>
  /** Of one domain; a sixteenth of the stream unless said. */
  readonly deadLetterBytes?: number
}

/** Takes messages that cannot be stored to the dead letters; resolves when the stream has them all. */
export type Burial = (items: readonly Broken[], streamCreatedAt: string) => Promise<void>

export function createBurial({ bus, publisher, log, metrics, deadLetterBytes }: BurialParts): Burial {
  const budget = new BurialBudget(bus, deadLetterBytes)
  const limit = createLogLimit({ lines: 10 })

  return async (items, streamCreatedAt) => {
    for (let at = 0; at < items.length; at += AT_ONCE) {
      const some = items.slice(at, at + AT_ONCE)
      const buried = await Promise.all(
        some.map(async ({ pulled, reason }) => ({
          ...(await buryMessage(publisher, pulled, reason, streamCreatedAt)),
          domainId: domainOf(pulled),
        })),
      )
      buried.sort((a, b) => a.seq - b.seq)
      for (const { domainId, seq, bytes } of buried) budget.add(domainId, seq, bytes)
      await budget.enforce()
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

/** Also of a subject that is no message's: whatever stands where its domain would. */
const domainOf = ({ msg }: Pulled) => msg.subject.split('.', 2)[1] ?? ''
