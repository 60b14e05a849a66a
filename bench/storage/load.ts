import type { Client } from 'pg'

/** One channel whose 1,000 series have one reading each in turn, for 30 days. */
export const SERIES = 1_000
export const DAYS = 30

/** The first days of the fleet, stored in a database. */
export interface Fleet {
  readonly channelId: string
  readonly readings: number
  readonly days: number
  /** Seconds since the Unix epoch. */
  readonly end: number
}

/**
 * Stores the first readings as the writer would, the oldest first.
 *
 * @param all readings of all 30 days, the last of them now
 */
export async function loadSamples(db: Client, readings: number, all: number): Promise<Fleet> {
  await db.query('truncate samples, series, stored_channels, stored_days, channel_states restart identity')
  const { rows } = await db.query<{ channel_id: string }>(
    'insert into stored_channels (channel_id, domain_id) values (gen_random_uuid(), gen_random_uuid()) returning channel_id',
  )
  const channelId = rows[0]?.channel_id ?? ''
  await db.query(
    `insert into series (key, channel_no, publisher, subtopic, protocol, name, unit)
     select gen_random_uuid(), 1, gen_random_uuid(), '', 'mqtt', 'urn:dev:mac:0024befffe80' || to_hex(i) || ':temperature', 'Cel'
     from generate_series(1, $1) as i`,
    [SERIES],
  )
  const step = (DAYS * 86_400) / all
  const start = Date.now() / 1_000 - DAYS * 86_400
  await db.query(
    `insert into samples (series_id, channel_no, time, place, value)
     select 1 + i % $1, 1, $2::float8 + i * $3::float8, i << 20, (i % 4000) / 100.0
     from generate_series(1::bigint, $4::bigint) as i`,
    [SERIES, start, step, readings],
  )
  await db.query(
    `insert into stored_days select $1, 'readings', floor(time / 86400), count(*) from samples group by 3`,
    [channelId],
  )
  // As autovacuum does, after each fiftieth part that is added.
  await db.query('vacuum analyze')
  // What the load left to write to disk is no part of what comes next.
  await db.query('checkpoint')
  return { channelId, readings, days: (DAYS * readings) / all, end: start + readings * step }
}

/** The layout before: all of a reading in one row, with the indexes that it had. Filled with the samples. */
export async function loadWideRows(db: Client, readings: number): Promise<void> {
  await db.query('drop table if exists wide')
  await db.query(`
    create table wide (
      stream_seq bigint not null, record int not null, domain_id uuid not null, channel_id uuid not null, publisher uuid,
      subtopic text not null, protocol text not null, name text not null, unit text, time double precision not null,
      update_time double precision, value double precision, string_value text, bool_value boolean, data_value text,
      sum double precision
    );
    create index on wide (channel_id, time desc, stream_seq desc, record desc);
    create index on wide (channel_id, name, time desc)`)
  await db.query(
    `insert into wide select stream_seq, record, domain_id, channel_id, publisher, subtopic, protocol, name, unit, time,
       update_time, value, string_value, bool_value, data_value, sum from readings where stream_seq <= $1`,
    [readings],
  )
  await db.query('vacuum analyze wide')
}

/** Bytes of a table and its partitions, with indexes. */
export async function totalBytes(db: Client, table: string): Promise<number> {
  const { rows } = await db.query<{ bytes: number }>(
    `select pg_total_relation_size($1::regclass)::float8 +
       coalesce((select sum(pg_total_relation_size(relid)) from pg_partition_tree($1::regclass) where isleaf), 0)::float8 as bytes`,
    [table],
  )
  return rows[0]?.bytes ?? 0
}
