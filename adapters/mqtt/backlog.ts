/**
 * What one message costs all sessions that hold it: its payload is in memory once. Made for each message, and given along with
 * every delivery of it.
 */
export interface Share {
  holders: number
  /** Whose account the payload stands on, while anybody holds it. */
  payer: Account | undefined
}

/** What is held: a message for one session. */
export interface Holding {
  readonly payload: Uint8Array
  readonly properties?: { readonly bytes: Uint8Array } | undefined
  readonly share: Share
}

export const newShare = (): Share => ({ holders: 0, payer: undefined })

export interface Backlog {
  /** Held for all sessions of the process together, in flight or waiting. */
  readonly bytes: number
  account(domainId: string): Account
}

const MAX_BYTES = 256 * 1024 * 1024
/** Of the total, what the sessions of one domain may hold: a tenant that fills its own leaves room for the others. */
const DOMAIN_SHARE = 1 / 4
/**
 * Where clients are there it may be so many times as much: what is held for them is on its way out, and was acknowledged to its
 * publisher. It ends somewhere all the same, for those that are there and acknowledge nothing. As the total fills up, a
 * domain may have no more than what is still free of it: however many have what they may, there is room for the next one.
 */
const PRESENT_FACTOR = 2
/** What a message costs each session beside what is in memory once. */
const OVERHEAD_BYTES = 200

/** What is in memory once, for all sessions. */
const sharedBytes = ({ payload, properties }: Holding): number =>
  payload.length + (properties?.bytes.length ?? 0)

/** @returns what a message counts towards the bound of its session alone, whoever else holds it */
export const costOf = (holding: Holding): number => sharedBytes(holding) + OVERHEAD_BYTES

interface Total {
  bytes: number
  readonly maxBytes: number
}

/** What is held for the sessions of one domain. */
export class Account {
  readonly #total: Total
  readonly #maxBytes: number
  #bytes = 0

  constructor(total: Total) {
    this.#total = total
    this.#maxBytes = total.maxBytes * DOMAIN_SHARE
  }

  /** Whether there is so much that clients that are there may have no more messages than those that are away. */
  get isOver(): boolean {
    return this.#bytes > Math.min(this.#maxBytes, this.#limit(PRESENT_FACTOR))
  }

  /** Whether not even clients that are there may have more. */
  get isFull(): boolean {
    return this.#bytes >= this.#limit(PRESENT_FACTOR)
  }

  /** @param isPresent whether the client is there to take it */
  hasRoom(holding: Holding, isPresent: boolean): boolean {
    const bytes = OVERHEAD_BYTES + (holding.share.holders === 0 ? sharedBytes(holding) : 0)
    return this.#bytes + bytes <= this.#limit(isPresent ? PRESENT_FACTOR : 1)
  }

  /** Dynamic threshold (Choudhury and Hahne): its share, or as much as is free of the total when that is less. */
  #limit(factor: number): number {
    return Math.min(this.#maxBytes * factor, this.#total.maxBytes * factor - this.#total.bytes)
  }

  hold(holding: Holding): void {
    const { share } = holding
    this.#add(OVERHEAD_BYTES)
    share.holders += 1
    if (share.holders > 1) return
    share.payer = this
    this.#add(sharedBytes(holding))
  }

  release(holding: Holding): void {
    const { share } = holding
    this.#add(-OVERHEAD_BYTES)
    share.holders -= 1
    if (share.holders > 0 || !share.payer) return
    // To the one that paid, whoever is the last to let go.
    share.payer.#add(-sharedBytes(holding))
  }

  #add(bytes: number): void {
    this.#bytes += bytes
    this.#total.bytes += bytes
  }
}

/**
 * Bounds what all sessions of the process hold together.
 *
 * @param maxBytes for clients that are away; a quarter of it a domain
 */
export function createBacklog(maxBytes = MAX_BYTES): Backlog {
  const total: Total = { bytes: 0, maxBytes }
  /** For ever: a domain costs some bytes here, and comes back as soon as one of its clients does. */
  const accounts = new Map<string, Account>()
  return {
    get bytes() {
      return total.bytes
    },
    account(domainId) {
      let account = accounts.get(domainId)
      if (!account) {
        account = new Account(total)
        accounts.set(domainId, account)
      }
      return account
    },
  }
}
