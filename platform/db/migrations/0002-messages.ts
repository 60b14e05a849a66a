import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Stored readings and other JSON messages, and how far into the stream the writer has come. `(stream_seq, record)` names a
 * row for good: it is where in the stream the row came from, so order is total and nothing can be stored twice unnoticed.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table readings (
      stream_seq bigint not null,
      record int not null,
      domain_id uuid not null,
      channel_id uuid not null,
      publisher uuid,
      subtopic text not null,
      protocol text not null,
      name text not null,
      unit text,
      -- Seconds since the Unix epoch, the very double that SenML's arithmetic gives.
      time double precision not null,
      update_time double precision,
      value double precision,
      string_value text,
      bool_value boolean,
      data_value text,
      sum double precision
    );
    create index readings_channel_time on readings (channel_id, time desc, stream_seq desc, record desc);
    create index readings_channel_name_time on readings (channel_id, name, time desc);

    create table json_messages (
      stream_seq bigint not null,
      record int not null,
      domain_id uuid not null,
      channel_id uuid not null,
      publisher uuid,
      subtopic text not null,
      protocol text not null,
      format text not null,
      -- Nanoseconds since the Unix epoch.
      created bigint not null,
      payload jsonb not null
    );
    create index json_messages_channel_format on json_messages (channel_id, format, created desc, stream_seq desc, record desc);

    create table stream_positions (
      stream text primary key,
      -- When the stream was created, as the server says: a stream that was lost and made anew counts from 1 again.
      created_at timestamptz not null,
      seq bigint not null
    );
  `.execute(db)
}
