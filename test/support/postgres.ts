import { Client } from 'pg'

/** Name of the migrated database that test files clone. */
export const TEMPLATE = 'sluice_template'

/** The same server and user, another database. */
export function urlOf(url: string, database: string): string {
  return url.replace(/[^/]+$/, database)
}

/** Runs the body with a connection that ends behind it. */
export async function withAdmin<Result>(
  url: string,
  body: (admin: Client) => Promise<Result>,
): Promise<Result> {
  const admin = new Client({ connectionString: url })
  await admin.connect()
  try {
    return await body(admin)
  } finally {
    await admin.end()
  }
}

/** Ends all sessions of the database but the one that does it, as an administrator would. */
export async function endSessions(url: string): Promise<void> {
  await withAdmin(url, (admin) =>
    admin.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    ),
  )
}
