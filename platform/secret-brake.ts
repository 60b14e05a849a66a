import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { AttemptLimits } from './attempts.ts'
import { createBuckets, networkOf } from './buckets.ts'
import { RateLimited } from './errors.ts'

/** A device's secret, as somebody shows it. */
export interface ShownSecret {
  readonly secret: string
  /** The client that it is shown for, whether there is one or not; else where the secret counts. */
  readonly clientId?: string | undefined
  readonly domainId?: string | undefined
}

/** Slows down those who try secrets of devices. */
export interface SecretBrake {
  /**
   * Asks whether a secret holds, unless too many that did not came from the address or for the client.
   *
   * @param question answers nothing when the secret does not hold
   * @throws {RateLimited} also when they became too many meanwhile: who tries a thousand at once learns no more than who tries
   *   one after the other
   */
  ask<T>(shown: ShownSecret, address: string, question: () => Promise<T | null>): Promise<T | null>
}

export interface SecretBrakeOptions extends AttemptLimits {
  /** Addresses that stand for many others, such as those of a load balancer: for their failures nobody else is put off. */
  readonly isShared?: (address: string) => boolean
}

const PROVEN_MAX = 60_000
const WRONG_MAX = 20_000
const DAY_MS = 86_400_000

/**
 * Guesses are counted by address and by client, and run out over the window. That a stranger cannot lock out a device by it
 * takes three rules, since many devices share one address and ids are no secrets:
 *
 * - A secret that was right before is always asked about. Who shows it is no guesser, and the answer decides.
 * - The same wrong secret again is no further guess: a device that was not told of the new one tries the old one for ever.
 * - What was guessed for a client from elsewhere holds up only addresses that have guessed themselves.
 *
 * A guesser with one address has `perAddress` guesses and then one each `windowS / perAddress` seconds, of those for one client
 * `perAccount` and one each `windowS / perAccount` seconds; each further address gains one guess for that client. Counted in
 * this process alone, as the rest of what is remembered here: secrets only as keyed hashes, whose key dies with the process.
 */
export function createSecretBrake(options: SecretBrakeOptions): SecretBrake {
  const { perAccount, perAddress, windowS, isShared = () => false } = options
  const clients = createBuckets(perAccount, windowS)
  const addresses = createBuckets(perAddress, windowS)
  const proven = new LRUCache<string, true>({ max: PROVEN_MAX, ttl: DAY_MS })
  const wrong = new LRUCache<string, true>({ max: WRONG_MAX, ttl: windowS * 1_000 })
  const hashKey = randomBytes(32)

  const keyOf = ({ clientId, domainId, secret }: ShownSecret) =>
    createHmac('sha256', hashKey)
      .update(JSON.stringify([clientId, domainId, secret]))
      .digest('base64')

  return {
    async ask(shown, address, question) {
      const key = keyOf(shown)
      const ofAddress = isShared(address) ? undefined : addresses(networkOf(address))
      const ofClient = shown.clientId === undefined ? undefined : clients(shown.clientId)
      const isProven = proven.has(key)

      function requireRoom(): void {
        if (isProven) return
        const hasGuessed = ofAddress === undefined || !ofAddress.isEmpty()
        const waitS = Math.max(ofAddress?.waitS() ?? 0, (hasGuessed ? ofClient?.waitS() : undefined) ?? 0)
        if (waitS > 0) throw new RateLimited(Math.ceil(waitS))
      }

      requireRoom()
      const answer = await question()
      requireRoom()
      if (answer !== null) {
        proven.set(key, true)
        wrong.delete(key)
      } else {
        proven.delete(key)
        if (!wrong.has(key)) {
          wrong.set(key, true)
          ofAddress?.add()
          ofClient?.add()
        }
      }
      return answer
    },
  }
}
