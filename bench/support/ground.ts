import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNats } from '../../gateway/embedded/nats.ts'
import { startPostgres } from '../../gateway/embedded/postgres.ts'
import { migrate } from '../../platform/db/migrate.ts'
import { createLogger } from '../../platform/log.ts'

export interface Ground {
  readonly databaseUrl: string
  readonly natsUrl: string
  /** For whoever stands on it. */
  readonly dataDir: string
  stop(): Promise<void>
}

/** Postgres and NATS as `npm start` runs them, syncing to disk, in a folder that goes when they stop. */
export async function startGround(): Promise<Ground> {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  // Started by root, Postgres runs as another user; that one must get in.
  chmodSync(dataDir, 0o711)
  const log = createLogger('warn')
  const binary = await prepareNatsServer()
  const postgres = await startPostgres({ dataDir, log })
  const nats = await startNats({ dataDir, log, binary })
  await migrate(postgres.url)
  return {
    databaseUrl: postgres.url,
    natsUrl: nats.url,
    dataDir,
    async stop() {
      await Promise.all([postgres.stop(), nats.stop()])
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** @returns path of the nats-server that the gateway uses, fetched when it is not there */
export async function prepareNatsServer(): Promise<string> {
  const bootstrap = new URL('../../../bin/bootstrap/prepare.mjs', import.meta.url).href
  const { prepare } = (await import(bootstrap)) as {
    prepare: (needs: { natsServer: boolean; compiled: boolean }) => Promise<string>
  }
  return prepare({ natsServer: true, compiled: false })
}
