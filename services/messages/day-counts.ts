import type { Client } from 'pg'
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

  /** In the transaction that stores the rows, and behind them: who removes rows takes the locks in this order too. */
  async save(client: Client): Promise<void> {
    if (this.#counts.size === 0) return
    const counts = [...this.#counts.values()]
    await client.query(
      `insert into stored_days as d (channel_id, kind, day, stored)
       select * from unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[])
       on conflict (channel_id, kind, day) do update set stored = d.stored + excluded.stored`,
      [
        counts.map(({ channelId }) => channelId),
        counts.map(({ kind }) => kind),
        counts.map(({ day }) => day),
        counts.map(({ stored }) => stored),
      ],
    )
  }
}
