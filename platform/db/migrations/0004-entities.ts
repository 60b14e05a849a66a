import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Lists of clients, channels and groups that stay fast when there are many, and a second secret while a client changes over.
 * Figures and reasons: docs/decisions/0004-lists.md.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table clients add column old_secret_hash bytea, add column old_secret_expires_at timestamptz;
    create index clients_old_secret on clients (domain_id, old_secret_hash) where old_secret_hash is not null;
    create index clients_old_secret_expiry on clients (old_secret_expires_at) where old_secret_hash is not null;
  `.execute(db)
  for (const table of ['clients', 'channels', 'groups']) await indexLists(db, table)
  await countEntities(db)
  await markReaders(db)
  await indexNames(db)
}

/** One index for each order there is, so that a page is read off its end; the others find few among many. */
async function indexLists(db: Kysely<unknown>, table: string): Promise<void> {
  await sql
    .raw(
      `
      drop index ${table}_domain_id;
      create index ${table}_by_update on ${table} (domain_id, updated_at, id) where status <> 'deleted';
      create index ${table}_by_creation on ${table} (domain_id, created_at, id) where status <> 'deleted';
      -- A name has up to 1,024 characters, an index entry no more than 2,704 bytes.
      create index ${table}_by_name on ${table} (domain_id, left(name, 256), id) where status <> 'deleted';
      create index ${table}_by_status on ${table} (domain_id, status, id);
      create index ${table}_metadata on ${table} using gin (metadata jsonb_path_ops);
      create index ${table}_tags on ${table} using gin (tags);
      `,
    )
    .execute(db)
}

/**
 * How many entities a domain has, kept as they come and go. The number is the sum of the rows ("slots"): a transaction adds
 * to one that nobody else holds, or to a new one, so that none waits for another.
 */
async function countEntities(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table entity_counts (
      domain_id uuid not null,
      entity_type text not null,
      status text not null,
      slot bigint generated always as identity,
      count bigint not null,
      primary key (domain_id, entity_type, status, slot)
    );

    create function add_to_entity_count(of_domain uuid, of_type text, of_status text, difference bigint)
      returns void language plpgsql as $$
    declare
      free bigint;
    begin
      select slot into free from entity_counts
        where domain_id = of_domain and entity_type = of_type and status = of_status
        limit 1 for update skip locked;
      if found then
        update entity_counts set count = count + difference
          where domain_id = of_domain and entity_type = of_type and status = of_status and slot = free;
      else
        insert into entity_counts (domain_id, entity_type, status, count)
          values (of_domain, of_type, of_status, difference);
      end if;
    end $$;

    create function count_entities() returns trigger language plpgsql as $$
    begin
      if tg_op = 'INSERT' then
        perform add_to_entity_count(domain_id, tg_argv[0], status, count(*)) from inserted group by domain_id, status;
      elsif tg_op = 'DELETE' then
        perform add_to_entity_count(domain_id, tg_argv[0], status, -count(*)) from removed group by domain_id, status;
      else
        perform add_to_entity_count(domain_id, tg_argv[0], status, sum(difference)::bigint)
          from (
            select domain_id, status, 1 as difference from inserted
            union all
            select domain_id, status, -1 from removed
          ) as changed
          group by domain_id, status having sum(difference) <> 0;
      end if;
      return null;
    end $$;
  `.execute(db)
  for (const type of ['client', 'channel', 'group']) {
    const on = `on ${type}s`
    const run = `for each statement execute function count_entities('${type}')`
    await sql
      .raw(
        `
        create trigger count_inserted after insert ${on} referencing new table as inserted ${run};
        create trigger count_updated after update ${on} referencing new table as inserted old table as removed ${run};
        create trigger count_deleted after delete ${on} referencing old table as removed ${run};
        insert into entity_counts (domain_id, entity_type, status, count)
          select domain_id, '${type}', status, count(*) from ${type}s group by domain_id, status;
        `,
      )
      .execute(db)
  }
}

/**
 * Whether a member's role holds `read`, beside the member: a list of those who hold a role on each of 100,000 entities would
 * otherwise look that up 100,000 times. Both sides lock the role first, so that a member and an action that come at the same
 * time see each other.
 */
async function markReaders(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table role_members add column reads boolean not null default false;
    update role_members m set reads = true
      where exists (select from role_actions a where a.role_id = m.role_id and a.action = 'read');
    create index role_members_reading on role_members (user_id, entity_type, domain_id, entity_id) where reads;

    create function mark_reading_member() returns trigger language plpgsql as $$
    begin
      perform from roles where id = new.role_id for key share;
      new.reads := exists (select from role_actions where role_id = new.role_id and action = 'read');
      return new;
    end $$;
    create trigger mark_reading before insert or update of role_id on role_members
      for each row execute function mark_reading_member();

    create function mark_reading_role() returns trigger language plpgsql as $$
    declare
      changing text[];
    begin
      -- An array, so that no plan that was made for few rows is kept for many.
      changing := array(select role_id from changed where action = 'read');
      perform from roles where id = any (changing) order by id for update;
      update role_members set reads = (tg_op = 'INSERT') where role_id = any (changing);
      return null;
    end $$;
    create trigger mark_reading_given after insert on role_actions
      referencing new table as changed for each statement execute function mark_reading_role();
    create trigger mark_reading_taken after delete on role_actions
      referencing old table as changed for each statement execute function mark_reading_role();
  `.execute(db)
}

/**
 * Part of a name, where the server has pg_trgm and lets the owner of the database create it, as PostgreSQL does since 13;
 * without it the same query reads the names of the domain one by one.
 */
async function indexNames(db: Kysely<unknown>): Promise<void> {
  await sql`
    do $$
    begin
      if exists (select from pg_available_extensions where name = 'pg_trgm') then
        create extension if not exists pg_trgm;
        create index clients_name_parts on clients using gin (name gin_trgm_ops);
        create index channels_name_parts on channels using gin (name gin_trgm_ops);
        create index groups_name_parts on groups using gin (name gin_trgm_ops);
      end if;
    exception when insufficient_privilege or feature_not_supported then
      raise notice 'no pg_trgm: search by part of a name is slow where names are many';
    end $$;
  `.execute(db)
}
