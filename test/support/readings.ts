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
