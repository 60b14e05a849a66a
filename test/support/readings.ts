import type { Client } from 'pg'

/** Stores readings of one series, a second apart, `value` counting from 0, in the tables as the writer leaves them. */
export async function insertReadings(
  db: Client,
  input: {
    readonly domainId: string
    readonly channelId: string
    readonly count: number
    readonly start: number
  },
): Promise<void> {
  const { rows } = await db.query<{ no: number }>(
    'insert into stored_channels (channel_id, domain_id) values ($1, $2) returning no',
    [input.channelId, input.domainId],
  )
  const no = rows[0]?.no
  const series = await db.query<{ id: number }>(
    `insert into series (key, channel_no, subtopic, protocol, name, unit)
     values (gen_random_uuid(), $1, '', 'mqtt', 'long', 'Cel') returning id`,
    [no],
  )
  await db.query(
    `insert into samples (series_id, channel_no, time, place, value)
     select $1, $2, $3::double precision + n, n << 20, n from generate_series(0, $4::bigint - 1) as n`,
    [series.rows[0]?.id, no, input.start, input.count],
  )
  await db.query(
    `insert into stored_days (channel_id, kind, day, stored)
     select $1, 'readings', floor(time / 86400), count(*) from samples where channel_no = $2 group by 3`,
    [input.channelId, no],
  )
}
