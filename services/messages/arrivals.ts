import { escapeLiteral } from 'pg'
import { isCanonicalUuid } from '../../platform/identifiers.ts'

/** Messages counted by who sent them: clients and users. */
export class Arrivals {
  readonly #byPublisher = new Map<string, { count: number; firstMs: number; lastMs: number }>()

  /** @param publisher as the message says; foreign NATS clients say nothing of who they are, or whatever they like */
  add(publisher: string, atMs: number): void {
    const known = this.#byPublisher.get(publisher)
    if (known) {
      known.count += 1
      known.firstMs = Math.min(known.firstMs, atMs)
      known.lastMs = Math.max(known.lastMs, atMs)
    } else if (isCanonicalUuid(publisher)) {
      this.#byPublisher.set(publisher, { count: 1, firstMs: atMs, lastMs: atMs })
    }
  }

  /**
   * What saves them, `undefined` when there is nothing. It belongs into the transaction that stores the messages: what is
   * counted is exactly what lies behind the position.
   */
  statement(): string | undefined {
    if (this.#byPublisher.size === 0) return undefined
    const rows = Array.from(
      this.#byPublisher,
      ([publisher, { count, firstMs, lastMs }]) =>
        `(${escapeLiteral(publisher)}::uuid, ${count}, to_timestamp(${firstMs / 1_000}), to_timestamp(${lastMs / 1_000}))`,
    )
    return `insert into arrivals as a (publisher, messages, first_at, last_at) values ${rows.join(', ')}
      on conflict (publisher) do update set messages = a.messages + excluded.messages,
        first_at = least(a.first_at, excluded.first_at), last_at = greatest(a.last_at, excluded.last_at)`
  }
}
