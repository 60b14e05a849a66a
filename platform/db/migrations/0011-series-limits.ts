import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** How many series each channel has, since there is a limit; and ids of series come round again instead of coming to an end. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table stored_channels add column series int not null default 0;
    update stored_channels set series = found.count
      from (select channel_no, count(*) from series group by channel_no) as found where no = found.channel_no;
    alter table series alter column id set cycle;
  `.execute(db)
}
