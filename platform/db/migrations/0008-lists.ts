import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Totals of those who hold a role of their own on very many entities, and search for parts of people's and domains' names.
 * Figures and reasons: docs/decisions/0004-lists.md.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await countReaders(db)
  await indexParts(db)
}

/**
 * On how many entities of a type in a domain a user holds a role that reads, kept as roles come and go. As with
 * `entity_counts` the number is the sum of the rows, so that no transaction waits for another; a row that has come to
 * nothing goes.
 */
async function countReaders(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Roles that were made while their entity was being deleted stayed behind it.
    delete from roles r using entities e where e.type = r.entity_type and e.id = r.entity_id
      and e.type <> 'domain' and e.status = 'deleted';

    create table reading_counts (
      user_id uuid not null,
      entity_type text not null,
      domain_id uuid not null,
      slot bigint generated always as identity,
      count bigint not null,
      primary key (user_id, entity_type, domain_id, slot)
    );

    create function add_to_reading_count(of_user uuid, of_type text, of_domain uuid, difference bigint)
      returns void language plpgsql as $$
    declare
      free record;
    begin
      select slot, count + difference as sum into free from reading_counts
        where user_id = of_user and entity_type = of_type and domain_id = of_domain
        limit 1 for update skip locked;
      if not found then
        insert into reading_counts (user_id, entity_type, domain_id, count)
          values (of_user, of_type, of_domain, difference);
      elsif free.sum = 0 then
        delete from reading_counts
          where user_id = of_user and entity_type = of_type and domain_id = of_domain and slot = free.slot;
      else
        update reading_counts set count = free.sum
          where user_id = of_user and entity_type = of_type and domain_id = of_domain and slot = free.slot;
      end if;
    end $$;

    create function count_readers() returns trigger language plpgsql as $$
    begin
      if tg_op = 'INSERT' then
        perform add_to_reading_count(user_id, entity_type, domain_id, count(*))
          from inserted where reads group by user_id, entity_type, domain_id;
      elsif tg_op = 'DELETE' then
        perform add_to_reading_count(user_id, entity_type, domain_id, -count(*))
          from removed where reads group by user_id, entity_type, domain_id;
      else
        perform add_to_reading_count(user_id, entity_type, domain_id, sum(difference)::bigint)
          from (
            select user_id, entity_type, domain_id, 1 as difference from inserted where reads
            union all
            select user_id, entity_type, domain_id, -1 from removed where reads
          ) as changed
          group by user_id, entity_type, domain_id having sum(difference) <> 0;
      end if;
      return null;
    end $$;

    create trigger count_inserted after insert on role_members
      referencing new table as inserted for each statement execute function count_readers();
    create trigger count_updated after update on role_members
      referencing new table as inserted old table as removed for each statement execute function count_readers();
    create trigger count_deleted after delete on role_members
      referencing old table as removed for each statement execute function count_readers();

    insert into reading_counts (user_id, entity_type, domain_id, count)
      select user_id, entity_type, domain_id, count(*) from role_members
      where reads group by user_id, entity_type, domain_id;
  `.execute(db)
}

/**
 * Parts of people's names, addresses and ids, and of domains' names, where the server has pg_trgm and lets the owner of the
 * database create it; without it the same queries read the rows one by one.
 */
async function indexParts(db: Kysely<unknown>): Promise<void> {
  await sql`
    do $$
    begin
      if exists (select from pg_available_extensions where name = 'pg_trgm') then
        create extension if not exists pg_trgm;
        create index users_parts on users using gin (
          username gin_trgm_ops, first_name gin_trgm_ops, last_name gin_trgm_ops, email gin_trgm_ops,
          (id::text) gin_trgm_ops);
        create index domains_name_parts on domains using gin (name gin_trgm_ops);
      end if;
    exception when insufficient_privilege or feature_not_supported then
      raise notice 'no pg_trgm: search by part of a name is slow where names are many';
    end $$;
  `.execute(db)
}
