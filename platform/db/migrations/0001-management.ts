import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * People, tenants, devices, channels, roles, sessions and the journal. Rows of status `deleted` stay for the journal's
 * sake and free their names at once, so every unique index leaves them out.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table users (
      id uuid primary key,
      username text not null,
      email text not null,
      first_name text not null,
      last_name text not null,
      password_hash text not null,
      role text not null default 'user' constraint users_role_known check (role in ('user', 'admin')),
      status text not null default 'enabled'
        constraint users_status_known check (status in ('enabled', 'disabled', 'deleted')),
      tags text[] not null default '{}',
      metadata jsonb not null default '{}',
      private_metadata jsonb not null default '{}',
      profile_picture text not null default '',
      auth_provider text not null default '',
      verified_at timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      updated_by uuid
    );
    create unique index users_username_key on users (lower(username)) where status <> 'deleted';
    create unique index users_email_key on users (email) where status <> 'deleted';

    create table sessions (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      description text not null default '',
      created_at timestamptz not null default now(),
      revoked_at timestamptz
    );
    create index sessions_user_id on sessions (user_id);

    create table refresh_tokens (
      hash bytea primary key,
      session_id uuid not null references sessions (id) on delete cascade,
      expires_at timestamptz not null,
      used_at timestamptz
    );
    create index refresh_tokens_session_id on refresh_tokens (session_id);

    create table signing_keys (
      id text primary key,
      public_jwk jsonb not null,
      private_jwk_sealed bytea not null,
      created_at timestamptz not null default now()
    );

    create table domains (
      id uuid primary key,
      name text not null,
      route text not null,
      tags text[] not null default '{}',
      metadata jsonb not null default '{}',
      status text not null default 'enabled'
        constraint domains_status_known check (status in ('enabled', 'disabled', 'freezed', 'deleted')),
      created_by uuid not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      updated_by uuid
    );
    create unique index domains_route_key on domains (lower(route)) where status <> 'deleted';

    create table groups (
      id uuid primary key,
      domain_id uuid not null references domains (id) on delete cascade,
      parent_id uuid references groups (id) on delete set null,
      -- Ids from the root down to and including this group, so that a subtree and all ancestors are one look-up.
      path uuid[] not null,
      name text not null,
      description text not null default '',
      tags text[] not null default '{}',
      metadata jsonb not null default '{}',
      status text not null default 'enabled'
        constraint groups_status_known check (status in ('enabled', 'disabled', 'deleted')),
      created_by uuid not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      updated_by uuid,
      constraint groups_depth check (cardinality(path) between 1 and 20)
    );
    create index groups_domain_id on groups (domain_id, updated_at desc, id);
    create index groups_parent_id on groups (parent_id);
    create index groups_path on groups using gin (path);

    create table clients (
      id uuid primary key,
      domain_id uuid not null references domains (id) on delete cascade,
      parent_group_id uuid references groups (id) on delete set null,
      name text not null default '',
      identity text not null default '',
      secret_hash bytea not null,
      tags text[] not null default '{}',
      metadata jsonb not null default '{}',
      private_metadata jsonb not null default '{}',
      status text not null default 'enabled'
        constraint clients_status_known check (status in ('enabled', 'disabled', 'deleted')),
      created_by uuid not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      updated_by uuid
    );
    create unique index clients_secret_key on clients (domain_id, secret_hash) where status <> 'deleted';
    create index clients_domain_id on clients (domain_id, updated_at desc, id);
    create index clients_parent_group_id on clients (parent_group_id);

    create table channels (
      id uuid primary key,
      domain_id uuid not null references domains (id) on delete cascade,
      parent_group_id uuid references groups (id) on delete set null,
      name text not null default '',
      description text not null default '',
      route text,
      tags text[] not null default '{}',
      metadata jsonb not null default '{}',
      status text not null default 'enabled'
        constraint channels_status_known check (status in ('enabled', 'disabled', 'deleted')),
      created_by uuid not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      updated_by uuid
    );
    create unique index channels_route_key on channels (domain_id, lower(route)) where status <> 'deleted';
    create index channels_domain_id on channels (domain_id, updated_at desc, id);
    create index channels_parent_group_id on channels (parent_group_id);

    create table connections (
      client_id uuid not null references clients (id) on delete cascade,
      channel_id uuid not null references channels (id) on delete cascade,
      type text not null constraint connections_type_known check (type in ('publish', 'subscribe')),
      primary key (client_id, channel_id, type)
    );
    create index connections_channel_id on connections (channel_id, client_id);

    create table roles (
      id text primary key,
      entity_type text not null
        constraint roles_entity_type_known check (entity_type in ('domain', 'group', 'client', 'channel')),
      entity_id uuid not null,
      domain_id uuid not null references domains (id) on delete cascade,
      name text not null,
      built_in boolean not null default false,
      created_by uuid not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      updated_by uuid,
      constraint roles_name_key unique (entity_type, entity_id, name)
    );
    create index roles_domain_id on roles (domain_id);

    create table role_actions (
      role_id text not null references roles (id) on delete cascade,
      action text not null,
      primary key (role_id, action)
    );

    -- The entity stands here again, because the question asked a million times is "what does this user hold on that entity".
    create table role_members (
      role_id text not null references roles (id) on delete cascade,
      user_id uuid not null references users (id) on delete cascade,
      entity_type text not null,
      entity_id uuid not null,
      domain_id uuid not null,
      primary key (user_id, entity_type, entity_id)
    );
    create index role_members_role_id on role_members (role_id);
    create index role_members_user_domain on role_members (user_id, domain_id);

    create table journal (
      seq bigint generated always as identity primary key,
      id uuid not null,
      domain_id uuid,
      operation text not null,
      entity_type text not null,
      entity_id uuid not null,
      actor_id uuid,
      occurred_at timestamptz not null default clock_timestamp(),
      attributes jsonb not null default '{}',
      announced boolean not null default false
    );
    create index journal_entity on journal (entity_type, entity_id, seq desc);
    create index journal_unannounced on journal (seq) where not announced;

    -- What a permission question needs to know of any entity: its domain, its parent group and the groups above that.
    create view entities as
      select 'domain' as type, id, id as domain_id, null::uuid as parent_id, '{}'::uuid[] as above, status from domains
      union all
      select 'group', id, domain_id, parent_id, trim_array(path, 1), status from groups
      union all
      select 'client', c.id, c.domain_id, c.parent_group_id, coalesce(g.path, '{}'), c.status
        from clients c left join groups g on g.id = c.parent_group_id
      union all
      select 'channel', c.id, c.domain_id, c.parent_group_id, coalesce(g.path, '{}'), c.status
        from channels c left join groups g on g.id = c.parent_group_id;
  `.execute(db)
}
