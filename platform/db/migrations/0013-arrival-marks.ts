import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** How far the stream was stored on each day: tells when a reading arrived whose own time says nothing. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table arrival_marks (
      -- Since the Unix epoch, UTC.
      day int primary key,
      -- A stream made anew counts from 1 again.
      stream_created_at timestamptz not null,
      seq bigint not null
    );
  `.execute(db)
}
