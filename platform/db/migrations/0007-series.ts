import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Series know whether all they have are numbers: those are read from the index alone, which holds the place for it. The
 * writer's position names the message that it stands at, and counts how often series were removed.
 * Why: docs/decisions/0006-storage-layout.md.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    drop index samples_series_time;
    create index samples_series_time on samples (series_id, time, place) include (value);

    -- Whether each of its samples is a number and nothing else; once false it stays so.
    alter table series add column is_plain boolean not null default true;
    update series set is_plain = false where id in (
      select series_id from samples where bool_value is not null or string_value is not null or rest is not null);

    alter table stream_positions
      -- When the stream took the message at the position, in nanoseconds since the Unix epoch. A stream that lost its end
      -- gives the number of that message to another one, but not its time.
      add column taken_ns bigint,
      -- How often that stream was found to have lost its end.
      add column rewinds int not null default 0,
      -- Counts the removals of series. What a writer knows of the dictionary holds for one generation.
      add column series_generation bigint not null default 0;
  `.execute(db)
}
