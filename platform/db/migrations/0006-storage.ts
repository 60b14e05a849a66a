import { sql } from 'kysely'
import type { Kysely } from 'kysely'

const WEEK_S = 7 * 86_400
/** Weeks before and behind this one that get a partition at once; the maintenance goes on from there. */
const WEEKS_BACK = 5
const WEEKS_AHEAD = 2

/**
 * Readings as narrow samples that point to a dictionary of series, partitioned by week, with `readings` as the view that
 * joins them again; counts a day, so that totals need no counting. Why: docs/decisions/0006-storage-layout.md.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table readings rename to wide_readings;
    alter index readings_channel_time rename to wide_readings_channel_time;
    alter index readings_channel_name_time rename to wide_readings_channel_name_time;

    create table stored_channels (
      no int generated always as identity primary key,
      channel_id uuid not null constraint stored_channels_channel_id_key unique,
      domain_id uuid not null
    );
    create index stored_channels_domain_id on stored_channels (domain_id);

    create table series (
      id int generated always as identity primary key,
      -- Names the columns below, which may be longer than an index takes; services/messages/dictionary.ts makes it.
      key uuid not null constraint series_key_key unique,
      channel_no int not null,
      publisher uuid,
      subtopic text not null,
      protocol text not null,
      name text not null,
      unit text
    );
    create index series_channel_name on series (channel_no, name);

    -- Eight columns at the most: with a ninth the map of nulls, and with it each row, grows by eight bytes. No foreign keys:
    -- checking them costs more than the row; nothing is ever deleted from the dictionaries.
    create table samples (
      series_id int not null,
      channel_no int not null,
      -- Seconds since the Unix epoch, the very double that SenML's arithmetic gives.
      time double precision not null,
      -- Where in the stream the reading came from: sequence number << 20 | place in its message.
      place bigint not null,
      value double precision,
      bool_value boolean,
      string_value text,
      -- What few readings have: 'vd' (base64url), 's' (sum), 'ut' (update time).
      rest jsonb
    ) partition by range (time);
    create index samples_channel_time on samples (channel_no, time);
    -- With the number in it, means over a month read the index alone and not each row from a page of its own.
    create index samples_series_time on samples (series_id, time) include (value);

    create view readings as
      select samples.place >> 20 as stream_seq, (samples.place & 1048575)::int as record, stored_channels.domain_id,
        stored_channels.channel_id, series.publisher, series.subtopic, series.protocol, series.name, series.unit,
        samples.time, (samples.rest ->> 'ut')::double precision as update_time, samples.value, samples.string_value,
        samples.bool_value, samples.rest ->> 'vd' as data_value, (samples.rest ->> 's')::double precision as sum
      from samples
      join series on series.id = samples.series_id
      join stored_channels on stored_channels.no = samples.channel_no;

    -- Rows stored of a channel by the day (since the Unix epoch, UTC) of their time, kept in the transaction that stores them.
    create table stored_days (
      channel_id uuid not null,
      -- 'readings', or 'json:' with the format of JSON messages.
      kind text not null,
      day int not null,
      stored bigint not null,
      primary key (channel_id, kind, day)
    ) with (fillfactor = 50);
    create index stored_days_day on stored_days (day);

    -- Days that messages are kept; null: as long as the platform's setting says.
    alter table domains add column message_retention_days int
      constraint domains_message_retention_days_positive check (message_retention_days > 0);
  `.execute(db)
  await createPartitions(db)
  await moveRows(db)
}

/** No default partition: one would keep Postgres from reading partitions in the order of time, newest first. */
async function createPartitions(db: Kysely<unknown>): Promise<void> {
  const thisWeek = Math.floor(Date.now() / 1_000 / WEEK_S)
  const first = thisWeek - WEEKS_BACK
  const end = thisWeek + WEEKS_AHEAD + 1
  // Rows are only ever added, and reading an index alone works for pages that vacuum has seen.
  const partition = (name: string, from: string, to: string) =>
    sql
      .raw(
        `create table ${name} partition of samples for values from (${from}) to (${to})
          with (autovacuum_vacuum_insert_scale_factor = 0.02)`,
      )
      .execute(db)
  await partition('samples_early', 'minvalue', String(first * WEEK_S))
  for (let week = first; week < end; week++) {
    await partition(`samples_w${week}`, String(week * WEEK_S), String((week + 1) * WEEK_S))
  }
  await partition('samples_late', String(end * WEEK_S), 'maxvalue')
}

async function moveRows(db: Kysely<unknown>): Promise<void> {
  await sql`
    insert into stored_channels (channel_id, domain_id)
      select distinct on (channel_id) channel_id, domain_id from wide_readings order by channel_id, stream_seq;
    -- Keys of their own: at worst the writer makes a second series of the same name beside a moved one.
    insert into series (key, channel_no, publisher, subtopic, protocol, name, unit)
      select gen_random_uuid(), *
        from (select distinct c.no, r.publisher, r.subtopic, r.protocol, r.name, r.unit
                from wide_readings r join stored_channels c using (channel_id)) as found;
    insert into samples
      select s.id, s.channel_no, r.time, r.stream_seq << 20 | r.record, r.value, r.bool_value, r.string_value,
        nullif(jsonb_strip_nulls(jsonb_build_object('vd', r.data_value, 's', r.sum, 'ut', r.update_time)), '{}')
      from wide_readings r
      join stored_channels c using (channel_id)
      join series s on s.channel_no = c.no and s.name = r.name and s.subtopic = r.subtopic and s.protocol = r.protocol
        and s.publisher is not distinct from r.publisher and s.unit is not distinct from r.unit;
    insert into stored_days (channel_id, kind, day, stored)
      select channel_id, 'readings', greatest(-1000000, least(1000000, floor(time / 86400)))::int, count(*)
        from wide_readings group by 1, 2, 3
      union all
      select channel_id, 'json:' || format, (created / 86400000000000)::int, count(*) from json_messages group by 1, 2, 3;
    drop table wide_readings;
  `.execute(db)
}
