/** What is on file for the sessions of one domain. */
export interface Amount {
  readonly records: number
  readonly bytes: number
}

/**
 * How much the sessions of each domain take, over all processes. Each process counts what it writes itself, and measures anew
 * before it refuses anything, and whenever it has written so much more that the others may have done the same.
 */
export interface SessionRoom {
  /** As far as it is known here: what was measured, and what this process has written since. */
  heldBytes(domainId: string): number
  /** @param amount negative for what was taken away */
  add(domainId: string, amount: Amount): void
  /**
   * Resolves when it is known what there is: as of now, as of a second ago, or as it was, when so much was measured of late that
   * it has to wait. Rejects when NATS does not tell.
   */
  measured(domainId: string): Promise<void>
}

interface Shelf {
  bytes: number
  /** Written more than taken away since the last measuring. */
  grownBytes: number
  measuredAtMs: number
}

/** What a record costs the stream beside its value: subject, headers, place. */
const RECORD_BYTES = 300
const MEASURED_FOR_MS = 1_000
/**
 * Rests so many times as long as a measuring took before the next one, of whichever domain: a tenant that has no room left asks
 * as often as it likes, and the more it has the longer it takes.
 */
const REST_FACTOR = 20

const costOf = ({ records, bytes }: Amount): number => records * RECORD_BYTES + bytes

/** @param stepBytes growth of one domain in this process after which it is measured */
export function createSessionRoom(options: {
  measure: (domainId: string) => Promise<Amount>
  stepBytes: number
}): SessionRoom {
  /** For ever: a domain costs some bytes here, and comes back as soon as one of its clients does. */
  const shelves = new Map<string, Shelf>()
  let underWay: { readonly shelf: Shelf; readonly ended: Promise<void> } | undefined
  let restUntilMs = 0

  function shelfOf(domainId: string): Shelf {
    let shelf = shelves.get(domainId)
    if (!shelf) {
      shelf = { bytes: 0, grownBytes: 0, measuredAtMs: 0 }
      shelves.set(domainId, shelf)
    }
    return shelf
  }

  async function measure(domainId: string, shelf: Shelf): Promise<void> {
    const before = shelf.bytes
    const beganAtMs = Date.now()
    shelf.grownBytes = 0
    try {
      const found = costOf(await options.measure(domainId))
      // What was written meanwhile may be in it, or not: rather counted twice than never.
      shelf.bytes = found + Math.max(0, shelf.bytes - before)
    } finally {
      shelf.measuredAtMs = Date.now()
      restUntilMs = shelf.measuredAtMs + REST_FACTOR * (shelf.measuredAtMs - beganAtMs)
      underWay = undefined
    }
  }

  function measured(domainId: string): Promise<void> {
    const shelf = shelfOf(domainId)
    if (underWay) return underWay.shelf === shelf ? underWay.ended : Promise.resolve()
    const now = Date.now()
    if (now < restUntilMs || now - shelf.measuredAtMs < MEASURED_FOR_MS) return Promise.resolve()
    const ended = measure(domainId, shelf)
    underWay = { shelf, ended }
    return ended
  }

  return {
    heldBytes: (domainId) => shelves.get(domainId)?.bytes ?? 0,
    add(domainId, amount) {
      const shelf = shelfOf(domainId)
      const bytes = costOf(amount)
      shelf.bytes += bytes
      shelf.grownBytes = Math.max(0, shelf.grownBytes + bytes)
      // When it fails now, the next writing asks again.
      if (shelf.grownBytes > options.stepBytes) measured(domainId).catch(() => undefined)
    },
    measured,
  }
}
