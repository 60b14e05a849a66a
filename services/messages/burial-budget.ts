import type { Bus } from '../../platform/bus/connect.ts'
import { DEADLETTERS_STREAM } from '../../platform/bus/streams.ts'
import { deadLettersOf } from './dead-letters.ts'

/** A sixteenth of the stream: one domain alone must not push out the dead letters of all others. */
const DOMAIN_BYTES = 8 * 1_048_576
/** A budget is counted in parts, of which the oldest go: half of them at once, so that little is asked of the server. */
const PARTS = 16
/** Domains that are counted; beyond, those that have buried nothing for the longest time begin anew. */
const DOMAINS = 10_000

/** Dead letters that follow each other. */
interface Part {
  readonly firstSeq: number
  bytes: number
}

/**
 * Bounds what dead letters of each domain there are by their bytes: the oldest go. Counted is what this process has buried;
 * what it found in the stream goes first.
 */
export class BurialBudget {
  readonly #bus: Bus
  readonly #domainBytes: number
  readonly #domains = new Map<string, Part[]>()
  readonly #full = new Set<string>()

  constructor(bus: Bus, domainBytes = DOMAIN_BYTES) {
    this.#bus = bus
    this.#domainBytes = domainBytes
  }

  /** @param seq its place among the dead letters */
  add(domainId: string, seq: number, bytes: number): void {
    const parts = this.#domains.get(domainId) ?? []
    const last = parts.at(-1)
    if (last && last.bytes + bytes <= this.#domainBytes / PARTS) last.bytes += bytes
    else parts.push({ firstSeq: seq, bytes })
    // Behind all others now.
    this.#domains.delete(domainId)
    this.#domains.set(domainId, parts)
    if (sumOf(parts) > this.#domainBytes) this.#full.add(domainId)
    const [oldest] = this.#domains.keys()
    if (this.#domains.size > DOMAINS && oldest !== undefined) this.#domains.delete(oldest)
  }

  /** Removes the oldest dead letters of domains that have too many. */
  async enforce(): Promise<void> {
    if (this.#full.size === 0) return
    const manager = await this.#bus.connection.jetstreamManager({ checkAPI: false })
    for (const domainId of this.#full) {
      const parts = this.#domains.get(domainId) ?? []
      while (parts.length > 1 && sumOf(parts) > this.#domainBytes / 2) parts.shift()
      const seq = parts[0]?.firstSeq
      // `seq` of a purge is the first that stays.
      if (seq !== undefined)
        await manager.streams.purge(DEADLETTERS_STREAM, { filter: deadLettersOf(domainId), seq })
      this.#full.delete(domainId)
    }
  }
}

const sumOf = (parts: readonly Part[]) => parts.reduce((sum, { bytes }) => sum + bytes, 0)
