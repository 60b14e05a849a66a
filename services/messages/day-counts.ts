import { escapeLiteral } from 'pg'
import { DAY_S, LAST_DAY } from './totals.ts'

interface DayCount {
  readonly channelId: string
  readonly kind: string
  readonly day: number
  stored: number
}

/** The day of a time in seconds since the Unix epoch, counted from there. */
export const dayOf = (time: number) => Math.max(-LAST_DAY, Math.min(LAST_DAY, Math.floor(time / DAY_S)))

/** What a batch adds to the days of its channels. */
export class DayCounts {
  readonly #counts = new Map<string, DayCount>()

  add(channelId: string, kind: string, day: number, stored: number): void {
    const key = `${day} ${channelId} ${kind}`
    const found = this.#counts.get(key)
    if (found) found.stored += stored
    else this.#counts.set(key, { channelId, kind, day, stored })
  }

  /**
   * What saves them, `undefined` when there is nothing. It belongs into the transaction that stores the rows, behind them: who
   * removes rows takes the locks in this order too.
   */
  statement(): string | undefined {
    if (this.#counts.size === 0) return undefined
    const rows = Array.from(
      this.#counts.values(),
      ({ channelId, kind, day, stored }) =>
        `(${escapeLiteral(channelId)}::uuid, ${escapeLiteral(kind)}, ${day}, ${stored})`,
    )
    return `insert into stored_days as d (channel_id, kind, day, stored) values ${rows.join(', ')}
      on conflict (channel_id, kind, day) do update set stored = d.stored + excluded.stored`
  }
}
