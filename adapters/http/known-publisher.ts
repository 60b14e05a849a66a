import { readCredentials } from '../../platform/http/credentials.ts'
import { recallPublisher } from '../admission.ts'
import type { Admission } from '../admission.ts'
import type { Doorkeeper } from '../authority.ts'
import type { Topic } from '../topics.ts'

/** Then the authority is asked again, so that its own answers grow no older than they may. */
const KNOWN_MS = 1_000

interface Known {
  readonly seal: string
  readonly era: number
  readonly untilMs: number
  readonly admission: Admission
}

/** Who published last on a topic, so that the next message from the same client takes one look instead of three. */
export class KnownPublisher {
  readonly #authority: Doorkeeper
  readonly #topic: Topic
  #last: Known | undefined

  constructor(authority: Doorkeeper, topic: Topic) {
    this.#authority = authority
    this.#topic = topic
  }

  /** @returns who may publish there with this `Authorization` now, if that is remembered */
  recall(authorization: string): Admission | undefined {
    const { memory } = this.#authority
    const seal = memory.seal(authorization)
    const now = Date.now()
    const last = this.#last
    if (last && last.seal === seal && last.era === memory.era && now < last.untilMs) return last.admission

    const presented = readCredentials(authorization, undefined)
    const admission = presented && recallPublisher(this.#authority, presented, this.#topic)
    // Tokens end by themselves; clients' secrets do not.
    const isLasting = admission?.principal.kind === 'client'
    this.#last = isLasting ? { seal, era: memory.era, untilMs: now + KNOWN_MS, admission } : undefined
    return admission
  }
}
