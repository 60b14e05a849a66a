import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startPostgres } from '../../gateway/embedded/postgres.ts'
import { migrate } from '../../platform/db/migrate.ts'
import { createLogger } from '../../platform/log.ts'
import { TEMPLATE, urlOf, withAdmin } from './postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Superuser of the run's Postgres. Test files take a database of their own by `cloneDatabase`. */
    postgresUrl: string
    /** Path of nats-server. */
    natsServer: string
  }
}

/** One Postgres for the whole run, in a folder of its own that goes when the run ends, with a migrated template in it. */
export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const natsServer = process.env['SLUICE_NATS_SERVER'] ?? (await findNatsServer())
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-postgres-'))
  // Started by root, Postgres runs as another user; that one must get in.
  await chmod(dataDir, 0o711)
  const postgres = await startPostgres({ dataDir, log: createLogger('warn'), durable: false })
  const teardown = async () => {
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
  try {
    await withAdmin(postgres.url, (admin) => admin.query(`create database ${TEMPLATE}`))
    await migrate(urlOf(postgres.url, TEMPLATE))
  } catch (error) {
    await teardown()
    throw error
  }
  provide('postgresUrl', postgres.url)
  provide('natsServer', natsServer)
  return teardown
}

/** For those who run vitest by itself; `npm test` has found it already. */
async function findNatsServer(): Promise<string> {
  const bootstrap = new URL('../../bin/bootstrap/prepare.mjs', import.meta.url).href
  const { prepare } = (await import(bootstrap)) as {
    prepare: (needs: { natsServer: boolean; compiled: boolean }) => Promise<string>
  }
  return prepare({ natsServer: true, compiled: false })
}
