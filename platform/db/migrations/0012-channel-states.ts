import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Whether anything of a channel has changed, and how many readings it has, in one row: the days of one that has sent other
 * JSON on very many subtopics are too many to be looked at for each answer. Kept by whatever changes the days.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Changes with each batch that is stored: pages keep room for the next version of a row.
    create table channel_states (
      channel_id uuid primary key,
      -- Only ever rises, whether something is stored or removed.
      revision bigint not null,
      readings bigint not null
    ) with (fillfactor = 50);

    insert into channel_states (channel_id, revision, readings)
      select channel_id, 1, coalesce(sum(stored) filter (where kind = 'readings'), 0) from stored_days group by channel_id;

    create function add_to_channel_states() returns trigger language plpgsql as $$
    begin
      if tg_op = 'INSERT' then
        -- In one order, so that two who store and remove of the same channels do not wait for each other.
        insert into channel_states as s (channel_id, revision, readings)
          select channel_id, 1, coalesce(sum(stored) filter (where kind = 'readings'), 0)
            from inserted group by channel_id order by channel_id
          on conflict (channel_id) do update
            set revision = s.revision + 1, readings = s.readings + excluded.readings;
      elsif tg_op = 'DELETE' then
        insert into channel_states as s (channel_id, revision, readings)
          select channel_id, 1, -coalesce(sum(stored) filter (where kind = 'readings'), 0)
            from removed group by channel_id order by channel_id
          on conflict (channel_id) do update
            set revision = s.revision + 1, readings = s.readings + excluded.readings;
      else
        insert into channel_states as s (channel_id, revision, readings)
          select channel_id, 1, coalesce(sum(difference) filter (where kind = 'readings'), 0)
            from (
              select channel_id, kind, stored as difference from inserted
              union all
              select channel_id, kind, -stored from removed
            ) as changed
            group by channel_id order by channel_id
          on conflict (channel_id) do update
            set revision = s.revision + 1, readings = s.readings + excluded.readings;
      end if;
      return null;
    end $$;

    create trigger count_inserted after insert on stored_days
      referencing new table as inserted for each statement execute function add_to_channel_states();
    create trigger count_updated after update on stored_days
      referencing new table as inserted old table as removed for each statement execute function add_to_channel_states();
    create trigger count_deleted after delete on stored_days
      referencing old table as removed for each statement execute function add_to_channel_states();
  `.execute(db)
}
