import { Migrator } from 'kysely'
import type { Migration } from 'kysely'
import { createDatabase } from './connect.ts'
import * as management from './migrations/0001-management.ts'
import * as messages from './migrations/0002-messages.ts'
import * as access from './migrations/0003-access.ts'
import * as entities from './migrations/0004-entities.ts'
import * as people from './migrations/0005-people.ts'
import * as storage from './migrations/0006-storage.ts'
import * as series from './migrations/0007-series.ts'
import * as lists from './migrations/0008-lists.ts'
import * as traffic from './migrations/0009-traffic.ts'
import * as presence from './migrations/0010-presence.ts'
import * as seriesLimits from './migrations/0011-series-limits.ts'
import * as channelStates from './migrations/0012-channel-states.ts'
import * as arrivalMarks from './migrations/0013-arrival-marks.ts'

/** All migrations, oldest first. A merged one is frozen; a change is a new file and a new line here. */
const MIGRATIONS: Record<string, Migration> = {
  '0001-management': management,
  '0002-messages': messages,
  '0003-access': access,
  '0004-entities': entities,
  '0005-people': people,
  '0006-storage': storage,
  '0007-series': series,
  '0008-lists': lists,
  '0009-traffic': traffic,
  '0010-presence': presence,
  '0011-series-limits': seriesLimits,
  '0012-channel-states': channelStates,
  '0013-arrival-marks': arrivalMarks,
}

/**
 * Brings the database to the schema of this version. Safe when several processes do it at once: the first does the work,
 * the others wait for it.
 *
 * @throws the database's error when a migration fails; each migration is one transaction, so nothing is half-done
 */
export async function migrate(databaseUrl: string): Promise<void> {
  const db = createDatabase({ url: databaseUrl, maxConnections: 1 })
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(MIGRATIONS) } })
    const { error } = await migrator.migrateToLatest()
    if (error !== undefined) throw error instanceof Error ? error : new Error(JSON.stringify(error))
  } finally {
    await db.destroy()
  }
}
