import { RateLimited } from '../platform/errors.ts'
import { createRate } from '../platform/rate.ts'
import type { Publish } from './publish.ts'

/** Messages in a second at the most; any number where not given. Each process counts by itself. */
export interface MessageRateLimits {
  /** Of one client, or of one user who publishes. */
  readonly perClient?: number | undefined
  readonly perDomain?: number | undefined
  readonly perListener?: number | undefined
}

/** What one listener may put on the stream. */
export interface MessageRate {
  /** What a message is too much for, or nothing. Counts nothing. */
  refusalOf(message: Sender): RateLimited | undefined
  /** Counts the message, unless it is too much. */
  admit(message: Sender): RateLimited | undefined
}

interface Sender {
  readonly publisher: string
  readonly domainId: string
}

/** @returns makes the rate of a listener; `undefined` when nothing is limited, so that nobody asks for each message */
export function createMessageRates(
  limits: MessageRateLimits,
): ((listener: string) => MessageRate) | undefined {
  const kinds = (
    [
      ['client_message_rate', limits.perClient, ({ publisher }: Sender) => publisher],
      ['domain_message_rate', limits.perDomain, ({ domainId }: Sender) => domainId],
      ['listener_message_rate', limits.perListener, (_: Sender, listener: string) => listener],
    ] as const
  ).flatMap(([code, perS, keyOf]) => (perS === undefined ? [] : [{ code, keyOf, rate: createRate(perS) }]))
  if (kinds.length === 0) return undefined

  return (listener) => {
    function refusalOf(message: Sender): RateLimited | undefined {
      for (const { code, keyOf, rate } of kinds) {
        const waitMs = rate.waitMs(keyOf(message, listener))
        if (waitMs > 0) return new RateLimited(waitMs / 1_000, { code, message: MESSAGE })
      }
      return undefined
    }
    return {
      refusalOf,
      admit(message) {
        const refusal = refusalOf(message)
        if (!refusal) for (const { keyOf, rate } of kinds) rate.take(keyOf(message, listener))
        return refusal
      },
    }
  }
}

const MESSAGE = 'too many messages; try again later'

/** Publishes what the rate has room for, and answers the rest with {@link RateLimited}. */
export function limitPublish(publish: Publish, rate: MessageRate | undefined): Publish {
  if (!rate) return publish
  return (message, done) => {
    const refusal = rate.admit(message)
    if (refusal) done(refusal)
    else publish(message, done)
  }
}
