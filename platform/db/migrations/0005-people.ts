import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Tokens that are good for one thing once, personal access tokens with their scopes, the count of messages by sender, and the
 * indexes behind lists of people,
 * the journal's questions and the removal of what has expired.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table one_time_tokens (
      hash bytea primary key,
      purpose text not null constraint one_time_tokens_purpose_known check (purpose in ('recovery', 'verification')),
      user_id uuid not null references users (id) on delete cascade,
      -- What was proven is that somebody reads mail to this address, which may not be the user's any more.
      email text not null,
      expires_at timestamptz not null
    );
    create index one_time_tokens_user_id on one_time_tokens (user_id, purpose);
    create index one_time_tokens_expires_at on one_time_tokens (expires_at);

    create table pats (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      name text not null,
      description text not null default '',
      secret_hash bytea not null,
      issued_at timestamptz not null default now(),
      expires_at timestamptz not null,
      updated_at timestamptz,
      last_used_at timestamptz,
      revoked_at timestamptz
    );
    create index pats_user_id on pats (user_id, issued_at desc, id);

    create table pat_scopes (
      seq bigint generated always as identity,
      id uuid primary key,
      pat_id uuid not null references pats (id) on delete cascade,
      entity_type text not null,
      domain_id uuid,
      -- An id, or '*' for all of the type.
      entity_id text not null,
      operation text not null
    );
    create unique index pat_scopes_key
      on pat_scopes (pat_id, entity_type, coalesce(domain_id::text, ''), entity_id, operation);

    create index refresh_tokens_expires_at on refresh_tokens (expires_at);

    create index users_updated_at on users (updated_at desc, id desc);
    create index users_superadmins on users (id) where role = 'admin' and status <> 'deleted';
    create index users_metadata on users using gin (metadata jsonb_path_ops);
    create index users_tags on users using gin (tags);
    -- "Who shares a domain with me" begins with the domain.
    create index role_members_domain_users on role_members (entity_id, user_id) where entity_type = 'domain';

    -- How many messages came from whom. Updated with every batch that is stored, so pages keep room for the next version of a row.
    create table arrivals (
      publisher uuid primary key,
      messages bigint not null,
      first_at timestamptz not null,
      last_at timestamptz not null
    ) with (fillfactor = 50);

    create index journal_actor on journal (actor_id, seq desc);
  `.execute(db)
}
