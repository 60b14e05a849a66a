import type { Client } from 'pg'

/**
 * Stores readings a second apart, `value` counting from 0, in the tables as the writer leaves them: of the series `long`, or
 * in turns of so many, `long0` and on.
 */
export async function insertReadings(
  db: Client,
  input: {
    readonly domainId: string
    readonly channelId: string
    readonly count: number
    readonly start: number
    readonly series?: number
  },
): Promise<void> {
  const { rows } = await db.query<{ no: number }>(
    'insert into stored_channels (channel_id, domain_id) values ($1, $2) returning no',
    [input.channelId, input.domainId],
  )
  const no = rows[0]?.no
  const { series = 1 } = input
  const { rows: made } = await db.query<{ id: number }>(
    `insert into series (key, channel_no, subtopic, protocol, name, unit)
     select gen_random_uuid(), $1, '', 'mqtt', case when $2::int = 1 then 'long' else 'long' || n end, 'Cel'
     from generate_series(0, $2 - 1) as n returning id`,
    [no, series],
  )
  await db.query(
    `insert into samples (series_id, channel_no, time, place, value)
     select ($1::int[])[1 + n % $5], $2, $3::double precision + n, n << 20, n from generate_series(0, $4::bigint - 1) as n`,
    [made.map(({ id }) => id), no, input.start, input.count, series],
  )
  await db.query(
    `insert into stored_days (channel_id, kind, day, stored)
     select $1, 'readings', floor(time / 86400), count(*) from samples where channel_no = $2 group by 3`,
    [input.channelId, no],
  )
}

/** Stores JSON messages of the format `large` a second apart in the same way, the first half of them small. */
export async function insertLargeMessages(
  db: Client,
  input: {
    readonly domainId: string
    readonly channelId: string
    readonly count: number
    readonly start: number
  },
): Promise<void> {
  await db.query(
    `insert into json_messages (stream_seq, record, domain_id, channel_id, subtopic, protocol, format, created, payload)
     select n, 0, $1, $2, 'large', 'mqtt', 'large', ($3::bigint + n) * 1000000000,
       jsonb_build_object('text', repeat('x', case when n < $4::bigint / 2 then 10 else 250000 end))
     from generate_series(0, $4::bigint - 1) as n`,
    [input.domainId, input.channelId, input.start, input.count],
  )
}
