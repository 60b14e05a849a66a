import type { Client } from 'pg'

/** One message that came from a client or a user. */
export interface Arrival {
  readonly publisher: string
  readonly atMs: number
}

/**
 * Counts messages by who sent them, in the transaction that stores them: what is counted is exactly what lies behind the
 * position. One statement a batch, one row a publisher in it.
 */
export async function countArrivals(client: Client, arrivals: readonly Arrival[]): Promise<void> {
  if (arrivals.length === 0) return
  const byPublisher = new Map<string, { count: number; firstMs: number; lastMs: number }>()
  for (const { publisher, atMs } of arrivals) {
    const known = byPublisher.get(publisher)
    if (known) {
      known.count += 1
      known.firstMs = Math.min(known.firstMs, atMs)
      known.lastMs = Math.max(known.lastMs, atMs)
    } else byPublisher.set(publisher, { count: 1, firstMs: atMs, lastMs: atMs })
  }
  const counted = [...byPublisher.values()]
  await client.query(
    `insert into arrivals as a (publisher, messages, first_at, last_at)
     select publisher, messages, to_timestamp(first_ms / 1000.0), to_timestamp(last_ms / 1000.0)
     from unnest($1::uuid[], $2::bigint[], $3::float8[], $4::float8[]) as n (publisher, messages, first_ms, last_ms)
     on conflict (publisher) do update set messages = a.messages + excluded.messages,
       first_at = least(a.first_at, excluded.first_at), last_at = greatest(a.last_at, excluded.last_at)`,
    [
      [...byPublisher.keys()],
      counted.map((one) => one.count),
      counted.map((one) => one.firstMs),
      counted.map((one) => one.lastMs),
    ],
  )
}
